//! Clients and servers that read too slowly; natsd and nats-server.

use crate::harness::node::{Node, Setup};
use crate::harness::peer::Peer;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::harness::with_both;

const MESSAGE: usize = 1 << 20;
const MESSAGES: usize = 32;

/// More than the kernel takes for a client that does not read.
fn flood(publisher: &mut Raw) {
    let payload = "x".repeat(MESSAGE);
    for _ in 0..MESSAGES {
        publisher.send(&format!("PUB flood {MESSAGE}\r\n{payload}\r\n"));
    }
    publisher.expect_pong();
}

fn with_policy(program: Program, policy: &str) -> (TestServer, Raw) {
    let server =
        TestServer::start(program, &format!("write_deadline: \"1s\"\nno_sublist_cache: true\ndebug: true\n{policy}"));
    let (mut slow, mut publisher) = (server.client(), server.client());
    slow.send("SUB flood 1\r\n");
    slow.expect_pong();
    flood(&mut publisher);
    (server, slow)
}

fn a_client_that_reads_something_may_stay(program: Program) {
    let (mut server, mut slow) = with_policy(program, "write_timeout: retry");
    let line = server.wait_for_line("Slow Consumer Detected: WriteDeadline of 1s exceeded with ");
    assert!(line.ends_with(" total bytes."), "{line}");
    let mut taken = slow.take(4 * MESSAGE).len();
    server.wait_for_line("Slow Consumer State: WriteDeadline of 1s exceeded with ");
    let whole = MESSAGES * (format!("MSG flood 1 {MESSAGE}\r\n\r\n").len() + MESSAGE);
    taken += slow.take(whole - taken).len();
    assert_eq!(taken, whole);
    slow.send("PING\r\n");
    while slow.line() != "PONG" {}
    server.wait_for_line("Slow Consumer Recovered: Flush took ");
}

fn a_client_that_reads_nothing_is_cut_off(program: Program) {
    let (mut server, slow) = with_policy(program, "write_timeout: retry");
    server.wait_for_line("Slow Consumer (Write Deadline)");
    drop(slow);
}

fn a_client_is_cut_off_at_once_by_default(program: Program) {
    for policy in ["", "write_timeout: close", "write_timeout: default"] {
        let (mut server, mut slow) = with_policy(program, policy);
        server.wait_for_line("Slow Consumer Detected: WriteDeadline of 1s exceeded with ");
        server.wait_for_line("Slow Consumer (Write Deadline)");
        assert!(slow.drain() < MESSAGES * MESSAGE);
    }
}

fn routes_have_a_deadline_of_their_own(program: Program) {
    for policy in ["", "write_timeout: close"] {
        let cluster = format!("write_deadline: \"1s\"\n{policy}");
        let node = Node::start(program, "a", Setup { cluster: &cluster, ..Setup::default() });
        let mut slow = Peer::join(node.route_port, "f");
        slow.send("RS+ $G flood\r\n");
        slow.said();
        let mut publisher = Raw::connect(node.port);
        publisher.send("CONNECT {\"verbose\":false,\"pedantic\":false}\r\n");
        flood(&mut publisher);
        let logs = |what: &str| node.log().contains(what).then_some(());
        wait_for("a slow consumer", || logs("Slow Consumer Detected: WriteDeadline of 1s exceeded with "));
        if policy.is_empty() {
            assert!(slow.read_some(4 * MESSAGE));
            wait_for("it to be slow still", || logs("Slow Consumer State: "));
            assert!(slow.read_some((MESSAGES - 4) * MESSAGE));
        } else {
            assert!(!slow.read_some(MESSAGES * MESSAGE));
        }
    }
}

with_both!(
    a_client_that_reads_something_may_stay,
    a_client_that_reads_nothing_is_cut_off,
    a_client_is_cut_off_at_once_by_default,
    routes_have_a_deadline_of_their_own,
);
