//! Over which path the peer's packets come in.

use std::time::{Duration, Instant};

use crate::PathId;

/// Packets in a row over another path that show that the peer has moved to it.
const CHOICE: usize = 2;
/// A peer that hedges sends over two paths at once: it has left the one only when nothing comes over that for so long.
pub(crate) const QUIET: Duration = Duration::from_millis(20);

/// Tells the path that the peer has chosen from one by which copies and strays come.
#[derive(Default)]
pub(crate) struct Arrivals {
    chosen: Option<PathId>,
    heard: Option<Instant>,
    /// Another path, and how many packets came over it in a row.
    other: Option<(PathId, usize)>,
    /// What the peer's choice means for our active path has been looked into.
    pub(crate) examined: bool,
}

impl Arrivals {
    /// Notes packets in a row over `path`.
    pub(crate) fn note(&mut self, now: Instant, path: PathId, packets: usize) {
        let before = self.other.take_if(|(other, _)| *other == path).map_or(0, |(_, n)| n);
        let in_a_row = packets.saturating_add(before);
        let left = self.heard.is_none_or(|at| at + QUIET <= now) && in_a_row >= CHOICE;
        if self.chosen == Some(path) {
            self.other = None;
            self.heard = Some(now);
        } else if left {
            *self = Self { chosen: Some(path), heard: Some(now), other: None, examined: false };
        } else {
            self.other = Some((path, in_a_row));
        }
    }

    /// The path that the peer sends over.
    pub(crate) fn chosen(&self) -> Option<PathId> {
        self.chosen
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
mod tests {
    use super::*;

    /// Notes packets (after so many milliseconds, over this path, so many) and returns the path chosen then.
    fn chosen(packets: &[(u64, u32, usize)]) -> Option<u32> {
        let start = Instant::now();
        let mut arrivals = Arrivals::default();
        for (ms, path, packets) in packets {
            arrivals.note(start + Duration::from_millis(*ms), PathId(*path), *packets);
        }
        arrivals.chosen().map(|path| path.0)
    }

    #[test]
    fn the_second_packet_in_a_row_shows_a_choice() {
        assert_eq!(chosen(&[(0, 1, 1)]), None);
        assert_eq!(chosen(&[(0, 1, 1), (1, 1, 1)]), Some(1));
        assert_eq!(chosen(&[(0, 1, 2), (30, 2, 1)]), Some(1));
        assert_eq!(chosen(&[(0, 1, 2), (30, 2, 1), (31, 2, 1)]), Some(2));
        assert_eq!(chosen(&[(0, 1, 2), (30, 2, 2)]), Some(2), "also when they are told together");
        assert_eq!(chosen(&[(0, 1, 2), (30, 2, 1), (31, 3, 1), (32, 2, 1)]), Some(1), "not in a row");
    }

    #[test]
    fn copies_over_another_path_are_no_choice() {
        let copies: Vec<_> = (0..100).flat_map(|ms| [(ms, 1, 2), (ms, 2, 3)]).collect();
        assert_eq!(chosen(&copies), Some(1));
    }
}
