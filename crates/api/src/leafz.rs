use serde::{Deserialize, Serialize};

use crate::Time;
use crate::omit::{empty, null_as_default};

/// `/leafz`: the connections to leaf nodes and hubs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leafz {
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// Number of connections.
    pub leafnodes: u64,
    /// The connections.
    #[serde(deserialize_with = "null_as_default")]
    pub leafs: Vec<LeafInfo>,
}

/// One connection in [`Leafz`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeafInfo {
    /// Connection id, unique in the life of the server.
    pub id: u64,
    /// Name of the other server.
    pub name: String,
    /// The other server is the hub.
    pub is_spoke: bool,
    /// It is told nothing of the interest of other leaf nodes; absent when it is.
    #[serde(skip_serializing_if = "empty")]
    pub is_isolated: bool,
    /// Account here.
    pub account: String,
    /// Address of the other server.
    pub ip: String,
    /// Port of the other server.
    pub port: u16,
    /// Round-trip time, `289µs`; `0s` until measured.
    #[serde(skip_serializing_if = "empty")]
    pub rtt: String,
    /// Messages received.
    pub in_msgs: u64,
    /// Messages sent.
    pub out_msgs: u64,
    /// Bytes of payload received.
    pub in_bytes: u64,
    /// Bytes of payload sent.
    pub out_bytes: u64,
    /// Number of subjects that the other server wants.
    pub subscriptions: u64,
    /// These subjects, if asked for by `subs=1`.
    #[serde(skip_serializing_if = "empty")]
    pub subscriptions_list: Vec<String>,
    /// `off`, or the name of the compression.
    #[serde(skip_serializing_if = "empty")]
    pub compression: String,
    /// It came over WebSocket; absent when not.
    #[serde(skip_serializing_if = "empty")]
    pub websocket: bool,
    /// ISD and AS of the other server over SCION, `1-ff00:0:111`; natsd's own.
    #[serde(skip_serializing_if = "empty")]
    pub isd_as: String,
}
