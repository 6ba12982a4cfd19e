//! Data sent over a path that nothing has answered yet.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Sends closer than this to the last remembered one are not told apart from it.
const GRAIN: Duration = Duration::from_millis(2);
/// Sends remembered at most; of more, every second one is forgotten.
const MOST_MARKS: usize = 64;

/// The silence on one path, as traffic shows it.
#[derive(Default)]
pub(crate) struct Silence {
    /// When unanswered data was sent, oldest first, thinned out.
    marks: VecDeque<Instant>,
    last_sent: Option<Instant>,
    largest: u16,
    excused: bool,
}

impl Silence {
    /// The first send that nothing has answered.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.marks.front().copied()
    }

    /// The largest datagram sent during the silence, bytes.
    pub(crate) fn largest(&self) -> u16 {
        self.largest
    }

    /// Returns whether the silence begins with it.
    pub(crate) fn sent(&mut self, now: Instant, size: u16) -> bool {
        let begins = self.marks.is_empty();
        if begins {
            (self.largest, self.excused) = (0, false);
        }
        if self.marks.back().is_none_or(|last| *last + GRAIN <= now) {
            self.remember(now);
        }
        self.last_sent = Some(now);
        self.largest = self.largest.max(size);
        begins
    }

    /// Something came back. What was sent less than a round trip ago cannot be answered by it.
    pub(crate) fn broken(&mut self, now: Instant, shortest_rtt: Duration) {
        if self.marks.is_empty() {
            return;
        }
        while self.marks.front().is_some_and(|sent| *sent + shortest_rtt <= now) {
            self.marks.pop_front();
        }
        if self.marks.is_empty() {
            self.marks.extend(self.last_sent.filter(|sent| *sent + shortest_rtt > now));
        }
        self.excused = false;
    }

    pub(crate) fn forget(&mut self) {
        self.marks.clear();
        (self.last_sent, self.largest, self.excused) = (None, 0, false);
    }

    /// Counts the silence from `since` on because our own process had stalled; once a silence.
    pub(crate) fn excuse(&mut self, since: Instant) {
        if self.since().is_some_and(|s| s < since) && !self.excused {
            while self.marks.front().is_some_and(|sent| *sent < since) {
                self.marks.pop_front();
            }
            self.marks.push_front(since);
            self.excused = true;
        }
    }

    fn remember(&mut self, now: Instant) {
        if self.marks.len() >= MOST_MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.marks.push_back(now);
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

    #[test]
    fn a_steady_stream_is_silent_since_the_oldest_send_without_an_answer() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut silence = Silence::default();
        for sent in 0..1000 {
            silence.sent(start + ms(sent), 100);
            if sent >= 60 {
                silence.broken(start + ms(sent), ms(60));
            }
        }
        let since = silence.since().expect("the last 60 ms are unanswered");
        assert!((start + ms(939)..=start + ms(943)).contains(&since), "{:?}", since - start);
        for sent in 1000..5000 {
            silence.sent(start + ms(sent), 100);
        }
        assert_eq!(silence.since(), Some(since), "however much follows");
        assert!(silence.marks.len() <= MOST_MARKS);
    }
}
