//! Leaf nodes that come in.

use std::sync::Arc;
use std::time::Duration;

use natsd_core::compression::Mode;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Shared;
use super::link::{Ends, LeafLink, Start};
use crate::client::admission::new_nonce;
use crate::config::options::HandshakeFirst;
use crate::tls::{Arrival, ClientTls, Facts, HandshakeError};
use crate::transport::{Connection, tcp};

/// Connections that may be at their handshake at a time.
const SHAKING: usize = 256;

/// Accepts leaf nodes until it is aborted.
pub(super) async fn accept(shared: Arc<Shared>, socket: TcpListener) {
    let shaking = Arc::new(Semaphore::new(SHAKING));
    loop {
        match socket.accept().await {
            Ok((stream, _)) if shared.tls.is_some() => {
                let Ok(permit) = shaking.clone().acquire_owned().await else { return };
                let shared = shared.clone();
                tokio::spawn(async move {
                    if let (Some(tls), Ok(peer)) = (&shared.tls, stream.peer_addr())
                        && let Err(error) = serve_tls(&shared, stream, tls).await
                    {
                        let level = if error.is_noise() { log::Level::Debug } else { log::Level::Error };
                        log::log!(level, "{peer} - TLS leafnode handshake error: {error}");
                    }
                    drop(permit);
                });
            }
            Ok((stream, _)) => match tcp::connection(stream) {
                Ok(connection) => serve(&shared, connection),
                Err(error) => log::debug!("Leafnode gone before it was served: {error}"),
            },
            Err(error) => {
                // Out of file descriptors, most likely: some will be free later.
                log::error!("Accepting leafnodes failed, trying again: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves a leaf node whose stream needs nothing more.
pub(super) fn serve(shared: &Arc<Shared>, connection: Connection) {
    let compression = shared.options.load().compression.clone();
    let start = Start::Accepted { nonce: new_nonce(), greeted: false, tls: None, compression };
    LeafLink::spawn(shared, shared.hub.next_id(), connection.into(), start, Vec::new());
}

/// Serves a leaf node that came in where clients do over WebSocket. nats-server would compress the frames, and not what is
/// in them: nothing that looks into the frames on their way could pass them on.
pub(super) fn serve_websocket(shared: &Arc<Shared>, ends: Ends, facts: Option<Facts>) {
    let (tls, compression) = (facts.map(Box::new), Mode::Off);
    let start = Start::Accepted { nonce: new_nonce(), greeted: false, tls, compression };
    LeafLink::spawn(shared, shared.hub.next_id(), ends, start, Vec::new());
}

/// Says who we are, before the handshake or after it.
async fn serve_tls(shared: &Arc<Shared>, mut stream: TcpStream, tls: &ClientTls) -> Result<(), HandshakeError> {
    stream.set_nodelay(true)?;
    let first = match tls.terms().first {
        HandshakeFirst::Never => false,
        HandshakeFirst::Always => true,
        HandshakeFirst::Within(wait) => timeout(wait, stream.readable()).await.is_ok(),
    };
    let (id, nonce) = (shared.hub.next_id(), new_nonce());
    let compression = shared.options.load().compression.clone();
    if !first {
        let line = shared.first_info(id, &nonce, &compression).to_line();
        let limit = tls.acceptor.timeout();
        let written = timeout(limit, stream.write_all(&line)).await;
        written.map_err(|_| HandshakeError::TimedOut(limit))??;
    }
    let Connection { stream, peer, .. } = tcp::connection(stream)?;
    let (stream, mut facts) = Arrival::new(stream).accept(&tls.acceptor).await?;
    facts.first = first;
    let start = Start::Accepted { nonce, greeted: !first, tls: Some(Box::new(facts)), compression };
    LeafLink::spawn(shared, id, Connection::new(stream, peer).into(), start, Vec::new());
    Ok(())
}
