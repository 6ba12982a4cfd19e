//! What is sent: bytes of the protocol, put into frames by whoever writes them.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};

use natsd_core::error::CloseReason;
use natsd_core::websocket::close::Farewell;
use natsd_core::websocket::deflate::Deflater;
use natsd_core::websocket::framing::{Framing, mask_frames, write_pong};
use tokio::net::tcp::OwnedWriteHalf;

use crate::link::outbound::Sink;
use crate::tls::TlsSink;

/// Bytes put into frames at a time.
const CHUNK: usize = 64 * 1024;
/// Answers to pings that may wait; of more, the last one is enough.
const MAX_CONTROL: usize = 4096;
/// Memory for frames that is kept for the next connection.
const MAX_POOLED: usize = 2 * CHUNK;

thread_local! {
    static DEFLATER: RefCell<Deflater> = RefCell::default();
    /// An empty buffer: a connection needs one only while frames wait.
    static POOL: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

enum Inner {
    Tcp(OwnedWriteHalf),
    Tls(TlsSink),
}

impl Inner {
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => match socket.try_write(bytes)? {
                0 => Err(io::ErrorKind::WriteZero.into()),
                written => Ok(written),
            },
            Self::Tls(sink) => sink.try_write(bytes),
        }
    }
}

/// Whether the close frame has been sent.
enum End {
    Open,
    /// It comes after all else.
    Due(Farewell),
    /// Nothing may follow.
    Said,
}

/// Where anybody may write, with the state of the frames.
pub(crate) struct WsSink {
    inner: Inner,
    framing: Framing,
    /// We are the client.
    masks: bool,
    /// Whole frames, of which `written` bytes are gone.
    wire: Vec<u8>,
    written: usize,
    /// Bytes of the protocol in `wire` that are not reported as written yet.
    framed: usize,
    /// Frames that answer pings.
    control: Vec<u8>,
    end: End,
}

impl WsSink {
    /// `None` if only the task of a connection can write to `sink`.
    pub(super) fn new(sink: Sink, framing: Framing) -> Option<Self> {
        let inner = match sink {
            Sink::Tcp(socket) => Inner::Tcp(socket),
            Sink::Tls(sink) => Inner::Tls(sink),
            Sink::Ws(_) | Sink::Task | Sink::Gone => return None,
        };
        Some(Self {
            inner,
            framing,
            masks: false,
            wire: Vec::new(),
            written: 0,
            framed: 0,
            control: Vec::new(),
            end: End::Open,
        })
    }

    /// The same for a client, which masks what it sends.
    pub(super) fn masking(self) -> Self {
        Self { masks: true, ..self }
    }

    pub(crate) fn tls(&mut self) -> Option<&mut TlsSink> {
        match &mut self.inner {
            Inner::Tcp(_) => None,
            Inner::Tls(sink) => Some(sink),
        }
    }

    /// Whether frames wait that no bytes of the protocol are in.
    pub(crate) fn owes(&self) -> bool {
        let tls = matches!(&self.inner, Inner::Tls(sink) if !matches!(self.end, End::Said) && sink.wants_write());
        tls || !self.wire.is_empty() || !self.control.is_empty() || matches!(self.end, End::Due(_))
    }

    /// Answers a ping.
    pub(super) fn answer_ping(&mut self, payload: &[u8]) {
        if self.control.len() + payload.len() + 2 > MAX_CONTROL {
            self.control.clear();
        }
        if matches!(self.end, End::Open) {
            write_pong(&mut self.control, payload);
        }
    }

    /// The connection ends with these words, if none were said yet.
    pub(super) fn say_goodbye(&mut self, farewell: Farewell) {
        if matches!(self.end, End::Open) {
            self.end = End::Due(farewell);
        }
    }

    /// The connection ends. Those who do not read, or cannot be reached, are told nothing.
    pub(crate) fn close(&mut self, reason: &CloseReason) {
        let gone = match reason {
            CloseReason::SlowConsumerPendingBytes
            | CloseReason::SlowConsumerWriteDeadline
            | CloseReason::WriteError
            | CloseReason::TlsHandshake => true,
            CloseReason::ReadError => !matches!(self.end, End::Due(_)),
            _ => false,
        };
        if gone {
            self.control.clear();
            self.recycle();
            self.end = End::Said;
        } else {
            self.say_goodbye(Farewell::because(reason));
        }
    }

    /// Forgets what was framed, as it is gone from where it came from. Frames that have begun go on to their end.
    pub(crate) fn forget(&mut self) {
        self.framed = 0;
    }

    /// Writes from the front of `plain`, and frames of its own, without waiting. `plain` must begin with what was there at the
    /// last call and was not reported as written.
    pub(crate) fn try_write(&mut self, plain: &[u8]) -> io::Result<usize> {
        loop {
            if self.wire.is_empty() && !self.fill(&plain[self.framed..]) {
                if let Inner::Tls(sink) = &mut self.inner
                    && sink.wants_write()
                {
                    sink.try_write(&[])?;
                }
                return Ok(std::mem::take(&mut self.framed));
            }
            while self.written < self.wire.len() {
                self.written += self.inner.try_write(&self.wire[self.written..])?;
            }
            self.recycle();
            // What the receiver has got so far counts against its deadline.
            if self.framed > 0 && self.framed < plain.len() {
                return Ok(std::mem::take(&mut self.framed));
            }
        }
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.inner {
            Inner::Tcp(socket) => socket.as_ref().poll_write_ready(cx),
            Inner::Tls(sink) => sink.poll_write_ready(cx),
        }
    }

    /// Makes the next frames, of the beginning of `plain` if there is any. `false` if there are none.
    fn fill(&mut self, plain: &[u8]) -> bool {
        if matches!(self.end, End::Said) {
            self.framed += plain.len();
            return false;
        }
        self.wire = POOL.take();
        self.wire.append(&mut self.control);
        let chunk = &plain[..plain.len().min(CHUNK)];
        if !chunk.is_empty() {
            DEFLATER.with_borrow_mut(|deflater| self.framing.write(chunk, deflater, &mut self.wire));
            self.framed += chunk.len();
        }
        if chunk.len() == plain.len()
            && let End::Due(farewell) = &self.end
        {
            farewell.write(&mut self.wire);
            self.end = End::Said;
        }
        if self.wire.is_empty() {
            self.recycle();
            return false;
        }
        if self.masks {
            let mut masked = Vec::with_capacity(self.wire.len() + self.wire.len() / 8);
            mask_frames(&self.wire, || fastrand::u32(..).to_ne_bytes(), &mut masked);
            self.wire = masked;
        }
        true
    }

    /// All frames are gone.
    fn recycle(&mut self) {
        let mut wire = std::mem::take(&mut self.wire);
        self.written = 0;
        wire.clear();
        if (1..=MAX_POOLED).contains(&wire.capacity()) {
            POOL.set(wire);
        }
    }
}
