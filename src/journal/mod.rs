//! What happened lately, for those who ask `/eventz`.
//!
//! A bounded ring, with one number for each event. Nobody who reads it holds up what goes on: a reader remembers the number
//! of the last event that it had, and misses what was forgotten meanwhile. What clients, and those who are none, can make happen
//! as often as they like has rings to itself, so that it does not push out failovers.

mod links;

use std::collections::VecDeque;
use std::time::SystemTime;

use natsd_api::{Event, EventKind};
use parking_lot::Mutex;
use tokio::sync::watch;

/// Events remembered of clients that came and went, of connections that were refused or too slow, and of all else.
const ROOM: [usize; 3] = [256, 256, 1024];
/// Longest text of an event that comes from elsewhere, characters.
const LONGEST: usize = 256;

/// See the [module](self).
#[derive(Debug)]
pub struct Journal {
    rings: Mutex<Rings>,
    last: watch::Sender<u64>,
}

#[derive(Debug)]
struct Rings {
    rings: [Ring; ROOM.len()],
    last: u64,
}

#[derive(Debug, Default)]
struct Ring {
    events: VecDeque<Event>,
    /// Number of the last event that was pushed out; 0 for none.
    forgotten: u64,
}

/// What a reader is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Number of the last event there is, wanted or not.
    pub last: u64,
    /// Some that were wanted are forgotten.
    pub missed: bool,
}

/// Which events a reader wants; all, if it names none.
#[derive(Clone, Debug, Default)]
pub struct Wanted(pub Vec<EventKind>);

impl Wanted {
    fn wants(&self, kind: EventKind) -> bool {
        self.0.is_empty() || self.0.contains(&kind)
    }
}

/// Which ring.
fn class(kind: EventKind) -> usize {
    match kind {
        EventKind::ClientJoin | EventKind::ClientLeave => 0,
        EventKind::AuthError | EventKind::SlowConsumer => 1,
        _ => 2,
    }
}

impl Journal {
    /// An empty one. Numbers begin with the milliseconds of `start`, so that those of the next run of the server are higher.
    pub fn new(start: SystemTime) -> Self {
        let millis = start.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let last = u64::try_from(millis).unwrap_or(0);
        let rings = Rings { rings: Default::default(), last };
        Self { rings: Mutex::new(rings), last: watch::Sender::new(last) }
    }

    /// Remembers an event, under the next number.
    pub fn add(&self, mut event: Event) {
        for text in [&mut event.peer, &mut event.name, &mut event.account] {
            if let Some((end, _)) = text.char_indices().nth(LONGEST) {
                text.truncate(end);
            }
        }
        let mut rings = self.rings.lock();
        rings.last += 1;
        event.id = rings.last;
        let class = class(event.kind);
        let ring = &mut rings.rings[class];
        if ring.events.len() == ROOM[class] {
            ring.forgotten = ring.events.pop_front().map_or(0, |oldest| oldest.id);
        }
        ring.events.push_back(event);
        // Under the lock, so that it never goes back.
        self.last.send_replace(rings.last);
    }

    /// What happened after the event `since`. Of a reader that begins with 0, nothing is missed.
    pub fn after(&self, since: u64, wanted: &Wanted) -> Page {
        let rings = self.rings.lock();
        let mut page = Page { last: rings.last, ..Page::default() };
        for (number, ring) in rings.rings.iter().enumerate() {
            if !wanted.0.is_empty() && !wanted.0.iter().any(|kind| class(*kind) == number) {
                continue;
            }
            let first = ring.events.partition_point(|event| event.id <= since);
            page.events.extend(ring.events.range(first..).filter(|event| wanted.wants(event.kind)).cloned());
            page.missed |= since > 0 && since < ring.forgotten;
        }
        page.events.sort_unstable_by_key(|event| event.id);
        page
    }

    /// Changes with every event.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.last.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn event(kind: EventKind, name: &str) -> Event {
        Event { kind, name: name.into(), ..Event::default() }
    }

    fn journal() -> Journal {
        Journal::new(SystemTime::UNIX_EPOCH + Duration::from_millis(5000))
    }

    #[test]
    fn a_reader_gets_what_came_after_what_it_had() {
        let journal = journal();
        for name in ["a", "b", "c"] {
            journal.add(event(EventKind::Join, name));
        }
        let names = |since| {
            let page = journal.after(since, &Wanted::default());
            page.events.into_iter().map(|event| (event.id, event.name)).collect::<Vec<_>>()
        };
        assert_eq!(names(0), [(5001, "a".into()), (5002, "b".into()), (5003, "c".into())]);
        assert_eq!(names(5002), [(5003, "c".into())]);
        assert_eq!((names(5003), names(u64::MAX)), (Vec::new(), Vec::new()));
        assert_eq!(journal.after(0, &Wanted::default()).last, 5003);
        assert!(!journal.after(4000, &Wanted::default()).missed, "of an earlier run");
    }

    #[test]
    fn clients_and_strangers_push_out_no_failover_and_who_missed_some_knows() {
        let journal = journal();
        journal.add(event(EventKind::Switch, ""));
        let first = journal.after(0, &Wanted::default()).last;
        for _ in 0..ROOM[0] * 3 {
            journal.add(event(EventKind::ClientJoin, ""));
            journal.add(event(EventKind::AuthError, ""));
        }
        let page = journal.after(0, &Wanted::default());
        assert_eq!(page.events.len(), ROOM[0] + ROOM[1] + 1);
        assert_eq!(page.events[0].kind, EventKind::Switch);
        assert!(page.events.is_sorted_by_key(|event| event.id) && !page.missed);
        assert!(journal.after(first, &Wanted::default()).missed);
        assert!(!journal.after(page.last, &Wanted::default()).missed);
        let switches = journal.after(first - 1, &Wanted(vec![EventKind::Switch]));
        assert_eq!((switches.events.len(), switches.missed), (1, false));
        for _ in 0..=ROOM[2] {
            journal.add(event(EventKind::Down, ""));
        }
        assert!(journal.after(first, &Wanted(vec![EventKind::Switch])).missed);
        assert!(!journal.after(page.last, &Wanted(vec![EventKind::ClientJoin])).missed);
    }

    #[test]
    fn what_others_name_themselves_is_cut() {
        let journal = journal();
        journal.add(event(EventKind::ClientJoin, &"ä".repeat(10_000)));
        assert_eq!(journal.after(0, &Wanted::default()).events[0].name.chars().count(), LONGEST);
    }
}
