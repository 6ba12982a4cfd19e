//! Who may connect, byte for byte.

use std::time::Instant;

use nkeys::KeyPair;

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::wire::Step::{self, C, Closed, S};
use crate::wire::hold_all;

const VIOLATION: &str = "-ERR 'Authorization Violation'\r\n";

fn refused(line: &'static str) -> Vec<Step> {
    vec![C(line), S(VIOLATION), Closed]
}

/// What is said, under what title.
type Conversations = Vec<(&'static str, Vec<Step>)>;

/// Conversations with servers of these configurations, and what each is about.
fn conversations() -> Vec<(String, Conversations)> {
    let hash = bcrypt::hash("secret", 4).expect("a hash");
    let hashed = format!(
        "authorization {{ timeout: 30, users: [{{user: a, password: \"{}\"}}, {{user: b, pass: \"{hash}\"}}] }}",
        hash.replacen("$2b$", "$2a$", 1)
    );
    vec![
        ("authorization { user: u, password: p }".into(), single_user()),
        ("authorization { token: tok }".into(), token()),
        (hashed, hashes()),
        (
            "authorization { users: [{user: a, password: b}, {user: c, password: d},\
             {user: ws, password: s, allowed_connection_types: [websocket]},\
             {user: st, password: s, allowed_connection_types: [Standard, MQTT]}] }\nno_auth_user: a"
                .into(),
            users(),
        ),
    ]
}

fn single_user() -> Conversations {
    vec![
        ("PING first", refused("PING\r\n")),
        ("PUB first", refused("PUB foo 1\r\nx\r\n")),
        ("INFO first", refused("INFO {}\r\n")),
        ("an unknown verb first", refused("FOO\r\n")),
        ("not quite CONNECT", vec![C("CFOO\r\n"), S("-ERR 'Unknown Protocol Operation'\r\n"), Closed]),
        ("an empty line first", refused("\r\n")),
        ("one byte of another verb is enough", refused("P")),
        ("right", vec![C("CONNECT {\"user\":\"u\",\"pass\":\"p\"}\r\nPING\r\n"), S("+OK\r\nPONG\r\n")]),
        (
            "a token beside it is ignored",
            vec![C("CONNECT {\"user\":\"u\",\"pass\":\"p\",\"auth_token\":\"x\"}\r\n"), S("+OK\r\n")],
        ),
        ("wrong", refused("CONNECT {\"user\":\"u\",\"pass\":\"x\"}\r\n")),
        ("longer", refused("CONNECT {\"user\":\"u\",\"pass\":\"pp\"}\r\n")),
        ("another user", refused("CONNECT {\"user\":\"v\",\"pass\":\"p\"}\r\n")),
        ("no credentials", refused("CONNECT {}\r\n")),
        ("a password as a token", refused("CONNECT {\"auth_token\":\"p\"}\r\n")),
        ("nothing behind it is done", refused("CONNECT {\"user\":\"u\",\"protocol\":1}\r\nPING\r\n")),
        ("who may not come in hears nothing else", refused("CONNECT {\"protocol\":2,\"no_responders\":true}\r\n")),
        ("not JSON", vec![C("CONNECT {bad\r\n"), Closed]),
        ("no text", vec![C("CONNECT {\"user\":1}\r\n"), Closed]),
        (
            "again, and wrong then",
            vec![
                C("CONNECT {\"user\":\"u\",\"pass\":\"p\",\"verbose\":false}\r\nPING\r\n"),
                S("PONG\r\n"),
                C("CONNECT {\"user\":\"u\",\"pass\":\"x\"}\r\n"),
                S(VIOLATION),
                Closed,
            ],
        ),
    ]
}

fn token() -> Conversations {
    vec![
        ("right", vec![C("CONNECT {\"auth_token\":\"tok\"}\r\n"), S("+OK\r\n")]),
        ("wrong", refused("CONNECT {\"auth_token\":\"tok2\"}\r\n")),
        ("as a user", refused("CONNECT {\"user\":\"tok\"}\r\n")),
        ("as a password", refused("CONNECT {\"pass\":\"tok\"}\r\n")),
        ("none", refused("CONNECT {}\r\n")),
    ]
}

fn hashes() -> Conversations {
    vec![
        (
            "what comes behind CONNECT waits for the comparison",
            vec![
                C(
                    "CONNECT {\"user\":\"a\",\"pass\":\"secret\",\"verbose\":false}\r\nSUB foo 1\r\nPUB foo 2\r\nhi\r\nPING\r\n",
                ),
                S("MSG foo 1 2\r\nhi\r\nPONG\r\n"),
            ],
        ),
        ("$2b$", vec![C("CONNECT {\"user\":\"b\",\"pass\":\"secret\"}\r\n"), S("+OK\r\n")]),
        ("wrong", refused("CONNECT {\"user\":\"a\",\"pass\":\"Secret\"}\r\nPING\r\n")),
        ("the hash is no password", refused("CONNECT {\"user\":\"a\",\"pass\":\"$2a$04$\"}\r\n")),
        (
            "again as another",
            vec![
                C("CONNECT {\"user\":\"a\",\"pass\":\"secret\",\"verbose\":false}\r\n"),
                C("CONNECT {\"user\":\"b\",\"pass\":\"secret\"}\r\nPING\r\n"),
                S("PONG\r\n"),
                C("CONNECT {\"user\":\"b\",\"pass\":\"x\"}\r\nPING\r\n"),
                S(VIOLATION),
                Closed,
            ],
        ),
    ]
}

fn users() -> Conversations {
    vec![
        ("nobody says who it is", vec![C("PING\r\n"), S("PONG\r\n"), C("CONNECT {}\r\n"), S("+OK\r\n")]),
        (
            "who was nobody has none of the subscriptions",
            vec![C("SUB k 1\r\nCONNECT {\"verbose\":false}\r\nPUB k 0\r\n\r\n"), S("+OK\r\n")],
        ),
        ("a wrong verb is one", vec![C("FOO\r\n"), S("-ERR 'Unknown Protocol Operation'\r\n"), Closed]),
        ("a user", vec![C("CONNECT {\"user\":\"c\",\"pass\":\"d\"}\r\n"), S("+OK\r\n")]),
        ("wrong", refused("CONNECT {\"user\":\"c\",\"pass\":\"x\"}\r\n")),
        ("a password of another", refused("CONNECT {\"user\":\"c\",\"pass\":\"b\"}\r\n")),
        ("unknown", refused("CONNECT {\"user\":\"zz\",\"pass\":\"x\"}\r\n")),
        ("a password alone", refused("CONNECT {\"pass\":\"b\"}\r\n")),
        ("a token", refused("CONNECT {\"auth_token\":\"b\"}\r\n")),
        ("not by this way", refused("CONNECT {\"user\":\"ws\",\"pass\":\"s\"}\r\n")),
        ("by this way among others", vec![C("CONNECT {\"user\":\"st\",\"pass\":\"s\"}\r\n"), S("+OK\r\n")]),
        ("wrong later", vec![C("PING\r\n"), S("PONG\r\n"), C("CONNECT {\"user\":\"c\"}\r\n"), S(VIOLATION), Closed]),
    ]
}

fn hold_with_each_configuration(program: Program) {
    for (config, conversations) in conversations() {
        eprintln!("{config}");
        hold_all(program, &config, conversations);
    }
}

#[test]
fn every_conversation() {
    hold_with_each_configuration(Program::Natsd);
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_says_the_same() {
    hold_with_each_configuration(Program::Go);
}

fn silent_clients_have_to_go(program: Program) {
    let server = TestServer::start(program, "authorization { token: tok, timeout: 0.3 }");
    for said in ["", "C", "CONNECT {\"auth_token\":"] {
        let began = Instant::now();
        let mut client = server.connect();
        assert_eq!(client.info["auth_required"], true);
        client.send(said);
        client.expect("-ERR 'Authentication Timeout'\r\n");
        client.expect_closed();
        assert!(began.elapsed().as_millis() >= 290, "{:?} after {said:?}", began.elapsed());
    }
    let mut client = server.connect();
    client.send("CONNECT {\"auth_token\":\"tok\",\"verbose\":false}\r\n");
    client.expect_pong();
}

#[test]
fn who_says_nothing_has_to_go() {
    silent_clients_have_to_go(Program::Natsd);
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_sends_it_away_too() {
    silent_clients_have_to_go(Program::Go);
}

fn signed(client: &Raw, pair: &KeyPair) -> String {
    let nonce = client.info["nonce"].as_str().expect("a nonce");
    assert_eq!(nonce.len(), 15);
    let signature = pair.sign(nonce.as_bytes()).expect("a pair signs");
    let signature = data_encoding::BASE64URL_NOPAD.encode(&signature);
    format!("CONNECT {{\"nkey\":\"{}\",\"sig\":\"{signature}\",\"verbose\":false}}\r\n", pair.public_key())
}

fn keys_sign_the_nonce(program: Program) {
    let (known, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let config = format!("authorization {{ users: [{{nkey: {}}}, {{user: a, password: b}}] }}", known.public_key());
    let server = TestServer::start(program, &config);

    let mut client = server.connect();
    client.send(&signed(&client, &known));
    client.expect_pong();
    let mut other = server.connect();
    assert_ne!(client.info["nonce"], other.info["nonce"]);
    other.send("CONNECT {\"user\":\"a\",\"pass\":\"b\",\"verbose\":false}\r\n");
    other.expect_pong();

    let replayed = signed(&client, &known);
    let unsigned = format!("CONNECT {{\"nkey\":\"{}\"}}\r\n", known.public_key());
    let with_password = format!("CONNECT {{\"nkey\":\"{}\",\"user\":\"a\",\"pass\":\"b\"}}\r\n", known.public_key());
    let mut client = server.connect();
    client.send(&signed(&client, &stranger));
    client.expect(VIOLATION);
    client.expect_closed();
    for wrong in [replayed, unsigned, with_password, "CONNECT {}\r\n".into(), "PING\r\n".into()] {
        let mut client = server.connect();
        client.send(&wrong);
        client.expect(VIOLATION);
        client.expect_closed();
    }
}

#[test]
fn who_has_a_key_signs_the_nonce() {
    keys_sign_the_nonce(Program::Natsd);
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_takes_the_same_signatures() {
    keys_sign_the_nonce(Program::Go);
}

#[test]
fn info_tells_whether_to_say_who_one_is() {
    for (config, required) in [
        ("", false),
        ("authorization {}", false),
        ("authorization { timeout: 1 }", false),
        ("authorization { users: [] }", false),
        ("authorization { user: u }", true),
        ("authorization { users: [{user: a, password: b}] }", true),
        ("authorization { users: [{user: a, password: b}] }\nno_auth_user: a", false),
    ] {
        let info = TestServer::natsd(config).connect().info;
        assert_eq!(info["auth_required"] == true, required, "{config}");
        assert_eq!(info["nonce"], serde_json::Value::Null, "{config}");
    }
}

#[test]
fn the_log_tells_who_was_refused_but_no_secret() {
    let config = "debug: true\ntrace: true\nauthorization { users: [{user: alice, password: hidden1}] }";
    let mut server = TestServer::natsd(config);
    assert!(server.log().concat().contains("Plaintext passwords detected, use nkeys or bcrypt"));
    for (line, logged) in [
        ("CONNECT {\"user\":\"alice\",\"pass\":\"hidden2\"}\r\n", "authentication error - User \"alice\""),
        ("CONNECT {\"auth_token\":\"hidden3\"}\r\n", "authentication error - Token \"[REDACTED]\""),
        ("CONNECT {\"user\":\"alice\",\"pass\":[\"hidden4\"]}\r\n", "CONNECT of a client is malformed"),
        ("CONNECT {\"user\":\"alice\",\"pass\":\"hidden1\"}\r\nFOO\r\n", "Unknown Protocol Operation"),
    ] {
        let mut client = server.connect();
        client.try_send(line.as_bytes());
        client.drain();
        server.wait_for_line(logged);
    }
    server.signal("TERM");
    server.wait_for_end();
    assert!(!server.log().concat().contains("hidden"), "{:#?}", server.log());
}

#[test]
fn slow_comparisons_hold_up_nobody_and_end_in_time() {
    // As costly as minutes of CPU time.
    let hash = bcrypt::hash("secret", 4).expect("a hash").replacen("$04$", "$20$", 1);
    let users = format!("[{{user: slow, password: \"{hash}\"}}, {{user: fast, password: p}}]");
    let server = TestServer::natsd(&format!("authorization {{ timeout: 0.5, users: {users} }}"));
    let mut slow: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for client in &mut slow {
        client.send("CONNECT {\"user\":\"slow\",\"pass\":\"secret\"}\r\nPING\r\n");
    }
    let mut fast = server.connect();
    fast.send("CONNECT {\"user\":\"fast\",\"pass\":\"p\",\"verbose\":false}\r\nSUB foo 1\r\nPUB foo 0\r\n\r\n");
    fast.expect("MSG foo 1 0\r\n\r\n");
    for client in &mut slow {
        client.expect("-ERR 'Authentication Timeout'\r\n");
        client.expect_closed();
    }
    fast.expect_pong();
}
