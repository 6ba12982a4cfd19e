//! The two servers of the lab: one in each of two leaf ASes, clustered over SCION with TCP/IP as last resort.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use natsd_lab::addresses::AsAddresses;
use natsd_lab::description::Network;
use natsd_lab::engine::Engine;
use natsd_path::{AddrError, Preference, ScionAddr};
use natsd_tui::MonitorUrl;
use thiserror::Error;

use crate::config::options::{ClusterOptions, Listen, Options, PeerAddr, Remote, RouteUrl, ScionOptions};
use crate::server::{Server, StartError};

const CLIENT_PORT: u16 = 4222;
const MONITOR_PORT: u16 = 8222;
const ROUTE_PORT: u16 = 4248;
const TCP_ROUTE_PORT: u16 = 6222;

/// How long the servers may take to find each other.
const MEET: Duration = Duration::from_secs(30);

/// Why the servers are not there.
#[derive(Debug, Error)]
pub(super) enum ServersError {
    #[error("the network needs two ASes that are not core, for a server in each")]
    TooFewLeaves,
    #[error(transparent)]
    Address(#[from] AddrError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the two servers found no path to each other within {} s", MEET.as_secs())]
    NoRoute,
}

/// Where a server of the lab is.
struct Place {
    name: String,
    scion: ScionAddr,
    /// For TCP.
    host: Ipv4Addr,
    daemon: String,
}

impl Place {
    /// `route_port` must differ between servers that have the same host, as over IPv6.
    fn new(isd_as: &str, at: AsAddresses, route_port: u16) -> Result<Self, AddrError> {
        Ok(Self {
            name: isd_as.to_owned(),
            scion: ScionAddr { isd_as: isd_as.parse()?, host: at.host, port: route_port },
            host: at.tcp,
            daemon: at.daemon.to_string(),
        })
    }

    fn options(&self, peer: &Self, preference: &Preference, authority: &Path) -> Options {
        let host = self.host.to_string();
        let tcp = |port| Listen::Tcp { host: host.clone(), port };
        let url = |address| RouteUrl { user: None, password: None, address };
        Options {
            server_name: Some(self.name.clone()),
            listen: vec![tcp(CLIENT_PORT)],
            http: Some((host.clone(), MONITOR_PORT)),
            cluster: Some(ClusterOptions {
                name: Some("lab".into()),
                listen: vec![Listen::Scion(self.scion), tcp(TCP_ROUTE_PORT)],
                routes: vec![Remote {
                    urls: vec![
                        url(PeerAddr::Scion(peer.scion)),
                        url(PeerAddr::Tcp { host: peer.host.to_string(), port: TCP_ROUTE_PORT }),
                    ],
                }],
                authority: Some(authority.to_owned()),
                ..ClusterOptions::default()
            }),
            scion: Some(ScionOptions {
                daemon: Some(self.daemon.clone()),
                local: Some(self.scion.host),
                wishes: preference.clone().into(),
                ..ScionOptions::default()
            }),
            ..Options::default()
        }
    }
}

/// Two running servers.
pub(super) struct Servers {
    places: [Place; 2],
    servers: [Server; 2],
    _authority: Passing,
}

/// A directory that goes with the lab.
struct Passing(PathBuf);

impl Passing {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("natsd-lab-{}-{:x}", std::process::id(), fastrand::u64(..))))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // It may have never been made.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Servers {
    /// Starts a server in the first two leaf ASes of `network` and waits until they have a route.
    pub(super) async fn start(
        network: &Network,
        engine: &dyn Engine,
        preference: &Preference,
    ) -> Result<Self, ServersError> {
        let mut leaves = network.ases.iter().filter(|a| !a.core).filter_map(|a| Some((a.ia, engine.addresses(a.ia)?)));
        let (Some(first), Some(second)) = (leaves.next(), leaves.next()) else {
            return Err(ServersError::TooFewLeaves);
        };
        let same_host = u16::from(first.1.host == second.1.host);
        let places = [
            Place::new(&first.0.to_string(), first.1, ROUTE_PORT)?,
            Place::new(&second.0.to_string(), second.1, ROUTE_PORT + same_host)?,
        ];
        let authority = Passing::new();
        let servers = [
            Server::start(places[0].options(&places[1], preference, &authority.0)).await?,
            Server::start(places[1].options(&places[0], preference, &authority.0)).await?,
        ];
        let servers = Self { places, servers, _authority: authority };
        tokio::time::timeout(MEET, servers.met()).await.map_err(|_| ServersError::NoRoute)?;
        Ok(servers)
    }

    async fn met(&self) {
        let mut poll = tokio::time::interval(Duration::from_millis(50));
        while self.servers.iter().any(|server| server.route_count() == 0) {
            poll.tick().await;
        }
    }

    /// Where the load is received.
    pub(super) fn subscriber(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.places[1].host), CLIENT_PORT)
    }

    /// Where the load is sent from.
    pub(super) fn publisher(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.places[0].host), CLIENT_PORT)
    }

    /// The monitoring ports.
    pub(super) fn monitors(&self) -> Vec<MonitorUrl> {
        self.places
            .iter()
            .map(|place| format!("http://{}:{MONITOR_PORT}", place.host))
            .filter_map(|url| url.parse().ok())
            .collect()
    }

    /// Shuts both down.
    pub(super) async fn stop(self) {
        for server in self.servers {
            server.shutdown().await;
        }
    }
}
