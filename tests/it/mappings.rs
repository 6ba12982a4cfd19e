//! Subject mappings, in natsd and in nats-server.

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};

const CONFIG: &str = r#"
mappings {
  foo: bar
  "a.*.*": "b.$2.{{wildcard(1)}}"
  "p.*": "q.{{partition(10,1)}}.{{split(1,-)}}"
  "all.>": "moved.>"
  "gone.*": [{ destination: "share.$1", weight: 0 }]
  "half.*": [{ destination: "left.$1", weight: 50 }, { destination: "right.$1", weight: "50%" }]
  "far.*": [{ destination: "near.$1", weight: 100, cluster: elsewhere }]
}
"#;

const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";

fn published_subjects_are_mapped(program: Program) {
    let server = TestServer::start(program, CONFIG);
    let mut client = Raw::connect(server.port);
    client.send(CONNECT);
    client.send("SUB > 1\r\n");
    let cases = [
        ("foo", "bar"),
        ("foo.x", "foo.x"),
        ("bar", "bar"),
        ("a.x.y", "b.y.x"),
        ("p.u-v", "q.1.u.v"),
        ("all.of.it", "moved.of.it"),
        ("gone.z", "gone.z"),
        ("far.z", "far.z"),
    ];
    for (published, heard) in cases {
        client.send(&format!("PUB {published} answer 1\r\nx\r\n"));
        client.expect(&format!("MSG {heard} 1 answer 1\r\nx\r\n"));
        client.send(&format!("HPUB {published} 12 13\r\nNATS/1.0\r\n\r\nx\r\n"));
        client.expect(&format!("HMSG {heard} 1 12 13\r\nNATS/1.0\r\n\r\nx\r\n"));
    }
    client.expect_nothing();
}

fn weights_share_messages_out(program: Program) {
    let server = TestServer::start(program, CONFIG);
    let mut client = Raw::connect(server.port);
    client.send(CONNECT);
    client.send("SUB > 1\r\n");
    let (mut left, mut right) = (0, 0);
    for _ in 0..200 {
        client.send("PUB half.z 0\r\n\r\n");
        match client.line().as_str() {
            "MSG left.z 1 0" => left += 1,
            "MSG right.z 1 0" => right += 1,
            other => panic!("{other}"),
        }
        client.expect("\r\n");
    }
    assert!(left > 50 && right > 50, "{left} to {right}");
}

fn a_mapped_request_without_responders_is_told_so(program: Program) {
    let server = TestServer::start(program, CONFIG);
    let mut client = Raw::connect(server.port);
    client.send(CONNECT);
    client.send("SUB inbox 1\r\nPUB foo inbox 1\r\nx\r\n");
    let header = client.line();
    assert!(header.starts_with("HMSG inbox 1 "), "{header}");
    client.expect("NATS/1.0 503\r\nNats-Subject: bar\r\n\r\n\r\n");
    client.expect_nothing();
}

#[test]
fn a_reload_changes_mappings_for_clients_that_are_there() {
    let mut server = TestServer::natsd("mappings { foo: bar }");
    let mut client = Raw::connect(server.port);
    client.send(CONNECT);
    client.send("SUB > 1\r\nPUB foo 1\r\nx\r\n");
    client.expect("MSG bar 1 1\r\nx\r\n");
    server.reconfigure("mappings { foo: [{ destination: baz, weight: 100 }] }");
    server.wait_for_line("Reloaded: mappings = foo: baz 100%");
    server.wait_for_line("Reloaded server configuration");
    client.send("PUB foo 1\r\nx\r\n");
    client.expect("MSG baz 1 1\r\nx\r\n");
}

fn permissions_are_for_what_a_subject_becomes(program: Program) {
    let users = "authorization { users: [{ user: u, password: p, permissions: { publish: bar } }] }";
    let server = TestServer::start(program, &format!("mappings {{ foo: bar, bar: baz }}\n{users}"));
    let mut client = Raw::connect(server.port);
    client.send("CONNECT {\"verbose\":false,\"user\":\"u\",\"pass\":\"p\"}\r\nSUB > 1\r\n");
    client.send("PUB foo 1\r\nx\r\n");
    client.expect("MSG bar 1 1\r\nx\r\n");
    client.send("PUB bar 1\r\nx\r\n");
    client.expect("-ERR 'Permissions Violation for Publish to \"baz\"'\r\n");
    client.expect_nothing();
}

/// In nats-server, chance decides.
#[test]
fn the_first_mapping_in_the_file_counts() {
    let server = TestServer::natsd("mappings { \"first.*\": x, \"first.second\": y }");
    let mut client = Raw::connect(server.port);
    client.send(CONNECT);
    client.send("SUB > 1\r\nPUB first.second 1\r\nx\r\n");
    client.expect("MSG x 1 1\r\nx\r\n");
}

#[test]
fn natsd_maps_subjects() {
    published_subjects_are_mapped(Program::Natsd);
    weights_share_messages_out(Program::Natsd);
    a_mapped_request_without_responders_is_told_so(Program::Natsd);
    permissions_are_for_what_a_subject_becomes(Program::Natsd);
}

#[cfg(feature = "interop")]
#[test]
fn so_does_nats_server() {
    published_subjects_are_mapped(Program::Go);
    weights_share_messages_out(Program::Go);
    a_mapped_request_without_responders_is_told_so(Program::Go);
    permissions_are_for_what_a_subject_becomes(Program::Go);
}
