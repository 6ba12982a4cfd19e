//! The running server, as monitoring sees it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use natsd_api::{
    AccountInfo, AccountStat, ClusterVarz, GatewayStat, Gatewayz, LeafInfo, LinkCounts, Pathz, ProxiesVarz, ProxyInfo,
    Time, Varz, WebsocketVarz,
};
use natsd_core::connect::Settings;
use parking_lot::Mutex;

use super::inspect::{Client, Closed, GatewayQuery, Inspect, PathSource, Peer, Route, RoutePermissions, RouteSource};
use super::inspect::{Subscription, SubscriptionCounts, Token, Traffic};
use super::{accounts, gateways, leafs};
use crate::config::options::{
    ClusterOptions, DEFAULT_TIMEOUT, Listen, Options, PeerAddr, TlsOptions, WebsocketOptions,
};
use crate::gateway::SuperCluster;
use crate::hub::{self, Hub};
use crate::journal::Journal;
use crate::leaf::Leafs;
use crate::link::{Kind, Link};
use crate::operators::Pass;
use crate::server::identity::{COMPATIBLE_VERSION, COMPILER, VERSION};
use crate::tls::file_ends;
use crate::transport;

/// A server, with what knows its routes and its paths where it has them.
pub(crate) struct ServerView {
    pub hub: Arc<Hub>,
    /// Where the first listener takes clients.
    pub client_address: (String, u16),
    /// Where clients over WebSocket come in, as bound; 0 for nowhere.
    pub websocket_port: u16,
    pub routes: Option<Arc<dyn RouteSource>>,
    pub paths: Option<Arc<dyn PathSource>>,
    pub certificates: Arc<Mutex<Certificates>>,
    /// The first TCP port of routes, as bound.
    pub route_port: Option<u16>,
    pub leafs: Option<Arc<Leafs>>,
    pub gateways: Option<Arc<SuperCluster>>,
}

/// When the certificates in use end. Read when they are: who renews a file must see that the old one is still in use.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Certificates {
    clients: Option<Time>,
    routes: Option<Time>,
    leafs: Option<Time>,
    gateways: Option<Time>,
    websocket: Option<Time>,
}

impl Certificates {
    pub(crate) fn read(options: &Options) -> Self {
        let ends = |tls: Option<&TlsOptions>| file_ends(tls?.first_certificate()?).map(Time);
        let routes = options.cluster.as_ref().and_then(|cluster| cluster.tls.as_ref());
        let leafs = options.leafnodes.as_ref().and_then(|leafnodes| leafnodes.tls.as_ref());
        let websocket = options.websocket.as_ref().and_then(|websocket| websocket.tls.as_ref());
        Self {
            clients: ends(options.tls.as_ref()),
            routes: ends(routes),
            leafs: ends(leafs),
            gateways: ends(options.gateway.as_ref().and_then(|gateway| gateway.tls.as_ref())),
            websocket: ends(websocket),
        }
    }
}

impl Inspect for ServerView {
    fn server_id(&self) -> String {
        self.hub.identity.id.clone()
    }

    fn server_name(&self) -> String {
        self.hub.identity.name.clone()
    }

    fn varz(&self) -> Varz {
        let hub = &self.hub;
        let news = hub.news.borrow().clone();
        let certificates = *self.certificates.lock();
        let routes = self.routes();
        let mut remotes: Vec<_> = routes.iter().map(|route| &route.facts.remote_id).collect();
        remotes.sort_unstable();
        remotes.dedup();
        let (client_host, client_port) = self.client_address.clone();
        let (slow, stale) = (&hub.stats.slow_consumers, &hub.stats.stale_connections);
        let (received, sent) = (&hub.stats.received, &hub.stats.sent);
        Varz {
            server_id: self.server_id(),
            server_name: self.server_name(),
            version: COMPATIBLE_VERSION.into(),
            proto: 1,
            go: COMPILER.into(),
            host: client_host,
            port: client_port,
            connect_urls: news.connect_urls,
            cluster: ClusterVarz {
                ring: self.routes.as_ref().map(|routes| routes.ring()).unwrap_or_default(),
                tls_cert_not_after: certificates.routes,
                ..hub
                    .options()
                    .cluster
                    .as_ref()
                    .map(|options| cluster(options, news.cluster.clone(), self.route_port))
                    .unwrap_or_else(|| ClusterVarz { name: news.cluster.clone(), ..ClusterVarz::default() })
            },
            leaf: hub
                .options()
                .leafnodes
                .as_ref()
                .map(|options| leafs::varz(options, self.leafs.as_deref(), certificates.leafs))
                .unwrap_or_default(),
            gateway: hub
                .options()
                .gateway
                .as_ref()
                .map(|options| gateways::varz(options, self.gateways.as_deref(), certificates.gateways))
                .unwrap_or_default(),
            leafnodes: self.leafs(false).len() as u64,
            ws_connect_urls: news.ws_connect_urls,
            websocket: hub.options().websocket.as_ref().map(|options| self.websocket(options)).unwrap_or_default(),
            start: hub.started.into(),
            config_load_time: hub.loaded().into(),
            connections: hub.client_count() as u64,
            total_connections: hub.stats.clients.load(Relaxed),
            routes: routes.len() as u64,
            remotes: remotes.len() as u64,
            in_msgs: received.msgs.load(Relaxed),
            in_bytes: received.bytes.load(Relaxed),
            in_client_msgs: received.client_msgs.load(Relaxed),
            in_client_bytes: received.client_bytes.load(Relaxed),
            out_msgs: sent.msgs.load(Relaxed),
            out_bytes: sent.bytes.load(Relaxed),
            out_client_msgs: sent.client_msgs.load(Relaxed),
            out_client_bytes: sent.client_bytes.load(Relaxed),
            slow_consumers: slow.total(),
            slow_consumer_stats: link_counts(slow),
            stale_connections: stale.total(),
            stale_connection_stats: link_counts(stale),
            stalled_clients: hub.stats.stalled.load(Relaxed),
            subscriptions: self.subscription_counts("").now,
            tls_cert_not_after: certificates.clients,
            system_account: self.system_account(),
            natsd: VERSION.into(),
            ..limits(&hub.options())
        }
    }

    fn open_clients(&self) -> Vec<Client> {
        self.links(Kind::Client).iter().map(|link| client(link)).collect()
    }

    fn closed_clients(&self) -> Vec<Client> {
        self.hub.closed().iter().map(|closed| closed_client(closed)).collect()
    }

    fn subscriptions_of(&self, cid: u64) -> Vec<Subscription> {
        match self.hub.link(cid) {
            Some(link) if link.kind == Kind::Client => subscriptions(&link),
            Some(_) => self.routes.as_ref().map(|routes| routes.subscriptions_of(cid)).unwrap_or_default(),
            None => Vec::new(),
        }
    }

    fn routes(&self) -> Vec<Route> {
        let Some(source) = &self.routes else { return Vec::new() };
        let links = self.links(Kind::Route);
        links
            .iter()
            .filter_map(|link| {
                let facts = source.facts(link.id)?;
                Some(Route {
                    rid: link.id,
                    facts,
                    peer: peer(&link.peer()),
                    start: link.started_at,
                    last_activity: last_activity(link),
                    rtt: known(&link.rtt),
                    traffic: traffic(link),
                })
            })
            .collect()
    }

    fn route_permissions(&self) -> RoutePermissions {
        self.routes.as_ref().map(|routes| routes.permissions()).unwrap_or_default()
    }

    fn leafs(&self, subjects: bool) -> Vec<LeafInfo> {
        let open = self.leafs.as_ref().map(|leafs| leafs.open()).unwrap_or_default();
        open.iter().filter_map(|link| leafs::info(link, subjects)).collect()
    }

    fn gatewayz(&self, wanted: &GatewayQuery) -> Gatewayz {
        gateways::gatewayz(&self.hub, self.gateways.as_deref(), wanted)
    }

    fn gateway_stats(&self) -> Vec<GatewayStat> {
        gateways::stats(&self.hub, self.gateways.as_deref())
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        self.links(Kind::Client).iter().flat_map(|link| subscriptions(link)).collect()
    }

    fn subscription_counts(&self, of: &str) -> SubscriptionCounts {
        let mut counts = SubscriptionCounts::default();
        let accounts = self.hub.accounts.with_strangers();
        for account in accounts.into_iter().filter(|account| of.is_empty() || *account.name == *of.as_bytes()) {
            let (local, remote) = account.subscriptions();
            counts.now += (local + remote) as u64;
            counts.inserts += account.counts.inserts.load(Relaxed);
            counts.removes += account.counts.removes.load(Relaxed);
            counts.matches += account.counts.matches.load(Relaxed);
        }
        counts
    }

    fn system_account(&self) -> String {
        self.hub.options().system_account.clone().unwrap_or_default()
    }

    fn accounts(&self) -> Vec<String> {
        self.hub.accounts.all().iter().map(|account| account.display_name()).collect()
    }

    fn account(&self, name: &str) -> Option<AccountInfo> {
        self.hub.accounts.get(name.as_bytes()).map(|account| accounts::info(&self.hub, &account))
    }

    fn account_stats(&self) -> Vec<AccountStat> {
        self.hub.accounts.all().iter().map(|account| accounts::stat(account)).collect()
    }

    fn health(&self) -> Result<(), String> {
        if self.hub.news.borrow().lame_duck { Err("lame duck mode: no new clients".into()) } else { Ok(()) }
    }

    fn journal(&self) -> Arc<Journal> {
        self.hub.journal.clone()
    }

    fn paths(&self, history: Option<SystemTime>) -> Option<Pathz> {
        self.paths.as_ref().map(|paths| paths.pathz(&self.hub.identity.id, history))
    }
}

impl ServerView {
    fn websocket(&self, options: &WebsocketOptions) -> WebsocketVarz {
        let hex = |digest: &[u8; 32]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let pinned = options.tls.iter().flat_map(|tls| &tls.pinned_certs);
        let nanos = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        WebsocketVarz {
            host: options.host.clone(),
            port: self.websocket_port,
            advertise: options.advertise.clone().unwrap_or_default(),
            no_auth_user: options.no_auth_user.clone().unwrap_or_default(),
            handshake_timeout: options.handshake_timeout.map(nanos).unwrap_or_default(),
            auth_timeout: options.auth_timeout.map(|timeout| timeout.as_secs_f64()).unwrap_or_default(),
            no_tls: options.no_tls,
            tls_pinned_certs: pinned.map(hex).collect(),
            same_origin: options.same_origin,
            allowed_origins: options.allowed_origins.iter().map(|(text, _)| text.clone()).collect(),
            compression: options.compression,
            tls_cert_not_after: self.certificates.lock().websocket,
        }
    }

    fn links(&self, kind: Kind) -> Vec<Arc<Link>> {
        self.hub.links().into_iter().filter(|link| link.kind == kind).collect()
    }
}

/// What the options alone say.
fn limits(options: &Options) -> Varz {
    let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
    Varz {
        tls_required: options.tls.is_some() && !options.allow_non_tls,
        tls_verify: options.tls.as_ref().is_some_and(|tls| tls.verify),
        max_connections: options.max_connections.unwrap_or(0) as u64,
        max_subscriptions: options.max_subscriptions.unwrap_or(0) as u64,
        ping_interval: nanos(options.ping_interval),
        ping_max: options.ping_max,
        auth_required: options.auth_required(),
        auth_timeout: options.authorization.timeout.as_secs_f64(),
        tls_timeout: options.tls.as_ref().map_or(DEFAULT_TIMEOUT, |tls| tls.timeout).as_secs_f64(),
        max_control_line: options.max_control_line as u64,
        max_payload: options.max_payload as u64,
        max_pending: options.max_pending as u64,
        write_deadline: nanos(options.write_deadline),
        config_digest: options.config_digest.clone().unwrap_or_default(),
        tags: options.server_tags.clone(),
        proxies: trusted_proxies(options),
        metadata: options.server_metadata.clone(),
        feature_flags: options.feature_flags.clone(),
        ..Varz::default()
    }
}

fn trusted_proxies(options: &Options) -> Option<ProxiesVarz> {
    let trusted: Vec<_> = options.proxies.keys().iter().map(|key| ProxyInfo { key: key.clone() }).collect();
    Some(ProxiesVarz { trusted }).filter(|proxies| !proxies.trusted.is_empty())
}

fn cluster(options: &ClusterOptions, name: String, bound: Option<u16>) -> ClusterVarz {
    let (addr, cluster_port) = match options.listen.first() {
        Some(Listen::Tcp { host, port }) => (host.clone(), bound.unwrap_or(*port)),
        Some(Listen::Scion(address)) => (format!("{},{}", address.isd_as, address.host), address.port),
        Some(Listen::Udp(address)) => (address.first().ip().to_string(), address.port()),
        None => Default::default(),
    };
    let urls = options.routes.iter().flat_map(|remote| &remote.urls);
    let urls = urls.map(|url| match &url.address {
        PeerAddr::Tcp { host, port } => format!("{host}:{port}"),
        PeerAddr::Scion(_) | PeerAddr::Udp(_) => url.address.to_string(),
    });
    ClusterVarz {
        name,
        addr,
        cluster_port,
        urls: urls.collect(),
        tls_required: options.tls.is_some(),
        // Whoever makes a route shows a certificate.
        tls_verify: options.tls.is_some(),
        auth_timeout: options.auth_timeout.as_secs_f64(),
        tls_timeout: options.tls.as_ref().map_or(DEFAULT_TIMEOUT, |tls| tls.timeout).as_secs_f64(),
        pool_size: options.pool().unwrap_or(0),
        route_type: if options.is_dag() { options.route_type.to_string() } else { String::new() },
        ..ClusterVarz::default()
    }
}

fn link_counts(counts: &hub::stats::ByKind) -> LinkCounts {
    LinkCounts {
        clients: counts.of(Kind::Client),
        routes: counts.of(Kind::Route),
        leafs: counts.of(Kind::Leaf),
        gateways: counts.of(Kind::Gateway),
    }
}

fn client(link: &Link) -> Client {
    let settings = link.settings.lock().clone().map(|settings| *settings);
    Client {
        cid: link.id,
        peer: peer(&link.peer()),
        websocket: link.is_websocket(),
        start: link.started_at,
        last_activity: last_activity(link),
        closed: None,
        rtt: known(&link.rtt),
        traffic: traffic(link),
        stalls: link.stalls.load(Relaxed),
        subscriptions: link.subscriptions.lock().len() as u64,
        account: link.account_name(),
        user: link.user.load().as_ref().map(|user| user.name.clone()).unwrap_or_default(),
        token: link.pass.load().as_deref().map(token),
        proxy: link.proxy.lock().as_deref().map(str::to_owned),
        tls: link.tls.get().map(|facts| (**facts).clone()),
        ..introduced(settings)
    }
}

fn closed_client(closed: &hub::stats::Closed) -> Client {
    let settings = closed.settings.as_deref().cloned();
    Client {
        cid: closed.id,
        peer: peer(&closed.peer),
        websocket: closed.websocket,
        start: closed.started_at,
        last_activity: closed.started_at + closed.active,
        closed: Some(Closed { at: closed.ended_at, reason: closed.reason.to_string() }),
        rtt: (!closed.rtt.is_zero()).then_some(closed.rtt),
        traffic: Traffic {
            in_msgs: closed.received.0,
            in_bytes: closed.received.1,
            out_msgs: closed.sent.0,
            out_bytes: closed.sent.1,
            pending: 0,
        },
        proxy: closed.proxy.as_deref().map(str::to_owned),
        stalls: closed.stalls,
        subscriptions: closed.subscriptions as u64,
        account: closed.account.clone(),
        user: closed.user.clone(),
        token: closed.pass.as_deref().map(token),
        tls: closed.tls.as_deref().cloned(),
        ..introduced(settings)
    }
}

/// A client of which only what it said of itself is known.
fn introduced(settings: Option<Settings>) -> Client {
    let settings = settings.unwrap_or_default();
    Client {
        cid: 0,
        peer: Peer { ip: IpAddr::from([0; 4]), port: 0, isd_as: None },
        websocket: false,
        start: SystemTime::UNIX_EPOCH,
        last_activity: SystemTime::UNIX_EPOCH,
        closed: None,
        rtt: None,
        traffic: Traffic::default(),
        stalls: 0,
        subscriptions: 0,
        name: settings.name,
        lang: settings.lang,
        version: settings.version,
        account: String::new(),
        user: String::new(),
        token: None,
        proxy: None,
        tls: None,
    }
}

fn token(pass: &Pass) -> Token {
    Token {
        jwt: pass.shown_token(),
        issuer: pass.issuer().to_owned(),
        account_name: pass.account.title().to_owned(),
        tags: pass.admission.tags.clone(),
    }
}

pub(super) fn peer(peer: &transport::Peer) -> Peer {
    match peer {
        transport::Peer::Tcp(address) => Peer { ip: address.ip().to_canonical(), port: address.port(), isd_as: None },
        transport::Peer::Udp(address) => Peer { ip: address.ip(), port: address.port(), isd_as: None },
        transport::Peer::Scion(address) => Peer { ip: address.host, port: address.port, isd_as: Some(address.isd_as) },
    }
}

pub(super) fn traffic(link: &Link) -> Traffic {
    let (in_msgs, in_bytes) = (link.received.msgs.load(Relaxed), link.received.bytes.load(Relaxed));
    let out = link.outbound();
    Traffic { in_msgs, in_bytes, out_msgs: out.msgs, out_bytes: out.bytes, pending: out.pending() as u64 }
}

pub(super) fn last_activity(link: &Link) -> SystemTime {
    let sent = link.outbound().active.map(|at| at.saturating_duration_since(link.started));
    let received = Duration::from_nanos(link.active.load(Relaxed));
    link.started_at + received.max(sent.unwrap_or_default())
}

/// Nanoseconds, 0 for unknown.
fn known(nanos: &AtomicU64) -> Option<Duration> {
    Some(Duration::from_nanos(nanos.load(Relaxed))).filter(|d| !d.is_zero())
}

fn subscriptions(link: &Link) -> Vec<Subscription> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let list = link.subscriptions.lock();
    let mut rows: Vec<_> = list
        .iter()
        .map(|subscription| {
            let (msgs, max) = subscription.progress();
            Subscription {
                account: text(&subscription.account.name),
                subject: text(subscription.subject()),
                queue: text(subscription.queue().unwrap_or_default()),
                sid: text(subscription.sid()),
                msgs,
                max,
                cid: link.id,
            }
        })
        .collect();
    rows.sort_by(|a, b| (a.sid.len(), &a.sid).cmp(&(b.sid.len(), &b.sid)));
    rows
}
