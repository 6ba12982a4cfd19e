//! A leaf node whose hub is in another AS.

use natsd::Server;
use natsd::config::options::{ClusterOptions, LeafOptions, LeafRemote, LeafUrl, Listen, Options, PeerAddr};

use natsd_lab::link::Cut;

use crate::harness::client::Client;
use crate::harness::network::Ground;

/// Where the hub takes leaf nodes.
const PORT: u16 = 4249;

fn options(ground: &Ground, here: usize, leafnodes: LeafOptions) -> Options {
    let plain = ground.options(here, "latency", false);
    // Who vouches for servers over SCION stands there.
    let cluster = plain.cluster.map(|cluster| ClusterOptions {
        name: Some(format!("c{here}")),
        listen: Vec::new(),
        routes: Vec::new(),
        ..cluster
    });
    Options { server_name: Some(format!("server{here}")), cluster, leafnodes: Some(leafnodes), ..plain }
}

/// A hub, and a leaf node in another AS whose clients know nothing of SCION.
struct Edge {
    ground: Ground,
    servers: Vec<Server>,
    hub: u16,
    leaf: u16,
}

impl Edge {
    fn start() -> Self {
        let ground = Ground::emulated();
        let address = ground.scion_address(1, PORT);
        let url =
            LeafUrl { user: None, password: None, tls: false, websocket: false, address: PeerAddr::Scion(address) };
        let remotes = vec![LeafRemote { urls: vec![url], ..LeafRemote::default() }];
        let leaf = options(&ground, 0, LeafOptions { remotes, ..LeafOptions::default() });
        let servers = vec![ground.serve(leaf), ground.serve(hub_options(&ground))];
        let [leaf, hub] = [0, 1].map(|at: usize| servers[at].client_addrs()[0].port());
        Self { ground, servers, hub, leaf }
    }

    fn cut(&self, link: &str) {
        self.ground.engine.cut(link, Cut::BlackHole, None).expect("a link");
    }

    fn mend(&self, link: &str) {
        self.ground.engine.restore(link, None).expect("a link");
    }
}

fn hub_options(ground: &Ground) -> Options {
    let listen = vec![Listen::Scion(ground.scion_address(1, PORT))];
    options(ground, 1, LeafOptions { listen, ..LeafOptions::default() })
}

const LINKS: [&str; 3] = ["a111", "b111", "peer"];

#[test]
fn an_edge_goes_on_without_its_uplink_and_loses_nothing_of_a_short_cut() {
    let edge = Edge::start();
    let (mut here, mut there) = (Client::connect(edge.leaf), Client::connect(edge.hub));
    here.subscribe("down", "1");
    here.subscribe("local", "2");
    there.subscribe("up", "1");
    there.wait_for_interest("down", true);
    here.wait_for_interest("up", true);
    there.publish("down", &"x".repeat(100_000));
    assert_eq!(here.next().payload.len(), 100_000);

    LINKS.iter().for_each(|link| edge.cut(link));
    let mut service = Client::connect(edge.leaf);
    service.subscribe("help", "1");
    service.flush();
    here.request("help", "local", "?");
    let asked = service.next();
    service.publish(&asked.reply.expect("an answer is wanted"), "!");
    assert_eq!(here.next().payload, "!", "what is here goes on");
    here.publish("up", "without a way");
    there.publish("down", "without a way");
    here.flush();
    there.flush();
    LINKS.iter().for_each(|link| edge.mend(link));
    here.publish("up", "back");
    there.publish("down", "back");
    for client in [&mut here, &mut there] {
        let got: Vec<_> = client.take(2).into_iter().map(|got| got.payload).collect();
        assert_eq!(got, ["without a way", "back"], "the connection is the same, and nothing is lost");
        assert!(client.drain().is_empty());
    }
}

#[test]
fn paths_die_under_a_leaf_connection_and_nothing_is_lost() {
    let edge = Edge::start();
    let (mut here, mut there) = (Client::connect(edge.leaf), Client::connect(edge.hub));
    here.subscribe("down", "1");
    there.subscribe("up", "1");
    there.wait_for_interest("down", true);
    here.wait_for_interest("up", true);
    let payloads = |client: &mut Client| client.take(50).into_iter().map(|got| got.payload).collect::<Vec<_>>();
    for link in LINKS {
        edge.cut(link);
        let said: Vec<_> = (0..50).map(|n| format!("{link} {n}")).collect();
        for text in &said {
            here.publish("up", text);
            there.publish("down", text);
        }
        assert_eq!((payloads(&mut there), payloads(&mut here)), (said.clone(), said), "without {link}");
        edge.mend(link);
    }
    assert!(here.drain().is_empty() && there.drain().is_empty(), "and nothing twice");
}

#[test]
fn a_hub_that_was_gone_is_found_again() {
    let mut edge = Edge::start();
    let mut here = Client::connect(edge.leaf);
    here.subscribe("down", "1");
    Client::connect(edge.hub).wait_for_interest("down", true);
    let hub = edge.servers.pop().expect("the hub is last");
    edge.ground.runtime.block_on(hub.shutdown());
    let hub = edge.ground.serve_again(&hub_options(&edge.ground));
    let mut there = Client::connect(hub.client_addrs()[0].port());
    there.wait_for_interest("down", true);
    there.publish("down", "back");
    assert_eq!(here.next().payload, "back");
}
