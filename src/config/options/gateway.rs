//! `gateway {}`.

use std::time::Duration;

use natsd_path::{Accepted, ScionAddr};

use super::{
    InvalidOptions, Listen, Options, PeerAddr, RouteLogin, RouteUrl, TlsOptions, WriteTimeout, scion_listeners,
};
use crate::tls::TlsError;

/// `gateway {}`: this cluster is one of several that are connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayOptions {
    /// `name` of this cluster.
    pub name: String,
    /// `listen`, or `host` and `port`; at least one address.
    pub listen: Vec<Listen>,
    /// `advertise`: `host[:port]` told to other clusters in place of the bound address.
    pub advertise: Option<String>,
    /// `authorization { user, password }`; everybody may come in when unset.
    pub login: Option<RouteLogin>,
    /// `authorization { timeout }`: how long a server may take to say who it is.
    pub auth_timeout: Duration,
    /// `tls {}`.
    pub tls: Option<TlsOptions>,
    /// `connect_retries` of clusters heard of; those of `gateways` are dialled for ever.
    pub connect_retries: u32,
    /// `connect_backoff`: 1 s doubling to 30 s instead of every second.
    pub connect_backoff: bool,
    /// `reject_unknown_cluster`: only those of `gateways` may come in, and are dialled.
    pub reject_unknown: bool,
    /// `write_deadline`; that of the server when unset.
    pub write_deadline: Option<Duration>,
    /// `write_timeout`.
    pub write_timeout: WriteTimeout,
    /// `gateways`: the clusters to dial; this one may be among them.
    pub gateways: Vec<GatewayRemote>,
    /// `path_rules {}`: what is wanted of the paths of connections that are accepted here.
    pub path_rules: Option<Accepted>,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            name: String::new(),
            listen: Vec::new(),
            advertise: None,
            login: None,
            auth_timeout: Duration::from_secs(2),
            tls: None,
            connect_retries: 0,
            connect_backoff: false,
            reject_unknown: false,
            write_deadline: None,
            write_timeout: WriteTimeout::Default,
            gateways: Vec::new(),
            path_rules: None,
        }
    }
}

/// An entry of `gateways`: a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayRemote {
    /// `name`.
    pub name: String,
    /// `url`, `urls`: some of its servers; at least one.
    pub urls: Vec<RouteUrl>,
    /// `tls {}`; that of the block when unset.
    pub tls: Option<TlsOptions>,
}

/// Its name and URLs, without users.
impl std::fmt::Display for GatewayRemote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} [", self.name)?;
        for (at, url) in self.urls.iter().enumerate() {
            write!(f, "{}{}", if at > 0 { ", " } else { "" }, url.address)?;
        }
        f.write_str("]")
    }
}

impl GatewayOptions {
    /// The clusters to dial.
    pub(crate) fn others(&self) -> impl Iterator<Item = &GatewayRemote> {
        self.gateways.iter().filter(|remote| remote.name != self.name)
    }

    /// Checks it against the rest.
    pub(super) fn check(&self, all: &Options) -> Result<(), InvalidOptions> {
        let cluster = all.cluster.as_ref().and_then(|cluster| cluster.name.as_ref());
        if let Some(cluster) = cluster.filter(|cluster| **cluster != self.name) {
            return Err(InvalidOptions::GatewayName { gateway: self.name.clone(), cluster: cluster.clone() });
        }
        if all.leafnodes.is_some()
            && all.system_account.as_deref().is_none_or(|name| name == natsd_auth::account::SYSTEM)
        {
            return Err(InvalidOptions::GatewayWithLeafnodes);
        }
        Ok(())
    }

    /// Whether TLS can be spoken as configured.
    pub(super) fn check_tls(&self) -> Result<(), TlsError> {
        let remotes = self.gateways.iter().filter_map(|remote| remote.tls.as_ref());
        self.tls.iter().chain(remotes).try_for_each(crate::tls::check_routes)
    }

    /// Where other clusters come in, or are, over SCION.
    pub(crate) fn scion_addresses(&self) -> impl Iterator<Item = ScionAddr> + '_ {
        let dialled = self.others().flat_map(|remote| &remote.urls).filter_map(|url| match url.address {
            PeerAddr::Scion(address) => Some(address),
            PeerAddr::Tcp { .. } | PeerAddr::Udp(_) => None,
        });
        scion_listeners(&self.listen).chain(dialled)
    }
}

impl Options {
    /// What the cluster is called, if that is configured.
    pub(crate) fn cluster_name(&self) -> Option<&str> {
        let gateway = self.gateway.as_ref().map(|gateway| gateway.name.as_str());
        self.cluster.as_ref().and_then(|cluster| cluster.name.as_deref()).or(gateway)
    }
}
