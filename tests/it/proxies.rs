//! Proxies that vouch for clients behind them; natsd and nats-server.

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::harness::http;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::with_both;

/// The configuration of a server that trusts the proxies with these keys.
fn trusting(keys: &[&KeyPair], more: &str) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("{{ key: {} }}", key.public_key())).collect();
    format!("http: \"127.0.0.1:-1\"\nproxies {{ trusted: [{}] }}\n{more}", keys.join(", "))
}

fn documents(server: &TestServer, path: &str) -> Value {
    let monitor = server.log().iter().find(|line| line.contains("Starting http monitor on ")).expect("it is on");
    let port = monitor.rsplit_once(':').expect("host:port").1.parse().expect("a port");
    http::json(port, path)
}

/// Says `CONNECT` with what `proxy` signed, and gives the first line of the answer.
fn connect(server: &TestServer, proxy: Option<&KeyPair>, who: &str) -> (Raw, String) {
    let mut raw = server.connect();
    let nonce = raw.info["nonce"].as_str().unwrap_or_default().to_owned();
    let signed = proxy.map(|key| BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()).expect("a pair signs")));
    let proxy = signed.map(|signature| format!(",\"proxy_sig\":\"{signature}\"")).unwrap_or_default();
    raw.send(&format!("CONNECT {{\"verbose\":false,\"pedantic\":false{who}{proxy}}}\r\nPING\r\n"));
    let line = raw.line();
    (raw, line)
}

const REFUSED: &str = "-ERR 'Authorization Violation'";
const USERS: &str = r#"authorization { users: [
  { user: free, password: pw }, { user: bound, password: pw, proxy_required: true }
] }"#;

fn some_users_come_by_a_proxy_alone(program: Program) {
    let (proxy, other, stranger) = (KeyPair::new_user(), KeyPair::new_server(), KeyPair::new_user());
    let server = TestServer::start(program, &trusting(&[&proxy, &other], USERS));
    let (free, bound) = (",\"user\":\"free\",\"pass\":\"pw\"", ",\"user\":\"bound\",\"pass\":\"pw\"");
    let wrong = ",\"user\":\"bound\",\"pass\":\"px\"";
    for (by, who, expected) in [
        (None, free, "PONG"),
        (Some(&proxy), free, "PONG"),
        (Some(&stranger), free, REFUSED),
        (None, bound, REFUSED),
        (Some(&proxy), bound, "PONG"),
        (Some(&other), bound, "PONG"),
        (Some(&stranger), bound, REFUSED),
        (Some(&proxy), wrong, REFUSED),
    ] {
        assert_eq!(connect(&server, by, who).1, expected, "{program:?} {} {who}", by.is_some());
    }
    let all = documents(&server, "/connz?state=closed&auth=1");
    let all: Vec<_> = all["connections"].as_array().expect("a list").iter().map(|c| c["reason"].clone()).collect();
    for reason in ["Proxy Not Trusted", "Proxy Required", "Authentication Failure"] {
        assert!(all.contains(&json!(reason)), "{program:?}: {all:?}");
    }
    let (_stays, line) = connect(&server, Some(&proxy), bound);
    assert_eq!(line, "PONG");
    let open = documents(&server, "/connz?auth=1");
    assert_eq!(open["connections"][0]["proxy"], json!({"key": proxy.public_key()}), "{program:?}: {open}");
    let trusted = json!([{"key": proxy.public_key()}, {"key": other.public_key()}]);
    assert_eq!(documents(&server, "/varz")["proxies"]["trusted"], trusted);
}

fn a_single_user_may_have_to_come_by_a_proxy(program: Program) {
    let (proxy, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    for (block, who) in
        [("user: u, password: pw", ",\"user\":\"u\",\"pass\":\"pw\""), ("token: pw", ",\"auth_token\":\"pw\"")]
    {
        let server = TestServer::start(
            program,
            &trusting(&[&proxy], &format!("authorization {{ {block}, proxy_required: true }}")),
        );
        assert_eq!(connect(&server, None, who).1, REFUSED, "{program:?} {block}");
        assert_eq!(connect(&server, Some(&stranger), who).1, REFUSED, "{program:?} {block}");
        assert_eq!(connect(&server, Some(&proxy), who).1, "PONG", "{program:?} {block}");
    }
}

fn signatures_are_looked_at_where_everybody_may_come(program: Program) {
    let (proxy, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let server = TestServer::start(program, &trusting(&[&proxy], ""));
    assert_eq!(connect(&server, None, "").1, "PONG");
    assert_eq!(connect(&server, Some(&proxy), "").1, "PONG");
    assert_eq!(connect(&server, Some(&stranger), "").1, REFUSED);
    // Where nobody is trusted, nobody looks.
    let server = TestServer::start(program, "");
    assert!(server.connect().info["nonce"].is_null());
    assert_eq!(connect(&server, Some(&stranger), "").1, "PONG");
}

fn a_reload_changes_who_is_trusted(program: Program) {
    let (one, two) = (KeyPair::new_user(), KeyPair::new_user());
    let mut server = TestServer::start(program, &trusting(&[&one, &two], USERS));
    let who = ",\"user\":\"bound\",\"pass\":\"pw\"";
    let (mut gone, first) = connect(&server, Some(&one), who);
    let (mut stays, second) = connect(&server, Some(&two), who);
    assert_eq!((first.as_str(), second.as_str()), ("PONG", "PONG"));
    server.reconfigure(&trusting(&[&two], USERS));
    server.wait_for_line("Reloaded server configuration");
    assert_eq!(gone.line(), REFUSED);
    gone.expect_closed();
    stays.expect_pong();
    assert_eq!(connect(&server, Some(&one), who).1, REFUSED);
    // Who need no proxy may come to need one.
    let (mut free, line) = connect(&server, None, ",\"user\":\"free\",\"pass\":\"pw\"");
    assert_eq!(line, "PONG");
    server.reconfigure(&trusting(&[&two], &USERS.replace("pw }, {", "pw, proxy_required: true }, {")));
    server.wait_for_line("Reloaded server configuration");
    assert_eq!(free.line(), REFUSED);
    stays.expect_pong();
}

with_both!(
    some_users_come_by_a_proxy_alone,
    a_single_user_may_have_to_come_by_a_proxy,
    signatures_are_looked_at_where_everybody_may_come,
    a_reload_changes_who_is_trusted,
);

#[cfg(feature = "interop")]
#[test]
fn users_of_operators_may_have_to_come_by_a_proxy() {
    use crate::harness::server::programs;
    use crate::operator::{Realm, Tenant, seconds, user};

    for program in programs() {
        let (realm, tenant) = (Realm::new(), Tenant::new(|_| ()));
        let (proxy, stranger) = (KeyPair::new_user(), KeyPair::new_user());
        let operated = format!("resolver: MEMORY\n{}", realm.preload(&[&tenant]));
        let server = TestServer::start(program, &trusting(&[&proxy], &operated));
        let bearer = user(&KeyPair::new_user(), |claims| {
            claims.body.limits.bearer = true;
            claims.body.limits.proxy_required = true;
        });
        let bearer = bearer.encode(&tenant.pair, seconds() - 5).expect("accounts sign users");
        let who = format!(",\"jwt\":\"{bearer}\"");
        for (by, expected) in [(None, REFUSED), (Some(&stranger), REFUSED), (Some(&proxy), "PONG")] {
            assert_eq!(connect(&server, by, &who).1, expected, "{program:?}");
        }
    }
}
