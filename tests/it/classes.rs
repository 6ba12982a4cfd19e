//! Messages that take paths of their own, by their subjects.

use std::collections::{BTreeMap, BTreeSet};

use natsd::config::options::Options;
use natsd_lab::link::{Cut, LinkChange};
use natsd_path::{Acl, Class, Refinement, Rule, Rules};
use serde_json::Value;

use crate::harness::client::{Client, Delivery};
use crate::harness::network::{Ground, Pair, wait_for};

/// The link of the first AS to the second one, over which the path of the least latency goes, and where it ends.
const DIRECT: [&str; 2] = ["1-ff00:0:111#3", "1-ff00:0:112#3"];

fn acl(entries: &[&str]) -> Refinement {
    let strict = vec![Rule::Acl(Acl::new(entries).expect("an ACL"))];
    Refinement { rules: Rules { strict, ..Rules::default() }, ..Refinement::default() }
}

/// Two servers that wish for this, by subject.
fn pair(subjects: &[(&str, Refinement)]) -> Pair {
    let ground = Ground::emulated();
    let options = [0, 1].map(|server| wishing(&ground, server, subjects));
    Pair::start_of(ground, options)
}

fn wishing(ground: &Ground, server: usize, subjects: &[(&str, Refinement)]) -> Options {
    let mut options = ground.options(server, "latency", false);
    let named = subjects.iter().map(|(pattern, wanted)| ((*pattern).to_owned(), wanted.clone().into()));
    options.scion.as_mut().expect("they speak SCION").wishes.subjects = named.collect();
    options
}

fn wait_for_connections(pair: &Pair, count: u64) {
    for server in [0, 1] {
        wait_for("all connections are there", || pair.read(server, "/routez")["num_routes"] == count);
    }
}

/// What left a server by the connections that are for some subjects alone, by their pattern, and by all others.
fn sent(pair: &Pair, server: usize) -> BTreeMap<String, u64> {
    let mut sent = BTreeMap::new();
    for route in pair.read(server, "/routez")["routes"].as_array().expect("a list") {
        let pattern = route["subjects"].as_str().unwrap_or_default().to_owned();
        *sent.entry(pattern).or_default() += route["out_msgs"].as_u64().expect("a number");
    }
    sent
}

/// What one lane to the other server has.
fn lane(pair: &Pair, server: usize, name: &str) -> Value {
    let peers = pair.read(server, "/pathz")["peers"].as_array().cloned().unwrap_or_default();
    peers.into_iter().find(|peer| peer["lane"].as_str().unwrap_or_default() == name).unwrap_or_default()
}

/// The interface by which the active path of a lane leaves the AS of a server.
fn exit(pair: &Pair, server: usize, name: &str) -> Option<String> {
    let lane = lane(pair, server, name);
    let paths = lane["paths"].as_array().cloned()?;
    let active = paths.iter().find(|path| path["fingerprint"] == lane["active"])?;
    active["interfaces"][0].as_str().map(str::to_owned)
}

fn copies(pair: &Pair, server: usize, name: &str) -> bool {
    let paths = lane(pair, server, name)["paths"].as_array().cloned().unwrap_or_default();
    paths.iter().any(|path| path["why"].as_str().is_some_and(|why| why.ends_with("carries a copy of all traffic")))
}

fn redundant() -> Refinement {
    Refinement { redundant: Some(true), ..Refinement::default() }
}

#[test]
fn each_class_of_messages_has_a_connection_and_a_path_of_its_own() {
    let pair = pair(&[("bulk.>", acl(&[&format!("- {}", DIRECT[0]), "+"])), ("orders.>", redundant())]);
    wait_for_connections(&pair, 5);
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe(">", "all");
    there.subscribe_queue("orders.*", "workers", "queue");
    here.wait_for_interest("orders.1", true);
    wait_for("bulk has a path", || exit(&pair, 0, "subjects bulk.>").is_some());
    wait_for("orders have two", || copies(&pair, 0, "subjects orders.>") && copies(&pair, 1, "subjects orders.>"));
    let before = sent(&pair, 0);
    for number in 0..100 {
        for subject in ["bulk.a", "orders.1", "other"] {
            here.publish(subject, &number.to_string());
        }
    }
    let got = there.take(400);
    let of = |sid: &str, subject: &str| {
        let fits = |got: &&Delivery| (&*got.sid, &*got.subject) == (sid, subject);
        got.iter().filter(fits).map(|got| got.payload.clone()).collect::<Vec<_>>()
    };
    let all: Vec<_> = (0..100).map(|number| number.to_string()).collect();
    for (sid, subject) in [("all", "bulk.a"), ("all", "orders.1"), ("all", "other"), ("queue", "orders.1")] {
        assert_eq!(of(sid, subject), all, "{sid} got {subject} once and in order");
    }
    let after = sent(&pair, 0);
    let carried: Vec<_> = ["", "bulk.>", "orders.>"].map(|class| after[class] - before[class]).into();
    assert_eq!(carried, [100, 100, 100]);
    assert_ne!(exit(&pair, 0, "subjects bulk.>").as_deref(), Some(DIRECT[0]));
    wait_for("all else is on the best path", || exit(&pair, 0, "").as_deref() == Some(DIRECT[0]));
    assert!(!copies(&pair, 0, "") && !copies(&pair, 0, "subjects bulk.>"), "only orders are doubled");
}

#[test]
fn requests_are_answered_across_classes() {
    let pair = pair(&[("_INBOX.>", redundant()), ("service.*", Refinement::default())]);
    wait_for_connections(&pair, 5);
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    here.subscribe("_INBOX.1", "inbox");
    there.subscribe_queue("service.a", "group", "service");
    here.wait_for_interest("service.a", true);
    there.wait_for_interest("_INBOX.1", true);
    for number in 0..20 {
        here.request("service.a", "_INBOX.1", &number.to_string());
        let question = there.next();
        assert_eq!((&*question.payload, question.reply.as_deref()), (&*number.to_string(), Some("_INBOX.1")));
        there.publish("_INBOX.1", &question.payload);
        assert_eq!(here.next().payload, number.to_string());
    }
    assert!(sent(&pair, 0)["service.*"] >= 20 && sent(&pair, 1)["_INBOX.>"] >= 20);
}

#[test]
fn what_must_not_take_other_paths_waits_while_all_else_goes_on() {
    let only_direct = [acl(&[&format!("+ {}", DIRECT[0]), &format!("+ {}", DIRECT[1]), "-"])];
    let pair = pair(&[("gov.>", only_direct[0].clone())]);
    wait_for_connections(&pair, 4);
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe(">", "all");
    here.wait_for_interest("gov.a", true);
    pair.ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
    here.publish("gov.a", "first");
    here.publish("free", "1");
    assert_eq!(there.next().payload, "1", "which another path carries");
    for number in 0..50 {
        here.publish("free", &number.to_string());
        assert_eq!(there.next().payload, number.to_string());
    }
    pair.ground.engine.restore("peer", None).expect("there is such a link");
    assert_eq!(there.next().payload, "first", "it waited for the path that it may take");
    let peer = lane(&pair, 0, "subjects gov.>");
    let states: Vec<_> = peer["paths"].as_array().expect("a list").iter().map(|path| path["state"].clone()).collect();
    assert!(states.iter().any(|state| state == "excluded"), "{states:?}");
}

#[test]
fn what_must_not_take_other_paths_goes_to_no_server_that_does_not_know_the_class() {
    let ground = Ground::emulated();
    let strict = [("gov.>", acl(&[&format!("- {}", DIRECT[0]), "+"]))];
    let mut options = [wishing(&ground, 0, &strict), ground.options(1, "latency", false)];
    let mut pair = Pair::start_of(ground, options.clone());
    pair.wait_for_routes();
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe(">", "all");
    here.wait_for_interest("free", true);
    assert!(!here.sees_interest("gov.a"), "a request hears that nobody may be asked");
    here.publish("gov.a", "secret");
    here.publish("free", "1");
    assert_eq!(there.next().payload, "1");

    options[1].scion.as_mut().expect("they speak SCION").wishes.subjects =
        options[0].scion.as_ref().expect("they speak SCION").wishes.subjects.clone();
    pair.reload(1, options[1].clone());
    wait_for_connections(&pair, 4);
    here.wait_for_interest("gov.a", true);
    here.publish("gov.a", "for you");
    let got = std::iter::repeat_with(|| there.next()).find(|got| got.subject == "gov.a").expect("it comes");
    assert_eq!(got.payload, "for you");
}

/// Two servers with three connections for `bulk`, each on a path apart that carries 16 Mbit/s.
fn pair_with_spread() -> Pair {
    let ground = Ground::emulated();
    let limit = LinkChange { bandwidth_bps: Some(16_000_000), ..LinkChange::default() };
    for link in ["peer", "a111", "b111"] {
        ground.engine.set(link, &limit, None).expect("there is such a link");
    }
    let bulk = [("bulk".to_owned(), Class { wanted: Refinement::default(), spread: 3 })];
    let options = [0, 1].map(|server| {
        let mut options = ground.options(server, "latency", false);
        options.scion.as_mut().expect("they speak SCION").wishes.subjects = bulk.clone().into();
        options
    });
    let pair = Pair::start_of(ground, options);
    wait_for_connections(&pair, 6);
    let lanes = ["subjects bulk", "subjects bulk, lane 1", "subjects bulk, lane 2"];
    wait_for("all lanes are apart", || {
        lanes.iter().filter_map(|name| exit(&pair, 0, name)).collect::<BTreeSet<_>>().len() == 3
    });
    pair
}

/// What the connections of `bulk` have sent.
fn shares(pair: &Pair) -> Vec<u64> {
    let routes = pair.read(0, "/routez")["routes"].as_array().cloned().expect("a list");
    let bulk = routes.iter().filter(|route| route["subjects"] == "bulk");
    bulk.map(|route| route["out_msgs"].as_u64().expect("a number")).collect()
}

/// Publishes so many messages of 4 KiB that say their number first.
fn publish_bulk(client: &mut Client, numbers: std::ops::Range<usize>) {
    for number in numbers {
        client.publish("bulk", &format!("{number:04096}"));
    }
}

fn numbers(got: &[Delivery]) -> impl Iterator<Item = usize> {
    got.iter().map(|got| got.payload.parse::<usize>().expect("its number"))
}

#[test]
fn the_messages_of_one_publisher_take_all_paths_at_once_and_come_in_order() {
    let pair = pair_with_spread();
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("bulk", "1");
    here.wait_for_interest("bulk", true);
    let before = shares(&pair);
    publish_bulk(&mut here, 0..2000);
    assert!(numbers(&there.take(2000)).eq(0..2000), "each comes once and in order");
    let shares: Vec<_> = shares(&pair).iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(shares.iter().sum::<u64>(), 2000);
    assert!(shares.iter().all(|share| *share > 200), "each path carries some: {shares:?}");
}

#[test]
fn order_is_kept_when_one_of_the_paths_dies() {
    let pair = pair_with_spread();
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("bulk", "1");
    here.wait_for_interest("bulk", true);
    publish_bulk(&mut here, 0..1000);
    let mut got = there.take(300);
    pair.ground.engine.cut("a111", Cut::BlackHole, None).expect("there is such a link");
    publish_bulk(&mut here, 1000..2000);
    got.extend(there.take(2000 - got.len()));
    assert!(numbers(&got).eq(0..2000), "nothing is lost, and nothing overtakes");
}

#[test]
fn what_a_connection_takes_along_when_it_ends_is_not_waited_for() {
    let mut pair = pair_with_spread();
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    there.subscribe("bulk", "1");
    here.wait_for_interest("bulk", true);
    publish_bulk(&mut here, 0..500);
    there.take(100);
    let ground = &pair.ground;
    let options = ground.options(1, "latency", false);
    pair.reload(1, options);
    wait_for_connections(&pair, 3);
    here.wait_for_interest("bulk", true);
    here.publish("bulk", "last");
    let got = std::iter::repeat_with(|| there.next().payload).take_while(|payload| payload != "last");
    assert!(got.filter_map(|payload| payload.parse::<usize>().ok()).is_sorted());
}
