use serde::{Deserialize, Serialize};

use crate::Time;
use crate::omit::empty;

/// Who asks, or what happened to whom: in the header `Nats-Request-Info` of requests from other accounts, in measurements
/// of services, and in events of the system account. Only the account and the round-trip time are always told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClientInfo {
    /// When it connected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Time>,
    /// Its address.
    #[serde(skip_serializing_if = "empty")]
    pub host: String,
    /// Connection id.
    #[serde(skip_serializing_if = "empty")]
    pub id: u64,
    /// Its account.
    #[serde(rename = "acc", skip_serializing_if = "empty")]
    pub account: String,
    /// The account that a request came through, if that is another one.
    #[serde(rename = "svc", skip_serializing_if = "empty")]
    pub service: String,
    /// Its user.
    #[serde(skip_serializing_if = "empty")]
    pub user: String,
    /// Name that it gave.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Programming language of its library.
    #[serde(skip_serializing_if = "empty")]
    pub lang: String,
    /// Version of its library.
    #[serde(rename = "ver", skip_serializing_if = "empty")]
    pub version: String,
    /// Round-trip time in nanoseconds.
    #[serde(skip_serializing_if = "empty")]
    pub rtt: u64,
    /// Name of its server.
    #[serde(skip_serializing_if = "empty")]
    pub server: String,
    /// Name of its cluster.
    #[serde(skip_serializing_if = "empty")]
    pub cluster: String,
    /// Other clusters that its server is connected to, nearest first.
    #[serde(rename = "alts", skip_serializing_if = "empty")]
    pub alternates: Vec<String>,
    /// When it was gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Time>,
    /// Its JWT.
    #[serde(skip_serializing_if = "empty")]
    pub jwt: String,
    /// Who signed that.
    #[serde(skip_serializing_if = "empty")]
    pub issuer_key: String,
    /// Name of its account, if that is a key.
    #[serde(skip_serializing_if = "empty")]
    pub name_tag: String,
    /// Tags of its JWT.
    #[serde(skip_serializing_if = "empty")]
    pub tags: Vec<String>,
    /// `Client`.
    #[serde(skip_serializing_if = "empty")]
    pub kind: String,
    /// Protocol: `nats`.
    #[serde(skip_serializing_if = "empty")]
    pub client_type: String,
    /// What it was asked to sign.
    #[serde(skip_serializing_if = "empty")]
    pub nonce: String,
}
