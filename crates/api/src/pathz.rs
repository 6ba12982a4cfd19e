//! `/pathz`: natsd's own endpoint.

use serde::{Deserialize, Serialize};

use crate::{PathHistory, PathIncident, Time};

/// `/pathz`: the SCION paths to every AS that this server has links to, and what happened to them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pathz {
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// The AS of this server, `1-ff00:0:111`; null until the daemon has told it.
    pub local_as: Option<String>,
    /// The SCION daemon of this host; without address if SCION is off.
    pub daemon: Daemon,
    /// What paths are ranked by, most important first: `latency`, `bandwidth`, `hops`, `mtu`.
    pub path_preference: Vec<String>,
    /// One entry an AS, in the order of their numbers, then one for each host over plain IP.
    pub peers: Vec<PeerInfo>,
    /// Connections over SCION that were turned away since the start because their AS had `max_connections_per_as` already.
    pub refused_connections: u64,
    /// What happened lately, oldest first; a bounded number.
    pub events: Vec<PathEvent>,
}

/// The SCION daemon, as seen from the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Daemon {
    /// `host:port` that it is asked at.
    pub address: String,
    /// Whether it answers.
    pub state: DaemonState,
    /// When that state began.
    pub since: Time,
    /// Why it does not answer; null while it does.
    pub error: Option<String>,
}

/// Whether the SCION daemon answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
    /// Not asked yet, or no answer yet.
    #[default]
    Connecting,
    /// The last question was answered.
    Up,
    /// The last question was not answered. Known paths stay in use.
    Down,
    /// A state that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// The paths to one AS, and the links that use them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerInfo {
    /// The AS, `1-ff00:0:112`; of a host over plain IP its first address, `10.0.1.2:6222`.
    pub remote_as: String,
    /// Which of the traffic there, if it takes several paths at once: `lane 1` and so on, `account NAME`, `subjects PATTERN`,
    /// `accepted at LISTENER`, `rules of the peer` with four digits, or several of these; empty is all other traffic.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lane: String,
    /// Fingerprint of the path that carries the traffic; null when there is none.
    pub active: Option<String>,
    /// What carries the traffic.
    pub transport: Transport,
    /// What makes one of its paths better than another, most important first.
    pub path_preference: Vec<String>,
    /// The rules and limits for them, a line each, as the configuration says it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<String>,
    /// The peer answers no probes, so that its paths are ranked by what is announced and judged by silence alone.
    pub unprobeable: bool,
    /// How often the traffic moved from one path to another, since the start of the server.
    pub switches: u64,
    /// The links to hosts of that AS. They share the view of the paths.
    pub links: Vec<Link>,
    /// All known paths, best first.
    pub paths: Vec<PathInfo>,
    /// What mattered to the traffic, oldest first, at most 128; with `history=1` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incidents: Option<Vec<PathIncident>>,
}

impl PeerInfo {
    /// The AS and which of the traffic there, for people.
    pub fn heading(&self) -> String {
        heading(&self.remote_as, &self.lane)
    }
}

fn heading(remote_as: &str, lane: &str) -> String {
    if lane.is_empty() { remote_as.to_owned() } else { format!("{remote_as} {lane}") }
}

/// What carries the traffic to a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// QUIC over a SCION path.
    #[default]
    Scion,
    /// QUIC over plain IP, between two addresses.
    Udp,
    /// The fallback, TCP/IP.
    Tcp,
    /// A transport that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// One link that uses the paths to an AS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// The other end, `[1-ff00:0:112,127.0.0.1]:4248`.
    pub addr: String,
    /// What it is.
    pub kind: LinkKind,
    /// When it was made.
    pub since: Time,
}

/// What a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkKind {
    /// A client of this server.
    #[default]
    Client,
    /// Another server of the cluster.
    Route,
    /// A leaf node, or the hub of one.
    Leaf,
    /// A server of another cluster.
    Gateway,
    /// A kind that this reader does not know.
    #[serde(other)]
    Unknown,
}

/// One path. Null means that nobody announced or measured it, never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathInfo {
    /// Number of the path in the log and in the texts of events, where it is written `#3`. Never used again.
    pub id: u32,
    /// Name of the path, 16 hexadecimal digits made of its interfaces; the same on every server.
    pub fingerprint: String,
    /// SCION, or the fallback over TCP/IP.
    pub transport: Transport,
    /// Place in the order of preference; 1 is the best.
    pub rank: u32,
    /// Where it is in its life.
    pub state: PathState,
    /// Why it stands at this rank, in words.
    pub why: String,
    /// What the comparison with the path above it turned on: `kind`, `state`, `offer`, `loss`, `hole`, `limits`, `crowding`,
    /// `latency`, `bandwidth`, `hops`, `mtu` or `order` (nothing); `rule` of an excluded path. Absent of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// The interfaces that it passes, `1-ff00:0:111#3`, from this AS to the other.
    pub interfaces: Vec<String>,
    /// Of a path over plain IP, the address of this server, `10.0.1.1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_addr: Option<String>,
    /// Of a path over plain IP, the address of the peer, `10.1.1.2:6222`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_addr: Option<String>,
    /// Links between ASes; 0 inside an AS. 1 over plain IP.
    pub hops: u32,
    /// Largest SCION packet, bytes.
    pub mtu: Option<u32>,
    /// When it ends unless looked up again; null when it does not.
    pub expiry: Option<Time>,
    /// What the ASes on the path announce.
    pub announced: Announced,
    /// What it costs by `costs` of `scion {}`, in the operator's unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// The same of `carbon`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carbon: Option<u64>,
    /// What this server measured.
    pub measured: Measured,
    /// Which of `latency`, `bandwidth`, `hops` and `mtu` nobody announced and nothing has measured; and of `cost` and `carbon`, if the paths
    /// are chosen by that, which no table tells.
    pub unknown: Vec<String>,
    /// Since a packet last came over it, milliseconds; null when none ever did.
    pub last_received_ms: Option<u64>,
    /// Probes of this server over it.
    pub probes: Probes,
    /// How often it was declared dead.
    pub failures: u32,
    /// What is wrong with it, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// What became of it, if it was ever probed; with `history=1` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<PathHistory>,
}

impl PathInfo {
    /// What it passes, for people: interfaces, or over plain IP the addresses of both ends.
    pub fn via(&self) -> String {
        match (&self.local_addr, &self.remote_addr) {
            (Some(here), Some(there)) => format!("{here} > {there}"),
            _ => self.interfaces.join(" > "),
        }
    }
}

/// Where a path is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathState {
    /// Known, and not probed: enough others are.
    #[default]
    Candidate,
    /// Being probed for the first time.
    Probing,
    /// Answers, and waits to be used.
    Standby,
    /// Carries the traffic.
    Active,
    /// Silent for longer than usual.
    Suspect,
    /// Answers no more.
    Dead,
    /// Was dead, answers again, and has yet to prove itself.
    Probation,
    /// Must not be used: a rule of the operator excludes it.
    Excluded,
    /// A state that this reader does not know.
    #[serde(other)]
    Unknown,
}

impl PathState {
    /// The word for it in `/pathz`.
    pub fn as_str(self) -> &'static str {
        match self {
            PathState::Candidate => "candidate",
            PathState::Probing => "probing",
            PathState::Standby => "standby",
            PathState::Active => "active",
            PathState::Suspect => "suspect",
            PathState::Dead => "dead",
            PathState::Probation => "probation",
            PathState::Excluded => "excluded",
            PathState::Unknown => "unknown",
        }
    }
}

/// What the ASes on a path announce of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Announced {
    /// One way, milliseconds; null when a part of the path is unannounced.
    pub latency_ms: Option<f64>,
    /// Of the narrowest announced part, kbit/s.
    pub bandwidth_kbps: Option<u64>,
}

/// What the server measured of a path with its probes and the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// Smoothed round-trip time, milliseconds.
    pub rtt_ms: Option<f64>,
    /// Mean variation of the round-trip time, milliseconds.
    pub jitter_ms: Option<f64>,
    /// Smallest round-trip time, milliseconds.
    pub min_ms: Option<f64>,
    /// Fraction of the last probes that went unanswered, 0 to 1.
    pub loss: Option<f64>,
    /// Fraction of the traffic that QUIC found lost, 0 to 1, smoothed; null before there was enough.
    pub traffic_loss: Option<f64>,
    /// The largest SCION packet that passes, bytes, if that is less than announced; null otherwise.
    pub mtu: Option<u32>,
    /// What the path gave when traffic filled it, kbit/s; null if that was not within the last hour.
    pub bandwidth_kbps: Option<u64>,
    /// The most that it has delivered of late, kbit/s; it may give more. Null if nothing flowed.
    pub delivered_kbps: Option<u64>,
}

/// Counts of probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Probes {
    /// Sent.
    pub sent: u64,
    /// Answered.
    pub answered: u64,
    /// Bytes of those sent, with their headers as far as they can be told.
    pub bytes: u64,
}

/// Something that happened to the paths to an AS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathEvent {
    /// When.
    pub time: Time,
    /// The AS that the path leads to; of a host over plain IP its first address.
    pub remote_as: String,
    /// Which of the traffic there, as in [`PeerInfo::lane`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lane: String,
    /// What.
    pub kind: PathEventKind,
    /// The event in words, as in the log.
    pub text: String,
    /// Fingerprint of the path that lost the traffic, or that the event is about.
    pub from: Option<String>,
    /// Fingerprint of the path that took over the traffic.
    pub to: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// Of a switch or when no path answers: for how long nothing had come over the old path, milliseconds.
    pub gap_ms: Option<f64>,
}

impl PathEvent {
    /// The AS and which of the traffic there, for people.
    pub fn heading(&self) -> String {
        heading(&self.remote_as, &self.lane)
    }
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathEventKind {
    /// Traffic moved to another path.
    Switch,
    /// It answers.
    Up,
    /// It answers no more.
    Down,
    /// It is silent.
    Suspect,
    /// It answers again and has to prove itself.
    Probation,
    /// It was offered by the daemon.
    Added,
    /// It is offered no more, or expired.
    Removed,
    /// Another size of packets passes than did before.
    Mtu,
    /// No path to the AS answers.
    NoPath,
    /// There are paths, and the rules of the operator exclude all of them.
    NoneAllowed,
    /// The peer answers no probes on any path.
    Unprobeable,
    /// The peer answers probes again.
    Probeable,
    /// A kind that this reader does not know.
    #[default]
    #[serde(other)]
    Unknown,
}

impl PathEventKind {
    /// The word for it in `/pathz`.
    pub fn as_str(self) -> &'static str {
        match self {
            PathEventKind::Switch => "switch",
            PathEventKind::Up => "up",
            PathEventKind::Down => "down",
            PathEventKind::Suspect => "suspect",
            PathEventKind::Probation => "probation",
            PathEventKind::Added => "added",
            PathEventKind::Removed => "removed",
            PathEventKind::Mtu => "mtu",
            PathEventKind::NoPath => "no_path",
            PathEventKind::NoneAllowed => "none_allowed",
            PathEventKind::Unprobeable => "unprobeable",
            PathEventKind::Probeable => "probeable",
            PathEventKind::Unknown => "unknown",
        }
    }
}
