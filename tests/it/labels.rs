//! What operators file servers under, and say of them.

use serde_json::{Value, json};

use crate::accounts::{login, message};
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::with_both;

const SYSTEM: &str = "system_account: SYS\naccounts { SYS { users: [{ user: sys, password: sys }] } }";

fn server(program: Program, labels: &str) -> TestServer {
    TestServer::start(program, &format!("{SYSTEM}\n{labels}"))
}

/// Asks all servers for `name`, with these options; then asks again without any, so that there is always an answer.
/// Gives what came to the first question, and to the second.
fn ask(sys: &mut Raw, name: &str, options: &str) -> (Option<Value>, Value) {
    let subject = format!("$SYS.REQ.SERVER.PING{name}");
    sys.send(&format!("PUB {subject} _INBOX.first {}\r\n{options}\r\n", options.len()));
    sys.send(&format!("PUB {subject} _INBOX.second 0\r\n\r\n"));
    let mut first = None;
    loop {
        let (to, _, body) = message(sys);
        let answer = serde_json::from_str(&body).expect("answers are JSON");
        match to.as_str() {
            "_INBOX.first" => first = Some(answer),
            "_INBOX.second" => return (first, answer),
            _ => {}
        }
    }
}

fn labels_are_told(program: Program) {
    let server = server(program, "server_tags: [\"Region:EU\", fast, Fast]\nserver_metadata { Rack: \"7\" }");
    let mut sys = login(server.port, "sys");
    sys.send("SUB _INBOX.> 1\r\nSUB $SYS.ACCOUNT.*.CONNECT 2\r\n");
    let told = |server: &Value| (server["tags"].clone(), server["metadata"].clone());
    let expected = (json!(["region:eu", "fast"]), json!({"Rack": "7"}));
    let (_, varz) = ask(&mut sys, ".VARZ", "");
    assert_eq!(told(&varz["data"]), expected, "{varz}");
    assert_eq!(told(&varz["server"]), expected, "{varz}");
    let _another = login(server.port, "sys");
    let (to, _, event) = message(&mut sys);
    assert!(to.ends_with(".CONNECT"), "{to}");
    assert_eq!(told(&serde_json::from_str::<Value>(&event).expect("events are JSON")["server"]), expected, "{event}");
}

fn features_are_told(program: Program) {
    let server = server(program, "feature_flags { js_ack_fc_v2: true, js_raft_delete_range: false }");
    let mut sys = login(server.port, "sys");
    sys.send("SUB _INBOX.> 1\r\n");
    let (_, varz) = ask(&mut sys, ".VARZ", "");
    let expected = json!({
        "js_ack_fc_v2": true, "js_api_reply_v2": false, "js_raft_delete_range": false, "js_snapshot_sources": false
    });
    assert_eq!((&varz["data"]["feature_flags"], &varz["server"]["feature_flags"]), (&expected, &expected));
}

fn servers_are_meant_by_their_tags(program: Program) {
    let server = server(program, "server_tags: [\"region:eu\", fast]");
    let mut sys = login(server.port, "sys");
    sys.send("SUB _INBOX.> 1\r\n");
    for (options, meant) in [
        (r#"{"tags":["fast"]}"#, true),
        (r#"{"tags":["FAST","region:eu"]}"#, true),
        (r#"{"tags":["fast","region:us"]}"#, false),
        (r#"{"tags":["region"]}"#, false),
    ] {
        for name in ["", ".VARZ"] {
            assert_eq!(ask(&mut sys, name, options).0.is_some(), meant, "{name} {options}");
        }
    }
}

fn labels_change_at_a_reload(program: Program) {
    let mut server = server(program, "server_tags: old\nserver_metadata { a: b }");
    let mut sys = login(server.port, "sys");
    sys.send("SUB _INBOX.> 1\r\n");
    assert!(ask(&mut sys, "", r#"{"tags":["old"]}"#).0.is_some());
    server.reconfigure(&format!("{SYSTEM}\nserver_tags: [new]"));
    server.wait_for_line("Reloaded server configuration");
    let (old, now) = ask(&mut sys, "", r#"{"tags":["old"]}"#);
    assert_eq!(old, None);
    assert_eq!((&now["server"]["tags"], now["server"].get("metadata")), (&json!(["new"]), None), "{now}");
}

with_both!(labels_are_told, features_are_told, servers_are_meant_by_their_tags, labels_change_at_a_reload);
