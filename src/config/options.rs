//! What an operator can set, after the file and the flags have been read.

mod callout;
mod check;
mod cluster;
mod gateway;
mod http_proxy;
mod leafnodes;
mod multihome;
mod operator;
mod path_rules;
mod prices;
mod scion;
mod tls;
mod websocket;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use natsd_auth::account::{AccountSpec, GLOBAL, SYSTEM};
use natsd_auth::{Directory, Login, Proxies};
use natsd_core::transform::Mappings;
use natsd_path::{Accepted, PlainAddr, ScionAddr};

pub use callout::{CalloutError, CalloutOptions};
pub use check::InvalidOptions;
pub use cluster::{ClusterOptions, Remote, RouteLogin, RouteType};
pub use gateway::{GatewayOptions, GatewayRemote};
pub use http_proxy::HttpProxy;
pub use leafnodes::{DEFAULT_LEAF_PORT, LeafOptions, LeafRemote, LeafUrl};
pub use multihome::MultihomeOptions;
pub use operator::{
    Beside, CACHE_LIMIT, Delete, FETCH_TIMEOUT, OperatorError, OperatorOptions, Resolver, SYNC_INTERVAL, check_preload,
};
pub use scion::{PoolPaths, ScionOptions};
pub use tls::{CertFiles, DEFAULT_TIMEOUT, HandshakeFirst, TlsOptions};
pub use websocket::{DEFAULT_UPGRADE_TIMEOUT, WebsocketOptions};

/// Default port for clients.
pub const DEFAULT_PORT: u16 = 4222;

/// What nats-server 2.15 can do in two ways, and whether it does it in the new one unless told.
pub const FEATURES: [(&str, bool); 4] = [
    ("js_ack_fc_v2", false),
    ("js_api_reply_v2", false),
    ("js_raft_delete_range", true),
    ("js_snapshot_sources", false),
];

/// An address to listen on: TCP, or SCION with QUIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `host:port`; `port` 0 takes a free one (written -1 in files and flags).
    Tcp {
        /// Host name or address to bind.
        host: String,
        /// Port to bind.
        port: u16,
    },
    /// `nats://ISD-AS,host:port` or `[ISD-AS,host]:port`.
    Scion(ScionAddr),
    /// `udp://host:port` or `udp://[host,host]:port`, of routes alone.
    Udp(PlainAddr),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp { host, port } => fmt_host_port(f, host, *port),
            Listen::Scion(address) => address.fmt(f),
            Listen::Udp(address) => write!(f, "udp://{address}"),
        }
    }
}

/// `host:port`, an IPv6 address in brackets.
pub(crate) struct HostPort<'a>(pub &'a str, pub u16);

impl fmt::Display for HostPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt_host_port(f, self.0, self.1)
    }
}

fn fmt_host_port(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
}

/// One address of a peer. Prints without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct RouteUrl {
    /// User of the URL, if any.
    pub user: Option<String>,
    /// Password of the URL, if any.
    pub password: Option<String>,
    /// Where to dial.
    pub address: PeerAddr,
}

impl fmt::Display for RouteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            PeerAddr::Udp(_) => self.address.fmt(f),
            PeerAddr::Tcp { .. } | PeerAddr::Scion(_) => write!(f, "nats-route://{}", self.address),
        }
    }
}

impl fmt::Debug for RouteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where a peer can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddr {
    /// Host name or address and port.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// SCION host.
    Scion(ScionAddr),
    /// IP addresses of one host, over UDP; of routes alone.
    Udp(PlainAddr),
}

/// Where a peer takes QUIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuicAddr {
    /// Over SCION.
    Scion(ScionAddr),
    /// Over plain IP.
    Udp(PlainAddr),
}

impl PeerAddr {
    /// Where QUIC is to be dialled, if it is.
    pub(crate) fn quic(&self) -> Option<QuicAddr> {
        match self {
            PeerAddr::Tcp { .. } => None,
            PeerAddr::Scion(address) => Some(QuicAddr::Scion(*address)),
            PeerAddr::Udp(address) => Some(QuicAddr::Udp(address.clone())),
        }
    }
}

impl fmt::Display for QuicAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            QuicAddr::Scion(address) => address.fmt(f),
            QuicAddr::Udp(address) => write!(f, "udp://{address}"),
        }
    }
}

impl fmt::Display for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerAddr::Tcp { host, port } => fmt_host_port(f, host, *port),
            PeerAddr::Scion(address) => address.fmt(f),
            PeerAddr::Udp(address) => write!(f, "udp://{address}"),
        }
    }
}

/// Where syslog is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddr {
    /// On this machine, where it usually is.
    Local,
    /// `unix:///path`.
    Unix(PathBuf),
    /// `udp://host:port`.
    Udp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// `tcp://host:port`.
    Tcp {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
}

impl fmt::Display for SyslogAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Local => return f.write_str("/dev/log"),
            Self::Unix(path) => return write!(f, "unix://{}", path.display()),
            Self::Udp { host, port } => ("udp", host, port),
            Self::Tcp { host, port } => ("tcp", host, port),
        };
        write!(f, "{scheme}://")?;
        fmt_host_port(f, host, *port)
    }
}

fn scion_listeners(listen: &[Listen]) -> impl Iterator<Item = ScionAddr> + '_ {
    listen.iter().filter_map(|listen| match listen {
        Listen::Scion(address) => Some(*address),
        Listen::Tcp { .. } | Listen::Udp(_) => None,
    })
}

/// What becomes of a connection that takes longer than `write_deadline` to be written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteTimeout {
    /// `default`: it is cut if it is a client, and stays, as with `retry`, if it is a route.
    #[default]
    Default,
    /// `close`: it is cut.
    Close,
    /// `retry`: it stays, if something of what waited was written meanwhile.
    Retry,
}

impl fmt::Display for WriteTimeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "default",
            Self::Close => "close",
            Self::Retry => "retry",
        })
    }
}

/// Who may connect: `authorization {}` and `no_auth_user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// `user`, `token`, `users`, `no_auth_user`.
    pub directory: Directory,
    /// `timeout`: how long a client may take to say who it is.
    pub timeout: Duration,
    /// `auth_callout`.
    pub callout: Option<Arc<CalloutOptions>>,
    /// `proxy_required`, of a single user or a token.
    pub proxy_required: bool,
}

impl Default for Authorization {
    fn default() -> Self {
        Self { directory: Directory::default(), timeout: Duration::from_secs(2), callout: None, proxy_required: false }
    }
}

impl Authorization {
    /// Whether clients have to say who they are.
    pub fn is_required(&self) -> bool {
        !self.directory.is_open() && self.directory.anonymous().is_none()
    }
}

/// All options of a server. `Options::default()` is what `natsd` without file and flags runs with.
#[derive(Clone, Debug)]
pub struct Options {
    /// Path of the configuration file, if one was read.
    pub config_file: Option<PathBuf>,
    /// `sha256:…` of the parsed configuration.
    pub config_digest: Option<String>,
    /// `server_name`; the server id when unset.
    pub server_name: Option<String>,
    /// `server_tags`, in lower case, each once.
    pub server_tags: Vec<String>,
    /// `server_metadata`.
    pub server_metadata: BTreeMap<String, String>,
    /// `feature_flags`, and for those of [`FEATURES`] that it does not name what nats-server does without.
    pub feature_flags: BTreeMap<String, bool>,
    /// `listen`: one address or a list; or `host` and `port`.
    pub listen: Vec<Listen>,
    /// `client_advertise`: `host[:port]`.
    pub client_advertise: Option<String>,
    /// `http`, `http_port`, `monitor_port`: where monitoring listens.
    pub http: Option<(String, u16)>,
    /// `https`, `https_port`: where monitoring listens with the certificate of `tls`.
    pub https: Option<(String, u16)>,
    /// `http { user, password }` or the same of `https`: who may see monitoring; everybody when unset.
    pub http_login: Option<Login>,
    /// `http_base_path`, without trailing slash.
    pub http_base_path: String,
    /// `authorization {}`.
    pub authorization: Authorization,
    /// `operator`, `trusted_keys`, `resolver` and what goes with them; present if one of them is.
    pub operator: Option<OperatorOptions>,
    /// `proxies { trusted }`.
    pub proxies: Proxies,
    /// `tls {}` of clients and of `https`; present when clients are to use TLS.
    pub tls: Option<TlsOptions>,
    /// `allow_non_tls`: clients may do without all the same.
    pub allow_non_tls: bool,
    /// `cluster {}`; present when clustering is on.
    pub cluster: Option<ClusterOptions>,
    /// `gateway {}`; present when this cluster is one of several.
    pub gateway: Option<GatewayOptions>,
    /// `leafnodes {}`; present when leaf nodes are taken, or hubs dialled.
    pub leafnodes: Option<LeafOptions>,
    /// `websocket {}`; present when clients may come over WebSocket.
    pub websocket: Option<WebsocketOptions>,
    /// `proxy_protocol`: clients over TCP come by a proxy.
    pub proxy_protocol: bool,
    /// `scion {}`.
    pub scion: Option<ScionOptions>,
    /// `client_path_rules {}`: what is wanted of the paths of clients that come over SCION.
    pub client_path_rules: Option<Accepted>,
    /// `multihome {}`.
    pub multihome: Option<MultihomeOptions>,
    /// `accounts {}`; of the account `$G` there is an entry if it has `mappings {}`, and of the system account always.
    pub accounts: Vec<AccountSpec>,
    /// `system_account`: name of the account of the servers themselves; `None` by `no_system_account`.
    pub system_account: Option<String>,
    /// `max_control_line`, bytes.
    pub max_control_line: usize,
    /// `max_payload`, bytes.
    pub max_payload: usize,
    /// `max_pending`, bytes a client may have waiting before it is cut off.
    pub max_pending: usize,
    /// `max_connections`; `None` is unlimited (0 in the file).
    pub max_connections: Option<usize>,
    /// `max_subscriptions` a connection; `None` is unlimited.
    pub max_subscriptions: Option<usize>,
    /// `max_sub_tokens` of a subscription's subject; `None` is unlimited.
    pub max_sub_tokens: Option<u8>,
    /// `max_closed_clients` kept for `/connz?state=closed`.
    pub max_closed_clients: usize,
    /// `ping_interval`.
    pub ping_interval: Duration,
    /// `ping_max`: outstanding pings before a connection counts as stale.
    pub ping_max: u32,
    /// `write_deadline`.
    pub write_deadline: Duration,
    /// `write_timeout` of clients.
    pub write_timeout: WriteTimeout,
    /// `no_fast_producer_stall`.
    pub no_fast_producer_stall: bool,
    /// `no_header_support`.
    pub no_header_support: bool,
    /// `lame_duck_duration`.
    pub lame_duck_duration: Duration,
    /// `lame_duck_grace_period`.
    pub lame_duck_grace_period: Duration,
    /// `connect_error_reports`: log every n-th failed first connect.
    pub connect_error_reports: u32,
    /// `reconnect_error_reports`.
    pub reconnect_error_reports: u32,
    /// `debug`.
    pub debug: bool,
    /// `trace`.
    pub trace: bool,
    /// `logtime`.
    pub logtime: bool,
    /// `logtime_utc`.
    pub logtime_utc: bool,
    /// `log_file`.
    pub log_file: Option<PathBuf>,
    /// `logfile_size_limit`, bytes from which on the log file is moved aside; 0 for never.
    pub log_size_limit: u64,
    /// `logfile_max_num`, log files kept, the current one included; 0 for all.
    pub log_max_num: usize,
    /// `syslog`; a `log_file` comes first.
    pub syslog: bool,
    /// `remote_syslog`; a `log_file` comes first.
    pub remote_syslog: Option<SyslogAddr>,
    /// `pid_file`.
    pub pid_file: Option<PathBuf>,
    /// `ports_file_dir`: the directory of the file that says where the server listens.
    pub ports_file_dir: Option<PathBuf>,
    /// `trace_verbose`: traces what the server itself says in the system account as well.
    pub trace_verbose: bool,
    /// `trace_headers`: of payloads traces the header alone.
    pub trace_headers: bool,
    /// `max_traced_msg_len`, bytes; 0 is unlimited.
    pub max_traced_msg_len: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config_file: None,
            config_digest: None,
            server_name: None,
            server_tags: Vec::new(),
            server_metadata: BTreeMap::new(),
            feature_flags: FEATURES.iter().map(|(flag, on)| ((*flag).to_owned(), *on)).collect(),
            listen: vec![Listen::Tcp { host: "0.0.0.0".into(), port: DEFAULT_PORT }],
            client_advertise: None,
            http: None,
            https: None,
            http_login: None,
            http_base_path: String::new(),
            authorization: Authorization::default(),
            proxies: Proxies::default(),
            operator: None,
            tls: None,
            allow_non_tls: false,
            cluster: None,
            gateway: None,
            leafnodes: None,
            websocket: None,
            proxy_protocol: false,
            scion: None,
            client_path_rules: None,
            multihome: None,
            accounts: vec![AccountSpec::named(SYSTEM)],
            system_account: Some(SYSTEM.into()),
            max_control_line: 4096,
            max_payload: 1 << 20,
            max_pending: 64 << 20,
            max_connections: Some(65536),
            max_subscriptions: None,
            max_sub_tokens: None,
            max_closed_clients: 10_000,
            ping_interval: Duration::from_secs(120),
            ping_max: 2,
            write_deadline: Duration::from_secs(10),
            write_timeout: WriteTimeout::Default,
            no_fast_producer_stall: false,
            no_header_support: false,
            lame_duck_duration: Duration::from_secs(120),
            lame_duck_grace_period: Duration::from_secs(10),
            connect_error_reports: 3600,
            reconnect_error_reports: 1,
            debug: false,
            trace: false,
            logtime: true,
            logtime_utc: false,
            log_file: None,
            log_size_limit: 0,
            log_max_num: 0,
            syslog: false,
            remote_syslog: None,
            pid_file: None,
            ports_file_dir: None,
            trace_verbose: false,
            trace_headers: false,
            max_traced_msg_len: 0,
        }
    }
}

impl Options {
    /// Adds the accounts that there are anyhow.
    pub(crate) fn complete_accounts(&mut self, global_mappings: Option<Mappings>) {
        if let Some(mappings) = global_mappings.filter(|mappings| !mappings.is_empty()) {
            self.accounts.push(AccountSpec { mappings: mappings.into(), ..AccountSpec::named(GLOBAL) });
        }
        if let Some(system) = &self.system_account
            && self.accounts.iter().all(|spec| spec.name != *system)
        {
            self.accounts.push(AccountSpec::named(system));
        }
    }

    /// Whether users come with tokens that an operator's accounts have signed.
    pub(crate) fn has_operators(&self) -> bool {
        self.operator.as_ref().is_some_and(OperatorOptions::is_on)
    }

    /// Whether clients have to say who they are.
    pub(crate) fn auth_required(&self) -> bool {
        self.has_operators() || self.authorization.is_required()
    }

    fn scion_addresses(&self) -> impl Iterator<Item = ScionAddr> + '_ {
        let routes = self.cluster.iter().flat_map(ClusterOptions::scion_addresses);
        let hubs = self.leafnodes.iter().flat_map(LeafOptions::scion_addresses);
        let gateways = self.gateway.iter().flat_map(GatewayOptions::scion_addresses);
        scion_listeners(&self.listen).chain(routes).chain(hubs).chain(gateways)
    }

    /// How a failure of this `attempt`, from 1 on, to reach another server is logged; `again` if it was connected before.
    pub(crate) fn level_of_failure(&self, attempt: u32, again: bool) -> log::Level {
        let every = if again { self.reconnect_error_reports } else { self.connect_error_reports };
        if attempt == 1 || attempt.is_multiple_of(every.max(1)) { log::Level::Error } else { log::Level::Debug }
    }

    /// The syslog that is to be logged to, unless there is a log file.
    pub(crate) fn syslog_address(&self) -> Option<SyslogAddr> {
        self.remote_syslog.clone().or_else(|| self.syslog.then_some(SyslogAddr::Local))
    }

    /// The host of the first TCP listener for clients, which monitoring listens on unless told otherwise.
    pub(crate) fn client_host(&self) -> &str {
        let hosts = self.listen.iter().find_map(|listen| match listen {
            Listen::Tcp { host, .. } => Some(host.as_str()),
            Listen::Scion(_) | Listen::Udp(_) => None,
        });
        hosts.unwrap_or("0.0.0.0")
    }
}
