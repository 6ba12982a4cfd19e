//! The task of a connection: reads, lets a [`Protocol`] act on it, flushes whom that wrote to; writes what could not be
//! written at once; keeps time.
//!
//! It is a future written by hand, so that an idle connection costs little more than its fields. Bytes are read into a
//! buffer of the thread; a connection owns only an operation that has not come to its end.

mod packed;

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use natsd_api::go_duration;
use natsd_core::compression::stream::Unpacker;
use natsd_core::error::CloseReason;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::{Sleep, sleep, sleep_until};

use super::batch::Batch;
use super::outbound::{OutboundLimits, Sink};
use super::{Kind, Link};
use crate::hub::Hub;
use crate::tls::{TlsSink, TlsSource};
use crate::transport::{ByteStream, Stream};
use crate::websocket::WsSource;

/// What the bytes of a connection mean.
pub(crate) trait Protocol: Send + Unpin + 'static {
    /// The connection is there: says what is to be said first.
    fn start(&mut self, batch: &mut Batch);
    /// Takes operations off the front of `input`. Returns how many bytes they were, and how many bytes there must be
    /// after them before it is worth calling again. Ends the connection by [`Link::close`].
    fn handle_input(&mut self, input: &[u8], batch: &mut Batch) -> (usize, usize);
    /// When [`handle_timeout`](Self::handle_timeout) is due.
    fn timeout(&self) -> Option<Instant>;
    /// [`timeout`](Self::timeout) has come.
    fn handle_timeout(&mut self, now: Instant, batch: &mut Batch);
    /// What was read has to wait: until [`poll_commands`](Self::poll_commands) changes that, nothing more is read or handled.
    fn holds_input(&self) -> bool {
        false
    }
    /// Whether what comes after what was handled last is compressed. Says so once.
    fn begins_compression(&mut self) -> bool {
        false
    }
    /// Looks for what others want of this connection.
    fn poll_commands(&mut self, _cx: &mut Context<'_>, _batch: &mut Batch) {}
    /// The connection is over: removes a part of what it left behind, so that it takes a moment only. Returns whether
    /// that was all.
    fn unwind(&mut self) -> bool;
}

/// Where bytes come from.
pub(crate) enum Source {
    /// The half of a socket that others do not write to.
    Tcp(OwnedReadHalf),
    /// The same, sealed; the state is with the sink.
    Tls(TlsSource),
    /// One of these, in frames of WebSocket.
    Ws(Box<WsSource>),
    /// Both directions.
    Other(Box<dyn ByteStream>),
}

impl Source {
    /// The two directions of a stream.
    pub(crate) fn split(stream: Stream) -> (Self, Sink) {
        match stream {
            Stream::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (Self::Tcp(read), Sink::Tcp(write))
            }
            Stream::Tls(stream, session) => {
                let (read, write) = stream.into_split();
                (Self::Tls(TlsSource::new(read)), Sink::Tls(TlsSink::new(write, session)))
            }
            Stream::Other(stream) => (Self::Other(stream), Sink::Task),
        }
    }

    fn stream(&mut self) -> Option<&mut Box<dyn ByteStream>> {
        match self {
            Self::Tcp(_) | Self::Tls(_) | Self::Ws(_) => None,
            Self::Other(stream) => Some(stream),
        }
    }

    /// Reads; what there is of a state is with `link`. Nothing read is the end.
    pub(crate) fn poll_read(
        &mut self,
        link: &Link,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => Pin::new(half).poll_read(cx, buf),
            Self::Tls(source) => source.poll_read(link, cx, buf),
            Self::Ws(source) => source.poll_read(link, cx, buf),
            Self::Other(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

/// Reads from the source of a link.
struct Reader<'a> {
    source: &'a mut Source,
    link: &'a Link,
}

impl AsyncRead for Reader<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let link = self.link;
        self.source.poll_read(link, cx, buf)
    }
}

/// Bytes read at a time. 128 KiB instead of 64 took 10 to 30 % off the cost of a message: fewer, larger writes.
const SCRATCH: usize = 128 * 1024;
/// Reads before other connections get their turn.
const READS_A_TURN: usize = 8;
/// How long a producer pauses for a slow receiver.
const STALL: Duration = Duration::from_millis(2);
/// How long the last words to a connection may take.
const LINGER: Duration = Duration::from_secs(1);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH].into_boxed_slice());
}

/// See the [module](self).
pub(crate) struct LinkTask<P: Protocol> {
    link: Arc<Link>,
    hub: Arc<Hub>,
    protocol: P,
    source: Source,
    limits: OutboundLimits,
    /// The beginning of an operation.
    unread: Vec<u8>,
    /// Bytes without which that cannot be told.
    needed: usize,
    /// What is unread waits for the protocol, not for more.
    held: bool,
    /// What comes is compressed.
    unpacker: Option<Box<Unpacker>>,
    batch: Batch,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    timer_due: Instant,
}

enum Phase {
    New,
    Open,
    /// A receiver is slow: does not read until the timer.
    Stalled(Pin<Box<Sleep>>),
    /// Writes the rest, until the timer.
    Closing(Pin<Box<Sleep>>),
    /// Removes what is left behind.
    Unwinding,
}

enum Turn {
    /// Waits for an event.
    Waiting,
    /// There may be more to do at once.
    Again,
}

impl<P: Protocol> LinkTask<P> {
    pub(crate) fn new(link: Arc<Link>, hub: Arc<Hub>, protocol: P, source: Source, limits: OutboundLimits) -> Self {
        let timer_due = Instant::now() + Duration::from_secs(3600);
        Self {
            link,
            hub,
            protocol,
            source,
            limits,
            unread: Vec::new(),
            needed: 1,
            held: false,
            unpacker: None,
            batch: Batch::default(),
            phase: Phase::New,
            timer: Box::pin(sleep_until(timer_due.into())),
            timer_due,
        }
    }

    /// This was read already.
    pub(crate) fn with_unread(mut self, bytes: Vec<u8>) -> Self {
        self.held = !bytes.is_empty();
        self.unread = bytes;
        self
    }

    fn turn(&mut self, cx: &mut Context<'_>) -> Turn {
        self.protocol.poll_commands(cx, &mut self.batch);
        self.poll_timer(cx);
        self.finish_batch();
        {
            let mut out = self.link.outbound();
            out.set_waker(cx.waker());
            let _ = out.poll_backlog(cx, self.source.stream(), &self.limits);
            let recovered = out.take_recovery();
            if recovered.is_some() {
                drop(out);
                self.note_recovery(recovered);
                out = self.link.outbound();
            }
            if out.is_closing() {
                drop(out);
                self.phase = Phase::Closing(Box::pin(sleep(LINGER)));
                return Turn::Again;
            }
        }
        if let Phase::Stalled(until) = &mut self.phase {
            if until.as_mut().poll(cx).is_pending() {
                return Turn::Waiting;
            }
            self.phase = Phase::Open;
        }
        if self.protocol.holds_input() {
            return Turn::Waiting;
        }
        if std::mem::take(&mut self.held) {
            self.handle_held();
            return Turn::Again;
        }
        for _ in 0..READS_A_TURN {
            match self.poll_read(cx) {
                Poll::Pending => {
                    self.rest();
                    return Turn::Waiting;
                }
                Poll::Ready(Ok(0)) => self.link.close(CloseReason::ClientClosed),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => self.link.close(CloseReason::ReadError),
            }
            let stalled = self.finish_batch();
            self.held = self.protocol.holds_input();
            if self.held || self.link.is_closing() {
                return Turn::Again;
            }
            if stalled && self.link.kind == Kind::Client {
                self.link.stalls.fetch_add(1, Relaxed);
                self.hub.stats.stalled.fetch_add(1, Relaxed);
                self.phase = Phase::Stalled(Box::pin(sleep(STALL)));
                return Turn::Again;
            }
        }
        cx.waker().wake_by_ref();
        Turn::Waiting
    }

    /// Reads once and hands what is there to the protocol. Gives the bytes read.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.unpacker.is_some() {
            return self.poll_read_packed(cx);
        }
        if self.needed > SCRATCH {
            return self.poll_read_large(cx);
        }
        let read = BUFFER.with_borrow_mut(|buffer| {
            let kept = self.unread.len();
            buffer[..kept].copy_from_slice(&self.unread);
            let mut free = ReadBuf::new(&mut buffer[kept..]);
            let mut reader = Reader { source: &mut self.source, link: &self.link };
            std::task::ready!(Pin::new(&mut reader).poll_read(cx, &mut free))?;
            let read = free.filled().len();
            let end = kept + read;
            let mut taken = 0;
            if end >= self.needed && read > 0 {
                (taken, self.needed) = self.protocol.handle_input(&buffer[..end], &mut self.batch);
            }
            self.unread.clear();
            self.unread.extend_from_slice(&buffer[taken..end]);
            Poll::Ready(Ok(read))
        });
        self.look_for_compression();
        read
    }

    /// As [`poll_read`](Self::poll_read), for an operation that the buffer of the thread cannot hold.
    fn poll_read_large(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.unread.len() == self.unread.capacity() {
            // Memory grows with what has come, not with what was announced.
            let missing = self.needed - self.unread.len();
            self.unread.reserve_exact(missing.min(self.unread.len().max(SCRATCH)));
        }
        let mut reader = Reader { source: &mut self.source, link: &self.link };
        let read = std::task::ready!(pin!(reader.read_buf(&mut self.unread)).poll(cx))?;
        if self.unread.len() >= self.needed && read > 0 {
            let (taken, needed) = self.protocol.handle_input(&self.unread, &mut self.batch);
            self.needed = needed;
            let rest = self.unread.split_off(taken);
            self.unread = rest;
        }
        Poll::Ready(Ok(read))
    }

    /// Hands what has waited to the protocol.
    fn handle_held(&mut self) {
        let input = std::mem::take(&mut self.unread);
        if !input.is_empty() {
            let (taken, needed) = self.protocol.handle_input(&input, &mut self.batch);
            self.needed = needed;
            self.unread = input[taken..].to_vec();
            self.held = self.protocol.holds_input();
            self.look_for_compression();
        }
    }

    /// Flushes. Returns whether to pause for a slow receiver.
    fn finish_batch(&mut self) -> bool {
        self.batch.finish(&self.hub, &self.link)
    }

    /// There is nothing to read: keeps no memory for it.
    fn rest(&mut self) {
        if self.unread.is_empty() && self.unread.capacity() > 0 {
            self.unread = Vec::new();
        }
        if let Some(unpacker) = &mut self.unpacker {
            unpacker.shrink();
        }
        self.batch.shrink();
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) {
        loop {
            let backlog = self.link.outbound().deadline();
            let due = self.protocol.timeout().into_iter().chain(backlog).min();
            // Later than needed is no use; earlier is harmless, and cheaper than setting it anew each time.
            if let Some(due) = due.filter(|&due| due < self.timer_due) {
                self.set_timer(due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                return;
            }
            let now = Instant::now();
            if backlog.is_some_and(|deadline| deadline <= now) {
                self.note_lateness(now);
            }
            if self.protocol.timeout().is_some_and(|due| due <= now) {
                self.protocol.handle_timeout(now, &mut self.batch);
            }
            let next = self.protocol.timeout().unwrap_or(now + Duration::from_secs(3600));
            self.set_timer(next.max(now + Duration::from_millis(1)));
        }
    }

    fn note_recovery(&self, slow_since: Option<Instant>) {
        let took = slow_since.map(|since| since.elapsed().as_secs_f64()).unwrap_or_default();
        log::info!("{} - Slow Consumer Recovered: Flush took {took:.3}s", self.link.describe());
    }

    /// What waits to be written may have waited too long.
    fn note_lateness(&mut self, now: Instant) {
        let Some(late) = self.link.outbound().check_deadline(now, &self.limits) else { return };
        let state = if late.again { "State" } else { "Detected" };
        let (deadline, waited) = (go_duration(self.limits.write_deadline), late.waited);
        log::info!(
            "{} - Slow Consumer {state}: WriteDeadline of {deadline} exceeded with 1 chunks of {waited} total bytes.",
            self.link.describe()
        );
        // Who is cut is counted when it is gone.
        if !late.again && !late.cut {
            self.hub.count_slow(&self.link);
        }
    }

    fn set_timer(&mut self, due: Instant) {
        self.timer_due = due;
        self.timer.as_mut().reset(due.into());
    }

    /// Writes the rest of what is to be said.
    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Phase::Closing(linger) = &mut self.phase else { return Poll::Ready(()) };
        let mut out = self.link.outbound();
        out.set_waker(cx.waker());
        let rest = out.flush(&self.limits);
        let written = rest != super::outbound::Flushed::Later
            || out.poll_backlog(cx, self.source.stream(), &self.limits).is_ready();
        if !written && linger.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        out.hang_up();
        Poll::Ready(())
    }
}

impl<P: Protocol> Future for LinkTask<P> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            match this.phase {
                Phase::New => {
                    this.protocol.start(&mut this.batch);
                    this.phase = Phase::Open;
                }
                Phase::Open | Phase::Stalled(_) => match this.turn(cx) {
                    Turn::Waiting => return Poll::Pending,
                    Turn::Again => {}
                },
                Phase::Closing(_) => {
                    std::task::ready!(this.poll_closing(cx));
                    this.phase = Phase::Unwinding;
                }
                Phase::Unwinding => {
                    if this.protocol.unwind() {
                        return Poll::Ready(());
                    }
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }
}
