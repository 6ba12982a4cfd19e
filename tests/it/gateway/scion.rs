//! Clusters in different ASes.

use natsd::config::options::{ClusterOptions, GatewayOptions, GatewayRemote, Listen, Options, PeerAddr, RouteUrl};
use natsd_path::{Accepted, Refinement, Rule, Rules};
use serde_json::Value;

use crate::harness::client::Client;
use crate::harness::network::{Ground, Pair, wait_for};

/// Where each cluster takes the other.
const PORT: u16 = 4250;

fn options(ground: &Ground, here: usize) -> Options {
    let plain = ground.options(here, "latency", false);
    let name = |at: usize| ["EAST", "WEST"][at].to_owned();
    // Who vouches for servers over SCION stands there.
    let cluster = plain.cluster.map(|cluster| ClusterOptions {
        name: Some(name(here)),
        listen: Vec::new(),
        routes: Vec::new(),
        ..cluster
    });
    let address = PeerAddr::Scion(ground.scion_address(1, PORT));
    let other =
        GatewayRemote { name: name(1), urls: vec![RouteUrl { user: None, password: None, address }], tls: None };
    let gateway = GatewayOptions {
        name: name(here),
        listen: vec![Listen::Scion(ground.scion_address(here, PORT))],
        // The second cluster hears of the first.
        gateways: if here == 0 { vec![other] } else { Vec::new() },
        connect_retries: 100,
        ..GatewayOptions::default()
    };
    Options { server_name: Some(format!("server{here}")), cluster, gateway: Some(gateway), ..plain }
}

#[test]
fn clusters_in_two_ases_stay_connected_while_paths_die() {
    let ground = Ground::emulated();
    let servers = [0, 1].map(|here| ground.serve(options(&ground, here)));
    let ports = servers.each_ref().map(|server| server.client_addrs()[0].port());
    // The one who listened to the first subject may be there for a while after the test has left.
    for (from, to, subject) in [(0, 1, "west"), (1, 0, "east")] {
        let mut listener = Client::connect(ports[to]);
        listener.subscribe(subject, "1");
        listener.flush();
        let mut client = Client::connect(ports[from]);
        client.wait_for_interest(subject, true);
        client.publish(subject, &"x".repeat(100_000));
        assert_eq!(listener.next().payload.len(), 100_000);
    }

    let mut listener = Client::connect(ports[1]);
    listener.subscribe("bar", "1");
    listener.flush();
    let mut client = Client::connect(ports[0]);
    client.wait_for_interest("bar", true);
    ground.engine.cut("peer", natsd_lab::link::Cut::BlackHole, None).expect("a link");
    client.publish("bar", "by another path");
    assert_eq!(listener.next().payload, "by another path");

    ground.for_all_links(|engine, link| engine.cut(link, natsd_lab::link::Cut::BlackHole, None).expect("a link"));
    let mut here = Client::connect(ports[1]);
    here.publish("bar", "at home");
    assert_eq!(listener.next().payload, "at home", "each cluster goes on");
    ground.for_all_links(|engine, link| engine.restore(link, None).expect("a link"));
    wait_for("the other cluster is back", || {
        client.publish("bar", "again");
        client.flush();
        listener.drain().iter().any(|got| got.payload == "again")
    });
}

#[test]
fn what_another_cluster_is_sent_keeps_the_rules_of_the_listener_and_of_the_other_end() {
    const DIRECT: [&str; 2] = ["1-ff00:0:111#3", "1-ff00:0:112#3"];
    let ground = Ground::emulated();
    let mut options = [0, 1].map(|here| options(&ground, here));
    let avoided = vec![DIRECT[1].parse().expect("an interface")];
    let rules = Rules { strict: vec![Rule::Avoid(avoided)], ..Rules::default() };
    let wanted = Refinement { rules, ..Refinement::default() };
    let gateway = options[1].gateway.as_mut().expect("there is one");
    gateway.path_rules = Some(Accepted { wanted, strict: true });
    let pair = Pair::start_of(ground, options);
    let mut listener = pair.client(1);
    listener.subscribe("west", "1");
    listener.flush();
    let mut client = pair.client(0);
    client.wait_for_interest("west", true);
    client.publish("west", "over an allowed path");
    assert_eq!(listener.next().payload, "over an allowed path");
    for (server, lane) in [(0, "rules of the peer "), (1, "accepted at gateway")] {
        wait_for("the rules hold", || {
            let peers = pair.read(server, "/pathz")["peers"].as_array().cloned().unwrap_or_default();
            let ruled = |peer: &&Value| {
                peer["lane"].as_str().is_some_and(|it| it.starts_with(lane)) && peer["links"][0]["kind"] == "gateway"
            };
            let Some(peer) = peers.iter().find(ruled) else { return false };
            let mut paths = peer["paths"].as_array().into_iter().flatten();
            let exit = paths.find(|path| path["fingerprint"] == peer["active"]).map(|path| &path["interfaces"][0]);
            exit.is_some_and(|exit| exit != DIRECT[server])
        });
    }
}

#[test]
fn a_cluster_of_another_authority_stays_outside() {
    let ground = Ground::emulated();
    let mut stranger = options(&ground, 0);
    let dir = tempfile::tempdir().expect("a directory");
    if let Some(cluster) = &mut stranger.cluster {
        cluster.authority = Some(dir.path().to_owned());
    }
    let [stranger, server] = [stranger, options(&ground, 1)].map(|options| ground.serve(options));
    let ports = [&stranger, &server].map(|server| server.client_addrs()[0].port());
    let mut listener = Client::connect(ports[1]);
    listener.subscribe("foo", "1");
    listener.flush();
    let mut client = Client::connect(ports[0]);
    // Longer than it takes those who may.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(4);
    while std::time::Instant::now() < end {
        assert!(!client.sees_interest("foo"));
        std::thread::sleep(crate::harness::POLL);
    }
}
