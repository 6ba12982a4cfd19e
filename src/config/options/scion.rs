//! `scion {}`.

use natsd_path::{IsdAs, Wishes};

/// `pool_paths`: how the connections to one server choose their paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolPaths {
    /// All take the best path.
    #[default]
    Shared,
    /// The first takes the best path, the others keep off it and off each other.
    Disjoint,
}

impl PoolPaths {
    /// The word for it in a configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Disjoint => "disjoint",
        }
    }
}

/// `scion {}`. Its presence turns SCION on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScionOptions {
    /// `daemon`: `host:port` of the SCION daemon; `SCION_DAEMON`, `SCION_DAEMON_ADDRESS`, then
    /// `127.0.0.1:30255` when unset.
    pub daemon: Option<String>,
    /// `topology`: the AS's topology file, to do without a daemon; `/etc/scion/topology.json` when neither is set and no
    /// daemon answers at its usual address.
    pub topology: Option<std::path::PathBuf>,
    /// `endhost_api`: `http://host:port` of an end-host API, to do without both.
    pub endhost_api: Option<String>,
    /// `local`: the address of this host inside its AS, for dialling. `SCION_LOCAL_ADDR` when unset, then the
    /// address the kernel would use towards the border router.
    pub local: Option<std::net::IpAddr>,
    /// What is wanted of paths.
    pub wishes: Wishes,
    /// `pool_paths`.
    pub pool_paths: PoolPaths,
    /// `probe_budget`: bytes a second of regular probes to one peer; natsd's default when unset.
    pub probe_budget: Option<u32>,
    /// `allow`: the ASes that may connect, all when empty; ISD 0 and AS 0 stand for any.
    pub allow: Vec<IsdAs>,
    /// `deny`: the ASes that may not, whatever `allow` says.
    pub deny: Vec<IsdAs>,
    /// `max_connections_per_as`: how many connections of one kind (clients, routes, gateways, leaf nodes) hosts of one AS
    /// may have here; `None` is unlimited (0 in the file).
    pub max_connections_per_as: Option<usize>,
}

impl Default for ScionOptions {
    fn default() -> Self {
        Self {
            daemon: None,
            topology: None,
            endhost_api: None,
            local: None,
            wishes: Wishes::default(),
            pool_paths: PoolPaths::default(),
            probe_budget: None,
            allow: Vec::new(),
            deny: Vec::new(),
            max_connections_per_as: Some(8192),
        }
    }
}

#[cfg(feature = "scion")]
impl ScionOptions {
    /// Whether hosts of this AS may connect; if not, the key that says so.
    pub(crate) fn admits(&self, from: IsdAs) -> Result<(), &'static str> {
        let is_meant = |list: &[IsdAs]| {
            let fits = |wanted: u64, own: u64| wanted == 0 || wanted == own;
            list.iter().any(|meant| fits(meant.isd().into(), from.isd().into()) && fits(meant.asn(), from.asn()))
        };
        if is_meant(&self.deny) {
            return Err("scion.deny");
        }
        if self.allow.is_empty() || is_meant(&self.allow) { Ok(()) } else { Err("scion.allow") }
    }
}
