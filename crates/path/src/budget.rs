//! How many bytes a second the probes to one peer may cost.
//!
//! A token bucket. Regular probes wait until there is enough in it, the one that has waited longest first. Probes that ask
//! a suspect do not wait: what they take is missing to the regular ones, for a second at most. Rounds that ask all paths because none
//! answers begin in the same way, and keep to the budget when they have become as rare as they get.

use std::time::{Duration, Instant};

use crate::Candidate;

/// Bytes of headers around a probe between IPv4 hosts, at most: SCION's without hops, with all three segments, and UDP's.
const HEADERS: u32 = 108;
/// Bytes that each link between ASes adds.
const HOP: u32 = 12;
/// How much may be saved up, as time of saving.
const SAVED: Duration = Duration::from_secs(2);
/// At least so much may be saved up: two probes as large as they get.
const LEAST_SAVED: f64 = 4096.0;
/// How much can be owed for probes that did not wait, as time of saving.
const OWED: Duration = Duration::from_secs(1);

/// What a probe of `size` bytes over a path costs.
pub(crate) fn cost(path: &Candidate, size: u16) -> u32 {
    let links = u32::try_from(path.hops()).unwrap_or(u32::MAX);
    HEADERS.saturating_add(HOP.saturating_mul(links)).saturating_add(size.into())
}

/// See the [module](self).
pub(crate) struct Budget {
    /// Bytes a second.
    rate: f64,
    /// Bytes; less than nothing is owed. `None` is as much as may be saved up.
    level: Option<f64>,
    at: Option<Instant>,
}

impl Budget {
    pub(crate) fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate.max(1)), level: None, at: None }
    }

    /// Another rate from now on.
    pub(crate) fn set(&mut self, now: Instant, rate: u32) {
        self.fill(now);
        self.rate = f64::from(rate.max(1));
    }

    /// Whether a regular probe of this cost may go now.
    pub(crate) fn affords(&mut self, now: Instant, cost: u32) -> bool {
        self.fill(now) >= f64::from(cost).min(self.most())
    }

    /// When it may go. Later than `now`.
    pub(crate) fn ready(&mut self, now: Instant, cost: u32) -> Instant {
        let missing = f64::from(cost).min(self.most()) - self.fill(now);
        now + Duration::from_secs_f64((missing / self.rate).max(0.0)) + Duration::from_millis(1)
    }

    /// So many bytes went out.
    pub(crate) fn spend(&mut self, now: Instant, cost: u32) {
        self.level = Some(self.fill(now) - f64::from(cost));
    }

    /// So many bytes went out that could not wait: not all of it is owed.
    pub(crate) fn spend_at_once(&mut self, now: Instant, cost: u32) {
        let before = self.fill(now);
        let most_owed = -self.rate * OWED.as_secs_f64();
        self.level = Some((before - f64::from(cost)).max(most_owed.min(before)));
    }

    /// What is there at `now`.
    fn fill(&mut self, now: Instant) -> f64 {
        let since = self.at.replace(now).map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let most = self.most();
        let level = self.level.map_or(most, |level| (level + self.rate * since.as_secs_f64()).min(most));
        self.level = Some(level);
        level
    }

    fn most(&self) -> f64 {
        (self.rate * SAVED.as_secs_f64()).max(LEAST_SAVED)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Bytes that probes of this cost take within a minute if they go whenever they may.
    fn minute(rate: u32, cost: u32) -> u32 {
        let (start, mut budget) = (Instant::now(), Budget::new(rate));
        let (mut now, mut spent) = (start, 0);
        while now < start + SECOND * 60 {
            if budget.affords(now, cost) {
                budget.spend(now, cost);
                spent += cost;
            } else {
                let ready = budget.ready(now, cost);
                assert!(ready > now);
                now = ready;
            }
        }
        spent
    }

    #[test]
    fn no_more_goes_than_was_saved_and_is_earned() {
        for (rate, cost) in [(2000, 200), (2000, 1600), (8192, 200), (300, 1600)] {
            let spent = minute(rate, cost);
            let most = rate * 60 + (rate * 2).max(4096);
            assert!(spent <= most && spent + 2 * cost >= most * 9 / 10, "{spent} bytes of {most} at {rate}/s");
        }
    }

    #[test]
    fn what_costs_more_than_can_be_saved_goes_when_all_is_saved() {
        let (now, mut budget) = (Instant::now(), Budget::new(1000));
        assert!(budget.affords(now, 9000));
        budget.spend(now, 9000);
        assert!(!budget.affords(now + SECOND * 8, 9000));
        assert!(budget.affords(now + SECOND * 10, 9000));
    }

    #[test]
    fn what_cannot_wait_is_owed_for_a_second_at_most() {
        let (now, mut budget) = (Instant::now(), Budget::new(2000));
        (0..100).for_each(|_| budget.spend_at_once(now, 1500));
        assert!(!budget.affords(now + SECOND, 100));
        assert!(budget.affords(now + SECOND + SECOND / 10, 100));
        budget.spend(now + SECOND, 6000);
        budget.spend_at_once(now + SECOND, 1500);
        assert!(!budget.affords(now + SECOND * 3, 100), "no debt is forgiven for that");
    }

    #[test]
    fn another_rate_holds_from_then_on() {
        let (now, mut budget) = (Instant::now(), Budget::new(1000));
        budget.spend(now, 4096);
        budget.set(now, 4000);
        assert!(budget.affords(now + SECOND, 4000) && !budget.affords(now + SECOND, 4001));
    }
}
