//! Who is talked to from one endpoint, and the addresses that QUIC knows them by.
//!
//! QUIC wants a `SocketAddr` for each peer. Each SCION peer gets an IPv6 address `fd73:6369:6f6e::N` that never leaves
//! the process; N is never used again. Peers without a connection are strangers: there are at most [`MAX_STRANGERS`] of
//! them, and the one that was silent longest goes first, so that garbage from invented sources can neither fill the
//! memory nor push out a connection.

use std::collections::VecDeque;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use foldhash::{HashMap, HashMapExt};
use natsd_path::{Listener, PathId, ScionAddr};
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::destination::Destination;
use crate::meter::{Meter, Reading};
use crate::socket::Socket;
use crate::template::Template;
use crate::tunnel::Tunnel;
use crate::wayback::WaysBack;
use crate::ways::{Way, Ways};

/// Peers without a connection that an endpoint remembers.
const MAX_STRANGERS: usize = 16_384;

/// Peers with a connection, or in the course of making one.
const MAX_PEERS: usize = 65_536;

/// SCMP errors about packets to one peer that are believed. Genuine ones come with each packet to a link that is down.
const COMPLAINTS_PER_SECOND: u32 = 20;

/// "scion" in ASCII behind the prefix of unique local addresses.
const PREFIX: [u16; 3] = [0xfd73, 0x6369, 0x6f6e];

/// The port is of no meaning, but must not be zero.
const PORT: u16 = 1;

/// How datagrams to a peer travel at the moment.
#[derive(Debug)]
pub(crate) enum Route {
    /// Over a SCION path.
    Scion(Template),
    /// Inside its TCP connection.
    Tcp(Option<PathId>),
}

impl Route {
    pub(crate) fn path(&self) -> Option<PathId> {
        match self {
            Route::Scion(template) => template.path,
            Route::Tcp(path) => *path,
        }
    }
}

/// A remote SCION address as seen from one endpoint.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) addr: ScionAddr,
    /// QUIC's name for it.
    pub(crate) synthetic: SocketAddr,
    pub(crate) socket: Weak<Socket>,
    pub(crate) tunnel: Tunnel,
    route: ArcSwapOption<Route>,
    /// Where datagrams go as well, while the path of `route` is suspect.
    hedge: ArcSwapOption<Route>,
    /// Told whenever the route changes, or is gone.
    pub(crate) routed: Notify,
    destination: ArcSwapOption<Destination>,
    /// Where it was accepted.
    listener: Mutex<Option<Listener>>,
    /// What it has told of its rules for paths.
    told: Mutex<Option<Arc<str>>>,
    /// What it is to be told may be another thing.
    pub(crate) retell: Notify,
    /// When a packet came by a way that the rules allow, and by another one; as `heard`.
    right: AtomicU64,
    wrong: AtomicU64,
    /// That other one, reversed.
    wrong_way: Mutex<Box<[u16]>>,
    /// Connections, also those being made.
    connections: AtomicUsize,
    /// The application wrote something that no datagram has carried yet.
    pub(crate) wrote: AtomicBool,
    /// The last datagrams, for replay.
    last: Mutex<Last>,
    /// Those by which packets come, when the path manager does not rule.
    ways_back: Mutex<WaysBack>,
    /// Answers go a way back that nothing proves.
    unproven: AtomicBool,
    /// SCMP errors about packets to it.
    pub(crate) complaints: Allowance,
    /// Where it is, if there is no SCION.
    pub(crate) ways: Mutex<Ways>,
    /// Milliseconds of the table's clock.
    heard: AtomicU64,
    touched: AtomicBool,
    /// Of its connections.
    meters: Mutex<Vec<Weak<Meter>>>,
}

/// What was sent last. Allocated once each.
#[derive(Debug, Default)]
struct Last {
    /// A datagram that the peer has to acknowledge.
    data: Vec<u8>,
    /// An acknowledgement, if one was sent since.
    ack: Vec<u8>,
}

impl Peer {
    pub(crate) fn route(&self) -> arc_swap::Guard<Option<Arc<Route>>> {
        self.route.load()
    }

    /// What the path manager chose.
    pub(crate) fn set_route(&self, route: Route) {
        self.unproven.store(false, Ordering::Relaxed);
        self.go(Arc::new(route));
    }

    fn go(&self, route: Arc<Route>) {
        self.route.store(Some(route));
        self.routed.notify_waiters();
    }

    /// What is sent is lost from now on.
    pub(crate) fn clear_route(&self) {
        self.route.store(None);
        self.routed.notify_waiters();
    }

    pub(crate) fn hedge(&self) -> arc_swap::Guard<Option<Arc<Route>>> {
        self.hedge.load()
    }

    pub(crate) fn set_hedge(&self, route: Option<Route>) {
        self.hedge.store(route.map(Arc::new));
    }

    pub(crate) fn destination(&self) -> arc_swap::Guard<Option<Arc<Destination>>> {
        self.destination.load()
    }

    pub(crate) fn set_destination(&self, destination: Option<Arc<Destination>>) {
        self.destination.store(destination);
    }

    /// Where it was accepted last.
    pub(crate) fn listener(&self) -> Option<Listener> {
        *self.listener.lock()
    }

    pub(crate) fn set_listener(&self, listener: Option<Listener>) {
        *self.listener.lock() = listener;
    }

    /// What it has told of its rules for paths; `None` if there are none.
    pub(crate) fn told(&self) -> Option<Arc<str>> {
        self.told.lock().clone()
    }

    pub(crate) fn set_told(&self, told: Option<Arc<str>>) {
        *self.told.lock() = told;
    }

    /// A packet came at `now` by a way that the rules allow, or by another one.
    pub(crate) fn note_way(&self, now: u64, allowed: bool) {
        let at = if allowed { &self.right } else { &self.wrong };
        at.store(now, Ordering::Relaxed);
    }

    /// Its packets come by this way, reversed, which the rules do not allow.
    pub(crate) fn note_wrong_way(&self, back: &[u16]) {
        let mut known = self.wrong_way.lock();
        if **known != *back {
            *known = back.into();
        }
    }

    pub(crate) fn wrong_way(&self) -> Box<[u16]> {
        self.wrong_way.lock().clone()
    }

    /// When a packet came last by a way that the rules allow, milliseconds of the table's clock.
    pub(crate) fn came_right(&self) -> u64 {
        self.right.load(Ordering::Relaxed)
    }

    /// Whether packets have come by other ways alone for that long. Those that somebody sends again over another way do no harm
    /// while its own come.
    pub(crate) fn came_wrong_for(&self, time: Duration) -> bool {
        let since = self.wrong.load(Ordering::Relaxed).saturating_sub(self.came_right());
        u128::from(since) > time.as_millis()
    }

    /// How many there are, also those being made.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether a connection exists or is being made.
    pub(crate) fn is_live(&self) -> bool {
        self.connections.load(Ordering::Relaxed) > 0
    }

    /// The peer has opened a TCP connection to us: it is the way back if there is no other yet, and a candidate.
    pub(crate) fn entered_by_tcp(&self) {
        if let Some(destination) = &*self.destination() {
            destination.set_paths(None);
        }
        let path = self.destination().as_ref().and_then(|d| d.tcp());
        if self.route().is_none() && !self.socket.upgrade().is_some_and(|socket| socket.is_strict()) {
            self.set_route(Route::Tcp(path));
        }
    }

    /// Counts a connection until the guard is dropped.
    pub(crate) fn live(self: &Arc<Self>) -> Live {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Live(Arc::clone(self))
    }

    /// Counts what this connection delivers from now on.
    pub(crate) fn meter(&self, meter: &Arc<Meter>) {
        self.meters.lock().push(Arc::downgrade(meter));
    }

    /// What all connections have delivered since the last call.
    pub(crate) fn delivered(&self) -> Reading {
        let mut delivered = Reading::default();
        self.meters.lock().retain(|meter| meter.upgrade().map(|meter| delivered += meter.take()).is_some());
        delivered
    }

    pub(crate) fn note_heard(&self, now: u64) {
        self.heard.store(now, Ordering::Relaxed);
        self.touched.store(true, Ordering::Relaxed);
    }

    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Remembers a datagram for replay.
    pub(crate) fn keep(&self, datagram: &[u8], awaits_reply: bool) {
        let mut last = self.last.lock();
        if awaits_reply {
            last.ack.clear();
        }
        let kept = if awaits_reply { &mut last.data } else { &mut last.ack };
        kept.clear();
        kept.extend_from_slice(datagram);
    }

    /// The datagrams to replay: the last one with data and the acknowledgement that followed it.
    pub(crate) fn last(&self) -> impl Iterator<Item = Vec<u8>> {
        let last = self.last.lock();
        [last.data.clone(), last.ack.clone()].into_iter().filter(|datagram| !datagram.is_empty())
    }

    /// A packet of `len` bytes came from the router `from` over these interfaces (of the way back), while no path of our own is
    /// known. `route` makes a route of that way. If another way than the first is to be probed: the token, and the route to send it
    /// by.
    pub(crate) fn came_by(
        &self,
        now: u64,
        interfaces: &[u16],
        from: SocketAddr,
        len: usize,
        route: impl FnOnce() -> Option<Route>,
    ) -> Option<(u64, Arc<Route>)> {
        let mut ways = self.ways_back.lock();
        let turn = ways.heard(now, interfaces, from, len, route);
        self.unproven.store(ways.is_unproven(), Ordering::Relaxed);
        if let Some(route) = turn.route {
            self.go(route);
        }
        turn.ask
    }

    /// The peer has answered a probe; true if it was that of a way back, which answers then go as long as no path is known.
    pub(crate) fn proves_way_back(&self, token: u64) -> bool {
        let mut ways = self.ways_back.lock();
        let Some(route) = ways.answered(token) else { return false };
        self.unproven.store(ways.is_unproven(), Ordering::Relaxed);
        if let Some(route) = route {
            self.go(route);
        }
        true
    }

    /// Whether so many bytes may go by the route; counts them if that is not proven.
    pub(crate) fn may_send(&self, len: usize) -> bool {
        !self.unproven.load(Ordering::Relaxed) || self.ways_back.lock().may_send(len)
    }

    /// Where there is no SCION: it calls this end by another name from now on, which answers have to bear.
    pub(crate) fn begin_anew(&self) {
        *self.ways_back.lock() = WaysBack::default();
        self.unproven.store(false, Ordering::Relaxed);
    }

    /// Where there is no SCION: the way by which packets came before any path ruled leads to the peer, as the handshake is
    /// over.
    pub(crate) fn learn_first_way(&self) {
        let way = self.ways_back.lock().first().and_then(Way::from_name);
        if let Some(way) = way {
            self.ways.lock().learn(way, Instant::now());
        }
    }
}

/// Keeps a peer from being forgotten; dropped with the connection.
#[derive(Debug)]
pub(crate) struct Live(pub(crate) Arc<Peer>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The peers of one endpoint.
#[derive(Debug)]
pub(crate) struct Peers {
    started: Instant,
    inner: RwLock<Inner>,
}

#[derive(Debug)]
struct Inner {
    by_addr: HashMap<ScionAddr, Arc<Peer>>,
    by_id: HashMap<u64, Arc<Peer>>,
    next_id: u64,
    /// In the order of their last known life; may hold peers that have a connection by now.
    strangers: VecDeque<u64>,
}

impl Peers {
    pub(crate) fn new() -> Self {
        let inner = Inner { by_addr: HashMap::new(), by_id: HashMap::new(), next_id: 1, strangers: VecDeque::new() };
        Self { started: Instant::now(), inner: RwLock::new(inner) }
    }

    /// Milliseconds since the endpoint was made.
    pub(crate) fn clock(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    pub(crate) fn get(&self, addr: &ScionAddr) -> Option<Arc<Peer>> {
        self.inner.read().by_addr.get(addr).cloned()
    }

    /// The peer that QUIC means.
    pub(crate) fn by_synthetic(&self, addr: SocketAddr) -> Option<Arc<Peer>> {
        let SocketAddr::V6(addr) = addr else { return None };
        let segments = addr.ip().segments();
        let id = u64::from_be_bytes(addr.ip().octets()[8..].try_into().ok()?);
        self.inner.read().by_id.get(&id).filter(|_| segments[..3] == PREFIX).cloned()
    }

    /// The peer with this address, new if need be. `None`: there are too many connections.
    pub(crate) fn enter(&self, socket: &Weak<Socket>, addr: ScionAddr) -> Option<Arc<Peer>> {
        let mut inner = self.inner.write();
        if let Some(peer) = inner.by_addr.get(&addr) {
            return Some(Arc::clone(peer));
        }
        inner.make_room();
        if inner.by_id.len() >= MAX_PEERS {
            return None;
        }
        let id = inner.next_id;
        inner.next_id += 1;
        let peer = Arc::new(Peer {
            addr,
            synthetic: synthetic(id),
            socket: socket.clone(),
            tunnel: Tunnel::default(),
            route: ArcSwapOption::empty(),
            hedge: ArcSwapOption::empty(),
            routed: Notify::new(),
            destination: ArcSwapOption::empty(),
            listener: Mutex::default(),
            told: Mutex::default(),
            retell: Notify::new(),
            right: AtomicU64::new(0),
            wrong: AtomicU64::new(0),
            wrong_way: Mutex::default(),
            connections: AtomicUsize::new(0),
            wrote: AtomicBool::new(false),
            last: Mutex::default(),
            ways_back: Mutex::default(),
            unproven: AtomicBool::new(false),
            complaints: Allowance::new(COMPLAINTS_PER_SECOND),
            ways: Mutex::default(),
            heard: AtomicU64::new(0),
            touched: AtomicBool::new(false),
            meters: Mutex::default(),
        });
        inner.by_addr.insert(addr, Arc::clone(&peer));
        inner.by_id.insert(id, Arc::clone(&peer));
        inner.strangers.push_back(id);
        Some(peer)
    }
}

impl Inner {
    /// Forgets the stranger that was silent longest, if there are too many. Who has a connection stays in the queue:
    /// when it ends, it is a stranger again.
    fn make_room(&mut self) {
        // Bounded: each round takes away a peer or a mark, and marks come from packets.
        let mut spared = 0;
        while self.strangers.len() >= MAX_STRANGERS && spared < MAX_STRANGERS {
            let Some(id) = self.strangers.pop_front() else { return };
            let Some(peer) = self.by_id.get(&id) else { continue };
            let recently = peer.touched.swap(false, Ordering::Relaxed);
            if peer.is_live() || (recently && spared < 64) {
                spared += 1;
                self.strangers.push_back(id);
                continue;
            }
            let addr = peer.addr;
            peer.set_destination(None);
            self.by_id.remove(&id);
            self.by_addr.remove(&addr);
            return;
        }
    }
}

fn synthetic(id: u64) -> SocketAddr {
    let mut octets = [0; 16];
    for (i, segment) in PREFIX.iter().enumerate() {
        octets[2 * i..2 * i + 2].copy_from_slice(&segment.to_be_bytes());
    }
    octets[8..].copy_from_slice(&id.to_be_bytes());
    SocketAddrV6::new(Ipv6Addr::from(octets), PORT, 0, 0).into()
}

/// So many events a second, no more: for what strangers may cause.
#[derive(Debug)]
pub(crate) struct Allowance {
    per_second: u32,
    window: Mutex<(Option<Instant>, u32)>,
}

impl Allowance {
    pub(crate) fn new(per_second: u32) -> Self {
        Self { per_second, window: Mutex::default() }
    }

    pub(crate) fn take(&self, now: Instant) -> bool {
        let mut window = self.window.lock();
        if window.0.is_none_or(|start| now.saturating_duration_since(start) >= Duration::from_secs(1)) {
            *window = (Some(now), 0);
        }
        window.1 = window.1.saturating_add(1);
        window.1 <= self.per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use natsd_path::IsdAs;

    fn addr(n: u64) -> ScionAddr {
        ScionAddr { isd_as: IsdAs(n), host: [127, 0, 0, 1].into(), port: 1 }
    }

    #[test]
    fn a_peer_keeps_its_synthetic_address() {
        let peers = Peers::new();
        let first = peers.enter(&Weak::new(), addr(1)).expect("room");
        let second = peers.enter(&Weak::new(), addr(2)).expect("room");
        assert_eq!(first.synthetic.to_string(), "[fd73:6369:6f6e::1]:1");
        assert_eq!(peers.enter(&Weak::new(), addr(1)).expect("room").synthetic, first.synthetic);
        assert_eq!(peers.by_synthetic(second.synthetic).expect("known").addr, addr(2));
        assert!(peers.by_synthetic("[::1]:1".parse().expect("address")).is_none());
    }

    #[test]
    fn strangers_come_and_go_and_connections_stay() {
        let peers = Peers::new();
        let connected = peers.enter(&Weak::new(), addr(0)).expect("room");
        let guard = connected.live();
        for n in 1..3 * MAX_STRANGERS as u64 {
            peers.enter(&Weak::new(), addr(n)).expect("strangers make room for each other");
        }
        assert!(peers.get(&addr(0)).is_some(), "has a connection");
        assert!(peers.get(&addr(1)).is_none(), "went first");
        assert!(peers.inner.read().by_id.len() <= MAX_STRANGERS);
        drop(guard);
        assert!(!connected.is_live());
    }

    #[test]
    fn an_allowance_is_renewed_each_second() {
        let allowance = Allowance::new(2);
        let now = Instant::now();
        assert_eq!([now; 3].map(|now| allowance.take(now)), [true, true, false]);
        assert!(allowance.take(now + Duration::from_secs(1)));
    }
}
