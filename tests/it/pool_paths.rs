//! The connections of one route over several paths at once.

use std::collections::BTreeMap;

use natsd::config::options::PoolPaths;
use natsd_lab::link::Cut;

use crate::harness::network::{Ground, Pair, wait_for};

/// The link out of the first AS that the active path of each lane takes, by the name of the lane.
fn exits(pair: &Pair, server: usize) -> BTreeMap<String, String> {
    let peers = pair.read(server, "/pathz")["peers"].as_array().cloned().unwrap_or_default();
    let exit = |peer: &serde_json::Value| {
        let paths = peer["paths"].as_array()?;
        let active = paths.iter().find(|path| path["fingerprint"] == peer["active"])?;
        let lane = peer["lane"].as_str().unwrap_or_default().to_owned();
        Some((lane, active["interfaces"][0].as_str()?.to_owned()))
    };
    peers.iter().filter_map(exit).collect()
}

/// A pool of three between two ASes with three paths that have no link in common.
fn spread() -> Pair {
    let ground = Ground::emulated();
    let mut options = [0, 1].map(|server| ground.options(server, "latency", false));
    for options in &mut options {
        options.scion.as_mut().expect("they speak SCION").pool_paths = PoolPaths::Disjoint;
    }
    let pair = Pair::start_of(ground, options);
    pair.wait_for_routes();
    pair
}

fn are_apart(exits: &BTreeMap<String, String>) -> bool {
    let different: std::collections::BTreeSet<_> = exits.values().collect();
    exits.len() == 3 && different.len() == 3
}

#[test]
fn each_connection_of_a_pool_takes_a_path_of_its_own() {
    let pair = spread();
    for server in [0, 1] {
        wait_for("all lanes are apart", || are_apart(&exits(&pair, server)));
        let lanes: Vec<_> = exits(&pair, server).into_keys().collect();
        assert_eq!(lanes, ["", "lane 1", "lane 2"]);
    }
    let interface = exits(&pair, 0)[""].clone();
    assert_eq!(interface, "1-ff00:0:111#3", "the first one has the path of the least latency");
    let links: Vec<_> = pair.read(0, "/pathz")["peers"]
        .as_array()
        .expect("lanes")
        .iter()
        .map(|lane| lane["links"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(links, [1, 1, 1]);
}

#[test]
fn a_cut_link_costs_only_the_connection_that_used_it() {
    let pair = spread();
    wait_for("all lanes are apart", || [0, 1].into_iter().all(|server| are_apart(&exits(&pair, server))));
    wait_for("the first one has the best path", || exits(&pair, 0)[""] == "1-ff00:0:111#3");
    let (before, routes) = (exits(&pair, 0), pair.routes());
    pair.ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
    wait_for("the cut path is left", || !exits(&pair, 0).values().any(|exit| exit == "1-ff00:0:111#3"));
    for (lane, exit) in exits(&pair, 0) {
        assert!(
            before[&lane] == exit || before[&lane] == "1-ff00:0:111#3",
            "{lane} has moved to {exit} from {before:?}"
        );
    }
    pair.ground.engine.restore("peer", None).expect("there is such a link");
    wait_for("all lanes are apart again", || are_apart(&exits(&pair, 0)));
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn a_shared_pool_has_one_lane() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let peers = pair.read(0, "/pathz")["peers"].clone();
    assert_eq!(peers.as_array().map(Vec::len), Some(1));
    assert_eq!(peers[0]["links"].as_array().map(Vec::len), Some(3));
    assert!(peers[0].get("lane").is_none());
}
