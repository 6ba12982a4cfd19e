//! What the servers said, and how it developed.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use natsd_api::{Event, EventKind, Pathz, PeerInfo, Time, Varz};

use crate::format::Mark;
use crate::past::{Past, Slice};
use crate::traffic::Traffic;
use crate::{MonitorUrl, Snapshot, links};

/// Most entries of the log.
const LOG: usize = 2000;

/// All servers, and what happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) servers: Vec<Server>,
    /// Oldest first.
    pub(crate) log: VecDeque<Entry>,
    entries_ever: u64,
}

/// One server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) url: MonitorUrl,
    /// The last answer; stays when the server answers no more.
    pub(crate) latest: Option<Snapshot>,
    pub(crate) rates: Rates,
    /// Set while it does not answer.
    pub(crate) trouble: Option<Trouble>,
    past: Past,
    pub(crate) traffic: Traffic,
}

/// Traffic a second between the last two readings.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    pub(crate) in_msgs: f64,
    pub(crate) out_msgs: f64,
    pub(crate) in_bytes: f64,
    pub(crate) out_bytes: f64,
}

/// Why and since when a server does not answer.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) text: String,
    pub(crate) since: SystemTime,
    pub(crate) attempts: u32,
}

/// One line of the log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Distinct and growing in the order of arrival.
    pub(crate) number: u64,
    pub(crate) time: Time,
    /// Label of the server, or empty.
    pub(crate) server: String,
    /// The AS, the server or the client that it is about, or empty.
    pub(crate) heading: String,
    /// One word.
    pub(crate) kind: &'static str,
    pub(crate) weight: Weight,
    pub(crate) text: String,
    pub(crate) gap_ms: Option<f64>,
    /// What else is known: the paths by their fingerprints, the address.
    pub(crate) detail: String,
}

/// How much an entry matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Plain,
    Good,
    Notable,
    Bad,
}

impl World {
    pub(crate) fn new(servers: impl IntoIterator<Item = MonitorUrl>) -> Self {
        Self { servers: servers.into_iter().map(Server::new).collect(), ..Self::default() }
    }

    /// Takes in what a server said, or why it said nothing. Returns the numbers of the entries added to the log,
    /// which are the last ones ever given.
    pub(crate) fn observe(&mut self, server: usize, at: SystemTime, reading: Result<Snapshot, String>) -> u64 {
        let before = self.entries_ever;
        match reading {
            Ok(snapshot) => self.observe_answer(server, at, snapshot),
            Err(text) => self.observe_silence(server, at, text),
        }
        self.entries_ever - before
    }

    /// Adds a line that does not come from a server.
    pub(crate) fn note(&mut self, at: SystemTime, kind: &'static str, weight: Weight, text: String) {
        self.add(Entry {
            number: 0,
            time: at.into(),
            server: String::new(),
            heading: String::new(),
            kind,
            weight,
            text,
            gap_ms: None,
            detail: String::new(),
        });
    }

    /// The last `count` entries in the order of arrival.
    pub(crate) fn latest_entries(&self, count: u64) -> Vec<&Entry> {
        let mut entries: Vec<_> = self.log.iter().filter(|e| e.number > self.entries_ever - count).collect();
        entries.sort_by_key(|entry| entry.number);
        entries
    }

    fn observe_answer(&mut self, index: usize, at: SystemTime, mut snapshot: Snapshot) {
        let server = &mut self.servers[index];
        let ended = server.trouble.take();
        let news = match snapshot.eventz.take() {
            Some(eventz) => eventz.events,
            None => new_path_events(server.pathz(), snapshot.pathz.as_ref()),
        };
        server.rates = Rates::between(server.latest.as_ref().map(|s| &s.varz), &snapshot.varz);
        server.past.absorb(snapshot.pathz.as_mut().unwrap_or(&mut Pathz::default()));
        server.traffic.observe(snapshot.varz.now, links::counters(&snapshot));
        server.latest = Some(snapshot);
        let label = server.label();
        if let Some(trouble) = ended {
            let lasted = at.duration_since(trouble.since).unwrap_or_default().as_secs();
            let text = format!("{label} answers again after {lasted} s");
            self.note(at, "monitor", Weight::Good, text);
        }
        for event in news {
            self.add(Entry::of_event(event, label.clone()));
        }
    }

    fn observe_silence(&mut self, index: usize, at: SystemTime, text: String) {
        match &mut self.servers[index].trouble {
            Some(trouble) => {
                trouble.attempts = trouble.attempts.saturating_add(1);
                trouble.text = text;
            }
            none => {
                *none = Some(Trouble { text: text.clone(), since: at, attempts: 1 });
                self.note(at, "monitor", Weight::Bad, text);
            }
        }
    }

    fn add(&mut self, mut entry: Entry) {
        self.entries_ever += 1;
        entry.number = self.entries_ever;
        let later = self.log.iter().rev().take_while(|other| other.time > entry.time).count();
        self.log.insert(self.log.len() - later, entry);
        if self.log.len() > LOG {
            self.log.pop_front();
        }
    }
}

impl Server {
    fn new(url: MonitorUrl) -> Self {
        Self {
            url,
            latest: None,
            rates: Rates::default(),
            trouble: None,
            past: Past::default(),
            traffic: Traffic::default(),
        }
    }

    /// A short name: the server's own, the first characters of its id, or the URL until either is known.
    pub(crate) fn label(&self) -> String {
        match &self.latest {
            Some(Snapshot { varz, .. }) if varz.server_name != varz.server_id => varz.server_name.clone(),
            Some(Snapshot { varz, .. }) => varz.server_id.chars().take(8).collect(),
            None => self.url.to_string(),
        }
    }

    /// When the paths were as they are shown, by the server's clock.
    pub(crate) fn paths_at(&self) -> Time {
        self.pathz().map(|pathz| pathz.now).unwrap_or_default()
    }

    pub(crate) fn pathz(&self) -> Option<&Pathz> {
        self.latest.as_ref()?.pathz.as_ref()
    }

    /// What became of a path in the last two minutes: `of` each of `parts` equal parts, oldest first.
    pub(crate) fn past(&self, peer: &PeerInfo, fingerprint: &str, parts: usize, of: fn(Slice) -> Mark) -> Vec<Mark> {
        self.past.slices(peer, fingerprint, self.paths_at(), parts).into_iter().map(of).collect()
    }
}

impl Rates {
    fn between(old: Option<&Varz>, new: &Varz) -> Self {
        let Some(old) = old.filter(|old| old.server_id == new.server_id) else { return Self::default() };
        let seconds = new.now.since(old.now).max(Duration::from_millis(1)).as_secs_f64();
        let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / seconds;
        Self {
            in_msgs: rate(old.in_msgs, new.in_msgs),
            out_msgs: rate(old.out_msgs, new.out_msgs),
            in_bytes: rate(old.in_bytes, new.in_bytes),
            out_bytes: rate(old.out_bytes, new.out_bytes),
        }
    }
}

/// Of a server that has no `/eventz`.
fn new_path_events(old: Option<&Pathz>, new: Option<&Pathz>) -> Vec<Event> {
    let old = old.map(|pathz| pathz.events.as_slice()).unwrap_or_default();
    let new = new.map(|pathz| pathz.events.as_slice()).unwrap_or_default();
    new.iter().filter(|event| !old.contains(event)).cloned().map(Event::from).collect()
}

impl Entry {
    fn of_event(event: Event, server: String) -> Self {
        let weight = match event.kind {
            EventKind::Switch | EventKind::SlowConsumer => Weight::Notable,
            EventKind::Up | EventKind::Join => Weight::Good,
            EventKind::Down | EventKind::NoPath | EventKind::NoneAllowed => Weight::Bad,
            EventKind::Leave | EventKind::AuthError => Weight::Bad,
            _ => Weight::Plain,
        };
        let paths = match (&event.from, &event.to) {
            (Some(from), Some(to)) => format!("from path {from} to {to}"),
            (Some(path), None) | (None, Some(path)) => format!("path {path}"),
            (None, None) => String::new(),
        };
        let named = [("", paths), ("at ", event.addr.clone()), ("account ", event.account.clone())];
        let named = named.into_iter().filter(|(_, text)| !text.is_empty());
        let detail = named.map(|(what, text)| format!("{what}{text}")).collect::<Vec<_>>().join(", ");
        Self {
            number: 0,
            time: event.time,
            server,
            heading: event.subject(),
            kind: event.kind.as_str(),
            weight,
            text: event.text,
            gap_ms: event.gap_ms,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    use natsd_api::{Eventz, PathEvent, PathEventKind};

    use super::*;
    use crate::testing::{at, snapshot};

    fn world() -> World {
        World::new(["http://127.0.0.1:8222".parse().unwrap()])
    }

    #[test]
    fn an_event_is_logged_once() {
        let mut world = world();
        let first = snapshot();
        let events = first.pathz.as_ref().unwrap().events.len() as u64;
        assert_eq!(world.observe(0, at(0), Ok(first.clone())), events);
        assert_eq!(world.observe(0, at(1), Ok(first.clone())), 0);

        let mut second = first;
        let later = PathEvent { time: at(70).into(), kind: PathEventKind::Down, ..PathEvent::default() };
        second.pathz.as_mut().unwrap().events.push(later);
        assert_eq!(world.observe(0, at(2), Ok(second)), 1);
        assert_eq!(world.latest_entries(1)[0].kind, "down");
    }

    #[test]
    fn events_of_a_server_that_tells_them_are_not_taken_twice() {
        let mut world = world();
        let mut first = snapshot();
        let kinds = [EventKind::Join, EventKind::SlowConsumer, EventKind::Switch];
        let events = kinds.map(|kind| Event { kind, time: at(1).into(), ..Event::default() }).to_vec();
        first.eventz = Some(Eventz { events, ..Eventz::default() });
        assert_eq!(world.observe(0, at(0), Ok(first)), 3);
        let second = Snapshot { eventz: Some(Eventz::default()), ..snapshot() };
        assert_eq!(world.observe(0, at(1), Ok(second)), 0);
        assert_eq!(world.log.iter().map(|entry| entry.kind).collect::<Vec<_>>(), ["join", "slow_consumer", "switch"]);
    }

    #[test]
    fn the_log_is_in_order_of_time_and_bounded() {
        let mut world = world();
        for n in (0..LOG as u64 + 10).rev() {
            world.note(at(n), "x", Weight::Plain, String::new());
        }
        assert_eq!(world.log.len(), LOG);
        assert!(world.log.iter().is_sorted_by_key(|entry| entry.time));
    }

    #[test]
    fn trouble_is_noted_when_it_begins_and_ends() {
        let mut world = world();
        assert_eq!(world.observe(0, at(0), Err("refused".into())), 1);
        assert_eq!(world.observe(0, at(1), Err("refused".into())), 0);
        assert_eq!(world.servers[0].trouble.as_ref().unwrap().attempts, 2);
        let mut answer = snapshot();
        answer.pathz = None;
        assert_eq!(world.observe(0, at(7), Ok(answer)), 1);
        assert_eq!(world.latest_entries(1)[0].text, "alpha answers again after 7 s");
        assert!(world.servers[0].trouble.is_none());
    }

    #[test]
    fn rates_come_from_the_servers_clock_and_start_anew_with_the_server() {
        let mut world = world();
        let mut next = snapshot();
        world.observe(0, at(0), Ok(next.clone()));
        next.varz.now = Time(next.varz.now.0 + Duration::from_secs(2));
        next.varz.in_msgs += 100;
        world.observe(0, at(9), Ok(next.clone()));
        assert_eq!(world.servers[0].rates.in_msgs, 50.0);
        next.varz.server_id = "NB".into();
        world.observe(0, at(10), Ok(next));
        assert_eq!(world.servers[0].rates.in_msgs, 0.0);
    }
}
