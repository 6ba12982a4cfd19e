use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::omit::empty;
use crate::{ClientInfo, Time};

/// How long a service of an account took: what is published where the export says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceLatency {
    /// [`ServiceLatency::TYPE`].
    #[serde(rename = "type")]
    pub kind: String,
    /// Unique.
    pub id: String,
    /// When it was measured.
    pub timestamp: Time,
    /// 200; 400 for a request without a reply subject, 503 and 504 for one that nobody answered.
    pub status: u16,
    /// What went wrong.
    #[serde(rename = "description", skip_serializing_if = "empty")]
    pub error: String,
    /// Who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requestor: Option<ClientInfo>,
    /// Who answered, if it is at the same server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub responder: Option<ClientInfo>,
    /// The headers that asked for the measurement.
    #[serde(skip_serializing_if = "empty")]
    pub header: BTreeMap<String, Vec<String>>,
    /// When the request was sent.
    pub start: Time,
    /// Nanoseconds that the service took.
    pub service: u64,
    /// Nanoseconds that the servers took.
    pub system: u64,
    /// Nanoseconds in all.
    pub total: u64,
}

/// The half of a measurement that the server tells which serves who answered; servers alone hear it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RemoteLatency {
    /// The account that exports the service.
    pub account: String,
    /// The reply subject of the request.
    pub req_id: String,
    /// What was measured: `responder`, `start`, `service` and `total`.
    pub m2: ServiceLatency,
}

impl ServiceLatency {
    /// What [`kind`](Self::kind) says.
    pub const TYPE: &str = "io.nats.server.metric.v1.service_latency";
}
