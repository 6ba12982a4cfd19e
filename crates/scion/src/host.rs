//! The SCION host of a process: its AS, its endpoints, and the paths to everywhere that it talks to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt};
use natsd_path::{Config, IsdAs, Rules, ScionAddr, Wishes};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::{broadcast, watch};

use crate::control::ControlServices;
use crate::daemon::{self, Daemon};
use crate::destination::{Destination, PathEvent, PeerPaths};
use crate::endpoint::{Endpoint, barred};
use crate::error::{DaemonError, HostError, ListenError, LookupError};
use crate::lane::{Heading, Lane, Place, Terms};
use crate::lookup;
use crate::metadata::PathInfo;
use crate::outage::DaemonState;
use crate::peers::Peer;
use crate::plain;
use crate::quic::Identity;
use crate::socket::Socket;
use crate::source::{LocalAs, PathSource};
use crate::stream::StreamStats;
use crate::topology;
use crate::tunnel;
use crate::usual::Usual;

/// Events that a slow listener may be behind.
const EVENTS: usize = 256;

/// Between attempts to reach the daemon, and between checks that it is still there.
const RETRY: Duration = Duration::from_millis(500);
const CHECK: Duration = Duration::from_secs(5);
/// How long listening waits for the daemon to say which AS this is. One on this machine answers within milliseconds.
const FIRST_ANSWER: Duration = Duration::from_secs(1);

/// How [`Host::start`] finds the daemon and itself.
#[derive(Clone, Debug, Default)]
pub struct HostConfig {
    /// `host:port` of the SCION daemon; the usual address, 127.0.0.1:30255, when neither this nor a topology is named.
    pub daemon: Option<String>,
    /// The AS's topology file, to do without a daemon: paths are asked of the control services that it names. When
    /// neither this nor a daemon is named and none answers at the usual address, /etc/scion/topology.json if it is there.
    pub topology: Option<PathBuf>,
    /// `http://host:port` of an end-host API, to do without both; an error in a build without the feature `endhost-api`.
    pub endhost_api: Option<String>,
    /// This host's address in its AS; else the system's choice towards the border router.
    pub local: Option<IpAddr>,
    /// What the operator wants of paths.
    pub wishes: Wishes,
    /// Bytes a second that regular probes to one peer may take; [`natsd_path::Config::PROBE_BUDGET`] when unset.
    pub probe_budget: Option<u32>,
}

impl HostConfig {
    /// Fills what is not configured from `$SCION_DAEMON`, `$SCION_DAEMON_ADDRESS` and `$SCION_LOCAL_ADDR`; a topology
    /// that is named goes before a daemon of the environment.
    pub fn or_env(mut self) -> Self {
        let env = |name: &str| std::env::var(name).ok();
        if self.topology.is_none() && self.endhost_api.is_none() {
            self.daemon = daemon::address(self.daemon, env);
        }
        self.local = self.local.or_else(|| env("SCION_LOCAL_ADDR")?.parse().ok());
        self
    }
}

/// What is known about the daemon.
#[derive(Clone, Debug)]
pub struct Status {
    /// Where it is looked for.
    pub daemon: String,
    /// Since when it answers, or since when it does not and why.
    pub state: Result<SystemTime, (SystemTime, DaemonError)>,
    /// This host's AS, once known.
    pub local_as: Option<IsdAs>,
}

/// See the module. Clones are the same host.
#[derive(Clone)]
pub struct Host(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) source: Arc<dyn PathSource>,
    local: Option<IpAddr>,
    /// Without SCION: the addresses that packets leave at, those of the system's choice if there are none.
    pub(crate) plain: Option<Box<[IpAddr]>>,
    wishes: Mutex<Wishes>,
    /// Bytes a second.
    probe_budget: AtomicU32,
    /// Whether there is a rule in them.
    strict: Arc<AtomicBool>,
    pub(crate) local_as: watch::Sender<Option<LocalAs>>,
    daemon: Mutex<DaemonState>,
    started: Instant,
    /// Whether the daemon has answered, or failed to.
    asked: watch::Sender<bool>,
    pub(crate) destinations: Mutex<HashMap<Heading, Arc<Destination>>>,
    sockets: Mutex<Vec<Weak<Socket>>>,
    events: broadcast::Sender<PathEvent>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Host").field("daemon", &self.0.source.name()).finish_non_exhaustive()
    }
}

impl Host {
    /// Starts within a tokio runtime. Does not wait: a daemon, or control service, that is missing is looked for until it
    /// comes.
    ///
    /// # Errors
    ///
    /// When an address cannot be one, or the topology file that is named cannot be used.
    pub fn start(config: HostConfig) -> Result<Self, DaemonError> {
        if let Some(url) = &config.endhost_api {
            return Ok(Self::with_source(endhost_api(url)?, config));
        }
        let source: Arc<dyn PathSource> = match (&config.topology, &config.daemon) {
            (Some(file), _) => Arc::new(ControlServices::new(file)?),
            (None, Some(address)) => Arc::new(Daemon::new(address)?),
            (None, None) => Arc::new(Usual::new(Daemon::new(daemon::USUAL)?, topology::USUAL.as_ref())),
        };
        Ok(Self::with_source(source, config))
    }

    pub(crate) fn with_source(source: Arc<dyn PathSource>, config: HostConfig) -> Self {
        let host = Self::new(source, config, None);
        tokio::spawn(watch_daemon(Arc::downgrade(&host.0)));
        host
    }

    pub(crate) fn new(source: Arc<dyn PathSource>, config: HostConfig, plain: Option<Box<[IpAddr]>>) -> Self {
        let waiting =
            DaemonError::Call { address: source.name(), method: "AS", reason: "it has not been asked yet".to_owned() };
        let known = source.known();
        Self(Arc::new(Inner {
            source,
            local: config.local,
            plain,
            strict: Arc::new(config.wishes.are_strict().into()),
            wishes: Mutex::new(config.wishes),
            probe_budget: config.probe_budget.unwrap_or(Config::PROBE_BUDGET).into(),
            local_as: watch::Sender::new(known),
            daemon: Mutex::new(DaemonState::unknown(SystemTime::now(), waiting)),
            started: Instant::now(),
            asked: watch::Sender::new(false),
            destinations: Mutex::new(HashMap::new()),
            sockets: Mutex::default(),
            events: broadcast::Sender::new(EVENTS),
        }))
    }

    /// Waits until the local AS is known.
    pub async fn ready(&self) -> Result<IsdAs, HostError> {
        let mut local = self.0.local_as.subscribe();
        let known = local.wait_for(Option::is_some).await.map_err(|_| HostError::Stopped)?;
        known.as_ref().map(|l| l.isd_as).ok_or(HostError::Stopped)
    }

    /// Asks the daemon for the local AS now, once: for programs that end when it does not answer.
    pub async fn ask(&self) -> Result<IsdAs, DaemonError> {
        let answer = self.0.source.local_as().await;
        let isd_as = answer.as_ref().map(|local| local.isd_as).map_err(Clone::clone);
        self.0.note(answer);
        isd_as
    }

    /// Binds an address that accepts connections. Works without the daemon: if it has not told the AS within a second of
    /// the host's start, the AS is checked when it is known, and a wrong one is an error in the log.
    pub async fn listen(&self, addr: ScionAddr, identity: &Identity) -> Result<Endpoint, ListenError> {
        let mut asked = self.0.asked.subscribe();
        // What matters is what is known then.
        let _ = tokio::time::timeout_at((self.0.started + FIRST_ANSWER).into(), asked.wait_for(|asked| *asked)).await;
        if let Some(local) = self.local_as()
            && local.isd_as != addr.isd_as
        {
            return Err(ListenError::ForeignAs { address: addr, local: local.isd_as });
        }
        let server = identity.server_config(None).ok_or(ListenError::Identity(addr))?;
        let endpoint = self.endpoint(SocketAddr::new(addr.host, addr.port), identity, Some((addr, server)))?;
        let host = self.clone();
        tokio::spawn(async move {
            if let Ok(local) = host.ready().await
                && local != addr.isd_as
            {
                log::error!("{}", ListenError::ForeignAs { address: addr, local });
            }
        });
        Ok(endpoint)
    }

    /// Binds a port of the system's choice (of the daemon's range, when it has told one) to dial from.
    pub fn dialer(&self, identity: &Identity) -> Result<Endpoint, ListenError> {
        match self.0.local {
            Some(host) => self.dialer_at(host, identity),
            // Whether routers are reached by IPv4 or IPv6 is not known yet. Systems without IPv6 refuse the first.
            None => {
                let both = self.dialer_at(Ipv6Addr::UNSPECIFIED.into(), identity);
                both.or_else(|_| self.dialer_at(Ipv4Addr::UNSPECIFIED.into(), identity))
            }
        }
    }

    fn dialer_at(&self, host: IpAddr, identity: &Identity) -> Result<Endpoint, ListenError> {
        if let Some((low, high)) = self.local_as().and_then(|l| l.ports).filter(|(low, high)| low <= high) {
            // Any port of the range may be taken; the system's choice is the last resort.
            for _ in 0..64 {
                let address = SocketAddr::new(host, fastrand::u16(low..=high));
                if let Ok(endpoint) = self.endpoint(address, identity, None) {
                    return Ok(endpoint);
                }
            }
        }
        self.endpoint(SocketAddr::new(host, 0), identity, None)
    }

    fn endpoint(
        &self,
        address: SocketAddr,
        identity: &Identity,
        server: Option<(ScionAddr, quinn::ServerConfig)>,
    ) -> Result<Endpoint, ListenError> {
        self.endpoint_at(address, identity, server, self.0.plain.clone())
    }

    /// `plain`: see [`Socket`].
    pub(crate) fn endpoint_at(
        &self,
        address: SocketAddr,
        identity: &Identity,
        server: Option<(ScionAddr, quinn::ServerConfig)>,
        plain: Option<Box<[IpAddr]>>,
    ) -> Result<Endpoint, ListenError> {
        let bind = |source| ListenError::Bind { address, source };
        let socket = Socket::bind(address, server.is_some(), self.0.local_as.subscribe(), self.0.strict.clone(), plain)
            .map_err(bind)?;
        let endpoint = Endpoint::new(self.clone(), socket, identity.clone(), server).map_err(bind)?;
        let mut sockets = self.0.sockets.lock();
        sockets.retain(|s| s.strong_count() > 0);
        sockets.push(Arc::downgrade(endpoint.socket()));
        Ok(endpoint)
    }

    /// All destinations with their paths, for a user interface.
    pub fn paths(&self) -> Vec<PeerPaths> {
        self.destinations_now(false)
    }

    /// As [`paths`](Self::paths), with what became of them: some megabytes at most.
    pub fn paths_with_history(&self) -> Vec<PeerPaths> {
        self.destinations_now(true)
    }

    fn destinations_now(&self, history: bool) -> Vec<PeerPaths> {
        let local = self.local_as().map(|l| l.isd_as);
        let mut destinations: Vec<_> = self.0.destinations.lock().values().cloned().collect();
        destinations.sort_by_key(|d| d.heading.clone());
        destinations.iter().map(|d| d.snapshot(local, history)).collect()
    }

    /// What happens to paths from now on. A listener that is more than 256 events behind misses some.
    pub fn events(&self) -> broadcast::Receiver<PathEvent> {
        self.0.events.subscribe()
    }

    /// The daemon's state.
    pub fn status(&self) -> Status {
        Status {
            daemon: self.0.source.name(),
            state: self.0.daemon.lock().state.clone(),
            local_as: self.local_as().map(|l| l.isd_as),
        }
    }

    /// Who is asked for paths, for sentences: "the SCION daemon at 127.0.0.1:30255".
    pub fn source_title(&self) -> String {
        self.0.source.title()
    }

    /// Reads the AS's topology file again, if there is one, and looks all paths up that are in use.
    ///
    /// # Errors
    ///
    /// When the file cannot be used; all stays as it was.
    pub fn reload(&self) -> Result<(), DaemonError> {
        self.0.source.reload()?;
        self.0.destinations.lock().values().for_each(|destination| destination.refresh.notify_one());
        Ok(())
    }

    /// Asks the daemon for paths; `refresh` bypasses its cache.
    pub async fn lookup(&self, to: IsdAs, refresh: bool) -> Result<Vec<PathInfo>, LookupError> {
        lookup::once(&*self.0.source, self.local_as(), to, refresh).await
    }

    /// Replaces what the operator wants of paths.
    pub fn set_wishes(&self, wishes: Wishes) {
        let destinations = self.0.destinations.lock();
        self.0.strict.store(wishes.are_strict(), Ordering::Relaxed);
        *self.0.wishes.lock() = wishes.clone();
        let mut moved = Vec::new();
        for destination in destinations.values() {
            destination.set_policy(destination.heading.policy(&wishes));
            let Heading { place, lane, .. } = &destination.heading;
            let others = |peer: &Arc<Peer>| heading(peer, *place, lane.clone(), &wishes) != destination.heading;
            moved.extend(destination.peers().into_iter().filter(others).map(|it| (it, lane.clone())));
        }
        let peers: Vec<_> = destinations.values().flat_map(|destination| destination.peers()).collect();
        drop(destinations);
        for (peer, lane) in moved {
            self.attach(&peer, lane);
        }
        peers.iter().for_each(|peer| peer.retell.notify_waiters());
    }

    /// What is wanted here of the paths to a peer.
    pub(crate) fn rules_for(&self, peer: &Peer) -> Rules {
        let wishes = self.0.wishes.lock();
        peer.destination().as_ref().map(|known| known.heading.policy(&wishes).rules).unwrap_or_default()
    }

    /// From now on the paths to the peer keep these rules as well, as far as that can be. Returns whether they are others.
    pub(crate) fn take_told(&self, peer: &Arc<Peer>, rules: &Rules) -> bool {
        let told = Some(rules.tell()).filter(|told| !told.is_empty()).map(Arc::<str>::from);
        if peer.told() == told {
            return false;
        }
        peer.set_told(told);
        let lane = peer.destination().as_ref().map(|known| known.heading.lane.clone()).unwrap_or_default();
        self.attach(peer, lane);
        true
    }

    /// Replaces how many bytes a second regular probes to one peer may take; `None` is the default.
    pub fn set_probe_budget(&self, bytes: Option<u32>) {
        let bytes = bytes.unwrap_or(Config::PROBE_BUDGET);
        let destinations = self.0.destinations.lock();
        self.0.probe_budget.store(bytes, Ordering::Relaxed);
        for destination in destinations.values() {
            destination.drive(|manager, now| manager.set_probe_budget(now, bytes));
        }
    }

    /// From now on the connection is in `lane`; unless its peer has others too, which then stay where they are with it.
    pub fn steer(&self, connection: &StreamStats, lane: Lane) {
        let peer = connection.peer();
        let there = peer.destination().as_ref().is_some_and(|d| d.heading.lane == lane);
        if !there && peer.connections() == 1 {
            self.attach(peer, lane);
        }
    }

    /// Takes a TCP connection whose client sent a `TUNNEL` line; `already_read` begins with that line.
    pub fn accept_tunnel(&self, stream: TcpStream, already_read: Bytes) {
        Self::accept_tunnel_to(vec![self.clone()], stream, already_read);
    }

    /// As [`accept_tunnel`](Self::accept_tunnel), for whichever of `hosts` the client means.
    pub fn accept_tunnel_to(hosts: Vec<Self>, stream: TcpStream, already_read: Bytes) {
        tokio::spawn(async move {
            let find = |to| hosts.iter().find_map(|host| host.socket_at(to));
            if let Err(e) = tunnel::serve(stream, already_read, find).await {
                log::warn!("a TCP connection for QUIC ended: {e}");
            }
        });
    }

    /// The listening socket that a client means: the same port, and the same host where it is bound to one.
    fn socket_at(&self, to: ScionAddr) -> Option<Arc<Socket>> {
        let sockets: Vec<_> = self.0.sockets.lock().iter().filter_map(Weak::upgrade).collect();
        if self.is_plain() {
            return plain::socket_at(sockets, to);
        }
        sockets.into_iter().find(|socket| {
            let local = socket.underlay.local();
            local.port() == to.port && (local.ip().is_unspecified() || local.ip() == to.host)
        })
    }

    pub(crate) fn local_as(&self) -> Option<LocalAs> {
        self.0.local_as.borrow().clone()
    }

    pub(crate) fn local_host(&self) -> Option<IpAddr> {
        self.0.local
    }

    fn known(&self, isd_as: IsdAs) -> Option<Arc<Destination>> {
        self.0.destinations.lock().values().find(|known| known.heading.place == Place::As(isd_as)).cloned()
    }

    /// What is known that could explain why a peer does not answer.
    pub(crate) fn hint(&self, to: IsdAs) -> String {
        if self.is_plain() {
            return plain::HINT.to_owned();
        }
        match (&self.0.daemon.lock().state, self.known(to).and_then(|d| d.active())) {
            (Err((_, e)), _) => e.to_string(),
            (Ok(_), None) if let Some((paths, rule)) = self.known(to).and_then(|known| known.barred()) => {
                barred(to, paths, &rule)
            }
            (Ok(_), None) => format!("{} knows no path to {to}, is the ISD-AS right?", self.source_title()),
            (Ok(_), Some(_)) => format!("there are paths to {to}"),
        }
    }

    /// Puts a peer under the rule of the paths to its AS.
    pub(crate) fn attach(&self, peer: &Arc<Peer>, lane: Lane) {
        let place = match &self.0.plain {
            Some(_) => Place::Host(SocketAddr::new(peer.addr.host, peer.addr.port)),
            None => Place::As(peer.addr.isd_as),
        };
        let heading = heading(peer, place, lane, &self.0.wishes.lock());
        let (destination, known) = self.0.destination(heading);
        destination.attach(peer);
        if let Some(known) = known {
            // What went another way goes by an allowed one at once, without a lookup between.
            if !known.is_empty() {
                destination.set_paths(Some(known));
            }
            lookup::spawn(Arc::downgrade(&self.0), &destination);
        } else if peer.tunnel.is_possible() && destination.tcp().is_none() && destination.active().is_some() {
            destination.set_paths(None);
        } else {
            destination.refresh.notify_one();
        }
        peer.retell.notify_waiters();
    }
}

/// Where the connections of a peer belong, with what holds for them besides their lane.
fn heading(peer: &Peer, place: Place, lane: Lane, wishes: &Wishes) -> Heading {
    let rules = peer.listener().and_then(|at| Some((at, wishes.listeners.get(&at)?)));
    let (at, strict) = (rules.map(|(at, _)| at), rules.is_some_and(|(_, rules)| rules.strict));
    let mut heading = Heading { place, lane, terms: Terms { at, told: None, strict } };
    if let Some(Ok(told)) = peer.told().as_deref().map(Rules::told) {
        let more = told.beyond(&heading.policy(wishes).rules).tell();
        heading.terms.told = Some(more).filter(|more| !more.is_empty()).map(Arc::from);
    }
    heading
}

#[cfg(feature = "endhost-api")]
fn endhost_api(url: &str) -> Result<Arc<dyn PathSource>, DaemonError> {
    Ok(Arc::new(crate::endhost_api::EndhostApi::new(url)?))
}

#[cfg(not(feature = "endhost-api"))]
fn endhost_api(url: &str) -> Result<Arc<dyn PathSource>, DaemonError> {
    let reason = "this natsd was built without it; use one with the feature endhost-api, or daemon or topology";
    Err(DaemonError::EndhostApi { url: url.to_owned(), reason: reason.to_owned() })
}

/// Asks the daemon for the local AS until it answers, then looks from time to time whether it still does.
async fn watch_daemon(host: Weak<Inner>) {
    loop {
        let Some(source) = host.upgrade().map(|h| Arc::clone(&h.source)) else { return };
        let answer = source.local_as().await;
        let Some(host) = host.upgrade() else { return };
        let wait = if answer.is_ok() { CHECK } else { RETRY };
        host.note(answer);
        drop(host);
        tokio::time::sleep(wait).await;
    }
}

impl Inner {
    /// Those who look after the paths of this lane; if they are new, with what other lanes to the same place know.
    fn destination(&self, heading: Heading) -> (Arc<Destination>, Option<Vec<PathInfo>>) {
        let mut destinations = self.destinations.lock();
        if let Some(known) = destinations.get(&heading) {
            return (Arc::clone(known), None);
        }
        let sibling = destinations.values().find(|other| other.heading.place == heading.place);
        let lanes = sibling.map(|other| other.lanes.clone()).unwrap_or_default();
        let paths = sibling.map(|other| other.current()).unwrap_or_default();
        let policy = heading.policy(&self.wishes.lock());
        let probe_budget = self.probe_budget.load(Ordering::Relaxed);
        let config = Config { policy, probe_budget, ..Config::default() };
        let new = Arc::new(Destination::new(heading.clone(), config, lanes, self.events.clone()));
        destinations.insert(heading, Arc::clone(&new));
        (new, Some(paths))
    }

    fn note(&self, answer: Result<LocalAs, DaemonError>) {
        let knew_local = self.local_as.borrow().is_some();
        let news = match &answer {
            Ok(local) => Ok(local),
            Err(error) => Err(error.clone()),
        };
        let line = self.daemon.lock().note(SystemTime::now(), &self.source.title(), knew_local, news);
        if let Some((level, text)) = line {
            log::log!(level, "{text}");
        }
        if let Ok(local) = answer {
            self.local_as.send_if_modified(|known| {
                let changed = known.as_ref() != Some(&local);
                *known = Some(local);
                changed
            });
        }
        self.asked.send_replace(true);
    }
}
