//! TCP listeners for routes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Shared;
use crate::tls::{Acceptor, Arrival, HandshakeError, TlsError};
use crate::transport::{Connection, tcp};

/// Takes a TCP connection whose dialer has read our `INFO` and now says `TUNNEL {…}`: SCION packets follow that line.
/// Nothing of what it says has been read.
pub(crate) type TunnelHook = Arc<dyn Fn(TcpStream) + Send + Sync>;

/// How a dialer begins that wants a tunnel, or to know first whether there could be one.
const TUNNEL: &[u8] = b"TUNNEL {";
pub(super) const QUESTION: &[u8] = b"TUNNEL ?\r\n";
/// How long we look for it.
const TUNNEL_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections that may be looked at for it at a time.
const UNDECIDED: usize = 256;

/// Routes cannot be taken.
#[derive(Debug, Error)]
pub enum RoutesError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen for routes on {host}:{port}: {source}; choose another cluster.listen, or end what listens there"
    )]
    Listen {
        /// The address.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// TLS cannot be spoken as configured.
    #[error("cluster.tls: {0}")]
    Tls(#[from] TlsError),
}

/// Binds `host:port`; port 0 is any free one.
pub(super) async fn bind(host: &str, port: u16) -> Result<TcpListener, RoutesError> {
    tcp::listen(host, port).await.map_err(|source| RoutesError::Listen { host: host.into(), port, source })
}

/// Accepts routes until it is aborted.
pub(super) async fn accept(shared: Arc<Shared>, socket: TcpListener) {
    let undecided = Arc::new(Semaphore::new(UNDECIDED));
    loop {
        match socket.accept().await {
            Ok((stream, _)) if shared.tls.is_some() => {
                let Ok(permit) = undecided.clone().acquire_owned().await else { return };
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let (Some(tls), Ok(peer)) = (&shared.tls, stream.peer_addr())
                        && let Err(error) = serve_tls(&shared, stream, &tls.acceptor).await
                    {
                        let level = if error.is_noise() { log::Level::Debug } else { log::Level::Error };
                        log::log!(level, "{peer} - TLS route handshake error: {error}");
                    }
                    drop(permit);
                });
            }
            Ok((stream, _)) if shared.tunnel.is_some() => {
                let Ok(permit) = undecided.clone().acquire_owned().await else { return };
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let Err(error) = serve_or_tunnel(&shared, stream).await {
                        log::debug!("Route gone before it was served: {error}");
                    }
                    drop(permit);
                });
            }
            Ok((stream, _)) => match tcp::connection(stream) {
                Ok(connection) => shared.serve(connection),
                Err(error) => log::debug!("Route gone before it was served: {error}"),
            },
            Err(error) => {
                // Out of file descriptors, most likely: some will be free later.
                log::error!("Accepting routes failed, trying again: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Routes begin with the handshake, and say who they are after it. Tunnels need none, as what they carry is sealed.
async fn serve_tls(shared: &Arc<Shared>, mut stream: TcpStream, tls: &Acceptor) -> Result<(), HandshakeError> {
    if let Some(tunnel) = &shared.tunnel {
        let limit = tls.timeout();
        let looked = timeout(limit, look(&mut stream, || shared.registry.info().of_tunnel().to_line())).await;
        match looked.map_err(|_| HandshakeError::TimedOut(limit))?? {
            Opening::Tunnel => {
                tunnel(stream);
                return Ok(());
            }
            Opening::Question => return Ok(()),
            Opening::Other => {}
        }
    }
    let Connection { stream, peer, .. } = tcp::connection(stream)?;
    let (stream, facts) = Arrival::new(stream).accept(tls).await?;
    shared.serve_certified(Connection::new(stream, peer), facts.names);
    Ok(())
}

/// Says who we are and looks at the answer: a tunnel, or a route.
async fn serve_or_tunnel(shared: &Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&shared.registry.info().to_line()).await?;
    match (timeout(TUNNEL_TIMEOUT, look(&mut stream, Vec::new)).await, &shared.tunnel) {
        (Ok(Ok(Opening::Tunnel)), Some(tunnel)) => tunnel(stream),
        (Ok(Err(error)), _) => return Err(error),
        _ => shared.serve_greeted(tcp::connection(stream)?),
    }
    Ok(())
}

/// How a dialer begins.
enum Opening {
    /// With a tunnel, of which nothing has been read.
    Tunnel,
    /// With a question, and nothing after the answer to it that is known here.
    Question,
    /// With something else, of which nothing has been read.
    Other,
}

/// Looks at the first bytes, and answers a question if it is one.
async fn look(stream: &mut TcpStream, answer: impl FnOnce() -> Vec<u8>) -> io::Result<Opening> {
    let asks = begins_with(stream, QUESTION).await?;
    if asks {
        stream.read_exact(&mut [0; QUESTION.len()]).await?;
        stream.write_all(&answer()).await?;
    }
    Ok(match begins_with(stream, TUNNEL).await? {
        true => Opening::Tunnel,
        false if asks => Opening::Question,
        false => Opening::Other,
    })
}

/// Whether these are the next bytes, as soon as that is certain. They stay where they are.
async fn begins_with(stream: &TcpStream, wanted: &[u8]) -> io::Result<bool> {
    let mut first = [0; QUESTION.len()];
    let mut seen = 0;
    loop {
        let now = stream.peek(&mut first[..wanted.len()]).await?;
        if now == wanted.len() || now == 0 || first[..now] != wanted[..now] {
            return Ok(first[..now] == *wanted);
        }
        // Bytes that stay keep the socket readable: asking at once again would be a busy loop.
        if now == seen {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        seen = now;
    }
}
