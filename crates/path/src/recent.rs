//! The largest of late: what is measured, not for ever.

use std::time::{Duration, Instant};

/// A maximum that forgets: a value is remembered for `SPAN` to twice as many seconds.
#[derive(Default)]
pub(crate) struct RecentMax<T, const SPAN: u64> {
    current: T,
    previous: T,
    turned: Option<Instant>,
}

impl<T: Copy + Default + Ord, const SPAN: u64> RecentMax<T, SPAN> {
    pub(crate) fn record(&mut self, now: Instant, value: T) {
        self.turn(now);
        self.current = self.current.max(value);
    }

    pub(crate) fn get(&mut self, now: Instant) -> T {
        self.turn(now);
        self.current.max(self.previous)
    }

    fn turn(&mut self, now: Instant) {
        let span = Duration::from_secs(SPAN);
        let turned = *self.turned.get_or_insert(now);
        let age = now.saturating_duration_since(turned);
        if age >= span {
            self.previous = if age < span * 2 { self.current } else { T::default() };
            self.current = T::default();
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
        let (start, span) = (Instant::now(), Duration::from_secs(10));
        let mut recent = RecentMax::<u16, 10>::default();
        recent.record(start, 1200);
        assert_eq!(recent.get(start + span), 1200);
        assert_eq!(recent.get(start + span * 2), 0);
    }
}
