//! What is between servers: connections that delay, break and are refused.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

/// One end of a connection: the server, and what it calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) server: usize,
    pub(super) link: u64,
}

/// What reaches a server.
pub(super) enum Arrival {
    Bytes(Vec<u8>),
    End,
}

/// The order of arrivals: time, then that of sending.
type Order = Reverse<(Duration, u64)>;

#[derive(Default)]
pub(super) struct Network {
    peers: BTreeMap<Place, Place>,
    /// When the last thing arrives that was sent to here.
    busy_until: BTreeMap<Place, Duration>,
    queue: BinaryHeap<Order>,
    under_way: BTreeMap<u64, (Place, Arrival)>,
    serial: u64,
    /// Pairs of servers that do not reach each other, the smaller one first.
    pub(super) split: BTreeSet<(usize, usize)>,
}

fn pair(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl Network {
    pub(super) fn is_split(&self, a: usize, b: usize) -> bool {
        self.split.contains(&pair(a, b))
    }

    pub(super) fn join(&mut self, one: Place, other: Place) {
        self.peers.insert(one, other);
        self.peers.insert(other, one);
    }

    /// Something leaves `from`, to arrive after `delay` at the earliest.
    pub(super) fn send(&mut self, now: Duration, from: Place, arrival: Arrival, delay: Duration) {
        let Some(&to) = self.peers.get(&from) else { return };
        if matches!(arrival, Arrival::End) {
            self.peers.remove(&from);
        }
        let busy = self.busy_until.entry(to).or_default();
        *busy = (now + delay).max(*busy);
        let at = *busy;
        self.deliver(at, to, arrival);
    }

    /// Something will be there at that time, wherever it comes from.
    pub(super) fn deliver(&mut self, at: Duration, to: Place, arrival: Arrival) {
        self.serial += 1;
        self.queue.push(Reverse((at, self.serial)));
        self.under_way.insert(self.serial, (to, arrival));
    }

    /// When the next thing arrives.
    pub(super) fn next_arrival(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// What arrives by `now`.
    pub(super) fn poll(&mut self, now: Duration) -> Option<(Place, Arrival)> {
        let Reverse((at, serial)) = *self.queue.peek()?;
        if at > now {
            return None;
        }
        self.queue.pop();
        self.under_way.remove(&serial)
    }

    /// All connections between two servers break: nothing that is under way arrives. Gives their ends.
    pub(super) fn cut(&mut self, a: usize, b: usize) -> Vec<Place> {
        self.cut_if(|one, other| pair(one.server, other.server) == pair(a, b))
    }

    /// All connections of a server break.
    pub(super) fn cut_all(&mut self, server: usize) -> Vec<Place> {
        self.cut_if(|one, other| one.server == server || other.server == server)
    }

    fn cut_if(&mut self, is_cut: impl Fn(&Place, &Place) -> bool) -> Vec<Place> {
        let ends: Vec<Place> =
            self.peers.iter().filter(|(one, other)| is_cut(one, other)).map(|(one, _)| *one).collect();
        for end in &ends {
            self.peers.remove(end);
        }
        let lost = |to: &Place| ends.contains(to);
        for (to, arrival) in self.under_way.values_mut() {
            if lost(to) {
                *arrival = Arrival::Bytes(Vec::new());
            }
        }
        ends
    }
}
