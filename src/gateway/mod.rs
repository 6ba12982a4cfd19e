//! Gateways: this cluster among others.
//!
//! `natsd_core::gateway` says what is said and when. Here [`accept`] takes servers of other clusters, [`dial`] keeps a connection
//! to each cluster that [`remotes`] knows; [`link`] is one end of either, [`inbound`] and [`outbound`] what they do with messages
//! and with interest. What other clusters are told, and who gets what, is up to `crate::hub::gateways`.

mod accept;
mod dial;
mod error;
mod inbound;
mod link;
mod outbound;
mod peer;
mod remotes;
mod trace;

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use natsd_core::gateway::hello::GatewayInfo;
use natsd_core::gateway::session::Timing;
use natsd_core::route::hello::PROTOCOL;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::options::{GatewayOptions, HostPort, Listen};
use crate::hub::Hub;
use crate::hub::gateways::Directory;
use crate::link::Link;
use crate::route::gate::{self, Gate};
use crate::route::{ScionDial, View};
use crate::server::cluster::reachable;
use crate::server::identity::{COMPATIBLE_VERSION, VERSION};
#[cfg(feature = "scion")]
use crate::tls::Facts;
use crate::tls::{RouteTls, TlsError};
#[cfg(feature = "scion")]
use crate::transport::Connection;
use crate::transport::tcp;
pub use error::GatewayError;
pub(crate) use peer::GatewayPeer;
use remotes::{Remote, Remotes};

/// Until a server that we dialled must have said who it is.
const DIALLED_HANDSHAKE: Duration = Duration::from_secs(5);
/// Until the first ping.
const FIRST_PING: Duration = Duration::from_secs(1);
/// The longest time between two pings.
const PING_INTERVAL: Duration = Duration::from_secs(15);

/// Where other clusters will come in: bound before servers of this one are told of it.
pub(crate) struct Bound {
    sockets: Vec<(String, TcpListener)>,
    addresses: Vec<SocketAddr>,
}

/// The connections of a server to other clusters.
pub(crate) struct SuperCluster {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
}

struct Shared {
    hub: Arc<Hub>,
    options: GatewayOptions,
    tls: Option<Arc<RouteTls>>,
    gate: Gate,
    remotes: Remotes,
    scion_dial: Option<ScionDial>,
    /// Host, port and both as others are told; empty if none are taken over TCP.
    place: (String, u16, String),
    /// Where the other servers of this cluster take others.
    siblings: Mutex<Vec<String>>,
    /// Connections that others made, over which their messages come.
    inbound: Mutex<HashMap<u64, Arc<Link>>>,
    /// The moment that times of sessions count from.
    started: Instant,
    tasks: Mutex<Option<JoinSet<()>>>,
    own: Weak<Self>,
}

/// What a reload needs to have read before anything changes.
pub(crate) struct NewTls {
    own: Option<RouteTls>,
    remotes: Vec<(String, RouteTls)>,
}

impl NewTls {
    /// # Errors
    ///
    /// When a file is not what it should be.
    pub(crate) fn read(options: &GatewayOptions) -> Result<Self, TlsError> {
        let own = options.tls.as_ref().map(RouteTls::new).transpose()?;
        let named = options.others().filter_map(|remote| Some((remote.name.clone(), remote.tls.as_ref()?)));
        let remotes = named.map(|(name, tls)| Ok((name, RouteTls::new(tls)?))).collect::<Result<_, TlsError>>()?;
        Ok(Self { own, remotes })
    }
}

impl Bound {
    /// Binds the TCP listeners.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on.
    pub(crate) async fn bind(options: &GatewayOptions) -> Result<Self, GatewayError> {
        let mut bound = Self { sockets: Vec::new(), addresses: Vec::new() };
        for listen in &options.listen {
            let Listen::Tcp { host, port } = listen else { continue };
            let failed = |source| GatewayError::Listen { host: host.clone(), port: *port, source };
            let socket = tcp::listen(host, *port).await.map_err(failed)?;
            bound.addresses.push(socket.local_addr().map_err(failed)?);
            bound.sockets.push((host.clone(), socket));
        }
        Ok(bound)
    }

    /// Where others reach the first of them, and both in one; empty if there is none.
    pub(crate) fn place(&self, options: &GatewayOptions) -> (String, u16, String) {
        let Some(bound) = self.addresses.first() else { return (String::new(), 0, String::new()) };
        let own = reachable(*bound);
        let (host, port) = match &options.advertise {
            None => (own.ip().to_string(), own.port()),
            Some(text) => match text.parse::<IpAddr>() {
                Ok(ip) => (ip.to_string(), own.port()),
                Err(_) => crate::config::address::host_port(text).unwrap_or_else(|_| (text.clone(), own.port())),
            },
        };
        let url = HostPort(&host, port).to_string();
        (host, port, url)
    }
}

impl SuperCluster {
    /// Takes other clusters where `bound` says, and keeps connections to those that are known. `view` tells of the other servers
    /// of this cluster.
    ///
    /// # Errors
    ///
    /// When TLS cannot be spoken as configured.
    pub(crate) fn start(
        hub: &Arc<Hub>,
        options: &GatewayOptions,
        bound: Bound,
        view: Option<watch::Receiver<View>>,
        scion_dial: Option<ScionDial>,
    ) -> Result<Self, GatewayError> {
        let tls = options.tls.as_ref().map(RouteTls::new).transpose()?.map(Arc::new);
        let known = options.others().flat_map(|remote| &remote.urls);
        let terms = gate::Terms::new(options.login.as_ref(), options.tls.as_ref(), known);
        let place = bound.place(options);
        log::info!("Gateway name is {}", options.name);
        let remotes = Remotes::new(options, tls.clone())?;
        let shared = Arc::new_cyclic(|own| Shared {
            own: own.clone(),
            hub: hub.clone(),
            options: options.clone(),
            remotes,
            tls,
            gate: Gate::new(terms, hub.slow_checks.clone()),
            scion_dial,
            place,
            siblings: Mutex::default(),
            inbound: Mutex::default(),
            started: Instant::now(),
            tasks: Mutex::new(Some(JoinSet::new())),
        });
        hub.gateways.lead_by(shared.own.clone());
        for (host, socket) in bound.sockets {
            if let Ok(address) = socket.local_addr() {
                log::info!("Listening for gateways connections on {}", HostPort(&host, address.port()));
            }
            shared.run(accept::accept(shared.clone(), socket));
        }
        if !shared.place.2.is_empty() {
            let what = if options.advertise.is_some() { "Advertise address" } else { "Address" };
            let verb = if options.advertise.is_some() { "is set to" } else { "is" };
            log::info!("{what} for gateway {:?} {verb} {}", options.name, shared.place.2);
        }
        let remotes = options.others().filter_map(|remote| remote.tls.as_ref());
        if options.tls.iter().chain(remotes).any(|tls| tls.insecure) {
            log::warn!(
                "TLS certificate chain and hostname of solicited gateways will not be verified. DO NOT USE IN PRODUCTION!"
            );
        }
        if let Some(view) = view {
            shared.run(follow(shared.clone(), view));
        }
        for remote in shared.remotes.all() {
            shared.run(dial::keep(shared.clone(), remote));
        }
        Ok(Self { shared, addresses: bound.addresses })
    }

    /// Where other clusters come in over TCP, as bound.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Host and port that others are told.
    pub(crate) fn place(&self) -> (String, u16) {
        (self.shared.place.0.clone(), self.shared.place.1)
    }

    /// Where the cluster of this name is known to be; `None` if nobody knows of it.
    pub(crate) fn urls_of(&self, name: &str) -> Option<Vec<String>> {
        let (tcp, scion) = self.shared.remotes.get(name)?.addresses();
        Some(tcp.into_iter().chain(scion).collect())
    }

    /// Takes a connection that was accepted elsewhere: over SCION, from a server that has shown these certificates.
    #[cfg(feature = "scion")]
    pub(crate) fn serve(&self, connection: Connection, shown: &[rustls::pki_types::CertificateDer<'static>]) {
        let maps = self.shared.options.tls.as_ref().is_some_and(crate::config::options::TlsOptions::maps);
        accept::serve(&self.shared, connection, Facts::of_certificates(shown, maps));
    }

    /// From the next handshake on TLS is spoken like this. Returns whether it is spoken at all.
    pub(crate) fn adopt(&self, new: &NewTls) -> bool {
        if let (Some(known), Some(tls)) = (&self.shared.tls, &new.own) {
            known.become_like(tls);
        }
        for (name, tls) in &new.remotes {
            if let Some(known) = self.shared.remotes.get(name).and_then(|remote| remote.tls.clone()) {
                known.become_like(tls);
            }
        }
        self.shared.tls.is_some()
    }

    /// The connections that others made, oldest first.
    pub(crate) fn inbound(&self) -> Vec<Arc<Link>> {
        let mut links: Vec<_> = self.shared.inbound.lock().values().cloned().collect();
        links.sort_unstable_by_key(|link| link.id);
        links
    }

    /// Takes and makes no more connections; those that there are end with the server's others.
    pub(crate) fn stop(&self) {
        self.shared.tasks.lock().take();
    }
}

impl Drop for SuperCluster {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Runs until the server stops.
    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = &mut *self.tasks.lock() {
            while tasks.try_join_next().is_some() {}
            tasks.spawn(task);
        }
    }

    /// Time on which sessions measure all others.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time, and a number from 0 to 1 to spread the first ping with.
    fn now_and_jitter(&self) -> (Duration, f64) {
        (self.now(), fastrand::f64())
    }

    fn timing(&self, handshake: Duration) -> Timing {
        let options = self.hub.options();
        let ping_interval = options.ping_interval.min(PING_INTERVAL);
        Timing { handshake, first_ping: FIRST_PING, ping_interval, ping_max: options.ping_max }
    }

    fn has_inbound(&self, name: &str) -> bool {
        self.inbound.lock().values().any(|link| link.gateway.get().is_some_and(|peer| peer.name == name))
    }

    /// `INFO` of this server.
    fn info(&self) -> GatewayInfo {
        let (host, port, url) = self.place.clone();
        let own = Some(url.clone()).filter(|url| !url.is_empty());
        let mut urls: Vec<_> = own.into_iter().chain(self.siblings.lock().iter().cloned()).collect();
        urls.sort_unstable();
        urls.dedup();
        let scion_urls = self.options.listen.iter().filter_map(|listen| match listen {
            Listen::Scion(address) => Some(address.to_string()),
            Listen::Tcp { .. } | Listen::Udp(_) => None,
        });
        GatewayInfo {
            server_id: self.hub.identity.id.clone(),
            server_name: self.hub.identity.name.clone(),
            version: COMPATIBLE_VERSION.into(),
            proto: PROTOCOL,
            host,
            port,
            headers: !self.hub.options().no_header_support,
            auth_required: self.options.login.is_some(),
            tls_required: self.tls.is_some(),
            tls_verify: self.tls.is_some(),
            max_payload: self.hub.options().max_payload as i64,
            gateway: self.options.name.clone(),
            gateway_urls: urls,
            gateway_url: url,
            gateway_nrp: true,
            gateway_iom: true,
            natsd: VERSION.into(),
            scion_urls: scion_urls.collect(),
            ..GatewayInfo::default()
        }
    }

    /// What others are told of a cluster; `None` if nobody knows where it is.
    fn gossip(&self, remote: &Remote, to_server_of_cluster: bool) -> Option<Vec<u8>> {
        let (tcp, scion) = remote.addresses();
        if tcp.is_empty() && scion.is_empty() {
            return None;
        }
        let (id, name) = (&self.hub.identity.id, &self.hub.identity.name);
        // On routes that is no server that could be dialled.
        let info = match to_server_of_cluster {
            true => GatewayInfo::gossip(&format!("GW{id}"), name, &remote.name, (tcp, scion)),
            false => GatewayInfo::gossip(id, "", &remote.name, (tcp, scion)),
        };
        Some(info.to_line())
    }

    /// Tells the servers of this cluster where another one is.
    fn tell_servers(&self, remote: &Remote) {
        if let (Some(line), Some(observer)) = (self.gossip(remote, true), self.hub.observer.get()) {
            observer.tell_servers(&line);
        }
    }

    /// Somebody tells where a cluster is.
    fn hear(&self, name: &str, urls: &[String]) {
        let is_wanted = !self.options.reject_unknown || self.remotes.get(name).is_some();
        if name == self.options.name || name.is_empty() || !is_wanted {
            return;
        }
        if let (Some(remote), Some(own)) = (self.remotes.hear(name, urls), self.own.upgrade()) {
            self.run(dial::keep(own, remote));
        }
    }

    /// Whether a server of our cluster has this name.
    fn is_name_of_ours(&self, name: &str) -> bool {
        let is_peer = |link: &Arc<Link>| link.server.get().is_some_and(|server| server.name == name);
        *name == *self.hub.identity.name || self.hub.links().iter().any(is_peer)
    }
}

impl Directory for Shared {
    fn hear_of(&self, gateway: &str, urls: &[String]) {
        self.hear(gateway, urls);
    }

    fn introduce(&self, route: &Arc<Link>) {
        let connected = self.hub.gateways.outbound();
        let names = connected.iter().filter_map(|link| link.gateway.get().map(|peer| peer.name.as_str()));
        for remote in names.filter_map(|name| self.remotes.get(name)) {
            if let Some(line) = self.gossip(&remote, true) {
                route.send_soon(|out| out.extend_from_slice(&line));
            }
        }
    }
}

/// Tells other clusters where the servers of this one are, whenever that changes.
async fn follow(shared: Arc<Shared>, mut view: watch::Receiver<View>) {
    loop {
        let urls = view.borrow_and_update().gateway_urls.clone();
        let before = std::mem::replace(&mut *shared.siblings.lock(), urls.clone());
        if before != urls {
            let line = shared.info().to_line();
            for link in shared.inbound.lock().values() {
                link.send_soon(|out| out.extend_from_slice(&line));
            }
        }
        if view.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_clusters_hear_of_an_address_that_they_can_reach() {
        let place = |advertise: Option<&str>, bound: &str| {
            let options = GatewayOptions { advertise: advertise.map(Into::into), ..GatewayOptions::default() };
            let bound = Bound { sockets: Vec::new(), addresses: vec![bound.parse().expect("an address")] };
            bound.place(&options)
        };
        let told = |host: &str, port: u16, url: &str| (host.to_owned(), port, url.to_owned());
        assert_eq!(place(None, "127.0.0.1:7222"), told("127.0.0.1", 7222, "127.0.0.1:7222"));
        assert_eq!(place(Some("h"), "127.0.0.1:7222"), told("h", 7222, "h:7222"));
        assert_eq!(place(Some("h:80"), "127.0.0.1:7222"), told("h", 80, "h:80"));
        assert_eq!(place(Some("2001:db8::1"), "127.0.0.1:7222"), told("2001:db8::1", 7222, "[2001:db8::1]:7222"));
    }
}
