//! What servers say of themselves and of other clusters: the JSON of `INFO` and `CONNECT` between clusters.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::command;
use crate::info::is_default;
use crate::route::hello::{Secret, line, null_as_none};

/// `INFO` between clusters, fields in nats-server's order; natsd's own are last. Commands leave most of it empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayInfo {
    /// Unique for every start of a server.
    pub server_id: String,
    /// Its name.
    pub server_name: String,
    /// Of nats-server, to which the sender is compatible.
    pub version: String,
    /// Version of the protocol, as of routes.
    pub proto: u8,
    /// Always empty between clusters.
    pub go: String,
    /// Where the sender takes other clusters.
    pub host: String,
    /// Where the sender takes other clusters.
    pub port: u16,
    /// Whether messages with headers are understood.
    pub headers: bool,
    /// Whether dialling needs user and password.
    #[serde(skip_serializing_if = "is_default")]
    pub auth_required: bool,
    /// Whether TLS is spoken.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_required: bool,
    /// Whether a certificate has to be shown.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_verify: bool,
    /// Bytes, of the sender's clients.
    pub max_payload: i64,
    /// The cluster of the sender, or the one that it tells of.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
    /// Where the servers of that cluster take others: `host:port`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "null_as_none")]
    pub gateway_urls: Vec<String>,
    /// Where the sender itself does.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway_url: String,
    /// One of [`command`], or 0.
    #[serde(skip_serializing_if = "is_default")]
    pub gateway_cmd: u8,
    /// The account that a command is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateway_cmd_payload: Option<Payload>,
    /// Whether replies are mapped with `_GR_.`.
    #[serde(skip_serializing_if = "is_default")]
    pub gateway_nrp: bool,
    /// Whether all interest is told at once, in every account.
    #[serde(skip_serializing_if = "is_default")]
    pub gateway_iom: bool,
    /// Version of natsd; empty when the sender is another implementation.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub natsd: String,
    /// Where servers of that cluster take others over SCION: `[ISD-AS,host]:port`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scion_urls: Vec<String>,
}

impl GatewayInfo {
    /// The line, CR LF included; without the blank that other ports have before that.
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = line("INFO", self);
        let end = line.len() - 3;
        line.splice(end.., *b"\r\n");
        line
    }

    /// All addresses of the cluster that it tells of.
    pub fn all_urls(&self) -> Vec<String> {
        self.gateway_urls.iter().chain(&self.scion_urls).cloned().collect()
    }

    /// The command with which the cluster `gateway` begins, or ends, to tell all interest in `account`.
    pub fn of_account(gateway: &str, gateway_cmd: u8, account: &[u8]) -> Self {
        let gateway_cmd_payload = Some(Payload(account.to_vec()));
        Self { gateway: gateway.to_owned(), gateway_cmd, gateway_cmd_payload, ..Self::default() }
    }

    /// Tells where another cluster is, over TCP and over SCION, as the server `id`, which is called `name` where that is known.
    pub fn gossip(id: &str, name: &str, gateway: &str, (urls, scion_urls): (Vec<String>, Vec<String>)) -> Self {
        Self {
            scion_urls,
            server_id: id.to_owned(),
            server_name: name.to_owned(),
            gateway: gateway.to_owned(),
            gateway_urls: urls,
            gateway_cmd: command::GOSSIP,
            ..Self::default()
        }
    }
}

/// Bytes that travel as base64.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload(pub Vec<u8>);

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len().div_ceil(3) * 4);
        for chunk in self.0.chunks(3) {
            let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            for at in 0..4 {
                let digit = DIGITS[(bits >> (18 - 6 * at)) as usize & 63];
                text.push(if at <= chunk.len() { digit.into() } else { '=' });
            }
        }
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        decode(text.trim_end_matches('=').as_bytes()).map(Self).ok_or_else(|| serde::de::Error::custom("not base64"))
    }
}

fn decode(digits: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 3);
    for chunk in digits.chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut bits = 0u32;
        for digit in chunk {
            bits = bits << 6 | DIGITS.iter().position(|known| known == digit)? as u32;
        }
        bits <<= 6 * (4 - chunk.len());
        bytes.extend((0..chunk.len() - 1).map(|at| (bits >> (16 - 8 * at)) as u8));
    }
    Some(bytes)
}

/// `CONNECT` between clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayConnect {
    /// Meaningless here, always sent.
    pub echo: bool,
    /// Meaningless here, always sent.
    pub verbose: bool,
    /// Meaningless here, always sent.
    pub pedantic: bool,
    /// User of the URL, or of the dialer's own `authorization`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Password of the same.
    #[serde(rename = "pass", skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Whether the dialer wants TLS.
    pub tls_required: bool,
    /// Meaningless here: `INFO` says it.
    pub headers: bool,
    /// The dialer's server id.
    pub name: String,
    /// Always empty here.
    pub cluster: String,
    /// The dialer's cluster; who has none is no server of another cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub gateway: String,
}

impl GatewayConnect {
    /// The line, CR LF included.
    pub fn to_line(&self) -> Vec<u8> {
        line("CONNECT", self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_nats_server_says_is_read() {
        let info: GatewayInfo = serde_json::from_str(
            r#"{"server_id":"NAT3","server_name":"A","version":"2.15.2","proto":3,"go":"","host":"127.0.0.1","port":14701,
            "headers":true,"max_payload":1048576,"gateway":"GA","gateway_urls":["127.0.0.1:14701"],
            "gateway_url":"127.0.0.1:14701","gateway_nrp":true,"gateway_iom":true}"#,
        )
        .expect("valid");
        assert_eq!((info.gateway.as_str(), info.gateway_cmd, info.gateway_iom), ("GA", 0, true));
        let begins: GatewayInfo = serde_json::from_str(
            r#"{"server_id":"","gateway":"GA","gateway_cmd":2,"gateway_cmd_payload":"JEc=","gateway_urls":null}"#,
        )
        .expect("valid");
        assert_eq!(begins.gateway_cmd_payload, Some(Payload(b"$G".to_vec())));
        let connect: GatewayConnect = serde_json::from_str(
            r#"{"echo":false,"verbose":false,"pedantic":false,"user":"g","pass":"p","tls_required":false,
            "headers":false,"name":"NDLR","cluster":"","gateway":"GB"}"#,
        )
        .expect("valid");
        assert_eq!((connect.gateway.as_str(), connect.user.as_deref()), ("GB", Some("g")));
        assert!(!format!("{connect:?}").contains("\"p\""));
    }

    #[test]
    fn lines_look_as_nats_server_writes_them() {
        let line = |info: GatewayInfo| String::from_utf8(info.to_line()).expect("text");
        let bare =
            "\"version\":\"\",\"proto\":0,\"go\":\"\",\"host\":\"\",\"port\":0,\"headers\":false,\"max_payload\":0";
        assert_eq!(
            line(GatewayInfo::of_account("GA", command::ALL_BEGIN, b"SYS")),
            format!(
                "INFO {{\"server_id\":\"\",\"server_name\":\"\",{bare},\"gateway\":\"GA\",\"gateway_cmd\":2,\
                 \"gateway_cmd_payload\":\"U1lT\"}}\r\n"
            )
        );
        assert_eq!(
            line(GatewayInfo::gossip("N", "n", "GC", (vec!["h:1".into()], Vec::new()))),
            format!(
                "INFO {{\"server_id\":\"N\",\"server_name\":\"n\",{bare},\"gateway\":\"GC\",\"gateway_urls\":[\"h:1\"],\
                 \"gateway_cmd\":1}}\r\n"
            )
        );
        let connect = GatewayConnect { name: "N".into(), gateway: "GB".into(), ..GatewayConnect::default() };
        assert_eq!(
            String::from_utf8(connect.to_line()).expect("text"),
            "CONNECT {\"echo\":false,\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"headers\":false,\
             \"name\":\"N\",\"cluster\":\"\",\"gateway\":\"GB\"}\r\n"
        );
    }

    proptest! {
        #[test]
        fn payloads_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = serde_json::to_string(&Payload(bytes.clone())).expect("text");
            prop_assert_eq!(serde_json::from_str::<Payload>(&text).expect("base64"), Payload(bytes));
        }

        #[test]
        fn no_payload_makes_it_panic(text in "[A-Za-z0-9+/=é]{0,12}") {
            let _ = serde_json::from_str::<Payload>(&format!("\"{text}\""));
        }
    }
}
