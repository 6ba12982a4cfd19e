//! What a listener wants of the paths of connections that it accepts.

use natsd::config::options::{ClusterOptions, LeafOptions, LeafRemote, LeafUrl, Listen, Options, PeerAddr, PoolPaths};
use natsd_path::{Accepted, Policy, Refinement, Rule, Rules, Wishes};
use natsd_scion::{DialError, Host, HostConfig, Stream};
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::harness::DEADLINE;
use crate::harness::identity::visitor;
use crate::harness::network::{ASES, Ground, Pair, SCION_CLIENTS, wait_for};
use crate::harness::server::natsd;
use crate::identity::{authority, server};

/// Where the hub takes leaf nodes.
const PORT: u16 = 4249;
/// The link between the two ASes, as the hub has it.
const DIRECT: &str = "1-ff00:0:112#3";
/// The same link as the leaf node has it.
const DIRECT_THERE: &str = "1-ff00:0:111#3";
/// All links of the hub.
const ALL: [&str; 3] = ["1-ff00:0:112#1", "1-ff00:0:112#2", "1-ff00:0:112#3"];
/// What the connections of leaf nodes are called at the hub.
const ACCEPTED: &str = "accepted at leafnodes";

fn avoiding(links: &[&str]) -> Accepted {
    let avoided = links.iter().map(|link| link.parse().expect("an interface")).collect();
    let rules = Rules { strict: vec![Rule::Avoid(avoided)], ..Rules::default() };
    Accepted { wanted: Refinement { rules, ..Refinement::default() }, strict: false }
}

fn options(ground: &Ground, here: usize, leafnodes: LeafOptions) -> Options {
    let plain = ground.options(here, "latency", false);
    let cluster = plain.cluster.map(|cluster| ClusterOptions {
        name: Some(format!("c{here}")),
        listen: Vec::new(),
        routes: Vec::new(),
        ..cluster
    });
    Options { server_name: Some(format!("server{here}")), cluster, leafnodes: Some(leafnodes), ..plain }
}

fn leaf(ground: &Ground) -> Options {
    let address = PeerAddr::Scion(ground.scion_address(1, PORT));
    let url = LeafUrl { user: None, password: None, tls: false, websocket: false, address };
    let remotes = vec![LeafRemote { urls: vec![url], ..LeafRemote::default() }];
    options(ground, 0, LeafOptions { remotes, ..LeafOptions::default() })
}

fn hub(ground: &Ground, path_rules: Option<Accepted>) -> Options {
    let listen = vec![Listen::Scion(ground.scion_address(1, PORT))];
    options(ground, 1, LeafOptions { listen, path_rules, ..LeafOptions::default() })
}

/// A leaf node, and a hub that wants this of the paths to leaf nodes.
fn start(path_rules: Option<Accepted>) -> Pair {
    let ground = Ground::emulated();
    let options = [leaf(&ground), hub(&ground, path_rules)];
    Pair::start_of(ground, options)
}

/// What the hub shows of these connections.
fn lane(pair: &Pair, name: &str) -> Option<Value> {
    let peers = pair.read(1, "/pathz")["peers"].as_array().cloned().unwrap_or_default();
    peers.into_iter().find(|peer| peer["lane"].as_str().unwrap_or_default() == name)
}

/// What the leaf node shows of its connection to the hub, if that keeps rules of the hub.
fn told(pair: &Pair) -> Option<Value> {
    let peers = pair.read(0, "/pathz")["peers"].as_array().cloned().unwrap_or_default();
    let told = |peer: &Value| peer["lane"].as_str().is_some_and(|lane| lane.starts_with("rules of the peer "));
    peers.into_iter().find(|peer| told(peer) && !peer["links"].as_array().is_none_or(Vec::is_empty))
}

/// The interface by which what the hub sends on these connections leaves.
fn exit(pair: &Pair, name: &str) -> Option<String> {
    exit_of(&lane(pair, name)?)
}

fn exit_of(peer: &Value) -> Option<String> {
    let paths = peer["paths"].as_array()?;
    let active = paths.iter().find(|path| path["fingerprint"] == peer["active"])?;
    active["interfaces"][0].as_str().map(str::to_owned)
}

/// The kinds of the connections that these paths carry.
fn links(pair: &Pair, name: &str) -> Vec<Value> {
    let links = lane(pair, name).and_then(|peer| peer["links"].as_array().cloned()).unwrap_or_default();
    links.into_iter().map(|link| link["kind"].clone()).collect()
}

fn delivers(pair: &Pair) {
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    here.subscribe("down", "1");
    there.wait_for_interest("down", true);
    there.publish("down", "over an allowed path");
    assert_eq!(here.next().payload, "over an allowed path");
}

/// Of the connection to the leaf node, at the hub: another one if it was made anew.
fn connection(pair: &Pair) -> Value {
    pair.read(1, "/leafz?cids=1")["leafs"][0]["id"].clone()
}

#[test]
fn what_is_accepted_goes_back_by_the_rules_of_the_listener() {
    let pair = start(Some(avoiding(&[DIRECT])));
    delivers(&pair);
    wait_for("the connection is under the rules", || links(&pair, ACCEPTED) == ["leaf"]);
    assert_ne!(exit(&pair, ACCEPTED).as_deref(), Some(DIRECT));
    let paths = lane(&pair, ACCEPTED).expect("it is there");
    assert_eq!(paths["rules"][0], format!("avoid \"{DIRECT}\""));
    let excluded = paths["paths"].as_array().expect("paths").iter().filter(|path| path["state"] == "excluded");
    let whys: Vec<_> = excluded.map(|path| path["why"].as_str().unwrap_or_default()).collect();
    assert!(!whys.is_empty() && whys.iter().all(|why| *why == format!("avoid \"{DIRECT}\" is crossed")), "{whys:?}");
}

#[test]
fn a_server_that_calls_keeps_the_rules_of_the_listener_too() {
    for strict in [false, true] {
        let mut pair = start(Some(Accepted { strict, ..avoiding(&[DIRECT]) }));
        delivers(&pair);
        wait_for("the leaf node knows of the rules", || told(&pair).is_some());
        let there = told(&pair).expect("it is there");
        assert!(exit_of(&there).is_some_and(|exit| exit != DIRECT_THERE), "{there}");
        assert_eq!(there["rules"][0], format!("of the peer: avoid \"{DIRECT}\""));
        let connection = connection(&pair);
        let free = hub(&pair.ground, None);
        pair.reload(1, free);
        wait_for("the rules are forgotten", || told(&pair).is_none());
        delivers(&pair);
        assert_eq!(self::connection(&pair), connection, "the connection stayed");
    }
}

#[test]
fn every_connection_of_a_pool_is_under_the_rules_of_the_listener() {
    let ground = Ground::emulated();
    let mut options = [0, 1].map(|here| ground.options(here, "latency", false));
    let cluster = options[1].cluster.as_mut().expect("they are clustered");
    // So that the other one dials.
    (cluster.passive, cluster.path_rules) = (true, Some(avoiding(&[DIRECT])));
    cluster.routes.clear();
    for options in &mut options {
        options.scion.as_mut().expect("they speak SCION").pool_paths = PoolPaths::Disjoint;
    }
    let pair = Pair::start_of(ground, options);
    pair.wait_for_routes();
    delivers(&pair);
    for name in ["accepted at cluster", "lane 1, accepted at cluster", "lane 2, accepted at cluster"] {
        wait_for("each has its path", || links(&pair, name) == ["route"] && exit(&pair, name).is_some());
        assert_ne!(exit(&pair, name).as_deref(), Some(DIRECT), "{name}");
    }
}

/// A leaf node whose own rules leave it the forbidden link alone.
fn at_odds(strict: bool) -> Pair {
    let ground = Ground::emulated();
    let mut leaf = leaf(&ground);
    let own = avoiding(&["1-ff00:0:111#1", "1-ff00:0:111#2"]).wanted;
    leaf.scion.as_mut().expect("it speaks SCION").wishes.policy = Policy::default().refined(&own);
    let options = [leaf, hub(&ground, Some(Accepted { strict, ..avoiding(&[DIRECT]) }))];
    Pair::start_of(ground, options)
}

#[test]
fn where_no_path_keeps_the_rules_of_both_each_keeps_its_own() {
    let pair = at_odds(false);
    delivers(&pair);
    wait_for("the leaf node knows of the rules", || told(&pair).is_some());
    assert_eq!(exit_of(&told(&pair).expect("it is there")).as_deref(), Some(DIRECT_THERE));
    assert!(pair.read(1, "/pathz")["peers"].as_array().is_some_and(|peers| {
        peers
            .iter()
            .filter(|peer| peer["links"][0]["kind"] == "leaf")
            .all(|peer| exit_of(peer).is_some_and(|it| it != DIRECT))
    }));
}

#[test]
fn a_strict_listener_takes_no_server_that_cannot_come_by_its_rules() {
    let mut pair = at_odds(true);
    wait_for("the leaf node has heard of the rules", || {
        let peers = pair.read(0, "/pathz")["peers"].as_array().cloned().unwrap_or_default();
        peers.iter().any(|peer| peer["lane"].as_str().is_some_and(|lane| lane.starts_with("rules of the peer ")))
    });
    assert_eq!(pair.read(1, "/leafz")["leafnodes"], 0);
    let lenient = hub(&pair.ground, Some(avoiding(&[DIRECT])));
    pair.reload(1, lenient);
    delivers(&pair);
}

/// A client in the second AS that avoids these links, and what became of its connection.
fn visit(ground: &Ground, links: &[&str]) -> (Host, Result<Stream, DialError>) {
    let at = ground.addresses(ASES[1]);
    let wishes = avoiding_all(links);
    let config =
        HostConfig { daemon: Some(at.daemon.to_string()), local: Some(at.host), wishes, ..HostConfig::default() };
    ground.runtime.block_on(async {
        let host = Host::start(config).expect("an address");
        host.ready().await.expect("the daemon answers");
        let dialer = host.dialer(&visitor(ground.authority())).expect("a port");
        let stream = dialer.dial(ground.scion_address(0, SCION_CLIENTS), None).await;
        (host, stream)
    })
}

fn avoiding_all(links: &[&str]) -> Wishes {
    Wishes { policy: Policy::default().refined(&avoiding(links).wanted), ..Wishes::default() }
}

#[test]
fn a_strict_listener_turns_clients_away_that_come_by_another_way() {
    const WHY: &str = "is not allowed by the rules of the listener: avoid \"1-ff00:0:111#3\" is crossed";
    let ground = Ground::emulated();
    let rules = format!("client_path_rules {{ avoid: \"{DIRECT_THERE}\", strict: true }}");
    let mut server = server(&ground, "", &authority(&ground), &rules);
    let (_, refused) = visit(&ground, &ALL[..2]);
    let told = refused.expect_err("it comes by the link that is forbidden").to_string();
    assert!(told.contains(WHY), "{told}");
    let line = server.wait_for_line("Refused client connection over SCION from ");
    assert!(line.contains(WHY), "{line}");

    let (host, stream) = visit(&ground, &[DIRECT]);
    let mut stream = stream.expect("it comes by another one");
    ground.runtime.block_on(async {
        host.set_wishes(avoiding_all(&ALL[..2]));
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut Vec::new())).await.expect("in time");
        assert!(end.is_err(), "it ended as if the server had nothing more to say");
    });
    assert!(server.wait_for_line("The connection of ").contains(WHY));
}

#[test]
fn rules_of_a_listener_come_and_go_with_a_reload() {
    let mut pair = start(None);
    delivers(&pair);
    let first = connection(&pair);
    wait_for("the best path is in use", || exit(&pair, "").as_deref() == Some(DIRECT));
    let ruled = hub(&pair.ground, Some(avoiding(&[DIRECT])));
    pair.reload(1, ruled);
    assert!(exit(&pair, ACCEPTED).is_some_and(|exit| exit != DIRECT), "at once, without a lookup between");
    assert_eq!(links(&pair, ACCEPTED), ["leaf"]);
    delivers(&pair);
    let free = hub(&pair.ground, None);
    pair.reload(1, free);
    wait_for("the connection is like others again", || links(&pair, "") == ["leaf"]);
    delivers(&pair);
    assert_eq!(connection(&pair), first, "the connection stayed");
}

#[test]
fn nobody_is_accepted_to_whom_no_path_is_allowed() {
    let mut pair = start(Some(avoiding(&ALL)));
    wait_for("it is told that there is no path", || {
        let events = pair.read(1, "/pathz")["events"].as_array().cloned().unwrap_or_default();
        events.iter().any(|event| event["kind"] == "none_allowed" && event["lane"] == ACCEPTED)
    });
    assert_eq!(pair.read(1, "/leafz")["leafnodes"], 0);
    let free = hub(&pair.ground, None);
    pair.reload(1, free);
    delivers(&pair);
}

#[test]
fn rules_for_nobody_are_found_before_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("natsd.conf");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("a file");
        let output = natsd(&["-t", "-c", &file.display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr).replace(&dir.path().display().to_string(), "");
        (output.status.success(), said)
    };
    let at = "[1-ff00:0:112,127.0.0.1]:4249";
    for block in ["leafnodes", "cluster", "gateway"] {
        let name = if block == "leafnodes" { "" } else { "name: c," };
        let block = |rules| format!("scion {{}}\n{block} {{ {name} listen: [\"{at}\"], path_rules {{ {rules} }} }}\n");
        let (fine, said) = check(&block("avoid: \"1-ff00:0:110\", max_latency: \"50ms\""));
        assert!(fine, "{said}");
        let (fine, said) = check(&block("avoid: \"x\""));
        assert!(!fine && said.contains(":2:") && said.contains("avoid: \"x\": a hop looks like"), "{said}");
        let (fine, said) = check(&block(""));
        assert!(!fine && said.contains("path_preference, or another key for paths, is missing"), "{said}");
    }
    let refused = [
        "scion {}\nleafnodes { port: 7422, path_rules { isds: 1 } }".to_owned(),
        "scion {}\nclient_path_rules { isds: 1 }".to_owned(),
        format!("leafnodes {{ listen: \"{at}\", path_rules {{ isds: 1 }} }}"),
    ];
    let said = refused.map(|text| {
        let (fine, said) = check(&text);
        assert!(!fine, "{text}");
        said
    });
    insta::assert_snapshot!(said.concat());
}
