//! What is to be sent on a connection.
//!
//! Whoever delivers appends under the lock of the connection, and writes at the end of its batch, without waiting. Only
//! what the kernel does not take is left to the task of the connection. That is where slow consumers show.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use natsd_auth::{Permissions, Replies};
use natsd_core::compression::stream::Packer;
use natsd_core::compression::{Level, Status};
use natsd_core::error::CloseReason;
use tokio::io::AsyncWrite;
use tokio::net::tcp::OwnedWriteHalf;

use super::packing::front;
use crate::hub::gateways::replies::MappedReplies;
use crate::hub::remote_latency::Asked;
use crate::tls::TlsSink;
use crate::transport::ByteStream;
use crate::websocket::WsSink;

/// How much may wait, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutboundLimits {
    /// Bytes above which the connection is cut.
    pub max_pending: usize,
    /// Bytes above which producers are slowed down.
    pub stall_at: usize,
    /// How long what waits may take to be written.
    pub write_deadline: Duration,
    /// A connection that takes longer stays, as long as something of it is written meanwhile.
    pub retry: bool,
}

/// What waited was not written in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    /// Nor was it the last time.
    pub again: bool,
    /// Bytes that waited when the time began.
    pub waited: usize,
    /// The connection is cut.
    pub cut: bool,
}

/// What came of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flushed {
    /// Nothing waits any more.
    All,
    /// The task of the connection goes on with it.
    Later,
    /// The connection is cut.
    TooSlow,
}

/// Writing within a batch begins when this many bytes are there, so that a batch with much fan-out needs little memory.
/// It is well above what is read at a time: messages grow on their way, and two writes for one read would cost more.
const EARLY_FLUSH: usize = 256 * 1024;
/// Unsent bytes are moved to the front once as many were sent; below this it is not worth it.
const COMPACT_AT: usize = 64 * 1024;

pub(crate) struct Outbound {
    buffer: Vec<u8>,
    written: usize,
    /// What is sent is compressed.
    packer: Option<Box<Packer>>,
    compression: Status,
    sink: Sink,
    backlog: Option<Backlog>,
    /// Since when it is known to be slow.
    slow: Option<Instant>,
    closing: Option<CloseReason>,
    waker: Option<Waker>,
    /// Somebody's batch will flush.
    pub flush_owed: bool,
    /// The receiver understands headers.
    pub takes_headers: bool,
    /// Of a client that may publish to some subjects only as an answer.
    pub replies: Option<Box<AllowedReplies>>,
    /// Where answers of the client go that other clusters asked for.
    pub mapped_replies: Option<Box<MappedReplies>>,
    /// Of a client: what it was asked by other servers that measure how long the answer takes.
    pub asked: Option<Box<Asked>>,
    /// A route for one account, on which lines name none.
    pub dedicated: bool,
    /// When something was last appended.
    pub active: Option<Instant>,
    pub msgs: u64,
    pub bytes: u64,
}

/// The requests that a client got and may answer.
pub(crate) struct AllowedReplies {
    permissions: Arc<Permissions>,
    replies: Replies,
}

impl AllowedReplies {
    /// For a client that may answer requests, if these permissions say so.
    pub(crate) fn new(permissions: &Arc<Permissions>) -> Option<Box<Self>> {
        let policy = permissions.replies?;
        Some(Box::new(Self { permissions: permissions.clone(), replies: Replies::new(policy) }))
    }

    /// The client gets a request. What it may publish to anyway needs no leave.
    pub(crate) fn requested(&mut self, reply: &[u8], now: Option<Instant>) {
        if let Some(now) = now.filter(|_| !self.permissions.may_publish(reply)) {
            self.replies.grant(reply, now);
        }
    }

    /// Whether the client may publish to `subject` as an answer now; it counts as one.
    pub(crate) fn take(&mut self, subject: &[u8], now: Option<Instant>) -> bool {
        now.is_some_and(|now| self.replies.take(subject, now))
    }
}

/// Where it is written to.
pub(crate) enum Sink {
    /// Anybody may write.
    Tcp(OwnedWriteHalf),
    /// The same, sealed.
    Tls(TlsSink),
    /// One of these, in frames of WebSocket. Boxed, for it is large and few are.
    Ws(Box<WsSink>),
    /// Only the task can write.
    Task,
    /// The connection is gone.
    Gone,
}

/// The kernel took not all.
struct Backlog {
    /// Until then, what waited at the time must be written.
    deadline: Instant,
    /// How much that was.
    begun: usize,
    /// How much of that is left.
    left: usize,
    /// Something was written, be it right before.
    progressed: bool,
}

impl Backlog {
    fn new(waiting: usize, progressed: bool, limits: &OutboundLimits) -> Self {
        Self { deadline: Instant::now() + limits.write_deadline, begun: waiting, left: waiting, progressed }
    }
}

thread_local! {
    /// Empty buffers: connections need one only while something waits, and few do at a time.
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}
const POOLED_BUFFERS: usize = 32;
const POOLED_CAPACITY: usize = 512 * 1024;

impl Outbound {
    pub(crate) fn new(sink: Sink) -> Self {
        Self {
            buffer: Vec::new(),
            written: 0,
            packer: None,
            compression: Status::default(),
            sink,
            backlog: None,
            slow: None,
            closing: None,
            waker: None,
            flush_owed: false,
            takes_headers: false,
            replies: None,
            mapped_replies: None,
            asked: None,
            dedicated: false,
            active: None,
            msgs: 0,
            bytes: 0,
        }
    }

    /// From now on it is written there, unless the connection is over.
    pub(crate) fn attach(&mut self, sink: Sink) {
        if !matches!(self.sink, Sink::Gone) {
            self.sink = sink;
        }
    }

    /// The state of TLS, if the connection has it and is not over.
    pub(crate) fn tls(&mut self) -> Option<&mut TlsSink> {
        match &mut self.sink {
            Sink::Tls(sink) => Some(sink),
            Sink::Ws(sink) => sink.tls(),
            _ => None,
        }
    }

    /// The state of WebSocket, if the connection has it and is not over.
    pub(crate) fn websocket(&mut self) -> Option<&mut WsSink> {
        match &mut self.sink {
            Sink::Ws(sink) => Some(sink),
            _ => None,
        }
    }

    /// What is appended from now on is compressed, or is not, as agreed with the other end.
    pub(crate) fn set_compression(&mut self, compression: Status) {
        self.compression = compression;
        match (compression, &mut self.packer) {
            (Status::On(level), Some(packer)) => packer.set_level(level),
            (Status::On(level), None) => self.packer = Some(Box::new(Packer::new(level, self.pending()))),
            _ => {}
        }
    }

    /// As [`set_compression`](Self::set_compression), if something is compressed.
    pub(crate) fn set_level(&mut self, level: Level) {
        if self.packer.is_some() {
            self.set_compression(Status::On(level));
        }
    }

    /// What was agreed on.
    pub(crate) fn compression(&self) -> Status {
        self.compression
    }

    /// Where to append.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.buffer.capacity() == 0 {
            self.buffer = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        &mut self.buffer
    }

    /// Bytes that wait.
    pub(crate) fn pending(&self) -> usize {
        self.buffer.len() - self.written
    }

    /// Whether there is something to be written.
    fn owes(&self) -> bool {
        self.pending() > 0
            || match &self.sink {
                Sink::Tls(sink) => self.closing.is_none() && sink.wants_write(),
                Sink::Ws(sink) => sink.owes(),
                _ => false,
            }
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    pub(crate) fn closing(&self) -> Option<&CloseReason> {
        self.closing.as_ref()
    }

    /// A message was appended.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.msgs += 1;
        self.bytes += bytes as u64;
    }

    pub(crate) fn flush_due(&self) -> bool {
        self.pending() >= EARLY_FLUSH
    }

    /// Makes sure that the task runs soon.
    pub(crate) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn set_waker(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// Ends the connection. What waits is still written, unless that is what failed.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        if self.closing.is_none() {
            let cut = matches!(
                reason,
                CloseReason::SlowConsumerPendingBytes
                    | CloseReason::SlowConsumerWriteDeadline
                    | CloseReason::WriteError
                    | CloseReason::ClientClosed
                    | CloseReason::ReadError
            );
            if cut {
                self.release();
            }
            if let Sink::Ws(sink) = &mut self.sink {
                sink.close(&reason);
            }
            self.closing = Some(reason);
            self.wake();
        }
    }

    /// The connection is over.
    pub(crate) fn hang_up(&mut self) {
        if let Some(sink) = self.tls() {
            sink.say_goodbye();
        }
        self.sink = Sink::Gone;
        self.waker = None;
        self.release();
    }

    /// Writes without waiting, and cuts the connection if too much is left.
    pub(crate) fn flush(&mut self, limits: &OutboundLimits) -> Flushed {
        if !self.owes() {
            return Flushed::All;
        }
        if self.backlog.is_none() {
            self.write(limits);
        }
        match self.pending() {
            0 if !self.owes() => Flushed::All,
            pending if pending > limits.max_pending => {
                self.close(CloseReason::SlowConsumerPendingBytes);
                Flushed::TooSlow
            }
            _ => Flushed::Later,
        }
    }

    /// Leaves all that waits to the task of the connection, and cuts the connection if it is too much.
    pub(crate) fn flush_by_task(&mut self, limits: &OutboundLimits) {
        self.leave_to_task(false, limits);
        if self.pending() > limits.max_pending {
            self.close(CloseReason::SlowConsumerPendingBytes);
        }
    }

    fn write(&mut self, limits: &OutboundLimits) {
        let mut progressed = false;
        while self.owes() {
            let waiting = front(&mut self.packer, &self.buffer[self.written..]);
            let written = match &mut self.sink {
                Sink::Tcp(socket) => socket.try_write(waiting),
                Sink::Tls(sink) => sink.try_write(waiting),
                Sink::Ws(sink) => sink.try_write(waiting),
                Sink::Task | Sink::Gone => return self.leave_to_task(progressed, limits),
            };
            match written {
                Ok(written) => {
                    progressed = true;
                    self.wrote(written, limits);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.leave_to_task(progressed, limits);
                }
                Err(_) => return self.close(CloseReason::WriteError),
            }
        }
    }

    fn leave_to_task(&mut self, progressed: bool, limits: &OutboundLimits) {
        if self.backlog.is_none() {
            self.backlog = Some(Backlog::new(self.pending(), progressed, limits));
            self.wake();
        }
    }

    /// The sink took so many bytes of what it was shown.
    fn wrote(&mut self, taken: usize, limits: &OutboundLimits) {
        let written = self.packer.as_mut().map_or(taken, |packer| packer.took(taken));
        self.written += written;
        let pending = self.pending();
        if pending == 0 {
            return self.release();
        }
        if let Some(backlog) = &mut self.backlog {
            backlog.left = backlog.left.saturating_sub(written);
            backlog.progressed |= taken > 0;
            if backlog.left == 0 {
                *backlog = Backlog::new(pending, false, limits);
            }
        }
        if self.written >= COMPACT_AT && self.written >= pending {
            self.buffer.drain(..self.written);
            self.written = 0;
        }
    }

    /// Nothing waits any more.
    fn release(&mut self) {
        match &mut self.sink {
            Sink::Tls(sink) => sink.forget(),
            Sink::Ws(sink) => sink.forget(),
            _ => {}
        }
        if let Some(packer) = &mut self.packer {
            packer.abandon();
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.written = 0;
        self.backlog = None;
        buffer.clear();
        if (1..=POOLED_CAPACITY).contains(&buffer.capacity()) {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < POOLED_BUFFERS {
                    pool.push(buffer);
                }
            });
        }
    }

    /// Takes all that waits, for who reads it here instead of at the other end of a connection. `None` once it is closing.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<u8>>> {
        if self.is_closing() {
            return Poll::Ready(None);
        }
        if self.pending() == 0 {
            self.set_waker(cx.waker());
            return Poll::Pending;
        }
        let taken = std::mem::take(&mut self.buffer);
        self.written = 0;
        self.backlog = None;
        Poll::Ready(Some(taken))
    }

    /// When what waits must be written.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.backlog.as_ref().map(|backlog| backlog.deadline)
    }

    /// For the task, when [`deadline`](Self::deadline) has come: whether that was too late, and what becomes of it.
    pub(crate) fn check_deadline(&mut self, now: Instant, limits: &OutboundLimits) -> Option<Late> {
        let pending = self.pending();
        let backlog = self.backlog.as_mut().filter(|backlog| backlog.deadline <= now)?;
        let cut = !limits.retry || !backlog.progressed;
        let late = Late { again: self.slow.is_some(), waited: backlog.begun, cut };
        *backlog = Backlog::new(pending, false, limits);
        self.slow.get_or_insert(now);
        if cut {
            self.close(CloseReason::SlowConsumerWriteDeadline);
        }
        Some(late)
    }

    /// For the task: since when the connection was slow, if it is not any more.
    pub(crate) fn take_recovery(&mut self) -> Option<Instant> {
        if self.backlog.is_none() && self.closing.is_none() { self.slow.take() } else { None }
    }

    /// For the task: writes what was left to it. `stream` is what it writes to if that is not a socket.
    pub(crate) fn poll_backlog(
        &mut self,
        cx: &mut Context<'_>,
        stream: Option<&mut Box<dyn ByteStream>>,
        limits: &OutboundLimits,
    ) -> Poll<()> {
        let result = match stream {
            Some(stream) => self.poll_to(cx, &mut **stream, limits),
            None => self.poll_socket(cx, limits),
        };
        match result {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(_)) => {
                self.close(CloseReason::WriteError);
                self.release();
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, limits: &OutboundLimits) -> Poll<io::Result<()>> {
        while self.backlog.is_some() {
            let waiting = front(&mut self.packer, &self.buffer[self.written..]);
            let written = match &mut self.sink {
                Sink::Tcp(socket) => {
                    std::task::ready!(socket.as_ref().poll_write_ready(cx))?;
                    socket.try_write(waiting)
                }
                Sink::Tls(sink) => {
                    std::task::ready!(sink.poll_write_ready(cx))?;
                    sink.try_write(waiting)
                }
                Sink::Ws(sink) => {
                    std::task::ready!(sink.poll_write_ready(cx))?;
                    sink.try_write(waiting)
                }
                Sink::Task | Sink::Gone => break,
            };
            match written {
                Ok(written) => self.wrote(written, limits),
                // Readiness is used up: asks for it again.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_to(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin + ?Sized),
        limits: &OutboundLimits,
    ) -> Poll<io::Result<()>> {
        while self.pending() > 0 {
            let pinned = std::pin::Pin::new(&mut *stream);
            let waiting = front(&mut self.packer, &self.buffer[self.written..]);
            match std::task::ready!(pinned.poll_write(cx, waiting))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.wrote(written, limits),
            }
        }
        std::pin::Pin::new(stream).poll_flush(cx)
    }
}

#[cfg(test)]
mod tests;
