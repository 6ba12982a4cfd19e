//! A server's view of its cluster: the peers, the connections to each, and what to do about them.
//!
//! In: introductions of peers, ends of connections and of dials, gossip. Out: [`Cluster::poll_event`],
//! [`Cluster::poll_dial`] and [`Cluster::poll_timeout`], to be asked in this order after anything went in.

mod admission;
mod dial;
mod gossip;
mod name;
mod peer;
mod reload;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub use dial::{Dial, DialId, Place};
use dial::{Dialing, Failure, Jitter, Policy, TargetId};
use gossip::route_url;
use peer::{Link, Peer};
pub use reload::Terms;

use super::CloseReason;
use super::dedicated::Dedicated;
use super::hello::{GossipMode, RouteClass, RouteConnect, RouteInfo};
use super::session::{Introduction, Slot};

/// Peers, and servers heard of, beyond which no more are taken.
pub const MAX_PEERS: usize = 1024;
/// Connections of a pool, whatever the peer asks for.
pub const MAX_POOL: u16 = 64;
/// Accounts with a connection of their own, a peer.
pub const MAX_DEDICATED: usize = 64;
/// [`RouteInfo::route_type`] of servers that are hops of others.
pub const DAG: &str = "dag";
/// A connection that ends before it is this old counts as a failed attempt.
const YOUNG: Duration = Duration::from_secs(1);

/// Names a connection; chosen by the caller, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// What a cluster is made of.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our `INFO`; `cluster` is the configured name, or a made-up one when `dynamic`.
    pub info: RouteInfo,
    /// Number of configured routes.
    pub routes: usize,
    /// Connections a peer; `None` turns pooling off.
    pub pool_size: Option<u16>,
    /// Accounts that get connections of their own.
    pub dedicated: Dedicated,
    /// Subjects that get connections of their own, to peers that want the same.
    pub classes: Vec<RouteClass>,
    /// Accounts of our clients: they share connections, so that none goes over two.
    pub shared: Vec<String>,
    /// Whether clients hear of other servers.
    pub advertise: bool,
    /// Attempts beyond the first to reach a server heard of from peers.
    pub connect_retries: u32,
    /// Whether attempts become rarer, up to one in 30 s.
    pub connect_backoff: bool,
    /// Dials nobody, whatever is heard of other servers: they come to us, or nobody does.
    pub passive: bool,
    /// Servers are connected as configured alone, and each is a hop on the way to the others. Peers are alike in this.
    pub dag: bool,
    /// Any random number: it spreads attempts in time.
    pub seed: u64,
}

/// Where clients reach a server or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientUrls {
    /// Over TCP: `host:port`.
    pub plain: Vec<String>,
    /// Over WebSocket: `host:port`.
    pub websocket: Vec<String>,
}

/// What the owner of a [`Cluster`] has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Introduce ourselves to the acceptor of this connection.
    Greet(LinkId),
    /// The peer of this connection is admitted: interest and messages may flow.
    Open(LinkId),
    /// End this connection, with this `-ERR` if any.
    Close(LinkId, CloseReason, Option<String>),
    /// Make the peer of this connection prove that it is alive.
    Probe(LinkId),
    /// Send this `INFO` on this connection.
    Tell(LinkId, Box<RouteInfo>),
    /// [`Cluster::client_urls`] has changed.
    UrlsChanged,
    /// [`Cluster::info`] has a new cluster name.
    Renamed,
    /// The n-th configured route leads to this server itself and is given up.
    RouteToSelf(usize),
}

/// State of a cluster, as seen from one server.
#[derive(Debug)]
pub struct Cluster {
    info: RouteInfo,
    pool_size: Option<u16>,
    dedicated: Dedicated,
    shared: Vec<String>,
    advertise: bool,
    passive: bool,
    peers: BTreeMap<String, Peer>,
    /// Connections that we made and whose acceptors have yet to admit us.
    pending: BTreeMap<LinkId, Pending>,
    dialing: Dialing,
    events: VecDeque<Event>,
}

impl Cluster {
    /// A cluster of which nobody is connected; the configured routes are due at once.
    pub fn new(config: Config, now: Duration) -> Self {
        let policy = Policy { connect_retries: config.connect_retries, backoff: config.connect_backoff };
        let mut info = config.info;
        info.route_accounts = config.dedicated.told();
        info.route_classes = config.classes;
        info.route_pool_size = config.pool_size.map_or(0, |size| size.clamp(1, MAX_POOL));
        info.passive = config.passive;
        info.route_type = if config.dag { DAG.into() } else { String::new() };
        if !config.advertise {
            info.connect_urls.clear();
            info.ws_connect_urls.clear();
        }
        let mut cluster = Self {
            info,
            pool_size: config.pool_size.map(|size| size.clamp(1, MAX_POOL)),
            dedicated: config.dedicated,
            shared: config.shared,
            advertise: config.advertise,
            passive: config.passive,
            peers: BTreeMap::new(),
            pending: BTreeMap::new(),
            dialing: Dialing::new(policy, Jitter(config.seed)),
            events: VecDeque::new(),
        };
        for route in 0..config.routes {
            cluster.add_route(route, now);
        }
        cluster
    }

    /// Our `INFO` as of now.
    pub fn info(&self) -> &RouteInfo {
        &self.info
    }

    /// Number of connected servers other than this one.
    pub fn peer_count(&self) -> usize {
        self.peers.len()
    }

    /// Where clients reach the other servers, sorted; empty when they must not hear of it.
    pub fn client_urls(&self) -> ClientUrls {
        let urls = |of: fn(&RouteInfo) -> &Vec<String>| {
            let urls = self.peers.values().filter(|_| self.advertise).flat_map(|peer| of(&peer.info));
            urls.cloned().collect::<BTreeSet<_>>().into_iter().collect()
        };
        ClientUrls { plain: urls(|info| &info.connect_urls), websocket: urls(|info| &info.ws_connect_urls) }
    }

    /// Where the other servers take leaf nodes, sorted.
    pub fn leafnode_urls(&self) -> Vec<String> {
        let urls = self.peers.values().flat_map(|peer| peer.info.leafnode_urls.iter().cloned());
        urls.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Where the other servers take other clusters, sorted.
    pub fn gateway_urls(&self) -> Vec<String> {
        let urls = self.peers.values().map(|peer| peer.info.gateway_url.clone()).filter(|url| !url.is_empty());
        urls.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// A number from 0 to 1 to spread timers with.
    pub fn jitter(&mut self) -> f64 {
        self.dialing.jitter()
    }

    /// What to do next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A connection to make now.
    pub fn poll_dial(&mut self, now: Duration) -> Option<Dial> {
        self.dialing.poll(now)
    }

    /// When [`poll_dial`](Self::poll_dial) will have something.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.dialing.next_due()
    }

    /// A dial led to no server that introduced itself. `reached` is whether the connection as such came about.
    pub fn handle_dial_failed(&mut self, dial: DialId, reached: bool, now: Duration) {
        let failure = if reached { Failure::Ended } else { Failure::Unreachable };
        self.dialing.fail(dial, failure, now);
    }

    /// The cluster's name in a dialer's `CONNECT`, on `link`.
    pub fn handle_connect(&mut self, link: LinkId, connect: &RouteConnect, now: Duration) {
        if let Err(refusal) = self.agree_on_name((&connect.cluster, connect.dynamic), &connect.name, now) {
            self.events.push_back(Event::Close(link, refusal.reason, refusal.text));
        }
    }

    /// A peer introduces itself on `link`, made by `dial` if we dialled. `observed` is the IP address it is seen at.
    pub fn handle_introduction(
        &mut self,
        link: LinkId,
        dial: Option<DialId>,
        mut peer: Introduction,
        observed: Option<&str>,
        now: Duration,
    ) {
        if dial.is_some_and(|dial| !self.dialing.is_under_way(dial)) {
            return self.events.push_back(Event::Close(link, CloseReason::RouteRemoved, None));
        }
        // Without a port nobody can dial it over TCP.
        if peer.info.ip.is_empty() && peer.info.port != 0 {
            peer.info.ip = observed.map(|host| route_url(host, peer.info.port)).unwrap_or_default();
        }
        if let Some(target) = dial.and_then(|dial| self.dialing.target_mut(dial)) {
            target.peer = Some(peer.info.server_id.clone());
        }
        match (self.verdict(&peer, now), dial) {
            (Ok(()), Some(dial)) => {
                self.pending.insert(link, Pending { dial, peer });
                self.events.push_back(Event::Greet(link));
            }
            (Ok(()), None) => self.admit(link, None, peer, now),
            (Err(refusal), dial) => {
                if let Some(dial) = dial {
                    self.turn_away(dial, &refusal.reason, now);
                }
                self.events.push_back(Event::Close(link, refusal.reason, refusal.text));
            }
        }
    }

    /// We turn away somebody whom we dialled.
    fn turn_away(&mut self, dial: DialId, reason: &CloseReason, now: Duration) {
        match reason {
            CloseReason::ToSelf | CloseReason::Duplicate => {
                let Some(target) = self.dialing.finish(dial) else { return };
                if *reason == CloseReason::ToSelf {
                    self.give_up(target);
                }
            }
            _ => self.dialing.fail(dial, Failure::Ended, now),
        }
    }

    /// The peer of `link` says something new of itself.
    pub fn handle_update(&mut self, link: LinkId, info: RouteInfo) {
        let Some((peer, _)) = self.find(link) else { return };
        if let Some(peer) = self.peers.get_mut(&peer) {
            // Other implementations go on to say where clients would reach them.
            let reachable = !info.lame_duck;
            peer.info.connect_urls = if reachable { info.connect_urls } else { Vec::new() };
            peer.info.ws_connect_urls = if reachable { info.ws_connect_urls } else { Vec::new() };
            peer.info.lame_duck = info.lame_duck;
            self.events.push_back(Event::UrlsChanged);
        }
    }

    /// The acceptor of `link` has admitted us.
    pub fn handle_confirmed(&mut self, link: LinkId, now: Duration) {
        let Some(Pending { dial, peer }) = self.pending.remove(&link) else { return };
        let target = self.dialing.finish(dial);
        let known = self.peers.get(&peer.info.server_id);
        if known.is_some_and(|known| known.links.contains_key(&peer.slot)) {
            self.events.push_back(Event::Close(link, CloseReason::Duplicate, None));
        } else {
            self.admit(link, target, peer, now);
        }
    }

    /// `link` is gone.
    pub fn handle_closed(&mut self, link: LinkId, now: Duration) {
        if let Some(Pending { dial, .. }) = self.pending.remove(&link) {
            return self.dialing.fail(dial, Failure::Ended, now);
        }
        let Some((id, slot)) = self.find(link) else { return };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(gone) = peer.links.remove(&slot) else { return };
        if peer.links.is_empty() {
            self.peers.remove(&id);
            self.events.push_back(Event::UrlsChanged);
        }
        match gone.target {
            Some(target) if now.saturating_sub(gone.since) < YOUNG => {
                self.dialing.fail_slot(target, slot, Failure::Ended, now);
            }
            Some(target) => self.dialing.forgive(target, &slot),
            None => {}
        }
        let spread = self.dialing.spread();
        for target in self.targets_of(&id) {
            self.reconcile(target, now, spread);
        }
    }

    /// Tells every peer that this server sheds its clients.
    pub fn enter_lame_duck(&mut self) {
        self.info.lame_duck = true;
        self.info.connect_urls.clear();
        self.info.ws_connect_urls.clear();
        self.tell_peers();
    }

    /// What we say of ourselves has changed.
    fn tell_peers(&mut self) {
        for link in self.peers.values().filter_map(|peer| peer.main_link()) {
            self.events.push_back(Event::Tell(link, Box::new(self.info.clone())));
        }
    }

    fn tell_on_all_links(&mut self) {
        for link in self.peers.values().flat_map(|peer| peer.links.values()) {
            self.events.push_back(Event::Tell(link.id, Box::new(self.info.clone())));
        }
    }

    fn admit(&mut self, link: LinkId, target: Option<TargetId>, peer: Introduction, now: Duration) {
        let Introduction { info, slot, solicited } = peer;
        self.events.push_back(Event::Open(link));
        let newcomer = matches!(slot, Slot::Pool(0) | Slot::Account(_));
        if newcomer {
            self.gossip(&info, link, target, solicited);
        }
        let id = info.server_id.clone();
        if !self.peers.contains_key(&id) {
            self.events.push_back(Event::UrlsChanged);
        }
        let shares = (info.route_pool_size, info.route_accounts.clone(), info.route_classes.clone());
        let peer = self.peers.entry(id.clone()).or_insert_with(|| Peer::new(info));
        // It may have another pool now, and have kept connections of accounts from before.
        (peer.info.route_pool_size, peer.info.route_accounts, peer.info.route_classes) = shares;
        peer.links.insert(slot, Link { id: link, since: now, target });
        for target in self.targets_of(&id) {
            self.reconcile(target, now, Duration::ZERO);
        }
    }

    /// Whether servers are connected as configured alone.
    fn is_dag(&self) -> bool {
        self.info.route_type == DAG
    }

    /// Connections that we and the peer share accounts out over.
    fn pool_with(&self, info: &RouteInfo) -> u16 {
        match self.pool_size {
            Some(ours) if info.route_pool_size > 0 => ours.max(info.route_pool_size).min(MAX_POOL),
            _ => 1,
        }
    }

    /// Connections that messages to these subjects have to themselves.
    fn connections_of(&self, subjects: &str, peer: &RouteInfo) -> u16 {
        let class = |info| RouteInfo::class(info, subjects);
        class(&self.info).zip(class(peer)).map_or(0, |(ours, theirs)| ours.agreed(theirs))
    }

    fn targets_of(&self, peer: &str) -> Vec<TargetId> {
        let of_peer = self.dialing.targets.iter().filter(|(_, target)| target.peer.as_deref() == Some(peer));
        of_peer.map(|(&id, _)| id).collect()
    }

    /// Brings the dials of `target` in line with what is connected.
    fn reconcile(&mut self, target: TargetId, now: Duration, delay: Duration) {
        let wanted = self.wanted(target);
        self.dialing.want(target, &wanted, now, delay);
    }

    /// The slots that `target` has to dial: the first of the pool, and all others once it is known to be ours to do.
    fn wanted(&self, id: TargetId) -> Vec<Slot> {
        let Some(target) = self.dialing.targets.get(&id) else { return Vec::new() };
        let Some(peer) = target.peer.as_ref().and_then(|peer| self.peers.get(peer)) else {
            return vec![Slot::Pool(0)];
        };
        let Some(first) = peer.links.get(&Slot::Pool(0)) else { return vec![Slot::Pool(0)] };
        if first.target != Some(id) {
            return Vec::new();
        }
        let pool = (1..self.pool_with(&peer.info)).map(Slot::Pool);
        let pooled = self.pool_size.is_some() && peer.info.route_pool_size > 0;
        let dedicated = self.dedicated.with(&peer.info).filter(|_| pooled);
        let classes = self.info.route_classes.iter().filter(|_| pooled).flat_map(|class| {
            let count = self.connections_of(&class.subjects, &peer.info);
            (0..count).map(|index| Slot::Class(class.subjects.clone(), index))
        });
        let all = pool.chain(dedicated.cloned().map(Slot::Account)).chain(classes);
        all.filter(|slot| !peer.links.contains_key(slot)).collect()
    }

    fn give_up(&mut self, target: TargetId) {
        if let Some(target) = self.dialing.targets.remove(&target)
            && let Place::Configured(route) = target.place
        {
            self.events.push_back(Event::RouteToSelf(route));
        }
    }

    fn find(&self, link: LinkId) -> Option<(String, Slot)> {
        self.peers.iter().find_map(|(id, peer)| {
            let (slot, _) = peer.links.iter().find(|(_, known)| known.id == link)?;
            Some((id.clone(), slot.clone()))
        })
    }
}

/// A connection that we made.
#[derive(Debug)]
struct Pending {
    dial: DialId,
    peer: Introduction,
}
