//! What servers say of themselves: the JSON of `INFO` and `CONNECT` on a route.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::spread::MAX_CONNECTIONS;

/// Version of the route protocol spoken: accounts and asynchronous `INFO`, and message tracing.
pub const PROTOCOL: u8 = 3;

/// What the receiver of a forwarded `INFO` does with it; `gossip_mode` of nats-server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GossipMode {
    /// Forward it when the connection was not made because of gossip.
    #[default]
    Default,
    /// The sender told everybody: do not forward.
    Disabled,
    /// Forward even though the connection was made because of gossip.
    Override,
}

impl From<u8> for GossipMode {
    fn from(mode: u8) -> Self {
        match mode {
            1 => Self::Disabled,
            2 => Self::Override,
            _ => Self::Default,
        }
    }
}

impl From<GossipMode> for u8 {
    fn from(mode: GossipMode) -> Self {
        match mode {
            GossipMode::Default => 0,
            GossipMode::Disabled => 1,
            GossipMode::Override => 2,
        }
    }
}

/// `INFO` of a route, fields in nats-server's order; natsd's own are last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteInfo {
    /// Unique for every start of a server.
    pub server_id: String,
    /// Unique in a cluster.
    pub server_name: String,
    /// Of nats-server, to which the sender is compatible.
    pub version: String,
    /// See [`PROTOCOL`].
    pub proto: u8,
    /// Language and its version.
    pub go: String,
    /// Where the sender accepts routes.
    pub host: String,
    /// Where the sender accepts routes.
    pub port: u16,
    /// Whether messages with headers are understood.
    pub headers: bool,
    /// Whether dialling needs the cluster's user and password.
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    /// Whether TLS follows.
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    /// Bytes, of the sender's clients.
    pub max_payload: i64,
    /// In forwarded ones: URL at which the forwarder saw the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// Of the cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Whether the cluster's name was made up and yields to a configured one.
    #[serde(rename = "cluster_dynamic", skip_serializing_if = "is_false")]
    pub dynamic: bool,
    /// Where clients reach the sender: `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub connect_urls: Vec<String>,
    /// The same over WebSocket.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ws_connect_urls: Vec<String>,
    /// Whether the sender is about to stop and sheds its clients.
    #[serde(rename = "ldm", skip_serializing_if = "is_false")]
    pub lame_duck: bool,
    /// Compression mode.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub compression: String,
    /// What of the sender's interest its peers hear of, and what it takes from them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<SubjectRules>,
    /// What of the peers' interest the sender heeds, and what it sends them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<SubjectRules>,
    /// Connections a pair of servers shares out accounts over; 0 when there is just one for all.
    #[serde(skip_serializing_if = "is_zero")]
    pub route_pool_size: u16,
    /// Which of the pool this is.
    #[serde(skip_serializing_if = "is_zero")]
    pub route_pool_idx: u16,
    /// The one account that this connection is dedicated to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub route_account: String,
    /// See [`GossipMode`].
    #[serde(skip_serializing_if = "is_zero_byte")]
    pub gossip_mode: u8,
    /// Whether `LS+` and `LMSG` are understood: what is of leaf nodes names their cluster.
    #[serde(rename = "lnoc", skip_serializing_if = "is_false")]
    pub leaf_origins: bool,
    /// Whether `LS-` names it as well.
    #[serde(rename = "lnocu", skip_serializing_if = "is_false")]
    pub leaf_origins_gone: bool,
    /// Whether messages for queue groups only are understood.
    #[serde(skip_serializing_if = "is_false")]
    pub queues_only: bool,
    /// Where the sender takes leaf nodes: `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leafnode_urls: Vec<String>,
    /// In what is told of another cluster: its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// In the same: where its servers take others, `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_none")]
    pub gateway_urls: Vec<String>,
    /// Where the sender takes other clusters: `host:port`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway_url: String,
    /// What is to be done about another cluster, one of [`command`](crate::gateway::command).
    #[serde(skip_serializing_if = "is_zero_byte")]
    pub gateway_cmd: u8,
    /// Version of natsd; empty when the sender is another implementation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub natsd: String,
    /// Accounts that the sender wants to have connections of their own; only natsd says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route_accounts: Vec<String>,
    /// Subjects that the sender wants to have connections of their own; only natsd says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub route_classes: Vec<RouteClass>,
    /// The pattern of subjects that this connection is for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub route_class: String,
    /// Whether a TCP connection here may be turned into a tunnel for SCION traffic.
    #[serde(skip_serializing_if = "is_false")]
    pub scion_tunnel: bool,
    /// SCION addresses where the sender accepts routes: `[ISD-AS,host]:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scion_urls: Vec<String>,
    /// `dag` if what is for others is passed on; empty where all servers are connected with each other.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub route_type: String,
    /// The sender dials nobody: servers that are to have a route to it have to be told of it.
    #[serde(skip_serializing_if = "is_false")]
    pub passive: bool,
}

/// Messages that have connections of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteClass {
    /// The pattern of their subjects.
    pub subjects: String,
    /// How many connections share them out; at least one is made.
    pub connections: u16,
    /// Whether their order can be kept then; it is one connection otherwise. See [`spread`](super::spread).
    #[serde(skip_serializing_if = "is_false")]
    pub in_order: bool,
}

impl RouteClass {
    /// Connections between one who says this and one who says the `other`.
    pub fn agreed(&self, other: &Self) -> u16 {
        match self.in_order && other.in_order {
            true => self.connections.max(other.connections).clamp(1, MAX_CONNECTIONS),
            false => 1,
        }
    }
}

impl RouteInfo {
    /// What it says of messages to these subjects.
    pub fn class(&self, subjects: &str) -> Option<&RouteClass> {
        self.route_classes.iter().find(|class| class.subjects == subjects)
    }

    /// The line, CR LF included.
    pub fn to_line(&self) -> Vec<u8> {
        line("INFO", self)
    }

    /// What of it strangers may know who ask for a tunnel.
    pub fn of_tunnel(&self) -> Self {
        let Self { natsd, scion_tunnel, scion_urls, .. } = self.clone();
        Self { natsd, scion_tunnel, scion_urls, ..Self::default() }
    }

    /// Whether the sender tells its part of the trace of a message.
    pub fn traces_messages(&self) -> bool {
        self.proto >= 3
    }

    /// Whether the sender is natsd.
    pub fn is_natsd(&self) -> bool {
        !self.natsd.is_empty()
    }
}

/// Subjects that are allowed, and of those the ones that are not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubjectRules {
    /// Empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_none")]
    pub allow: Vec<String>,
    /// Goes before `allow`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_none")]
    pub deny: Vec<String>,
}

/// Go writes `null` for lists without entries where it does not leave them out.
pub(crate) fn null_as_none<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// A password: serialized where it has to be sent, and never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// `CONNECT` of a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RouteConnect {
    /// Meaningless here, always sent.
    pub echo: bool,
    /// Meaningless here, always sent.
    pub verbose: bool,
    /// Meaningless here, always sent.
    pub pedantic: bool,
    /// User of the route's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password of the route's URL.
    #[serde(rename = "pass", skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Token of the route's URL; only natsd sends one.
    #[serde(rename = "auth_token", skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// Whether the dialer wants TLS.
    pub tls_required: bool,
    /// Whether the dialer understands headers.
    pub headers: bool,
    /// The dialer's server id.
    pub name: String,
    /// The dialer's cluster.
    pub cluster: String,
    /// Whether that name was made up.
    #[serde(rename = "cluster_dynamic", skip_serializing_if = "is_false")]
    pub dynamic: bool,
    /// Only clients send one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
    /// Only gateways send one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
}

impl RouteConnect {
    /// The line, CR LF included.
    pub fn to_line(&self) -> Vec<u8> {
        line("CONNECT", self)
    }
}

/// A line with JSON, CR LF included.
pub(crate) fn line(verb: &str, json: &impl Serialize) -> Vec<u8> {
    let mut line = Vec::with_capacity(512);
    line.extend_from_slice(verb.as_bytes());
    line.push(b' ');
    serde_json::to_writer(&mut line, json).expect("strings and numbers always serialize");
    line.extend_from_slice(if verb == "INFO" { b" \r\n" } else { b"\r\n" });
    line
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u16) -> bool {
    *value == 0
}

fn is_zero_byte(value: &u8) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_info_of_nats_server_is_read() {
        let info: RouteInfo = serde_json::from_str(
            r#"{"server_id":"NBF2","server_name":"C","version":"2.15.2","proto":3,"go":"go1.26.8","host":"127.0.0.1",
            "port":14403,"headers":true,"max_payload":1048576,"ip":"nats-route://127.0.0.1:14403/","cluster":"c1",
            "connect_urls":["127.0.0.1:14303"],"compression":"off","lnoc":true,"lnocu":true,"ln":true,
            "import":{"allow":["i.\u003e"]},"route_pool_size":3,"route_pool_idx":2,"gossip_mode":1}"#,
        )
        .expect("valid");
        assert_eq!((info.server_id.as_str(), info.port, info.route_pool_idx), ("NBF2", 14403, 2));
        assert_eq!(GossipMode::from(info.gossip_mode), GossipMode::Disabled);
        assert!(!info.is_natsd());
        let import = SubjectRules { allow: vec!["i.>".into()], deny: Vec::new() };
        assert_eq!((info.import, info.export), (Some(import), None));
    }

    #[test]
    fn what_is_unset_is_left_out() {
        let info = RouteInfo { server_id: "N1".into(), cluster: "c".into(), ..RouteInfo::default() };
        insta::assert_snapshot!(String::from_utf8(info.to_line()).expect("ASCII"));
        let connect = RouteConnect { name: "N1".into(), user: Some("u".into()), ..RouteConnect::default() };
        insta::assert_snapshot!(String::from_utf8(connect.to_line()).expect("ASCII"));
    }

    #[test]
    fn a_password_is_sent_and_not_shown() {
        let connect = RouteConnect { password: Some(Secret("hunter2".into())), ..RouteConnect::default() };
        assert!(String::from_utf8(connect.to_line()).expect("ASCII").contains("\"pass\":\"hunter2\""));
        assert!(!format!("{connect:?}").contains("hunter2"));
    }
}
