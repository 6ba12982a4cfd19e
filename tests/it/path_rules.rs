//! Rules for paths: what they exclude carries nothing.

use std::sync::Arc;
use std::time::Duration;

use natsd::config::options::Options;
use natsd_lab::link::{Cut, LinkChange};
use natsd_path::{Acl, Limits, Policy, Prices, Refinement, Rule, Rules, Tariff};
use serde_json::Value;

use crate::harness::network::{Ground, Pair, wait_for};
use crate::harness::server::natsd;

/// The link of the first AS to the second one.
const DIRECT: &str = "1-ff00:0:111#3";

fn acl(entries: &[&str]) -> Rules {
    Rules { strict: vec![Rule::Acl(Acl::new(entries).expect("an ACL"))], ..Rules::default() }
}

fn ruled(ground: &Ground, server: usize, rules: Rules) -> Options {
    let mut options = ground.options(server, "latency", false);
    let wishes = &mut options.scion.as_mut().expect("they speak SCION").wishes;
    wishes.policy = Policy::default().refined(&Refinement { rules, ..Refinement::default() });
    options
}

/// Both servers have the rules.
fn pair(rules: &Rules) -> Pair {
    let ground = Ground::emulated();
    let options = [0, 1].map(|server| ruled(&ground, server, rules.clone()));
    Pair::start_of(ground, options)
}

/// The interfaces by which the active path leaves the AS of a server, or nothing.
fn exit(pair: &Pair, server: usize) -> String {
    let active = pair.active(server);
    active.first().and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The rules that exclude paths of the first server.
fn excluded(pair: &Pair) -> Vec<String> {
    let paths = pair.paths(0)["paths"].as_array().cloned().unwrap_or_default();
    let excluded = paths.iter().filter(|path| path["state"] == "excluded");
    excluded.map(|path| path["why"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What is published at the first server reaches a client of the second one.
fn delivers(pair: &Pair) {
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("gov", "1");
    here.wait_for_interest("gov", true);
    here.publish("gov", "secret");
    assert_eq!(there.next().payload, "secret");
}

#[test]
fn an_excluded_link_is_not_used_even_when_all_others_are_cut() {
    let pair = pair(&acl(&[&format!("- {DIRECT}"), "+"]));
    pair.wait_for_routes();
    delivers(&pair);
    assert_ne!(exit(&pair, 0), DIRECT);
    assert_ne!(exit(&pair, 1), "1-ff00:0:112#3");
    assert_eq!(excluded(&pair), [format!("acl \"- {DIRECT}\" excludes {DIRECT}")]);
    assert_eq!(pair.paths(0)["rules"][0], format!("acl [\"- {DIRECT}\", \"+\"]"));

    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("held", "1");
    here.wait_for_interest("held", true);
    for link in ["a111", "b111"] {
        pair.ground.engine.cut(link, Cut::BlackHole, None).expect("there is such a link");
    }
    here.publish("held", "until there is a way");
    here.flush();
    wait_for("it is known that no path answers", || {
        let events = pair.read(0, "/pathz")["events"].as_array().cloned().unwrap_or_default();
        events.iter().any(|event| event["kind"] == "no_path")
    });
    assert_ne!(exit(&pair, 0), DIRECT);
    assert!(there.drain().is_empty(), "it went over the excluded link");
    for link in ["a111", "b111"] {
        pair.ground.engine.restore(link, None).expect("there is such a link");
    }
    assert_eq!(there.next().payload, "until there is a way");
}

#[test]
fn a_peer_that_no_path_may_lead_to_is_not_reached_until_the_rules_change() {
    let mut pair = pair(&acl(&["- 1-ff00:0:112#1", "- 1-ff00:0:112#2", "- 1-ff00:0:112#3", "+"]));
    wait_for("all are excluded", || excluded(&pair).len() == 7);
    assert_eq!(pair.read(0, "/routez")["num_routes"], 0);
    let events = pair.read(0, "/pathz")["events"].to_string();
    assert!(events.contains("the rules for paths exclude all 7 paths that there are"), "{events}");
    for server in [0, 1] {
        let free = ruled(&pair.ground, server, Rules::default());
        pair.reload(server, free);
    }
    pair.wait_for_routes();
    delivers(&pair);
    assert!(excluded(&pair).is_empty());
}

#[test]
fn rules_that_come_with_a_reload_move_the_traffic_and_keep_the_routes() {
    let mut pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    assert_eq!(exit(&pair, 0), DIRECT);
    let routes = pair.routes();
    for server in [0, 1] {
        let ruled = ruled(&pair.ground, server, acl(&["- 1-ff00:0:112#3", "+"]));
        pair.reload(server, ruled);
    }
    assert_ne!(exit(&pair, 0), DIRECT);
    delivers(&pair);
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn an_account_may_have_rules_of_its_own() {
    let ground = Ground::emulated();
    let options = [0, 1].map(|server| {
        let mut options = ground.options(server, "latency", false);
        options.cluster.as_mut().expect("they are clustered").accounts = vec!["GOV".into()];
        let rules = Rules { strict: acl(&[&format!("- {DIRECT}"), "+"]).strict, ..Rules::default() };
        let wishes = &mut options.scion.as_mut().expect("they speak SCION").wishes;
        wishes.accounts = [("GOV".to_owned(), Refinement { rules, ..Refinement::default() })].into();
        options
    });
    let pair = Pair::start_of(ground, options);
    let lane = |name: &str| {
        let peers = pair.read(0, "/pathz")["peers"].as_array().cloned().unwrap_or_default();
        peers.into_iter().find(|peer| peer["lane"].as_str().unwrap_or_default() == name)
    };
    let exit = |name: &str| {
        let peer = lane(name)?;
        let paths = peer["paths"].as_array()?;
        let active = paths.iter().find(|path| path["fingerprint"] == peer["active"])?;
        active["interfaces"][0].as_str().map(str::to_owned)
    };
    wait_for("the account has its lane", || exit("account GOV").is_some());
    assert_ne!(exit("account GOV").as_deref(), Some(DIRECT));
    wait_for("the others have the best path", || exit("").as_deref() == Some(DIRECT));
}

#[test]
fn a_path_beyond_a_limit_is_the_last_choice() {
    // 8 ms there and back over the link between the two.
    let limits = Limits { mtu: Some(1472), bandwidth: Some(30_000), ..Limits::default() };
    let pair = pair(&Rules { limits, ..Rules::default() });
    pair.settle();
    let paths = pair.paths(0)["paths"].as_array().cloned().expect("paths");
    let broken = |path: &Value| path["why"].as_str().is_some_and(|why| why.starts_with("breaks "));
    assert!(!broken(&paths[0]) && paths.iter().any(broken), "{paths:?}");
    delivers(&pair);
}

#[test]
fn what_a_path_costs_decides_and_is_told() {
    let ground = Ground::emulated();
    let options = [0, 1].map(|server| {
        let mut options = ruled(&ground, server, Rules::default());
        let policy = &mut options.scion.as_mut().expect("they speak SCION").wishes.policy;
        policy.preference = "cost,latency".parse().expect("a preference");
        let costs = Tariff::new(&[(DIRECT, 5), ("0-0", 1)]).expect("a table");
        policy.prices = Arc::new(Prices { cost: costs, ..Prices::default() });
        options
    });
    let mut pair = Pair::start_of(ground, options);
    pair.settle();
    delivers(&pair);
    for server in [0, 1] {
        wait_for("the dear link is left", || {
            !exit(&pair, server).is_empty() && !pair.active(server).contains(&DIRECT.into())
        });
    }
    let paths = pair.paths(0)["paths"].as_array().cloned().expect("paths");
    let direct = paths.iter().find(|path| path["interfaces"][0] == DIRECT).expect("it is listed");
    assert_eq!((&direct["cost"], &paths[0]["cost"], &direct["carbon"]), (&7.into(), &3.into(), &Value::Null));
    let why = direct["why"].as_str().unwrap_or_default();
    assert!(why.starts_with(&format!("cost 7 (costs: {DIRECT} 5, 0-0 1, 0-0 1), #")), "{why}");
    let routes = pair.routes();
    let far = LinkChange { latency: Some(Duration::from_millis(60)), ..LinkChange::default() };
    for link in ["a111", "b111"] {
        pair.ground.engine.set(link, &far, None).expect("there is such a link");
    }
    for server in [0, 1] {
        let free = ruled(&pair.ground, server, Rules::default());
        pair.reload(server, free);
    }
    wait_for("the shortest path is in use again", || exit(&pair, 0) == DIRECT);
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn rules_that_exclude_a_peer_itself_are_found_before_the_start() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("natsd.conf");
    let check = |rules: &str| {
        let text = format!(
            "cluster {{ name: c, routes: [\"nats-route://[2-ff00:0:210,10.0.0.5]:4248\"] }}\nscion {{ {rules} }}\n"
        );
        std::fs::write(&file, text).expect("a file");
        let output = natsd(&["-t", "-c", &file.display().to_string()]);
        (
            output.status.success(),
            String::from_utf8_lossy(&output.stderr).replace(&dir.path().display().to_string(), ""),
        )
    };
    assert!(check("acl: [\"- 3\", \"+\"], isds: [1, 2 ]").0);
    let refused =
        ["isds: 1", "acl: [\"- 2\", \"+\"]", "avoid: \"2-ff00:0:210\"", "destinations { \"2-0\" { isds: 3 } }"];
    let texts: Vec<_> = refused
        .map(check)
        .into_iter()
        .map(|(valid, text)| {
            assert!(!valid, "{text}");
            text
        })
        .collect();
    insta::assert_snapshot!(texts.concat());
}
