//! One game: servers, what happens to them, what their clients do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use natsd_core::route::cluster::{Dial, Place as Target};

use super::checks::{Checks, EVER, Message, Outage, SPREADS, Subscription};
use super::network::{Arrival, Network, Place};
use super::server::{ACCOUNTS, Output, SPREAD, Server, Sharing};
use crate::config::options::RouteType;
use crate::link::Link;

const SUBJECTS: [&str; 4] = ["a", "a.b", "a.c", "b"];
const FILTERS: [&str; 7] = ["a", "a.b", "a.*", "a.>", "*", ">", "b"];
const GROUPS: [&str; 2] = ["q", "r"];
/// Clients do something until then.
const END: Duration = Duration::from_secs(40);
/// Servers have found each other again this long after nothing is in the way any more: lost ones are dialled once a minute, and each ping tells of one more.
const REUNION: Duration = Duration::from_secs(150);

pub(super) struct Game {
    seed: u64,
    route_type: RouteType,
    rng: fastrand::Rng,
    now: Duration,
    clock: Arc<AtomicU64>,
    servers: Vec<Seat>,
    network: Network,
    /// Connections that are being made, under the time at which that is done.
    dials: BTreeMap<(Duration, u64), (Place, Dial)>,
    checks: Checks,
    serial: u64,
}

/// Where a server is, or is not at the moment.
struct Seat {
    server: Option<Server>,
    /// How many there have been.
    lives: u64,
    pool_size: Option<u16>,
    /// Accounts that it wants to have connections of their own.
    own: &'static [&'static str],
    /// Subjects that it wants to have connections of their own.
    classes: &'static [&'static str],
    /// The servers that it is told of by its configuration.
    routes: Vec<usize>,
    /// When it comes back.
    returns: Option<Duration>,
    /// When it next does something by itself.
    due: Option<Duration>,
    /// The servers that it has all connections to, and since when.
    reaches: BTreeMap<usize, Duration>,
}

/// The address of a server.
fn host(server: usize) -> [u8; 4] {
    [10, 0, 0, server as u8 + 1]
}

impl Game {
    /// Of a mesh, all of which know the first server; or of a graph that is connected, with some links to spare.
    pub(super) fn new(seed: u64, route_type: RouteType) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        fastrand::seed(rng.u64(..));
        let is_dag = route_type == RouteType::Dag;
        let count = if is_dag { rng.usize(3..=6) } else { rng.usize(2..=5) };
        let seat = |server: usize, rng: &mut fastrand::Rng| Seat {
            server: None,
            lives: 0,
            pool_size: [None, Some(1), Some(2), Some(3), Some(3)][rng.usize(..5)],
            own: if is_dag { &[] } else { [&[][..], &ACCOUNTS[..1], &ACCOUNTS[..2], &ACCOUNTS[1..]][rng.usize(..4)] },
            classes: [&[][..], &["a.>"], &["a.*", "b"], &["a.>", "b"]][rng.usize(..4)],
            // All know the first one, which knows the second.
            routes: if is_dag {
                let tree = (server > 0).then(|| rng.usize(..server.max(1)));
                (0..server).filter(|at| tree == Some(*at) || rng.u8(..5) == 0).collect()
            } else if server == 0 {
                vec![1]
            } else {
                (0..server).filter(|at| *at == 0 || rng.u8(..4) == 0).collect()
            },
            returns: Some(Duration::from_millis(rng.u64(..500))),
            due: None,
            reaches: BTreeMap::new(),
        };
        let servers = (0..count).map(|server| seat(server, &mut rng)).collect();
        let (clock, network, dials) = Default::default();
        let checks = Checks::new(is_dag);
        Self { seed, route_type, rng, now: Duration::ZERO, clock, servers, network, dials, checks, serial: 0 }
    }

    pub(super) fn play(mut self) {
        let _told = Told(self.seed, self.route_type);
        for server in 0..self.servers.len() {
            self.out(server, server, Duration::from_secs(1));
        }
        while self.now < END {
            let pause = Duration::from_millis(self.rng.u64(1..300));
            self.run_for(pause);
            self.act();
        }
        self.mend();
        self.run_for(REUNION);
        self.checks.finish();
        self.compare_interest();
        self.everybody_hears_everybody();
    }

    fn number(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    fn server(&mut self, at: usize) -> Option<&mut Server> {
        self.servers[at].server.as_mut()
    }

    /// Something random happens.
    fn act(&mut self) {
        let at = self.rng.usize(..self.servers.len());
        match self.rng.u8(..100) {
            0..35 => self.subscribe(at),
            35..50 => self.unsubscribe(at),
            50..96 => self.publish(at),
            96..98 => self.split(at),
            98 => self.mend(),
            _ => self.end(at),
        }
        self.settle(at);
    }

    fn subscribe(&mut self, server: usize) {
        let (account, subject) = (self.rng.usize(..ACCOUNTS.len()), self.rng.choice(FILTERS).expect("there are some"));
        let queue = self.rng.bool().then(|| self.rng.choice(GROUPS).expect("there are some"));
        let (id, since) = (self.number(), self.now);
        let Some(here) = self.server(server) else { return };
        here.subscribe(id, account, subject, queue);
        let subscription =
            Subscription { server, account, subject: subject.into(), queue: queue.map(Into::into), since, until: EVER };
        self.checks.subscriptions.insert(id, subscription);
    }

    fn unsubscribe(&mut self, at: usize) {
        let ids: Vec<u64> =
            self.server(at).map(|server| server.subscribers.keys().copied().collect()).unwrap_or_default();
        let Some(id) = self.rng.choice(ids) else { return };
        self.collect(at);
        if let Some(server) = self.server(at) {
            server.unsubscribe(id);
        }
        self.checks.subscriptions.get_mut(&id).expect("it is known").until = self.now;
    }

    fn publish(&mut self, server: usize) {
        let (account, subject) = (self.rng.usize(..ACCOUNTS.len()), self.rng.choice(SUBJECTS).expect("there are some"));
        let (id, at) = (self.number(), self.now);
        if self.servers[server].server.is_none() {
            return;
        }
        let settled = |(_, since): &(&usize, &Duration)| **since + SPREADS <= at;
        let met = |at: usize, peer: &usize| self.servers[at].reaches.iter().filter(settled).any(|(met, _)| met == peer);
        let linked = |a: usize, b: usize| met(a, &b) && met(b, &a);
        let mut reaches: BTreeSet<usize> = (0..self.servers.len()).filter(|peer| linked(server, *peer)).collect();
        if self.route_type == RouteType::Dag {
            let mut next: Vec<usize> = reaches.iter().copied().collect();
            while let Some(by) = next.pop() {
                next.extend((0..self.servers.len()).filter(|peer| linked(by, *peer) && reaches.insert(*peer)));
            }
        }
        self.checks.messages.insert(id, Message { server, account, subject: subject.into(), at, reaches });
        if let Some(here) = self.server(server) {
            here.publish(account, subject, &id.to_string());
        }
    }

    /// Two servers do not reach each other any more, until this is mended.
    fn split(&mut self, a: usize) {
        let b = self.rng.usize(..self.servers.len());
        if a == b {
            return;
        }
        if self.rng.bool() {
            self.network.split.insert((a.min(b), a.max(b)));
        }
        let ends = self.network.cut(a, b);
        let noticed = self.break_off(ends);
        self.out(a, b, noticed);
    }

    fn mend(&mut self) {
        self.network.split.clear();
        for outage in self.checks.outages.iter_mut().filter(|outage| outage.until == EVER) {
            outage.until = outage.noticed.max(self.now);
        }
    }

    /// A server ends, as if killed, and comes back as another one of that name.
    fn end(&mut self, at: usize) {
        if self.servers[at].server.is_none() {
            return;
        }
        self.collect(at);
        let ends = self.network.cut_all(at);
        let noticed = self.break_off(ends);
        let seat = &mut self.servers[at];
        seat.server = None;
        seat.reaches.clear();
        let returns = self.now + Duration::from_millis(self.rng.u64(10..4000));
        seat.returns = Some(returns);
        for gone in self.checks.subscriptions.values_mut().filter(|to| to.server == at) {
            gone.until = gone.until.min(self.now);
        }
        self.out(at, at, noticed.max(returns));
    }

    /// The ends of connections that are broken notice it, each in its time. Gives the last one's.
    fn break_off(&mut self, ends: Vec<Place>) -> Duration {
        let mut last = self.now;
        for end in ends {
            let at = self.now + Duration::from_millis(self.rng.u64(..2000));
            self.network.deliver(at, end, Arrival::End);
            last = last.max(at);
        }
        last
    }

    /// Servers do not reach each other from now on; by `noticed` both know. It lasts as long as they are split.
    fn out(&mut self, a: usize, b: usize, noticed: Duration) {
        let until = match self.route_type {
            RouteType::Mesh if self.network.is_split(a, b) => EVER,
            RouteType::Mesh => noticed,
            // Others have to hear of it, and then it goes by another way if there is one.
            RouteType::Dag => noticed + SPREADS,
        };
        let servers = (a.min(b), a.max(b));
        self.checks.outages.push(Outage { servers, from: self.now, noticed, until });
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(next) = self.next_instant().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.clock.store(self.now.as_nanos() as u64, Relaxed);
            self.return_servers();
            self.complete_dials();
            while let Some((to, arrival)) = self.network.poll(self.now) {
                if let Some(server) = self.servers[to.server].server.as_mut() {
                    match arrival {
                        Arrival::Bytes(bytes) => server.receive(to.link, &bytes),
                        Arrival::End => server.hang_up(to.link),
                    }
                }
                self.settle(to.server);
            }
            for server in 0..self.servers.len() {
                if self.servers[server].due.is_some_and(|due| due <= self.now) {
                    self.settle(server);
                }
            }
        }
        self.now = end;
        self.clock.store(self.now.as_nanos() as u64, Relaxed);
    }

    fn next_instant(&self) -> Option<Duration> {
        let seats = self.servers.iter().flat_map(|seat| [seat.due, seat.returns]).flatten();
        let dials = self.dials.keys().next().map(|(at, _)| *at);
        seats.chain(dials).chain(self.network.next_arrival()).min()
    }

    fn return_servers(&mut self) {
        for at in 0..self.servers.len() {
            let seat = &mut self.servers[at];
            if seat.returns.is_none_or(|returns| returns > self.now) {
                continue;
            }
            seat.returns = None;
            seat.lives += 1;
            let (name, id) = (at.to_string(), format!("N{at}.{}", seat.lives));
            let seed = self.rng.u64(..);
            let (pool_size, route_type) = (seat.pool_size, self.route_type);
            let sharing = Sharing { pool_size, accounts: seat.own, classes: seat.classes, route_type };
            seat.server = Some(Server::new((&name, &id), &self.clock, seat.routes.len(), sharing, seed));
            self.settle(at);
        }
    }

    fn complete_dials(&mut self) {
        while let Some(entry) = self.dials.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let (Place { server: from, link: life }, dial) = entry.remove();
            let to = match &dial.place {
                Target::Configured(route) => self.servers[from].routes[*route],
                Target::Told(urls) => told(&urls[0]),
            };
            if self.servers[from].lives != life || self.servers[from].server.is_none() {
                continue;
            }
            if to == from || self.network.is_split(from, to) || self.servers[to].server.is_none() {
                if let Some(server) = self.server(from) {
                    server.fail_dial(&dial);
                }
            } else {
                let mut connect = |at: usize, other: usize, dial| {
                    let server = self.servers[at].server.as_mut().expect("it is there");
                    Place { server: at, link: server.connect(host(other), dial) }
                };
                let ends = (connect(from, to, Some(dial)), connect(to, from, None));
                self.network.join(ends.0, ends.1);
                self.settle(to);
            }
            self.settle(from);
        }
    }

    /// Lets a server do what it has to do now, and sends what comes of it.
    fn settle(&mut self, at: usize) {
        let now = self.now;
        let seat = &mut self.servers[at];
        let Some(server) = seat.server.as_mut() else {
            seat.due = None;
            return;
        };
        let output = server.work(now);
        let mut dials = Vec::new();
        let next_dial = loop {
            match server.poll_dial() {
                Ok(dial) => dials.push(dial),
                Err(due) => break due,
            }
        };
        seat.due = server.next_timeout().into_iter().chain(next_dial).min();
        for Output { link, bytes, closed } in output {
            let (from, delay) = (Place { server: at, link }, Duration::from_micros(self.rng.u64(50..20_000)));
            if !bytes.is_empty() {
                self.network.send(now, from, Arrival::Bytes(bytes), delay);
            }
            if closed {
                self.network.send(now, from, Arrival::End, delay);
            }
        }
        for dial in dials {
            let due = now + Duration::from_millis(self.rng.u64(1..60));
            let number = self.number();
            let life = self.servers[at].lives;
            self.dials.insert((due, number), (Place { server: at, link: life }, dial));
        }
        self.look_around(at);
        self.collect(at);
    }

    /// Notes which servers `at` has all connections to.
    fn look_around(&mut self, at: usize) {
        let Some(server) = &self.servers[at].server else { return };
        let mut connections = BTreeMap::<usize, usize>::new();
        for link in server.routes() {
            *connections.entry(peer_of(&link)).or_default() += 1;
        }
        let is_dag = self.route_type == RouteType::Dag;
        let pool = |peer: &usize| match (self.servers[at].pool_size, self.servers[*peer].pool_size) {
            _ if is_dag => 1,
            (Some(ours), Some(theirs)) => {
                let (here, there) = (&self.servers[at], &self.servers[*peer]);
                let accounts = here.own.iter().filter(|account| there.own.contains(account));
                let classes = here.classes.iter().filter(|class| there.classes.contains(class));
                let classes: usize = classes.map(|class| 1 + usize::from(*class == SPREAD)).sum();
                usize::from(ours.max(theirs)) + accounts.count() + classes
            }
            _ => 1,
        };
        connections.retain(|peer, count| *count == pool(peer));
        let (now, reaches) = (self.now, &mut self.servers[at].reaches);
        if !connections.keys().eq(reaches.keys()) {
            self.checks.changes.insert(now);
        }
        reaches.retain(|peer, _| connections.contains_key(peer));
        for peer in connections.into_keys() {
            reaches.entry(peer).or_insert(now);
        }
    }

    /// Sees what the clients of a server have got.
    fn collect(&mut self, at: usize) {
        let delivered = self.server(at).map(Server::delivered).unwrap_or_default();
        for (subscription, message) in delivered {
            self.checks.delivered(subscription, message);
        }
    }

    /// All is quiet: each server knows of the others' interest what there is, and nothing else.
    fn compare_interest(&mut self) {
        for at in 0..self.servers.len() {
            let Some(server) = &self.servers[at].server else { panic!("server {at} is there again") };
            let mut known = BTreeMap::<usize, BTreeMap<_, _>>::new();
            for link in server.sources() {
                let peer = peer_of(&link);
                let of_peer = known.entry(peer).or_default();
                for account in 0..ACCOUNTS.len() {
                    for interest in server.account(account).interest_behind(link.id) {
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        let key = (account, text(interest.subject()), interest.queue().map(text));
                        let twice = of_peer.insert(key.clone(), interest.weight());
                        assert_eq!(twice, None, "server {at} knows {key:?} of {peer} by two connections");
                    }
                }
            }
            for peer in (0..self.servers.len()).filter(|peer| *peer != at) {
                let of_peer = known.remove(&peer);
                assert_eq!(of_peer, Some(self.checks.interest(peer)), "what server {at} knows of {peer}");
            }
        }
    }

    /// A message of each server reaches all clients that want it.
    fn everybody_hears_everybody(&mut self) {
        self.checks.messages.clear();
        for at in 0..self.servers.len() {
            for _ in 0..4 {
                self.publish(at);
                self.settle(at);
            }
        }
        self.run_for(Duration::from_secs(2));
        self.checks.finish();
    }
}

/// The server at the other end of a route.
fn peer_of(route: &Link) -> usize {
    let name = route.server.get().map(|peer| peer.name.as_str()).unwrap_or_default();
    name.parse().expect("names are numbers")
}

/// The server at an address that others told.
fn told(url: &str) -> usize {
    let host = url.strip_prefix("nats-route://10.0.0.").and_then(|rest| rest.split(':').next());
    host.and_then(|host| host.parse::<usize>().ok()).expect("an address of this network") - 1
}

/// Says which game went wrong.
struct Told(u64, RouteType);

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("game {} ({}) went wrong; to play it again: NATSD_SEEDS={0}..{}", self.0, self.1, self.0 + 1);
        }
    }
}
