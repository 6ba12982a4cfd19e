//! Other clusters: `/gatewayz`, `gateway` in [`Varz`](crate::Varz), and what servers tell each other of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::omit::empty;
use crate::{ConnInfo, DataStats, SubDetail, Time};

/// `/gatewayz`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gatewayz {
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// Name of its cluster; absent without gateways.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Address that other clusters connect to.
    #[serde(skip_serializing_if = "empty")]
    pub host: String,
    /// Port that other clusters connect to.
    #[serde(skip_serializing_if = "empty")]
    pub port: u16,
    /// Connections that the server has made, by cluster; null if one was asked for that there is not.
    pub outbound_gateways: Option<BTreeMap<String, RemoteGatewayz>>,
    /// Connections that servers of other clusters have made, by cluster.
    pub inbound_gateways: BTreeMap<String, Vec<RemoteGatewayz>>,
}

/// A connection to another cluster, or from one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteGatewayz {
    /// The cluster stands in the configuration; of those that this server has dialled.
    pub configured: bool,
    /// The connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<Box<ConnInfo>>,
    /// What is known of interest, if asked for by `accs=1`.
    #[serde(skip_serializing_if = "empty")]
    pub accounts: Vec<AccountGatewayz>,
}

/// An account in [`RemoteGatewayz`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountGatewayz {
    /// Its name.
    pub name: String,
    /// `Interest-Only`, `Transitioning` or `Optimistic`.
    pub interest_mode: String,
    /// Subjects that are known to be of no interest.
    #[serde(skip_serializing_if = "empty")]
    pub no_interest_count: u64,
    /// How many of these there may be before all interest is told.
    #[serde(skip_serializing_if = "empty")]
    pub interest_only_threshold: u64,
    /// Subjects and queue groups that the cluster wants.
    #[serde(rename = "num_subs", skip_serializing_if = "empty")]
    pub total_subscriptions: u64,
    /// Queue groups among these.
    #[serde(rename = "num_queue_subs", skip_serializing_if = "empty")]
    pub queue_subscriptions: u64,
    /// Their subjects, if asked for by `subs=1`.
    #[serde(skip_serializing_if = "empty")]
    pub subscriptions_list: Vec<String>,
    /// All of them, if asked for by `subs=detail`.
    #[serde(skip_serializing_if = "empty")]
    pub subscriptions_list_detail: Vec<SubDetail>,
}

/// `gateway` in [`Varz`](crate::Varz).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayVarz {
    /// Name of the cluster.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Address that other clusters connect to.
    #[serde(skip_serializing_if = "empty")]
    pub host: String,
    /// Port that other clusters connect to.
    #[serde(skip_serializing_if = "empty")]
    pub port: u16,
    /// How long a server may take to say who it is, seconds.
    #[serde(skip_serializing_if = "empty")]
    pub auth_timeout: f64,
    /// How long a TLS handshake may take, seconds.
    #[serde(skip_serializing_if = "empty")]
    pub tls_timeout: f64,
    /// Clusters speak TLS with each other; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_required: bool,
    /// They are asked for a certificate; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub tls_verify: bool,
    /// Address told to other clusters; absent when that is the one bound.
    #[serde(skip_serializing_if = "empty")]
    pub advertise: String,
    /// How often a cluster that others tell of is dialled again.
    #[serde(skip_serializing_if = "empty")]
    pub connect_retries: u64,
    /// The configured clusters.
    #[serde(skip_serializing_if = "empty")]
    pub gateways: Vec<RemoteGatewayVarz>,
    /// Others may not come in; absent if they may.
    #[serde(skip_serializing_if = "empty")]
    pub reject_unknown: bool,
    /// Longest wait for the other server to take its bytes, nanoseconds; absent when it is that of clients.
    #[serde(skip_serializing_if = "empty")]
    pub write_deadline: u64,
    /// When the certificate for other clusters ends; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_not_after: Option<Time>,
}

/// One of `gateways` in [`GatewayVarz`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteGatewayVarz {
    /// Name of the cluster.
    pub name: String,
    /// How long a TLS handshake may take, seconds; absent without `tls {}` of its own.
    #[serde(skip_serializing_if = "empty")]
    pub tls_timeout: f64,
    /// Where its servers are known to be: `host:port`.
    #[serde(skip_serializing_if = "empty")]
    pub urls: Vec<String>,
}

/// Another cluster in [`ServerStats`](crate::ServerStats).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayStat {
    /// Id of the connection that the server has made.
    pub gwid: u64,
    /// Name of the cluster.
    pub name: String,
    /// Messages sent there.
    pub sent: DataStats,
    /// Messages received from there.
    pub received: DataStats,
    /// Connections that servers of that cluster have made.
    pub inbound_connections: u64,
}
