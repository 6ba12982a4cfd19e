//! The client protocol, byte for byte.

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};

/// What the client says and the server answers.
pub(crate) enum Step {
    C(&'static str),
    S(&'static str),
    /// The server closes.
    Closed,
}
use Step::{C, Closed, S};

const CONFIG: &str = "max_payload: 1024\nmax_subscriptions: 5\nmax_sub_tokens: 4";

const QUIET: &str = "CONNECT {\"verbose\":false}\r\n";
const LAX: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";
const HEADERS: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true}\r\n";
const UNKNOWN: &str = "-ERR 'Unknown Protocol Operation'\r\n";
const INVALID: &str = "-ERR 'Invalid Subject'\r\n";
const INVALID_PUBLISH: &str = "-ERR 'Invalid Publish Subject'\r\n";

/// Conversations, and what each is about. Every one begins on a new connection.
fn conversations() -> Vec<(&'static str, Vec<Step>)> {
    [framing(), settings(), subscriptions(), publishing(), headers(), violations()].into_iter().flatten().collect()
}

fn framing() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("before CONNECT anything goes", vec![C("PING\r\n"), S("PONG\r\n")]),
        (
            "verbs in any case, any blanks, LF alone",
            vec![
                C("connect {\"verbose\":false}\nsub\tfoo   1\npub foo\t 2\r\nhi\r\n"),
                S("MSG foo 1 2\r\nhi\r\n"),
                C("ping\npInG   \r\n"),
                S("PONG\r\nPONG\r\n"),
            ],
        ),
        ("what clients do not mean", vec![C(QUIET), C("INFO {\"a\":1}\r\n+OK\r\nPONG\r\nPING\r\n"), S("PONG\r\n")]),
        ("-ERR from a client", vec![C(QUIET), C("-ERR 'x'\r\n"), Closed]),
        ("unknown verb", vec![C(QUIET), C("FOO\r\n"), S(UNKNOWN), Closed]),
        ("verbs of servers", vec![C(QUIET), C("RMSG\r\n"), S(UNKNOWN), Closed]),
        ("MSG", vec![C(QUIET), C("MSG foo 1 2\r\nhi\r\n"), S(UNKNOWN), Closed]),
        ("A+", vec![C(QUIET), C("A+ foo\r\n"), S(UNKNOWN), Closed]),
        ("LS+", vec![C(QUIET), C("LS+ foo\r\n"), S(UNKNOWN), Closed]),
        ("empty line", vec![C(QUIET), C("\r\n"), S(UNKNOWN), Closed]),
        ("payload that ends in LF alone", vec![C(QUIET), C("PUB foo 2\r\nhi\n"), S(UNKNOWN), Closed]),
        ("payload longer than announced", vec![C(QUIET), C("PUB foo 2\r\nhello\r\n"), S(UNKNOWN), Closed]),
        ("UNSUB without blank", vec![C(QUIET), C("UNSUB\r\n"), S(UNKNOWN), Closed]),
        ("SUB without blank", vec![C(QUIET), C("SUB\r\n"), S(UNKNOWN), Closed]),
    ]
}

fn settings() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        (
            "verbose and pedantic are on without CONNECT",
            vec![
                C("SUB foo 1\r\nPUB foo 2\r\nhi\r\n"),
                S("+OK\r\n+OK\r\nMSG foo 1 2\r\nhi\r\n"),
                C("PUB foo.* 0\r\n\r\n"),
                S(INVALID_PUBLISH),
                S("+OK\r\n"),
            ],
        ),
        (
            "+OK comes before what it caused",
            vec![
                C(
                    "CONNECT {\"verbose\":true}\r\nPING\r\nSUB foo 1\r\nPUB foo 5\r\nhello\r\nUNSUB 1\r\nPUB foo 0\r\n\r\n",
                ),
                S("+OK\r\nPONG\r\n+OK\r\n+OK\r\nMSG foo 1 5\r\nhello\r\n+OK\r\n+OK\r\n"),
            ],
        ),
        ("CONNECT changes only what it names", vec![C("CONNECT {}\r\nPING\r\n"), S("+OK\r\nPONG\r\n")]),
        (
            "a second CONNECT ends what was subscribed to",
            vec![
                C("SUB foo 1\r\nCONNECT {\"verbose\":false}\r\nPUB foo 0\r\n\r\n"),
                S("+OK\r\nMSG foo 1 0\r\n\r\n"),
                C("CONNECT {}\r\nPUB foo 0\r\n\r\nSUB foo 1\r\nPUB foo 0\r\n\r\n"),
                S("MSG foo 1 0\r\n\r\n"),
            ],
        ),
        (
            "no echo",
            vec![
                C("CONNECT {\"verbose\":false,\"echo\":false}\r\nSUB foo 1\r\nPUB foo 2\r\nhi\r\nPING\r\n"),
                S("PONG\r\n"),
            ],
        ),
        ("malformed CONNECT", vec![C("CONNECT {bad\r\n"), Closed]),
        ("empty CONNECT", vec![C("CONNECT \r\n"), Closed]),
        ("protocol 2", vec![C("CONNECT {\"protocol\":2}\r\n"), S("-ERR 'invalid client protocol'\r\n"), Closed]),
        ("protocol -1", vec![C("CONNECT {\"protocol\":-1}\r\n"), S("-ERR 'invalid client protocol'\r\n"), Closed]),
        (
            "no_responders without headers",
            vec![
                C("CONNECT {\"no_responders\":true}\r\n"),
                S("-ERR 'no responders requires headers support'\r\n"),
                Closed,
            ],
        ),
        ("account", vec![C("CONNECT {\"account\":\"X\"}\r\n"), S("-ERR 'Authorization Violation'\r\n"), Closed]),
    ]
}

fn subscriptions() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        (
            "invalid subjects are refused, odd ones are not",
            vec![
                C(QUIET),
                C("SUB foo..bar 1\r\nSUB .a 2\r\nSUB a. 3\r\nSUB a.>.b 4\r\nSUB foo* 5\r\nSUB f>o 6\r\nSUB * 7\r\n"),
                S(INVALID),
                S(INVALID),
                S(INVALID),
                S(INVALID),
            ],
        ),
        ("unknown sid", vec![C("UNSUB 99\r\nUNSUB 99 3\r\n"), S("+OK\r\n+OK\r\n")]),
        (
            "a sid in use stays what it is",
            vec![
                C("SUB a 1\r\nSUB b 1\r\nPUB a 1\r\nx\r\nPUB b 1\r\ny\r\n"),
                S("+OK\r\n+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n+OK\r\n"),
            ],
        ),
        (
            "UNSUB after so many",
            vec![
                C(QUIET),
                C("SUB a 1\r\nUNSUB 1 2\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\nPUB a 1\r\nz\r\n"),
                S("MSG a 1 1\r\nx\r\nMSG a 1 1\r\ny\r\n"),
                C("SUB b 1\r\nPUB b 0\r\n\r\n"),
                S("MSG b 1 0\r\n\r\n"),
            ],
        ),
        (
            "UNSUB counts from the start",
            vec![
                C(QUIET),
                C("SUB a 1\r\nPUB a 1\r\nx\r\nPUB a 1\r\ny\r\nUNSUB 1 1\r\nPUB a 1\r\nz\r\n"),
                S("MSG a 1 1\r\nx\r\nMSG a 1 1\r\ny\r\n"),
            ],
        ),
        (
            "too many subscriptions",
            vec![
                C(QUIET),
                C("SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nSUB d 4\r\nSUB e 5\r\nSUB f 6\r\n"),
                S("-ERR 'maximum subscriptions exceeded'\r\n"),
            ],
        ),
        (
            "too many tokens",
            vec![
                C(QUIET),
                C("SUB a.b.c.d.e 1\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"a.b.c.d.e\", too many tokens'\r\n"),
            ],
        ),
        (
            "plain subscriptions come first, then one of each group",
            vec![
                C(LAX),
                C("SUB q g1 1\r\nSUB q g2 3\r\nSUB q 4\r\nPUB q rep 1\r\nx\r\n"),
                S("MSG q 4 rep 1\r\nx\r\nMSG q "),
            ],
        ),
    ]
}

fn publishing() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        (
            "pedantic: odd subjects are told and delivered all the same",
            vec![
                C(QUIET),
                C("SUB foo.* 1\r\nPUB foo.* 2\r\nhi\r\nPUB foo..x 2\r\nhi\r\n"),
                S(INVALID_PUBLISH),
                S("MSG foo.* 1 2\r\nhi\r\n"),
                S(INVALID_PUBLISH),
            ],
        ),
        (
            "not pedantic: wildcards in what is published are literal",
            vec![
                C(LAX),
                C("SUB foo.* 1\r\nPUB foo.* 2\r\nhi\r\nPUB foo.> 2\r\nhi\r\nPUB foo..x 2\r\nhi\r\nPUB .a 1\r\nx\r\n"),
                S("MSG foo.* 1 2\r\nhi\r\nMSG foo.> 1 2\r\nhi\r\n"),
            ],
        ),
        (
            "the full wildcard gets what only looks internal",
            vec![
                C(LAX),
                C("SUB > 1\r\nPUB a*.b 1\r\nx\r\nPUB $SYS.foo 1\r\ny\r\nPUB _INBOX.1 1\r\nz\r\n"),
                S("MSG a*.b 1 1\r\nx\r\nMSG $SYS.foo 1 1\r\ny\r\nMSG _INBOX.1 1 1\r\nz\r\n"),
            ],
        ),
        (
            "reserved subjects",
            vec![
                C(LAX),
                C("PUB a _R_.x 1\r\nx\r\nPUB a $GR.x 1\r\nx\r\nPUB _GR_.a.b.c 1\r\nx\r\nPUB $NRG.x 1\r\nx\r\n"),
                S("-ERR 'Permissions Violation for Publish with Reply of \"_R_.x\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish with Reply of \"$GR.x\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"_GR_.a.b.c\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"$NRG.x\"'\r\n"),
                C("PUB $JS.ACK.x 1\r\nx\r\nPUB a $JS.ACK.x 1\r\nx\r\n"),
                S("-ERR 'Permissions Violation for Publish with Reply of \"$JS.ACK.x\"'\r\n"),
            ],
        ),
        (
            "nobody takes a request",
            vec![
                C(HEADERS),
                C("SUB inbox 9\r\nPUB nobody inbox 2\r\nhi\r\n"),
                S("HMSG inbox 9 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n"),
                C("PUB nobody elsewhere 2\r\nhi\r\nPUB nobody 2\r\nhi\r\n"),
            ],
        ),
        (
            "the answer that nobody takes a request does not count as a message",
            vec![
                C(HEADERS),
                C("SUB inbox 9\r\nUNSUB 9 1\r\nPUB nobody inbox 0\r\n\r\n"),
                S("HMSG inbox 9 38 38\r\nNATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n\r\n"),
                C("PUB inbox 0\r\n\r\nPUB inbox 0\r\n\r\n"),
                S("MSG inbox 9 0\r\n\r\n"),
            ],
        ),
    ]
}

fn headers() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        (
            "headers pass as they are",
            vec![
                C(HEADERS),
                C("SUB foo 1\r\nHPUB foo 24 26\r\nNATS/1.0\r\nK: v\r\nK: w\r\n\r\nhi\r\n"),
                S("HMSG foo 1 24 26\r\nNATS/1.0\r\nK: v\r\nK: w\r\n\r\nhi\r\n"),
                C("HPUB foo rep 12 12\r\nHTTP/1.0\r\n\r\n\r\nHPUB foo 0 2\r\nhi\r\n"),
                S("HMSG foo 1 rep 12 12\r\nHTTP/1.0\r\n\r\n\r\nMSG foo 1 2\r\nhi\r\n"),
            ],
        ),
        ("headers without having said so", vec![C(LAX), C("HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"), Closed]),
        ("more headers than message", vec![C(HEADERS), C("HPUB foo 30 25\r\n"), Closed]),
        (
            "header length that does not match",
            vec![C(HEADERS), C("HPUB foo 23 25\r\nNATS/1.0\r\nK: v\r\nK: w\r\n\r\nhi\r\n"), S(UNKNOWN), Closed],
        ),
    ]
}

fn violations() -> Vec<(&'static str, Vec<Step>)> {
    vec![
        ("payload too large", vec![C(QUIET), C("PUB foo 1025\r\n"), S("-ERR 'Maximum Payload Violation'\r\n"), Closed]),
        ("negative size", vec![C(QUIET), C("PUB foo -1\r\n"), Closed]),
        ("size with too many digits", vec![C(QUIET), C("PUB foo 99999999999999999999\r\n"), Closed]),
        ("PUB without size", vec![C(QUIET), C("PUB foo\r\n"), Closed]),
        ("PUB with a word for size", vec![C(QUIET), C("PUB foo x\r\n"), Closed]),
        ("PUB with four arguments", vec![C(QUIET), C("PUB foo a b 2\r\nhi\r\n"), Closed]),
        ("SUB without sid", vec![C(QUIET), C("SUB foo\r\n"), Closed]),
        ("SUB with four arguments", vec![C(QUIET), C("SUB foo a b c\r\n"), Closed]),
        ("UNSUB with three arguments", vec![C(QUIET), C("UNSUB 1 2 3\r\n"), Closed]),
    ]
}

pub(crate) fn hold(server: &TestServer, steps: &[Step]) {
    let mut client = server.connect();
    for step in steps {
        match step {
            C(text) => client.send(text),
            S(text) => client.expect(text),
            Closed => return client.expect_closed(),
        }
    }
    if !matches!(steps.last(), Some(S(text)) if !text.ends_with("\r\n")) {
        client.expect_nothing();
    }
}

/// All conversations with one server of this configuration.
pub fn hold_all(program: Program, config: &str, conversations: Vec<(&'static str, Vec<Step>)>) {
    let server = TestServer::start(program, config);
    for (about, steps) in conversations {
        eprintln!("{about}");
        hold(&server, &steps);
    }
}

#[test]
fn every_conversation() {
    hold_all(Program::Natsd, CONFIG, conversations());
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_says_the_same() {
    hold_all(Program::Go, CONFIG, conversations());
}

#[test]
fn a_line_has_an_end() {
    let server = TestServer::natsd("");
    for tail in ["", " 1\r\n"] {
        let mut client = server.client();
        client.try_send(format!("SUB {}{tail}", "a".repeat(5000)).as_bytes());
        client.expect("-ERR 'maximum control line exceeded'\r\n");
        client.expect_closed();
    }
}

#[test]
fn info_says_who_is_who() {
    let server = TestServer::natsd("server_name: S0\nmax_payload: 1024");
    let mut client = server.connect();
    assert_eq!(client.info["server_name"], "S0");
    assert_eq!(client.info["version"], "2.15.2");
    assert_eq!(client.info["max_payload"], 1024);
    assert_eq!(client.info["client_ip"], "127.0.0.1");
    assert_eq!(client.info["connect_info"], serde_json::Value::Null);
    client.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
    client.expect("PONG\r\n");
    let info = client.expect_info();
    assert_eq!(info["connect_info"], true);
    assert_eq!(info["remote_account"], "$G");
    client.expect_nothing();
}

#[test]
fn headers_are_stripped_for_those_who_do_not_know_them() {
    let server = TestServer::natsd("");
    let mut plain = server.connect();
    plain.send(QUIET);
    plain.send("SUB foo 1\r\n");
    plain.expect_nothing();
    server.client().send("HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
    plain.expect("MSG foo 1 2\r\nhi\r\n");
}

#[test]
fn a_large_message_comes_in_many_reads() {
    let server = TestServer::natsd("");
    let mut client = server.client();
    client.send("SUB big 1\r\n");
    let payload = "0123456789abcdef".repeat(1 << 16);
    client.send(&format!("PUB big {}\r\n{payload}\r\nPING\r\n", payload.len()));
    client.expect(&format!("MSG big 1 {}\r\n{payload}\r\nPONG\r\n", payload.len()));
}

#[test]
fn one_client_too_many_is_told_after_info() {
    let server = TestServer::natsd("max_connections: 1");
    let mut first = server.connect();
    let mut second = server.connect();
    second.expect("-ERR 'maximum connections exceeded'\r\n");
    second.expect_closed();
    first.expect_pong();
}

#[test]
fn who_does_not_answer_is_stale() {
    let server = TestServer::natsd("ping_interval: \"50ms\"\nping_max: 1");
    let mut client = server.client();
    client.expect("PING\r\n");
    client.expect("-ERR 'Stale Connection'\r\n");
    client.expect_closed();
}

#[test]
fn the_first_ping_comes_early() {
    let server = TestServer::natsd("");
    let mut client = server.client();
    client.expect("PING\r\n");
    client.send("PONG\r\n");
    client.expect_nothing();
}

#[test]
fn queue_members_share_evenly() {
    let server = TestServer::natsd("");
    let mut client = server.client();
    client.send("SUB work q 0\r\nSUB work q 1\r\nSUB work q 2\r\nSUB work q 3\r\n");
    let mut counts = [0; 4];
    for _ in 0..2000 {
        client.send("PUB work 0\r\n\r\n");
    }
    for _ in 0..2000 {
        let line = client.line();
        let sid: usize = line.split(' ').nth(2).and_then(|sid| sid.parse().ok()).expect("MSG work <sid> 0");
        counts[sid] += 1;
        assert_eq!(client.line(), "");
    }
    assert!(counts.iter().all(|count| (400..600).contains(count)), "{counts:?}");
}

#[test]
fn a_slow_consumer_is_cut_and_nobody_else() {
    let server = TestServer::natsd("max_pending: 1MB\nmax_payload: 64KB");
    let mut slow = server.client();
    slow.send("SUB data 1\r\n");
    slow.expect_nothing();
    let mut other = server.client();
    other.send("SUB other 1\r\n");
    let mut publisher = server.client();
    let payload = "x".repeat(60_000);
    for _ in 0..600 {
        publisher.send(&format!("PUB data {}\r\n{payload}\r\n", payload.len()));
    }
    publisher.send("PUB other 2\r\nhi\r\n");
    publisher.expect_pong();
    other.expect("MSG other 1 2\r\nhi\r\n");
    assert!(slow.drain() < 600 * 60_000, "the slow consumer got everything");
}

#[test]
fn signals_end_it_with_status_0() {
    for signal in ["TERM", "INT"] {
        let mut server = TestServer::natsd("");
        let mut client = server.client();
        client.expect_nothing();
        server.signal(signal);
        client.expect_closed();
        assert_eq!(server.wait_for_end().code(), Some(0), "{signal}");
    }
}

#[test]
fn a_lame_duck_says_so_and_sends_its_clients_away() {
    let mut server = TestServer::natsd("lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"100ms\"");
    let mut client = server.connect();
    client.send("CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n");
    client.expect("PONG\r\n");
    client.expect_info();
    server.signal("USR2");
    assert_eq!(client.expect_info()["ldm"], true);
    client.expect_closed();
    assert_eq!(server.wait_for_end().code(), Some(0));
}

#[test]
fn without_clients_a_lame_duck_ends_at_once() {
    let mut server = TestServer::natsd("");
    server.signal("USR2");
    assert_eq!(server.wait_for_end().code(), Some(0));
}

#[test]
fn an_idle_connection_needs_little_memory() {
    let server = TestServer::natsd("");
    let connect = |count: u64| {
        let mut clients: Vec<_> = (0..count).map(|_| server.client()).collect();
        clients.iter_mut().for_each(Raw::expect_pong);
        clients
    };
    // The first ones also pay for what all share.
    let _first = connect(150);
    let before = server.memory();
    let _more = connect(400);
    let each = server.memory().saturating_sub(before) / 400;
    assert!(each <= 10 * 1024, "{each} bytes");
}
