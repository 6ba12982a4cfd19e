//! What servers measure of paths and remember of them.

use natsd_lab::link::Cut;
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
