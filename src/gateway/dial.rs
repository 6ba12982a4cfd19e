//! Connections to other clusters.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use natsd_core::route::session::Slot;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::Shared;
use super::link::{End, GatewayLink, Start};
use super::remotes::Remote;
use crate::config::options::{PeerAddr, RouteUrl};
use crate::tls::HandshakeError;
use crate::transport::{Connection, Peer, tcp};

/// How long the servers of this cluster have to find each other before others are dialled.
const BEFORE_FIRST: Duration = Duration::from_secs(1);
/// Between two attempts; and at most, with `connect_backoff`.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How long a server may take to answer over TCP.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a cluster was not reached at one of its addresses.
#[derive(Debug, thiserror::Error)]
enum DialError {
    /// It, or the network, says no.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// It and we do not come to terms over TLS.
    #[error("TLS gateway handshake error: {0}")]
    Tls(#[from] HandshakeError),
    /// Nobody answers.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// A SCION address and no SCION.
    #[error("SCION is not switched on; add `scion {{}}` to the configuration")]
    NoScion,
}

/// Keeps one connection to the cluster; of one that others told of, as long as it can be reached.
pub(super) async fn keep(shared: Arc<Shared>, remote: Arc<Remote>) {
    if !remote.is_implicit() {
        sleep(BEFORE_FIRST).await;
    }
    let mut again = false;
    while let Some((connection, url)) = reach(&shared, &remote, again).await {
        let (told, ended) = oneshot::channel();
        let start = Start::Dialled { remote: remote.clone(), url: Box::new(url), end: End::new(told) };
        GatewayLink::spawn(&shared, connection, start);
        // It is gone without a word when the server ends.
        let _ = ended.await;
        again = true;
        let pause = if remote.is_implicit() { Duration::ZERO } else { BETWEEN.0 };
        sleep(pause + Duration::from_millis(fastrand::u64(..100))).await;
    }
    shared.remotes.forget(&remote);
}

/// Dials the cluster until it is reached. `None` if there is no more use in it.
async fn reach(shared: &Shared, remote: &Remote, again: bool) -> Option<(Connection, RouteUrl)> {
    let mut pause = BETWEEN.0;
    let mut attempt = 0;
    loop {
        attempt += 1;
        let mut urls = remote.urls();
        fastrand::shuffle(&mut urls);
        for url in urls {
            let level = shared.hub.options().level_of_failure(attempt, again);
            let (kind, name, address) = (remote.kind(), &remote.name, &url.address);
            let what = format!("{kind} gateway {name:?} ({address}) at {address} (attempt {attempt})");
            let begin = if level == log::Level::Error { log::Level::Info } else { level };
            log::log!(begin, "Connecting to {what}");
            match dial(shared, remote, &url).await {
                Ok(connection) => return Some((connection, url)),
                Err(error) => log::log!(level, "Error connecting to {what}: {error}"),
            }
        }
        // A cluster that comes to us can be reached, however long it takes.
        let retries = shared.options.connect_retries;
        if remote.is_implicit() && (retries == 0 || attempt > retries) && !shared.has_inbound(&remote.name) {
            return None;
        }
        sleep(pause).await;
        if shared.options.connect_backoff {
            pause = (pause * 2).min(BETWEEN.1);
        }
    }
}

async fn dial(shared: &Shared, remote: &Remote, url: &RouteUrl) -> Result<Connection, DialError> {
    let (host, port) = match &url.address {
        PeerAddr::Tcp { host, port } => (host.as_str(), *port),
        PeerAddr::Scion(_) | PeerAddr::Udp(_) => {
            let dial = shared.scion_dial.as_ref().ok_or(DialError::NoScion)?;
            let Some(address) = url.address.quic() else { return Err(DialError::NoScion) };
            return Ok(dial(address, None, &Slot::Pool(0)).await?);
        }
    };
    let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await;
    let stream = connecting.map_err(|_| DialError::TimedOut(CONNECT_TIMEOUT))??;
    stream.set_nodelay(true)?;
    let Some(tls) = &remote.tls else { return Ok(tcp::connection(stream)?) };
    let peer = Peer::Tcp(stream.peer_addr()?);
    let stream = tls.connect(stream, &remote.certified_name(host)).await?;
    Ok(Connection::new(stream, peer))
}
