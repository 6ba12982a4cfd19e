//! Clusters whose servers are not all connected with each other: what one has to say goes over several hops, by whatever way is
//! the shortest.
//!
//! Each server tells all others, by way of its neighbours, who these are ([`graph`]) and what is subscribed to at it
//! ([`interest`]), and passes on what others tell that it did not know yet. So all know the whole graph and all interest. The server
//! where a message is published names those that get it; each hop sends one copy to each neighbour that some of them are reached by, with
//! their names alone. So every one of them is named in exactly one copy, whatever the graph looks like: nothing has to be remembered to
//! avoid duplicates, and links beyond those of a tree are spares.
//!
//! [`Dag`] is one server's part of that. In: links that come and go, lines, changes of its own interest. Out: [`Dag::poll_event`], to
//! be asked after anything went in. [`wire`] has the lines.

mod assembly;
pub mod graph;
pub mod interest;
#[cfg(test)]
mod tests;
pub mod wire;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::LinkId;
use super::wire::Interest;
use assembly::Assembly;
use graph::{Graph, Record};
use interest::{Key, Log};

/// Servers of a cluster; more are not heeded.
pub const MAX_SERVERS: usize = 1024;
/// Servers that one server may have links to.
pub const MAX_NEIGHBOURS: usize = 1024;
/// Servers that one copy of a message is for.
pub const MAX_STOPS: usize = 1024;
/// Hops of a message, which end what circles while servers do not agree on the graph yet.
pub const MAX_HOPS: u8 = 32;
/// Interests of all servers together.
pub const MAX_INTERESTS: usize = 16 << 20;
/// What a server that is not reached any more has told is forgotten after this.
pub const FORGET: Duration = Duration::from_secs(60);

/// Names a server: a hash of its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node(pub u64);

impl Node {
    /// That of the server of this id: FNV-1a.
    pub fn of(server_id: &str) -> Self {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(server_id.bytes().fold(0xcbf2_9ce4_8422_2325, step))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a neighbour does that no server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A list that ends early, or an entry outside of one.
    #[error("a list of interests is not what was announced")]
    List,
    /// More than [`MAX_INTERESTS`].
    #[error("more than {MAX_INTERESTS} interests")]
    TooMany,
}

/// What the owner of a [`Dag`] has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Send this to this neighbour. All that is sent to one has to stay in order.
    Send(LinkId, Arc<[u8]>),
    /// The server is reached by this link from now on, or is not reached any more. What is known of its interest follows.
    Way(Node, Option<LinkId>),
    /// A server has so many members interested, 1 where it is no queue group, or none any more. It is one that is reached.
    Interest(Node, Arc<Key>, u32),
    /// These servers form a ring, or, if there are none, nobody does any more.
    Ring(Vec<Node>),
}

/// What one server knows of the others, and tells them.
#[derive(Debug)]
pub struct Dag {
    own: Node,
    graph: Graph,
    links: BTreeMap<Node, LinkId>,
    /// Of this server as well.
    logs: BTreeMap<Node, Log>,
    /// Interests in `logs`.
    interests: usize,
    /// What was asked for and has not come yet.
    asked: BTreeSet<(LinkId, Node)>,
    /// Lists that are coming.
    assemblies: BTreeMap<LinkId, Assembly>,
    /// How others are reached: by which neighbour.
    ways: BTreeMap<Node, Node>,
    /// Since when others are not.
    lost: BTreeMap<Node, Duration>,
    ring: Vec<Node>,
    events: VecDeque<Event>,
}

impl Dag {
    /// Of the server of this id, which has no neighbours and no interest yet. Of a longer name only the beginning is told.
    pub fn new(server_id: &str, name: &str) -> Self {
        let own = Node::of(server_id);
        let end = (0..=name.len().min(wire::MAX_NAME)).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
        let name = if end == 0 { "?" } else { &name[..end] };
        let mut graph = Graph::default();
        graph.offer(own, Record { version: 1, name: name.into(), neighbours: BTreeSet::new() });
        Self {
            own,
            graph,
            links: BTreeMap::new(),
            logs: BTreeMap::from([(own, Log::default())]),
            interests: 0,
            asked: BTreeSet::new(),
            assemblies: BTreeMap::new(),
            ways: BTreeMap::new(),
            lost: BTreeMap::new(),
            ring: Vec::new(),
            events: VecDeque::new(),
        }
    }

    /// This server.
    pub fn own(&self) -> Node {
        self.own
    }

    /// What is known of a server's links.
    pub fn record(&self, node: Node) -> Option<&Record> {
        self.graph.get(node)
    }

    /// What is known of a server's interest.
    pub fn log(&self, node: Node) -> Option<&Log> {
        self.logs.get(&node)
    }

    /// The neighbour by which another server is reached.
    pub fn way(&self, node: Node) -> Option<Node> {
        self.ways.get(&node).copied()
    }

    /// Servers around a cycle of the graph, in order; empty if there is none.
    pub fn ring(&self) -> &[Node] {
        &self.ring
    }

    /// What to do next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.lost.values().min().map(|&since| since + FORGET)
    }

    /// Forgets who was not reached for long.
    pub fn handle_timeout(&mut self, now: Duration) {
        let gone: Vec<_> = self.lost.iter().filter(|(_, since)| **since + FORGET <= now).map(|(&it, _)| it).collect();
        for node in gone {
            self.lost.remove(&node);
            self.graph.remove(node);
            self.interests -= self.logs.remove(&node).map_or(0, |log| log.len());
        }
    }

    /// There is a link to the server of this id: it is told all that is known. A link to it that there was counts no more.
    pub fn handle_link_up(&mut self, link: LinkId, server_id: &str, now: Duration) {
        let node = Node::of(server_id);
        if node == self.own {
            return;
        }
        if let Some(before) = self.links.insert(node, link) {
            self.forget_link(before);
        }
        self.change_neighbours();
        self.tell_all(link);
        self.find_ways(now);
    }

    /// A link is gone.
    pub fn handle_link_down(&mut self, link: LinkId, now: Duration) {
        self.forget_link(link);
        let before = self.links.len();
        self.links.retain(|_, known| *known != link);
        if self.links.len() != before {
            self.change_neighbours();
            self.find_ways(now);
        }
    }

    fn forget_link(&mut self, link: LinkId) {
        self.asked.retain(|(by, _)| *by != link);
        self.assemblies.remove(&link);
    }

    /// So many are interested here, 1 where it is no queue group, or 0: nobody any more.
    pub fn handle_own(&mut self, interest: &Interest<'_>) {
        let Some(log) = self.logs.get_mut(&self.own) else { return };
        let before = log.len();
        if log.set(Key::of(interest), interest.weight).is_some() {
            log.number += 1;
            let (own, number) = (self.own, log.number);
            self.interests = self.interests + log.len() - before;
            self.flood(None, |out| wire::write_change(out, own, number, interest));
        }
    }

    /// A line came over a link; not a message.
    pub fn handle(&mut self, link: LinkId, op: &wire::Op<'_>, now: Duration) -> Result<(), Violation> {
        if !self.links.values().any(|known| *known == link) {
            return Ok(());
        }
        if !matches!(op, wire::Op::Entry(_) | wire::Op::Message(_)) && self.assemblies.contains_key(&link) {
            return Err(Violation::List);
        }
        match op {
            wire::Op::Record(record) => self.take_record(link, record, now),
            wire::Op::Change { origin, number, interest } => self.take_change(link, *origin, *number, interest)?,
            wire::Op::All { origin, number, count } => {
                let assembly = Assembly::new(*origin, *number, *count);
                self.assemblies.insert(link, assembly);
                self.complete(link, now)?;
            }
            wire::Op::Entry(interest) => {
                let taken: usize = self.assemblies.values().map(Assembly::len).sum();
                if taken + self.interests >= 2 * MAX_INTERESTS {
                    return Err(Violation::TooMany);
                }
                self.assemblies.get_mut(&link).ok_or(Violation::List)?.add(interest);
                self.complete(link, now)?;
            }
            wire::Op::Ask(node) => self.tell_log(link, *node),
            wire::Op::Message(_) => {}
        }
        Ok(())
    }

    fn take_record(&mut self, link: LinkId, said: &wire::Record<'_>, now: Duration) {
        let node = said.node;
        let known = self.graph.get(node).map(|record| record.version);
        if node == self.own
            || known.is_some_and(|known| known >= said.version)
            || (known.is_none() && self.graph.len() >= MAX_SERVERS)
        {
            return;
        }
        let name = String::from_utf8_lossy(said.name).into();
        let record = Record { version: said.version, name, neighbours: said.neighbours().collect() };
        self.flood(Some(link), |out| wire::write_record(out, node, &record));
        self.graph.offer(node, record);
        self.find_ways(now);
    }

    fn take_change(
        &mut self,
        link: LinkId,
        origin: Node,
        number: u64,
        interest: &Interest<'_>,
    ) -> Result<(), Violation> {
        if origin == self.own {
            return Ok(());
        }
        let (total, own) = (self.interests, self.logs.get_mut(&origin));
        let Some(log) = own.filter(|log| number <= log.number + 1) else {
            self.ask(link, origin);
            return Ok(());
        };
        if number <= log.number {
            return Ok(());
        }
        log.number = number;
        let before = log.len();
        let changed = log.set(Key::of(interest), interest.weight);
        self.interests = total + log.len() - before;
        self.flood(Some(link), |out| wire::write_change(out, origin, number, interest));
        if let Some(key) = changed.filter(|_| self.ways.contains_key(&origin)) {
            self.events.push_back(Event::Interest(origin, key, interest.weight));
        }
        if self.interests > MAX_INTERESTS { Err(Violation::TooMany) } else { Ok(()) }
    }

    /// Changes were missed: asks for all there is, once.
    fn ask(&mut self, link: LinkId, origin: Node) {
        if self.asked.len() < MAX_SERVERS * 4 && self.asked.insert((link, origin)) {
            let mut line = Vec::new();
            wire::write_ask(&mut line, origin);
            self.events.push_back(Event::Send(link, line.into()));
        }
    }

    /// A list may be whole now.
    fn complete(&mut self, link: LinkId, now: Duration) -> Result<(), Violation> {
        let Some(assembly) = self.assemblies.remove(&link) else { return Ok(()) };
        if !assembly.is_whole() {
            self.assemblies.insert(link, assembly);
            return Ok(());
        }
        let (origin, log) = assembly.finish();
        self.asked.remove(&(link, origin));
        let known = self.logs.get(&origin).map(|known| known.number);
        if origin == self.own
            || known.is_some_and(|known| known >= log.number)
            || (known.is_none() && self.logs.len() >= MAX_SERVERS)
        {
            return Ok(());
        }
        self.flood(Some(link), |out| write_log(out, origin, &log));
        let before = self.logs.insert(origin, log).unwrap_or_default();
        let after = &self.logs[&origin];
        self.interests = self.interests + after.len() - before.len();
        if self.ways.contains_key(&origin) {
            let changes = before.changes_to(after);
            self.events.extend(changes.into_iter().map(|(key, members)| Event::Interest(origin, key, members)));
        } else {
            self.lost.entry(origin).or_insert(now);
        }
        if self.interests > MAX_INTERESTS { Err(Violation::TooMany) } else { Ok(()) }
    }

    /// All neighbours but one are told.
    fn flood(&mut self, but: Option<LinkId>, write: impl FnOnce(&mut Vec<u8>)) {
        let mut to = self.links.values().copied().filter(|link| Some(*link) != but).peekable();
        if to.peek().is_some() {
            let mut line = Vec::new();
            write(&mut line);
            let line: Arc<[u8]> = line.into();
            self.events.extend(to.map(|link| Event::Send(link, line.clone())));
        }
    }

    /// A new neighbour is told of all servers and of what they are interested in.
    fn tell_all(&mut self, link: LinkId) {
        let mut lines = Vec::new();
        self.graph.records().for_each(|(node, record)| wire::write_record(&mut lines, node, record));
        self.logs.iter().for_each(|(&node, log)| write_log(&mut lines, node, log));
        self.events.push_back(Event::Send(link, lines.into()));
    }

    fn tell_log(&mut self, link: LinkId, node: Node) {
        if let Some(log) = self.logs.get(&node) {
            let mut lines = Vec::new();
            write_log(&mut lines, node, log);
            self.events.push_back(Event::Send(link, lines.into()));
        }
    }

    fn change_neighbours(&mut self) {
        let Some(record) = self.graph.get(self.own) else { return };
        let neighbours = self.links.keys().copied().take(MAX_NEIGHBOURS).collect();
        let record = Record { version: record.version + 1, name: record.name.clone(), neighbours };
        let own = self.own;
        self.flood(None, |out| wire::write_record(out, own, &record));
        self.graph.offer(own, record);
    }

    /// The graph has changed.
    fn find_ways(&mut self, now: Duration) {
        let ways = self.graph.next_hops(self.own);
        let before = std::mem::replace(&mut self.ways, ways);
        for &node in before.keys().filter(|node| !self.ways.contains_key(node)) {
            self.events.push_back(Event::Way(node, None));
            self.lost.entry(node).or_insert(now);
        }
        for (&node, by) in &self.ways {
            self.lost.remove(&node);
            let link = self.links.get(by).copied();
            let known = before.get(&node);
            // The link to a neighbour may be another one.
            self.events.push_back(Event::Way(node, link));
            if known.is_none() {
                let log = self.logs.get(&node).into_iter().flat_map(Log::entries);
                let all = log.map(|(key, members)| Event::Interest(node, key.clone(), members));
                self.events.extend(all);
            }
        }
        for (node, _) in self.graph.records() {
            if node != self.own && !self.ways.contains_key(&node) {
                self.lost.entry(node).or_insert(now);
            }
        }
        let ring = self.graph.ring(self.own);
        if ring != self.ring {
            self.ring.clone_from(&ring);
            self.events.push_back(Event::Ring(ring));
        }
    }
}

fn write_log(out: &mut Vec<u8>, node: Node, log: &Log) {
    wire::write_all(out, node, log.number, log.len());
    log.entries().for_each(|(key, members)| wire::write_entry(out, &key.with(members)));
}
