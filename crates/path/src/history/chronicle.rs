//! What mattered to the traffic to one AS: moves, deaths and returns of paths, outages.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::{Fingerprint, Reason};

/// Incidents remembered; the oldest go first.
const MOST: usize = 128;

/// Something that mattered to the traffic.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Incident {
    /// How long ago it happened.
    pub age: Duration,
    /// What it was.
    pub kind: IncidentKind,
}

/// What mattered to the traffic. Paths go by their fingerprints, which outlive them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum IncidentKind {
    /// Traffic moved.
    Switch {
        /// The path that carried it; `None` for the first choice, and when that path was gone.
        from: Option<Fingerprint>,
        /// The path that carries it now.
        to: Fingerprint,
        /// Why.
        reason: Reason,
        /// How long nothing had come over the old path.
        gap: Duration,
    },
    /// The path was found dead.
    Down {
        /// The path.
        path: Fingerprint,
        /// What of.
        reason: Reason,
    },
    /// The path may be used again: it was dead, and has proved itself since.
    Back {
        /// The path.
        path: Fingerprint,
        /// How long it could not be used.
        after: Duration,
    },
    /// No path answers.
    NoPath {
        /// How long nothing had come over the active path.
        gap: Duration,
    },
    /// There are answers again after [`NoPath`](Self::NoPath).
    Answers {
        /// The path that carries the traffic.
        path: Fingerprint,
        /// How long ago that was said.
        after: Duration,
    },
}

/// The incidents of late.
#[derive(Default)]
pub(crate) struct Chronicle {
    incidents: VecDeque<(Instant, IncidentKind)>,
    /// Since when no path answers.
    outage: Option<Instant>,
}

impl Chronicle {
    pub(crate) fn note(&mut self, now: Instant, kind: IncidentKind) {
        if let IncidentKind::NoPath { .. } = kind {
            self.outage.get_or_insert(now);
        }
        if self.incidents.len() == MOST {
            self.incidents.pop_front();
        }
        self.incidents.push_back((now, kind));
    }

    /// The path that carries the traffic answers, or another took its place.
    pub(crate) fn answers(&mut self, now: Instant, path: Fingerprint) {
        if let Some(since) = self.outage.take() {
            self.note(now, IncidentKind::Answers { path, after: now.saturating_duration_since(since) });
        }
    }

    pub(crate) fn incidents(&self, now: Instant) -> Vec<Incident> {
        let since =
            |(at, kind): &(Instant, IncidentKind)| Incident { age: now.saturating_duration_since(*at), kind: *kind };
        self.incidents.iter().map(since).collect()
    }
}
