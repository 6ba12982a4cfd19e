//! `cluster {}`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use natsd_auth::RoutePermissions;
use natsd_core::compression::Mode;
use natsd_core::route::hello::Secret;
use natsd_path::{Accepted, ScionAddr};

use super::{Listen, PeerAddr, RouteUrl, TlsOptions, WriteTimeout, scion_listeners};

/// A configured route: one peer and its addresses, most wanted first.
///
/// In the file an entry of `routes` is one URL, or a list of URLs that all lead to the same peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// At least one.
    pub urls: Vec<RouteUrl>,
}

/// The user and password, or the token, that peers need to make a route here. Prints without password and token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteLogin {
    /// `user`; empty if it is a token.
    pub user: String,
    /// `password` or `token`, in plain or as a bcrypt hash.
    pub password: Secret,
}

impl RouteLogin {
    /// Whether it is a token.
    pub fn is_token(&self) -> bool {
        self.user.is_empty()
    }
}

/// How the servers of a cluster are connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RouteType {
    /// Each with each other; what comes over a route goes on over none.
    #[default]
    Mesh,
    /// As configured alone; servers pass on what is for others.
    Dag,
}

impl fmt::Display for RouteType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mesh => "mesh",
            Self::Dag => "dag",
        })
    }
}

/// `cluster {}`.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// `name`; a random one, agreed with the peers, when unset.
    pub name: Option<String>,
    /// `listen`, or `host` and `port`; one address or a list.
    pub listen: Vec<Listen>,
    /// `routes`.
    pub routes: Vec<Remote>,
    /// `authorization { user, password }`; everybody may make routes when unset.
    pub login: Option<RouteLogin>,
    /// `authorization { timeout }`: how long a peer may take to say who it is.
    pub auth_timeout: Duration,
    /// `permissions {}`; everything passes when unset.
    pub permissions: Option<RoutePermissions>,
    /// `no_advertise`: tell clients nothing of the other servers.
    pub no_advertise: bool,
    /// `advertise`: `host[:port]` told to peers in place of the bound address.
    pub advertise: Option<String>,
    /// `connect_retries` of implicit routes; explicit ones are retried for ever.
    pub connect_retries: u32,
    /// `connect_backoff`: 1 s doubling to 30 s instead of every second.
    pub connect_backoff: bool,
    /// `route_type`: how servers are connected.
    pub route_type: RouteType,
    /// `passive`: other servers are never dialled, they dial this one.
    pub passive: bool,
    /// `pool_size`; `None` turns pooling off (-1 in the file).
    pub pool_size: Option<u16>,
    /// `accounts` that have connections of their own, by name.
    pub accounts: Vec<String>,
    /// `ping_interval` of routes, at most 30 s.
    pub ping_interval: Duration,
    /// `ping_max` of routes.
    pub ping_max: u32,
    /// `write_deadline` of routes; that of the server when unset.
    pub write_deadline: Option<Duration>,
    /// `write_timeout` of routes.
    pub write_timeout: WriteTimeout,
    /// `compression` of routes.
    pub compression: Mode,
    /// `tls {}` of routes; present when they are to use TLS.
    pub tls: Option<TlsOptions>,
    /// `authority`: the directory of the authority that vouches for peers over SCION, where `tls` does not say who does.
    pub authority: Option<PathBuf>,
    /// `path_rules {}`: what is wanted of the paths of connections that are accepted here.
    pub path_rules: Option<Accepted>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            name: None,
            listen: Vec::new(),
            routes: Vec::new(),
            login: None,
            auth_timeout: Duration::from_secs(2),
            permissions: None,
            no_advertise: false,
            advertise: None,
            connect_retries: 0,
            connect_backoff: false,
            route_type: RouteType::default(),
            passive: false,
            pool_size: Some(3),
            accounts: Vec::new(),
            ping_interval: Duration::from_secs(30),
            ping_max: 2,
            write_deadline: None,
            write_timeout: WriteTimeout::Default,
            compression: Mode::Accept,
            tls: None,
            authority: None,
            path_rules: None,
        }
    }
}

impl ClusterOptions {
    /// Connections between two servers; `None` if there is no pool.
    pub(crate) fn pool(&self) -> Option<u16> {
        match self.route_type {
            RouteType::Mesh => self.pool_size,
            // Lines that are not in order would look like lines that are missing.
            RouteType::Dag => Some(1),
        }
    }

    /// Whether servers pass on what is for others.
    pub(crate) fn is_dag(&self) -> bool {
        self.route_type == RouteType::Dag
    }

    /// Where routes come in or lead to over SCION.
    pub(crate) fn scion_addresses(&self) -> impl Iterator<Item = ScionAddr> + '_ {
        let dialled = self.routes.iter().flat_map(|remote| &remote.urls).filter_map(|url| match url.address {
            PeerAddr::Scion(address) => Some(address),
            PeerAddr::Tcp { .. } | PeerAddr::Udp(_) => None,
        });
        scion_listeners(&self.listen).chain(dialled)
    }
}
