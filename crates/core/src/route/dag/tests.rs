//! Several servers in one thread, whose lines come in order and late.

use proptest::prelude::*;

use super::*;
use crate::route::wire::{self as lines, Read, Reader};

struct Server {
    dag: Dag,
    id: String,
    ways: BTreeMap<Node, LinkId>,
    /// What accounts know of others.
    known: BTreeMap<Node, BTreeMap<Arc<Key>, u32>>,
    rings: Vec<Vec<Node>>,
}

/// An end of a link: whose, and whom it leads to.
type End = (usize, usize);
/// Lines, in order.
type Queue = VecDeque<Arc<[u8]>>;

#[derive(Default)]
struct Network {
    servers: Vec<Server>,
    now: Duration,
    ends: BTreeMap<LinkId, End>,
    next: u64,
    /// What is under way to the other end.
    wires: BTreeMap<LinkId, (LinkId, Queue)>,
    sent: usize,
}

impl Network {
    fn new(count: usize) -> Self {
        let server = |number: usize| {
            let id = format!("S{number}");
            Server { dag: Dag::new(&id, &id), id, ways: BTreeMap::new(), known: BTreeMap::new(), rings: Vec::new() }
        };
        Self { servers: (0..count).map(server).collect(), ..Self::default() }
    }

    fn node(&self, server: usize) -> Node {
        self.servers[server].dag.own()
    }

    fn link(&self, from: usize, to: usize) -> Option<LinkId> {
        self.ends.iter().find(|(_, end)| **end == (from, to)).map(|(&link, _)| link)
    }

    fn join(&mut self, a: usize, b: usize) {
        if a == b || self.link(a, b).is_some() {
            return;
        }
        let (to_b, to_a) = (LinkId(self.next), LinkId(self.next + 1));
        self.next += 2;
        self.ends.extend([(to_b, (a, b)), (to_a, (b, a))]);
        self.wires.extend([(to_b, (to_a, VecDeque::new())), (to_a, (to_b, VecDeque::new()))]);
        for (link, (from, to)) in [(to_b, (a, b)), (to_a, (b, a))] {
            let id = self.servers[to].id.clone();
            self.servers[from].dag.handle_link_up(link, &id, self.now);
            self.settle(from);
        }
    }

    fn cut(&mut self, a: usize, b: usize) {
        for (from, to) in [(a, b), (b, a)] {
            let Some(link) = self.link(from, to) else { return };
            self.ends.remove(&link);
            self.wires.remove(&link);
            self.servers[from].dag.handle_link_down(link, self.now);
            self.settle(from);
        }
    }

    fn settle(&mut self, at: usize) {
        let server = &mut self.servers[at];
        while let Some(event) = server.dag.poll_event() {
            match event {
                Event::Send(link, bytes) => {
                    self.sent += 1;
                    if let Some((_, queue)) = self.wires.get_mut(&link) {
                        queue.push_back(bytes);
                    }
                }
                Event::Way(node, Some(link)) => {
                    server.ways.insert(node, link);
                    server.known.entry(node).or_default();
                }
                Event::Way(node, None) => {
                    server.ways.remove(&node);
                    server.known.remove(&node);
                }
                Event::Interest(node, key, members) => {
                    let known = server.known.get_mut(&node).expect("interest of servers that are reached");
                    let changed = if members == 0 { known.remove(&key) } else { known.insert(key.clone(), members) };
                    assert!(members > 0 || changed.is_some(), "what ends has begun");
                }
                Event::Ring(ring) => server.rings.push(ring),
            }
        }
    }

    /// One thing arrives, on a link that `choose` chooses. `false` if nothing is under way.
    fn step(&mut self, choose: usize) -> bool {
        let busy: Vec<_> = self.wires.iter().filter(|(_, (_, queue))| !queue.is_empty()).map(|(&it, _)| it).collect();
        let Some(from) = busy.get(choose % busy.len().max(1)) else { return false };
        let (to, bytes) =
            self.wires.get_mut(from).and_then(|(to, queue)| Some((*to, queue.pop_front()?))).expect("busy");
        let at = self.ends[&to].0;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let Ok(Read::Op(lines::Op::Dag(op), taken)) = Reader::default().read(rest) else { panic!("whole lines") };
            self.servers[at].dag.handle(to, &op, self.now).expect("servers keep to the rules");
            rest = &rest[taken..];
        }
        self.settle(at);
        true
    }

    fn run(&mut self) {
        while self.step(0) {}
    }

    fn subscribe(&mut self, at: usize, subject: &str, members: u32) {
        let interest =
            Interest { origin: None, account: Some(b"A"), subject: subject.as_bytes(), queue: None, weight: members };
        self.servers[at].dag.handle_own(&interest);
        self.settle(at);
    }

    /// The servers that are reached from one by links that are there.
    fn component(&self, from: usize) -> BTreeSet<usize> {
        let mut found = BTreeSet::from([from]);
        loop {
            let next: BTreeSet<usize> =
                self.ends.values().filter(|(a, _)| found.contains(a)).map(|(_, b)| *b).chain(found.clone()).collect();
            if next == found {
                return found;
            }
            found = next;
        }
    }

    /// All is quiet: each server knows of those that it reaches what there is, and of nobody else.
    fn check(&self) {
        for (at, server) in self.servers.iter().enumerate() {
            let others: BTreeSet<_> = self.component(at).into_iter().filter(|other| *other != at).collect();
            let nodes: BTreeSet<_> = others.iter().map(|&other| self.node(other)).collect();
            assert_eq!(server.ways.keys().copied().collect::<BTreeSet<_>>(), nodes, "whom {at} reaches");
            for other in others {
                let node = self.node(other);
                let there = self.servers[other].dag.log(node).expect("its own");
                assert!(there.entries().eq(server.known[&node].iter().map(|(key, &members)| (key, members))));
                assert_eq!(self.ends[&server.ways[&node]].0, at);
                assert_eq!(Some(there.number), server.dag.log(node).map(|log| log.number));
            }
        }
    }
}

#[test]
fn the_ends_of_a_chain_know_of_each_other() {
    let mut network = Network::new(4);
    network.subscribe(3, "early", 1);
    (0..3).for_each(|at| network.join(at, at + 1));
    network.run();
    network.check();
    network.subscribe(3, "late", 1);
    network.subscribe(3, "early", 0);
    network.run();
    network.check();
    assert_eq!(network.servers[0].known[&network.node(3)].len(), 1);
    let way = network.servers[0].dag.way(network.node(3));
    assert_eq!(way, Some(network.node(1)));
    assert!(network.servers.iter().all(|server| server.rings.is_empty()));
}

/// A change passes each link once in either direction at most.
#[test]
fn a_change_is_no_storm_in_a_full_mesh() {
    let mut network = Network::new(6);
    (0..6).for_each(|a| (0..a).for_each(|b| network.join(a, b)));
    network.run();
    network.sent = 0;
    network.subscribe(0, "a", 1);
    network.run();
    network.check();
    assert!(network.sent <= 30, "{}", network.sent);
}

#[test]
fn rings_are_told_when_they_come_and_go() {
    let mut network = Network::new(4);
    (0..3).for_each(|at| network.join(at, at + 1));
    network.join(3, 0);
    network.run();
    network.cut(1, 2);
    network.run();
    for server in &network.servers {
        let sizes: Vec<_> = server.rings.iter().map(Vec::len).collect();
        assert_eq!(sizes, [4, 0]);
    }
}

#[test]
fn who_is_not_reached_is_forgotten_after_a_minute() {
    let mut network = Network::new(3);
    network.join(0, 1);
    network.join(1, 2);
    network.subscribe(2, "a", 1);
    network.run();
    network.cut(1, 2);
    network.run();
    network.check();
    let gone = network.node(2);
    let dag = &mut network.servers[0].dag;
    assert_eq!(dag.poll_timeout(), Some(FORGET));
    dag.handle_timeout(FORGET - Duration::from_millis(1));
    assert!(dag.record(gone).is_some() && dag.log(gone).is_some());
    dag.handle_timeout(FORGET);
    assert!(dag.record(gone).is_none() && dag.log(gone).is_none() && dag.poll_timeout().is_none());
    network.join(0, 2);
    network.run();
    network.check();
}

#[test]
fn what_was_missed_is_asked_for_once() {
    let mut network = Network::new(2);
    network.join(0, 1);
    network.run();
    let link = network.link(1, 0).expect("joined");
    // Lost by the network, which a link does not do.
    for subject in ["a", "b"] {
        network.subscribe(0, subject, 1);
        network.wires.values_mut().for_each(|(_, queue)| queue.clear());
    }
    network.sent = 0;
    network.subscribe(0, "c", 1);
    network.subscribe(0, "d", 1);
    network.run();
    network.check();
    assert_eq!(network.sent, 4, "two changes, a question, an answer");
    assert!(network.servers[1].dag.asked.is_empty() && network.servers[1].dag.links.values().any(|it| *it == link));
}

#[test]
fn lists_are_what_was_announced() {
    let mut dag = Dag::new("S0", "S0");
    let link = LinkId(1);
    dag.handle_link_up(link, "S1", Duration::ZERO);
    let entry = wire::Op::Entry(Interest { origin: None, account: Some(b"A"), subject: b"a", queue: None, weight: 1 });
    let mut handle = |op| dag.handle(link, &op, Duration::ZERO);
    assert_eq!(handle(entry), Err(Violation::List));
    assert_eq!(handle(wire::Op::All { origin: Node(5), number: 1, count: 1 }), Ok(()));
    assert_eq!(handle(wire::Op::Ask(Node(5))), Err(Violation::List));
    assert_eq!(handle(entry), Ok(()));
    assert_eq!(handle(wire::Op::Ask(Node(5))), Ok(()));
    assert_eq!(dag.log(Node(5)).map(Log::len), Some(1));
}

#[test]
fn nobody_speaks_for_this_server() {
    let mut dag = Dag::new("S0", "");
    dag.handle_link_up(LinkId(1), "S1", Duration::ZERO);
    let own = dag.own();
    assert_eq!(dag.record(own).map(|record| &*record.name), Some("?"));
    let before = dag.record(own).cloned();
    let interest = Interest { origin: None, account: Some(b"A"), subject: b"a", queue: None, weight: 1 };
    let mut line = Vec::new();
    wire::write_record(&mut line, own, &Record { version: 99, name: "x".into(), neighbours: BTreeSet::new() });
    wire::write_change(&mut line, own, 1, &interest);
    wire::write_all(&mut line, own, 9, 0);
    let mut rest = &line[..];
    while let Ok(Read::Op(lines::Op::Dag(op), taken)) = Reader::default().read(rest) {
        assert_eq!(dag.handle(LinkId(1), &op, Duration::ZERO), Ok(()));
        rest = &rest[taken..];
    }
    assert!(rest.is_empty());
    assert_eq!((dag.record(own).cloned(), dag.log(own).map(Log::len)), (before, Some(0)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever comes and goes, and in whatever order it is heard of: in the end all know what there is.
    #[test]
    fn all_agree_when_it_is_quiet(
        count in 2usize..7,
        acts in proptest::collection::vec((0u8..10, 0usize..7, 0usize..7, any::<usize>()), 1..80),
    ) {
        let mut network = Network::new(count);
        for (act, a, b, choose) in acts {
            let (a, b) = (a % count, b % count);
            network.now += Duration::from_millis(10);
            match act {
                0..3 => network.join(a, b),
                3 => network.cut(a, b),
                4..6 => network.subscribe(a, ["a", "b", "c"][choose % 3], choose as u32 % 3),
                _ => for step in 0..b {
                    network.step(choose.wrapping_add(step));
                },
            }
        }
        network.run();
        network.check();
    }
}
