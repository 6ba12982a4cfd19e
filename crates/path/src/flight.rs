//! Probes that were sent and not answered yet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Probes remembered a path; the oldest is forgotten first.
const CAPACITY: usize = 32;
/// How long the answer of a lost probe is still welcome: it proves that a slow path lives.
const LATE: Duration = Duration::from_secs(5);

/// One probe on its way.
pub(crate) struct Flying {
    pub(crate) token: u64,
    pub(crate) sent: Instant,
    pub(crate) size: u16,
    /// Counts as lost from here on.
    pub(crate) deadline: Instant,
    /// Its number in the loss window once it counts as lost.
    pub(crate) lost: Option<u64>,
    /// Its deadline was put off because our own process had stalled; not again.
    excused: bool,
}

/// The probes of one path on their way, oldest first.
#[derive(Default)]
pub(crate) struct Flight(VecDeque<Flying>);

impl Flight {
    pub(crate) fn launch(&mut self, token: u64, sent: Instant, size: u16, deadline: Instant) {
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(Flying { token, sent, size, deadline, lost: None, excused: false });
    }

    pub(crate) fn land(&mut self, token: u64) -> Option<Flying> {
        let index = self.0.iter().position(|probe| probe.token == token)?;
        self.0.remove(index)
    }

    /// The next probe whose deadline has passed and that does not count as lost yet.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<&mut Flying> {
        while self.0.front().is_some_and(|probe| probe.lost.is_some() && probe.sent + LATE <= now) {
            self.0.pop_front();
        }
        self.0.iter_mut().find(|probe| probe.lost.is_none() && probe.deadline <= now)
    }

    /// Gives overdue probes `grace` more, once each.
    pub(crate) fn excuse(&mut self, now: Instant, grace: Duration) {
        for probe in self.0.iter_mut().filter(|p| p.lost.is_none() && !p.excused && p.deadline <= now) {
            probe.excused = true;
            probe.deadline = now + grace;
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.iter().filter(|probe| probe.lost.is_none()).map(|probe| probe.deadline).min()
    }
}
