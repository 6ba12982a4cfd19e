//! The largest datagram of late, so that probes are as large as the traffic.

use std::time::{Duration, Instant};

/// A size is remembered for one to two of these.
const SPAN: Duration = Duration::from_secs(10);

/// A maximum that forgets.
#[derive(Default)]
pub(crate) struct RecentMax {
    current: u16,
    previous: u16,
    turned: Option<Instant>,
}

impl RecentMax {
    pub(crate) fn record(&mut self, now: Instant, size: u16) {
        self.turn(now);
        self.current = self.current.max(size);
    }

    pub(crate) fn get(&mut self, now: Instant) -> u16 {
        self.turn(now);
        self.current.max(self.previous)
    }

    fn turn(&mut self, now: Instant) {
        let turned = *self.turned.get_or_insert(now);
        let age = now.saturating_duration_since(turned);
        if age >= SPAN {
            self.previous = if age < SPAN * 2 { self.current } else { 0 };
            self.current = 0;
            self.turned = Some(now);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
mod tests {
    use super::*;

    #[test]
    fn a_large_packet_is_forgotten_in_the_end() {
        let start = Instant::now();
        let mut recent = RecentMax::default();
        recent.record(start, 1200);
        assert_eq!(recent.get(start + SPAN), 1200);
        assert_eq!(recent.get(start + SPAN * 2), 0);
    }
}
