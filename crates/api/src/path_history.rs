//! What `/pathz?history=1` says besides: what became of paths.

use serde::{Deserialize, Serialize};

use crate::omit::empty;
use crate::{PathState, Time};

/// What became of one path lately. A second or minute in which nothing was measured or sent, and in which the state stayed,
/// is left out, and so is the one that is not over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathHistory {
    /// The last five minutes by the second, oldest first.
    pub seconds: Vec<PathSample>,
    /// The last six hours by the minute, oldest first.
    pub minutes: Vec<PathSample>,
}

/// What became of a path in one second or minute. What is zero or unknown is left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathSample {
    /// When the second or minute began.
    pub time: Time,
    /// All states that the path was in.
    pub states: Vec<PathState>,
    /// Shortest round trip of a probe answered in it, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_min_ms: Option<f64>,
    /// Mean of these round trips, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_ms: Option<f64>,
    /// Longest of them, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtt_max_ms: Option<f64>,
    /// Probes answered.
    #[serde(skip_serializing_if = "empty")]
    pub answered: u32,
    /// Probes given up.
    #[serde(skip_serializing_if = "empty")]
    pub lost: u32,
    /// Packets of the traffic that QUIC sent over the path, as told once a second.
    #[serde(skip_serializing_if = "empty")]
    pub packets: u32,
    /// Packets of the traffic that QUIC found lost.
    #[serde(skip_serializing_if = "empty")]
    pub packets_lost: u32,
    /// Bytes of the traffic sent over the path, without SCION headers.
    #[serde(skip_serializing_if = "empty")]
    pub bytes: u64,
}

/// Something that mattered to the traffic to an AS.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PathIncident {
    /// When.
    pub time: Time,
    /// What.
    pub kind: PathIncidentKind,
    /// Fingerprint of the path that lost the traffic, or that died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Fingerprint of the path that took over the traffic, that is back, or that answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of a switch or when no path answers: for how long nothing had come over the old path, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_ms: Option<f64>,
    /// For how long the path had been dead, or no path had answered, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<f64>,
}

/// What mattered to the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PathIncidentKind {
    /// Traffic moved to another path, or began.
    Switch,
    /// A path was found dead.
    Down,
    /// A path that was dead may be used again.
    Back,
    /// No path answers.
    NoPath,
    /// There are answers again.
    Answers,
    /// A kind that this reader does not know.
    #[default]
    #[serde(other)]
    Unknown,
}
