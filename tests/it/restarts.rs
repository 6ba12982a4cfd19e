//! Servers that are killed and come back at the same SCION addresses: who was connected notices at once.

use std::time::{Duration, Instant};

use natsd::config::options::{LeafOptions, LeafRemote, LeafUrl, PeerAddr};

use crate::harness::client::Client;
use crate::harness::network::Ground;
use crate::harness::raw::Raw;
use crate::harness::server::TestServer;
use crate::identity::{authority, server};
use crate::link::Link;

/// Where leaf nodes come in.
const SCION_LEAFS: u16 = 4251;

/// From readiness to the first message. nats-server reconnects within a second.
const BACK_WITHIN: Duration = Duration::from_secs(2);

fn start(ground: &Ground) -> TestServer {
    let leafs = format!("leafnodes {{ listen: \"nats://{}\" }}", ground.scion_address(0, SCION_LEAFS));
    server(ground, "", &authority(ground), &leafs)
}

/// Kills the server, which nobody is told, and starts it again.
fn kill_and_start(ground: &Ground, killed: TestServer) -> (TestServer, Instant) {
    drop(killed);
    (start(ground), Instant::now())
}

/// The new server's client reaches `there`, which is subscribed to `news`.
fn reaches(back: &TestServer, since: Instant, there: &mut Client) {
    let mut here = Client::connect(back.port);
    here.wait_for_interest("news", true);
    let took = since.elapsed();
    assert!(took < BACK_WITHIN, "{took:?}");
    here.publish("news", "back");
    assert_eq!(there.next().payload, "back");
    here.flush();
    there.flush();
    assert!(there.drain().is_empty(), "it came twice");
}

#[test]
fn a_killed_server_is_back_in_the_cluster_in_no_time() {
    let ground = Ground::emulated();
    let first = start(&ground);
    let second = ground.serve(ground.options(1, "latency", false));
    let mut there = Client::connect(second.client_addrs()[0].port());
    there.subscribe("news", "1");
    Client::connect(first.port).wait_for_interest("news", true);
    let (back, since) = kill_and_start(&ground, first);
    reaches(&back, since, &mut there);
}

#[test]
fn leaf_nodes_of_a_killed_hub_are_back_in_no_time() {
    let ground = Ground::emulated();
    let hub = start(&ground);
    let address = PeerAddr::Scion(ground.scion_address(0, SCION_LEAFS));
    let url = LeafUrl { user: None, password: None, tls: false, websocket: false, address };
    let remotes = vec![LeafRemote { urls: vec![url], ..LeafRemote::default() }];
    let mut options = ground.options(1, "latency", false);
    options.leafnodes = Some(LeafOptions { remotes, ..LeafOptions::default() });
    if let Some(cluster) = &mut options.cluster {
        cluster.name = Some("edge".into());
        cluster.listen.clear();
        cluster.routes.clear();
    }
    let leaf = ground.serve(options);
    let mut there = Client::connect(leaf.client_addrs()[0].port());
    there.subscribe("news", "1");
    Client::connect(hub.port).wait_for_interest("news", true);
    let (back, since) = kill_and_start(&ground, hub);
    reaches(&back, since, &mut there);
}

#[test]
fn clients_of_a_link_hear_of_a_killed_server_in_no_time() {
    let ground = Ground::emulated();
    let first = start(&ground);
    let link = Link::start(&ground, &ground.authority().join("ca.pem"));
    let mut client = Raw::connect(link.port);
    let (_back, since) = kill_and_start(&ground, first);
    client.send("PING\r\n");
    client.expect_closed();
    let took = since.elapsed();
    assert!(took < BACK_WITHIN, "{took:?}");
    Client::connect(link.port).flush();
}
