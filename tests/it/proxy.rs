//! Clients that come by a proxy.

use serde_json::{Value, json};

use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::tls::Authority;
use crate::harness::with_both;

const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const LAX: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\n";

with_both!(
    a_proxy_tells_where_a_client_is,
    a_header_that_makes_no_sense_ends_the_connection,
    a_header_may_come_in_pieces,
    a_header_comes_before_tls,
    a_header_has_to_come_to_its_end,
);

/// Header of version 2, for TCP over IPv4 or IPv6.
fn v2(version_command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    [V2, &[version_command, family], &(addresses.len() as u16).to_be_bytes(), addresses].concat()
}

fn start(program: Program, more: &str) -> (TestServer, u16) {
    let http = free_port();
    let config = format!("proxy_protocol: true\nhttp: \"127.0.0.1:{http}\"\n{more}");
    let server = TestServer::start(program, &config);
    assert!(server.log().iter().any(|line| line.contains("PROXY protocol enabled for client connections")));
    (server, http)
}

/// The only connection, as monitoring knows it: address and port.
fn known(http: u16) -> (Value, Value) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", http)).expect("monitoring accepts");
    stream.write_all(b"GET /connz HTTP/1.0\r\nHost: test\r\n\r\n").expect("writable");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("readable");
    let connz: Value = serde_json::from_str(reply.split_once("\r\n\r\n").expect("a head").1).expect("JSON");
    let connections = connz["connections"].as_array().expect("a list");
    assert_eq!(connections.len(), 1, "{connz}");
    (connections[0]["ip"].clone(), connections[0]["port"].clone())
}

fn a_proxy_tells_where_a_client_is(program: Program) {
    let inet = [192, 0, 2, 9, 192, 0, 2, 2, 0x13, 0x88, 0x10, 0x7e];
    let mut inet6 = [0; 36];
    (inet6[0], inet6[1], inet6[15], inet6[33]) = (0x20, 1, 1, 7);
    let with_more = [&inet[..], &[4; 700]].concat();
    for (header, ip, port) in [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 4222\r\n".to_vec(), "192.0.2.1", Some(5000)),
        (b"PROXY TCP6 2001:db8::1 ::1 5001 4222\r\n".to_vec(), "2001:db8::1", Some(5001)),
        (b"PROXY UNKNOWN whatever\r\n".to_vec(), "127.0.0.1", None),
        (v2(0x21, 0x11, &inet), "192.0.2.9", Some(5000)),
        (v2(0x21, 0x11, &with_more), "192.0.2.9", Some(5000)),
        (v2(0x21, 0x21, &inet6), "2001::1", Some(7)),
        (v2(0x20, 0x00, &[]), "127.0.0.1", None),
        (v2(0x20, 0x31, &[5; 300]), "127.0.0.1", None),
        (Vec::new(), "127.0.0.1", None),
    ] {
        // Monitoring of nats-server may know a connection for a moment after it has ended.
        let (server, http) = start(program, "");
        let mut client = server.connect();
        assert!(client.info["client_ip"].is_null(), "{program:?}: {}", client.info);
        client.send_bytes(&[&header[..], LAX.as_bytes(), b"PING\r\n"].concat());
        client.expect("PONG\r\n");
        let info = client.expect_info();
        assert_eq!(info["client_ip"], ip, "{program:?} {header:?}");
        let (known_ip, known_port) = known(http);
        assert_eq!(known_ip, ip, "{program:?} {header:?}");
        if let Some(port) = port {
            assert_eq!(known_port, json!(port), "{program:?} {header:?}");
        }
        client.send("SUB foo 1\r\nPUB foo 2\r\nhi\r\n");
        client.expect("MSG foo 1 2\r\nhi\r\n");
    }
}

fn a_header_that_makes_no_sense_ends_the_connection(program: Program) {
    let (mut server, _) = start(program, "");
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(200)).into_bytes();
    for header in [
        b"PROXY \r\nPING\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4\r\n".to_vec(),
        b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n".to_vec(),
        long,
        b"\r\n\r\n\0\rPING\r\nPING\r\n".to_vec(),
        v2(0x11, 0x11, &[0; 12]),
        v2(0x2f, 0x11, &[0; 12]),
        v2(0x21, 0x12, &[0; 12]),
        v2(0x21, 0x31, &[0; 216]),
        v2(0x21, 0x11, &[0; 11]),
        v2(0x21, 0x21, &[0; 35]),
    ] {
        let mut client = server.connect();
        client.try_send(&header);
        client.expect_closed();
        server.wait_for_line("[WRN] Error reading PROXY protocol header from 127.0.0.1:");
    }
}

fn a_header_may_come_in_pieces(program: Program) {
    let (server, http) = start(program, "");
    let header = b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 4222\r\n";
    let mut client = server.connect();
    for byte in header.iter().chain(LAX.as_bytes()) {
        client.send_bytes(&[*byte]);
    }
    client.expect_pong();
    assert_eq!(known(http).0, "192.0.2.1", "{program:?}");
    // What begins like a header and is none is the client's.
    drop(client);
    let mut client = server.connect();
    client.send_bytes(b"P");
    client.send_bytes(b"ING\r\n");
    client.expect("PONG\r\n");
}

fn a_header_comes_before_tls(program: Program) {
    let authority = Authority::new();
    for (more, tls) in [("", true), ("allow_non_tls: true", true), ("allow_non_tls: true", false)] {
        let (server, http) = start(program, &format!("{}\n{more}", authority.block("timeout: 5")));
        let mut client = server.connect();
        client.send_bytes(b"PROXY TCP4 192.0.2.1 192.0.2.2 5000 4222\r\n");
        if tls {
            client.begin_tls(authority.stranger()).expect("believed");
        }
        client.send(LAX);
        client.expect_pong();
        assert_eq!(known(http), (json!("192.0.2.1"), json!(5000)), "{program:?} {more} {tls}");
    }
    let (server, http) = start(program, &authority.block("handshake_first: true"));
    let mut client = Raw::silent(server.port);
    client.send_bytes(&v2(0x21, 0x11, &[192, 0, 2, 1, 192, 0, 2, 2, 0, 7, 0, 8]));
    client.begin_tls(authority.stranger()).expect("believed");
    assert_eq!(client.expect_info()["client_ip"], "192.0.2.1", "{program:?}");
    client.send(LAX);
    client.expect_pong();
    assert_eq!(known(http), (json!("192.0.2.1"), json!(7)), "{program:?}");
}

fn a_header_has_to_come_to_its_end(program: Program) {
    let (mut server, _) = start(program, "");
    let begun = std::time::Instant::now();
    let mut client = server.connect();
    client.send_bytes(b"PROXY TCP4 ");
    client.expect_closed();
    assert!(begun.elapsed() >= std::time::Duration::from_secs(4), "{program:?}: {:?}", begun.elapsed());
    server.wait_for_line("Error reading PROXY protocol header from 127.0.0.1:");
}

#[test]
fn the_log_names_the_client_and_not_the_proxy() {
    let (mut server, _) = start(Program::Natsd, "authorization { user: u, password: p }");
    let mut client = server.connect();
    client.send("PROXY TCP4 192.0.2.1 192.0.2.2 5000 4222\r\nCONNECT {}\r\n");
    client.expect("-ERR 'Authorization Violation'\r\n");
    server.wait_for_line("[ERR] 192.0.2.1:5000 - cid:");
}
