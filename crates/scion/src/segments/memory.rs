//! Answers of control services that are kept for a while: lookups for several peers have segments in common, and when
//! no control service answers, what is known is used until it expires.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use foldhash::{HashMap, HashMapExt, HashSet, HashSetExt};

use super::search::Request;
use super::{MAX_SEGMENTS, Segment};

/// How long an answer is as good as a new one.
const FRESH: Duration = Duration::from_secs(10);

/// The most answers kept.
const MAX_ANSWERS: usize = 128;

/// The answer to one question, which one task at a time asks.
pub(crate) type Slot = Arc<tokio::sync::Mutex<Answer>>;

/// What was answered, if anything.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    segments: Arc<Vec<Segment>>,
    at: Option<Instant>,
}

impl Answer {
    /// What can be used in place of asking. `since` is when the asker came; with `refresh`, only answers from then on are.
    pub(crate) fn fresh(&self, now: Instant, since: Instant, refresh: bool) -> Option<Arc<Vec<Segment>>> {
        let at = self.at?;
        let fresh = if refresh { at >= since } else { now.saturating_duration_since(at) < FRESH };
        fresh.then(|| Arc::clone(&self.segments))
    }

    /// What can be used when asking fails: an answer with a segment that still holds.
    pub(crate) fn stale(&self, date: SystemTime) -> Option<Arc<Vec<Segment>>> {
        self.segments.iter().any(|segment| segment.expiry > date).then(|| Arc::clone(&self.segments))
    }

    /// Takes a new answer. What was answered before holds until it expires: a control service that did not reach all
    /// others in time tells less than it could.
    pub(crate) fn learn(&mut self, now: Instant, date: SystemTime, segments: Vec<Segment>) -> Arc<Vec<Segment>> {
        let before = self.segments.iter().filter(|segment| segment.expiry > date).cloned();
        let mut all: Vec<_> = segments.into_iter().chain(before).collect();
        all.sort_by_key(|segment| Reverse(segment.expiry));
        let mut seen = HashSet::new();
        all.retain(|segment| seen.insert((segment.kind, segment.hops.full_id())));
        all.truncate(MAX_SEGMENTS);
        self.segments = Arc::new(all);
        self.at = Some(now);
        Arc::clone(&self.segments)
    }
}

/// The answers to all questions. Those that were not used for longest make room.
#[derive(Debug)]
pub(crate) struct Memory {
    slots: HashMap<Request, (Slot, u64)>,
    clock: u64,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self { slots: HashMap::new(), clock: 0 }
    }

    pub(crate) fn slot(&mut self, request: Request) -> Slot {
        self.clock += 1;
        if self.slots.len() >= MAX_ANSWERS && !self.slots.contains_key(&request) {
            let oldest = self.slots.iter().min_by_key(|(_, (_, used))| *used).map(|(request, _)| *request);
            oldest.and_then(|oldest| self.slots.remove(&oldest));
        }
        let (slot, used) = self.slots.entry(request).or_default();
        *used = self.clock;
        Arc::clone(slot)
    }

    /// Forgets everything: answers from another AS, or of one that has changed.
    pub(crate) fn clear(&mut self) {
        self.slots.clear();
    }
}
