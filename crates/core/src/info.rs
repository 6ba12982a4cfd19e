//! `INFO`: what a server says of itself to clients.

use serde::Serialize;

/// The fields of `INFO`, in the order in which nats-server writes them. What is empty, 0 or false is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Public key of the server.
    pub server_id: String,
    /// Its name; the id when it has none.
    pub server_name: String,
    /// Version of nats-server it is compatible with.
    pub version: String,
    /// 1: `INFO` may come at any time.
    pub proto: u8,
    /// Where nats-server names its compiler.
    pub go: String,
    /// Host of the listener.
    pub host: String,
    /// Port of the listener.
    pub port: u16,
    /// Whether headers are understood.
    pub headers: bool,
    /// Whether clients have to say who they are.
    #[serde(skip_serializing_if = "is_default")]
    pub auth_required: bool,
    /// Clients must use TLS.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_required: bool,
    /// Clients must show a certificate.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_verify: bool,
    /// Clients can use TLS.
    #[serde(skip_serializing_if = "is_default")]
    pub tls_available: bool,
    /// Largest message, bytes.
    pub max_payload: usize,
    /// Id of the connection.
    #[serde(skip_serializing_if = "is_default")]
    pub client_id: u64,
    /// Address of the client, without port.
    #[serde(skip_serializing_if = "is_default")]
    pub client_ip: String,
    /// What a client with an nkey signs.
    #[serde(skip_serializing_if = "is_default")]
    pub nonce: String,
    /// Name of the cluster.
    #[serde(skip_serializing_if = "is_default")]
    pub cluster: String,
    /// Whether that name was made up.
    #[serde(skip_serializing_if = "is_default")]
    pub cluster_dynamic: bool,
    /// Where the servers of the cluster take clients: `host:port`.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_urls: Vec<String>,
    /// The server is about to end.
    #[serde(skip_serializing_if = "is_default")]
    pub ldm: bool,
    /// This `INFO` tells what came of `CONNECT`.
    #[serde(skip_serializing_if = "is_default")]
    pub connect_info: bool,
    /// Account of the connection.
    #[serde(skip_serializing_if = "is_default")]
    pub remote_account: String,
    /// Whether that is the system account.
    #[serde(skip_serializing_if = "is_default")]
    pub acc_is_sys: bool,
    /// Public key of the server for what is encrypted.
    #[serde(skip_serializing_if = "is_default")]
    pub xkey: String,
    /// Version of natsd.
    pub natsd: String,
    /// This listener also takes TCP streams that carry SCION: `TUNNEL`.
    #[serde(skip_serializing_if = "is_default")]
    pub scion_tunnel: bool,
}

pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Info {
    /// Appends the line.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"INFO ");
        serde_json::to_writer(&mut *out, self).expect("writing to memory cannot fail, and there are no maps");
        out.extend_from_slice(b" \r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_the_order_of_nats_server() {
        let info = Info {
            server_id: "NID".into(),
            server_name: "S".into(),
            version: "2.15.2".into(),
            proto: 1,
            go: "rust1.95".into(),
            host: "127.0.0.1".into(),
            port: 4222,
            headers: true,
            max_payload: 1024,
            client_id: 5,
            client_ip: "127.0.0.1".into(),
            connect_info: true,
            remote_account: "$G".into(),
            natsd: "0.1.0".into(),
            ..Info::default()
        };
        let mut out = Vec::new();
        info.write(&mut out);
        insta::assert_snapshot!(format!("{:?}", String::from_utf8(out).unwrap()));
    }
}
