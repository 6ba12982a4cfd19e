//! The routers and links of a whole network as one state machine.
//!
//! Sans-IO, see [`StateMachine`]: datagrams of hosts go in and datagrams to hosts come out. A test runs it with a clock
//! that jumps.

use std::{
    collections::{HashMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use sciparse::dataplane_path::standard::mac::ForwardingKey;

use crate::{
    addresses::AsAddresses,
    description::{Interface, Network},
    link::{Cut, Traffic},
    links::{Links, Way},
    mover::{MAX_PACKET, Now, StateMachine, Transmit},
    router::{Router, Verdict},
    scmp,
};

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

/// See the module's documentation. Its socket n is the internal side of the router of AS n.
#[derive(Debug)]
pub struct Fabric {
    routers: Vec<Router>,
    running: Vec<bool>,
    links: Links,
    ends: Vec<[Interface; 2]>,
    sessions: Vec<Session>,
    link_at: HashMap<Interface, (usize, usize)>,
    transmits: VecDeque<Transmit>,
    keep_alive: KeepAlive,
}

/// What the keep-alives of a link make its two routers believe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Session {
    Up,
    Failing { down_at: Instant },
    Down,
    Recovering { up_at: Instant },
}

#[derive(Debug, Clone, Copy)]
enum Origin {
    Host(SocketAddr),
    Link(u16),
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
        let link_at = network.links.iter().enumerate().flat_map(|(l, link)| {
            let side = |s: usize| (link.ends[s], (l, s));
            [side(0), side(1)]
        });
        Self {
            routers: routers.collect(),
            running: vec![true; network.ases.len()],
            links: Links::new(network, seed),
            ends: network.links.iter().map(|link| link.ends).collect(),
            sessions: vec![Session::Up; network.links.len()],
            link_at: link_at.collect(),
            transmits: VecDeque::new(),
            keep_alive,
        }
    }

    /// The links.
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// The links, to change how they behave.
    pub fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }

    /// Cuts the given directions of a link, or mends them with `None`.
    pub fn set_cut(&mut self, link: usize, ways: &[Way], cut: Option<Cut>, now: Instant) {
        self.links.set_cut(link, ways, cut);
        self.update_session(link, now);
    }

    /// Starts or stops the router of an AS. The neighbours of a stopped one notice by their keep-alives.
    pub fn set_running(&mut self, as_index: usize, running: bool, now: Instant) {
        self.running[as_index] = running;
        for link in 0..self.ends.len() {
            self.update_session(link, now);
        }
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
            self.link_at
                .get(&Interface { as_index, id })
                .is_some_and(|(link, _)| self.sessions[*link].is_up(now.instant))
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
        self.transmits.push_back(Transmit { socket: as_index, to, packet });
    }

    fn send(&mut self, from: Interface, packet: Vec<u8>, now: Instant) {
        if let Some(&(link, side)) = self.link_at.get(&from) {
            self.links.send(link, side, Traffic::Data, packet, now);
        }
    }

    fn update_session(&mut self, link: usize, now: Instant) {
        let alive = self.ends[link].iter().all(|end| self.running[end.as_index]) && !self.links.cable_cut(link);
        self.sessions[link] = match (self.sessions[link].at(now), alive) {
            (Session::Up, false) => Session::Failing { down_at: now + self.keep_alive.detection },
            (Session::Failing { .. }, true) => Session::Up,
            (Session::Down, true) => Session::Recovering { up_at: now + self.keep_alive.recovery },
            (Session::Recovering { .. }, false) => Session::Down,
            (session, _) => session,
        };
    }
}

impl StateMachine for Fabric {
    fn handle_datagram(&mut self, as_index: usize, from: SocketAddr, packet: Vec<u8>, now: Now) {
        self.route(as_index, Origin::Host(from), packet, now);
        self.handle_timeout(now);
    }

    fn handle_timeout(&mut self, now: Now) {
        while let Some((link, side, packet)) = self.links.arrival(now.instant) {
            let end = self.ends[link][side];
            self.route(end.as_index, Origin::Link(end.id), packet, now);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.links.poll_timeout()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
}

impl Session {
    fn at(self, now: Instant) -> Self {
        match self {
            Self::Failing { down_at } if down_at <= now => Self::Down,
            Self::Recovering { up_at } if up_at <= now => Self::Up,
            session => session,
        }
    }

    fn is_up(self, now: Instant) -> bool {
        matches!(self.at(now), Self::Up | Self::Failing { .. })
    }
}
