//! Whole clusters in one thread: servers dial each other over a network with a delay and a jumping clock.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

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

struct Wire {
    dialer: usize,
    acceptor: usize,
    dial: DialId,
    slot: Slot,
    gossip_mode: GossipMode,
}

#[derive(Default)]
struct Network {
    now: Duration,
    servers: Vec<Server>,
    wires: BTreeMap<u64, Wire>,
    queue: BTreeMap<(Duration, u64), (usize, Arrival)>,
    counter: u64,
}

struct Server {
    cluster: Cluster,
    seeds: Vec<usize>,
    up: bool,
}

fn info(server: usize, generation: u64) -> RouteInfo {
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

fn config(info: RouteInfo, routes: usize) -> Config {
    Config {
        seed: u64::from(info.port),
        info,
        routes,
        pool_size: Some(3),
        dedicated: vec!["$SYS".into()],
        shared: vec!["$G".into()],
        advertise: true,
        connect_retries: 0,
        connect_backoff: false,
    }
}

impl Network {
    /// One server a list of the servers that it has routes to.
    fn new(seeds: &[&[usize]]) -> Self {
        Self::with(seeds, |_| {})
    }

    fn with(seeds: &[&[usize]], change: impl Fn(&mut Config)) -> Self {
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

    fn run(&mut self, length: Duration) {
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
    fn kill(&mut self, server: usize) {
        let of_server = |wire: &Wire| wire.dialer == server || wire.acceptor == server;
        let wires: Vec<_> = self.wires.iter().filter(|(_, wire)| of_server(wire)).map(|(&id, _)| id).collect();
        for wire in wires {
            self.close(server, wire);
        }
        self.servers[server].up = false;
    }

    fn restart(&mut self, server: usize) {
        let routes = self.servers[server].seeds.len();
        self.servers[server].cluster = Cluster::new(config(info(server, 1), routes), self.now);
        self.servers[server].up = true;
    }

    /// For each pair of servers that are up, the slots connected as both ends see it.
    fn assert_full_mesh(&self) {
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

fn port(url: &str) -> usize {
    url.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port")
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn one_seed_is_enough_for_a_full_mesh() {
    let mut network = Network::new(&[&[], &[0], &[0], &[0]]);
    network.run(secs(1));
    network.assert_full_mesh();
}

#[test]
fn servers_that_dial_each_other_at_once_keep_one_connection_a_slot() {
    let mut network = Network::new(&[&[1], &[0]]);
    network.run(Duration::from_millis(500));
    network.assert_full_mesh();
}

#[test]
fn two_clusters_become_one_when_a_route_joins_them() {
    let mut network = Network::new(&[&[], &[0], &[], &[2], &[0, 2]]);
    network.servers[4].up = false;
    network.run(secs(1));
    network.restart(4);
    network.run(secs(1));
    network.assert_full_mesh();
}

#[test]
fn a_killed_server_is_back_within_two_seconds() {
    let mut network = Network::new(&[&[], &[0], &[0]]);
    network.run(secs(3));
    network.kill(0);
    network.run(secs(5));
    network.restart(0);
    network.run(Duration::from_millis(1900));
    network.assert_full_mesh();
}

#[test]
fn clients_hear_of_the_servers_that_are_there() {
    let mut network = Network::new(&[&[], &[0], &[0]]);
    network.run(secs(1));
    assert_eq!(network.servers[0].cluster.client_urls().plain, ["127.0.0.1:4001", "127.0.0.1:4002"]);
    network.servers[1].cluster.enter_lame_duck();
    network.run(secs(1));
    assert_eq!(network.servers[0].cluster.client_urls().plain, ["127.0.0.1:4002"]);
    network.kill(2);
    network.run(secs(1));
    assert!(network.servers[0].cluster.client_urls().plain.is_empty());
}

#[test]
fn clients_hear_nothing_when_that_is_not_wanted() {
    let mut network = Network::with(&[&[], &[0]], |config| config.advertise = false);
    network.run(secs(1));
    assert!(network.servers[0].cluster.client_urls().plain.is_empty());
    assert!(network.servers[0].cluster.info().connect_urls.is_empty());
}

#[test]
fn a_route_to_oneself_is_given_up() {
    let mut network = Network::new(&[&[0]]);
    network.run(secs(10));
    assert!(network.wires.is_empty());
    assert_eq!(network.servers[0].cluster.poll_timeout(), None);
}

#[test]
fn a_route_that_is_removed_ends_and_one_that_is_added_begins() {
    let mut network = Network::new(&[&[], &[0], &[]]);
    network.run(secs(2));
    let now = network.now;
    let peers = |network: &Network| network.servers.iter().map(|s| s.cluster.peer_count()).collect::<Vec<_>>();
    assert_eq!(peers(&network), [1, 1, 0]);
    network.servers[1].cluster.remove_route(0, now);
    network.run(secs(60));
    assert_eq!((peers(&network), network.wires.len()), (vec![0, 0, 0], 0));
    assert_eq!(network.servers[1].cluster.poll_timeout(), None);

    let now = network.now;
    network.servers[1].seeds.push(2);
    network.servers[1].cluster.add_route(1, now);
    network.run(secs(2));
    assert_eq!(peers(&network), [0, 1, 1]);
}

/// Whatever a dial has come to when its route is removed, nothing comes of it.
#[test]
fn a_route_that_is_removed_while_it_is_dialled_leads_nowhere() {
    for after in 0..40 {
        let mut network = Network::new(&[&[], &[0]]);
        network.run(Duration::from_millis(after));
        let now = network.now;
        network.servers[1].cluster.remove_route(0, now);
        network.run(secs(60));
        assert!(network.wires.is_empty(), "removed after {after} ms");
        assert_eq!(network.servers[0].cluster.peer_count(), 0, "removed after {after} ms");
    }
}

#[test]
fn peers_hear_what_an_operator_changes() {
    let mut network = Network::new(&[&[], &[0]]);
    network.run(secs(1));
    let terms = |ip: &str, advertise| Terms {
        ip: ip.into(),
        client_urls: ClientUrls { plain: vec!["nats.example:1".into()], ..ClientUrls::default() },
        max_payload: 5,
        advertise,
        connect_retries: 1,
        connect_backoff: true,
    };
    network.servers[1].cluster.set_terms(terms("nats-route://b:1/", true));
    network.run(secs(1));
    assert_eq!(network.servers[0].cluster.client_urls().plain, ["nats.example:1"]);
    network.servers[1].cluster.set_terms(terms("nats-route://b:1/", false));
    network.run(secs(1));
    assert!(network.servers[0].cluster.client_urls().plain.is_empty());
    assert!(network.servers[1].cluster.client_urls().plain.is_empty());
}

#[test]
fn without_a_pool_there_is_one_connection() {
    let mut network = Network::with(&[&[], &[0]], |config| {
        config.pool_size = config.info.server_name.ends_with('0').then_some(3);
    });
    network.run(secs(1));
    assert_eq!(network.wires.len(), 1);
}

#[test]
fn of_different_pool_sizes_the_larger_holds() {
    let mut network = Network::with(&[&[], &[0]], |config| {
        config.pool_size = Some(if config.info.server_name.ends_with('0') { 3 } else { 1 });
    });
    network.run(secs(1));
    network.assert_full_mesh();
}

#[test]
fn made_up_cluster_names_become_one() {
    let mut network = Network::with(&[&[], &[0], &[0]], |config| {
        config.info.cluster = format!("made-up-{}", config.info.server_name);
        config.info.dynamic = true;
    });
    network.run(secs(5));
    network.assert_full_mesh();
    for server in &network.servers {
        assert_eq!(server.cluster.info().cluster, "made-up-s2");
    }
}

#[test]
fn explicit_routes_are_dialled_for_ever_and_back_off_when_asked_to() {
    let mut dials = Vec::new();
    for connect_backoff in [false, true] {
        let config = Config { connect_backoff, ..config(info(0, 0), 1) };
        let mut cluster = Cluster::new(config, Duration::ZERO);
        let mut times = Vec::new();
        for _ in 0..8 {
            let now = cluster.poll_timeout().expect("a configured route is always due some time");
            times.push(now.as_secs());
            let dial = cluster.poll_dial(now).expect("due");
            cluster.handle_dial_failed(dial.id, false, now);
        }
        dials.push(times);
    }
    assert_eq!(dials[0], [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(dials[1], [0, 1, 3, 7, 15, 31, 61, 91]);
}

#[test]
fn a_server_heard_of_is_tried_once_and_connect_retries_times() {
    let mut cluster = Cluster::new(Config { connect_retries: 2, ..config(info(0, 0), 0) }, Duration::ZERO);
    cluster.handle_gossip(&info(1, 0), Duration::ZERO);
    let mut attempts = 0;
    while let Some(now) = cluster.poll_timeout() {
        let dial = cluster.poll_dial(now).expect("due");
        assert_eq!(dial.place, Place::Told(vec!["nats-route://127.0.0.1:2/".into()]));
        cluster.handle_dial_failed(dial.id, false, now);
        attempts += 1;
    }
    assert_eq!(attempts, 3);
}

#[test]
fn who_is_not_admitted_is_told_why() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    let mut refusals = Vec::new();
    let stranger = info(1, 0);
    let pooled = RouteInfo { route_pool_size: 3, ..stranger.clone() };
    let cases = [
        ("itself", info(0, 0), Slot::Pool(0)),
        ("our name", RouteInfo { server_name: "s0".into(), ..stranger.clone() }, Slot::Pool(0)),
        ("other cluster", RouteInfo { cluster: "z\"z".into(), ..stranger.clone() }, Slot::Pool(0)),
        ("reserved cluster", RouteInfo { cluster: "_".into(), ..stranger.clone() }, Slot::Pool(0)),
        ("beyond the pool", pooled.clone(), Slot::Pool(7)),
        ("dedicated, but shared here", pooled, Slot::Account("$G".into())),
        ("dedicated without pool", stranger, Slot::Account("$G".into())),
    ];
    for (number, (what, info, slot)) in cases.into_iter().enumerate() {
        let peer = Introduction { info, slot, solicited: false };
        cluster.handle_introduction(LinkId(number as u64), None, peer, None, Duration::ZERO);
        while let Some(event) = cluster.poll_event() {
            refusals.push(format!("{what}: {event:?}"));
        }
    }
    insta::assert_snapshot!(refusals.join("\n"));
}

#[test]
fn a_returning_server_of_the_same_name_makes_the_old_one_prove_itself() {
    let mut cluster = Cluster::new(config(info(0, 0), 0), Duration::ZERO);
    let arrive = |cluster: &mut Cluster, link, generation| {
        let peer = Introduction { info: info(1, generation), slot: Slot::Pool(0), solicited: false };
        cluster.handle_introduction(LinkId(link), None, peer, None, secs(60));
        std::iter::from_fn(|| cluster.poll_event()).collect::<Vec<_>>()
    };
    assert_eq!(arrive(&mut cluster, 1, 0)[0], Event::Open(LinkId(1)));
    let events = arrive(&mut cluster, 2, 1);
    assert_eq!(events, [Event::Probe(LinkId(1)), Event::Close(LinkId(2), CloseReason::DuplicateName, None)]);
    cluster.handle_closed(LinkId(1), secs(62));
    assert!(arrive(&mut cluster, 3, 1).contains(&Event::Open(LinkId(3))));
}

#[test]
fn other_implementations_get_a_route_for_the_system_account() {
    let mut cluster = Cluster::new(config(info(0, 0), 1), Duration::ZERO);
    let dial = cluster.poll_dial(Duration::ZERO).expect("due");
    let theirs = RouteInfo { natsd: String::new(), route_pool_size: 1, ..info(1, 0) };
    let peer = Introduction { info: theirs, slot: dial.slot, solicited: true };
    cluster.handle_introduction(LinkId(1), Some(dial.id), peer, None, Duration::ZERO);
    cluster.handle_confirmed(LinkId(1), Duration::ZERO);
    let wanted: Vec<_> = std::iter::from_fn(|| cluster.poll_dial(Duration::ZERO)).map(|dial| dial.slot).collect();
    assert_eq!(wanted, [Slot::Pool(1), Slot::Pool(2), Slot::Account("$SYS".into())]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_connected_set_of_seeds_becomes_a_full_mesh(
        parents in proptest::collection::vec(any::<prop::sample::Index>(), 1..6),
        extra in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..4),
    ) {
        let size = parents.len() + 1;
        let mut seeds = vec![Vec::new(); size];
        for (child, parent) in parents.iter().enumerate() {
            seeds[child + 1].push(parent.index(child + 1));
        }
        for (from, to) in &extra {
            seeds[from.index(size)].push(to.index(size));
        }
        let seeds: Vec<_> = seeds.iter().map(Vec::as_slice).collect();
        let mut network = Network::new(&seeds);
        network.run(secs(20));
        network.assert_full_mesh();
    }
}
