//! Waiting until the kernel takes datagrams again.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use quinn::UdpPoller;

use crate::socket::Socket;

/// A wait for room in the socket's buffer, begun and not yet over.
type Waiting = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Waits for room in the socket's buffer.
pub(crate) struct Writable {
    socket: Arc<Socket>,
    waiting: Mutex<Option<Waiting>>,
}

impl Writable {
    pub(crate) fn new(socket: Arc<Socket>) -> Self {
        Self { socket, waiting: Mutex::new(None) }
    }
}

impl std::fmt::Debug for Writable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writable").finish_non_exhaustive()
    }
}

impl UdpPoller for Writable {
    fn poll_writable(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut waiting = self.waiting.lock();
        let future = waiting.get_or_insert_with(|| {
            let socket = Arc::clone(&self.socket);
            Box::pin(async move { socket.underlay.writable().await })
        });
        let result = future.as_mut().poll(cx);
        if result.is_ready() {
            *waiting = None;
        }
        result
    }
}
