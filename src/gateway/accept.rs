//! Servers of other clusters that come in.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Shared;
use super::link::{GatewayLink, Start};
use crate::tls::{Acceptor, Arrival, Facts, HandshakeError};
use crate::transport::{Connection, tcp};

/// Connections that may be at their handshake at a time.
const SHAKING: usize = 256;

/// Accepts until it is aborted.
pub(super) async fn accept(shared: Arc<Shared>, socket: TcpListener) {
    let shaking = Arc::new(Semaphore::new(SHAKING));
    loop {
        match socket.accept().await {
            Ok((stream, _)) if shared.tls.is_some() => {
                let Ok(permit) = shaking.clone().acquire_owned().await else { return };
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let (Some(tls), Ok(peer)) = (&shared.tls, stream.peer_addr())
                        && let Err(error) = serve_tls(&shared, stream, &tls.acceptor).await
                    {
                        let level = if error.is_noise() { log::Level::Debug } else { log::Level::Error };
                        log::log!(level, "{peer} - TLS gateway handshake error: {error}");
                    }
                    drop(permit);
                });
            }
            Ok((stream, _)) => match tcp::connection(stream) {
                Ok(connection) => GatewayLink::spawn(&shared, connection, Start::Accepted { tls: None }),
                Err(error) => log::debug!("Gateway gone before it was served: {error}"),
            },
            Err(error) => {
                // Out of file descriptors, most likely: some will be free later.
                log::error!("Accepting gateways failed, trying again: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves a connection that needs nothing more, of a server that has shown these certificates.
pub(super) fn serve(shared: &Arc<Shared>, connection: Connection, shown: Facts) {
    GatewayLink::spawn(shared, connection, Start::Accepted { tls: Some(Box::new(shown)) });
}

/// As on routes, the handshake comes first.
async fn serve_tls(shared: &Arc<Shared>, stream: TcpStream, tls: &Acceptor) -> Result<(), HandshakeError> {
    stream.set_nodelay(true)?;
    let Connection { stream, peer, .. } = tcp::connection(stream)?;
    let (stream, facts) = Arrival::new(stream).accept(tls).await?;
    serve(shared, Connection::new(stream, peer), facts);
    Ok(())
}
