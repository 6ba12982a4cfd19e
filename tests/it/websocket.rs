//! Clients over WebSocket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use natsd_core::websocket::deflate::Deflater;
use serde_json::{Value, json};

use crate::harness::DEADLINE;
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer, natsd, wait_for};
use crate::harness::tls::Authority;
use crate::harness::websocket::{DEFLATE, Ws, websocket_port};

const LAX: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
/// As that, of a client that INFO may come to at any time.
const ASYNC: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\n";
const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11) Chrome/1 Safari/5";
const SAFARI: &str = "User-Agent: Mozilla/5.0 (Macintosh) Version/1 Safari/5";

/// A server with `more` inside of `websocket {}` in the clear, and `top` beside it.
fn start(program: Program, more: &str, top: &str) -> TestServer {
    let config = format!("websocket {{ host: 127.0.0.1, port: -1, no_tls: true\n{more} }}\n{top}");
    TestServer::start(program, &config)
}

/// The same scenarios with both programs.
macro_rules! with_both {
    ($($scenario:ident),* $(,)?) => {
        mod natsd_alone {
            use crate::harness::server::Program::Natsd;
            $(#[test] fn $scenario() { super::$scenario(Natsd) })*
        }
        #[cfg(feature = "interop")]
        mod go {
            use crate::harness::server::Program::Go;
            $(#[test] fn $scenario() { super::$scenario(Go) })*
        }
    };
}

with_both!(
    messages_pass_in_both_directions,
    frames_may_be_cut_anywhere,
    requests_are_granted_or_refused,
    origins_are_checked,
    what_breaks_the_rules_ends_the_connection,
    goodbyes_are_answered,
    the_end_of_a_connection_has_a_status,
    messages_are_compressed,
    browsers_get_small_frames,
    bombs_do_not_go_off,
    masks_can_be_left_away,
    cookies_say_who_a_client_is,
    users_of_their_own,
    some_come_without_credentials,
    users_come_the_way_they_may,
    clients_use_tls,
    monitoring_knows_them,
    proxies_are_named_in_the_log,
    a_lame_duck_says_so,
    a_reload_leaves_it_alone,
    handshakes_have_to_end,
    pings_have_a_pace_of_their_own,
    clients_hear_of_the_cluster,
);

fn messages_pass_in_both_directions(program: Program) {
    let server = start(program, "", "");
    let mut ws = Ws::connect(&server);
    assert_eq!(ws.info["port"], websocket_port(&server), "{program:?}");
    assert_eq!(ws.info["host"], "127.0.0.1");
    assert_eq!(ws.info["client_ip"], "127.0.0.1");
    assert!(ws.info["tls_required"].is_null() && ws.info["connect_urls"].is_null(), "{}", ws.info);
    let mut plain = server.client();
    ws.send(LAX);
    ws.send("SUB to.ws 1\r\n");
    ws.expect_pong();
    plain.send("SUB to.plain 1\r\n");
    plain.expect_pong();
    for size in [0, 1, 125, 126, 70_000, 1_000_000] {
        let text = "x".repeat(size);
        plain.send(&format!("PUB to.ws {size}\r\n{text}\r\n"));
        ws.expect(&format!("MSG to.ws 1 {size}\r\n{text}\r\n"));
        ws.send(&format!("PUB to.plain {size}\r\n{text}\r\n"));
        plain.expect(&format!("MSG to.plain 1 {size}\r\n{text}\r\n"));
    }
    assert!(ws.frames.iter().all(|frame| frame.first == 0x82), "{program:?}");
}

fn frames_may_be_cut_anywhere(program: Program) {
    let server = start(program, "", "");
    let mut ws = Ws::connect(&server);
    ws.send(LAX);
    ws.send("SUB foo 1\r\n");
    // A message in fragments of text and binary, with a ping inside, an empty fragment and an empty message.
    ws.frame(0x01, b"PUB fo");
    ws.frame(0x00, b"");
    ws.frame(0x89, b"are you there");
    ws.frame(0x00, b"o 5\r\nhe");
    ws.frame(0x80, b"llo\r");
    ws.frame(0x82, b"");
    ws.frame(0x8a, b"unasked");
    ws.send("\nPIN");
    ws.send("G\r\n");
    ws.expect("MSG foo 1 5\r\nhello\r\nPONG\r\n");
    let pong = ws.control();
    assert_eq!((pong.first, &pong.payload[..]), (0x8a, &b"are you there"[..]), "{program:?}");
    // Byte by byte.
    let frame = [0x82, 0x86, 1, 2, 3, 4, b'P' ^ 1, b'I' ^ 2, b'N' ^ 3, b'G' ^ 4, b'\r' ^ 1, b'\n' ^ 2];
    for byte in frame {
        ws.raw(&[byte]);
    }
    ws.expect("PONG\r\n");
}

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

fn what_breaks_the_rules_ends_the_connection(program: Program) {
    let server = start(program, "", "");
    for (what, first, payload) in [
        ("reserved bits", 0x92, &b"x"[..]),
        ("compression that was not agreed on", 0xc2, b"x"),
        ("an unknown opcode", 0x83, b"x"),
        ("a control frame in parts", 0x09, b"x"),
        ("a large control frame", 0x89, &[b'x'; 126]),
        ("a continuation of nothing", 0x80, b"x"),
        ("half a status", 0x88, b"x"),
        ("a status that nobody sends", 0x88, b"\x03\xed"),
    ] {
        let mut ws = Ws::connect(&server);
        ws.frame(first, payload);
        let (said, close) = ws.rest();
        assert_eq!(said, "", "{program:?}: {what}");
        // nats-server may end before it has said so.
        if program == Program::Natsd || close.is_some() {
            assert_eq!(close.map(|(status, _)| status), Some(1002), "{program:?}: {what}");
        }
    }
    let mut ws = Ws::connect(&server);
    ws.masked = false;
    ws.send("PING\r\n");
    assert_eq!(ws.rest().0, "", "{program:?}");
    // What came before is done.
    let mut ws = Ws::connect(&server);
    let mut watcher = server.client();
    watcher.send("SUB foo 1\r\n");
    watcher.expect_pong();
    ws.masked = true;
    ws.raw(&[0x82, 0x8d, 0, 0, 0, 0]);
    ws.raw(b"PUB foo 0\r\n\r\n");
    ws.raw(&[0x83, 0x80, 0, 0, 0, 0]);
    watcher.expect("MSG foo 1 0\r\n\r\n");
}

fn goodbyes_are_answered(program: Program) {
    let server = start(program, "", "");
    let mut ws = Ws::connect(&server);
    ws.frame(0x88, b"\x0f\xa0bye");
    assert_eq!(ws.rest(), (String::new(), Some((4000, "bye".into()))), "{program:?}");
    let mut ws = Ws::connect(&server);
    ws.frame(0x88, b"\x03\xe8\xff");
    assert_eq!(ws.rest().1.map(|(status, _)| status), Some(1007), "{program:?}");
    let mut ws = Ws::connect(&server);
    ws.frame(0x88, b"");
    assert_eq!(ws.control().payload, b"", "{program:?}");
    assert_eq!(ws.rest(), (String::new(), None), "{program:?}");
    // Messages on their way come first.
    let mut ws = Ws::connect(&server);
    ws.send(&format!("{LAX}SUB foo 1\r\nPUB foo 2\r\nhi\r\n"));
    ws.frame(0x88, b"\x03\xe8");
    assert_eq!(ws.rest(), ("MSG foo 1 2\r\nhi\r\n".into(), Some((1000, String::new()))), "{program:?}");
}

fn the_end_of_a_connection_has_a_status(program: Program) {
    let top = "max_payload: 10\nmax_control_line: 100\nauthorization { user: u, password: p, timeout: 0.2 }";
    let server = start(program, "", top);
    let right = "CONNECT {\"user\":\"u\",\"pass\":\"p\",\"verbose\":false}\r\n";
    let long = format!("{right}PUB {} 0\r\n\r\n", "x".repeat(200));
    for (what, said, error, status) in [
        ("a wrong password", "CONNECT {\"user\":\"u\"}\r\n", "-ERR 'Authorization Violation'\r\n", 1008),
        ("nothing", "", "-ERR 'Authentication Timeout'\r\n", 1008),
        ("no protocol", &format!("{right}FOO\r\n"), "-ERR 'Unknown Protocol Operation'\r\n", 1002),
        ("a large message", &format!("{right}PUB x 11\r\n"), "-ERR 'Maximum Payload Violation'\r\n", 1009),
        ("a long line", &long, "-ERR 'maximum control line exceeded'\r\n", 1008),
    ] {
        let mut ws = Ws::connect(&server);
        ws.send(said);
        let (answer, close) = ws.rest();
        if program != Program::Natsd && what == "no protocol" {
            // nats-server takes that for an error of reading, and says nothing.
            continue;
        }
        assert_eq!(answer, error, "{program:?}: {what}");
        assert_eq!(close.map(|(status, _)| status), Some(status), "{program:?}: {what}");
    }
    let full = start(program, "", "max_connections: 1");
    let mut first = Ws::connect(&full);
    let second = Ws::connect(&full).rest();
    assert_eq!(second.0, "-ERR 'maximum connections exceeded'\r\n", "{program:?}");
    assert_eq!(second.1.map(|(status, _)| status), Some(1008), "{program:?}");
    first.expect_pong();
    let mut ws = Ws::connect(&server);
    ws.send(right);
    ws.expect_pong();
    server.signal("TERM");
    let close = ws.rest().1.expect("a close frame");
    assert_eq!(close, (1001, "Server Shutdown".into()), "{program:?}");
}

fn messages_are_compressed(program: Program) {
    let server = start(program, "compression: true", "");
    let mut ws = Ws::connect_with(&server, &[DEFLATE]);
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    assert!(ws.response.contains(agreed), "{program:?}: {}", ws.response);
    assert_eq!(ws.frames[0].first, 0xc2, "{program:?}: INFO is worth it");
    let text = "compress me, ".repeat(20_000);
    let message = format!("PUB foo {}\r\n{text}\r\n", text.len());
    let mut plain = server.client();
    plain.send("SUB foo 1\r\n");
    plain.expect_pong();
    ws.send_compressed(format!("{LAX}SUB foo 2\r\n").as_bytes());
    ws.expect_pong();
    let before = ws.frames.len();
    ws.send_compressed(message.as_bytes());
    plain.expect(&format!("MSG foo 1 {}\r\n{text}\r\n", text.len()));
    ws.expect(&format!("MSG foo 2 {}\r\n{text}\r\n", text.len()));
    let sent: usize = ws.frames[before..].iter().map(|frame| frame.payload.len()).sum();
    assert!(sent < text.len() / 10, "{program:?}: {sent}");
    // In fragments, of which only the first says so; the rest of the connection may be as it is.
    let mut compressed = Vec::new();
    Deflater::default().deflate(message.as_bytes(), &mut compressed);
    let (first, rest) = compressed.split_at(compressed.len() / 2);
    ws.frame(0x42, first);
    ws.frame(0x89, b"");
    ws.frame(0x80, rest);
    ws.expect(&format!("MSG foo 2 {}\r\n{text}\r\n", text.len()));
    ws.expect_pong();
    assert_eq!(ws.frames.last().map(|frame| frame.first), Some(0x82), "{program:?}: PONG is not worth it");
    // Who does not offer it gets none.
    let mut other = Ws::connect(&server);
    other.send(LAX);
    other.expect_pong();
    assert!(!other.response.contains("deflate") && other.frames.iter().all(|frame| frame.first == 0x82));
}

fn browsers_get_small_frames(program: Program) {
    let server = start(program, "compression: true", "");
    // Digits that do not compress to less than some frames.
    let text: String = (0..20_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
    for (lines, whole) in [(&[BROWSER][..], false), (&[BROWSER, DEFLATE], false), (&[SAFARI, DEFLATE], true)] {
        let mut ws = Ws::connect_with(&server, lines);
        ws.send(LAX);
        ws.send("SUB foo 1\r\n");
        ws.expect_pong();
        let mut plain = server.client();
        plain.send(&format!("PUB foo {}\r\n{text}\r\n", text.len()));
        ws.expect(&format!("MSG foo 1 {}\r\n{text}\r\n", text.len()));
        let largest = ws.frames.iter().map(|frame| frame.payload.len()).max();
        assert_eq!(largest > Some(4096), whole, "{program:?} {lines:?}: {largest:?}");
    }
}

fn bombs_do_not_go_off(program: Program) {
    let server = start(program, "compression: true", "max_payload: 65536");
    let mut bomb = Vec::new();
    Deflater::default().deflate("PUB foo 0\r\n\r\n".repeat(3_000_000).as_bytes(), &mut bomb);
    let mut ws = Ws::connect_with(&server, &[DEFLATE]);
    ws.send(LAX);
    ws.expect_pong();
    #[cfg(target_os = "linux")]
    let before = server.memory();
    ws.frame(0xc2, &bomb);
    let (said, close) = ws.rest();
    assert_eq!(said, "", "{program:?}");
    if program == Program::Natsd {
        assert_eq!(close.map(|(status, _)| status), Some(1009));
        #[cfg(target_os = "linux")]
        assert!(server.memory() < before + 8_000_000, "{before} {}", server.memory());
    }
    // What is no deflate stream.
    let mut ws = Ws::connect_with(&server, &[DEFLATE]);
    ws.frame(0xc2, &[0xff; 50]);
    assert_eq!(ws.rest().0, "", "{program:?}");
    Ws::connect(&server).expect_pong();
}

fn masks_can_be_left_away(program: Program) {
    let server = start(program, "", "");
    let mut ws = Ws::connect_with(&server, &["Nats-No-Masking: true"]);
    assert!(ws.response.contains("\r\nNats-No-Masking: true\r\n"), "{program:?}: {}", ws.response);
    ws.masked = false;
    ws.send("CONNECT {\"verbose\":false}\r\nSUB foo 1\r\nPUB foo 2\r\nhi\r\n");
    ws.expect("MSG foo 1 2\r\nhi\r\n");
}

/// What comes of a CONNECT: PONG or the error.
fn answer(ws: &mut Ws, connect: &str) -> String {
    ws.send(&format!("CONNECT {connect}\r\nPING\r\n"));
    ws.line()
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
    let server = start(program, "authorization { user: w, password: x, timeout: 0.3 }", "");
    let violation = "-ERR 'Authorization Violation'";
    let mut ws = Ws::connect(&server);
    assert_eq!(ws.info["auth_required"], true, "{program:?}");
    assert_eq!(answer(&mut ws, "{\"verbose\":false,\"user\":\"w\",\"pass\":\"x\"}"), "PONG", "{program:?}");
    assert_eq!(answer(&mut Ws::connect(&server), "{\"verbose\":false}"), violation, "{program:?}");
    assert_eq!(Ws::connect(&server).line(), "-ERR 'Authentication Timeout'", "{program:?}");
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

fn monitoring_knows_them(program: Program) {
    let http = free_port();
    let more = "same_origin: true, compression: true, handshake_timeout: \"3s\", advertise: \"ws.example:80\"\n\
                allowed_origins: [\"https://a.example\"], authorization { timeout: 4 }";
    let top = format!("http: \"127.0.0.1:{http}\"\nports_file_dir: \"{{dir}}\"");
    let server = start(program, more, &top);
    let port = websocket_port(&server);
    let mut ws = Ws::connect(&server);
    ws.send("CONNECT {\"name\":\"n\",\"verbose\":false}\r\n");
    ws.expect_pong();
    let told = get(http, "/varz")["websocket"].clone();
    let expected = json!({
        "host": "127.0.0.1", "port": port, "advertise": "ws.example:80", "handshake_timeout": 3_000_000_000u64,
        "auth_timeout": 4.0, "no_tls": true, "same_origin": true, "allowed_origins": ["https://a.example"],
        "compression": true,
    });
    let number = |value: &Value| value["auth_timeout"].as_f64();
    assert_eq!(number(&told), number(&expected), "{program:?}");
    let without = |mut value: Value| {
        value.as_object_mut().expect("a map").remove("auth_timeout");
        value
    };
    assert_eq!(without(told), without(expected), "{program:?}");
    let connection = get(http, "/connz")["connections"][0].clone();
    assert_eq!((&connection["kind"], &connection["type"]), (&json!("Client"), &json!("websocket")), "{connection}");
    ws.frame(0x88, b"\x03\xe8");
    ws.rest();
    let closed = wait_for("it is closed", || {
        Some(get(http, "/connz?state=closed")["connections"][0].clone()).filter(|closed| !closed.is_null())
    });
    assert_eq!((&closed["type"], &closed["reason"]), (&json!("websocket"), &json!("Client Closed")), "{closed}");
    let name = program.path().file_name().expect("a program").to_string_lossy().into_owned();
    let ports: Value =
        serde_json::from_str(&server.wait_for_file(&format!("{name}_{}.ports", server.pid()), "}")).expect("JSON");
    assert_eq!(ports["websocket"], json!([format!("ws://127.0.0.1:{port}")]), "{program:?}: {ports}");
}

fn get(port: u16, path: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("monitoring accepts");
    let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("writable");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("readable");
    serde_json::from_str(reply.split_once("\r\n\r\n").expect("a head").1).expect(path)
}

fn proxies_are_named_in_the_log(program: Program) {
    let mut server = start(program, "", "debug: true");
    for (line, shown) in [
        ("X-Forwarded-For: 192.0.2.7", "192.0.2.7/127.0.0.1:"),
        ("X-Forwarded-For: 2001:db8::7", "[2001:db8::7]/127.0.0.1:"),
        ("X-Forwarded-For: not an address", "127.0.0.1:"),
    ] {
        let _ws = Ws::connect_with(&server, &[line]);
        let line = server.wait_for_line("Client connection created");
        assert!(line.contains(&format!(" {shown}")) && line.contains(" - wid:"), "{program:?}: {line}");
    }
}

fn a_lame_duck_says_so(program: Program) {
    let server = start(program, "", "lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"10ms\"");
    let mut ws = Ws::connect(&server);
    ws.send(ASYNC);
    ws.expect_pong();
    server.signal("USR2");
    let info = loop {
        let line = ws.line();
        let info: Value = serde_json::from_str(line.strip_prefix("INFO ").expect("INFO")).expect("JSON");
        if info["ldm"] == true {
            break info;
        }
    };
    assert_eq!(info["port"], websocket_port(&server), "{program:?}");
    assert_eq!(ws.rest().1, Some((1001, "Server Shutdown".into())), "{program:?}");
}

fn a_reload_leaves_it_alone(program: Program) {
    let block = |more: &str| format!("websocket {{ host: 127.0.0.1, port: -1, no_tls: true\n{more} }}");
    let mut server = TestServer::start(program, &block(""));
    let mut ws = Ws::connect(&server);
    server.reconfigure(&format!("{}\nmax_payload: 77", block("")));
    server.wait_for_line("Reloaded server configuration");
    ws.send(LAX);
    ws.expect_pong();
    assert_eq!(Ws::connect(&server).info["max_payload"], 77, "{program:?}");
    server.reconfigure(&block("compression: true"));
    server.wait_for_line("Failed to reload server configuration: config reload not supported for ");
    ws.expect_pong();
}

fn handshakes_have_to_end(program: Program) {
    let server = start(program, "handshake_timeout: \"200ms\"", "");
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

fn pings_have_a_pace_of_their_own(program: Program) {
    let server = start(program, "ping_interval: \"300ms\"", "");
    let mut ws = Ws::connect(&server);
    ws.send(LAX);
    // With the interval of the server the second one would come after two minutes.
    for _ in 0..2 {
        ws.expect("PING\r\n");
        ws.send("PONG\r\n");
    }
}

fn clients_hear_of_the_cluster(program: Program) {
    let (first_route, second_route) = (free_port(), free_port());
    let cluster = |listen: u16, route: u16, more: &str| {
        format!(
            "cluster {{ name: c, listen: \"127.0.0.1:{listen}\", routes: [\"nats-route://127.0.0.1:{route}\"] }}\n{more}"
        )
    };
    let first = start(program, "", &cluster(first_route, second_route, "server_name: a"));
    let second =
        start(Program::Natsd, "advertise: \"ws.example\"", &cluster(second_route, first_route, "server_name: b"));
    let own = format!("127.0.0.1:{}", websocket_port(&first));
    let advertised = format!("ws.example:{}", websocket_port(&second));
    let mut urls = vec![own, advertised];
    urls.sort();
    for server in [&first, &second] {
        wait_for("both servers", || {
            let ws = Ws::connect(server);
            let mut told: Vec<String> = serde_json::from_value(ws.info["connect_urls"].clone()).unwrap_or_default();
            told.sort();
            (told == urls).then_some(())
        });
        // Others hear of other addresses.
        let told = server.connect().info["connect_urls"].to_string();
        assert!(!told.contains("ws.example") && told.contains(&server.port.to_string()), "{told}");
    }
    // Who is connected is told when a server goes.
    let mut ws = Ws::connect(&first);
    ws.send(ASYNC);
    ws.expect_pong();
    drop(second);
    while ws.line().contains("ws.example") {}
}

#[test]
fn a_receiver_that_is_too_slow_is_cut_off_alone() {
    let top = "debug: true\nmax_pending: 1000000\nmax_payload: 100000";
    for lines in [&[][..], &[DEFLATE]] {
        let mut server = start(Program::Natsd, "compression: true", top);
        let mut slow = Ws::connect_with(&server, lines);
        slow.send(LAX);
        slow.send("SUB foo 1\r\n");
        slow.expect_pong();
        let mut fast = Client::connect(server.port);
        // Digits that do not compress well.
        let text: String = (0..8_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
        for _ in 0..400 {
            fast.publish("foo", &text);
        }
        server.wait_for_line("Slow Consumer (Pending Bytes)");
        fast.flush();
        slow.rest();
    }
}

#[test]
fn a_flood_of_pings_costs_nothing() {
    let server = start(Program::Natsd, "", "");
    let mut ws = Ws::connect(&server);
    #[cfg(target_os = "linux")]
    let before = server.memory();
    for _ in 0..20_000 {
        ws.frame(0x89, &[b'x'; 125]);
    }
    ws.send("PING\r\n");
    ws.expect("PONG\r\n");
    #[cfg(target_os = "linux")]
    assert!(server.memory() < before + 4_000_000, "{before} {}", server.memory());
}

#[test]
fn leaf_nodes_are_refused() {
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
        ("websocket { port: 1, no_tls: true, jwt_cookie: j }", "jwt_cookie is not supported"),
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

/// Both directions full at once, over TLS and without.
#[test]
fn nothing_is_lost_under_load() {
    let authority = Authority::new();
    let tls = format!("websocket {{ listen: \"127.0.0.1:-1\", compression: true, {} }}", authority.block(""));
    let plain = "websocket { listen: \"127.0.0.1:-1\", compression: true, no_tls: true }".to_owned();
    for (config, client) in [(plain, None), (tls, Some(authority.stranger()))] {
        let server = TestServer::natsd(&config);
        let port = websocket_port(&server);
        let config: Option<Arc<rustls::ClientConfig>> = client;
        for lines in [&[][..], &[DEFLATE], &[BROWSER, DEFLATE]] {
            let mut receiver = Ws::open(port, config.clone(), lines);
            receiver.send(LAX);
            receiver.send("SUB foo 1\r\n");
            receiver.expect_pong();
            let (sender_config, count) = (config.clone(), 300);
            let sending = std::thread::spawn(move || {
                let mut sender = Ws::open(port, sender_config, &[DEFLATE]);
                sender.send(LAX);
                for n in 0..count {
                    let text = n.to_string().repeat(2_000);
                    let message = format!("PUB foo {}\r\n{text}\r\n", text.len());
                    if n % 2 == 0 { sender.send(&message) } else { sender.send_compressed(message.as_bytes()) }
                }
                sender.expect_pong();
            });
            for n in 0..count {
                let text = n.to_string().repeat(2_000);
                receiver.expect(&format!("MSG foo 1 {}\r\n{text}\r\n", text.len()));
            }
            sending.join().expect("all sent");
        }
    }
}

/// The kernel takes only a part at a time, in the middle of frames.
#[test]
fn what_waits_is_sent_before_the_goodbye() {
    let authority = Authority::new();
    let tls = format!("websocket {{ listen: \"127.0.0.1:-1\", compression: true, {} }}", authority.block(""));
    let plain = "websocket { listen: \"127.0.0.1:-1\", compression: true, no_tls: true }".to_owned();
    for (config, client) in [(plain, None), (tls, Some(authority.stranger()))] {
        let server = TestServer::natsd(&config);
        for lines in [&[][..], &[DEFLATE]] {
            let mut ws = Ws::open(websocket_port(&server), client.clone(), lines);
            ws.send(LAX);
            ws.send("SUB foo 1\r\n");
            ws.expect_pong();
            let mut sender = Client::connect(server.port);
            let text: String = (0..8_000u32).map(|n| n.wrapping_mul(2_654_435_761).to_string()).collect();
            for _ in 0..100 {
                sender.publish("foo", &text);
            }
            sender.flush();
            ws.frame(0x89, b"still there?");
            ws.send("FOO\r\n");
            let (said, close) = ws.rest();
            // On a slow machine it is time to be asked for a sign of life.
            let said = said.replace("PING\r\n", "");
            let message = format!("MSG foo 1 {}\r\n{text}\r\n", text.len());
            let expected = message.repeat(100) + "-ERR 'Unknown Protocol Operation'\r\n";
            assert!(said == expected, "{} of {} bytes", said.len(), expected.len());
            assert_eq!(close.map(|(status, _)| status), Some(1002));
            assert!(ws.controls.iter().any(|frame| frame.payload == b"still there?"));
        }
    }
}
