//! A network with a delay and a jumping clock, on which servers dial each other.

use std::collections::BTreeMap;

use super::*;
use crate::route::dedicated::Dedicated;

const DELAY: Duration = Duration::from_millis(5);

/// Something that reaches a server.
enum Arrival {
    Dialled {
        dial: Dial,
    },
    /// The acceptor's `INFO` reaches the dialer.
    Banner {
        wire: u64,
    },
    /// The dialer's `CONNECT` and `INFO` reach the acceptor.
    Hello {
        wire: u64,
        info: RouteInfo,
    },
    /// The acceptor's first `PONG` reaches the dialer.
    Pong {
        wire: u64,
    },
    Info {
        wire: u64,
        info: RouteInfo,
    },
    Closed {
        wire: u64,
    },
}

pub(super) struct Wire {
    pub(super) dialer: usize,
    pub(super) acceptor: usize,
    dial: DialId,
    slot: Slot,
    gossip_mode: GossipMode,
}

#[derive(Default)]
pub(super) struct Network {
    pub(super) now: Duration,
    pub(super) servers: Vec<Server>,
    pub(super) wires: BTreeMap<u64, Wire>,
    queue: BTreeMap<(Duration, u64), (usize, Arrival)>,
    counter: u64,
}

pub(super) struct Server {
    pub(super) cluster: Cluster,
    pub(super) seeds: Vec<usize>,
    pub(super) up: bool,
}

pub(super) fn info(server: usize, generation: u64) -> RouteInfo {
    RouteInfo {
        server_id: format!("N{server}-{generation}"),
        server_name: format!("s{server}"),
        host: "127.0.0.1".into(),
        port: server as u16 + 1,
        cluster: "c".into(),
        connect_urls: vec![format!("127.0.0.1:{}", 4000 + server)],
        natsd: "0.1.0".into(),
        ..RouteInfo::default()
    }
}

pub(super) fn config(info: RouteInfo, routes: usize) -> Config {
    Config {
        seed: u64::from(info.port),
        info,
        routes,
        pool_size: Some(3),
        dedicated: Dedicated::new(Vec::new(), Some("$SYS".into()), false),
        classes: Vec::new(),
        shared: vec!["$G".into()],
        advertise: true,
        connect_retries: 0,
        connect_backoff: false,
        passive: false,
        dag: false,
    }
}

impl Network {
    /// One server a list of the servers that it has routes to.
    pub(super) fn new(seeds: &[&[usize]]) -> Self {
        Self::with(seeds, |_| {})
    }

    pub(super) fn with(seeds: &[&[usize]], change: impl Fn(&mut Config)) -> Self {
        let mut network = Self::default();
        for (server, seeds) in seeds.iter().enumerate() {
            let mut config = config(info(server, 0), seeds.len());
            change(&mut config);
            let cluster = Cluster::new(config, Duration::ZERO);
            network.servers.push(Server { cluster, seeds: seeds.to_vec(), up: true });
        }
        network
    }

    fn send(&mut self, to: usize, delay: Duration, arrival: Arrival) {
        self.counter += 1;
        self.queue.insert((self.now + delay, self.counter), (to, arrival));
    }

    pub(super) fn run(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            for server in 0..self.servers.len() {
                self.settle(server);
            }
            let arrival = self.queue.keys().next().map(|&(at, _)| at);
            let timer =
                self.servers.iter().filter(|server| server.up).filter_map(|server| server.cluster.poll_timeout());
            match timer.chain(arrival).min() {
                Some(next) if next <= end => self.now = self.now.max(next),
                _ => break,
            }
            while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (to, arrival) = entry.remove();
                self.arrive(to, arrival);
            }
        }
        self.now = end;
    }

    /// Does what `server` asks for.
    fn settle(&mut self, server: usize) {
        if !self.servers[server].up {
            return;
        }
        while let Some(event) = self.servers[server].cluster.poll_event() {
            self.obey(server, event);
        }
        while let Some(dial) = self.servers[server].cluster.poll_dial(self.now) {
            let to = match &dial.place {
                Place::Configured(route) => self.servers[server].seeds[*route],
                Place::Told(urls) => port(&urls[0]) - 1,
            };
            if self.servers[to].up {
                self.counter += 1;
                let (wire, slot, gossip_mode) = (self.counter, dial.slot.clone(), dial.gossip_mode);
                self.wires.insert(wire, Wire { dialer: server, acceptor: to, dial: dial.id, slot, gossip_mode });
                self.send(server, DELAY * 2, Arrival::Banner { wire });
            } else {
                self.send(server, DELAY, Arrival::Dialled { dial });
            }
        }
    }

    fn obey(&mut self, server: usize, event: Event) {
        match event {
            Event::Greet(LinkId(wire)) => {
                let Some(link) = self.wires.get(&wire) else { return };
                let mut info = self.servers[server].cluster.info().clone();
                if let Slot::Pool(index) = link.slot {
                    info.route_pool_idx = index;
                }
                info.gossip_mode = link.gossip_mode.into();
                let to = link.acceptor;
                self.send(to, DELAY, Arrival::Hello { wire, info });
            }
            Event::Open(LinkId(wire)) => {
                if let Some(link) = self.wires.get(&wire).filter(|link| link.acceptor == server) {
                    self.send(link.dialer, DELAY, Arrival::Pong { wire });
                }
            }
            Event::Close(LinkId(wire), ..) => self.close(server, wire),
            Event::Tell(LinkId(wire), info) => {
                let Some(link) = self.wires.get(&wire) else { return };
                let to = if link.dialer == server { link.acceptor } else { link.dialer };
                self.send(to, DELAY, Arrival::Info { wire, info: *info });
            }
            Event::Probe(_) | Event::UrlsChanged | Event::Renamed | Event::RouteToSelf(_) => {}
        }
    }

    fn close(&mut self, server: usize, wire: u64) {
        let Some(link) = self.wires.remove(&wire) else { return };
        let other = if link.dialer == server { link.acceptor } else { link.dialer };
        self.servers[server].cluster.handle_closed(LinkId(wire), self.now);
        self.send(other, DELAY, Arrival::Closed { wire });
    }

    fn arrive(&mut self, server: usize, arrival: Arrival) {
        let now = self.now;
        if !self.servers[server].up {
            return;
        }
        let introduce = |info: RouteInfo, slot: Slot, solicited| Introduction { info, slot, solicited };
        match arrival {
            Arrival::Dialled { dial } => self.servers[server].cluster.handle_dial_failed(dial.id, false, now),
            Arrival::Banner { wire } => {
                let Some(link) = self.wires.get(&wire) else { return };
                let peer = introduce(self.servers[link.acceptor].cluster.info().clone(), link.slot.clone(), true);
                let dial = Some(link.dial);
                self.servers[server].cluster.handle_introduction(LinkId(wire), dial, peer, Some("127.0.0.1"), now);
            }
            Arrival::Hello { wire, info } => {
                let Some(link) = self.wires.get(&wire) else { return };
                let peer = introduce(info, link.slot.clone(), false);
                self.servers[server].cluster.handle_introduction(LinkId(wire), None, peer, Some("127.0.0.1"), now);
            }
            Arrival::Pong { wire } if self.wires.contains_key(&wire) => {
                self.servers[server].cluster.handle_confirmed(LinkId(wire), now);
            }
            Arrival::Info { wire, info } if self.wires.contains_key(&wire) => {
                let cluster = &mut self.servers[server].cluster;
                let peer = cluster.find(LinkId(wire)).map(|(id, _)| id);
                if peer.as_ref() == Some(&info.server_id) {
                    cluster.handle_update(LinkId(wire), info);
                } else {
                    cluster.handle_gossip(&info, now);
                }
            }
            Arrival::Pong { .. } | Arrival::Info { .. } => {}
            Arrival::Closed { wire } => self.servers[server].cluster.handle_closed(LinkId(wire), now),
        }
    }

    /// Ends a server as a kill does.
    pub(super) fn kill(&mut self, server: usize) {
        let of_server = |wire: &Wire| wire.dialer == server || wire.acceptor == server;
        let wires: Vec<_> = self.wires.iter().filter(|(_, wire)| of_server(wire)).map(|(&id, _)| id).collect();
        for wire in wires {
            self.close(server, wire);
        }
        self.servers[server].up = false;
    }

    pub(super) fn restart(&mut self, server: usize) {
        let routes = self.servers[server].seeds.len();
        self.servers[server].cluster = Cluster::new(config(info(server, 1), routes), self.now);
        self.servers[server].up = true;
    }

    /// For each pair of servers that are up, the slots connected as both ends see it.
    pub(super) fn assert_full_mesh(&self) {
        for (a, server) in self.servers.iter().enumerate().filter(|(_, server)| server.up) {
            for (b, other) in self.servers.iter().enumerate().filter(|&(b, other)| b != a && other.up) {
                let seen = server.cluster.peers.get(&other.cluster.info.server_id);
                let slots: Vec<_> = seen.iter().flat_map(|peer| peer.links.keys().cloned()).collect();
                assert_eq!(slots, [Slot::Pool(0), Slot::Pool(1), Slot::Pool(2)], "s{a} to s{b} at {:?}", self.now);
            }
        }
        let up = self.servers.iter().filter(|server| server.up).count();
        assert_eq!(self.wires.len(), up * (up - 1) / 2 * 3, "no connection is left over");
    }
}

pub(super) fn port(url: &str) -> usize {
    url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}
