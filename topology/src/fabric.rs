//! The routers and links of a whole network as one state machine.
//!
//! Sans-IO: datagrams of hosts go in by [`Fabric::handle_datagram`], time passes by [`Fabric::handle_timeout`], datagrams
//! to hosts come out of [`Fabric::poll_transmit`]. A test runs it with a clock that jumps.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use sciparse::dataplane_path::standard::mac::ForwardingKey;

use crate::{
    addresses::AsAddresses,
    description::{Interface, Network},
    link::{Cut, Direction, LinkChange, LinkCounters, LinkParams},
    router::{Router, Verdict},
    scmp,
};

/// Routers do not forward longer packets; the rest of a longer one is cut off when it is read.
pub const MAX_PACKET: usize = 8988;

/// How fast routers learn from keep-alives (BFD) that a link failed or works again.
#[derive(Debug, Clone, Copy)]
pub struct KeepAlive {
    /// From the failure to the first SCMP answer.
    pub detection: Duration,
    /// From the repair to the first packet forwarded.
    pub recovery: Duration,
}

impl Default for KeepAlive {
    /// As the reference routers with BFD at 200 ms.
    fn default() -> Self {
        Self { detection: Duration::from_millis(500), recovery: Duration::from_millis(300) }
    }
}

/// The two clocks a router looks at.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For delays.
    pub instant: Instant,
    /// For the expiry of hop fields, seconds since 1970.
    pub unix: u64,
}

/// A datagram for a host.
#[derive(Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The AS whose router sends it.
    pub as_index: usize,
    /// The host.
    pub to: SocketAddr,
    /// SCION packet.
    pub packet: Vec<u8>,
}

/// A direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From end `a` to end `b`.
    Ab,
    /// From end `b` to end `a`.
    Ba,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Fabric {
    routers: Vec<Router>,
    running: Vec<bool>,
    links: Vec<Link>,
    link_at: HashMap<Interface, (usize, usize)>,
    arrivals: BinaryHeap<Reverse<Arrival>>,
    sequence: u64,
    transmits: VecDeque<Transmit>,
    keep_alive: KeepAlive,
    rng: fastrand::Rng,
}

#[derive(Debug)]
struct Link {
    ends: [Interface; 2],
    /// Indexed by the sending side.
    directions: [Direction; 2],
    session: Session,
}

/// What the keep-alives of a link make its two routers believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Up,
    Failing { down_at: Instant },
    Down,
    Recovering { up_at: Instant },
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    due: Instant,
    sequence: u64,
    link: usize,
    side: usize,
    packet: Vec<u8>,
}

impl Fabric {
    /// A fabric with all links intact and all routers running. `keys` and `addresses` are in the order of the ASes.
    pub fn new(
        network: &Network,
        keys: &[ForwardingKey],
        addresses: &[AsAddresses],
        keep_alive: KeepAlive,
        seed: u64,
    ) -> Self {
        let routers = network.ases.iter().enumerate().map(|(i, autonomous_system)| {
            let relations = network.interfaces(i).map(|(id, link, side)| (id, network.links[link].relation(side)));
            Router::new(autonomous_system.ia, addresses[i].router, keys[i], relations.collect())
        });
        let links = network.links.iter().map(|link| {
            let direction = Direction::new(link.params, link.mtu);
            Link { ends: link.ends, directions: [direction.clone(), direction], session: Session::Up }
        });
        let link_at = network.links.iter().enumerate().flat_map(|(l, link)| {
            let side = |s: usize| (link.ends[s], (l, s));
            [side(0), side(1)]
        });
        Self {
            running: vec![true; network.ases.len()],
            routers: routers.collect(),
            links: links.collect(),
            link_at: link_at.collect(),
            arrivals: BinaryHeap::new(),
            sequence: 0,
            transmits: VecDeque::new(),
            keep_alive,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    /// A host of an AS sent a datagram to the router.
    pub fn handle_datagram(&mut self, as_index: usize, from: SocketAddr, packet: Vec<u8>, now: Now) {
        self.route(as_index, Origin::Host(from), packet, now);
        self.handle_timeout(now);
    }

    /// Lets all packets arrive that are due at `now`.
    pub fn handle_timeout(&mut self, now: Now) {
        while self.arrivals.peek().is_some_and(|Reverse(next)| next.due <= now.instant) {
            let Some(Reverse(arrival)) = self.arrivals.pop() else {
                return;
            };
            let link = &mut self.links[arrival.link];
            if link.directions[1 - arrival.side].arrive(arrival.packet.len()).is_ok() {
                let end = link.ends[arrival.side];
                self.route(end.as_index, Origin::Link(end.id), arrival.packet, now);
            }
        }
    }

    /// When [`Fabric::handle_timeout`] has something to do next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.arrivals.peek().map(|Reverse(next)| next.due)
    }

    /// The next datagram for a host.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// Cuts the given directions of a link, or mends them with `None`.
    pub fn set_cut(&mut self, link: usize, ways: &[Way], cut: Option<Cut>, now: Instant) {
        for way in ways {
            self.links[link].directions[*way as usize].set_cut(cut);
        }
        self.update_session(link, now);
    }

    /// Changes how the given directions of a link behave.
    pub fn change(&mut self, link: usize, ways: &[Way], change: &LinkChange) {
        for way in ways {
            self.links[link].directions[*way as usize].change(change);
        }
    }

    /// Starts or stops the router of an AS. The neighbours of a stopped one notice by their keep-alives.
    pub fn set_running(&mut self, as_index: usize, running: bool, now: Instant) {
        self.running[as_index] = running;
        for link in 0..self.links.len() {
            self.update_session(link, now);
        }
    }

    /// Parameters, cut and counters of a direction.
    pub fn direction(&self, link: usize, way: Way) -> (LinkParams, Option<Cut>, LinkCounters) {
        let direction = &self.links[link].directions[way as usize];
        (*direction.params(), direction.cut(), direction.counters())
    }

    fn route(&mut self, as_index: usize, origin: Origin, mut packet: Vec<u8>, now: Now) {
        if !self.running[as_index] {
            return;
        }
        packet.truncate(MAX_PACKET);
        let arrival = match origin {
            Origin::Host(_) => None,
            Origin::Link(id) => Some(id),
        };
        let up = |id: u16| {
            self.link_at.get(&Interface { as_index, id }).is_some_and(|(link, _)| self.links[*link].is_up(now.instant))
        };
        match self.routers[as_index].process(&mut packet, arrival, now.unix, up) {
            Verdict::Deliver(to) => self.transmit(as_index, to, packet),
            Verdict::Forward(id) => self.send(Interface { as_index, id }, packet, now.instant),
            Verdict::Discard(why) => {
                log::debug!("{}: packet dropped: {why}", self.routers[as_index].ia());
            }
            Verdict::Answer(answer) => {
                let router = &self.routers[as_index];
                log::debug!("{}: answer to a packet: {answer:?}", router.ia());
                if let Some(reply) = scmp::answer(router, &packet, arrival, answer) {
                    match origin {
                        Origin::Host(from) => self.transmit(as_index, from, reply),
                        Origin::Link(id) => {
                            self.send(Interface { as_index, id }, reply, now.instant);
                        }
                    }
                }
            }
        }
    }

    fn transmit(&mut self, as_index: usize, to: SocketAddr, packet: Vec<u8>) {
        self.transmits.push_back(Transmit { as_index, to, packet });
    }

    fn send(&mut self, from: Interface, packet: Vec<u8>, now: Instant) {
        let Some(&(link, side)) = self.link_at.get(&from) else {
            return;
        };
        let direction = &mut self.links[link].directions[side];
        if let Ok(due) = direction.admit(packet.len(), now, &mut self.rng) {
            self.sequence += 1;
            self.arrivals.push(Reverse(Arrival { due, sequence: self.sequence, link, side: 1 - side, packet }));
        }
    }

    fn update_session(&mut self, link: usize, now: Instant) {
        let link = &mut self.links[link];
        let alive = link.ends.iter().all(|end| self.running[end.as_index])
            && link.directions.iter().all(|d| d.cut() != Some(Cut::Cable));
        link.session = match (link.session_at(now), alive) {
            (Session::Up, false) => Session::Failing { down_at: now + self.keep_alive.detection },
            (Session::Failing { .. }, true) => Session::Up,
            (Session::Down, true) => Session::Recovering { up_at: now + self.keep_alive.recovery },
            (Session::Recovering { .. }, false) => Session::Down,
            (session, _) => session,
        };
    }
}

#[derive(Debug, Clone, Copy)]
enum Origin {
    Host(SocketAddr),
    Link(u16),
}

impl Link {
    fn session_at(&self, now: Instant) -> Session {
        match self.session {
            Session::Failing { down_at } if down_at <= now => Session::Down,
            Session::Recovering { up_at } if up_at <= now => Session::Up,
            session => session,
        }
    }

    fn is_up(&self, now: Instant) -> bool {
        matches!(self.session_at(now), Session::Up | Session::Failing { .. })
    }
}
