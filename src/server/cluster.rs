//! The cluster side of a server: its routes, and what clients hear of the other servers.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::StartError;
use crate::config::options::{ClusterOptions, Options};
use crate::hub::Hub;
use crate::route::{Routes, Surroundings, View};
use natsd_core::advertised::with_port;
use natsd_core::route::cluster::ClientUrls;

/// The routes of a server and the task that brings their news to clients.
pub(super) struct ClusterSide {
    pub(super) routes: Arc<Routes>,
    /// Where clients that hear of other servers reach this one.
    own: Arc<Mutex<ClientUrls>>,
    news: JoinHandle<()>,
}

/// Where a server takes clients, as bound.
#[derive(Clone, Copy)]
pub(super) struct Bound<'a> {
    pub(super) clients: &'a [SocketAddr],
    pub(super) websocket: &'a [SocketAddr],
}

impl ClusterSide {
    pub(super) async fn start(
        hub: &Arc<Hub>,
        options: &ClusterOptions,
        bound: Bound<'_>,
        around: Surroundings,
    ) -> Result<Self, StartError> {
        let client_urls = client_urls(&hub.options(), bound);
        let around = Surroundings { client_urls: client_urls.clone(), ..around };
        let routes = Arc::new(Routes::start(hub.clone(), options.clone(), around).await?);
        let own = Arc::new(Mutex::new(if options.no_advertise { ClientUrls::default() } else { client_urls }));
        let mut view = routes.view();
        tell_clients(hub, &own.lock(), &view.borrow_and_update());
        let (hub, told) = (hub.clone(), own.clone());
        let news = tokio::spawn(async move {
            while view.changed().await.is_ok() {
                tell_clients(&hub, &told.lock(), &view.borrow_and_update());
            }
        });
        Ok(Self { routes, own, news })
    }

    /// Takes over what can change of `options`, and of those of the server in `hub`.
    pub(super) fn reload(&self, hub: &Hub, options: &ClusterOptions, bound: Bound<'_>) {
        let client_urls = client_urls(&hub.options(), bound);
        self.routes.reload(options, &client_urls);
        let mut own = self.own.lock();
        *own = if options.no_advertise { ClientUrls::default() } else { client_urls };
        tell_clients(hub, &own, &self.routes.view().borrow());
    }
}

impl Drop for ClusterSide {
    fn drop(&mut self) {
        self.news.abort();
    }
}

fn tell_clients(hub: &Hub, own: &ClientUrls, view: &View) {
    hub.news.send_if_modified(|news| {
        let known = news.clone();
        news.cluster.clone_from(&view.name);
        news.cluster_dynamic = view.dynamic;
        news.connect_urls = own.plain.iter().chain(&view.client_urls.plain).cloned().collect();
        news.ws_connect_urls = own.websocket.iter().chain(&view.client_urls.websocket).cloned().collect();
        news.leafnode_urls.clone_from(&view.leafnode_urls);
        *news != known
    });
}

/// Where clients reach this server.
fn client_urls(options: &Options, bound: Bound<'_>) -> ClientUrls {
    let websocket = options.websocket.as_ref().and_then(|websocket| websocket.advertise.as_ref());
    ClientUrls {
        plain: urls(options.client_advertise.as_ref(), bound.clients),
        websocket: urls(websocket, bound.websocket),
    }
}

/// What is advertised, or the addresses listened on.
fn urls(advertised: Option<&String>, addresses: &[SocketAddr]) -> Vec<String> {
    let Some(port) = addresses.first().map(SocketAddr::port) else { return Vec::new() };
    match advertised {
        Some(advertised) => vec![with_port(advertised, port)],
        None => addresses.iter().map(|address| reachable(*address).to_string()).collect(),
    }
}

/// The wildcard address says nothing to others: the one that the kernel would use towards them does.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    if !address.ip().is_unspecified() {
        return address;
    }
    let towards = |bind: &str, somebody: &str| {
        let socket = UdpSocket::bind(bind)?;
        // Sends nothing. The addresses are reserved for documentation: only the default route leads there.
        socket.connect(somebody)?;
        socket.local_addr()
    };
    let own = towards("0.0.0.0:0", "192.0.2.1:9").or_else(|_| towards("[::]:0", "[2001:db8::1]:9"));
    let ip = own.map_or(IpAddr::from([127, 0, 0, 1]), |own| own.ip());
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_hear_of_addresses_that_they_can_reach() {
        let bound = ["127.0.0.1:4222".parse().expect("an address"), "[::1]:4333".parse().expect("an address")];
        let urls = |advertised: Option<&str>| {
            let options = Options { client_advertise: advertised.map(Into::into), ..Options::default() };
            client_urls(&options, Bound { clients: &bound, websocket: &[] }).plain
        };
        assert_eq!(urls(None), ["127.0.0.1:4222", "[::1]:4333"]);
        assert_eq!(urls(Some("nats.example")), ["nats.example:4222"]);
        let wildcard = super::urls(None, &["0.0.0.0:4222".parse().expect("an address")]);
        assert!(wildcard[0].ends_with(":4222") && !wildcard[0].starts_with("0.0.0.0"));
    }
}
