use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::omit::empty;

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
    /// Empty: natsd has no gateways.
    pub gateway: Disabled,
    /// Empty: natsd has no leaf nodes.
    pub leaf: Disabled,
    /// Empty: natsd has no MQTT.
    pub mqtt: Disabled,
    /// Empty: natsd has no WebSockets.
    pub websocket: Disabled,
    /// Empty: natsd has no JetStream.
    pub jetstream: Disabled,
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
    /// Account of the servers themselves; absent without one.
    #[serde(skip_serializing_if = "empty")]
    pub system_account: String,
    /// `slow_consumers` by kind of link.
    pub slow_consumer_stats: LinkCounts,
    /// `stale_connections` by kind of link.
    pub stale_connection_stats: LinkCounts,
    /// Version of natsd; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub natsd: String,
}

/// `cluster` in [`Varz`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// `host:port` of the configured routes and of this server, once there are any.
    #[serde(skip_serializing_if = "empty")]
    pub urls: Vec<String>,
    /// Routes use TLS; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_required: bool,
    /// They ask for a certificate; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_verify: bool,
    /// Connections a peer; absent when routes are not pooled.
    #[serde(skip_serializing_if = "empty")]
    pub pool_size: u16,
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
