//! What a user interface shows of a path.

use std::fmt;
use std::time::Duration;

use crate::{Fingerprint, Interface, Kind, Metric, PathId};

/// Where a path is in its life. See the crate documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Known, not probed: enough better ones are.
    Candidate,
    /// Being probed, has not answered yet.
    Probing,
    /// Answers; carries no traffic.
    Standby,
    /// Carries the traffic.
    Active,
    /// May have failed; is being asked.
    Suspect,
    /// Did not answer while another path did.
    Dead,
    /// Was dead and answers again.
    Probation,
    /// May not be used: the operator's rules exclude it.
    Excluded,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Candidate => "candidate",
            State::Probing => "probing",
            State::Standby => "standby",
            State::Active => "active",
            State::Suspect => "suspect",
            State::Dead => "dead",
            State::Probation => "probation",
            State::Excluded => "excluded",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Measured round-trip times, from probe replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtt {
    /// The last one.
    pub latest: Duration,
    /// The shortest one.
    pub min: Duration,
    /// Smoothed, as in RFC 9002.
    pub smoothed: Duration,
    /// Smoothed deviation (jitter), as in RFC 9002.
    pub variation: Duration,
}

/// All that is known of a path at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct PathReport {
    /// The manager's name for it.
    pub id: PathId,
    /// Identity across refreshes and processes.
    pub fingerprint: Fingerprint,
    /// SCION or TCP/IP.
    pub kind: Kind,
    /// In travel order.
    pub interfaces: Vec<Interface>,
    /// Inter-AS links.
    pub hops: usize,
    /// As announced, bytes; `None` when unknown.
    pub mtu: Option<u16>,
    /// Time left; `None` when it does not expire.
    pub expires_in: Option<Duration>,
    /// Where it is in its life.
    pub state: State,
    /// Whether it carries the traffic (a suspect or dead path does when there is no better).
    pub active: bool,
    /// 1 is the best.
    pub rank: usize,
    /// The comparison that put it at its rank, or the rule that excludes it.
    pub why: String,
    /// What that comparison turned on, or `rule`; `None` of the best.
    pub decided_by: Option<&'static str>,
    /// Announced one-way latency.
    pub announced_latency: Option<Duration>,
    /// Announced bottleneck bandwidth, kbit/s.
    pub announced_bandwidth: Option<u64>,
    /// What it costs by the operator's table; `None` when that does not tell.
    pub cost: Option<u64>,
    /// The same of carbon.
    pub carbon: Option<u64>,
    /// Measured round-trip times; `None` before the first answer.
    pub rtt: Option<Rtt>,
    /// The largest SCION packet that passes, bytes, if larger ones were found to be lost although they should pass.
    pub measured_mtu: Option<u16>,
    /// What it gave when traffic filled it, kbit/s, to a fifth; `None` if that was not within the last hour.
    pub measured_bandwidth: Option<u64>,
    /// The most that it has delivered within a second of the last half hour to hour, kbit/s. It may give more.
    pub delivered_bandwidth: Option<u64>,
    /// Share of the last 64 probes that was lost, 0 to 1; `None` before the first result.
    pub loss: Option<f64>,
    /// Share of the traffic that QUIC declared lost, 0 to 1, smoothed; `None` before there was enough.
    pub traffic_loss: Option<f64>,
    /// What is wrong with it, in words; `None` if nothing is.
    pub condition: Option<String>,
    /// Age of the last packet that came over it.
    pub last_received: Option<Duration>,
    /// Probes sent.
    pub probes_sent: u64,
    /// Bytes of the probes sent, with their headers as far as they can be told.
    pub probe_bytes: u64,
    /// Probes answered.
    pub probes_answered: u64,
    /// How often it died.
    pub failures: u32,
    /// The metrics nobody announced and nothing has measured; they rank last in their comparison.
    pub unknown: Vec<Metric>,
    /// The peer answers no probes on any path: state and rank rest on announcements and silence.
    pub unprobeable: bool,
}
