//! Who is let in, and who is not.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::json;

use super::{LAX, start};
use crate::harness::server::{Program, TestServer, natsd};
use crate::harness::tls::Authority;
use crate::harness::websocket::{DEFLATE, Ws, websocket_port};
use crate::harness::{DEADLINE, with_both};

with_both!(
    requests_are_granted_or_refused,
    origins_are_checked,
    cookies_say_who_a_client_is,
    users_of_their_own,
    some_come_without_credentials,
    users_come_the_way_they_may,
    clients_use_tls,
    handshakes_have_to_end,
);

fn requests_are_granted_or_refused(program: Program) {
    let server = start(program, "headers { X-One: \"1\", \"Y\": \"two words\" }", "");
    let port = websocket_port(&server);
    for (line, status) in [
        ("POST / HTTP/1.1", 405),
        ("Upgrade: -", 400),
        ("Upgrade: h2c", 400),
        ("Upgrade: foo, WEBSOCKET", 101),
        ("Connection: close", 400),
        ("Connection: keep-alive, upgrade", 101),
        ("Sec-WebSocket-Key: -", 400),
        ("Sec-WebSocket-Key: c2hvcnQ=", 400),
        ("Sec-WebSocket-Version: 12", 400),
        ("GET /some/where?x HTTP/1.1", 101),
        ("GET /mqtt HTTP/1.1", 404),
        ("Host: -", 400),
    ] {
        let mut ws = Ws::request(port, None, &[line]);
        assert_eq!(ws.status(), status, "{program:?} {line}: {}", ws.response);
        if status != 101 {
            ws.hang_up();
            assert!(!ws.body().contains("INFO"), "{program:?} {line}");
        } else {
            assert!(ws.response.contains("\r\nX-One: 1\r\n") && ws.response.contains("\r\nY: two words\r\n"));
        }
    }
}

fn origins_are_checked(program: Program) {
    let same = start(program, "same_origin: true", "");
    let listed = start(program, "allowed_origins: [\"https://a.example\", \"http://b.example:81\"]", "");
    for (server, origin, status) in [
        (&same, "http://localhost", 101),
        (&same, "http://LOCALHOST:80", 101),
        (&same, "https://localhost", 403),
        (&same, "http://other", 403),
        (&same, "null", 403),
        (&listed, "https://a.example:443", 101),
        (&listed, "http://b.example:81", 101),
        (&listed, "http://b.example", 403),
        (&listed, "http://localhost", 403),
    ] {
        let ws = Ws::request(websocket_port(server), None, &[&format!("Origin: {origin}")]);
        assert_eq!(ws.status(), status, "{program:?} {origin}: {}", ws.response);
    }
    assert_eq!(Ws::connect(&same).status(), 101);
}

fn cookies_say_who_a_client_is(program: Program) {
    let cookies = "user_cookie: u, pass_cookie: p, token_cookie: t";
    let users = start(program, cookies, "authorization { user: me, password: secret }");
    let token = start(program, cookies, "authorization { token: secret }");
    let quiet = "{\"verbose\":false}";
    let violation = "-ERR 'Authorization Violation'";
    for (server, line, connect, expected) in [
        (&users, "Cookie: a=b; u=me; p=secret", quiet, "PONG"),
        (&users, "Cookie: u=me; p=wrong", quiet, violation),
        (&users, "Cookie: u=me", quiet, violation),
        (&users, "Cookie: u=me; p=wrong", "{\"verbose\":false,\"pass\":\"secret\"}", "PONG"),
        (&users, "Cookie: u=me; p=secret", "{\"verbose\":false,\"user\":\"you\"}", violation),
        (&token, "Cookie: t=\"secret\"", quiet, "PONG"),
        (&token, "Cookie: x=secret", quiet, violation),
    ] {
        let mut ws = Ws::connect_with(server, &[line]);
        assert_eq!(ws.info["auth_required"], true);
        assert_eq!(answer(&mut ws, connect), expected, "{program:?} {line} {connect}");
    }
}

fn users_of_their_own(program: Program) {
    let server = start(program, "authorization { user: w, password: x, timeout: 20 }", "");
    let violation = "-ERR 'Authorization Violation'";
    let mut ws = Ws::connect(&server);
    assert_eq!(ws.info["auth_required"], true, "{program:?}");
    assert_eq!(answer(&mut ws, "{\"verbose\":false,\"user\":\"w\",\"pass\":\"x\"}"), "PONG", "{program:?}");
    assert_eq!(answer(&mut Ws::connect(&server), "{\"verbose\":false}"), violation, "{program:?}");
    let mut plain = server.client();
    assert!(plain.info["auth_required"].is_null(), "{program:?}");
    plain.expect_pong();
    // In place of those of the server.
    let server = start(program, "authorization { token: x }", "authorization { user: u, password: p }");
    assert_eq!(answer(&mut Ws::connect(&server), "{\"verbose\":false,\"auth_token\":\"x\"}"), "PONG", "{program:?}");
    let shared = "{\"verbose\":false,\"user\":\"u\",\"pass\":\"p\"}";
    assert_eq!(answer(&mut Ws::connect(&server), shared), violation, "{program:?}");
}

fn some_come_without_credentials(program: Program) {
    let users = "authorization { users: [\
                 {user: a, password: b, permissions: {publish: a}},\
                 {user: w, password: x, permissions: {publish: w}}] }\nno_auth_user: a";
    let server = start(program, "no_auth_user: w", users);
    let mut ws = Ws::connect(&server);
    assert_eq!(ws.info["auth_required"], true, "{program:?}");
    assert_eq!(answer(&mut ws, "{\"verbose\":false,\"pedantic\":false}"), "PONG", "{program:?}");
    ws.send("PUB w 0\r\n\r\nPUB a 0\r\n\r\n");
    assert_eq!(ws.line(), "-ERR 'Permissions Violation for Publish to \"a\"'", "{program:?}");
    let named = "{\"verbose\":false,\"user\":\"a\",\"pass\":\"b\"}";
    assert_eq!(answer(&mut Ws::connect(&server), named), "PONG", "{program:?}");
    // Even without CONNECT.
    Ws::connect(&server).expect_pong();
}

fn users_come_the_way_they_may(program: Program) {
    let users = "authorization { users: [\
                 {user: w, password: p, allowed_connection_types: [websocket]},\
                 {user: s, password: p, allowed_connection_types: [STANDARD]},\
                 {user: any, password: p}] }";
    let server = start(program, "", users);
    for (user, ws, plain) in [("w", true, false), ("s", false, true), ("any", true, true)] {
        let connect = format!("{{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"p\"}}");
        assert_eq!(answer(&mut Ws::connect(&server), &connect) == "PONG", ws, "{program:?} {user}");
        let mut raw = server.connect();
        raw.send(&format!("CONNECT {connect}\r\nPING\r\n"));
        assert_eq!(raw.line() == "PONG", plain, "{program:?} {user}");
    }
}

fn clients_use_tls(program: Program) {
    let authority = Authority::new();
    let config = format!("websocket {{ listen: \"127.0.0.1:-1\", {} }}\nport: -1", authority.block("verify: true"));
    let server = TestServer::start(program, &config);
    let port = websocket_port(&server);
    assert!(server.log().iter().any(|line| line.contains("websocket clients on wss://127.0.0.1:")), "{program:?}");
    let mut ws = Ws::open(port, Some(authority.member("client")), &[DEFLATE]);
    assert_eq!((&ws.info["tls_required"], &ws.info["tls_available"]), (&json!(true), &json!(true)), "{}", ws.info);
    assert!(ws.info["tls_verify"].is_null(), "{}", ws.info);
    ws.send(LAX);
    ws.send("SUB foo 1\r\n");
    ws.expect_pong();
    let text = "x".repeat(500_000);
    ws.send(&format!("PUB foo {}\r\n{text}\r\n", text.len()));
    ws.expect(&format!("MSG foo 1 {}\r\n{text}\r\n", text.len()));
    ws.frame(0x88, b"\x03\xe8");
    assert_eq!(ws.rest().1.map(|(status, _)| status), Some(1000), "{program:?}");
    let stranger = Ws::request(port, Some(authority.stranger()), &[]);
    assert_eq!(stranger.response, "", "{program:?}");
    // The same origin is one with TLS.
    let config = format!("websocket {{ listen: \"127.0.0.1:-1\", same_origin: true, {} }}", authority.block(""));
    let server = TestServer::start(program, &config);
    for (origin, status) in [("https://localhost", 101), ("http://localhost", 403)] {
        let line = format!("Origin: {origin}");
        let ws = Ws::request(websocket_port(&server), Some(authority.stranger()), &[&line]);
        assert_eq!(ws.status(), status, "{program:?} {origin}");
    }
}

fn handshakes_have_to_end(program: Program) {
    let server = start(program, "handshake_timeout: \"2s\"", "");
    let begun = Instant::now();
    for said in ["", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = TcpStream::connect(("127.0.0.1", websocket_port(&server))).expect("accepted");
        stream.write_all(said.as_bytes()).expect("taken");
        stream.set_read_timeout(Some(DEADLINE)).expect("a positive time-out");
        let mut rest = Vec::new();
        // Who is cut off may see a reset.
        let _ = stream.read_to_end(&mut rest);
        assert!(!rest.starts_with(b"HTTP/1.1 101"), "{program:?}");
    }
    assert!(begun.elapsed() < DEADLINE, "{program:?}");
    let mut ws = Ws::connect(&server);
    // Who is in has time: longer than the rest of this test.
    let mut late = TcpStream::connect(("127.0.0.1", websocket_port(&server))).expect("accepted");
    let _ = late.read(&mut [0]);
    ws.expect_pong();
}

/// What comes of a CONNECT: PONG or the error.
fn answer(ws: &mut Ws, connect: &str) -> String {
    ws.send(&format!("CONNECT {connect}\r\nPING\r\n"));
    ws.line()
}

#[test]
fn leaf_nodes_are_refused_where_none_are_taken() {
    let server = start(Program::Natsd, "", "");
    assert_eq!(Ws::request(websocket_port(&server), None, &["GET /leafnode HTTP/1.1"]).status(), 404);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let users = "authorization { users: [{user: a, password: b}] }";
    for (config, error) in [
        ("websocket { port: 1 }", "websocket requires TLS configuration; add tls {} to it, or no_tls: true"),
        ("websocket { no_tls: true }", "a port is missing"),
        ("websocket { port: 0, no_tls: true }", "0 is not a port"),
        ("ws { listen: 1, port: 2, no_tls: true }", "write either listen, or host and port"),
        ("websocket { port: 1, no_tls: true, what: 1 }", "unknown field \"what\""),
        ("websocket { port: 1, no_tls: true, jwt_cookie: j }", "websocket.jwt_cookie: a JWT needs an operator"),
        ("websocket { port: 1, no_tls: true, allowed_origins: [\"ftp://a\"] }", "\"ftp://a\" is not an origin"),
        (
            "websocket { port: 1, no_tls: true, headers { Upgrade: x } }",
            "\"Upgrade\" is not a header that can be added",
        ),
        ("websocket { port: 1, no_tls: true, headers { A: \"b\\nc\" } }", "the value of \"A\" has control characters"),
        ("websocket { port: 1, no_tls: true, no_auth_user: a }", "there is no user \"a\""),
        (
            &format!("websocket {{ port: 1, no_tls: true, authorization {{ token: x }} }}\n{users}"),
            "cannot be beside the users of authorization",
        ),
        ("websocket { port: 1, tls {} }", "missing 'cert_file'"),
        ("websocket: true", "expected a map"),
        ("proxy_protocol: 1", "expected true or false"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("test.conf");
        std::fs::write(&file, config).expect("written");
        let output = natsd(&["-t", "-c", &file.display().to_string()]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(error) && output.status.code() == Some(1), "{config}: {said}");
    }
}
