//! What servers tell each other of their rules for paths, so that those of both hold for both ways of a connection.
//!
//! Each end opens a unidirectional stream, writes its rules and ends it; another stream replaces what the last one said.
//! Only those who know who the other end is tell and believe: who dials, and who accepts a peer that has shown a certificate.

use std::sync::{Arc, Weak};
use std::time::Duration;

use natsd_path::Rules;
use quinn::{Connection, VarInt};

use crate::halves::speaks_single_streams;
use crate::host::{Host, Inner};
use crate::peers::Peer;
use crate::quic;

/// The most bytes that rules may take.
const LONGEST: usize = 64 << 10;
/// Rules of a peer are taken over no more often: each change begins a group of connections of its own.
const AT_MOST: Duration = Duration::from_secs(1);
/// How long a peer may take to come by a way that the rules of a strict listener allow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at where it comes from.
const LOOK: Duration = Duration::from_millis(10);
/// What a connection is closed with whose peer comes by another way.
const WRONG_WAY: VarInt = VarInt::from_u32(3);

/// Begins to tell the rules for paths to a peer and to hear its own, if it is known who it is.
pub(crate) fn exchange(host: &Host, connection: &Connection, peer: &Arc<Peer>, dialled: bool) {
    let known = dialled || !quic::certificates(connection).is_empty();
    if known && !host.is_plain() && !speaks_single_streams(connection) {
        let host = Arc::downgrade(&host.0);
        tokio::spawn(tell(host.clone(), connection.clone(), Arc::clone(peer)));
        tokio::spawn(hear(host, connection.clone(), Arc::clone(peer)));
    }
}

/// Says the rules whenever they are others; and after the peer's own moved the connection, so that something goes the new way.
async fn tell(host: Weak<Inner>, connection: Connection, peer: Arc<Peer>) {
    // At first also that there are none: the peer may remember others.
    let mut said = None;
    loop {
        let changed = peer.retell.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let Some(host) = host.upgrade().map(Host) else { return };
        let now = Some((host.rules_for(&peer).tell(), peer.told()));
        drop(host);
        if let Some((rules, _)) = now.as_ref().filter(|_| now != said) {
            if rules.len() > LONGEST {
                log::warn!("The rules for paths are too long to be told to {}: it does not keep them", peer.addr);
            } else if say(&connection, rules.as_bytes()).await.is_err() {
                return;
            }
        }
        said = now;
        tokio::select! {
            () = changed => {}
            _ = connection.closed() => return,
        }
    }
}

async fn say(connection: &Connection, rules: &[u8]) -> Result<(), quinn::WriteError> {
    let mut stream = connection.open_uni().await?;
    stream.write_all(rules).await?;
    // It is over already if that fails.
    let _ = stream.finish();
    Ok(())
}

/// Takes over what the peer says, until the connection ends.
async fn hear(host: Weak<Inner>, connection: Connection, peer: Arc<Peer>) {
    while let Ok(mut stream) = connection.accept_uni().await {
        let rules = match stream.read_to_end(LONGEST).await {
            Ok(bytes) => String::from_utf8(bytes).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        let rules = rules.and_then(|rules| Rules::told(&rules).map_err(|error| error.to_string()));
        let Some(host) = host.upgrade().map(Host) else { return };
        let news = match rules {
            Ok(rules) => host.take_told(&peer, &rules),
            Err(error) => {
                log::warn!("{} tells rules for paths that are not kept: {error}", peer.addr);
                true
            }
        };
        drop(host);
        if news {
            tokio::time::sleep(AT_MOST).await;
        }
    }
}

/// Waits until a packet of the peer comes by a way that the rules allow, if the listener wants that.
///
/// # Errors
///
/// When none does; the connection is closed then, and why is in words.
pub(crate) async fn right_way(connection: &Connection, peer: &Arc<Peer>, since: u64) -> Result<(), String> {
    let strict = peer.destination().as_ref().is_some_and(|known| known.heading.terms.strict);
    if !strict {
        return Ok(());
    }
    let came = async {
        while peer.came_right() < since {
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(PATIENCE, came).await {
        Ok(()) => Ok(()),
        Err(_) => Err(turn_away(connection, peer)),
    }
}

/// Closes a connection whose peer has left the ways that the rules of its strict listener allow.
pub(crate) fn keeps_right(connection: &Connection, peer: &Arc<Peer>) -> bool {
    let ruled = peer.destination().as_ref().is_some_and(|known| known.heading.terms.strict && known.active().is_some());
    if !ruled || !peer.came_wrong_for(quic::KEEP_ALIVE + PATIENCE / 2) {
        return true;
    }
    let reason = turn_away(connection, peer);
    log::warn!("The connection of {} is closed: {reason}", peer.addr);
    false
}

fn turn_away(connection: &Connection, peer: &Arc<Peer>) -> String {
    let back = peer.wrong_way();
    let rule = peer.destination().as_ref().and_then(|known| known.rule_against(&back));
    let rule = rule.unwrap_or_else(|| "it is none of the paths that this server has looked up".to_owned());
    let reason = format!("the way by which it comes is not allowed by the rules of the listener: {rule}");
    connection.close(WRONG_WAY, reason.as_bytes());
    reason
}
