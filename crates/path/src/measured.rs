//! What is measured of a path and counts when paths are compared.

use std::time::Duration;

use crate::Candidate;

/// Nothing, as long as nothing is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    /// Smoothed.
    pub(crate) rtt: Option<Duration>,
    /// What the path gives when it is full, kbit/s.
    pub(crate) bandwidth: Option<u64>,
    /// What it has delivered of late without being full, kbit/s.
    pub(crate) delivered: Option<u64>,
}

impl Measured {
    pub(crate) fn of_rtt(rtt: Option<Duration>) -> Self {
        Self { rtt, ..Self::default() }
    }

    /// Measured, else twice the announced latency.
    pub(crate) fn expected_rtt(&self, path: &Candidate) -> Option<Duration> {
        self.rtt.or(path.latency.map(|one_way| one_way.saturating_mul(2)))
    }

    /// Measured, else announced, but not less than what was delivered; kbit/s.
    pub(crate) fn expected_bandwidth(&self, path: &Candidate) -> Option<u64> {
        self.bandwidth.or(self.delivered.max(path.bandwidth))
    }
}
