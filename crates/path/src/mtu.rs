//! MTU holes: how much a path carries whose large packets vanish while small ones pass.
//!
//! The size is searched with probes of their own, which count neither as losses nor as round trips: many of them are meant to
//! be lost. First the smallest size that QUIC can do with, then halves of what is left.

use std::time::{Duration, Instant};

/// QUIC sends datagrams of this size whatever the path says; one that does not carry them is of no use.
pub(crate) const FLOOR: u16 = 1200;
/// The search ends when what passes and what does not are this close.
const STEP: u16 = 16;
/// What is asked for where no MTU is announced: an Ethernet frame without the headers of IP and UDP.
pub(crate) const USUAL: u16 = 1472;
/// Between the probes of one size.
const SPACING: Duration = Duration::from_millis(10);
/// Until a path with a hole is asked for more, and one that carried too little is searched again; doubles each time
/// that comes to nothing.
const AGAIN: Duration = Duration::from_secs(300);
const LONGEST_AGAIN: Duration = Duration::from_secs(3600);
/// How often a search is excused that our own process was late.
const EXCUSES: u8 = 2;

/// What is known of a hole, if there is one.
#[derive(Default)]
pub(crate) struct Hole {
    limit: Option<Limited>,
    search: Option<Search>,
    /// A search found that too little passes; not again before.
    barred_until: Option<Instant>,
    again: Duration,
}

/// See [`Hole::limit`].
#[derive(Clone, Copy)]
struct Limited {
    payload: u16,
    /// The MTU that is announced, 0 when unknown.
    announced: u16,
    raise_at: Instant,
}

struct Search {
    /// The largest payload that passed, 0 before any has.
    passes: u16,
    /// The smallest that did not.
    fails: u16,
    size: u16,
    /// The tokens of the probes of this size.
    asked: Vec<u64>,
    next: Instant,
    excused: u8,
}

impl Hole {
    /// The largest payload that passes, bytes, if a larger one should.
    pub(crate) fn limit(&self) -> Option<u16> {
        self.limit.map(|limit| limit.payload)
    }

    /// What is announced of a path that carries less, 0 when unknown.
    pub(crate) fn announced(&self) -> Option<u16> {
        self.limit.map(|limit| limit.announced)
    }

    /// Lookups say so now.
    pub(crate) fn set_announced(&mut self, mtu: u16) {
        if let Some(limit) = &mut self.limit {
            limit.announced = mtu;
        }
    }

    pub(crate) fn is_searched(&self) -> bool {
        self.search.is_some()
    }

    /// Payloads of `fails` bytes vanish. False: there is no size to be found, or none was found a while ago.
    pub(crate) fn search(&mut self, now: Instant, fails: u16) -> bool {
        let barred = self.barred_until.is_some_and(|until| until > now);
        if self.search.is_none() && fails > FLOOR && !barred {
            self.search = Some(Search::new(now, 0, fails, FLOOR));
        }
        self.search.is_some()
    }

    /// Payloads of `most` bytes may vanish: that is asked first. Nothing if a hole is known, or was searched for a while ago.
    pub(crate) fn doubt(&mut self, now: Instant, most: u16) {
        let barred = self.barred_until.is_some_and(|until| until > now);
        if self.search.is_none() && self.limit.is_none() && most > FLOOR && !barred {
            self.search = Some(Search::new(now, 0, most.saturating_add(1), most));
        }
    }

    /// Asks for `most` bytes, if it is time.
    pub(crate) fn raise(&mut self, now: Instant, most: u16) {
        let Some(limit) = self.limit.filter(|limit| limit.raise_at <= now && self.search.is_none()) else { return };
        if most > limit.payload {
            self.search = Some(Search::new(now, limit.payload, most.saturating_add(1), most));
        } else {
            self.confine(now, limit.payload, limit.announced);
        }
    }

    /// When there is something to do.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.search {
            Some(search) => Some(search.next),
            None => self.limit.map(|limit| limit.raise_at),
        }
    }

    /// The size to ask for now, with a token that [`asked`](Self::asked) is told. So many probes of one size
    /// have to stay unanswered, the last of them for `wait`.
    pub(crate) fn ask(&mut self, now: Instant, evidence: usize, wait: Duration) -> Option<u16> {
        let search = self.search.as_mut().filter(|search| search.next <= now && !search.is_over())?;
        if search.asked.len() >= evidence {
            search.fails = search.size;
            search.go_on(now);
            if search.is_over() {
                return None;
            }
        }
        let last = search.asked.len() + 1 >= evidence;
        search.next = now + if last { wait.max(SPACING) } else { SPACING };
        Some(search.size)
    }

    pub(crate) fn asked(&mut self, token: u64) {
        if let Some(search) = &mut self.search {
            search.asked.push(token);
        }
    }

    /// Whether the token is one of the search, which then knows that its size passes.
    pub(crate) fn land(&mut self, now: Instant, token: u64) -> bool {
        let Some(search) = self.search.as_mut().filter(|search| search.asked.contains(&token)) else { return false };
        search.passes = search.size;
        search.go_on(now);
        true
    }

    /// Our own process was late: what was asked is asked again.
    pub(crate) fn excuse(&mut self, now: Instant) {
        if let Some(search) = self.search.as_mut().filter(|search| search.excused < EXCUSES) {
            search.excused += 1;
            search.asked.clear();
            search.next = now;
        }
    }

    /// The end of a search, once: the largest payload that passes, `None` if that is too little.
    pub(crate) fn found(&mut self) -> Option<Option<u16>> {
        let search = self.search.take_if(|search| search.is_over())?;
        Some((search.passes >= FLOOR).then_some(search.passes))
    }

    /// From now on no more than `payload` is sent, of a path of which `announced` bytes are announced.
    pub(crate) fn confine(&mut self, now: Instant, payload: u16, announced: u16) {
        let wait = self.wait();
        self.limit = Some(Limited { payload, announced, raise_at: now + wait });
    }

    /// What passes is too little.
    pub(crate) fn bar(&mut self, now: Instant) {
        let wait = self.wait();
        self.limit = None;
        self.barred_until = Some(now + wait);
    }

    /// There is none any more.
    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    fn wait(&mut self) -> Duration {
        self.again = (self.again * 2).clamp(AGAIN, LONGEST_AGAIN);
        self.again
    }
}

impl Search {
    fn new(now: Instant, passes: u16, fails: u16, size: u16) -> Self {
        Self { passes, fails, size, asked: Vec::new(), next: now, excused: 0 }
    }

    fn is_over(&self) -> bool {
        self.fails <= FLOOR || self.passes >= FLOOR && self.fails.saturating_sub(self.passes) <= STEP
    }

    fn go_on(&mut self, now: Instant) {
        let half = self.passes + self.fails.saturating_sub(self.passes) / 2;
        self.size = if self.passes < FLOOR { FLOOR } else { half };
        self.asked.clear();
        self.next = now;
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a jumping clock has to start somewhere")]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(40);

    #[test]
    fn a_doubt_is_looked_into_and_may_be_unfounded() {
        let mut hole = Hole::default();
        hole.doubt(Instant::now(), 1400);
        assert_eq!(search(&mut hole, 1400).0, Some(1400), "no smaller size is asked");
        hole.doubt(Instant::now(), 1400);
        let found = search(&mut hole, 1300).0.expect("enough passes");
        assert!((1284..=1300).contains(&found), "{found}");
        hole.doubt(Instant::now(), 1400);
        assert_eq!(search(&mut hole, 1000).0, None);
    }

    /// Searches on a path that carries payloads of `carries` bytes; what it found, and in how many probes.
    fn search(hole: &mut Hole, carries: u16) -> (Option<u16>, u64) {
        let (mut now, mut token) = (Instant::now(), 0);
        loop {
            if let Some(size) = hole.ask(now, 2, WAIT) {
                token += 1;
                hole.asked(token);
                if size <= carries {
                    assert!(hole.land(now, token));
                }
            }
            if let Some(found) = hole.found() {
                return (found, token);
            }
            now = hole.due().expect("a search goes on").max(now);
        }
    }

    #[test]
    fn the_largest_size_that_passes_is_found_in_few_steps() {
        for carries in 1200..1345 {
            let mut hole = Hole::default();
            assert!(hole.search(Instant::now(), 1345));
            let (found, probes) = search(&mut hole, carries);
            let found = found.expect("enough passes");
            assert!((found..found + STEP).contains(&carries), "{found} of {carries}");
            assert!(probes <= 9, "{probes} probes");
        }
    }

    #[test]
    fn a_path_that_carries_less_than_quic_needs_is_let_be_for_a_while() {
        let (mut hole, start) = (Hole::default(), Instant::now());
        assert!(hole.search(start, 1345));
        assert_eq!(search(&mut hole, 1199), (None, 2));
        hole.bar(start);
        assert!(!hole.search(start + AGAIN / 2, 1345) && hole.search(start + AGAIN, 1345));
        assert!(!Hole::default().search(start, FLOOR), "there is nothing to be found");
    }

    #[test]
    fn more_is_asked_for_ever_more_rarely() {
        let (mut hole, start) = (Hole::default(), Instant::now());
        hole.confine(start, 1250, 1472);
        hole.raise(start + AGAIN / 2, 1400);
        assert!(!hole.is_searched(), "too early");
        hole.raise(start + AGAIN, 1400);
        let (found, probes) = search(&mut hole, 1260);
        assert!((1250..=1260).contains(&found.expect("as before")) && probes <= 12, "{found:?} in {probes}");
        hole.confine(start, 1250, 1472);
        hole.raise(start + AGAIN, 1400);
        assert!(!hole.is_searched(), "twice as long");
        hole.raise(start + AGAIN * 2, 1400);
        assert_eq!(search(&mut hole, 1400), (Some(1400), 1), "the whole of it is asked for first");
    }

    #[test]
    fn an_answer_of_an_earlier_size_says_nothing() {
        let (mut hole, now) = (Hole::default(), Instant::now());
        hole.search(now, 1345);
        assert_eq!(hole.ask(now, 2, WAIT), Some(FLOOR));
        hole.asked(1);
        assert!(!hole.land(now, 2) && hole.land(now, 1) && !hole.land(now, 1));
    }
}
