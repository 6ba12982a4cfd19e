//! How servers hear of each other.

use std::time::Duration;

use super::dial::{Place, TargetId};
use super::peer::Peer;
use super::{Cluster, Event, LinkId, MAX_PEERS};
use crate::route::hello::{GossipMode, RouteInfo};
use crate::route::session::Slot;

impl Cluster {
    /// A peer tells of another server.
    pub fn handle_gossip(&mut self, info: &RouteInfo, now: Duration) {
        let id = &info.server_id;
        let known = id.is_empty()
            || *id == self.info.server_id
            || self.peers.contains_key(id)
            || self.dialing.targets.values().any(|target| target.peer.as_ref() == Some(id));
        // A dedicated route follows the pool's first, from whichever side dials that one.
        if self.passive
            || self.is_dag()
            || known
            || !info.route_account.is_empty()
            || self.dialing.targets.len() >= MAX_PEERS
        {
            return;
        }
        let urls = told_urls(info);
        if !urls.is_empty() {
            let target = self.dialing.add(Place::Told(urls), info.gossip_mode.into(), Some(id.clone()));
            self.reconcile(target, now, Duration::ZERO);
        }
    }

    /// Tells the other peers of a newcomer, unless whoever told the two of each other does. Those that cannot dial it, or
    /// never dial, it is told of in their place.
    pub(super) fn gossip(&mut self, newcomer: &RouteInfo, to: LinkId, target: Option<TargetId>, solicited: bool) {
        if self.is_dag() {
            return;
        }
        let target = target.and_then(|target| self.dialing.targets.get(&target));
        let explicit = target.is_some_and(|target| target.is_explicit());
        let overriding = target.is_some_and(|target| target.gossip_mode == GossipMode::Override);
        let from_gossip = solicited && !explicit;
        if (from_gossip && !overriding) || GossipMode::from(newcomer.gossip_mode) == GossipMode::Disabled {
            return;
        }
        let mut told = Vec::new();
        for peer in self.peers.values().filter(|peer| peer.info.server_id != newcomer.server_id) {
            let Some((link, listener_is_explicit)) = self.gossip_link(peer, &newcomer.route_account) else { continue };
            if !may_dial(&peer.info, newcomer) {
                if newcomer.route_account.is_empty() && may_dial(newcomer, &peer.info) {
                    told.push(Event::Tell(to, Box::new(peer.info.clone())));
                }
                continue;
            }
            let mode = match (solicited, explicit || listener_is_explicit) {
                (_, true) => GossipMode::Override,
                (false, false) => GossipMode::Disabled,
                (true, false) => GossipMode::Default,
            };
            let info = RouteInfo { gossip_mode: mode.into(), route_pool_idx: 0, ..newcomer.clone() };
            let owed = self.owed_besides(newcomer, peer).cloned().collect::<Vec<_>>();
            let besides = owed.into_iter().map(|account| RouteInfo { route_account: account, ..info.clone() });
            let all = besides.chain([info.clone()]);
            told.extend(all.map(|info| Event::Tell(link, Box::new(info))));
        }
        self.events.extend(told);
    }

    /// The peer of `link` has shown that it is alive: reminds it of another server, of each in turn, if it is one that
    /// does not mind. Whoever told it of the others may not have reached all of them, or not known all.
    pub fn handle_alive(&mut self, link: LinkId) {
        let Some((id, Slot::Pool(0))) = self.find(link).filter(|_| !self.is_dag()) else { return };
        let Some(peer) = self.peers.get(&id).filter(|peer| peer.info.is_natsd()) else { return };
        let others = self.peers.values().map(|other| &other.info);
        let others: Vec<_> = others.filter(|other| other.server_id != id && may_dial(&peer.info, other)).collect();
        if others.is_empty() {
            return;
        }
        let other = others[peer.reminders % others.len()].clone();
        let info = RouteInfo { gossip_mode: GossipMode::Override.into(), ..other };
        self.events.push_back(Event::Tell(link, Box::new(info)));
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.reminders += 1;
        }
    }

    /// Accounts of which the newcomer has no connection to us, and needs one to `peer`: other implementations are told of
    /// each one, natsd sees for itself.
    fn owed_besides<'a>(&'a self, newcomer: &'a RouteInfo, peer: &'a Peer) -> impl Iterator<Item = &'a String> {
        let owes = newcomer.is_natsd() && newcomer.route_account.is_empty() && newcomer.route_pool_size > 0;
        let wanted = self.dedicated.with(&peer.info).filter(move |_| owes && !peer.info.is_natsd());
        wanted.filter(|account| !self.dedicated.has_own(newcomer, account.as_bytes()))
    }

    /// The connection on which `peer` hears of a newcomer, and whether that one was configured.
    fn gossip_link(&self, peer: &Peer, account: &str) -> Option<(LinkId, bool)> {
        let dedicated = peer.links.get(&Slot::Account(account.to_owned()));
        let link = dedicated.or_else(|| peer.links.values().next())?;
        let target = link.target.and_then(|target| self.dialing.targets.get(&target));
        Some((link.id, target.is_some_and(|target| target.is_explicit())))
    }
}

/// Whether a server that is told of `other` can dial it, and does.
fn may_dial(server: &RouteInfo, other: &RouteInfo) -> bool {
    // Other implementations know nothing of SCION.
    let over_tcp = || !other.ip.is_empty() || other.port != 0;
    let reachable = if server.is_natsd() { !told_urls(other).is_empty() } else { over_tcp() };
    reachable && !server.passive
}

/// Where a server heard of can be dialled, SCION before TCP.
fn told_urls(info: &RouteInfo) -> Vec<String> {
    let mut urls = info.scion_urls.clone();
    if !info.ip.is_empty() {
        urls.push(info.ip.clone());
    } else if !info.host.is_empty() && info.port != 0 {
        urls.push(route_url(&info.host, info.port));
    }
    urls.truncate(8);
    urls
}

/// The URL of a server that takes routes over TCP there; `host` may be an IPv6 address.
pub(super) fn route_url(host: &str, port: u16) -> String {
    if host.contains(':') { format!("nats-route://[{host}]:{port}/") } else { format!("nats-route://{host}:{port}/") }
}
