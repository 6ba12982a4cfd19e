use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::omit::empty;
use crate::{GatewayVarz, ProxyInfo, Time};

/// `/varz`: what the server is, its limits and its counters.
///
/// The counters `in_*` and `out_*` count clients and routes together, `*_client_*` clients alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Varz {
    /// Id of the server, a public nkey.
    pub server_id: String,
    /// Name of the server.
    pub server_name: String,
    /// Version of nats-server that natsd is compatible with. See `natsd` for its own.
    pub version: String,
    /// Version of the client protocol.
    pub proto: i32,
    /// The compiler.
    pub go: String,
    /// Address that clients connect to.
    pub host: String,
    /// Port that clients connect to.
    pub port: u16,
    /// Whether clients have to say who they are; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub auth_required: bool,
    /// Clients must use TLS; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_required: bool,
    /// Clients must show a certificate; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_verify: bool,
    /// What clients are told in `connect_urls`; absent when empty.
    #[serde(skip_serializing_if = "empty")]
    pub connect_urls: Vec<String>,
    /// The same of clients over WebSocket.
    #[serde(skip_serializing_if = "empty")]
    pub ws_connect_urls: Vec<String>,
    /// Most clients at a time; 0 is unlimited.
    pub max_connections: u64,
    /// Most subscriptions of a connection; absent when unlimited.
    #[serde(skip_serializing_if = "empty")]
    pub max_subscriptions: u64,
    /// Between pings, nanoseconds.
    pub ping_interval: u64,
    /// Pings without answer before a connection is stale.
    pub ping_max: u32,
    /// Address of monitoring.
    pub http_host: String,
    /// Port of monitoring.
    pub http_port: u16,
    /// In front of every path of monitoring.
    pub http_base_path: String,
    /// Port of monitoring over TLS; 0 when off.
    pub https_port: u16,
    /// How long clients may take for that, seconds.
    pub auth_timeout: f64,
    /// Longest protocol line, bytes.
    pub max_control_line: u64,
    /// Largest payload, bytes.
    pub max_payload: u64,
    /// Bytes that may wait for a client, before it is cut off.
    pub max_pending: u64,
    /// The cluster; empty when off.
    pub cluster: ClusterVarz,
    /// Other clusters; empty when off.
    pub gateway: GatewayVarz,
    /// Leaf nodes; empty when off.
    pub leaf: LeafVarz,
    /// Empty: natsd has no MQTT.
    pub mqtt: Disabled,
    /// The listener for WebSocket; empty when off.
    pub websocket: WebsocketVarz,
    /// Empty: natsd has no JetStream.
    pub jetstream: Disabled,
    /// How long a TLS handshake of a client may take, seconds.
    pub tls_timeout: f64,
    /// Longest wait for a client to take its bytes, nanoseconds.
    pub write_deadline: u64,
    /// When the server started.
    pub start: Time,
    /// When this was read.
    pub now: Time,
    /// Since `start`, `38s`.
    pub uptime: String,
    /// Resident memory, bytes.
    pub mem: u64,
    /// Processors of the machine.
    pub cores: u64,
    /// Processors that the server uses at a time.
    pub gomaxprocs: u64,
    /// Processor use since the previous reading (at least a second), per cent of one processor.
    pub cpu: f64,
    /// Clients now.
    pub connections: u64,
    /// Clients since the start.
    pub total_connections: u64,
    /// Route connections.
    pub routes: u64,
    /// Servers that routes lead to.
    pub remotes: u64,
    /// Leaf nodes.
    pub leafnodes: u64,
    /// Messages received.
    pub in_msgs: u64,
    /// Bytes of payload received.
    pub in_bytes: u64,
    /// Messages received from clients.
    pub in_client_msgs: u64,
    /// Bytes of payload received from clients.
    pub in_client_bytes: u64,
    /// Messages sent.
    pub out_msgs: u64,
    /// Bytes of payload sent.
    pub out_bytes: u64,
    /// Messages sent to clients.
    pub out_client_msgs: u64,
    /// Bytes of payload sent to clients.
    pub out_client_bytes: u64,
    /// Connections cut off because they were too slow.
    pub slow_consumers: u64,
    /// Connections cut off because they answered no ping.
    pub stale_connections: u64,
    /// How often a publisher was slowed down for a slow receiver's sake.
    pub stalled_clients: u64,
    /// Subscriptions, those of other servers included.
    pub subscriptions: u64,
    /// Requests served by monitoring, by path.
    pub http_req_stats: BTreeMap<String, u64>,
    /// When the configuration was read.
    pub config_load_time: Time,
    /// `sha256:…` of the configuration; empty without a file.
    pub config_digest: String,
    /// What the operator files the server under, in lower case; absent without any.
    #[serde(skip_serializing_if = "empty")]
    pub tags: Vec<String>,
    /// What the operator says of the server; absent when nothing.
    #[serde(skip_serializing_if = "empty")]
    pub metadata: BTreeMap<String, String>,
    /// What the server does in a new way, and what not yet.
    #[serde(skip_serializing_if = "empty")]
    pub feature_flags: BTreeMap<String, bool>,
    /// Account of the servers themselves; absent without one.
    #[serde(skip_serializing_if = "empty")]
    pub system_account: String,
    /// `slow_consumers` by kind of link.
    pub slow_consumer_stats: LinkCounts,
    /// `stale_connections` by kind of link.
    pub stale_connection_stats: LinkCounts,
    /// Waits for a turn at the disk.
    pub disk_io_wait_stats: DiskIoWaits,
    /// Proxies that vouch for clients; absent when `proxies` is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxies: Option<ProxiesVarz>,
    /// When the certificate that clients see ends; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_not_after: Option<Time>,
    /// Version of natsd; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub natsd: String,
}

/// `cluster` in [`Varz`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterVarz {
    /// Name of the cluster.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Address that routes connect to.
    #[serde(skip_serializing_if = "empty")]
    pub addr: String,
    /// Port that routes connect to.
    #[serde(skip_serializing_if = "empty")]
    pub cluster_port: u16,
    /// How long another server may take to say who it is, seconds.
    #[serde(skip_serializing_if = "empty")]
    pub auth_timeout: f64,
    /// `host:port` of the configured routes and of this server, once there are any.
    #[serde(skip_serializing_if = "empty")]
    pub urls: Vec<String>,
    /// How long a TLS handshake may take, seconds.
    #[serde(skip_serializing_if = "empty")]
    pub tls_timeout: f64,
    /// Routes use TLS; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_required: bool,
    /// They ask for a certificate; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_verify: bool,
    /// Connections a peer; absent when routes are not pooled.
    #[serde(skip_serializing_if = "empty")]
    pub pool_size: u16,
    /// When the certificate of routes ends; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_not_after: Option<Time>,
    /// `dag` where servers pass on what is for others; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub route_type: String,
    /// Servers that routes go around in a ring, in order, if there is one; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub ring: Vec<String>,
}

/// `leaf` in [`Varz`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeafVarz {
    /// Address that leaf nodes connect to.
    #[serde(skip_serializing_if = "empty")]
    pub host: String,
    /// Port that leaf nodes connect to.
    #[serde(skip_serializing_if = "empty")]
    pub port: u16,
    /// How long a leaf node may take to say who it is, seconds.
    #[serde(skip_serializing_if = "empty")]
    pub auth_timeout: f64,
    /// How long a TLS handshake may take, seconds.
    #[serde(skip_serializing_if = "empty")]
    pub tls_timeout: f64,
    /// Leaf nodes use TLS; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_required: bool,
    /// They are asked for a certificate; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_verify: bool,
    /// The configured hubs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remotes: Vec<RemoteLeafVarz>,
    /// Longest wait for the other server to take its bytes, nanoseconds; absent when it is that of clients.
    #[serde(skip_serializing_if = "empty")]
    pub write_deadline: u64,
    /// When the certificate for leaf nodes ends; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_not_after: Option<Time>,
}

/// One of `remotes` in [`LeafVarz`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteLeafVarz {
    /// Account here.
    #[serde(skip_serializing_if = "empty")]
    pub local_account: String,
    /// How long a TLS handshake may take, seconds; absent without `tls {}`.
    #[serde(skip_serializing_if = "empty")]
    pub tls_timeout: f64,
    /// `host:port` of its servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What does not pass.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<DenyRules>,
}

/// `deny` in [`RemoteLeafVarz`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DenyRules {
    /// Subjects that do not go to the hub.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<String>,
    /// Subjects that do not come from it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<String>,
}

/// `proxies` in [`Varz`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxiesVarz {
    /// Those that are trusted.
    #[serde(skip_serializing_if = "empty")]
    pub trusted: Vec<ProxyInfo>,
}

/// Waits for a turn at the disk: all 0 without persistence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DiskIoWaits {
    /// Who waits now.
    pub waiters: u64,
    /// Waits since the start.
    pub waits: u64,
    /// Time waited since the start, nanoseconds.
    pub wait_time: u64,
    /// The longest wait, nanoseconds.
    pub max_wait_time: u64,
}

/// `websocket` in [`Varz`]. What is off or unset is absent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct WebsocketVarz {
    /// Address that clients connect to.
    #[serde(skip_serializing_if = "empty")]
    pub host: String,
    /// Port that clients connect to.
    #[serde(skip_serializing_if = "empty")]
    pub port: u16,
    /// What is told in place of that.
    #[serde(skip_serializing_if = "empty")]
    pub advertise: String,
    /// User of clients without credentials.
    #[serde(skip_serializing_if = "empty")]
    pub no_auth_user: String,
    /// How long the handshake may take, nanoseconds.
    #[serde(skip_serializing_if = "empty")]
    pub handshake_timeout: u64,
    /// How long clients may take to say who they are, seconds.
    #[serde(skip_serializing_if = "empty")]
    pub auth_timeout: f64,
    /// Clients need no TLS.
    #[serde(skip_serializing_if = "empty")]
    pub no_tls: bool,
    /// Keys that certificates of clients may have, SHA-256 in hexadecimal.
    #[serde(skip_serializing_if = "empty")]
    pub tls_pinned_certs: Vec<String>,
    /// Web pages come from the host that they connect to.
    #[serde(skip_serializing_if = "empty")]
    pub same_origin: bool,
    /// Where web pages come from.
    #[serde(skip_serializing_if = "empty")]
    pub allowed_origins: Vec<String>,
    /// Messages are compressed with clients that offer it.
    #[serde(skip_serializing_if = "empty")]
    pub compression: bool,
    /// When the certificate that they see ends; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_not_after: Option<Time>,
}

/// The section of a feature that is off or that natsd does not have: `{}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {}

/// A count for each kind of link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkCounts {
    /// Of clients.
    pub clients: u64,
    /// Of routes.
    pub routes: u64,
    /// Of gateways.
    pub gateways: u64,
    /// Of leaf nodes.
    pub leafs: u64,
}
