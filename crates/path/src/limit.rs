//! How often hearsay may make us ask a path.

use std::time::{Duration, Instant};

const SHORTEST: Duration = Duration::from_millis(100);
/// After this long without hearsay the limit starts afresh.
const FORGET: Duration = Duration::from_secs(60);

/// Lets one through, the next 100 ms later, and doubles the gap each time up to a longest one.
pub(crate) struct Limit {
    longest: Duration,
    last: Option<(Instant, Duration)>,
}

impl Limit {
    pub(crate) const fn new(longest: Duration) -> Self {
        Self { longest, last: None }
    }

    pub(crate) fn allows(&mut self, now: Instant) -> bool {
        let gap = match self.last {
            Some((at, gap)) if now < at + gap => return false,
            Some((at, gap)) if now < at + FORGET => (gap * 2).min(self.longest),
            _ => SHORTEST,
        };
        self.last = Some((now, gap));
        true
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_a_minute_passes_a_handful() {
        let start = Instant::now();
        let mut limit = Limit::new(Duration::from_secs(5));
        let passed = (0..60_000).filter(|ms| limit.allows(start + Duration::from_millis(*ms))).count();
        assert_eq!(passed, 17);
        assert!(limit.allows(start + Duration::from_secs(200)));
        assert!(limit.allows(start + Duration::from_millis(200_100)), "the limit starts afresh");
    }
}
