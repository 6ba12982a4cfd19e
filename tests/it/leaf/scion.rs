//! A leaf node whose hub is in another AS.

use natsd::config::options::{ClusterOptions, LeafOptions, LeafRemote, LeafUrl, Listen, Options, PeerAddr};

use crate::harness::client::Client;
use crate::harness::network::{Ground, wait_for};

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

#[test]
fn a_hub_in_another_as_is_found_again_when_the_network_returns() {
    let ground = Ground::emulated();
    let address = ground.scion_address(1, PORT);
    let hub = options(&ground, 1, LeafOptions { listen: vec![Listen::Scion(address)], ..LeafOptions::default() });
    let url = LeafUrl { user: None, password: None, tls: false, websocket: false, address: PeerAddr::Scion(address) };
    let remotes = vec![LeafRemote { urls: vec![url], ..LeafRemote::default() }];
    let leaf = options(&ground, 0, LeafOptions { remotes, ..LeafOptions::default() });
    let [hub, leaf] = [hub, leaf].map(|options| ground.serve(options));
    let [at_hub, at_leaf] = [&hub, &leaf].map(|server| server.client_addrs()[0].port());

    let mut listener = Client::connect(at_leaf);
    listener.subscribe("foo", "1");
    listener.flush();
    let mut client = Client::connect(at_hub);
    client.wait_for_interest("foo", true);
    client.publish("foo", &"x".repeat(100_000));
    assert_eq!(listener.next().payload.len(), 100_000);

    ground.for_all_links(|engine, link| engine.cut(link, natsd_lab::link::Cut::BlackHole, None).expect("a link"));
    let mut here = Client::connect(at_leaf);
    here.publish("foo", "at the edge");
    assert_eq!(listener.next().payload, "at the edge", "what is here goes on");
    ground.for_all_links(|engine, link| engine.restore(link, None).expect("a link"));
    wait_for("the hub is back", || {
        client.publish("foo", "again");
        client.flush();
        listener.drain().iter().any(|got| got.payload == "again")
    });
}
