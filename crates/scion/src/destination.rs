//! The paths to one destination AS: drives the path manager, for all peers in that AS that are in one [`Lane`].
//!
//! Whoever has news (the endpoint's send and receive paths, lookups, the timer) tells them by [`Destination::drive`],
//! which at once carries out what the manager wants: new templates for every peer, the replay of its last datagram,
//! probes, log and event stream.

mod routing;
mod weighing;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};
use natsd_path::{
    Candidate, Config, Event, EventKind, Fingerprint, History, Interface, IsdAs, Kind, Lanes, Manager, PathId,
    PathReport, Policy, Rules, Scmp,
};
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast, watch};
use weighing::Weighing;

use crate::lane::{Heading, Lane, Place, Terms};
use crate::metadata::PathInfo;
use crate::outage::Outage;
use crate::peers::{Peer, Route};
use crate::quic::Datagrams;

/// Events kept for a user interface.
const RECENT: usize = 64;

/// An SCMP error counts for packets sent over the path this recently.
const SCMP_WINDOW: Duration = Duration::from_secs(10);

/// Something that happened to the paths to one AS.
#[derive(Clone, Debug)]
pub struct PathEvent {
    /// When.
    pub when: SystemTime,
    /// Where the path leads.
    pub remote: Place,
    /// Of which of the traffic there.
    pub lane: Lane,
    /// What else holds for that.
    pub terms: Terms,
    /// For the log.
    pub text: String,
    /// For programs.
    pub kind: EventKind,
}

/// The paths to one place, as a user interface shows them.
#[derive(Clone, Debug)]
pub struct PeerPaths {
    /// The AS of this host; `None` as long as the daemon has not told it.
    pub local: Option<IsdAs>,
    /// Where they lead.
    pub remote: Place,
    /// Which of the traffic there.
    pub lane: Lane,
    /// What else holds for that.
    pub terms: Terms,
    /// The path that carries the traffic.
    pub active: Option<PathId>,
    /// What is wanted of them.
    pub policy: Policy,
    /// All paths, best first.
    pub paths: Vec<PathReport>,
    /// Of those over plain IP, the addresses of their ends, ours first.
    pub ends: HashMap<PathId, (IpAddr, SocketAddr)>,
    /// The latest events, oldest first, at most 64.
    pub recent: Vec<PathEvent>,
    /// Peers with a connection, and what carries it.
    pub peers: Vec<(natsd_path::ScionAddr, Kind)>,
    /// What became of them, if that was asked for.
    pub history: Option<History>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) heading: Heading,
    /// What the peers have told of their rules.
    told: Rules,
    /// See [`Heading::numbered`].
    numbered: Option<(Arc<str>, u16)>,
    state: Mutex<State>,
    /// Of the set of paths, for those who remember a path by its interfaces.
    generation: AtomicU64,
    /// Where the lanes to this AS are.
    pub(crate) lanes: watch::Sender<Lanes>,
    /// The timer is to be set anew.
    pub(crate) rearm: Notify,
    /// Paths are to be looked up again.
    pub(crate) refresh: Notify,
    events: broadcast::Sender<PathEvent>,
}

struct State {
    manager: Manager,
    /// What is wanted here.
    own: Policy,
    /// No path keeps what the peers want as well.
    at_odds: bool,
    current: Vec<PathInfo>,
    /// Also removed ones, as long as the manager uses them.
    paths: HashMap<PathId, Arc<PathInfo>>,
    by_interfaces: HashMap<Box<[u16]>, PathId>,
    last_sent: HashMap<PathId, Instant>,
    tcp: Option<PathId>,
    /// The path that datagrams go over as well, while the active one is suspect.
    hedge: Option<PathId>,
    peers: Vec<Weak<Peer>>,
    armed: Option<Instant>,
    recent: VecDeque<PathEvent>,
    outage: Outage,
    idle_since: Option<Instant>,
    weighing: Weighing,
    /// The path that other lanes know of.
    shown: Option<PathId>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("active", &self.manager.active()).finish_non_exhaustive()
    }
}

impl Destination {
    pub(crate) fn new(
        heading: Heading,
        config: Config,
        lanes: watch::Sender<Lanes>,
        events: broadcast::Sender<PathEvent>,
    ) -> Self {
        let numbered = heading.numbered();
        let config = match &numbered {
            Some((_, number)) => Lanes::config(*number, config),
            None => config,
        };
        let state = State {
            own: config.policy.clone(),
            at_odds: false,
            manager: Manager::new(config, fastrand::u64(..)),
            current: Vec::new(),
            paths: HashMap::new(),
            by_interfaces: HashMap::new(),
            last_sent: HashMap::new(),
            tcp: None,
            hedge: None,
            peers: Vec::new(),
            armed: None,
            recent: VecDeque::new(),
            outage: Outage::default(),
            idle_since: None,
            weighing: Weighing::default(),
            shown: None,
        };
        // It was understood when it came.
        let told = heading.terms.told.as_deref().and_then(|told| Rules::told(told).ok()).unwrap_or_default();
        Self {
            heading,
            told,
            numbered,
            state: Mutex::new(state),
            generation: AtomicU64::new(next_generation()),
            lanes,
            rearm: Notify::new(),
            refresh: Notify::new(),
            events,
        }
    }

    /// Tells the manager something and does what it then wants.
    pub(crate) fn drive(&self, news: impl FnOnce(&mut Manager, Instant)) {
        let mut state = self.state.lock();
        news(&mut state.manager, Instant::now());
        self.settle(&mut state);
    }

    /// A copy of so many bytes went out over `path`.
    pub(crate) fn copied(&self, path: PathId, bytes: usize) {
        self.state.lock().manager.handle_carried(Instant::now(), path, bytes);
    }

    /// Data went out over `path`: `bytes` in datagrams of `len`.
    pub(crate) fn sent(&self, path: PathId, len: usize, bytes: usize, awaits_reply: bool) {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.last_sent.insert(path, now);
        state.manager.handle_carried(now, path, bytes);
        state.manager.handle_sent(now, path, len, awaits_reply);
        self.settle(&mut state);
    }

    /// A router complains about a packet of ours that crossed these interfaces.
    pub(crate) fn scmp(&self, interfaces: &[u16], evidence: Scmp) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let Some(&path) = state.by_interfaces.get(interfaces) else { return };
        if state.last_sent.get(&path).is_some_and(|&at| now.saturating_duration_since(at) < SCMP_WINDOW) {
            state.manager.handle_scmp(now, path, evidence);
            self.settle(&mut state);
        }
    }

    /// Adds a peer whose connections these paths carry.
    pub(crate) fn attach(self: &Arc<Self>, peer: &Arc<Peer>) {
        if let Some(other) = &*peer.destination()
            && !Arc::ptr_eq(other, self)
        {
            other.detach(peer);
        }
        peer.set_destination(Some(Arc::clone(self)));
        let mut state = self.state.lock();
        state.idle_since = None;
        state.peers.retain(|p| p.strong_count() > 0 && !p.ptr_eq(&Arc::downgrade(peer)));
        state.peers.push(Arc::downgrade(peer));
        if let Some(active) = state.manager.active() {
            state.route(peer, active);
        }
    }

    /// The peer is in another lane from now on.
    fn detach(&self, peer: &Arc<Peer>) {
        let mut state = self.state.lock();
        state.peers.retain(|p| !p.ptr_eq(&Arc::downgrade(peer)));
        peer.set_hedge(None);
    }

    /// Other lanes may have moved.
    pub(crate) fn keep_apart(&self) {
        let crowd = self.crowd();
        self.drive(|manager, now| manager.handle_crowd(now, &crowd));
    }

    /// What is known to be used by other lanes.
    fn crowd(&self) -> Vec<Interface> {
        let place = self.numbered.as_ref();
        place.map(|(class, number)| self.lanes.borrow().crowd(class, *number)).unwrap_or_default()
    }

    /// Tells the other lanes where this one is, if it has moved.
    fn show(&self, state: &mut State) {
        let Some(place) = &self.numbered else { return };
        let active = state.manager.active();
        if active != state.shown {
            state.shown = active;
            let path = active.and_then(|active| state.paths.get(&active));
            let interfaces = path.map_or(&[][..], |path| &path.interfaces);
            self.lanes.send_if_modified(|lanes| lanes.occupy(place.clone(), interfaces));
        }
    }

    /// Nobody needs the paths any more.
    pub(crate) fn leave(&self) {
        if let Some((class, number)) = &self.numbered {
            self.lanes.send_if_modified(|lanes| lanes.leave(class, *number));
        }
    }

    /// Takes the result of a lookup, or `None` to keep the paths; adds the TCP candidate when a peer lists one.
    pub(crate) fn set_paths(&self, looked_up: Option<Vec<PathInfo>>) {
        let now = Instant::now();
        let mut state = self.state.lock();
        if let Some(paths) = looked_up {
            state.current = paths;
        }
        let candidates = state.candidates();
        self.agree(&mut state, &candidates);
        state.manager.handle_crowd(now, &self.crowd());
        state.manager.handle_paths(now, &candidates);
        state.learn_ids();
        self.generation.store(next_generation(), Ordering::Relaxed);
        self.settle(&mut state);
        // The same path may have new hop fields.
        if let Some(active) = state.manager.active() {
            state.route_all(active);
        }
    }

    /// Over plain IP: there are other ways.
    pub(crate) fn take_ways(&self) {
        let ways = self.ways(&[]);
        self.set_paths(Some(ways));
    }

    /// Over plain IP: the ways to the peer, if packets leave at `here`.
    pub(crate) fn ways(&self, here: &[IpAddr]) -> Vec<PathInfo> {
        let peers = self.state.lock().live_peers();
        let mut ways: Vec<_> = peers.iter().flat_map(|peer| peer.ways.lock().all(here, Instant::now())).collect();
        let mut seen = HashSet::new();
        ways.retain(|way| seen.insert(*way));
        ways.into_iter().map(PathInfo::over).collect()
    }

    /// What the last good lookup found, for a lane to the same place that is new.
    pub(crate) fn current(&self) -> Vec<PathInfo> {
        self.state.lock().current.clone()
    }

    /// Those whose connections these paths carry.
    pub(crate) fn peers(&self) -> Vec<Arc<Peer>> {
        self.state.lock().live_peers()
    }

    /// How many paths the last good lookup found.
    pub(crate) fn known(&self) -> usize {
        self.state.lock().current.len()
    }

    /// When the earliest path expires.
    pub(crate) fn expiry(&self) -> Option<SystemTime> {
        self.state.lock().current.iter().filter_map(|p| p.expiry).min()
    }

    /// How long nobody has had a connection.
    pub(crate) fn idle(&self) -> Duration {
        let mut state = self.state.lock();
        if !state.live_peers().is_empty() {
            state.idle_since = None;
            return Duration::ZERO;
        }
        state.idle_since.get_or_insert_with(Instant::now).elapsed()
    }

    /// The path that crosses these interfaces, and the generation that this is true of.
    pub(crate) fn path_over(&self, interfaces: &[u16]) -> (u64, Option<PathId>) {
        let state = self.state.lock();
        (self.generation(), state.by_interfaces.get(interfaces).copied())
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// The path that carries the traffic.
    pub(crate) fn active(&self) -> Option<PathId> {
        self.state.lock().manager.active()
    }

    /// The name of the TCP candidate, if it is one.
    pub(crate) fn tcp(&self) -> Option<PathId> {
        self.state.lock().tcp
    }

    /// The largest QUIC datagrams behind a header to `peer`: that the path in use carries, and that every path should.
    /// `None` when no MTU is known.
    pub(crate) fn datagrams(&self, peer: &Peer) -> Option<Datagrams> {
        let state = self.state.lock();
        let room = |p: &PathInfo, mtu: u16| {
            let here = p.next_hop.map_or(peer.addr.host, |router| router.ip());
            let header = crate::template::header_len(here, peer.addr.host, p.raw.len());
            mtu.saturating_sub(u16::try_from(header).unwrap_or(u16::MAX))
        };
        let most = state.current.iter().filter(|p| p.mtu > 0).map(|p| room(p, p.mtu)).min()?;
        let active = state.manager.active().and_then(|id| Some((state.paths.get(&id)?, state.manager.mtu_of(id)?)));
        let first = active.map_or(most, |(path, mtu)| room(path, mtu).min(most));
        Some(Datagrams { first, most })
    }

    /// Chooses by this from now on.
    pub(crate) fn set_policy(&self, policy: Policy) {
        let mut state = self.state.lock();
        state.own = policy;
        let candidates = state.candidates();
        self.agree(&mut state, &candidates);
        state.learn_ids();
        self.generation.store(next_generation(), Ordering::Relaxed);
        self.settle(&mut state);
    }

    /// Goes by what is wanted here and what the peers have told, or by the first alone if no path keeps both.
    fn agree(&self, state: &mut State, candidates: &[Candidate]) {
        let agreed = state.own.agreed(&self.told, candidates).filter(|_| self.heading.terms.told.is_some());
        let at_odds = agreed.is_none() && self.heading.terms.told.is_some();
        if at_odds && !state.at_odds {
            log::warn!("paths to {}: none keeps the peer's rules and those here; those here alone hold", self.heading);
        }
        state.at_odds = at_odds;
        let policy = agreed.unwrap_or_else(|| state.own.clone());
        if *state.manager.policy() != policy {
            state.manager.set_policy(Instant::now(), policy);
        }
    }

    /// The rule that excludes a path, by its interfaces.
    pub(crate) fn rule_against(&self, interfaces: &[u16]) -> Option<String> {
        let state = self.state.lock();
        let path = state.current.iter().find(|path| path.ids() == interfaces)?.fingerprint();
        let mut excluded = state.manager.excluded();
        excluded.find(|(candidate, _)| candidate.fingerprint == path).map(|(_, rule)| rule.to_owned())
    }

    /// If there are paths and the operator's rules exclude them all: how many, and one of the rules.
    pub(crate) fn barred(&self) -> Option<(usize, String)> {
        let state = self.state.lock();
        let (_, rule) = state.manager.excluded().next().filter(|_| state.is_barred() && !state.current.is_empty())?;
        Some((state.manager.excluded().count(), rule.to_owned()))
    }

    pub(crate) fn fingerprint(&self, path: PathId) -> Option<Fingerprint> {
        let state = self.state.lock();
        if state.tcp == Some(path) {
            return Some(Fingerprint::TCP);
        }
        state.paths.get(&path).map(|p| p.fingerprint())
    }

    pub(crate) fn snapshot(&self, local: Option<IsdAs>, history: bool) -> PeerPaths {
        let mut state = self.state.lock();
        let now = Instant::now();
        let transport = |p: &Arc<Peer>| match p.route().as_deref() {
            Some(Route::Tcp(_)) => Kind::Tcp,
            _ if matches!(self.heading.place, Place::Host(_)) => Kind::Ip,
            _ => Kind::Scion,
        };
        PeerPaths {
            local,
            remote: self.heading.place,
            lane: self.heading.lane.clone(),
            terms: self.heading.terms.clone(),
            active: state.manager.active(),
            policy: state.manager.policy().clone(),
            history: history.then(|| state.manager.history(now)),
            paths: state.manager.report(now),
            ends: state.paths.iter().filter_map(|(id, p)| p.way.map(|way| (*id, (way.here, way.there)))).collect(),
            recent: state.recent.iter().cloned().collect(),
            peers: state.live_peers().iter().map(|p| (p.addr, transport(p))).collect(),
        }
    }

    /// The instant of the manager's next timer.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        state.armed = state.manager.poll_timeout();
        state.armed
    }

    fn settle(&self, state: &mut State) {
        // Bounded: a failed send is news for the manager, which may want another probe.
        for _ in 0..64 {
            let mut failed = None;
            while let Some(event) = state.manager.poll_event() {
                self.tell(state, event);
                match event.kind {
                    EventKind::Switch { to, .. } => {
                        state.route_all(to);
                        state.replay(2);
                        self.refresh.notify_one();
                    }
                    EventKind::Up { path } if state.manager.active() == Some(path) => state.replay(1),
                    EventKind::NoPath { .. } => self.refresh.notify_one(),
                    EventKind::Removed { path } => state.forget(path),
                    _ => {}
                }
            }
            while let Some(probe) = state.manager.poll_probe() {
                if !state.probe(probe) {
                    failed = Some(probe.path);
                }
            }
            let Some(path) = failed else { break };
            state.manager.handle_send_error(Instant::now(), path);
        }
        if state.is_barred() {
            state.unroute_all();
        }
        let hedge = state.manager.hedge();
        if hedge != state.hedge {
            self.hedge(state, hedge);
        }
        self.show(state);
        let next = state.manager.poll_timeout();
        if next.is_some_and(|next| state.armed.is_none_or(|armed| next < armed)) {
            state.armed = next;
            self.rearm.notify_one();
        }
    }

    fn hedge(&self, state: &mut State, hedge: Option<PathId>) {
        match hedge {
            Some(path) => log::debug!("paths to {}: traffic also goes over path {path}", self.heading),
            None => log::debug!("paths to {}: traffic goes over one path", self.heading),
        }
        state.hedge = hedge;
        for peer in state.live_peers() {
            peer.set_hedge(hedge.and_then(|path| state.route_of(&peer, path)));
        }
        if hedge.is_some() {
            state.replay(1);
        }
    }

    fn tell(&self, state: &mut State, event: Event) {
        let (kind, text) = (event.kind, event.kind.to_string());
        match kind {
            EventKind::Switch { to, .. } => log::info!("paths to {}: {text} ({})", self.heading, state.describe(to)),
            EventKind::NoPath { .. } | EventKind::Down { .. } => log::warn!("paths to {}: {text}", self.heading),
            _ => log::debug!("paths to {}: {text}", self.heading),
        }
        if let Some(end) = state.outage.note(&event, state.manager.active()) {
            log::info!("paths to {}: {end}", self.heading);
        }
        let Heading { place: remote, lane, terms } = self.heading.clone();
        let event = PathEvent { when: SystemTime::now(), remote, lane, terms, text, kind };
        if state.recent.len() == RECENT {
            state.recent.pop_front();
        }
        state.recent.push_back(event.clone());
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}

/// Never the same twice, because a peer may come under another destination.
fn next_generation() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}
