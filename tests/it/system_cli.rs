//! The NATS CLI asks natsd, a cluster of natsd, and one of both makes, and finds what it finds at nats-server.

use std::path::PathBuf;
use std::process::Command;

use crate::accounts::login;
use crate::harness::node::Kind::{self, Go, Natsd};
use crate::harness::node::{Node, Setup};
use crate::harness::raw::Raw;
use crate::harness::server::wait_for;

const ACCOUNTS: &str = r#"
system_account: SYS
accounts {
  SYS { users: [{ user: sys, password: sys }] }
  A { users: [{ user: a, password: a }] }
}
"#;

/// `nats` from `PATH`.
fn nats() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join("nats")).find(|program| program.is_file());
    found.expect("this test needs the NATS CLI: run .ci/test, which installs it")
}

/// What the program prints, if it succeeds.
fn run(node: &Node, user: &str, args: &[&str]) -> Result<String, String> {
    let server = format!("nats://127.0.0.1:{}", node.port);
    let output = Command::new(nats())
        .args(["--no-context", "--server", &server, "--user", user, "--password", user, "--timeout", "5s"])
        .args(args)
        .output()
        .expect("nats runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let printed = text(&output.stdout) + &text(&output.stderr);
    if output.status.success() { Ok(printed) } else { Err(printed) }
}

/// Runs the program until it prints all of `expected`: servers have to hear of each other first.
fn finds(node: &Node, user: &str, args: &[&str], expected: &[&str]) {
    wait_for(&format!("nats {args:?} to print {expected:?}"), || {
        let printed = run(node, user, args).unwrap_or_else(|printed| {
            eprintln!("nats {args:?} failed: {printed}");
            String::new()
        });
        expected.iter().all(|text| printed.contains(text)).then_some(())
    });
}

fn the_cli_works(kinds: &[Kind]) {
    let mut nodes: Vec<Node> = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let routes: Vec<_> = nodes.iter().collect();
        nodes.push(Node::start(
            *kind,
            &format!("s{at}"),
            Setup { routes: &routes, more: ACCOUNTS, ..Setup::default() },
        ));
    }
    let names: Vec<_> = nodes.iter().map(|node| node.name.as_str()).collect();
    let _client = login(nodes[0].port, "a");
    let _told: Vec<_> = nodes.iter().map(subscribed).collect();
    for node in &nodes {
        finds(node, "sys", &["server", "list"], &names);
        finds(node, "sys", &["server", "info", &node.name], &["Auth Required: true", "Connection Details"]);
        finds(node, "sys", &["server", "report", "connections"], &["Connections per server", " A ", "s0"]);
        finds(node, "sys", &["server", "report", "accounts"], &["Accounts Overview", " A ", " SYS "]);
        finds(node, "sys", &["server", "check", "connection"], &["OK Connection"]);
        finds(node, "sys", &["server", "check", "server", "--name", &node.name], &["OK s"]);
        for what in ["variables", "connections", "subscriptions", "routes", "accounts"] {
            finds(node, "sys", &["server", "request", what], &["\"server\"", "\"data\"", "\"s0\""]);
        }
        finds(node, "a", &["account", "info"], &["User: a", "Account: A", "JetStream is not supported"]);
        finds(node, "a", &["rtt"], &["nats://127.0.0.1"]);
        // All servers hear of it, wherever it is asked, and tell their part.
        let router = if kinds.len() > 1 { "Router: 1" } else { "Client: " };
        finds(node, "a", &["trace", "told.x"], &["Client \"told\"", "subject:\"told.*\"", "Egress Count", router]);
    }
}

/// A client called `told`.
fn subscribed(node: &Node) -> Raw {
    let mut raw = Raw::connect(node.port);
    raw.send("CONNECT {\"verbose\":false,\"name\":\"told\",\"user\":\"a\",\"pass\":\"a\"}\r\nSUB told.* 1\r\n");
    raw.expect_pong();
    raw
}

#[test]
fn on_one_natsd() {
    the_cli_works(&[Natsd]);
}

#[test]
fn on_two_natsd() {
    the_cli_works(&[Natsd, Natsd]);
}

#[test]
fn on_natsd_and_nats_server() {
    the_cli_works(&[Natsd, Go]);
}

#[test]
fn on_one_nats_server() {
    the_cli_works(&[Go]);
}
