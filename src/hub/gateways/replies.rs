//! Where the answers of a client go: requests of other clusters name a way back that the client does not see.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use natsd_core::gateway::reply::Mapped;

use super::RECENT;

/// Requests of one client that are remembered; beyond, the oldest are forgotten.
const MAX: usize = 256 * 1024;

/// The subject that an answer is sent to, and until when.
type Way = (Box<[u8]>, Instant);

/// See the [module](self). Free of IO: the time is a parameter.
#[derive(Default)]
pub(crate) struct MappedReplies {
    ways: HashMap<Box<[u8]>, Way>,
    order: VecDeque<(Instant, Box<[u8]>)>,
}

impl MappedReplies {
    /// A request came that is answered at `way`, which the client knows as `mapped.subject`.
    pub(crate) fn note(&mut self, way: &[u8], mapped: &Mapped<'_>, now: Instant) {
        self.forget(now);
        if self.order.len() >= MAX {
            self.drop_oldest();
        }
        let until = now + RECENT;
        self.ways.insert(mapped.subject.into(), (way.into(), until));
        self.order.push_back((until, mapped.subject.into()));
    }

    /// The way back of what the client publishes to `subject`.
    pub(crate) fn way(&mut self, subject: &[u8], now: Instant) -> Option<Box<[u8]>> {
        self.forget(now);
        self.ways.get(subject).map(|(way, _)| way.clone())
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.ways.is_empty()
    }

    fn forget(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((until, subject)) = self.order.pop_front() else { return };
        // The same subject may have been asked for an answer again.
        if self.ways.get(&subject).is_some_and(|(_, latest)| *latest <= until) {
            self.ways.remove(&subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(replies: &mut MappedReplies, way: &str, now: Instant) {
        replies.note(way.as_bytes(), &Mapped::parse(way.as_bytes()).expect("mapped"), now);
    }

    #[test]
    fn ways_are_known_for_a_while_and_the_last_one_counts() {
        let (mut replies, start) = (MappedReplies::default(), Instant::now());
        note(&mut replies, "_GR_.aaaaaa.111111.r", start);
        note(&mut replies, "_GR_.bbbbbb.222222.r", start + RECENT / 2);
        let way = |replies: &mut MappedReplies, now| replies.way(b"r", now).map(|way| way.to_vec());
        let expected = Some(b"_GR_.bbbbbb.222222.r".to_vec());
        assert_eq!(way(&mut replies, start + RECENT / 2), expected);
        assert_eq!(way(&mut replies, start + RECENT), expected, "the first one is over, the second one not");
        assert_eq!(way(&mut replies, start + RECENT * 3 / 2), None);
        assert!(replies.is_empty() && replies.order.is_empty());
        assert_eq!(replies.way(b"other", start), None);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut replies, start) = (MappedReplies::default(), Instant::now());
        for n in 0..MAX + 100 {
            note(&mut replies, &format!("_GR_.aaaaaa.111111.{n}"), start);
        }
        assert_eq!((replies.ways.len(), replies.order.len()), (MAX, MAX));
        assert!(replies.way(b"0", start).is_none() && replies.way(b"1000", start).is_some());
    }
}
