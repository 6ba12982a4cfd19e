//! Links that carry less than their ASes announce, in an emulated network.

use natsd_lab::link::{Cut, LinkChange};
use serde_json::Value;

use crate::harness::client::Client;
use crate::harness::network::{Ground, Pair, wait_for};

/// Bytes of a message: it takes several full packets.
const SIZE: usize = 4000;

/// Messages from the first server to the second.
struct Bulk {
    publisher: Client,
    subscriber: Client,
    sent: usize,
}

impl Bulk {
    fn start(pair: &Pair) -> Self {
        let (mut publisher, mut subscriber) = (pair.client(0), pair.client(1));
        subscriber.subscribe("bulk", "1");
        subscriber.flush();
        publisher.wait_for_interest("bulk", true);
        Self { publisher, subscriber, sent: 0 }
    }

    /// Sends some, which come in order and once.
    fn exchange(&mut self, count: usize) {
        for number in self.sent..self.sent + count {
            self.publisher.publish("bulk", &format!("{number:0SIZE$}"));
        }
        self.publisher.flush();
        let numbers: Vec<_> = self.subscriber.take(count).iter().map(|message| message.payload.parse()).collect();
        assert_eq!(numbers, (self.sent..self.sent + count).map(Ok).collect::<Vec<_>>());
        self.sent += count;
    }
}

fn carry(pair: &Pair, link: &str, mtu: u16) {
    let change = LinkChange { mtu: Some(mtu), ..LinkChange::default() };
    pair.ground.engine.set(link, &change, None).expect("there is such a link");
}

/// The path over these interfaces, as the first server sees it.
fn path(pair: &Pair, interfaces: &[Value]) -> Value {
    let paths = pair.paths(0)["paths"].as_array().cloned().expect("paths");
    paths.into_iter().find(|path| path["interfaces"] == Value::from(interfaces)).expect("it is listed")
}

#[test]
fn where_no_path_carries_large_packets_smaller_ones_are_sent() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    goes_on_with_what_passes(&pair, &["a111", "b111", "peer"]);
}

/// These links, which all paths between the servers cross, carry less from now on: so much is sent, and no connection ends.
pub fn goes_on_with_what_passes(pair: &Pair, links: &[&str]) {
    const MTU: u16 = 1330;
    pair.settle();
    let (mut bulk, routes) = (Bulk::start(pair), pair.routes());
    bulk.exchange(100);
    links.iter().for_each(|link| carry(pair, link, MTU));
    wait_for("what passes is known of the path in use", || {
        bulk.exchange(1);
        path(pair, &pair.active(0))["measured"]["mtu"].is_number()
    });
    bulk.exchange(300);
    let active = path(pair, &pair.active(0));
    let mtu = active["measured"]["mtu"].as_u64().expect("a number");
    assert!((u64::from(MTU) - 16..=u64::from(MTU)).contains(&mtu), "{active}");
    assert!(active["mtu"].as_u64() > Some(mtu), "what is announced is told, too: {active}");
    let condition = active["condition"].as_str().expect("it is named");
    assert!(condition.starts_with(&format!("packets of more than {mtu} bytes are lost")), "{condition}");
    assert_eq!(pair.routes(), routes, "a route was made anew");
    let told = pair.read(0, "/pathz")["events"].as_array().cloned().expect("events");
    assert!(told.iter().any(|event| event["kind"] == "mtu"), "{told:?}");
}

#[test]
fn a_path_with_a_hole_is_left_and_stands_by_for_smaller_packets() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let (mut bulk, routes) = (Bulk::start(&pair), pair.routes());
    bulk.exchange(100);
    let direct = pair.active(0);
    carry(&pair, "peer", 1300);
    wait_for("the path with the hole is left and searched", || {
        bulk.exchange(1);
        pair.active(0) != direct && path(&pair, &direct)["measured"]["mtu"].is_number()
    });
    wait_for("it stands by", || path(&pair, &direct)["state"] == "standby");
    for link in ["a111", "b111"] {
        pair.ground.engine.cut(link, Cut::BlackHole, None).expect("there is such a link");
    }
    wait_for("it is used when no other works", || {
        bulk.exchange(1);
        pair.active(0) == direct
    });
    bulk.exchange(300);
    assert_eq!(pair.routes(), routes, "a route was made anew");
}
