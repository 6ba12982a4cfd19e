//! Where clients over WebSocket come in: TLS and the request, before a client is one like any other.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use natsd_core::websocket::max_message;
use natsd_core::websocket::upgrade::{Rules, Upgrade};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::listener::Listener;
use crate::client::Client;
use crate::config::options::{DEFAULT_UPGRADE_TIMEOUT, WebsocketOptions};
use crate::hub::Hub;
use crate::leaf::Leafs;
use crate::link::outbound::Outbound;
use crate::link::task::LinkTask;
use crate::link::{Kind, Link, Origin};
use crate::tls::{Facts, HandshakeError};
use crate::transport::{Peer, Stream};
use crate::websocket::{self, UpgradeError, shake};

/// Connections that may be on their way in at a time where clients are not limited.
const MAX_ENTERING: usize = 65_536;
/// As many always may: a few that dawdle must not keep others out.
const MIN_ENTERING: usize = 1024;

/// What a listener asks of clients over WebSocket.
pub(crate) struct Doorkeeper {
    rules: Rules,
    timeout: Duration,
    /// Who takes leaf nodes, once that is known.
    leafs: OnceLock<Weak<Leafs>>,
}

impl Doorkeeper {
    pub(super) fn new(options: &WebsocketOptions, leafnodes: bool) -> Self {
        let timeout = options.handshake_timeout.unwrap_or(DEFAULT_UPGRADE_TIMEOUT);
        Self { rules: options.rules(leafnodes), timeout, leafs: OnceLock::new() }
    }

    /// From now on leaf nodes can come in.
    pub(super) fn lead_to(&self, leafs: &Arc<Leafs>) {
        // A server starts once.
        let _ = self.leafs.set(Arc::downgrade(leafs));
    }
}

/// Why a connection is none of a client.
enum Refusal {
    Tls(HandshakeError),
    Upgrade(UpgradeError),
    /// As many handshakes this second as there may be.
    Throttled,
    /// It took too long.
    TimedOut(Duration),
}

impl From<UpgradeError> for Refusal {
    fn from(error: UpgradeError) -> Self {
        Self::Upgrade(error)
    }
}

/// Accepts clients until it is aborted. Those who are not in yet are gone then.
pub(super) async fn accept(listener: Arc<Listener>, hub: Arc<Hub>, socket: TcpListener) {
    let mut entering = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            Some(_) = entering.join_next() => continue,
        };
        let most = hub.options().max_connections.unwrap_or(MAX_ENTERING).max(MIN_ENTERING);
        match accepted {
            Ok((_, peer)) if entering.len() >= most => {
                log::error!("{peer} - maximum connections exceeded");
            }
            Ok((stream, peer)) => {
                entering.spawn(enter(listener.clone(), hub.clone(), stream, peer));
            }
            Err(error) => {
                // Out of file descriptors, most likely: some will be free later.
                log::error!("Accepting websocket clients failed, trying again: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn enter(listener: Arc<Listener>, hub: Arc<Hub>, stream: TcpStream, peer: SocketAddr) {
    let Some(keeper) = &listener.websocket else { return };
    let peer = Peer::Tcp(peer);
    let limit = keeper.timeout;
    let entered = timeout(limit, open(&listener, &keeper.rules, stream)).await;
    match entered.unwrap_or(Err(Refusal::TimedOut(limit))) {
        Ok((stream, facts, upgrade)) => serve(&listener, &hub, peer, stream, facts, upgrade),
        Err(Refusal::Upgrade(UpgradeError::Refused(error))) => log::error!("{peer} - {error}"),
        Err(Refusal::Upgrade(UpgradeError::Io(error))) => log::debug!("{peer} - websocket handshake failed: {error}"),
        Err(Refusal::Tls(error)) => {
            let level = if error.is_noise() { log::Level::Debug } else { log::Level::Error };
            log::log!(level, "{peer} - websocket TLS handshake error: {error}");
        }
        Err(Refusal::Throttled) => log::error!("{peer} - websocket TLS handshakes are throttled"),
        Err(Refusal::TimedOut(limit)) => log::debug!("{peer} - no websocket handshake within {limit:?}"),
    }
}

async fn open(
    listener: &Listener,
    rules: &Rules,
    mut stream: TcpStream,
) -> Result<(Stream, Option<Facts>, Upgrade), Refusal> {
    stream.set_nodelay(true).map_err(|error: io::Error| Refusal::Upgrade(error.into()))?;
    let Some(tls) = &listener.tls else {
        let upgrade = shake(&mut stream, rules).await?;
        return Ok((Stream::Tcp(stream), None, upgrade));
    };
    if !tls.terms().admits() {
        return Err(Refusal::Throttled);
    }
    let mut stream = tls.acceptor.open(stream).await.map_err(Refusal::Tls)?;
    let upgrade = shake(&mut stream, rules).await?;
    let (stream, facts) = stream.into_parts();
    Ok((stream, Some(facts), upgrade))
}

/// Serves a client that is in.
fn serve(listener: &Arc<Listener>, hub: &Arc<Hub>, peer: Peer, stream: Stream, facts: Option<Facts>, upgrade: Upgrade) {
    if upgrade.leafnode {
        let leafs = listener.websocket.as_ref().and_then(|keeper| keeper.leafs.get()?.upgrade());
        if let Some(leafs) = leafs {
            leafs.serve_websocket(listener, peer, stream, facts, &upgrade);
        }
        return;
    }
    let limits = hub.outbound_limits(Kind::Client);
    let Some((source, sink)) = websocket::split(stream, &upgrade, max_message(hub.options().max_payload)) else {
        return;
    };
    let link = Link::new(hub.next_id(), Kind::Client, peer, Some(listener.clone()), Outbound::new(sink), limits);
    if let Some(ip) = upgrade.forwarded_for {
        let _ = link.origin.set(Box::new(Origin::Forwarded(ip)));
    }
    if let Some(facts) = facts {
        let _ = link.tls.set(Box::new(facts));
    }
    let link = Arc::new(link);
    let surplus = !hub.register(&link);
    let client = Client::new(link.clone(), hub.clone(), listener.clone(), surplus).with_cookies(upgrade.cookies);
    tokio::spawn(LinkTask::new(link, hub.clone(), client, source, limits));
}
