//! What a listener wants of the paths of connections that it accepts.

use natsd::config::options::{ClusterOptions, LeafOptions, LeafRemote, LeafUrl, Listen, Options, PeerAddr};
use natsd_path::{Accepted, Refinement, Rule, Rules};
use serde_json::Value;

use crate::harness::network::{Ground, Pair, wait_for};
use crate::harness::server::natsd;

/// Where the hub takes leaf nodes.
const PORT: u16 = 4249;
/// The link between the two ASes, as the hub has it.
const DIRECT: &str = "1-ff00:0:112#3";
/// All links of the hub.
const ALL: [&str; 3] = ["1-ff00:0:112#1", "1-ff00:0:112#2", "1-ff00:0:112#3"];
/// What the connections of leaf nodes are called at the hub.
const ACCEPTED: &str = "accepted at leafnodes";

fn avoiding(links: &[&str]) -> Accepted {
    let avoided = links.iter().map(|link| link.parse().expect("an interface")).collect();
    let rules = Rules { strict: vec![Rule::Avoid(avoided)], ..Rules::default() };
    Accepted { wanted: Refinement { rules, ..Refinement::default() } }
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

/// The interface by which what the hub sends on these connections leaves.
fn exit(pair: &Pair, name: &str) -> Option<String> {
    let peer = lane(pair, name)?;
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
