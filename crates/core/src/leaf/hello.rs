//! What a hub and a leaf node say of themselves: the JSON of `INFO` and `CONNECT`.

use serde::{Deserialize, Serialize};

use crate::info::is_default;
use crate::route::hello::{Secret, SubjectRules, line, null_as_none};

/// `INFO` of a hub, fields in nats-server's order; natsd's own is last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeafInfo {
    /// Unique for every start of a server.
    pub server_id: String,
    /// Its name.
    pub server_name: String,
    /// Of nats-server, to which the sender is compatible.
    pub version: String,
    /// Version of the protocol, as of routes.
    pub proto: u8,
    /// Language and its version.
    pub go: String,
    /// Where the sender takes leaf nodes.
    pub host: String,
    /// Where the sender takes leaf nodes.
    pub port: u16,
    /// Whether messages with headers are understood.
    pub headers: bool,
    /// Always set: a leaf node has to say `CONNECT`.
    #[serde(skip_serializing_if = "is_default")]
    pub auth_required: bool,
    /// Whether TLS follows.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_required: bool,
    /// Whether the hub wants to see a certificate.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_verify: bool,
    /// Bytes, of the sender's clients.
    pub max_payload: i64,
    /// Where others reach the sender: `host:port`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ip: String,
    /// Number of the connection; servers set it on no other port for servers.
    #[serde(skip_serializing_if = "is_default")]
    pub client_id: u64,
    /// To be signed by who shows a key; only in the first one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// The hub's cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Where clients over WebSocket, and so leaf nodes, reach the servers of the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ws_connect_urls: Vec<String>,
    /// Set in the one that answers `CONNECT`.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_info: bool,
    /// The account at the hub; only in the one that answers `CONNECT`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote_account: String,
    /// Whether that is the account of the servers themselves.
    #[serde(rename = "acc_is_sys", skip_serializing_if = "is_default")]
    pub is_system_account: bool,
    /// What the leaf node may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<SubjectRules>,
    /// What the leaf node may send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub export: Option<SubjectRules>,
    /// Compression mode.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub compression: String,
    /// Whether `CONNECT` is answered by one more `INFO`.
    #[serde(skip_serializing_if = "is_default")]
    pub info_on_connect: bool,
    /// Where the servers of the hub's cluster take leaf nodes: `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leafnode_urls: Vec<String>,
    /// Version of natsd; empty when the sender is another implementation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub natsd: String,
}

impl LeafInfo {
    /// The line, CR LF included.
    pub fn to_line(&self) -> Vec<u8> {
        line("INFO", self)
    }

    /// Whether it is that of a port for leaf nodes; ports for clients and for other servers say less.
    pub fn is_of_hub(&self) -> bool {
        self.client_id != 0 && (self.info_on_connect || !self.leafnode_urls.is_empty())
    }
}

/// `CONNECT` of a leaf node, fields in nats-server's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LeafConnect {
    /// Of nats-server, to which the sender is compatible.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Public key, with `sig`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nkey: String,
    /// Token of the user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Secret>,
    /// Signature of the nonce, base64 for URLs.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub sig: String,
    /// User of the remote's URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Password of the remote's URL.
    #[serde(rename = "pass", skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Token, where the URL has a user and no password.
    #[serde(rename = "auth_token", skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// The leaf node's server id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server_id: String,
    /// The leaf node's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Whether the sender is to be the hub.
    #[serde(rename = "is_hub", skip_serializing_if = "is_default")]
    pub hub: bool,
    /// The leaf node's cluster, or its name where it is in none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// Whether messages with headers are understood.
    #[serde(skip_serializing_if = "is_default")]
    pub headers: bool,
    /// What the hub is not to send.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_none")]
    pub deny_pub: Vec<String>,
    /// Whether the hub is to tell nothing of the interest of other leaf nodes.
    #[serde(skip_serializing_if = "is_default")]
    pub isolate: bool,
    /// Compression mode.
    #[serde(rename = "compress_mode", skip_serializing_if = "String::is_empty")]
    pub compression: String,
    /// Only gateways send one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// The account at the leaf node.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remote_account: String,
    /// Version of the protocol, as of routes.
    #[serde(rename = "protocol", skip_serializing_if = "is_default")]
    pub proto: u8,
    /// Added by a proxy on the way: its signature of the nonce.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub proxy_sig: String,
    /// Only clients send one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lang: Option<String>,
}

impl LeafConnect {
    /// The line, CR LF included.
    pub fn to_line(&self) -> Vec<u8> {
        line("CONNECT", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nats_server_says_is_read() {
        let info: LeafInfo = serde_json::from_str(
            r#"{"server_id":"ND","server_name":"H1","version":"2.15.2","proto":3,"go":"go1.26.8","host":"127.0.0.1",
            "port":14801,"headers":true,"auth_required":true,"max_payload":1048576,"ip":"127.0.0.1:14801","client_id":8,
            "nonce":"wpbr","cluster":"hub","compression":"off","api_lvl":5,"info_on_connect":true,
            "import":{"allow":["a"],"deny":null},"leafnode_urls":["127.0.0.1:14801"]}"#,
        )
        .expect("valid");
        assert!(info.is_of_hub());
        assert_eq!(info.import.expect("given").allow, ["a"]);
        let connect: LeafConnect = serde_json::from_str(
            r#"{"version":"2.15.2","user":"acc","pass":"acc","server_id":"NC","name":"L","cluster":"L","headers":true,
            "compress_mode":"off","remote_account":"LA","protocol":3}"#,
        )
        .expect("valid");
        assert_eq!((connect.cluster.as_str(), connect.proto, connect.lang), ("L", 3, None));
    }

    #[test]
    fn what_is_unset_is_left_out() {
        let info = LeafInfo { server_id: "N".into(), info_on_connect: true, ..LeafInfo::default() };
        assert_eq!(
            String::from_utf8(info.to_line()).expect("text"),
            "INFO {\"server_id\":\"N\",\"server_name\":\"\",\"version\":\"\",\"proto\":0,\"go\":\"\",\"host\":\"\",\
             \"port\":0,\"headers\":false,\"max_payload\":0,\"info_on_connect\":true} \r\n"
        );
        let connect = LeafConnect { name: "L".into(), password: Some(Secret("p".into())), ..LeafConnect::default() };
        assert_eq!(connect.to_line(), b"CONNECT {\"pass\":\"p\",\"name\":\"L\"}\r\n");
        assert!(!format!("{connect:?}").contains("\"p\""));
    }

    #[test]
    fn other_ports_are_told_apart() {
        let hub = LeafInfo { client_id: 1, info_on_connect: true, ..LeafInfo::default() };
        assert!(hub.is_of_hub());
        assert!(!LeafInfo { info_on_connect: false, ..hub.clone() }.is_of_hub());
        assert!(!LeafInfo { client_id: 0, ..hub }.is_of_hub());
    }
}
