//! `/eventz`: natsd's own endpoint.

use serde::{Deserialize, Serialize};

use crate::omit::empty;
use crate::{LinkKind, PathEvent, PathEventKind, Time};

/// The version of [`Eventz`], [`EventsHello`] and [`Event`]. Keys may be added within a version.
pub const EVENTS_VERSION: u32 = 1;

/// `/eventz?stream=0`: what happened lately.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Eventz {
    /// Who tells it, and from where.
    #[serde(flatten)]
    pub head: EventsHello,
    /// Oldest first; a bounded number.
    pub events: Vec<Event>,
}

/// What a stream of events begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EventsHello {
    /// [`EVENTS_VERSION`].
    pub version: u32,
    /// Id of the server.
    pub server_id: String,
    /// Name of the server.
    pub server_name: String,
    /// When this was said.
    pub now: Time,
    /// Id of the last event so far: ask `since` that for what comes after it.
    pub last: u64,
    /// There were events after the one asked for that are forgotten.
    pub missed: bool,
}

/// Something that happened. What does not apply is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Event {
    /// Grows with every event, also from one run of the server to the next; below 2^53.
    pub id: u64,
    /// When.
    pub time: Time,
    /// What.
    pub kind: EventKind,
    /// The event in words.
    pub text: String,
    /// Of paths, the AS (of a host over plain IP its first address); of servers, the name of the other one.
    #[serde(skip_serializing_if = "empty")]
    pub peer: String,
    /// Of paths, which of the traffic there, as in [`PeerInfo::lane`](crate::PeerInfo::lane).
    #[serde(skip_serializing_if = "empty")]
    pub lane: String,
    /// Fingerprint of the path that lost the traffic, or that the event is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Fingerprint of the path that took over the traffic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a switch or when no path answers: for how long nothing had come over the old path, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<f64>,
    /// What kind of connection it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkKind>,
    /// Id of that connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cid: Option<u64>,
    /// The other end of it.
    #[serde(skip_serializing_if = "empty")]
    pub addr: String,
    /// Name of the client.
    #[serde(skip_serializing_if = "empty")]
    pub name: String,
    /// Account of the client.
    #[serde(skip_serializing_if = "empty")]
    pub account: String,
}

impl Event {
    /// Whom it is about, for people: the AS and which of the traffic there, the other server, or the client.
    pub fn subject(&self) -> String {
        match (self.peer.is_empty(), self.lane.is_empty(), self.cid) {
            (false, false, _) => format!("{} {}", self.peer, self.lane),
            (false, true, _) => self.peer.clone(),
            (true, _, Some(cid)) => format!("cid {cid}"),
            (true, _, None) => String::new(),
        }
    }
}

impl From<PathEvent> for Event {
    fn from(event: PathEvent) -> Self {
        let PathEvent { time, remote_as, lane, kind, text, from, to, reason, gap_ms } = event;
        let kind = EventKind::of_path(kind);
        Self { time, kind, text, peer: remote_as, lane, from, to, reason, gap_ms, ..Self::default() }
    }
}

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal),* $(,)?) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $word)] $kind,)*
            /// A kind that this reader does not know.
            #[default]
            #[serde(rename = "unknown", other)]
            Unknown,
        }

        impl EventKind {
            /// All that there are.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// The word for it in `/eventz`.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)*
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

event_kinds! {
    /// Traffic moved to another path.
    Switch = "switch",
    /// A path answers.
    Up = "up",
    /// A path answers no more.
    Down = "down",
    /// A path is silent.
    Suspect = "suspect",
    /// A path answers again and has to prove itself.
    Probation = "probation",
    /// A path was offered by the daemon.
    Added = "added",
    /// A path is offered no more, or expired.
    Removed = "removed",
    /// Another size of packets passes over a path than did before.
    Mtu = "mtu",
    /// No path to an AS answers.
    NoPath = "no_path",
    /// There are paths to an AS, and the rules of the operator exclude all of them.
    NoneAllowed = "none_allowed",
    /// A peer answers no probes on any path.
    Unprobeable = "unprobeable",
    /// A peer answers probes again.
    Probeable = "probeable",
    /// Another server is connected: one of the cluster, a leaf node or a hub, or one of another cluster.
    Join = "join",
    /// The last connection to another server is gone.
    Leave = "leave",
    /// A client has said who it is.
    ClientJoin = "client_join",
    /// A client is gone.
    ClientLeave = "client_leave",
    /// A connection does not take what is sent to it.
    SlowConsumer = "slow_consumer",
    /// A connection was refused, or ended, because of who it is or says it is.
    AuthError = "auth_error",
}

impl EventKind {
    fn of_path(kind: PathEventKind) -> Self {
        match kind {
            PathEventKind::Switch => Self::Switch,
            PathEventKind::Up => Self::Up,
            PathEventKind::Down => Self::Down,
            PathEventKind::Suspect => Self::Suspect,
            PathEventKind::Probation => Self::Probation,
            PathEventKind::Added => Self::Added,
            PathEventKind::Removed => Self::Removed,
            PathEventKind::Mtu => Self::Mtu,
            PathEventKind::NoPath => Self::NoPath,
            PathEventKind::NoneAllowed => Self::NoneAllowed,
            PathEventKind::Unprobeable => Self::Unprobeable,
            PathEventKind::Probeable => Self::Probeable,
            PathEventKind::Unknown => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_json_and_read_back() {
        for kind in EventKind::ALL {
            let json = serde_json::to_string(kind).expect("serializes");
            assert_eq!(json, format!("{:?}", kind.as_str()));
            assert_eq!(serde_json::from_str::<EventKind>(&json).expect("reads back"), *kind);
        }
        assert_eq!(serde_json::from_str::<EventKind>("\"news\"").expect("tolerated"), EventKind::Unknown);
    }

    #[test]
    fn an_event_of_a_path_keeps_the_word_of_pathz() {
        for kind in [PathEventKind::Switch, PathEventKind::NoneAllowed, PathEventKind::Unprobeable, PathEventKind::Mtu]
        {
            let event = Event::from(PathEvent { kind, remote_as: "1-ff00:0:112".into(), ..PathEvent::default() });
            assert_eq!((event.kind.as_str(), event.subject()), (kind.as_str(), "1-ff00:0:112".to_owned()));
        }
    }

    #[test]
    fn what_does_not_apply_is_left_out() {
        let event = Event { id: 7, kind: EventKind::Join, peer: "beta".into(), ..Event::default() };
        let json = serde_json::to_value(&event).expect("serializes");
        let keys: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(keys, ["id", "kind", "peer", "text", "time"]);
    }
}
