//! A byte stream to a peer: one QUIC connection and its one stream, or one each way.

use std::any::Any;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use natsd_path::{Fingerprint, ScionAddr};
use parking_lot::Mutex;
use quinn::{Connection, SendStream};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::halves::Inbound;
use crate::lane::Place;
use crate::losses::{self, Losses};
use crate::meter::Meter;
use crate::peers::{Live, Peer};
use crate::quic;
use crate::terms;

/// How long a dropped stream goes on delivering what was written.
const LINGER: Duration = Duration::from_secs(3);

/// A connected byte stream. Dropping both halves closes the connection after what was written has been delivered.
#[derive(Debug)]
pub struct Stream {
    reader: ReadHalf,
    writer: WriteHalf,
}

/// The receiving half.
#[derive(Debug)]
pub struct ReadHalf {
    stream: Inbound,
    link: Arc<Link>,
}

/// The sending half.
#[derive(Debug)]
pub struct WriteHalf {
    /// `None` once dropped.
    stream: Option<SendStream>,
    link: Arc<Link>,
}

struct Link {
    connection: Connection,
    live: Live,
    held: Mutex<Option<Held>>,
}

/// See [`Stream::hold`].
type Held = Box<dyn Any + Send>;

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("live", &self.live).finish_non_exhaustive()
    }
}

impl Link {
    fn new(connection: Connection, live: Live) -> Self {
        if live.0.socket.upgrade().is_some_and(|socket| socket.is_plain()) {
            live.0.ways.lock().join(&connection);
        }
        Self { connection, live, held: Mutex::default() }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.live.0.ways.lock().part(&self.connection);
    }
}

/// A view of a connection that does not keep its stream open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StreamStats(Arc<Link>);

impl Stream {
    pub(crate) fn new(connection: Connection, stream: (SendStream, Inbound), live: Live) -> Self {
        if let Some(meter) = Meter::of(&connection) {
            live.0.meter(&meter);
        }
        let link = Arc::new(Link::new(connection, live));
        tokio::spawn(watch_losses(Arc::downgrade(&link)));
        let (writer, reader) = stream;
        Self {
            reader: ReadHalf { stream: reader, link: Arc::clone(&link) },
            writer: WriteHalf { stream: Some(writer), link },
        }
    }

    /// The peer's SCION address.
    pub fn peer(&self) -> ScionAddr {
        self.reader.link.live.0.addr
    }

    /// Where the peer is: in its AS, or at an IP address.
    pub fn place(&self) -> Place {
        let peer = &self.reader.link.live.0;
        match peer.socket.upgrade() {
            Some(socket) => socket.place_of(peer.addr),
            None => Place::As(peer.addr.isd_as),
        }
    }

    /// What the peer has shown, its own certificate first, as verified by the identity of this end. Empty if it has none.
    pub fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        quic::certificates(&self.reader.link.connection)
    }

    /// Keeps something until the connection is over and forgotten, in place of what was kept before.
    pub fn hold(&self, what: impl Any + Send) {
        *self.reader.link.held.lock() = Some(Box::new(what));
    }

    /// What is measured of the connection.
    pub fn stats(&self) -> StreamStats {
        StreamStats(Arc::clone(&self.reader.link))
    }

    /// Halves for two tasks.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        (self.reader, self.writer)
    }
}

/// Until the connection is gone.
async fn watch_losses(link: Weak<Link>) {
    let mut losses = Losses::default();
    loop {
        tokio::time::sleep(losses::INTERVAL).await;
        let Some(link) = link.upgrade() else { return };
        if link.connection.close_reason().is_some() || link.has_left_its_as() {
            return;
        }
        if !terms::keeps_right(&link.connection, &link.live.0) {
            return;
        }
        losses.look(&link.connection, &link.live.0);
        if let Some(destination) = &*link.live.0.destination() {
            destination.weigh();
        }
    }
}

impl Link {
    /// QUIC follows a peer to another address, also when somebody between the ends sends on from there what it has caught. Within an AS
    /// that is a host with several addresses. Who may come, and what paths are for, is said of ASes: from another one the
    /// connection would have been another.
    fn has_left_its_as(&self) -> bool {
        let (peer, now_at) = (&self.live.0, self.connection.remote_address());
        if now_at == peer.synthetic {
            return false;
        }
        let now_at = peer.socket.upgrade().and_then(|socket| socket.peers.by_synthetic(now_at));
        let left = now_at.filter(|now_at| now_at.addr.isd_as != peer.addr.isd_as);
        if let Some(elsewhere) = &left {
            log::warn!("A connection of {} goes on from {}, another AS: closed", peer.addr, elsewhere.addr);
            quic::close_moved(&self.connection);
        }
        left.is_some()
    }
}

impl StreamStats {
    pub(crate) fn peer(&self) -> &Arc<Peer> {
        &self.0.live.0
    }

    /// QUIC's smoothed round-trip time.
    pub fn rtt(&self) -> Duration {
        self.0.connection.rtt()
    }

    /// Packets that QUIC had to count as lost.
    pub fn lost_packets(&self) -> u64 {
        self.0.connection.stats().path.lost_packets
    }

    /// The path in use; `None` when it is the peer's own, reversed, as no lookup has succeeded yet.
    pub fn path(&self) -> Option<Fingerprint> {
        let peer = &self.0.live.0;
        let path = peer.route().as_ref()?.path()?;
        peer.destination().as_ref()?.fingerprint(path)
    }
}

impl AsyncRead for ReadHalf {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_read(cx, buf)
    }
}

impl WriteHalf {
    fn stream(&mut self) -> Pin<&mut SendStream> {
        Pin::new(self.stream.as_mut().expect("only Drop takes the stream"))
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = AsyncWrite::poll_write(self.stream(), cx, buf);
        if matches!(written, Poll::Ready(Ok(_))) {
            self.link.live.0.wrote.store(true, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // QUIC sends what it has as soon as it may.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(self.stream(), cx)
    }
}

impl Drop for WriteHalf {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        // Already finished by a shutdown: nothing changes.
        let _ = stream.finish();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let link = Arc::clone(&self.link);
            runtime.spawn(async move {
                // Delivered, refused or too late: in each case the connection may go.
                let _ = tokio::time::timeout(LINGER, stream.stopped()).await;
                drop(link);
            });
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reader).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_shutdown(cx)
    }
}
