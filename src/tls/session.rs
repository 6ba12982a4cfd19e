//! An open TLS connection on a socket. Its state is shared: the task of the link opens what it reads, and whoever has
//! something to send seals and writes it, both under the lock of what is to be sent.
//!
//! Sealing copies once, into records that are encrypted where they stand. Opening copies three times: from the buffer of
//! the thread to that of the session, where a record is decrypted, to a list of what was decrypted, to the reader.

use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustls::Connection;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::link::Link;

/// What is read from a socket at a time.
const CIPHERTEXT: usize = 64 * 1024;

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; CIPHERTEXT].into_boxed_slice());
}

/// Where anybody may write, with the state of the session.
pub(crate) struct TlsSink {
    socket: OwnedWriteHalf,
    session: Box<Connection>,
    /// Bytes that were sealed, and whose records the kernel has not taken as a whole. At most 64 KiB.
    sealed: usize,
}

impl TlsSink {
    pub(crate) fn new(socket: OwnedWriteHalf, session: Box<Connection>) -> Self {
        Self { socket, session, sealed: 0 }
    }

    /// Whether records wait that nobody asked for: answers to new keys.
    pub(crate) fn wants_write(&self) -> bool {
        self.session.wants_write()
    }

    /// Forgets what was sealed, as it is gone from where it came from.
    pub(crate) fn forget(&mut self) {
        self.sealed = 0;
    }

    /// Writes from the front of `plain`, without waiting. It must begin with what was there at the last call and was not
    /// reported as written.
    pub(crate) fn try_write(&mut self, plain: &[u8]) -> io::Result<usize> {
        if !self.session.wants_write() {
            self.sealed += self.session.writer().write(&plain[self.sealed..])?;
        }
        while self.session.wants_write() {
            if self.session.write_tls(&mut Socket(&self.socket))? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(std::mem::take(&mut self.sealed))
    }

    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.as_ref().poll_write_ready(cx)
    }

    /// Tells the peer that nothing more comes, if the kernel takes it.
    pub(crate) fn say_goodbye(&mut self) {
        self.session.send_close_notify();
        // The connection ends anyway.
        let _ = self.session.write_tls(&mut Socket(&self.socket));
    }

    /// Opens records off the front of `ciphertext` until it or the room in `plain` is used up. `true` if the peer has
    /// said goodbye.
    fn open(&mut self, ciphertext: &mut &[u8], plain: &mut ReadBuf<'_>) -> io::Result<bool> {
        loop {
            if self.take_opened(plain)? {
                return Ok(true);
            }
            if plain.remaining() == 0 || ciphertext.is_empty() {
                return Ok(false);
            }
            self.session.read_tls(ciphertext)?;
            self.session.process_new_packets().map_err(io::Error::other)?;
        }
    }

    fn take_opened(&mut self, plain: &mut ReadBuf<'_>) -> io::Result<bool> {
        while plain.remaining() > 0 {
            let mut reader = self.session.reader();
            let taken = match reader.fill_buf() {
                Ok([]) => return Ok(true),
                Ok(chunk) => {
                    let len = chunk.len().min(plain.remaining());
                    plain.put_slice(&chunk[..len]);
                    len
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            reader.consume(taken);
        }
        Ok(false)
    }
}

/// Writes to a socket without waiting.
struct Socket<'a>(&'a OwnedWriteHalf);

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where the task of a link reads.
pub(crate) struct TlsSource {
    socket: OwnedReadHalf,
    /// What was read and for whose contents there was no room yet. At most [`CIPHERTEXT`].
    ahead: Vec<u8>,
}

impl TlsSource {
    pub(crate) fn new(socket: OwnedReadHalf) -> Self {
        Self { socket, ahead: Vec::new() }
    }

    /// Reads what is inside the records of the socket, whose state is with `link`. Nothing read is the end.
    pub(crate) fn poll_read(
        &mut self,
        link: &Link,
        cx: &mut Context<'_>,
        plain: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = plain.filled().len();
        let mut ahead = std::mem::take(&mut self.ahead);
        loop {
            let mut rest = ahead.as_slice();
            let end = open(link, &mut rest, plain)?;
            self.ahead = rest.to_vec();
            if end || plain.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            let end = BUFFER.with_borrow_mut(|buffer| {
                let mut read = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.socket).poll_read(cx, &mut read))?;
                let mut rest = read.filled();
                let end = rest.is_empty() || open(link, &mut rest, plain)?;
                self.ahead = rest.to_vec();
                Poll::Ready(io::Result::Ok(end))
            });
            if ready!(end)? || plain.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            ahead = std::mem::take(&mut self.ahead);
        }
    }
}

/// Opens records with the state that `link` has, and sends what the peer is owed for them.
fn open(link: &Link, ciphertext: &mut &[u8], plain: &mut ReadBuf<'_>) -> io::Result<bool> {
    let mut out = link.outbound();
    let Some(sink) = out.tls() else { return Ok(true) };
    let end = sink.open(ciphertext, plain)?;
    let owes = sink.wants_write();
    drop(out);
    if owes {
        link.flush();
    }
    Ok(end)
}
