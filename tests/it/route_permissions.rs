//! What may pass between servers; natsd and nats-server, alone and together.

use serde_json::json;

use crate::harness::node::{Kind, Node, Setup};
use crate::harness::peer::Peer;
use crate::harness::server::Program;
use crate::harness::with_both;

const RULES: &str =
    r#"permissions { import { allow: ["i.>", both], deny: "i.not" }, export: ["e.>", both, "_probe"] }"#;

fn server(kind: Kind, cluster: &str) -> Node {
    Node::start(kind, "a", Setup { cluster, ..Setup::default() })
}

fn peers_are_told_the_rules_and_of_what_is_imported(kind: Program) {
    let node = server(kind, RULES);
    let mut client = node.client();
    client.send("SUB i.before 1\r\nSUB e.before 2\r\n");
    client.flush();
    let mut peer = Peer::connect(node.route_port);
    assert_eq!(peer.info["import"], json!({"allow": ["i.>", "both"], "deny": ["i.not"]}));
    assert_eq!(peer.info["export"], json!({"allow": ["e.>", "both", "_probe"]}));
    peer.introduce("f", "");
    assert_eq!(peer.said(), ["RS+ $G i.before"]);
    client.send("SUB i.x q 3\r\nSUB both 4\r\nSUB i.not 5\r\nSUB e.x 6\r\nSUB > 7\r\nSUB i.> 8\r\n");
    client.flush();
    let mut told = peer.said();
    told.sort();
    assert_eq!(told, ["RS+ $G both", "RS+ $G i.>", "RS+ $G i.x q 1"]);
    client.send("UNSUB 3\r\nUNSUB 6\r\n");
    client.flush();
    assert_eq!(peer.said(), ["RS- $G i.x q"]);
}

fn only_what_is_exported_goes_out(kind: Program) {
    let node = server(kind, r#"permissions { export { allow: ["e.>", both], deny: "e.not" } }"#);
    let mut peer = Peer::join(node.route_port, "f");
    peer.send("RS+ $G e.>\r\nRS+ $G both\r\nRS+ $G i.x\r\nRS+ $G >\r\nRS+ $G e.not\r\nRS+ $G e.q q 1\r\n");
    peer.said();
    let mut client = node.client();
    for (subject, expected) in [("e.x", true), ("both", true), ("i.x", false), ("other", false)] {
        assert_eq!(client.sees_interest(subject), expected, "{subject}");
    }
    peer.said();
    client.send("PUB e.x 1\r\n1\r\nPUB i.x 1\r\n2\r\nPUB e.not 1\r\n3\r\nPUB both 1\r\n4\r\nPUB e.q 1\r\n5\r\n");
    client.flush();
    let mut said = peer.said();
    said.retain(|line| !line.starts_with("RS"));
    assert_eq!(said, ["RMSG $G e.x 1", "1", "RMSG $G both 1", "4", "RMSG $G e.q | q 1", "5"]);
}

fn other_rules_hold_at_once(kind: Program) {
    let node = server(kind, RULES);
    let mut peer = Peer::join(node.route_port, "f");
    let mut client = node.client();
    client.send("SUB i.x 1\r\nSUB e.x q 2\r\nSUB both 3\r\n");
    client.flush();
    peer.send("RS+ $G i.y\r\nRS+ $G e.y\r\nRS+ $G both\r\n");
    let mut told = peer.said();
    told.sort();
    assert_eq!(told, ["RS+ $G both", "RS+ $G i.x"]);
    assert!(client.sees_interest("e.y") && !client.sees_interest("i.y"));
    peer.said();

    node.reload(RULES, r#"permissions { import: ["e.>", both], export: ["i.>", both] }"#);
    let mut told = peer.said();
    told.sort();
    // nats-server leaves out how many members the group has.
    let told: Vec<_> = told.iter().map(|line| line.trim_end_matches([' ', '1'])).collect();
    assert_eq!(told, ["RS+ $G e.x q", "RS- $G i.x"]);
    // It is told beside the interest, before or after.
    peer.wait_for_info(|info| info["import"] == json!({"allow": ["e.>", "both"]}));
    assert!(!client.sees_interest("e.y") && client.sees_interest("both"));
    // The peer hears that it may tell again what was not heeded.
    peer.send("RS+ $G i.y\r\n");
    peer.said();
    assert!(client.sees_interest("i.y"));

    node.reload("permissions { import: [\"e.>\", both], export: [\"i.>\", both] }", "");
    let told = peer.said();
    assert!(told.contains(&"RS+ $G i.x".to_owned()) && !told.iter().any(|line| line.contains(" both")), "{told:?}");
    peer.wait_for_info(|info| (info.get("import"), info.get("export")) == (None, None));
}

/// A peer that heeds other interest than before is told all of it once more.
fn interest_is_told_again_to_who_heeds_more(kind: Program) {
    let node = server(kind, "");
    let mut client = node.client();
    client.send("SUB foo 1\r\n");
    client.flush();
    let mut peer = Peer::connect(node.route_port);
    peer.introduce("f", "");
    peer.said();
    peer.send("INFO {\"server_id\":\"Nf\",\"server_name\":\"f\",\"proto\":2,\"export\":{\"allow\":[\"bar\"]}}\r\n");
    peer.said();
    peer.send("INFO {\"server_id\":\"Nf\",\"server_name\":\"f\",\"proto\":2,\"export\":{\"allow\":[\"foo\"]}}\r\n");
    assert!(peer.said().contains(&"RS+ $G foo".to_owned()));
}

with_both!(
    peers_are_told_the_rules_and_of_what_is_imported,
    only_what_is_exported_goes_out,
    other_rules_hold_at_once,
    interest_is_told_again_to_who_heeds_more,
);

/// A message may come of a subscription that is wider than what is imported.
#[test]
fn what_is_not_imported_is_not_taken_either() {
    let node = server(Program::Natsd, "permissions { import { deny: \"i.not\" } }");
    let mut peer = Peer::join(node.route_port, "f");
    let mut client = node.client();
    client.subscribe(">", "1");
    client.flush();
    assert!(peer.said().contains(&"RS+ $G >".to_owned()));
    peer.send("RMSG $G i.not 1\r\n1\r\nRMSG $G i.not 1\r\n2\r\nRMSG $G i.not 1\r\n3\r\nRMSG $G i.x 1\r\n4\r\n");
    peer.said();
    assert_eq!(client.next().payload, "4");
    assert_eq!(client.drain(), []);
    node.reload("deny: \"i.not\"", "deny: other");
    peer.send("RMSG $G i.not 1\r\n5\r\n");
    peer.said();
    assert_eq!(client.next().payload, "5");
}

/// Of two servers the first one says what may pass.
fn rules_hold_between(kinds: [Kind; 2]) {
    let a = server(kinds[0], "permissions { import: [\"in\", m1, m3, m4], export: [\"out\", m2, later] }");
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], ..Setup::default() });
    let (mut at_a, mut at_b) = (a.client(), b.client());
    at_a.send("SUB in 1\r\nSUB other 2\r\nSUB m1 3\r\n");
    at_b.send("SUB out 1\r\nSUB in 2\r\nSUB new 3\r\nSUB m2 4\r\n");
    at_a.flush();
    at_b.flush();
    at_a.wait_for_interest("m2", true);
    at_b.wait_for_interest("m1", true);
    assert!(at_a.sees_interest("out") && !at_a.sees_interest("new"));
    assert!(at_b.sees_interest("in") && !at_b.sees_interest("other"));
    at_b.publish("in", "x");
    assert_eq!(at_a.next().payload, "x");

    a.reload("export: [\"out\", m2, later]", "export: [new, later]");
    at_a.wait_for_interest("new", true);
    at_a.wait_for_interest("out", false);
    a.reload("import: [\"in\", m1, m3, m4]", "import: [other]");
    at_b.wait_for_interest("other", true);
    at_b.send("UNSUB 2\r\n");
    at_b.flush();
    at_b.wait_for_interest("in", false);
}

#[test]
fn rules_hold_between_servers() {
    rules_hold_between([Program::Natsd; 2]);
}

#[cfg(feature = "interop")]
#[test]
fn rules_hold_between_natsd_and_nats_server() {
    use Program::{Go, Natsd};
    for kinds in [[Natsd, Go], [Go, Natsd], [Go, Go]] {
        rules_hold_between(kinds);
    }
}
