use serde::{Deserialize, Serialize};

use crate::omit::{empty, null_as_default};
use crate::{SubDetail, Time};

/// `/connz`: the connections of clients, open or closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Connz {
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// Number of connections listed here.
    pub num_connections: u64,
    /// Number of connections that `offset` and `limit` cut from.
    pub total: u64,
    /// First one listed.
    pub offset: u64,
    /// Most that are listed.
    pub limit: u64,
    /// The connections.
    #[serde(deserialize_with = "null_as_default")]
    pub connections: Vec<ConnInfo>,
}

/// One connection in [`Connz`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnInfo {
    /// Connection id, unique in the life of the server.
    pub cid: u64,
    /// `Client`.
    #[serde(skip_serializing_if = "empty")]
    pub kind: String,
    /// Protocol of the client: `nats`.
    #[serde(rename = "type", skip_serializing_if = "empty")]
    pub client_type: String,
    /// Address of the client.
    pub ip: String,
    /// Port of the client.
    pub port: u16,
    /// When it connected.
    pub start: Time,
    /// When it last sent or received a message, or subscribed.
    pub last_activity: Time,
    /// When it was closed; absent while open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Time>,
    /// Why it was closed; absent while open.
    #[serde(skip_serializing_if = "empty")]
    pub reason: String,
    /// Round-trip time, `289µs`; absent until measured.
    #[serde(skip_serializing_if = "empty")]
    pub rtt: String,
    /// Since `start`, `38s`.
    pub uptime: String,
    /// Since `last_activity`.
    pub idle: String,
    /// Bytes waiting to be sent to it.
    pub pending_bytes: u64,
    /// Messages it published.
    pub in_msgs: u64,
    /// Messages delivered to it.
    pub out_msgs: u64,
    /// Bytes of payload it published.
    pub in_bytes: u64,
    /// Bytes of payload delivered to it.
    pub out_bytes: u64,
    /// How often it was slowed down for a slow receiver's sake; absent when never.
    #[serde(skip_serializing_if = "empty")]
    pub stalls: u64,
    /// Number of its subscriptions.
    pub subscriptions: u64,
    /// Name that the client gave.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Programming language of its library.
    #[serde(skip_serializing_if = "empty")]
    pub lang: String,
    /// Version of its library.
    #[serde(skip_serializing_if = "empty")]
    pub version: String,
    /// Version of TLS, `1.3`; absent without.
    #[serde(skip_serializing_if = "empty")]
    pub tls_version: String,
    /// Cipher suite of TLS.
    #[serde(skip_serializing_if = "empty")]
    pub tls_cipher_suite: String,
    /// Certificates that the client showed, its own first, if asked for by `auth=1`.
    #[serde(skip_serializing_if = "empty")]
    pub tls_peer_certs: Vec<TlsPeerCert>,
    /// The handshake came before `INFO`.
    #[serde(skip_serializing_if = "empty")]
    pub tls_first: bool,
    /// User, if asked for by `auth=1`.
    #[serde(skip_serializing_if = "empty")]
    pub authorized_user: String,
    /// Account, if asked for by `auth=1`; absent for `$G`.
    #[serde(skip_serializing_if = "empty")]
    pub account: String,
    /// Subjects, if asked for by `subs=1`.
    #[serde(skip_serializing_if = "empty")]
    pub subscriptions_list: Vec<String>,
    /// Subscriptions, if asked for by `subs=detail`.
    #[serde(skip_serializing_if = "empty")]
    pub subscriptions_list_detail: Vec<SubDetail>,
    /// Token that the user came with, if asked for by `auth=1`; absent if that is all it takes to come.
    #[serde(skip_serializing_if = "empty")]
    pub jwt: String,
    /// The account's key that vouched for the user, if asked for by `auth=1`.
    #[serde(skip_serializing_if = "empty")]
    pub issuer_key: String,
    /// What the account is called, if asked for by `auth=1`.
    #[serde(skip_serializing_if = "empty")]
    pub name_tag: String,
    /// Tags of the token, if asked for by `auth=1`.
    #[serde(skip_serializing_if = "empty")]
    pub tags: Vec<String>,
    /// The trusted proxy that vouches for it; absent without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ProxyInfo>,
    /// ISD and AS of a client that came over SCION, `1-ff00:0:111`; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub isd_as: String,
}

/// A proxy that is trusted, in [`ConnInfo`] and [`ProxiesVarz`](crate::ProxiesVarz).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProxyInfo {
    /// Its public nkey.
    pub key: String,
}

/// A certificate in [`ConnInfo`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TlsPeerCert {
    /// Whom it is for, `CN=name,O=organisation`.
    #[serde(skip_serializing_if = "empty")]
    pub subject: String,
    /// SHA-256 of its public key, hexadecimal: what `pinned_certs` takes.
    #[serde(skip_serializing_if = "empty")]
    pub spki_sha256: String,
    /// SHA-256 of it as a whole, hexadecimal.
    #[serde(skip_serializing_if = "empty")]
    pub cert_sha256: String,
}
