//! Reading what is compressed.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::{BUFFER, LinkTask, Protocol, Reader};

/// What is unpacked before it is handled, so that many small blocks are one batch.
const UNPACKED: usize = 256 * 1024;
/// Room that a thread keeps for it.
const KEPT: usize = 1 << 20;

thread_local! {
    static PLAIN: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl<P: Protocol> LinkTask<P> {
    /// What was handled may have been the last that is not compressed.
    pub(super) fn look_for_compression(&mut self) {
        if self.protocol.begins_compression() {
            let unpacker = self.unpacker.get_or_insert_default();
            unpacker.feed(&std::mem::take(&mut self.unread));
            self.needed = 1;
        }
    }

    /// As [`poll_read`](Self::poll_read), of what is compressed.
    pub(super) fn poll_read_packed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { unpacker: Some(unpacker), source, link, .. } = self else { return Poll::Ready(Ok(0)) };
        if !unpacker.is_ready() {
            let read = BUFFER.with_borrow_mut(|buffer| {
                let mut free = ReadBuf::new(buffer);
                ready!(Pin::new(&mut Reader { source, link }).poll_read(cx, &mut free))?;
                unpacker.feed(free.filled());
                Poll::Ready(io::Result::Ok(free.filled().len()))
            });
            if ready!(read)? == 0 {
                return Poll::Ready(Ok(0));
            }
        }
        self.unpack()?;
        if !self.unread.is_empty() && self.unread.len() >= self.needed {
            let input = std::mem::take(&mut self.unread);
            let (taken, needed) = self.protocol.handle_input(&input, &mut self.batch);
            self.needed = needed;
            self.keep(input, taken);
        }
        Poll::Ready(Ok(1))
    }

    fn unpack(&mut self) -> io::Result<()> {
        let Some(unpacker) = &mut self.unpacker else { return Ok(()) };
        if self.unread.capacity() == 0 {
            self.unread = PLAIN.take();
        }
        while self.unread.len() < self.needed.max(UNPACKED) {
            match unpacker.unpack(&mut self.unread) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    log::error!("{} - {error}", self.link.describe());
                    return Err(io::Error::new(io::ErrorKind::InvalidData, error));
                }
            }
        }
        Ok(())
    }

    /// Keeps what was not taken of `input`, and the room for the next time.
    fn keep(&mut self, mut input: Vec<u8>, taken: usize) {
        let rest = &input[taken..];
        if rest.len() > input.len() / 2 {
            input.drain(..taken);
            self.unread = input;
            return;
        }
        self.unread = rest.to_vec();
        if input.capacity() <= KEPT {
            input.clear();
            PLAIN.set(input);
        }
    }
}
