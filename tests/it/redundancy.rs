//! Every packet over two paths.

use std::time::{Duration, Instant};

use natsd_lab::link::Cut;

use crate::harness::network::{Ground, Pair, wait_for};

/// Both servers send all over two paths.
fn redundant() -> Pair {
    let ground = Ground::emulated();
    let options = [0, 1].map(|server| {
        let mut options = ground.options(server, "latency", false);
        options.scion.as_mut().expect("they speak SCION").wishes.policy.redundant = true;
        options
    });
    let pair = Pair::start_of(ground, options);
    pair.settle();
    for server in [0, 1] {
        wait_for("a second path carries a copy", || copy_over(&pair, server).is_some());
    }
    pair
}

/// The interface by which the copy leaves the AS of a server.
fn copy_over(pair: &Pair, server: usize) -> Option<String> {
    let paths = pair.paths(server)["paths"].as_array().cloned()?;
    let copies = |path: &serde_json::Value| {
        path["why"].as_str().is_some_and(|why| why.ends_with("carries a copy of all traffic"))
    };
    paths.iter().find(|path| copies(path))?["interfaces"][0].as_str().map(str::to_owned)
}

/// The link of the first AS that a path begins with.
fn link_of(path: &[serde_json::Value]) -> &'static str {
    match path.first().and_then(serde_json::Value::as_str) {
        Some("1-ff00:0:111#3") => "peer",
        Some("1-ff00:0:111#1") => "a111",
        Some("1-ff00:0:111#2") => "b111",
        other => panic!("no path begins with {other:?}"),
    }
}

/// Round trips of 8 ms and about 50 ms: 25 ms between the two, and what a busy machine adds.
const GAP: Duration = Duration::from_millis(60);

#[test]
fn a_black_hole_is_not_noticed_by_those_who_send_over_two_paths() {
    let pair = redundant();
    let (mut here, mut there, routes) = (pair.client(0), pair.client(1), pair.routes());
    there.subscribe("tick", "1");
    here.wait_for_interest("tick", true);
    let mut gaps = Vec::new();
    for round in 0..3 {
        let link = link_of(&pair.active(0));
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        for number in 0..200 {
            if number == 50 {
                pair.ground.engine.cut(link, Cut::BlackHole, None).expect("there is such a link");
            }
            let text = format!("{round} {number}");
            here.publish("tick", &text);
            assert_eq!(there.next().payload, text);
            longest = longest.max(last.elapsed());
            last = Instant::now();
        }
        gaps.push(longest);
        pair.ground.engine.restore(link, None).expect("there is such a link");
        wait_for("all paths work again", || {
            let paths = pair.paths(0)["paths"].as_array().cloned().unwrap_or_default();
            paths.iter().all(|path| path["state"] == "active" || path["state"] == "standby")
                && copy_over(&pair, 0).is_some()
        });
    }
    // Without copies the shortest silence after which a path is left is 60 ms, after which all starts anew.
    gaps.sort_unstable();
    assert!(gaps[0] <= GAP, "{gaps:?}");
    assert!(there.drain().is_empty(), "some came twice");
    assert_eq!(pair.routes(), routes, "a route was made anew");
}
