//! How long services take that are asked at one server and answered at another, over routes and between clusters.

use serde_json::Value;

use crate::gateway::{self, Roles};
use crate::harness::client::Client;
use crate::harness::node::{Node, Setup};
use crate::harness::server::Program;

const ACCOUNTS: &str = "accounts { \
    GIVES: { users: [{ user: g, password: g }], exports: [{ service: help, latency: { sampling: 100, subject: took } }] }, \
    TAKES: { users: [{ user: t, password: t }], imports: [{ service: { account: GIVES, subject: help } }] }, \
    S: { users: [{ user: s, password: s }] } }\nsystem_account: S";

/// Each server knows its half: where it was asked, in all, and where it was answered, by whom and how long that took.
fn both_halves_are_told(asks: (u16, &str), answers: (u16, &str)) {
    let mut service = Client::connect_as(answers.0, "g");
    service.subscribe("help", "1");
    service.flush();
    let mut listener = Client::connect_as(asks.0, "g");
    listener.subscribe("took", "2");
    listener.flush();
    let mut client = Client::connect_as(asks.0, "t");
    client.wait_for_interest("help", true);
    // The servers know of each other's interest in their own account once what came later is known.
    listener.wait_for_interest("help", true);
    client.send("SUB answer 3\r\nPUB help answer 1\r\n?\r\n");
    let request = service.next();
    assert_eq!(request.payload, "?");
    service.publish(&request.reply.expect("an answer is wanted"), "!");
    assert_eq!(client.next().payload, "!");
    let report = loop {
        let report: Value = serde_json::from_str(&listener.next().payload).expect("JSON");
        // What the probes of this test asked was answered by nobody.
        if report["status"] == 200 {
            break report;
        }
    };
    assert_eq!(report["type"], "io.nats.server.metric.v1.service_latency", "{report}");
    assert_eq!((&report["requestor"]["acc"], &report["responder"]["acc"]), (&"TAKES".into(), &"GIVES".into()));
    assert_eq!(
        (&report["responder"]["server"], &report["responder"]["user"]),
        (&answers.1.into(), &"g".into()),
        "{report}"
    );
    let [service, system, total] = ["service", "system", "total"].map(|key| report[key].as_u64().expect(key));
    // A round trip of the connection is taken off the service's time, and may be all of it.
    assert!(total > 0 && total >= service && total >= system, "{report}");
    assert!(listener.drain().is_empty(), "it is told once");
}

fn over_a_route(programs: [Program; 2]) {
    let a = Node::start(programs[0], "a", Setup { more: ACCOUNTS, ..Setup::default() });
    let b = Node::start(programs[1], "b", Setup { routes: &[&a], more: ACCOUNTS, ..Setup::default() });
    both_halves_are_told((a.port, "a"), (b.port, "b"));
    both_halves_are_told((b.port, "b"), (a.port, "a"));
}

fn between_clusters(programs: [Program; 2]) {
    let roles = Roles { dials: programs[0], dialled: programs[1] };
    let pair = gateway::Setup { both: ACCOUNTS, ..gateway::Setup::default() }.start(roles);
    both_halves_are_told((pair.a.port, "a"), (pair.b.port, "b"));
    both_halves_are_told((pair.b.port, "b"), (pair.a.port, "a"));
}

#[test]
fn servers_of_natsd_tell_each_other_of_their_half() {
    over_a_route([Program::Natsd; 2]);
    between_clusters([Program::Natsd; 2]);
}

#[cfg(feature = "interop")]
#[test]
fn natsd_and_nats_server_tell_each_other_of_their_half_over_a_route() {
    over_a_route([Program::Natsd, Program::Go]);
}

#[cfg(feature = "interop")]
#[test]
fn natsd_and_nats_server_tell_each_other_of_their_half_between_clusters() {
    between_clusters([Program::Natsd, Program::Go]);
    between_clusters([Program::Go, Program::Natsd]);
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_does_the_same() {
    over_a_route([Program::Go; 2]);
    between_clusters([Program::Go; 2]);
}
