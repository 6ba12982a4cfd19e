//! What operators and clients hear of a server.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use super::{LAX, start};
use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::harness::tls::Authority;
use crate::harness::websocket::{Ws, websocket_port};
use crate::harness::with_both;

/// As LAX, of a client that INFO may come to at any time.
const ASYNC: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\n";

with_both!(
    the_end_of_a_connection_has_a_status,
    monitoring_knows_them,
    proxies_are_named_in_the_log,
    a_lame_duck_says_so,
    a_reload_leaves_it_alone,
    a_reload_brings_other_certificates,
    pings_have_a_pace_of_their_own,
    clients_hear_of_the_cluster,
);

fn the_end_of_a_connection_has_a_status(program: Program) {
    let top = "max_payload: 10\nmax_control_line: 100\nauthorization { user: u, password: p, timeout: 20 }";
    let server = start(program, "", top);
    let right = "CONNECT {\"user\":\"u\",\"pass\":\"p\",\"verbose\":false}\r\n";
    let long = format!("{right}PUB {} 0\r\n\r\n", "x".repeat(200));
    for (what, said, error, status) in [
        ("a wrong password", "CONNECT {\"user\":\"u\"}\r\n", "-ERR 'Authorization Violation'\r\n", 1008),
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
    let hasty = start(program, "authorization { timeout: 0.2 }", top);
    let (answer, close) = Ws::connect(&hasty).rest();
    assert_eq!(answer, "-ERR 'Authentication Timeout'\r\n", "{program:?}");
    assert_eq!(close.map(|(status, _)| status), Some(1008), "{program:?}");
    if program == Program::Natsd {
        // nats-server now and then neither says it nor closes, on a busy machine.
        let full = start(program, "", "max_connections: 1");
        let mut first = Ws::connect(&full);
        let second = Ws::connect(&full).rest();
        assert_eq!(second.0, "-ERR 'maximum connections exceeded'\r\n");
        assert_eq!(second.1.map(|(status, _)| status), Some(1008));
        first.expect_pong();
    }
    let mut ws = Ws::connect(&server);
    ws.send(right);
    ws.expect_pong();
    server.signal("TERM");
    let close = ws.rest().1.expect("a close frame");
    assert_eq!(close, (1001, "Server Shutdown".into()), "{program:?}");
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

fn a_reload_brings_other_certificates(program: Program) {
    let (authority, other) = (Authority::new(), Authority::new());
    let block = |more: &str| format!("websocket {{ host: 127.0.0.1, port: -1\n{}\n{more} }}", authority.block(""));
    let mut server = TestServer::start(program, &block(""));
    let port = websocket_port(&server);
    let mut stays = Ws::open(port, Some(authority.stranger()), &[]);
    for name in ["server.pem", "server.key"] {
        std::fs::copy(other.file(name), authority.file(name)).expect("a file");
    }
    server.reconfigure(&block(""));
    server.wait_for_line("Reloaded server configuration");
    assert_eq!(Ws::request(port, Some(authority.stranger()), &[]).response, "", "{program:?}");
    Ws::open(port, Some(other.stranger()), &[]);
    stays.send(LAX);
    stays.expect_pong();
    std::fs::write(authority.file("server.key"), "no key").expect("a file");
    server.reconfigure(&block(""));
    server.wait_for_line("Failed to reload server configuration: ");
    Ws::open(port, Some(other.stranger()), &[]);
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

fn get(port: u16, path: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("monitoring accepts");
    let request = format!("GET {path} HTTP/1.0\r\nHost: test\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("writable");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("readable");
    serde_json::from_str(reply.split_once("\r\n\r\n").expect("a head").1).expect(path)
}
