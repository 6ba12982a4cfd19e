//! A running server.

mod admission;
pub(crate) mod cluster;
mod error;
pub mod identity;
mod interfaces;
mod lame_duck;
pub(crate) mod listener;
mod proxy;
mod reload;
mod run_files;
#[cfg_attr(not(feature = "scion"), path = "no_scion.rs")]
mod scion;
pub(crate) mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use natsd_core::error::CloseReason;
use natsd_path::ScionAddr;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::options::{
    ClusterOptions, GatewayOptions, HandshakeFirst, HostPort, LeafOptions, Listen, Options, WebsocketOptions,
};
use crate::gateway::{self, SuperCluster};
use crate::hub::Hub;
use crate::leaf::{self, Leafs};
use crate::link::Kind;
use crate::monitor::Monitor;
use crate::monitor::documents::Documents;
use crate::monitor::server::{Certificates, ServerView};
use crate::operators::{self, Operators};
use crate::route;
use crate::system::{ReloadRequest, Surroundings, System};
use crate::tls::{self, Acceptor, ClientTls};
use crate::transport::tcp;
use cluster::{Bound, ClusterSide};
pub use error::StartError;
use identity::{COMPATIBLE_VERSION, Identity, VERSION};
use listener::Listener;
pub use reload::ReloadError;
use run_files::{Ports, RunFiles};
pub use scion::IdentityError;
use scion::ScionSide;
use websocket::Doorkeeper;

/// How long a server that ends waits for what it still has to say to its connections.
const FAREWELL: Duration = Duration::from_secs(3);

/// Reloads that may be asked for at a time.
const RELOADS: usize = 16;

/// A server. Dropping it stops listening; [`shutdown`](Self::shutdown) also ends its connections.
pub struct Server {
    hub: Arc<Hub>,
    tls: Option<Arc<ClientTls>>,
    monitor_tls: Option<Acceptor>,
    websocket_tls: Option<Arc<ClientTls>>,
    certificates: Arc<Mutex<Certificates>>,
    client_addrs: Vec<SocketAddr>,
    websocket_addr: Option<SocketAddr>,
    websocket_listener: Option<Arc<Listener>>,
    accepting: Vec<JoinHandle<()>>,
    news: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    scion: Option<ScionSide>,
    cluster: Option<ClusterSide>,
    leafs: Option<Arc<Leafs>>,
    gateways: Option<Arc<SuperCluster>>,
    monitor: Option<Monitor>,
    system: Option<System>,
    /// Kept, so that the other end stays open without a system account.
    ask_for_reload: mpsc::Sender<ReloadRequest>,
    reload_requests: mpsc::Receiver<ReloadRequest>,
    files: RunFiles,
}

impl Server {
    /// Starts a server on the current tokio runtime.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on, or the pid file or the ports file cannot be written.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let hub = Arc::new(Hub::new(options.clone(), Identity::generate(&options)));
        if let Some(operators) = Operators::open(&options).await? {
            operators::begin(&hub, operators).await?;
        }
        log::info!("Starting natsd");
        log::info!("  Version:  {VERSION} (compatible with nats-server {COMPATIBLE_VERSION})");
        log::info!("  Name:     {}", hub.identity.name);
        log::info!("  ID:       {}", hub.identity.id);
        if options.authorization.directory.has_plain_passwords() {
            log::warn!("Plaintext passwords detected, use nkeys or bcrypt");
        }
        if let Some(file) = &options.config_file {
            let digest = options.config_digest.as_deref().unwrap_or_default();
            log::info!("Using configuration file: {} ({digest})", file.display());
        }
        let tls = client_tls(&options)?;
        let (ask_for_reload, reload_requests) = mpsc::channel(RELOADS);
        let mut server = Self {
            tls,
            monitor_tls: None,
            websocket_tls: None,
            certificates: Arc::default(),
            client_addrs: Vec::new(),
            websocket_addr: None,
            websocket_listener: None,
            accepting: Vec::new(),
            news: tokio::spawn(listener::tell_news(hub.clone())),
            upkeep: tokio::spawn(operators::keep_up(hub.clone())),
            scion: options.speaks_quic().then(|| ScionSide::start(&hub, &options)).transpose()?,
            cluster: None,
            leafs: None,
            gateways: None,
            monitor: None,
            system: None,
            ask_for_reload,
            reload_requests,
            files: RunFiles::default(),
            hub,
        };
        for listen in &options.listen {
            server.listen(listen).await?;
        }
        if let Some(websocket) = &options.websocket {
            server.listen_websocket(websocket).await?;
        }
        let leafs = match &options.leafnodes {
            Some(leafnodes) => Some((leafnodes, leaf::Bound::bind(leafnodes).await?)),
            None => None,
        };
        let gateways = match &options.gateway {
            Some(gateway) => Some((gateway, gateway::Bound::bind(gateway).await?)),
            None => None,
        };
        if let Some(cluster) = &options.cluster {
            let leafnode_urls = leafs.as_ref().map(|(options, bound)| bound.urls(options)).unwrap_or_default();
            let gateway_url = gateways.as_ref().map(|(options, bound)| bound.place(options).2).unwrap_or_default();
            let around = route::Surroundings { leafnode_urls, gateway_url, ..route::Surroundings::default() };
            server.start_cluster(cluster, around).await?;
        }
        if let Some((gateway, bound)) = gateways {
            server.start_gateways(gateway, bound).await?;
        }
        if let Some((leafnodes, bound)) = leafs {
            server.start_leafs(leafnodes, bound).await?;
        }
        if let Some((host, port)) = &options.http {
            server.monitor = Some(server.start_monitor(host, *port, None).await?);
        } else if let (Some((host, port)), Some(tls)) = (&options.https, &options.tls) {
            server.monitor_tls = Some(tls::monitoring(tls)?);
            server.monitor = Some(server.start_monitor(host, *port, server.monitor_tls.clone()).await?);
        }
        server.system = server.start_system();
        server.files = RunFiles::write(&options, &server.ports())?;
        log::info!("Server is ready");
        Ok(server)
    }

    async fn listen(&mut self, listen: &Listen) -> Result<(), StartError> {
        let (host, port) = match listen {
            Listen::Tcp { host, port } => (host, *port),
            Listen::Scion(address) => return self.listen_scion(*address).await,
            // No file or flag can say so.
            Listen::Udp(address) => return Err(StartError::UdpClients(address.clone())),
        };
        let bind = |source| StartError::Listen { address: format!("{host}:{port}"), source };
        let socket = tcp::listen(host, port).await.map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        log::info!("Listening for client connections on {}", HostPort(host, address.port()));
        let (tls, proxied) = (self.tls.clone(), self.hub.options().proxy_protocol);
        if proxied {
            log::info!("PROXY protocol enabled for client connections");
        }
        let listener = Arc::new(Listener {
            host: host.clone(),
            port: address.port(),
            tls,
            sealed: false,
            proxied,
            websocket: None,
        });
        self.client_addrs.push(address);
        self.accepting.push(tokio::spawn(listener::accept(listener, self.hub.clone(), socket)));
        Ok(())
    }

    async fn listen_websocket(&mut self, options: &WebsocketOptions) -> Result<(), StartError> {
        let (host, port) = (&options.host, options.port);
        let bind = |source| StartError::ListenWebsocket { address: format!("{host}:{port}"), source };
        let tls = options.tls.as_ref().map(|tls| ClientTls::new(tls, false)).transpose()?;
        let socket = tcp::listen(host, port).await.map_err(bind)?;
        let address = socket.local_addr().map_err(bind)?;
        let scheme = if tls.is_some() { "wss" } else { "ws" };
        log::info!("Listening for websocket clients on {scheme}://{}", HostPort(host, address.port()));
        if tls.is_none() {
            log::warn!("Websocket not configured with TLS. DO NOT USE IN PRODUCTION!");
        }
        let leafnodes = self.hub.options().leafnodes.as_ref().is_some_and(|leafnodes| !leafnodes.listen.is_empty());
        let websocket = Some(Doorkeeper::new(options, leafnodes));
        let (host, port, tls) = (host.clone(), address.port(), tls.map(Arc::new));
        self.websocket_tls.clone_from(&tls);
        let listener = Arc::new(Listener { host, port, tls, sealed: false, proxied: false, websocket });
        self.websocket_addr = Some(address);
        self.websocket_listener = Some(listener.clone());
        self.accepting.push(tokio::spawn(websocket::accept(listener, self.hub.clone(), socket)));
        Ok(())
    }

    async fn listen_scion(&mut self, address: ScionAddr) -> Result<(), StartError> {
        let scion = self.scion.as_mut().ok_or(StartError::NoScion(address))?;
        scion.listen_for_clients(&self.hub, address, self.tls.clone()).await
    }

    async fn start_leafs(&mut self, options: &LeafOptions, bound: leaf::Bound) -> Result<(), StartError> {
        let scion_dial = self.scion.as_ref().map(|scion| scion.dial(false));
        let leafs = Arc::new(Leafs::start(&self.hub, options, bound, scion_dial)?);
        if let Some(scion) = &mut self.scion {
            scion.listen_for_leafs(&options.listen, &leafs).await?;
        }
        if let Some(keeper) = self.websocket_listener.as_ref().and_then(|listener| listener.websocket.as_ref()) {
            keeper.lead_to(&leafs);
        }
        self.leafs = Some(leafs);
        Ok(())
    }

    async fn start_gateways(&mut self, options: &GatewayOptions, bound: gateway::Bound) -> Result<(), StartError> {
        let view = self.cluster.as_ref().map(|cluster| cluster.routes.view());
        if view.is_none() {
            self.hub.news.send_modify(|news| news.cluster.clone_from(&options.name));
        }
        let scion_dial = self.scion.as_ref().map(|scion| scion.dial(options.tls.is_some()));
        let gateways = Arc::new(SuperCluster::start(&self.hub, options, bound, view, scion_dial)?);
        if let Some(scion) = &mut self.scion {
            scion.listen_for_gateways(&options.listen, &gateways).await?;
        }
        self.gateways = Some(gateways);
        Ok(())
    }

    async fn start_cluster(
        &mut self,
        options: &ClusterOptions,
        mut around: route::Surroundings,
    ) -> Result<(), StartError> {
        if let Some(scion) = &self.scion {
            scion.surround(options, &mut around);
        }
        let cluster = ClusterSide::start(&self.hub, options, self.bound(), around).await?;
        if let Some(scion) = &mut self.scion {
            scion.listen_for_routes(&options.listen, &cluster.routes).await?;
        }
        self.cluster = Some(cluster);
        Ok(())
    }

    /// Where clients can connect over TCP, in the order of the options.
    pub fn client_addrs(&self) -> &[SocketAddr] {
        &self.client_addrs
    }

    /// Where leaf nodes can connect over TCP, in the order of the options.
    pub fn leafnode_addrs(&self) -> &[SocketAddr] {
        self.leafs.as_ref().map_or(&[], |leafs| leafs.addresses())
    }

    /// Where servers of other clusters can connect over TCP, in the order of the options.
    pub fn gateway_addrs(&self) -> &[SocketAddr] {
        self.gateways.as_ref().map_or(&[], |gateways| gateways.addresses())
    }

    /// Number of open routes.
    pub fn route_count(&self) -> usize {
        self.cluster.as_ref().map_or(0, |cluster| cluster.routes.status().len())
    }

    /// Where other servers of the cluster can connect over TCP, in the order of the options.
    pub fn route_addrs(&self) -> &[SocketAddr] {
        self.cluster.as_ref().map_or(&[], |cluster| cluster.routes.addresses())
    }

    fn view(&self) -> Arc<ServerView> {
        let options = self.hub.options();
        let hosts = options.listen.iter().filter_map(|listen| match listen {
            Listen::Tcp { host, .. } => Some(host.clone()),
            Listen::Scion(_) | Listen::Udp(_) => None,
        });
        let client_address = hosts.zip(self.client_addrs.iter().map(SocketAddr::port)).next().unwrap_or_default();
        let routes = self.cluster.as_ref().map(|cluster| cluster.routes.clone() as _);
        let paths = self.scion.as_ref().map(ScionSide::path_source);
        *self.certificates.lock() = Certificates::read(&options);
        Arc::new(ServerView {
            hub: self.hub.clone(),
            client_address,
            websocket_port: self.websocket_addr.map_or(0, |address| address.port()),
            routes,
            paths,
            certificates: self.certificates.clone(),
            route_port: self.route_addrs().first().map(SocketAddr::port),
            leafs: self.leafs.clone(),
            gateways: self.gateways.clone(),
        })
    }

    async fn start_monitor(&self, host: &str, port: u16, tls: Option<Acceptor>) -> Result<Monitor, StartError> {
        let options = self.hub.options().clone();
        let view = self.view();
        Ok(Monitor::start(view, host, port, &options.http_base_path, tls, options.http_login.clone()).await?)
    }

    fn start_system(&self) -> Option<System> {
        let documents = self.monitor.as_ref().map_or_else(|| Documents::of(self.view()), Monitor::documents);
        let host = self.hub.options().client_host().to_owned();
        System::start(&self.hub, Surroundings { documents, host, reload: self.ask_for_reload.clone() })
    }

    /// Waits until somebody asks over the system account for a reload, and wants to know what comes of it.
    pub(crate) async fn reload_request(&mut self) -> ReloadRequest {
        match self.reload_requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Where monitoring answers, if it is on.
    pub fn monitor_addr(&self) -> Option<SocketAddr> {
        self.monitor.as_ref().map(Monitor::address)
    }

    /// Where clients come in over TCP and over WebSocket.
    fn bound(&self) -> Bound<'_> {
        Bound { clients: &self.client_addrs, websocket: self.websocket_addr.as_slice() }
    }

    fn ports(&self) -> Ports {
        Ports {
            clients: self.client_addrs.clone(),
            websocket: self.websocket_addr.map(|address| (address, self.hub.options().websocket_has_tls())),
            monitoring: self.monitor_addr().into_iter().collect(),
            routes: self.route_addrs().to_vec(),
        }
    }

    /// Public key of this server.
    pub fn id(&self) -> &str {
        &self.hub.identity.id
    }

    /// Stops listening and ends all connections.
    pub async fn shutdown(mut self) {
        self.stop_accepting();
        self.stop_routes();
        log::info!("Initiating Shutdown...");
        if let Some(system) = self.system.take() {
            system.tell_shutdown().await;
        }
        for link in self.hub.links() {
            link.close(CloseReason::ServerShutdown);
        }
        let _ = tokio::time::timeout(FAREWELL, self.wait_for_end_of(|_| true)).await;
        if let Some(scion) = &self.scion {
            scion.close();
        }
        log::info!("Server Exiting..");
    }

    /// Takes no new clients and sends those that are there away, over the time of `lame_duck_duration`. When this
    /// returns no client is left, and the server is to be [shut down](Self::shutdown).
    pub async fn lame_duck(&mut self) {
        self.stop_accepting();
        if let Some(cluster) = &self.cluster {
            cluster.routes.enter_lame_duck();
        }
        if let Some(leafs) = &self.leafs {
            leafs.stop();
        }
        if let Some(gateways) = &self.gateways {
            gateways.stop();
        }
        if let Some(system) = &self.system {
            system.tell_lame_duck().await;
        }
        lame_duck::run(self).await;
    }

    fn stop_accepting(&mut self) {
        for task in self.accepting.drain(..) {
            task.abort();
        }
        if let Some(scion) = &mut self.scion {
            scion.stop_accepting();
        }
    }

    fn stop_routes(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.routes.stop();
        }
        if let Some(leafs) = &self.leafs {
            leafs.stop();
        }
        if let Some(gateways) = &self.gateways {
            gateways.stop();
        }
    }

    /// Waits until no link of these kinds is left.
    async fn wait_for_end_of(&self, kinds: impl Fn(Kind) -> bool) {
        loop {
            let left = self.hub.left.notified();
            if !self.hub.links().iter().any(|link| kinds(link.kind)) {
                return;
            }
            left.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop_accepting();
        self.news.abort();
        self.upkeep.abort();
    }
}

/// The TLS of clients, and what is to be said of it.
fn client_tls(options: &Options) -> Result<Option<Arc<ClientTls>>, StartError> {
    let Some(tls) = &options.tls else { return Ok(None) };
    let allow_non_tls = options.allow_non_tls && tls.handshake_first != HandshakeFirst::Always;
    log::info!("TLS {} for client connections", if allow_non_tls { "available" } else { "required" });
    if tls.handshake_first == HandshakeFirst::Always {
        log::warn!("Clients that are not using \"TLS Handshake First\" option will fail to connect");
    }
    Ok(Some(Arc::new(ClientTls::new(tls, options.allow_non_tls)?)))
}
