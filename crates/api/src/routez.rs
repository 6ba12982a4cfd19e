use serde::{Deserialize, Serialize};

use crate::omit::{empty, null_as_default};
use crate::{SubDetail, SubjectPermissions, Time};

/// `/routez`: the connections to other servers of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Routez {
    /// Id of the server.
    pub server_id: String,
    /// Name of the server.
    pub server_name: String,
    /// When this was read.
    pub now: Time,
    /// Subjects that this server lets its peers know of and takes messages to; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<SubjectPermissions>,
    /// Subjects that this server lets its peers have; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<SubjectPermissions>,
    /// Number of connections; a peer has several when pooled.
    pub num_routes: u64,
    /// The connections.
    #[serde(deserialize_with = "null_as_default")]
    pub routes: Vec<RouteInfo>,
}

/// One connection in [`Routez`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteInfo {
    /// Connection id, unique in the life of the server.
    pub rid: u64,
    /// Id of the other server.
    pub remote_id: String,
    /// Name of the other server.
    pub remote_name: String,
    /// This server dialled.
    pub did_solicit: bool,
    /// The route stands in the configuration, not only in gossip.
    pub is_configured: bool,
    /// Address of the other server.
    pub ip: String,
    /// Port of the other server.
    pub port: u16,
    /// When it was made.
    pub start: Time,
    /// When it last carried something.
    pub last_activity: Time,
    /// Round-trip time, `289µs`; absent until measured.
    #[serde(skip_serializing_if = "empty")]
    pub rtt: String,
    /// Since `start`, `38s`.
    pub uptime: String,
    /// Since `last_activity`.
    pub idle: String,
    /// `import` of the other server; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<SubjectPermissions>,
    /// `export` of the other server; absent for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<SubjectPermissions>,
    /// Bytes waiting to be sent.
    pub pending_size: u64,
    /// Messages received.
    pub in_msgs: u64,
    /// Messages sent.
    pub out_msgs: u64,
    /// Bytes of payload received.
    pub in_bytes: u64,
    /// Bytes of payload sent.
    pub out_bytes: u64,
    /// Number of subjects that the other server wants over this connection.
    pub subscriptions: u64,
    /// These subjects, if asked for by `subs=1`.
    #[serde(skip_serializing_if = "empty")]
    pub subscriptions_list: Vec<String>,
    /// These subscriptions, if asked for by `subs=detail`.
    #[serde(skip_serializing_if = "empty")]
    pub subscriptions_list_detail: Vec<SubDetail>,
    /// Account, when the connection serves only one.
    #[serde(skip_serializing_if = "empty")]
    pub account: String,
    /// `off`, or the name of the compression.
    #[serde(skip_serializing_if = "empty")]
    pub compression: String,
    /// Pattern of the subjects that the connection is for, if it is for some alone; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub subjects: String,
    /// ISD and AS of a route over SCION, `1-ff00:0:111`; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub isd_as: String,
}
