//! Who may connect, byte for byte.

use std::time::Instant;

use nkeys::KeyPair;

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::wire::Step::{self, C, Closed, S};
use crate::wire::hold;

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
        (PERMISSIONS.into(), permissions()),
    ]
}

const PERMISSIONS: &str = r#"max_sub_tokens: 4
authorization {
  default_permissions: { publish: "def.>", subscribe: "def.>" }
  users: [
    {user: def, password: p}
    {user: free, password: p, permissions: {}}
    {user: lists, password: p, permissions: { publish: ["a.*", "b"], subscribe: {allow: ["s.>"], deny: ["s.no.*"]} }}
    {user: deny, password: p, permissions: { publish: {deny: "a.*"}, subscribe: {deny: ["s.x", "t.>", "foo bad"]} }}
    {user: groups, password: p, permissions: { subscribe: {
       allow: ["foo", "bar q1", "baz q.*", "m", "m q1", "z.>"], deny: ["foo bad", "zap", "z.d", "z.d bad", "z.e bad"] } }}
    {user: once, password: p, permissions: { subscribe: "req.>", allow_responses: true }}
    {user: twice, password: p, permissions: { publish: none, subscribe: "req.>", allow_responses: {max: 2, expires: "1m"} }}
    {user: brief, password: p, permissions: { subscribe: "req.>", allow_responses: {max: -1, expires: "1ms"} }}
  ]
}
no_auth_user: free"#;

const DEF: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"user\":\"def\",\"pass\":\"p\"}\r\n";
const LISTS: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"user\":\"lists\",\"pass\":\"p\"}\r\n";
const DENY: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"user\":\"deny\",\"pass\":\"p\"}\r\n";
const GROUPS: &str = "CONNECT {\"verbose\":false,\"user\":\"groups\",\"pass\":\"p\"}\r\n";
const FREE: &str =
    "CONNECT {\"verbose\":false,\"user\":\"free\",\"pass\":\"p\",\"headers\":true,\"no_responders\":true}\r\n";

fn permissions() -> Conversations {
    [publishing(), subscribing(), filtering(), again()].into_iter().flatten().collect()
}

fn publishing() -> Conversations {
    vec![
        (
            "defaults",
            vec![
                C(DEF),
                C("PUB a 0\r\n\r\nPUB def.x 0\r\n\r\nPUB def 0\r\n\r\nPUB def..x 0\r\n\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"a\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"def\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"def..x\"'\r\n"),
            ],
        ),
        (
            "allowed subjects, again and again",
            vec![
                C(LISTS),
                C("PUB a.x 0\r\n\r\nPUB b 0\r\n\r\nPUB a.* 0\r\n\r\nPUB a.x c 0\r\n\r\n"),
                C("PUB c 0\r\n\r\nPUB c 0\r\n\r\nPUB c 0\r\n\r\nPUB c a.x 0\r\n\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"c\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"c\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"c\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"c\"'\r\n"),
                C("PUB a.x.y 0\r\n\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"a.x.y\"'\r\n"),
            ],
        ),
        (
            "denied subjects",
            vec![
                C(DENY),
                C("PUB a.x 0\r\n\r\nPUB b 0\r\n\r\nPUB a.* 0\r\n\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"a.x\"'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"a.*\"'\r\n"),
            ],
        ),
        (
            "no +OK for what is refused",
            vec![
                C("CONNECT {\"user\":\"lists\",\"pass\":\"p\"}\r\n"),
                S("+OK\r\n"),
                C("PUB c 0\r\n\r\nSUB c 1\r\nPUB a.x 0\r\n\r\nPUB c.* 0\r\n\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"c\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"c\"'\r\n"),
                S("+OK\r\n-ERR 'Invalid Publish Subject'\r\n"),
                S("-ERR 'Permissions Violation for Publish to \"c.*\"'\r\n"),
            ],
        ),
    ]
}

fn subscribing() -> Conversations {
    vec![
        (
            "allowed subjects but for some",
            vec![
                C(LISTS),
                C("SUB s.> 1\r\nSUB s.no.x 2\r\nSUB s.no.> 3\r\nSUB s.*.x 4\r\nSUB s.no 5\r\nSUB > 6\r\nSUB > q 7\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"s.no.x\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"s.no.>\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \">\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \">\" using queue \"q\"'\r\n"),
                C("SUB x..y 8\r\nSUB n.a.b.c.d 9\r\nSUB s.a.b.c.d 10\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"x..y\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"n.a.b.c.d\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"s.a.b.c.d\", too many tokens'\r\n"),
            ],
        ),
        (
            "queue groups",
            vec![
                C(GROUPS),
                C("SUB foo 1\r\nSUB foo q 2\r\nSUB foo bad 3\r\nSUB bar 4\r\nSUB bar q1 5\r\nSUB bar q2 6\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"foo\" using queue \"bad\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"bar\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"bar\" using queue \"q2\"'\r\n"),
                C("SUB baz q.x 7\r\nSUB baz q 8\r\nSUB m 9\r\nSUB m q1 10\r\nSUB m q2 11\r\nSUB zap q 12\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"baz\" using queue \"q\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"m\" using queue \"q2\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"zap\" using queue \"q\"'\r\n"),
                C("SUB z.d good 13\r\nSUB z.e good 14\r\nSUB z.e bad 15\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"z.d\" using queue \"good\"'\r\n"),
                S("-ERR 'Permissions Violation for Subscription to \"z.e\" using queue \"bad\"'\r\n"),
            ],
        ),
    ]
}

fn filtering() -> Conversations {
    vec![
        (
            "a wider subscription gets all but what is denied, and only that counts",
            vec![
                C(DENY),
                C("SUB s.> 1\r\nUNSUB 1 2\r\n"),
                C("PUB s.x 1\r\na\r\nPUB s.x 1\r\nb\r\nPUB s.x 1\r\nc\r\nPUB s.y 1\r\nd\r\n"),
                S("MSG s.y 1 1\r\nd\r\n"),
                C("PUB s.x 1\r\ne\r\nPUB s.y 1\r\nf\r\nPUB s.y 1\r\ng\r\n"),
                S("MSG s.y 1 1\r\nf\r\n"),
            ],
        ),
        (
            "in queue groups too",
            vec![
                C(DENY),
                C("SUB > bad 1\r\nPUB foo 1\r\na\r\nPUB s.x 1\r\nb\r\nPUB s.y 1\r\nc\r\n"),
                S("MSG s.y 1 1\r\nc\r\n"),
                C("SUB * good 2\r\nPUB foo 1\r\nd\r\n"),
                S("MSG foo 2 1\r\nd\r\n"),
            ],
        ),
    ]
}

fn again() -> Conversations {
    vec![(
        "who is somebody else has none of the subscriptions",
        vec![
            C(FREE),
            C("SUB s.> 1\r\nSUB k 2\r\nPUB k 0\r\n\r\n"),
            S("MSG k 2 0\r\n\r\n"),
            C(DENY),
            C("PUB s.y 0\r\n\r\nPUB k 0\r\n\r\nPUB a.x 0\r\n\r\n"),
            S("-ERR 'Permissions Violation for Publish to \"a.x\"'\r\n"),
            C("SUB k 2\r\nCONNECT {}\r\nPUB k 0\r\n\r\nPUB a.x 0\r\n\r\n"),
            S("-ERR 'Permissions Violation for Publish to \"a.x\"'\r\n"),
        ],
    )]
}

fn answers_are_allowed(program: Program) {
    let server = TestServer::start(program, PERMISSIONS);
    let mut asking = server.connect();
    asking.send(FREE);
    asking.send("SUB inbox.> 1\r\n");
    asking.expect_pong();
    let as_user = |user: &str| {
        let mut client = server.connect();
        client.send(&format!("CONNECT {{\"user\":\"{user}\",\"pass\":\"p\",\"verbose\":false}}\r\nSUB req.> 1\r\n"));
        client.expect_pong();
        client
    };
    let denied = |subject: &str| format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'\r\n");

    for (user, times) in [("once", 1), ("twice", 2)] {
        let mut answering = as_user(user);
        answering.send("PUB inbox.a 0\r\n\r\n");
        answering.expect(&denied("inbox.a"));
        asking.send("PUB req.x inbox.a 0\r\n\r\n");
        answering.expect("MSG req.x 1 inbox.a 0\r\n\r\n");
        answering.send("PUB inbox.b 0\r\n\r\n");
        answering.expect(&denied("inbox.b"));
        for _ in 0..times {
            answering.send("PUB inbox.a 0\r\n\r\n");
            asking.expect("MSG inbox.a 1 0\r\n\r\n");
        }
        answering.send("PUB inbox.a 0\r\n\r\n");
        answering.expect(&denied("inbox.a"));
        answering.expect_nothing();
    }

    let mut late = as_user("brief");
    asking.send("PUB req.x inbox.c 0\r\n\r\n");
    late.expect("MSG req.x 1 inbox.c 0\r\n\r\n");
    let since = Instant::now();
    while since.elapsed().as_millis() < 5 {
        late.expect_pong();
    }
    late.send("PUB inbox.c 0\r\n\r\n");
    late.expect(&denied("inbox.c"));

    // Nobody who may have it takes it.
    let mut filtered = server.connect();
    filtered.send(DENY);
    filtered.send("SUB s.> 1\r\n");
    filtered.expect_pong();
    asking.send("PUB s.x inbox.d 0\r\n\r\n");
    asking.expect("HMSG inbox.d 1 35 35\r\nNATS/1.0 503\r\nNats-Subject: s.x\r\n\r\n\r\n");
}

#[test]
fn who_may_answer_may_do_so_as_often_as_it_may() {
    answers_are_allowed(Program::Natsd);
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_allows_the_same_answers() {
    answers_are_allowed(Program::Go);
}

fn single_user() -> Conversations {
    vec![
        ("PING first", refused("PING\r\n")),
        ("PUB first", refused("PUB foo 1\r\nx\r\n")),
        ("INFO first", refused("INFO {}\r\n")),
        ("an unknown verb first", refused("FOO\r\n")),
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

fn hold_all(program: Program) {
    for (config, conversations) in conversations() {
        let server = TestServer::start(program, &config);
        for (about, steps) in conversations {
            eprintln!("{config}: {about}");
            hold(&server, &steps);
        }
    }
}

#[test]
fn every_conversation() {
    hold_all(Program::Natsd);
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_says_the_same() {
    hold_all(Program::Go);
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
    assert!(server.log().contains("Plaintext passwords detected, use nkeys or bcrypt"));
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
    assert!(!server.log().contains("hidden"), "{}", server.log());
}
