//! What servers tell in the system account: answers to requests, and events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::omit::empty;
use crate::{AccountStat, ClientInfo, DataStats, GatewayStat, LinkCounts, Time};

/// Who a server is; in all that it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerInfo {
    /// Its name.
    pub name: String,
    /// Where it takes clients, as configured.
    pub host: String,
    /// Public key.
    pub id: String,
    /// Name of its cluster.
    #[serde(skip_serializing_if = "empty")]
    pub cluster: String,
    /// Version of nats-server that it is compatible with.
    pub ver: String,
    /// What its operator files it under, in lower case.
    #[serde(skip_serializing_if = "empty")]
    pub tags: Vec<String>,
    /// What its operator says of it.
    #[serde(skip_serializing_if = "empty")]
    pub metadata: BTreeMap<String, String>,
    /// What it does in a new way, and what not yet.
    #[serde(skip_serializing_if = "empty")]
    pub feature_flags: BTreeMap<String, bool>,
    /// Whether it keeps streams.
    pub jetstream: bool,
    /// What else it can do, as bits.
    pub flags: u64,
    /// Counts what it tells.
    pub seq: u64,
    /// When it told.
    pub time: Time,
}

/// Answer to `IDZ`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerId {
    /// Its name.
    pub name: String,
    /// Where it takes clients.
    pub host: String,
    /// Public key.
    pub id: String,
}

/// Why a request has no other answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiError {
    /// As of HTTP.
    pub code: u16,
    /// In words.
    pub description: String,
}

/// Answer to `STATSZ`, and the event of that name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerStatsMsg {
    /// Who tells.
    pub server: ServerInfo,
    /// What.
    pub statsz: ServerStats,
}

/// The counters of a server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServerStats {
    /// When it started.
    pub start: Time,
    /// Resident memory, bytes.
    pub mem: u64,
    /// Processors of the machine.
    pub cores: u64,
    /// Processor use, per cent of one processor.
    pub cpu: f64,
    /// Clients now.
    pub connections: u64,
    /// Clients since the start.
    pub total_connections: u64,
    /// Accounts with clients.
    pub active_accounts: u64,
    /// Subscriptions, those of other servers included.
    pub subscriptions: u64,
    /// Messages sent.
    pub sent: DataStats,
    /// Those to clients.
    pub sent_to_clients: DataStats,
    /// Messages received.
    pub received: DataStats,
    /// Those from clients.
    pub received_from_clients: DataStats,
    /// Connections cut off because they were too slow.
    pub slow_consumers: u64,
    /// The same by kind; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_consumer_stats: Option<LinkCounts>,
    /// Connections cut off because they answered no ping.
    #[serde(skip_serializing_if = "empty")]
    pub stale_connections: u64,
    /// The same by kind; absent without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_connection_stats: Option<LinkCounts>,
    /// How often a publisher was slowed down.
    #[serde(skip_serializing_if = "empty")]
    pub stalled_clients: u64,
    /// The routes.
    #[serde(skip_serializing_if = "empty")]
    pub routes: Vec<RouteStat>,
    /// The other clusters.
    #[serde(skip_serializing_if = "empty")]
    pub gateways: Vec<GatewayStat>,
    /// Servers that tell of themselves, with this one.
    #[serde(skip_serializing_if = "empty")]
    pub active_servers: u64,
    /// Processors that it uses at a time.
    #[serde(skip_serializing_if = "empty")]
    pub gomaxprocs: u64,
}

/// A route in [`ServerStats`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteStat {
    /// Connection id.
    pub rid: u64,
    /// Name of the other server.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Messages sent.
    pub sent: DataStats,
    /// Messages received.
    pub received: DataStats,
    /// Bytes that wait to be sent.
    pub pending: u64,
}

/// What events begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHead {
    /// Its kind.
    #[serde(rename = "type")]
    pub kind: String,
    /// Unique.
    pub id: String,
    /// When it happened.
    pub timestamp: Time,
}

/// A client came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectEvent {
    /// See there.
    #[serde(flatten)]
    pub head: EventHead,
    /// Who tells.
    pub server: ServerInfo,
    /// Who came.
    pub client: ClientInfo,
}

impl ConnectEvent {
    /// Its `type`.
    pub const TYPE: &'static str = "io.nats.server.advisory.v1.client_connect";
}

/// A client went, or was not let in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisconnectEvent {
    /// See there.
    #[serde(flatten)]
    pub head: EventHead,
    /// Who tells.
    pub server: ServerInfo,
    /// Who went.
    pub client: ClientInfo,
    /// What it sent.
    pub sent: DataStats,
    /// What it got.
    pub received: DataStats,
    /// Why.
    pub reason: String,
}

impl DisconnectEvent {
    /// Its `type`.
    pub const TYPE: &'static str = "io.nats.server.advisory.v1.client_disconnect";
}

/// How many clients an account has at a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountConns {
    /// See there.
    #[serde(flatten)]
    pub head: EventHead,
    /// Who tells.
    pub server: ServerInfo,
    /// What.
    #[serde(flatten)]
    pub stat: AccountStat,
}

impl AccountConns {
    /// Its `type`.
    pub const TYPE: &'static str = "io.nats.server.advisory.v1.account_connections";
}

/// Answer to `$SYS.REQ.USER.INFO`: who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// Name or key.
    pub user: String,
    /// Its account.
    pub account: String,
    /// What that is called.
    #[serde(skip_serializing_if = "empty")]
    pub account_name: String,
    /// What the user is called.
    #[serde(skip_serializing_if = "empty")]
    pub user_name: String,
    /// What it may do; absent when that is everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<UserPermissions>,
    /// Nanoseconds until its JWT expires; 0 if it does not.
    #[serde(skip_serializing_if = "empty")]
    pub expires: u64,
}

/// What a user may do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPermissions {
    /// To publish.
    pub publish: SubjectPermissions,
    /// To subscribe.
    pub subscribe: SubjectPermissions,
    /// To answer; absent if that is nothing special.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub responses: Option<ResponsePermissions>,
}

/// Subjects that are allowed, and those of them that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectPermissions {
    /// Absent for all.
    #[serde(skip_serializing_if = "empty", default)]
    pub allow: Vec<String>,
    /// Absent for none.
    #[serde(skip_serializing_if = "empty", default)]
    pub deny: Vec<String>,
}

/// What may be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponsePermissions {
    /// Answers to a request.
    pub max: i64,
    /// Nanoseconds that they may take.
    pub ttl: u64,
}
