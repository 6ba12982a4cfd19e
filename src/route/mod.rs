//! Routes: connections to the other servers of the cluster.
//!
//! `natsd_core::route` says what is to be done; here it is done. [`registry`] shares the cluster among the tasks of all
//! routes, [`protocol`] is one end of a route, [`link`] is that among the other connections of the server, [`interest`]
//! tells peers what clients here subscribe to, [`gate`] knows who may be a peer, [`dial`] and [`race`] find a way to a peer, [`accept`] takes those who find us.

mod accept;
mod classes;
mod dag;
mod dial;
pub(crate) mod gate;
mod interest;
mod link;
mod protocol;
mod race;
mod registry;
#[cfg(test)]
mod simulation;
mod spread;
mod status;
mod trace;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use natsd_auth::{CertificateNames, Rule, Rules};
use natsd_core::advertised::with_port;
use natsd_core::compression::Mode;
use natsd_core::error::CloseReason;
use natsd_core::route::cluster::{ClientUrls, Cluster, Config, Dial, LinkId, Place, Terms};
use natsd_core::route::dag::FORGET;
use natsd_core::route::dedicated::Dedicated;
use natsd_core::route::hello::{PROTOCOL, RouteInfo, SubjectRules};
use natsd_core::route::session::Timing;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

#[cfg(feature = "scion")]
use crate::config::options::TlsOptions;
use crate::config::options::{ClusterOptions, HostPort, Listen};
use crate::hub::Hub;
use crate::link::outbound::Outbound;
use crate::link::task::{LinkTask, Source};
use crate::link::{Kind, Link};
use crate::server::identity::{COMPATIBLE_VERSION, COMPILER, Identity, VERSION, unique_id};
#[cfg(feature = "scion")]
use crate::tls::Facts;
use crate::tls::RouteTls;
use crate::transport::{Connection, Peer};
pub(crate) use accept::{RoutesError, TunnelHook};
#[cfg(feature = "scion")]
pub(crate) use classes::most_specific;
pub(crate) use classes::{Carrier, Carriers, Class};
use dag::HopRoutes;
pub(crate) use dag::{Copies, FarServer};
pub(crate) use dial::ScionDial;
use dial::{Dialled, Dialler};
use gate::Gate;
use interest::Announcer;
use link::RouteLink;
use protocol::RouteProtocol;
pub(crate) use registry::View;
use registry::{Registry, system_clock};
pub(crate) use spread::Spread;
pub(crate) use status::RouteStatus;

/// Until a peer that we dialled must have; longer, as it may be far away.
const DIALLED_HANDSHAKE: Duration = Duration::from_secs(5);
/// Until the first ping.
const FIRST_PING: Duration = Duration::from_secs(1);

/// What routes need that is not in the configuration.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// Where clients reach this server.
    pub client_urls: ClientUrls,
    /// Where this server takes leaf nodes; at most one.
    pub leafnode_urls: Vec<String>,
    /// Where this server takes routes over SCION, `nats-route://[ISD-AS,host]:port`, and over UDP, `udp://[host,host]:port`.
    pub scion_urls: Vec<String>,
    /// Where this server takes other clusters: `host:port`; or empty.
    pub gateway_url: String,
    /// Makes connections over SCION, and over UDP.
    pub scion_dial: Option<ScionDial>,
    /// Whether the latter is possible.
    pub dials_udp: bool,
    /// Takes TCP connections that turn out to carry SCION; their `INFO` says so.
    pub tunnel: Option<TunnelHook>,
}

/// The routes of a server.
pub(crate) struct Routes {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    tasks: Mutex<JoinSet<()>>,
}

struct Shared {
    hub: Arc<Hub>,
    options: ArcSwap<ClusterOptions>,
    /// The number of the next configured route.
    next_route: Mutex<usize>,
    registry: Arc<Registry>,
    announcer: Arc<Announcer>,
    dialler: Dialler,
    tls: Option<Arc<RouteTls>>,
    tunnel: Option<TunnelHook>,
}

impl Routes {
    /// Listens for routes and dials the configured ones, until it is dropped.
    ///
    /// # Errors
    ///
    /// When a TCP listener cannot be bound, or TLS cannot be spoken as configured.
    pub(crate) async fn start(
        hub: Arc<Hub>,
        options: ClusterOptions,
        around: Surroundings,
    ) -> Result<Self, RoutesError> {
        let tls = options.tls.as_ref().map(RouteTls::new).transpose()?.map(Arc::new);
        let mut sockets = Vec::new();
        for listen in &options.listen {
            if let Listen::Tcp { host, port } = listen {
                sockets.push((host.clone(), accept::bind(host, *port).await?));
            }
        }
        let addresses = sockets.iter().filter_map(|(_, socket)| socket.local_addr().ok()).collect::<Vec<_>>();
        let first = sockets.first().map(|(host, _)| host.clone()).zip(addresses.first().map(SocketAddr::port));
        let info = own_info(&hub, &options, first, &around);
        log::info!("Cluster name is {}", info.cluster);
        let dedicated = dedicated(&hub, &options);
        let config = Config {
            info,
            routes: options.routes.len(),
            pool_size: options.pool(),
            dag: options.is_dag(),
            dedicated: dedicated.clone(),
            classes: classes(&hub, &options).iter().map(Class::told).collect(),
            shared: shared_accounts(&hub),
            advertise: !options.no_advertise,
            connect_retries: options.connect_retries,
            connect_backoff: options.connect_backoff,
            passive: options.passive,
            seed: fastrand::u64(..),
        };
        let gate = Gate::new(gate::Terms::of(&options), hub.slow_checks.clone());
        let compression = options.compression.clone();
        let registry = Arc::new(Registry::new(gate, compression, system_clock(), |now| Cluster::new(config, now)));
        let Identity { id, name, .. } = &hub.identity;
        let hops = options.is_dag().then(|| Arc::new(HopRoutes::new(id, name, system_clock())));
        let announcer = Announcer::new(options.pool(), dedicated, options.permissions.clone()).over(hops.clone());
        let announcer = Arc::new(announcer);
        announcer.set_classes(classes(&hub, &options));
        let _ = hub.observer.set(announcer.clone());
        announcer.begin(&hub.accounts.with_strangers());
        let Surroundings { scion_dial, dials_udp, tunnel, .. } = around;
        let dialler = Dialler::new(options.routes.clone(), (scion_dial, dials_udp), tls.clone());
        let next_route = Mutex::new(options.routes.len());
        let options = ArcSwap::from_pointee(options);
        let shared = Arc::new(Shared { hub, options, next_route, registry, announcer, dialler, tls, tunnel });
        let mut tasks = JoinSet::new();
        for (host, socket) in sockets {
            if let Ok(address) = socket.local_addr() {
                log::info!("Listening for route connections on {}", HostPort(&host, address.port()));
            }
            tasks.spawn(accept::accept(shared.clone(), socket));
        }
        tasks.spawn(dial_all(shared.clone()));
        if let Some(hops) = hops {
            tasks.spawn(forget_lost(shared.hub.clone(), hops));
        }
        Ok(Self { shared, addresses, tasks: Mutex::new(tasks) })
    }

    /// How they speak TLS, if they do.
    pub(crate) fn tls(&self) -> Option<&RouteTls> {
        self.shared.tls.as_deref()
    }

    /// Where TCP routes are taken, as bound.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What clients are to be told of the cluster.
    pub(crate) fn view(&self) -> watch::Receiver<View> {
        self.shared.registry.view()
    }

    /// Takes a connection that was accepted elsewhere: over SCION, from a peer that has shown these certificates.
    #[cfg(feature = "scion")]
    pub(crate) fn serve(&self, connection: Connection, shown: &[rustls::pki_types::CertificateDer<'static>]) {
        let maps = self.shared.options.load().tls.as_ref().is_some_and(TlsOptions::maps);
        self.shared.serve_certified(connection, Facts::of_certificates(shown, maps).names);
    }

    /// Tells the peers that clients are sent away.
    pub(crate) fn enter_lame_duck(&self) {
        self.shared.registry.drive(None, |cluster, _| cluster.enter_lame_duck());
    }

    /// Takes over what can change of `options`; clients reach this server at `client_urls`.
    pub(crate) fn reload(&self, options: &ClusterOptions, client_urls: &ClientUrls) {
        let shared = &self.shared;
        let (import, export) = rules(options);
        let terms = Terms {
            auth_required: options.login.is_some(),
            import,
            export,
            ip: advertised(options, self.addresses.first().map_or(0, SocketAddr::port)),
            client_urls: client_urls.clone(),
            max_payload: shared.hub.options().max_payload as i64,
            advertise: !options.no_advertise,
            connect_retries: options.connect_retries,
            connect_backoff: options.connect_backoff,
            compression: options.compression.name(),
        };
        let (gone, new) = shared.dialler.reconfigure(&options.routes, &mut shared.next_route.lock());
        let other_peers = shared.registry.gate.set(gate::Terms::of(options));
        let before = shared.options.swap(Arc::new(options.clone()));
        if before.compression != options.compression {
            shared.change_compression(&options.compression);
        }
        let classes = classes(&shared.hub, options);
        let other_classes = shared.announcer.set_classes(classes.clone());
        if (before.pool(), &before.accounts) != (options.pool(), &options.accounts) || other_classes {
            let dedicated = dedicated(&shared.hub, options);
            shared.announcer.set_pool(options.pool(), dedicated.clone());
            let classes = classes.iter().map(Class::told).collect();
            shared.registry.set_pool(options.pool(), dedicated, classes);
        }
        let other_subjects = before.permissions != options.permissions;
        if other_subjects {
            shared.announcer.set_permissions(options.permissions.clone(), &shared.hub.accounts.with_strangers());
            shared.hub.accounts.forget_matches();
        }
        if other_subjects || other_peers {
            shared.registry.renew();
        }
        shared.registry.drive(None, |cluster, now| {
            cluster.set_terms(terms);
            gone.iter().for_each(|route| cluster.remove_route(*route, now));
            new.iter().for_each(|route| cluster.add_route(*route, now));
        });
    }

    /// The open routes, oldest first.
    pub(crate) fn status(&self) -> Vec<RouteStatus> {
        self.shared.announcer.status()
    }

    /// Takes and makes no more routes; those that there are end with the server's other connections.
    pub(crate) fn stop(&self) {
        self.tasks.lock().abort_all();
    }
}

impl Shared {
    fn change_compression(&self, mode: &Mode) {
        self.registry.compression.store(Arc::new(mode.clone()));
        for route in self.announcer.status() {
            if route.link.change_compression(mode) {
                route.link.close(CloseReason::CompressionChanged);
            }
        }
    }

    fn timing(&self, handshake: Duration) -> Timing {
        let ClusterOptions { ping_interval, ping_max, .. } = **self.options.load();
        let longest = ClusterOptions::default().ping_interval;
        Timing { handshake, first_ping: FIRST_PING, ping_interval: ping_interval.min(longest), ping_max }
    }

    /// A peer came to us.
    fn serve(self: &Arc<Self>, connection: Connection) {
        self.serve_accepted(connection, None, false);
    }

    /// As [`serve`](Self::serve), after our `INFO` has been sent.
    fn serve_greeted(self: &Arc<Self>, connection: Connection) {
        self.serve_accepted(connection, None, true);
    }

    /// As [`serve`](Self::serve), of a peer whose certificate has these names.
    fn serve_certified(self: &Arc<Self>, connection: Connection, names: Option<Arc<CertificateNames>>) {
        self.serve_accepted(connection, names, false);
    }

    fn serve_accepted(self: &Arc<Self>, connection: Connection, names: Option<Arc<CertificateNames>>, greeted: bool) {
        let timing = self.timing(self.options.load().auth_timeout);
        self.run(connection, |shared, link, observed| {
            RouteProtocol::acceptor(shared.registry.clone(), link, timing, observed, greeted).with_names(names)
        });
    }

    /// We came to a peer.
    fn serve_dialled(self: &Arc<Self>, dial: Dial, (connection, credentials): Dialled) {
        let timing = self.timing(DIALLED_HANDSHAKE);
        // Servers heard of are of the same cluster.
        let credentials = match dial.place {
            Place::Configured(_) => credentials,
            Place::Told(_) => self.options.load().login.clone().map(|login| (login.user, login.password)),
        };
        let place = dial.place.clone();
        let link = self.run(connection, |shared, link, observed| {
            RouteProtocol::dialer(shared.registry.clone(), link, timing, observed, dial, credentials)
        });
        self.dialler.note(&place, &link);
    }

    fn run(
        self: &Arc<Self>,
        connection: Connection,
        protocol: impl FnOnce(&Self, LinkId, Option<String>) -> RouteProtocol,
    ) -> Arc<Link> {
        let Connection { stream, peer, steering } = connection;
        let observed = match peer {
            Peer::Tcp(_) => Some(peer.host()),
            Peer::Scion(_) | Peer::Udp(_) => None,
        };
        let (source, sink) = Source::split(stream);
        let hub = &self.hub;
        let limits = hub.outbound_limits(Kind::Route);
        let link = Arc::new(Link::new(hub.next_id(), Kind::Route, peer, None, Outbound::new(sink), limits));
        hub.register(&link);
        let commands = self.registry.enrol(LinkId(link.id));
        let protocol = protocol(self, LinkId(link.id), observed);
        let route = RouteLink::new(protocol, commands, link.clone(), hub.clone(), self.announcer.clone(), steering);
        tokio::spawn(LinkTask::new(link.clone(), hub.clone(), route, source, limits));
        link
    }
}

/// Forgets servers that have not been reached for long.
async fn forget_lost(hub: Arc<Hub>, hops: Arc<HopRoutes>) {
    let mut turns = tokio::time::interval(FORGET / 6);
    loop {
        turns.tick().await;
        hops.forget_lost(&hub);
    }
}

/// Makes the connections that the cluster wants.
async fn dial_all(shared: Arc<Shared>) {
    let mut dials = JoinSet::new();
    loop {
        tokio::select! {
            dial = shared.registry.next_dial() => {
                dials.spawn(dial_one(shared.clone(), dial));
            }
            Some(_) = dials.join_next() => {}
        }
    }
}

async fn dial_one(shared: Arc<Shared>, dial: Dial) {
    match shared.dialler.connect(&dial.place, &dial.slot).await {
        Ok(dialled) => shared.serve_dialled(dial, dialled),
        Err(errors) => {
            let attempt = dial.attempt + 1;
            let level = shared.hub.options().level_of_failure(attempt, dial.again);
            for error in errors {
                log::log!(level, "Error trying to connect to route (attempt {attempt}): {error}");
            }
            shared.registry.drive(None, |cluster, now| cluster.handle_dial_failed(dial.id, false, now));
        }
    }
}

/// The accounts that share the connections of a pool.
fn shared_accounts(hub: &Hub) -> Vec<String> {
    let accounts = hub.accounts.all().into_iter().filter(|account| !hub.is_system(account));
    accounts.map(|account| account.display_name()).collect()
}

/// The accounts that are to have connections of their own.
fn dedicated(hub: &Hub, options: &ClusterOptions) -> Dedicated {
    Dedicated::new(
        options.accounts.clone(),
        hub.options().system_account.clone(),
        options.pool().is_none() || options.is_dag(),
    )
}

/// The messages that are to have connections of their own.
fn classes(hub: &Hub, options: &ClusterOptions) -> Vec<Class> {
    let pooled = options.pool().is_some() && !options.is_dag();
    let options = hub.options();
    let subjects = options.scion.iter().filter(|_| pooled).flat_map(|scion| &scion.wishes.subjects);
    let class = |(pattern, class): (&String, &natsd_path::Class)| Class {
        pattern: pattern.clone(),
        strict: class.wanted.rules.is_strict() || class.wanted.rules.tcp == Some(false),
        spread: class.spread,
    };
    subjects.map(class).collect()
}

/// As other servers are told.
pub(crate) fn subject_rules(rules: &Rules) -> SubjectRules {
    let text = |rules: &[Rule]| rules.iter().map(ToString::to_string).collect();
    SubjectRules { allow: text(&rules.allow), deny: text(&rules.deny) }
}

/// What may pass, as peers are told: imports and exports.
fn rules(options: &ClusterOptions) -> (Option<SubjectRules>, Option<SubjectRules>) {
    let told = |rules: &Rules| Some(rules).filter(|rules| **rules != Rules::default()).map(subject_rules);
    let permissions = options.permissions.as_ref();
    permissions.map(|permissions| (told(&permissions.import), told(&permissions.export))).unwrap_or_default()
}

/// What this server says of itself to peers.
fn own_info(hub: &Hub, options: &ClusterOptions, listener: Option<(String, u16)>, around: &Surroundings) -> RouteInfo {
    let (host, port) = listener.unwrap_or_default();
    let (import, export) = rules(options);
    let name = hub.options().cluster_name().map(str::to_owned);
    RouteInfo {
        server_id: hub.identity.id.clone(),
        server_name: hub.identity.name.clone(),
        version: COMPATIBLE_VERSION.into(),
        proto: PROTOCOL,
        go: COMPILER.into(),
        host,
        port,
        headers: !hub.options().no_header_support,
        auth_required: options.login.is_some(),
        tls_required: options.tls.is_some(),
        import,
        export,
        max_payload: hub.options().max_payload as i64,
        ip: advertised(options, port),
        cluster: name.clone().unwrap_or_else(unique_id),
        dynamic: name.is_none(),
        connect_urls: around.client_urls.plain.clone(),
        ws_connect_urls: around.client_urls.websocket.clone(),
        compression: options.compression.name().into(),
        leafnode_urls: around.leafnode_urls.clone(),
        leaf_origins: true,
        leaf_origins_gone: true,
        queues_only: true,
        gateway_url: around.gateway_url.clone(),
        natsd: VERSION.into(),
        scion_tunnel: around.tunnel.is_some(),
        scion_urls: around.scion_urls.clone(),
        ..RouteInfo::default()
    }
}

/// The URL that peers are told in place of the address that they see; empty for none.
fn advertised(options: &ClusterOptions, port: u16) -> String {
    let told = |advertised: &String| format!("nats-route://{}/", with_port(advertised, port));
    options.advertise.as_ref().map(told).unwrap_or_default()
}
