//! Connections to hubs.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_core::leaf::hello::LeafInfo;
use natsd_core::leaf::wire::MAX_CONTROL_LINE;
use natsd_core::route::session::Slot;
use natsd_core::websocket::max_message;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::link::{Ends, LeafLink, Start};
use super::proxy::lead_to;
use super::remote::Remote;
use crate::config::options::{LeafUrl, PeerAddr};
use crate::tls::HandshakeError;
use crate::transport::{Connection, Peer, Stream};
use crate::websocket::{self, Terms, ask_as_leafnode};

/// How long a hub whose connection has lasted is left alone at most before it is dialled for the first time: it may have
/// been restarted, and its leaf nodes shall not all come at once.
const FIRST_RECONNECT: Duration = Duration::from_millis(250);

/// Why a hub was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    /// It, or the network, says no.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// It and we do not come to terms over TLS.
    #[error("TLS leafnode handshake error: {0}")]
    Tls(#[from] HandshakeError),
    /// We cannot speak it.
    #[error("the hub asks for TLS: {0}")]
    NoTls(#[from] crate::tls::TlsError),
    /// Nobody answers.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// A SCION address and no SCION.
    #[error("SCION is not switched on; add `scion {{}}` to the configuration")]
    NoScion,
}

/// Keeps one connection to the hub, for as long as it runs.
pub(super) async fn keep(shared: Arc<Shared>, remote: Arc<Remote>) {
    let mut attempts: u32 = 0;
    let mut again = false;
    while let Some(url) = remote.next_url() {
        log::debug!("Trying to connect as leafnode to remote server on \"{}\"", url.address);
        let reconnect = shared.options.load().reconnect;
        let pause = match dial(&shared, &remote, &url).await {
            Ok((ends, unread)) => {
                attempts = 0;
                again = true;
                let (ended, end) = oneshot::channel();
                let start = Start::Dialled { remote: remote.clone(), url: Box::new(url), ended };
                let since = Instant::now();
                remote.connected(&LeafLink::spawn(&shared, shared.hub.next_id(), ends, start, unread));
                // It is gone without a word when the server ends.
                let rest = end.await.unwrap_or_default();
                if let Some(other) = rest.while_open {
                    gone(&shared, other).await;
                }
                let lasted = since.elapsed() >= reconnect;
                rest.pause + if lasted { reconnect.min(FIRST_RECONNECT).mul_f64(fastrand::f64()) } else { reconnect }
            }
            Err(error) => {
                attempts += 1;
                report(&shared, &url, attempts, again, &error);
                reconnect + reconnect.mul_f64(fastrand::f64())
            }
        };
        sleep(pause).await;
    }
}

/// Waits until the connection with this id is gone.
async fn gone(shared: &Shared, id: u64) {
    loop {
        let left = shared.hub.left.notified();
        tokio::pin!(left);
        // Before looking: what leaves after that is not missed.
        left.as_mut().enable();
        if shared.hub.link(id).is_none() {
            return;
        }
        left.await;
    }
}

fn report(shared: &Shared, url: &LeafUrl, attempt: u32, again: bool, error: &DialError) {
    let level = shared.hub.options().level_of_failure(attempt, again);
    let address = &url.address;
    log::log!(level, "Error trying to connect as leafnode to remote server \"{address}\" (attempt {attempt}): {error}");
}

/// A connection to the hub, and what was read of it.
async fn dial(shared: &Shared, remote: &Remote, url: &LeafUrl) -> Result<(Ends, Vec<u8>), DialError> {
    let limit = remote.options.dial_timeout.unwrap_or(shared.options.load().dial_timeout);
    let (host, port) = match &url.address {
        PeerAddr::Tcp { host, port } => (host.as_str(), *port),
        PeerAddr::Scion(_) | PeerAddr::Udp(_) => {
            let dial = shared.scion_dial.as_ref().ok_or(DialError::NoScion)?;
            let Some(address) = url.address.quic() else { return Err(DialError::NoScion) };
            return Ok((dial(address, None, &Slot::Pool(0)).await?.into(), Vec::new()));
        }
    };
    let (mut stream, peer) = match &remote.options.proxy {
        Some(proxy) => {
            let tls = if proxy.https { Some(remote.proxy_connector()?) } else { None };
            lead_to(&url.address.to_string(), proxy, tls.as_deref(), limit).await?
        }
        None => {
            let connecting = timeout(limit, TcpStream::connect((host, port))).await;
            let stream = connecting.map_err(|_| DialError::TimedOut(limit))??;
            stream.set_nodelay(true)?;
            let peer = Peer::Tcp(stream.peer_addr()?);
            (stream, peer)
        }
    };
    let name = remote.certified_name(host);
    let wait = remote.options.first_info_timeout;
    if url.websocket {
        let asking = open_websocket(shared, remote, url, (stream, peer), &name);
        let ends = timeout(limit.max(wait), asking).await.map_err(|_| DialError::TimedOut(limit.max(wait)))??;
        return Ok((ends, Vec::new()));
    }
    if remote.options.begins_with_handshake() {
        let stream = remote.connector()?.connect(stream, &name).await?;
        return Ok((Connection::new(stream, peer).into(), Vec::new()));
    }
    let line = timeout(wait, first_line(&mut stream)).await.map_err(|_| DialError::TimedOut(wait))??;
    let info: LeafInfo = line
        .strip_prefix(b"INFO ")
        .and_then(|json| serde_json::from_slice(json).ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what answers is no hub"))?;
    if !(info.tls_required || url.tls || remote.options.tls.is_some()) {
        return Ok((Connection::new(Stream::Tcp(stream), peer).into(), line));
    }
    let stream = remote.connector()?.connect(stream, &name).await?;
    Ok((Connection::new(stream, peer).into(), line))
}

/// Asks for WebSocket, in TLS if the URL says so.
async fn open_websocket(
    shared: &Shared,
    remote: &Remote,
    url: &LeafUrl,
    (mut stream, peer): (TcpStream, Peer),
    name: &str,
) -> Result<Ends, DialError> {
    let host = url.address.to_string();
    let wanted = Terms { masked: !remote.options.no_masking, compressed: remote.options.ws_compression };
    let (stream, terms) = if url.tls || remote.options.tls.is_some() {
        let mut stream = remote.connector()?.open(stream, name).await?;
        let terms = ask_as_leafnode(&mut stream, &host, wanted).await?;
        (stream.into_parts().0, terms)
    } else {
        let terms = ask_as_leafnode(&mut stream, &host, wanted).await?;
        (Stream::Tcp(stream), terms)
    };
    let max = max_message(shared.hub.options().max_payload);
    let ends = websocket::split_as_client(stream, terms, max);
    let (source, sink) = ends.ok_or_else(|| io::Error::other("WebSocket needs a socket"))?;
    Ok(Ends { source, sink, peer, listener: None })
}

/// The first line, and nothing of what comes after it: that may be of a handshake.
async fn first_line(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut line = Vec::with_capacity(512);
    while line.last() != Some(&b'\n') {
        if line.len() > MAX_CONTROL_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what answers is no hub"));
        }
        line.push(stream.read_u8().await?);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_line_is_read_alone() {
        let mut input = &b"INFO {}\r\nPING\r\n"[..];
        assert_eq!(first_line(&mut input).await.expect("a line"), b"INFO {}\r\n");
        assert_eq!(input, b"PING\r\n");
        assert!(first_line(&mut &b"INFO"[..]).await.is_err());
        assert!(first_line(&mut tokio::io::repeat(b'x')).await.is_err());
    }
}
