//! TCP listeners for routes.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Shared;
use crate::tls::{Acceptor, Arrival, HandshakeError, TlsError};
use crate::transport::{Connection, tcp};

/// Takes a TCP connection whose dialer has read our `INFO` and now says `TUNNEL {…}`: SCION packets follow that line.
/// Nothing of what it says has been read.
pub(crate) type TunnelHook = Arc<dyn Fn(TcpStream) + Send + Sync>;

/// How a dialer begins that wants a tunnel.
const TUNNEL: &[u8] = b"TUNNEL ";
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

/// Routes begin with the handshake, and say who they are after it.
async fn serve_tls(shared: &Arc<Shared>, stream: TcpStream, tls: &Acceptor) -> Result<(), HandshakeError> {
    let Connection { stream, peer } = tcp::connection(stream)?;
    let (stream, facts) = Arrival::new(stream).accept(tls).await?;
    shared.serve_certified(Connection { stream, peer }, facts.names);
    Ok(())
}

/// Says who we are and looks at the answer: a tunnel, or a route.
async fn serve_or_tunnel(shared: &Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(&shared.registry.info().to_line()).await?;
    match (timeout(TUNNEL_TIMEOUT, begins_tunnel(&stream)).await, &shared.tunnel) {
        (Ok(Ok(true)), Some(tunnel)) => tunnel(stream),
        (Ok(Err(error)), _) => return Err(error),
        _ => shared.serve_greeted(tcp::connection(stream)?),
    }
    Ok(())
}

/// Whether the first bytes are those of a tunnel. They stay where they are.
async fn begins_tunnel(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0; TUNNEL.len()];
    let mut seen = 0;
    loop {
        let now = stream.peek(&mut first).await?;
        if now == TUNNEL.len() || now == 0 || first[..now] != TUNNEL[..now] {
            return Ok(first == TUNNEL);
        }
        // Bytes that stay keep the socket readable: asking at once again would be a busy loop.
        if now == seen {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        seen = now;
    }
}
