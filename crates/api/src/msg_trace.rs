//! What a server tells of a message that it was asked to trace.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::omit::empty;
use crate::{ServerInfo, Time};

/// What one server did with a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgTraceEvent {
    /// Which server.
    pub server: ServerInfo,
    /// What it got.
    pub request: MsgTraceRequest,
    /// Other servers that it sent the message to: each of them tells its own part.
    #[serde(skip_serializing_if = "empty")]
    pub hops: u64,
    /// What happened, in order. The first one is how it came.
    pub events: Vec<MsgTrace>,
}

/// A message that is traced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgTraceRequest {
    /// Its headers, names as they were written.
    #[serde(skip_serializing_if = "empty")]
    pub header: BTreeMap<String, Vec<String>>,
    /// Bytes, headers included.
    #[serde(rename = "msgsize", skip_serializing_if = "empty")]
    pub size: usize,
}

/// One thing that happened to a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum MsgTrace {
    /// It came.
    #[serde(rename = "in")]
    Ingress(MsgTraceIngress),
    /// A mapping of the account changed its subject.
    #[serde(rename = "sm")]
    SubjectMapping {
        /// When.
        ts: Time,
        /// What the subject became.
        to: String,
    },
    /// A stream led it into another account.
    #[serde(rename = "se")]
    StreamExport {
        /// When.
        ts: Time,
        /// The account that imports the stream.
        acc: String,
        /// The subject there.
        to: String,
    },
    /// A service led it into another account, or the answer back.
    #[serde(rename = "si")]
    ServiceImport {
        /// When.
        ts: Time,
        /// The account that it led to.
        acc: String,
        /// The subject before.
        from: String,
        /// The subject there.
        to: String,
    },
    /// It came to a stream of JetStream.
    #[serde(rename = "js")]
    JetStream {
        /// When.
        ts: Time,
        /// Name of the stream.
        stream: String,
        /// The subject that it was stored under.
        #[serde(default, skip_serializing_if = "empty")]
        subject: String,
        /// It was not stored, as nobody wants it.
        #[serde(default, rename = "nointerest", skip_serializing_if = "empty")]
        no_interest: bool,
        /// Why it was not stored.
        #[serde(default, skip_serializing_if = "empty")]
        error: String,
    },
    /// It went out, or would have.
    #[serde(rename = "eg")]
    Egress(MsgTraceEgress),
}

/// How a message came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgTraceIngress {
    /// When.
    pub ts: Time,
    /// What kind of connection it came on.
    pub kind: MsgTraceKind,
    /// Id of that.
    pub cid: u64,
    /// What the other end of that calls itself.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Account that it was published in.
    pub acc: String,
    /// What it was published to.
    pub subj: String,
    /// Why it went no further.
    #[serde(skip_serializing_if = "empty")]
    pub error: String,
}

/// How a message went out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgTraceEgress {
    /// When.
    pub ts: Time,
    /// What kind of connection it went out on.
    pub kind: MsgTraceKind,
    /// Id of that.
    pub cid: u64,
    /// What the other end of that calls itself.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// To a server: which part of the trace that server tells.
    #[serde(skip_serializing_if = "empty")]
    pub hop: String,
    /// Account of the receiver, if it is not the one that the message was published in.
    #[serde(skip_serializing_if = "empty")]
    pub acc: String,
    /// To a client: what it is subscribed to.
    #[serde(rename = "sub", skip_serializing_if = "empty")]
    pub subscription: String,
    /// To a client: the queue group that it got it for.
    #[serde(skip_serializing_if = "empty")]
    pub queue: String,
    /// Why it was not delivered, or why nothing more will be heard of it.
    #[serde(skip_serializing_if = "empty")]
    pub error: String,
}

/// A kind of connection, by nats-server's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MsgTraceKind(pub u8);

impl MsgTraceKind {
    /// A client.
    pub const CLIENT: Self = Self(0);
    /// Another server of the cluster.
    pub const ROUTE: Self = Self(1);
    /// A server of another cluster.
    pub const GATEWAY: Self = Self(2);
    /// The server itself.
    pub const SYSTEM: Self = Self(3);
    /// A leaf node, or the hub of one.
    pub const LEAF: Self = Self(4);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::to_compact_json;

    fn at(seconds: u64) -> Time {
        Time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
    }

    fn event() -> MsgTraceEvent {
        let text = |text: &str| text.to_owned();
        let ingress = MsgTraceIngress { ts: at(1), cid: 5, acc: text("$G"), subj: text("a"), ..Default::default() };
        let egress = |name: &str| MsgTraceEgress { ts: at(6), cid: 7, name: text(name), ..Default::default() };
        MsgTraceEvent {
            server: ServerInfo { name: text("s"), ver: text("2.15.2"), ..Default::default() },
            request: MsgTraceRequest { header: BTreeMap::from([(text("K"), vec![text("v")])]), size: 9 },
            hops: 1,
            events: vec![
                MsgTrace::Ingress(ingress),
                MsgTrace::SubjectMapping { ts: at(2), to: text("b") },
                MsgTrace::StreamExport { ts: at(3), acc: text("B"), to: text("c") },
                MsgTrace::ServiceImport { ts: at(4), acc: text("C"), from: text("b"), to: text("d") },
                MsgTrace::JetStream {
                    ts: at(5),
                    stream: text("S"),
                    subject: text("b"),
                    no_interest: false,
                    error: text(""),
                },
                MsgTrace::Egress(MsgTraceEgress { subscription: text("*"), queue: text("q"), ..egress("c") }),
                MsgTrace::Egress(MsgTraceEgress { kind: MsgTraceKind::ROUTE, hop: text("1"), ..egress("t") }),
            ],
        }
    }

    #[test]
    fn the_document_is_that_of_nats_server() {
        let json = to_compact_json(&event());
        assert_eq!(
            json,
            concat!(
                r#"{"server":{"name":"s","host":"","id":"","ver":"2.15.2","jetstream":false,"flags":0,"seq":0,"#,
                r#""time":"1970-01-01T00:00:00Z"},"request":{"header":{"K":["v"]},"msgsize":9},"hops":1,"events":["#,
                r#"{"type":"in","ts":"1970-01-01T00:00:01Z","kind":0,"cid":5,"acc":"$G","subj":"a"},"#,
                r#"{"type":"sm","ts":"1970-01-01T00:00:02Z","to":"b"},"#,
                r#"{"type":"se","ts":"1970-01-01T00:00:03Z","acc":"B","to":"c"},"#,
                r#"{"type":"si","ts":"1970-01-01T00:00:04Z","acc":"C","from":"b","to":"d"},"#,
                r#"{"type":"js","ts":"1970-01-01T00:00:05Z","stream":"S","subject":"b"},"#,
                r#"{"type":"eg","ts":"1970-01-01T00:00:06Z","kind":0,"cid":7,"name":"c","sub":"*","queue":"q"},"#,
                r#"{"type":"eg","ts":"1970-01-01T00:00:06Z","kind":1,"cid":7,"name":"t","hop":"1"}]}"#,
            )
        );
        assert_eq!(serde_json::from_str::<MsgTraceEvent>(&json).unwrap(), event());
    }
}
