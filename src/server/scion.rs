//! The SCION side of a server: its host, what it listens on, how routes dial, and what became of the paths.

mod door;
mod handshakes;
mod identities;
mod lanes;
mod plain;
mod renewal;
mod seats;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use bytes::Bytes;
use natsd_api as api;
use natsd_path::{EventKind, Fingerprint, Listener as At, PathId, ScionAddr};
use natsd_scion::{Endpoint, Host, Identity, Lane, PathEvent, PeerPaths, Place, Status, Stream, TcpFallback, Terms};
use parking_lot::Mutex;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::StartError;
use super::listener::Listener;
use crate::config::options::{ClusterOptions, Listen, Options, QuicAddr, ScionOptions};
use crate::gateway::SuperCluster;
use crate::hub::Hub;
use crate::leaf::Leafs;
use crate::link::Kind;
use crate::monitor::{PathSource, add_history, path_event, peer_info};
use crate::route::{Routes, ScionDial, Surroundings, TunnelHook};
use crate::tls::{ClientTls, Facts};
use crate::transport::{Peer, scion};
use door::Door;
use handshakes::{Handshakes, Turn};
use identities::Identities;
pub use identities::IdentityError;
use lanes::{Dialers, LaneChoice};
use plain::Hosts;
use seats::{KindsOfSeats, Seats};

/// Events kept for `/pathz`.
const EVENTS: usize = 256;

/// Why a peer is not dialled of whose SCION address others told.
const NO_IDENTITY: &str =
    "there is no certificate to show over SCION; name cluster.authority, or ca_file in cluster.tls";

/// See the [module](self). Dropping it stops listening.
pub(super) struct ScionSide {
    hosts: Hosts,
    /// Those that hold now; shared with all who look at them.
    options: Arc<ArcSwap<ScionOptions>>,
    paths: Arc<Paths>,
    identities: Identities,
    door: Door,
    seats: KindsOfSeats,
    lanes: LaneChoice,
    endpoints: Vec<Endpoint>,
    tasks: JoinSet<()>,
}

/// What a reload needs to have read before anything changes.
pub(super) struct NewIdentities(Identities);

impl NewIdentities {
    /// Certificates are read again whether the options name others or not. `None` without SCION.
    ///
    /// # Errors
    ///
    /// When one is not what it should be.
    pub(super) fn read(options: &Options) -> Result<Option<Self>, IdentityError> {
        options.speaks_quic().then(|| Identities::read(options).map(Self)).transpose()
    }
}

impl ScionSide {
    /// Starts the SCION host, and that for plain UDP, as far as the options want them. The daemon may be missing; it is looked
    /// for until it comes.
    ///
    /// # Errors
    ///
    /// When the daemon's address cannot be one, or there is no certificate to show and none can be made.
    pub(super) fn start(hub: &Arc<Hub>, options: &Options) -> Result<Self, StartError> {
        let identities = Identities::read(options)?;
        let hosts = Hosts::start(options)?;
        let current = Arc::new(ArcSwap::from_pointee(options.scion_with_rules().unwrap_or_default()));
        let (door, lanes) = (Door::new(current.clone()), LaneChoice::new(current.clone()));
        let seats = Seats::new(current.clone());
        let paths = Arc::new(Paths {
            hosts: hosts.clone(),
            hub: Arc::clone(hub),
            lanes: lanes.clone(),
            options: current.clone(),
            seats: seats.clone(),
            history: Mutex::default(),
        });
        let mut tasks = JoinSet::new();
        for host in hosts.all() {
            tasks.spawn(keep_history(Arc::clone(&paths), host.clone()));
        }
        if let Some(dir) = identities.authority.clone() {
            tasks.spawn(renewal::keep(Arc::clone(hub), identities.clone(), dir));
        }
        let seats = KindsOfSeats::new(seats);
        Ok(Self { hosts, options: current, paths, identities, door, seats, lanes, endpoints: Vec::new(), tasks })
    }

    /// Takes clients at `address`.
    pub(super) async fn listen_for_clients(
        &mut self,
        hub: &Arc<Hub>,
        address: ScionAddr,
        tls: Option<Arc<ClientTls>>,
    ) -> Result<(), StartError> {
        let listener = Arc::new(Listener {
            host: format!("[{},{}]", address.isd_as, address.host),
            port: address.port,
            tls: tls.clone(),
            sealed: true,
            proxied: false,
            websocket: None,
        });
        let hub = Arc::clone(hub);
        let identity = self.identities.clients.load_full();
        let serve = move |stream: Stream| {
            let maps = listener.tls.as_ref().is_some_and(|tls| tls.terms().maps);
            let facts = Facts::of_certificates(&stream.peer_certificates(), maps);
            listener.serve_sealed(&hub, scion::connection(stream), facts);
        };
        self.listen(&Listen::Scion(address), Kinds::CLIENTS, identity, tls, serve).await
    }

    /// Takes routes at the addresses for SCION and UDP among `listen`.
    pub(super) async fn listen_for_routes(
        &mut self,
        listen: &[Listen],
        routes: &Arc<Routes>,
    ) -> Result<(), StartError> {
        for address in listen.iter().filter(|listen| !matches!(listen, Listen::Tcp { .. })) {
            let Some(host) = self.hosts.of(address).cloned() else { continue };
            let (routes, lanes) = (Arc::clone(routes), self.lanes.clone());
            let identity = self.identities.routes.load_full();
            let serve = move |stream: Stream| {
                let shown = stream.peer_certificates();
                routes.serve(lanes.steered(&host, stream), &shown);
            };
            self.listen(address, Kinds::ROUTES, identity, None, serve).await?;
        }
        Ok(())
    }

    /// Takes leaf nodes at the SCION addresses among `listen`: like routes, from those whom the cluster's authority vouches for.
    pub(super) async fn listen_for_leafs(&mut self, listen: &[Listen], leafs: &Arc<Leafs>) -> Result<(), StartError> {
        for address in scion_addresses(listen) {
            let leafs = Arc::clone(leafs);
            let identity = self.identities.routes.load_full();
            let serve = move |stream: Stream| leafs.serve(scion::connection(stream));
            self.listen(&Listen::Scion(address), Kinds::LEAFS, identity, None, serve).await?;
        }
        Ok(())
    }

    /// Takes servers of other clusters at the SCION addresses among `listen`: like routes, from those whom the cluster's authority
    /// vouches for.
    pub(super) async fn listen_for_gateways(
        &mut self,
        listen: &[Listen],
        gateways: &Arc<SuperCluster>,
    ) -> Result<(), StartError> {
        for address in scion_addresses(listen) {
            let gateways = Arc::clone(gateways);
            let identity = self.identities.routes.load_full();
            let serve = move |stream: Stream| {
                let shown = stream.peer_certificates();
                gateways.serve(scion::connection(stream), &shown);
            };
            self.listen(&Listen::Scion(address), Kinds::GATEWAYS, identity, None, serve).await?;
        }
        Ok(())
    }

    async fn listen(
        &mut self,
        address: &Listen,
        Kinds { what, option, at }: Kinds,
        identity: Option<Arc<Identity>>,
        tls: Option<Arc<ClientTls>>,
        serve: impl Fn(Stream) + Send + Sync + 'static,
    ) -> Result<(), StartError> {
        let endpoint = self.hosts.listen(address, identity).await;
        let endpoint = endpoint.map_err(|source| StartError::ScionListen { option, source })?.accepting(at);
        let over = if matches!(address, Listen::Scion(_)) { " (SCION)" } else { "" };
        log::info!("Listening for {what} connections on {address}{over}");
        self.endpoints.push(endpoint.clone());
        let door = self.door.clone();
        let in_as = matches!(address, Listen::Scion(_));
        let admits = move |peer| {
            // Who is in no AS has the certificate alone to show.
            if in_as && !door.admits(what, peer) {
                return false;
            }
            let throttled = tls.as_ref().is_some_and(|tls| !tls.terms().admits());
            if throttled {
                door.refused(what, peer, "there are more handshakes than connection_rate_limit of tls");
            }
            !throttled
        };
        let door = self.door.clone();
        let refused = move |peer, reason: &str| door.refused(what, peer, reason);
        let seats = self.seats.of(what);
        self.tasks.spawn(accept(endpoint, seats, admits, refused, serve));
        Ok(())
    }

    /// Gives routes what they need to speak SCION.
    pub(super) fn surround(&self, cluster: &ClusterOptions, around: &mut Surroundings) {
        around.scion_dial = Some(self.dial(cluster.tls.is_some()));
        if self.identities.routes.load().is_none() {
            return;
        }
        around.dials_udp = self.hosts.plain.is_some();
        around.scion_urls = cluster.listen.iter().filter_map(url).collect();
        around.tunnel = Some(self.tunnel());
    }

    /// How routes and leaf nodes dial over SCION, and routes over UDP; `tls` if their TCP ports wait for that.
    pub(super) fn dial(&self, tls: bool) -> ScionDial {
        let (hosts, identities, lanes) = (self.hosts.clone(), self.identities.clone(), self.lanes.clone());
        let dialers = Arc::<[Dialers; 2]>::default();
        Arc::new(move |address, tcp, slot| {
            let (hosts, identity, dialers) = (hosts.clone(), identities.routes.load_full(), Arc::clone(&dialers));
            let lane = lanes.lane(slot);
            Box::pin(async move {
                let identity = identity.ok_or_else(|| std::io::Error::other(NO_IDENTITY))?;
                let (host, dialers) = hosts.towards(&address, &dialers)?;
                let endpoint = dialers.of(&lane, host, &identity).map_err(std::io::Error::other)?;
                let tcp = tcp.map(|(host, port)| TcpFallback { address: format!("{host}:{port}"), tls });
                let stream = match &address {
                    QuicAddr::Scion(address) => endpoint.dial_in(lane, *address, tcp).await,
                    QuicAddr::Udp(address) => endpoint.dial_plain(lane, address, tcp).await,
                };
                stream.map(scion::connection).map_err(scion::dial_error)
            })
        })
    }

    /// What takes TCP connections that carry SCION.
    fn tunnel(&self) -> TunnelHook {
        let hosts: Vec<_> = self.hosts.all().cloned().collect();
        Arc::new(move |stream| Host::accept_tunnel_to(hosts.clone(), stream, Bytes::new()))
    }

    /// Reads the AS's topology file again, if there is one.
    ///
    /// # Errors
    ///
    /// When it cannot be used.
    pub(super) fn reread(&self) -> Result<(), StartError> {
        self.hosts.scion.as_ref().map_or(Ok(()), |host| host.reload().map_err(StartError::Scion))
    }

    /// What monitoring asks.
    pub(super) fn path_source(&self) -> Arc<dyn PathSource> {
        Arc::clone(&self.paths) as _
    }

    /// From now on shows and believes this, and lets those in and chooses paths as `options` say. Connections stay.
    pub(super) fn adopt(&self, new: &NewIdentities, options: &Options) {
        self.identities.become_like(&new.0);
        let scion = options.scion_with_rules().unwrap_or_default();
        let before = self.options.swap(Arc::new(scion.clone()));
        if let Some(host) = self.hosts.scion.as_ref().filter(|_| scion.wishes != before.wishes) {
            host.set_wishes(scion.wishes.clone());
        }
        if let Some(host) = &self.hosts.plain {
            host.set_wishes(plain::wishes(options));
        }
        if let Some(host) = self.hosts.scion.as_ref().filter(|_| scion.probe_budget != before.probe_budget) {
            host.set_probe_budget(scion.probe_budget);
        }
    }

    /// Takes no more connections; those that there are go on.
    pub(super) fn stop_accepting(&mut self) {
        self.tasks.abort_all();
    }

    /// Ends what is left of the QUIC connections.
    pub(super) fn close(&self) {
        self.endpoints.iter().for_each(Endpoint::close);
    }
}

/// What is listened for, and the option that says where.
struct Kinds {
    what: &'static str,
    option: &'static str,
    at: At,
}

impl Kinds {
    const CLIENTS: Self = Self { what: "client", option: "listen", at: At::Clients };
    const ROUTES: Self = Self { what: "route", option: "cluster.listen", at: At::Cluster };
    const GATEWAYS: Self = Self { what: "gateway", option: "gateway.listen", at: At::Gateway };
    const LEAFS: Self = Self { what: "leafnode", option: "leafnodes.listen", at: At::Leafnodes };
}

/// The SCION addresses of a list.
fn scion_addresses(listen: &[Listen]) -> impl Iterator<Item = ScionAddr> {
    listen.iter().filter_map(|listen| match listen {
        Listen::Scion(address) => Some(*address),
        Listen::Tcp { .. } | Listen::Udp(_) => None,
    })
}

/// As peers are told of it, if it is for QUIC.
fn url(listen: &Listen) -> Option<String> {
    match listen {
        Listen::Tcp { .. } => None,
        Listen::Scion(address) => Some(format!("nats-route://{address}")),
        Listen::Udp(_) => Some(listen.to_string()),
    }
}

/// Accepts whom `admits` lets begin, until the endpoint closes; of those whom the handshake turns away, `refused` is told.
/// Handshakes run beside each other, so that a slow peer delays nobody.
fn accept(
    endpoint: Endpoint,
    seats: Seats,
    admits: impl Fn(ScionAddr) -> bool + Send + 'static,
    refused: impl Fn(ScionAddr, &str) + Send + Sync + 'static,
    serve: impl Fn(Stream) + Send + Sync + 'static,
) -> impl Future<Output = ()> + Send + 'static {
    let (serve, refused) = (Arc::new(serve), Arc::new(refused));
    let handshakes = Handshakes::default();
    async move {
        loop {
            handshakes.room().await;
            let Some(incoming) = endpoint.accept().await else { return };
            let peer = incoming.peer();
            let handshake = match handshakes.turn(peer.isd_as, incoming.is_proven()) {
                Turn::Prove => {
                    incoming.ask_for_proof();
                    continue;
                }
                Turn::Refuse => {
                    refused(peer, "there are too many handshakes of its AS");
                    incoming.refuse();
                    continue;
                }
                Turn::Begin(_) if !admits(peer) => {
                    incoming.refuse();
                    continue;
                }
                Turn::Begin(handshake) => match seats.are_taken(peer.isd_as) {
                    Some(reason) => {
                        refused(peer, &reason);
                        incoming.refuse();
                        continue;
                    }
                    None => handshake,
                },
            };
            let seats = seats.clone();
            let (serve, refused) = (Arc::clone(&serve), Arc::clone(&refused));
            tokio::spawn(async move {
                let _handshake = handshake;
                match incoming.await {
                    Ok(stream) => match seats.take(peer.isd_as) {
                        Ok(seat) => {
                            stream.hold(seat);
                            serve(stream);
                        }
                        // Others of its AS were quicker with their handshakes.
                        Err(reason) => refused(peer, &reason),
                    },
                    Err(error) => match error.refusal() {
                        Some(reason) => refused(peer, &reason),
                        None => log::debug!("SCION connection gone before it was served: {error}"),
                    },
                }
            });
        }
    }
}

/// The paths of this server and what happened to them.
struct Paths {
    hosts: Hosts,
    hub: Arc<Hub>,
    lanes: LaneChoice,
    options: Arc<ArcSwap<ScionOptions>>,
    seats: Seats,
    history: Mutex<History>,
}

/// An AS or a host, and which of the traffic there.
type Heading = (Place, Lane, Terms);

#[derive(Default)]
struct History {
    events: VecDeque<api::PathEvent>,
    /// Paths that events name, those that are gone too.
    names: HashMap<(Heading, PathId), Fingerprint>,
    /// How often the traffic moved to another path.
    switches: HashMap<Heading, u64>,
}

impl History {
    fn record(&mut self, event: &PathEvent) -> api::PathEvent {
        let heading = (event.remote, event.lane.clone(), event.terms.clone());
        if let EventKind::Added { path, fingerprint } = event.kind {
            self.names.insert((heading.clone(), path), fingerprint);
        }
        if let EventKind::Switch { from: Some(_), .. } = event.kind {
            *self.switches.entry(heading.clone()).or_default() += 1;
        }
        let name = |path| self.names.get(&(heading.clone(), path)).copied();
        let seen = path_event(event.when, event.remote, &event.kind, name);
        let seen = api::PathEvent { lane: lane_name(&event.lane, &event.terms), ..seen };
        if let EventKind::Removed { path } = event.kind {
            self.names.remove(&(heading, path));
        }
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(seen.clone());
        seen
    }
}

impl PathSource for Paths {
    fn pathz(&self, server_id: &str, history: Option<SystemTime>) -> api::Pathz {
        let now = SystemTime::now();
        let status = self.hosts.scion.as_ref().map(Host::status);
        let local_as = status.as_ref().and_then(|status| status.local_as);
        let mut links = self.links();
        let look = if history.is_some() { Host::paths_with_history } else { Host::paths };
        let paths: Vec<_> = self.hosts.all().flat_map(look).collect();
        let happened = self.history.lock();
        let peers = paths.into_iter().map(|peer| {
            let ends = |path: &PathId| peer.ends.get(path).copied();
            let paths = peer_info(peer.remote, Vec::new(), &peer.paths, ends, now);
            let links = links_of(&peer, &mut links);
            let heading = (peer.remote, peer.lane, peer.terms);
            let mut info = api::PeerInfo {
                lane: lane_name(&heading.1, &heading.2),
                path_preference: peer.policy.preference.words(),
                rules: peer.policy.lines(),
                switches: happened.switches.get(&heading).copied().unwrap_or(0),
                links,
                ..paths
            };
            if let (Some(history), Some(since)) = (&peer.history, history) {
                add_history(&mut info, history, since, now);
            }
            info
        });
        api::Pathz {
            server_id: server_id.to_owned(),
            now: now.into(),
            local_as: local_as.map(|local| local.to_string()),
            daemon: status.map(daemon).unwrap_or_default(),
            path_preference: self.options.load().wishes.policy.preference.words(),
            peers: peers.collect(),
            refused_connections: self.seats.refused(),
            events: happened.events.iter().cloned().collect(),
        }
    }
}

impl Paths {
    /// The links over SCION by the peer and the lane.
    fn links(&self) -> HashMap<(Peer, Lane), Vec<api::Link>> {
        let mut links = HashMap::<_, Vec<_>>::new();
        for link in self.hub.links() {
            let peer = link.peer();
            if !matches!(peer, Peer::Tcp(_)) {
                let kind = match link.kind {
                    Kind::Client => api::LinkKind::Client,
                    Kind::Route => api::LinkKind::Route,
                    Kind::Leaf => api::LinkKind::Leaf,
                    Kind::Gateway => api::LinkKind::Gateway,
                    Kind::System => continue,
                };
                let since = link.started_at.into();
                let lane = link.server.get().map(|server| self.lanes.lane(&server.slot)).unwrap_or_default();
                let addr = peer.to_string();
                links.entry((peer, lane)).or_default().push(api::Link { addr, kind, since });
            }
        }
        links
    }
}

/// Those of `links` that these paths carry.
fn links_of(paths: &PeerPaths, links: &mut HashMap<(Peer, Lane), Vec<api::Link>>) -> Vec<api::Link> {
    let peers = paths.peers.iter().map(|(address, _)| match paths.remote {
        Place::As(_) => Peer::Scion(*address),
        Place::Host(host) => Peer::Udp(host),
    });
    peers.filter_map(|peer| links.remove(&(peer, paths.lane.clone()))).flatten().collect()
}

fn daemon(status: Status) -> api::Daemon {
    let (state, since, error) = match status.state {
        Ok(since) => (api::DaemonState::Up, since, None),
        Err((since, error)) => (api::DaemonState::Down, since, Some(error.to_string())),
    };
    api::Daemon { address: status.daemon, state, since: since.into(), error }
}

/// As monitoring names it.
fn lane_name(lane: &Lane, terms: &Terms) -> String {
    let lane = match lane {
        Lane::Numbered(0) => String::new(),
        Lane::Numbered(number) => format!("lane {number}"),
        Lane::Account(name) => format!("account {name}"),
        Lane::Subjects(pattern, 0) => format!("subjects {pattern}"),
        Lane::Subjects(pattern, number) => format!("subjects {pattern}, lane {number}"),
    };
    let at = terms.at.map(|at| format!("accepted at {at}"));
    let told = terms.told.as_deref().map(|told| format!("rules of the peer {:04x}", digest(told)));
    [Some(lane).filter(|lane| !lane.is_empty()), at, told].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Tells lists of rules apart.
fn digest(rules: &str) -> u16 {
    let mut hasher = std::hash::DefaultHasher::new();
    rules.hash(&mut hasher);
    hasher.finish() as u16
}

/// Keeps what happens to paths.
async fn keep_history(paths: Arc<Paths>, host: Host) {
    let mut events = host.events();
    loop {
        match events.recv().await {
            Ok(event) => {
                let seen = paths.history.lock().record(&event);
                paths.hub.journal.add(seen.into());
            }
            Err(RecvError::Lagged(missed)) => log::warn!("{missed} path events came too fast to be kept"),
            Err(RecvError::Closed) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::Server;

    #[tokio::test]
    async fn an_address_that_cannot_be_bound_is_told_with_its_option() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let port = taken.local_addr().expect("bound").port();
        let address = format!("1-ff00:0:111,127.0.0.1:{port}").parse().expect("an address");
        let scion = Some(ScionOptions { daemon: Some("127.0.0.1:1".into()), ..ScionOptions::default() });
        let refusal = async |options| match Server::start(options).await {
            Ok(_) => panic!("the port is taken"),
            Err(error) => error.to_string(),
        };

        let listen = vec![Listen::Scion(address)];
        let dir = tempfile::tempdir().expect("a directory");
        let authority = || Some(dir.path().to_owned());
        let cluster =
            Some(ClusterOptions { listen: listen.clone(), authority: authority(), ..ClusterOptions::default() });
        let routes = refusal(Options { scion: scion.clone(), listen: Vec::new(), cluster, ..Options::default() }).await;
        assert!(routes.starts_with("cluster.listen: cannot bind 127.0.0.1:"), "{routes}");
        assert!(routes.ends_with("; choose another address, or end what has it"), "{routes}");

        let cluster = Some(ClusterOptions { authority: authority(), ..ClusterOptions::default() });
        let clients = refusal(Options { scion, listen, cluster, ..Options::default() }).await;
        assert!(clients.starts_with("listen: cannot bind 127.0.0.1:"), "{clients}");
    }
}
