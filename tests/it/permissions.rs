//! What users may publish and subscribe to, byte for byte.

use std::time::Instant;

use crate::harness::server::{Program, TestServer};
use crate::wire::Step::{self, C, S};
use crate::wire::hold_all;

/// What is said, under what title.
type Conversations = Vec<(&'static str, Vec<Step>)>;

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

fn conversations() -> Conversations {
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

#[test]
fn every_conversation() {
    hold_all(Program::Natsd, PERMISSIONS, conversations());
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_says_the_same() {
    hold_all(Program::Go, PERMISSIONS, conversations());
}

#[test]
fn a_subscription_does_not_get_more_than_is_allowed() {
    let server =
        TestServer::natsd("authorization { users: [{user: u, password: p, permissions: {subscribe: \"foo.*\"}}] }");
    let mut client = server.connect();
    client.send("CONNECT {\"user\":\"u\",\"pass\":\"p\",\"verbose\":false}\r\nSUB foo.> 1\r\nSUB foo.* 2\r\n");
    client.expect("-ERR 'Permissions Violation for Subscription to \"foo.>\"'\r\n");
    client.send("PUB foo.a 0\r\n\r\nPUB foo.a.b 0\r\n\r\n");
    client.expect("MSG foo.a 2 0\r\n\r\n");
    client.expect_nothing();
}
