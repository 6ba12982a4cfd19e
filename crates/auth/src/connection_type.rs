//! Ways in which a client connects.

use std::str::FromStr;

/// What a user may connect by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionType {
    /// The NATS protocol on TCP or SCION.
    Standard,
    /// The NATS protocol on WebSocket.
    Websocket,
    /// A leaf node.
    LeafNode,
    /// A leaf node on WebSocket.
    LeafNodeWebsocket,
    /// MQTT.
    Mqtt,
    /// MQTT on WebSocket.
    MqttWebsocket,
    /// Within the process of the server.
    InProcess,
}

/// No way to connect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no connection type; use STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS, MQTT, MQTT_WS or IN_PROCESS")]
pub struct ConnectionTypeError(String);

impl FromStr for ConnectionType {
    type Err = ConnectionTypeError;

    fn from_str(text: &str) -> Result<Self, ConnectionTypeError> {
        Ok(match text.to_ascii_uppercase().as_str() {
            "STANDARD" => Self::Standard,
            "WEBSOCKET" => Self::Websocket,
            "LEAFNODE" => Self::LeafNode,
            "LEAFNODE_WS" => Self::LeafNodeWebsocket,
            "MQTT" => Self::Mqtt,
            "MQTT_WS" => Self::MqttWebsocket,
            "IN_PROCESS" => Self::InProcess,
            _ => return Err(ConnectionTypeError(text.to_owned())),
        })
    }
}
