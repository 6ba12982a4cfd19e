//! The streams of a connection that carry its bytes.
//!
//! Between natsd and natsd, ALPN `natsd`, that is one bidirectional stream, which the acceptor opens. The libraries of
//! scion-apps, ALPN `qs`, know single streams otherwise: each end opens a unidirectional one to send on, and when it has
//! read the other's to its end, says so by another one without bytes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::io::{AsyncRead, ReadBuf};

/// The ALPN of scion-apps.
const SINGLE_STREAM: &[u8] = b"qs";
/// Streams that such a peer may open: for bytes, and to say that it has read ours.
pub(crate) const SINGLE_STREAMS: VarInt = VarInt::from_u32(2);

/// Where bytes come from.
pub(crate) enum Inbound {
    /// A stream that is there.
    Open(RecvStream),
    /// The one that the peer opens when it has something to say.
    Single(Single),
}

/// See [`Inbound::Single`].
pub(crate) struct Single {
    connection: Connection,
    arrival: Arrival,
    /// The peer was told that all was read.
    told: bool,
}

enum Arrival {
    Awaited(Pin<Box<dyn Future<Output = Result<RecvStream, ConnectionError>> + Send + Sync>>),
    Here(RecvStream),
}

impl std::fmt::Debug for Inbound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbound")
    }
}

/// The streams of a connection that was accepted.
pub(crate) async fn accepted(connection: &Connection) -> Result<(SendStream, Inbound), ConnectionError> {
    if speaks_single_streams(connection) {
        return single(connection).await;
    }
    let (send, receive) = connection.open_bi().await?;
    Ok((send, Inbound::Open(receive)))
}

/// The streams of a connection that was dialled.
pub(crate) async fn dialled(connection: &Connection) -> Result<(SendStream, Inbound), ConnectionError> {
    if speaks_single_streams(connection) {
        return single(connection).await;
    }
    let (send, receive) = connection.accept_bi().await?;
    Ok((send, Inbound::Open(receive)))
}

async fn single(connection: &Connection) -> Result<(SendStream, Inbound), ConnectionError> {
    let send = connection.open_uni().await?;
    let peer = connection.clone();
    let arrival = Arrival::Awaited(Box::pin(async move { peer.accept_uni().await }));
    Ok((send, Inbound::Single(Single { connection: connection.clone(), arrival, told: false })))
}

pub(crate) fn speaks_single_streams(connection: &Connection) -> bool {
    let data =
        connection.handshake_data().and_then(|data| data.downcast::<quinn::crypto::rustls::HandshakeData>().ok());
    data.and_then(|data| data.protocol).is_some_and(|protocol| protocol == SINGLE_STREAM)
}

impl Single {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        if let Arrival::Awaited(arrival) = &mut self.arrival {
            self.arrival = Arrival::Here(ready!(arrival.as_mut().poll(cx))?);
        }
        let Arrival::Here(stream) = &mut self.arrival else { return Poll::Pending };
        let before = buf.filled().len();
        ready!(AsyncRead::poll_read(Pin::new(stream), cx, buf))?;
        if buf.filled().len() == before && buf.remaining() > 0 && !std::mem::replace(&mut self.told, true) {
            let connection = self.connection.clone();
            tokio::spawn(async move {
                if let Ok(mut signal) = connection.open_uni().await {
                    // The connection is over: nobody waits for the signal then.
                    let _ = signal.finish();
                    let _ = signal.stopped().await;
                }
            });
        }
        Poll::Ready(Ok(()))
    }
}

impl Inbound {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        match self {
            Self::Open(stream) => AsyncRead::poll_read(Pin::new(stream), cx, buf),
            Self::Single(single) => single.poll_read(cx, buf),
        }
    }
}
