//! Frames, both ways.

use std::sync::Arc;

use natsd_core::websocket::deflate::Deflater;

use super::{LAX, start};
use crate::harness::client::Client;
use crate::harness::server::{Program, TestServer};
use crate::harness::tls::Authority;
use crate::harness::websocket::{DEFLATE, Ws, websocket_port};
use crate::harness::with_both;

const BROWSER: &str = "User-Agent: Mozilla/5.0 (X11) Chrome/1 Safari/5";
const SAFARI: &str = "User-Agent: Mozilla/5.0 (Macintosh) Version/1 Safari/5";

with_both!(
    messages_pass_in_both_directions,
    frames_may_be_cut_anywhere,
    what_breaks_the_rules_ends_the_connection,
    goodbyes_are_answered,
    messages_are_compressed,
    browsers_get_small_frames,
    bombs_do_not_go_off,
    masks_can_be_left_away,
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
