//! Which control service is asked next, and when one that does not answer is asked again.

use std::time::{Duration, Instant};

/// After the first failure a service is left alone for this long, and twice as long after each further one.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

/// How long an answer shows that a service is there.
const ALIVE: Duration = Duration::from_secs(10);

/// What is known of each service.
#[derive(Clone, Debug, Default)]
struct Service {
    failures: u32,
    not_before: Option<Instant>,
}

/// The services by number. The one that has answered last comes first.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    services: Vec<Service>,
    preferred: usize,
    answered: Option<Instant>,
}

impl Turns {
    pub(crate) fn new(services: usize) -> Self {
        Self { services: vec![Service::default(); services], preferred: 0, answered: None }
    }

    /// Those to ask, one after the other until one answers; none while all are left alone.
    pub(crate) fn order(&self, now: Instant) -> Vec<usize> {
        let count = self.services.len();
        let all = (0..count).map(|step| (self.preferred + step) % count);
        all.filter(|&at| self.services[at].not_before.is_none_or(|until| until <= now)).collect()
    }

    pub(crate) fn has_answered(&mut self, at: usize, now: Instant) {
        self.services[at] = Service::default();
        self.preferred = at;
        self.answered = Some(now);
    }

    /// `jitter` is from 0 to 1: hosts that lost the same service do not come back to it at the same time.
    pub(crate) fn has_failed(&mut self, at: usize, now: Instant, jitter: f64) {
        let service = &mut self.services[at];
        let longest = FIRST.saturating_mul(1 << service.failures.min(10)).min(LONGEST);
        service.failures = service.failures.saturating_add(1);
        service.not_before = Some(now + longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0));
        if self.preferred == at {
            self.preferred = (at + 1) % self.services.len();
            self.answered = None;
        }
    }

    /// Whether one has answered lately and none has failed since.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        self.answered.is_some_and(|at| now.saturating_duration_since(at) < ALIVE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_answers_is_asked_first_from_then_on() {
        let now = Instant::now();
        let mut turns = Turns::new(3);
        assert_eq!(turns.order(now), [0, 1, 2]);
        assert!(!turns.is_alive(now));
        turns.has_failed(0, now, 1.0);
        assert_eq!(turns.order(now), [1, 2]);
        turns.has_answered(1, now);
        assert!(turns.is_alive(now + 9999 * MS) && !turns.is_alive(now + 10_000 * MS));
        assert_eq!(turns.order(now + 500 * MS), [1, 2, 0]);
        turns.has_failed(2, now, 1.0);
        assert!(turns.is_alive(now), "another one has failed");
        turns.has_failed(1, now, 1.0);
        assert!(!turns.is_alive(now));
    }

    #[test]
    fn who_fails_is_left_alone_for_longer_each_time() {
        let mut now = Instant::now();
        let mut turns = Turns::new(1);
        let mut waits = Vec::new();
        for _ in 0..8 {
            turns.has_failed(0, now, 1.0);
            let wait = (0..).map(|n| n * 100 * MS).find(|wait| turns.order(now + *wait) == [0]).expect("some day");
            waits.push(wait.as_millis());
            now += wait;
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
        turns.has_answered(0, now);
        turns.has_failed(0, now, 0.0);
        assert_eq!(
            (turns.order(now + 249 * MS).len(), turns.order(now + 250 * MS).len()),
            (0, 1),
            "half of it at least"
        );
    }
}
