//! What servers measure of paths and remember of them.

use std::time::{Duration, Instant};

use natsd_lab::link::{Cut, LinkChange};
use natsd_path::Rule;
use serde_json::Value;

use crate::harness::network::{Ground, Pair, wait_for};

/// What the first server remembers of its peer.
fn remembered(pair: &Pair) -> Value {
    pair.read(0, "/pathz?history=1")["peers"][0].clone()
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// The path by its first interface.
fn path(peer: &Value, exit: &str) -> Value {
    let found = list(&peer["paths"]).into_iter().find(|path| path["interfaces"][0] == exit);
    found.expect("there is such a path")
}

/// The kinds of incidents, and the path that each is about.
fn incidents(peer: &Value) -> Vec<(String, Value)> {
    let kind = |incident: &Value| incident["kind"].as_str().expect("a kind").to_owned();
    let of = |incident: &Value| incident.get("from").or(incident.get("to")).cloned().unwrap_or_default();
    list(&peer["incidents"]).iter().map(|incident| (kind(incident), of(incident))).collect()
}

#[test]
fn a_failover_and_its_paths_are_remembered() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("tick", "1");
    here.wait_for_interest("tick", true);
    let best = path(&pair.paths(0), "1-ff00:0:111#3")["fingerprint"].clone();
    wait_for("the best path carries the traffic", || pair.paths(0)["active"] == best);
    assert!(pair.paths(0).get("incidents").is_none(), "nobody asked");
    assert!(path(&pair.paths(0), "1-ff00:0:111#3").get("history").is_none());

    let left = |peer: &Value| {
        let leaves = |incident: &Value| incident["kind"] == "switch" && incident["from"] == best;
        list(&peer["incidents"]).iter().position(leaves)
    };
    let mut exchange = |until: &dyn Fn(&Value) -> bool| {
        wait_for("it is remembered", || {
            here.publish("tick", &"x".repeat(500));
            there.next();
            until(&remembered(&pair))
        });
    };
    let busy = |sample: &Value| sample["bytes"].as_u64().is_some_and(|bytes| bytes > 500);
    exchange(&|peer| list(&path(peer, "1-ff00:0:111#3")["history"]["seconds"]).iter().any(busy));
    pair.ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
    exchange(&|peer| left(peer).is_some());
    pair.ground.engine.restore("peer", None).expect("there is such a link");
    exchange(&|peer| incidents(peer).contains(&("back".to_owned(), best.clone())));

    let peer = remembered(&pair);
    let known = incidents(&peer);
    let at = |kind: &str| known.iter().position(|incident| *incident == (kind.to_owned(), best.clone()));
    let switched = left(&peer);
    assert!(at("down").is_some() && at("down") < switched && switched < at("back"), "{known:?}");
    let switch = &peer["incidents"][switched.expect("it was waited for")];
    assert!(switch["gap_ms"].as_f64().is_some_and(|gap| gap > 10.0), "{switch}");
    assert_ne!(switch["to"], best);

    let seconds = list(&path(&peer, "1-ff00:0:111#3")["history"]["seconds"]);
    let was = |state: &str| seconds.iter().any(|second| list(&second["states"]).contains(&state.into()));
    assert!(was("active") && was("dead") && was("probation"), "{seconds:?}");
    assert!(seconds.iter().any(|second| second["rtt_min_ms"].as_f64().is_some_and(|rtt| rtt >= 8.0)), "{seconds:?}");
    assert!(seconds.iter().any(|second| second["lost"].as_u64().is_some()), "{seconds:?}");
}

/// Publishes 4 kB messages from the first server to the second, with 400 kB on their way all the time, until `done`.
fn flood(pair: &Pair, mut done: impl FnMut() -> bool) {
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("flood", "1");
    here.wait_for_interest("flood", true);
    let payload = "x".repeat(4000);
    (0..100).for_each(|_| here.publish("flood", &payload));
    wait_for("the flood has shown what it should", || {
        for _ in 0..10 {
            there.next();
            here.publish("flood", &payload);
        }
        done()
    });
}

#[test]
fn a_path_narrower_than_announced_is_measured_and_left() {
    let ground = Ground::emulated();
    let narrow =
        LinkChange { bandwidth_bps: Some(4_000_000), queue: Some(Duration::from_millis(200)), ..LinkChange::default() };
    ground.engine.set("b111", &narrow, None).expect("there is such a link");
    let mut pair = Pair::start(ground, "bandwidth,latency", false);
    pair.settle();
    let announced = |path: &Value| path["announced"]["bandwidth_kbps"] == 40_000;
    let wide = list(&pair.paths(0)["paths"]).into_iter().find(announced).expect("one is said to be wide");
    let wide = wide["fingerprint"].clone();
    let routes = pair.routes();

    // What is lost when the queue is full for the first time would be a reason to leave it before it is measured.
    let usual = pair.ground.options(0, "bandwidth,latency", false);
    let mut alone = usual.clone();
    let pin = Rule::Pin(vec![wide.as_str().expect("a text").parse().expect("a fingerprint")]);
    alone.scion.as_mut().expect("it speaks SCION").wishes.policy.rules.strict = vec![pin];
    pair.reload(0, alone);
    wait_for("it carries the traffic", || pair.paths(0)["active"] == wide);
    let measured = || {
        let paths = list(&pair.paths(0)["paths"]);
        let found = paths.into_iter().find(|path| path["fingerprint"] == wide);
        found.and_then(|path| path["measured"]["bandwidth_kbps"].as_u64())
    };
    flood(&pair, || measured().is_some());
    let kbit = measured().expect("it was waited for");
    assert!((2800..=4000).contains(&kbit), "{kbit} kbit/s; headers are not counted");

    pair.reload(0, usual);
    wait_for("it is left for one that is wider", || pair.paths(0)["active"] != wide);
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn traffic_that_does_not_fill_a_path_shows_what_it_delivers_alone() {
    let pair = Pair::start(Ground::emulated(), "bandwidth,latency", false);
    pair.settle();
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("tick", "1");
    here.wait_for_interest("tick", true);
    let active = || {
        let peer = pair.paths(0);
        list(&peer["paths"]).into_iter().find(|path| path["fingerprint"] == peer["active"]).expect("there is one")
    };
    wait_for("the widest path carries the traffic", || active()["announced"]["bandwidth_kbps"] == 40_000);
    wait_for("it is measured what flows", || {
        here.publish("tick", &"x".repeat(500));
        there.next();
        active()["measured"]["delivered_kbps"].as_u64().is_some_and(|kbit| kbit > 20)
    });
    let path = active();
    assert_eq!(path["measured"]["bandwidth_kbps"], Value::Null);
    assert_eq!(path["announced"]["bandwidth_kbps"], 40_000);
}

/// Probes of the first server so far.
fn probes(pair: &Pair) -> u64 {
    let paths = list(&pair.paths(0)["paths"]);
    paths.iter().filter_map(|path| path["probes"]["sent"].as_u64()).sum()
}

#[test]
fn a_small_budget_makes_probes_rare_until_a_reload() {
    let ground = Ground::emulated();
    let with = |ground: &Ground, server, probe_budget| {
        let mut options = ground.options(server, "latency", false);
        options.scion.as_mut().expect("they speak SCION").probe_budget = probe_budget;
        options
    };
    let options = [0, 1].map(|server| with(&ground, server, Some(512)));
    let mut pair = Pair::start_of(ground, options);
    pair.settle();
    wait_for("what was saved up is spent", || probes(&pair) >= 25);
    let time_of_ten = |pair: &Pair| {
        let (start, before) = (Instant::now(), probes(pair));
        wait_for("ten more went out", || probes(pair) >= before + 10);
        start.elapsed()
    };
    let rare = time_of_ten(&pair);
    let bytes: u64 = list(&pair.paths(0)["paths"]).iter().filter_map(|path| path["probes"]["bytes"].as_u64()).sum();
    assert!(bytes >= probes(&pair) * 172, "{bytes} bytes of {} probes", probes(&pair));
    let unbound = with(&pair.ground, 0, None);
    pair.reload(0, unbound);
    let usual = time_of_ten(&pair);
    assert!(rare > usual * 3 / 2, "{rare:?}, without the bound {usual:?}");
}
