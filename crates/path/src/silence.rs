//! Data sent over a path that nothing has answered yet.

use std::time::{Duration, Instant};

/// The silence on one path, as traffic shows it.
#[derive(Default)]
pub(crate) struct Silence {
    since: Option<Instant>,
    last_sent: Option<Instant>,
    largest: u16,
    excused: bool,
}

impl Silence {
    /// The first send that nothing has answered.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The largest datagram sent during the silence, bytes.
    pub(crate) fn largest(&self) -> u16 {
        self.largest
    }

    /// Returns whether the silence begins with it.
    pub(crate) fn sent(&mut self, now: Instant, size: u16) -> bool {
        let begins = self.since.is_none();
        if begins {
            *self = Self { since: Some(now), ..Self::default() };
        }
        self.last_sent = Some(now);
        self.largest = self.largest.max(size);
        begins
    }

    /// Something came back. What was sent less than a round trip ago cannot be answered by it.
    pub(crate) fn broken(&mut self, now: Instant, shortest_rtt: Duration) {
        if self.since.is_some() {
            self.since = self.last_sent.filter(|sent| *sent + shortest_rtt > now);
            self.excused = false;
        }
    }

    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Counts the silence from `since` on because our own process had stalled; once a silence.
    pub(crate) fn excuse(&mut self, since: Instant) {
        if self.since.is_some_and(|s| s < since) && !self.excused {
            self.since = Some(since);
            self.excused = true;
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
mod tests {
    use super::*;

    #[test]
    fn an_answer_covers_what_is_older_than_a_round_trip_only() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut silence = Silence::default();
        silence.sent(start, 100);
        silence.sent(start + ms(15), 1200);
        silence.broken(start + ms(20), ms(20));
        assert_eq!((silence.since(), silence.largest()), (Some(start + ms(15)), 1200));
        silence.broken(start + ms(40), ms(20));
        assert_eq!(silence.since(), None);
    }
}
