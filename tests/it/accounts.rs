//! Accounts, what they share, and their limits: in natsd and in nats-server.

use crate::harness::node::{Node, Setup};
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, natsd, wait_for};

/// A connection of `user`, whose password is its name.
pub fn login(port: u16, user: &str) -> Raw {
    let mut raw = Raw::connect(port);
    say_connect(&mut raw, user);
    raw
}

fn say_connect(raw: &mut Raw, user: &str) {
    raw.send(&format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
         \"user\":\"{user}\",\"pass\":\"{user}\"}}\r\n"
    ));
    raw.expect_pong();
}

/// The next message: its subject, reply and payload.
pub fn message(raw: &mut Raw) -> (String, String, String) {
    let line = raw.line();
    let words: Vec<_> = line.split(' ').collect();
    let (reply, len, headers) = match &words[..] {
        ["MSG", _, _, len] => ("", len, 0),
        ["MSG", _, _, reply, len] => (*reply, len, 0),
        ["HMSG", _, _, headers, len] => ("", len, headers.parse().expect("a number")),
        ["HMSG", _, _, reply, headers, len] => (*reply, len, headers.parse().expect("a number")),
        _ => panic!("{line}"),
    };
    let body = raw.take(len.parse().expect("a number"));
    raw.expect("\r\n");
    (words[1].to_owned(), reply.to_owned(), body[headers..].to_owned())
}

const SHARED: &str = r#"
accounts {
  A {
    users: [{ user: a, password: a }, { user: a2, password: a2 }]
    exports: [
      { stream: "news.>" }
      { stream: "pair.*.*" }
      { stream: "secret", accounts: [C] }
      { service: "ask.*" }
      { service: "many", response_type: stream }
      { service: "timed", latency: { sampling: "100%", subject: "took" } }
    ]
    mappings: { "ask.mapped": "ask.target" }
  }
  B {
    users: [{ user: b, password: b }]
    imports: [
      { stream: { account: A, subject: "news.>" }, prefix: "from.a" }
      { stream: { account: A, subject: "pair.*.*" }, to: "riap.$2.$1" }
      { service: { account: A, subject: "ask.*" }, to: "q.*" }
      { service: { account: A, subject: "many" } }
      { service: { account: A, subject: "timed" }, share: true }
    ]
  }
  C {
    users: [{ user: c, password: c }]
    imports: [
      { stream: { account: A, subject: "secret" } }
      { stream: { account: A, subject: "news.sport.*" } }
    ]
  }
}
authorization { users: [{ user: g, password: g }] }
"#;

fn accounts_do_not_hear_each_other(program: Program) {
    let server = TestServer::start(program, SHARED);
    let (mut a, mut a2, mut b, mut g) =
        (login(server.port, "a"), login(server.port, "a2"), login(server.port, "b"), login(server.port, "g"));
    for client in [&mut a, &mut a2, &mut b, &mut g] {
        client.send("SUB > 1\r\n");
        client.expect_nothing();
    }
    a.send("PUB own 1\r\nx\r\n");
    for client in [&mut a, &mut a2] {
        client.expect("MSG own 1 1\r\nx\r\n");
    }
    b.expect_nothing();
    g.expect_nothing();
    g.send("PUB own 1\r\ny\r\n");
    g.expect("MSG own 1 1\r\ny\r\n");
    a.expect_nothing();
}

fn who_is_in_which_account_is_told(program: Program) {
    let server = TestServer::start(program, SHARED);
    for (user, account) in [("a", "A"), ("g", "$G")] {
        let mut raw = server.connect();
        raw.send(&format!("CONNECT {{\"verbose\":false,\"protocol\":1,\"user\":\"{user}\",\"pass\":\"{user}\"}}\r\n"));
        raw.send("PING\r\n");
        raw.expect("PONG\r\n");
        assert_eq!(raw.expect_info()["remote_account"], account);
    }
    let mut stranger = server.connect();
    stranger.send("CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"b\"}\r\n");
    stranger.expect("-ERR 'Authorization Violation'\r\n");
}

fn streams_are_imported(program: Program) {
    let server = TestServer::start(program, SHARED);
    let (mut a, mut b, mut c) = (login(server.port, "a"), login(server.port, "b"), login(server.port, "c"));
    b.send("SUB from.a.news.* 1\r\nSUB riap.2.> 2\r\nSUB from.a.> q 3\r\n");
    b.expect_nothing();
    c.send("SUB > 1\r\nSUB news.tech.x 2\r\n");
    c.expect_nothing();
    a.send("PUB news.tech reply 1\r\nx\r\nPUB pair.1.2 1\r\ny\r\nPUB pair.1.3 1\r\nn\r\nPUB secret 1\r\nz\r\n");
    a.send("PUB news.sport.1 1\r\ns\r\nPUB news.tech.x 1\r\nn\r\n");
    a.expect_nothing();
    let mut heard: Vec<_> =
        (0..5).map(|_| message(&mut b)).map(|(subject, _, body)| format!("{subject} {body}")).collect();
    heard.sort();
    let expected =
        ["from.a.news.sport.1 s", "from.a.news.tech x", "from.a.news.tech x", "from.a.news.tech.x n", "riap.2.1 y"];
    assert_eq!(heard, expected);
    b.expect_nothing();
    c.expect("MSG secret 1 1\r\nz\r\nMSG news.sport.1 1 1\r\ns\r\n");
    c.expect_nothing();
    // What is imported is no export.
    c.send("PUB secret 1\r\nx\r\n");
    c.expect("MSG secret 1 1\r\nx\r\n");
    a.expect_nothing();
}

fn subscriptions_to_imports_end(program: Program) {
    let server = TestServer::start(program, SHARED);
    let (mut a, mut b) = (login(server.port, "a"), login(server.port, "b"));
    b.send("SUB from.a.news.y 2\r\n");
    b.expect_nothing();
    a.send("PUB news.y 1\r\ny\r\n");
    assert_eq!(message(&mut b).2, "y");
    b.send("UNSUB 2\r\n");
    b.expect_nothing();
    a.send("SUB inbox 1\r\nPUB news.y inbox 1\r\nx\r\n");
    assert_eq!(message(&mut a).2, "", "nobody listens");
    b.expect_nothing();
}

/// nats-server delivers one more.
#[test]
fn messages_of_imports_count() {
    let server = TestServer::natsd(SHARED);
    let (mut a, mut b) = (login(server.port, "a"), login(server.port, "b"));
    b.send("SUB from.a.news.x 1\r\nUNSUB 1 2\r\n");
    b.expect_nothing();
    a.send(&"PUB news.x 1\r\nx\r\n".repeat(3));
    a.expect_nothing();
    assert_eq!((message(&mut b).2, message(&mut b).2), ("x".into(), "x".into()));
    b.expect_nothing();
}

fn services_answer_other_accounts(program: Program) {
    let server = TestServer::start(program, SHARED);
    let (mut a, mut b) = (login(server.port, "a"), login(server.port, "b"));
    b.send("SUB inbox 7\r\nPUB q.one inbox 1\r\nx\r\n");
    let (_, _, body) = message(&mut b);
    assert_eq!(body, "", "nobody is there yet");
    a.send("SUB ask.* 1\r\n");
    a.expect_nothing();
    b.send("PUB q.one inbox 5\r\nhello\r\n");
    let line = a.line();
    let words: Vec<_> = line.split(' ').collect();
    assert_eq!((words[0], words[1]), ("HMSG", "ask.one"), "{line}");
    let reply = words[3].to_owned();
    assert!(reply.starts_with("_R_."), "{line}");
    let body = a.take(words[5].parse().expect("a number"));
    assert!(
        body.starts_with("NATS/1.0\r\nNats-Request-Info: {\"acc\":\"B\"") && body.ends_with("\r\n\r\nhello"),
        "{body}"
    );
    assert!(!body.contains("user"), "not shared: {body}");
    a.expect("\r\n");
    a.send(&format!("PUB {reply} 5\r\nworld\r\nPUB {reply} 5\r\nagain\r\n"));
    b.expect("MSG inbox 7 5\r\nworld\r\n");
    b.expect_nothing();
    b.send("PUB q.mapped inbox 0\r\n\r\n");
    assert_eq!(message(&mut a).0, "ask.target");
    // Requests within the account are as ever.
    a.send("SUB own 2\r\nPUB ask.x own 0\r\n\r\n");
    a.expect("MSG ask.x 1 own 0\r\n\r\n");
}

fn a_service_may_answer_more_than_once(program: Program) {
    let server = TestServer::start(program, SHARED);
    let (mut a, mut b) = (login(server.port, "a"), login(server.port, "b"));
    a.send("SUB many 1\r\n");
    a.expect_nothing();
    b.send("SUB inbox 7\r\nPUB many inbox 1\r\nx\r\n");
    let (_, reply, _) = message(&mut a);
    a.send(&format!("PUB {reply} 1\r\n1\r\nPUB {reply} 1\r\n2\r\nPUB {reply} 0\r\n\r\nPUB {reply} 1\r\n3\r\n"));
    a.expect_nothing();
    b.expect("MSG inbox 7 1\r\n1\r\nMSG inbox 7 1\r\n2\r\nMSG inbox 7 0\r\n\r\n");
    b.expect_nothing();
}

fn the_time_that_a_service_takes_is_published(program: Program) {
    let server = TestServer::start(program, SHARED);
    let (mut a, mut b, mut observer) = (login(server.port, "a"), login(server.port, "b"), login(server.port, "a2"));
    observer.send("SUB took 1\r\n");
    observer.expect_nothing();
    a.send("SUB timed 1\r\n");
    a.expect_nothing();
    b.send("SUB inbox 7\r\nPUB timed inbox 1\r\nx\r\n");
    let (_, reply, _) = message(&mut a);
    a.send(&format!("PUB {reply} 1\r\ny\r\n"));
    b.expect("MSG inbox 7 1\r\ny\r\n");
    let (_, _, body) = message(&mut observer);
    let report: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!(report["type"], "io.nats.server.metric.v1.service_latency", "{report}");
    assert_eq!((&report["status"], &report["requestor"]["user"]), (&200.into(), &"b".into()), "{report}");
    assert_eq!((&report["requestor"]["acc"], &report["responder"]["acc"]), (&"B".into(), &"A".into()), "{report}");
    assert!(report["service"].as_u64().is_some() && report["total"].as_u64() > Some(0), "{report}");
    b.send("PUB timed 1\r\nx\r\n");
    let report: serde_json::Value = serde_json::from_str(&message(&mut observer).2).expect("JSON");
    assert_eq!((&report["status"], &report["description"]), (&400.into(), &"Bad Request".into()), "{report}");
}

fn accounts_have_limits(program: Program) {
    let server = TestServer::start(
        program,
        "accounts { A { users: [{ user: a, password: a }], limits { max_conn: 1, max_subs: 2, max_payload: 4 } },
         B { users: [{ user: b, password: b }] } }",
    );
    let mut a = login(server.port, "a");
    let mut second = server.connect();
    second.send("CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"a\"}\r\n");
    second.expect("-ERR 'maximum account active connections exceeded'\r\n");
    second.expect_closed();
    login(server.port, "b").expect_nothing();
    a.send("SUB x 1\r\nSUB y 2\r\nSUB z 3\r\n");
    a.expect("-ERR 'maximum subscriptions exceeded'\r\n");
    a.send("PUB x 4\r\nfour\r\n");
    a.expect("MSG x 1 4\r\nfour\r\n");
    a.send("PUB x 5\r\nfives\r\n");
    a.expect("-ERR 'Maximum Payload Violation'\r\n");
    a.expect_closed();
    wait_for("room for another one", || {
        let mut next = server.connect();
        next.send("CONNECT {\"verbose\":false,\"protocol\":1,\"user\":\"a\",\"pass\":\"a\"}\r\nPING\r\n");
        (next.line() == "PONG").then(|| assert_eq!(next.expect_info()["max_payload"], 4))
    });
}

/// Who has only given the system account users has not meant to lock everybody out.
fn users_of_the_system_account_alone_leave_the_door_open(program: Program) {
    let server = TestServer::start(program, "accounts { $SYS { users: [{ user: s, password: s }] } }");
    let mut anybody = server.client();
    let mut system = login(server.port, "s");
    system.send("SUB foo 1\r\n");
    system.expect_nothing();
    anybody.send("SUB foo 1\r\nPUB foo 1\r\nx\r\n");
    anybody.expect("MSG foo 1 1\r\nx\r\n");
    system.expect_nothing();
}

/// Two servers of one cluster, with the same accounts.
fn accounts_share_across_servers(kinds: [Program; 2]) {
    let a = Node::start(kinds[0], "a", Setup { more: SHARED, ..Setup::default() });
    let b = Node::start(kinds[1], "b", Setup { more: SHARED, routes: &[&a], ..Setup::default() });
    let (mut provider, mut consumer) = (login(a.port, "a"), login(b.port, "b"));
    provider.send("SUB ask.* 1\r\n");
    consumer.send("SUB from.a.> 1\r\nSUB inbox 2\r\n");
    consumer.expect_nothing();
    wait_for("the service to be known", || {
        consumer.send("PUB q.one inbox 1\r\nx\r\n");
        let (_, _, body) = next(&mut consumer, &mut provider);
        (body == "answer").then_some(())
    });
    let heard = wait_for("the stream to flow", || {
        provider.send("PUB news.x 1\r\nx\r\nPING\r\n");
        provider.expect("PONG\r\n");
        consumer.try_message()
    });
    assert_eq!(heard, "MSG from.a.news.x 1 1");
    // And the other way round: who asks is where the first server is.
    provider.send("UNSUB 1\r\n");
    provider.expect_nothing();
    let (mut provider, mut consumer) = (login(b.port, "a"), login(a.port, "b"));
    provider.send("SUB ask.two 1\r\n");
    consumer.send("SUB inbox 2\r\n");
    consumer.expect_nothing();
    wait_for("the service to be known", || {
        consumer.send("PUB q.two inbox 1\r\nx\r\n");
        let (_, _, body) = next(&mut consumer, &mut provider);
        (body == "answer").then_some(())
    });
}

/// What the one who asks gets: the answer that `provider` gives if it is asked, or that nobody is there.
fn next(consumer: &mut Raw, provider: &mut Raw) -> (String, String, String) {
    loop {
        if provider.has_line() {
            let (_, reply, _) = message(provider);
            provider.send(&format!("PUB {reply} 6\r\nanswer\r\n"));
        }
        if consumer.has_line() {
            return message(consumer);
        }
    }
}

#[test]
fn natsd_keeps_accounts_apart() {
    accounts_do_not_hear_each_other(Program::Natsd);
    who_is_in_which_account_is_told(Program::Natsd);
    users_of_the_system_account_alone_leave_the_door_open(Program::Natsd);
    accounts_have_limits(Program::Natsd);
}

#[test]
fn natsd_lets_accounts_share() {
    streams_are_imported(Program::Natsd);
    subscriptions_to_imports_end(Program::Natsd);
    services_answer_other_accounts(Program::Natsd);
    a_service_may_answer_more_than_once(Program::Natsd);
    the_time_that_a_service_takes_is_published(Program::Natsd);
    accounts_share_across_servers([Program::Natsd, Program::Natsd]);
}

#[cfg(feature = "interop")]
#[test]
fn so_does_nats_server() {
    accounts_do_not_hear_each_other(Program::Go);
    who_is_in_which_account_is_told(Program::Go);
    users_of_the_system_account_alone_leave_the_door_open(Program::Go);
    accounts_have_limits(Program::Go);
    streams_are_imported(Program::Go);
    subscriptions_to_imports_end(Program::Go);
    services_answer_other_accounts(Program::Go);
    a_service_may_answer_more_than_once(Program::Go);
    the_time_that_a_service_takes_is_published(Program::Go);
}

#[cfg(feature = "interop")]
#[test]
fn accounts_share_in_a_mixed_cluster() {
    accounts_share_across_servers([Program::Natsd, Program::Go]);
    accounts_share_across_servers([Program::Go, Program::Natsd]);
}

#[test]
fn wrong_accounts_are_refused_with_a_reason() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("n.conf");
    let mut told = Vec::new();
    for config in [
        "accounts { $G { } }",
        "accounts: [A, A]",
        "accounts: [A, 1 ]",
        "accounts { A { users: [{ user: u }] }, B { users: [{ user: u }] } }",
        "accounts { A { users: [{ user: u }] } }\nauthorization { token: t }",
        "accounts { A { exports: [{ stream: a, service: b }] } }",
        "accounts { A { exports: [{ stream: a, response_type: stream }] } }",
        "accounts { A { exports: [{ stream: \"a.b\", account_token_position: 2 }] } }",
        "accounts { A { exports: [{ service: a, latency: { sampling: 101, subject: b } }] } }",
        "accounts { A { exports: [{ service: a, latency: { sampling: 10 } }] } }",
        "accounts { A { exports: [{ stream: a, accounts: [Z] }] } }",
        "accounts { A { imports: [{ stream: { account: Z, subject: a } }] } }",
        "accounts { A { imports: [{ stream: { account: B, subject: a } }] }, B { } }",
        "accounts { A { imports: [{ stream: { account: B } }] }, B { } }",
        "accounts { A { imports: [{ stream: { account: B, subject: a }, to: x, prefix: y }] }, B { exports: [{ stream: a }] } }",
        "accounts { A { imports: [{ stream: { account: B, subject: \"a.*\" }, to: x }] }, B { exports: [{ stream: \"a.*\" }] } }",
        "accounts { A { jetstream: true } }",
        "accounts { A { limits { max_conn: -2 } } }",
        "accounts { A { nkey: UABC } }",
        "system_account: NOPE",
        "system_account: SYS\nno_system_account: true\naccounts: [SYS]",
    ] {
        std::fs::write(&file, config).expect("a file");
        let output = natsd(&["-t", "-c", file.to_str().expect("text")]);
        assert!(!output.status.success(), "{config}");
        let text = String::from_utf8(output.stderr).expect("text").replace(file.to_str().expect("text"), "n.conf");
        told.push(format!("{config}\n  {}", text.trim()));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_reload_moves_users_and_sends_away_who_may_not_stay() {
    let config = |a: &str, b: &str| format!("accounts {{ A {{ users: [{a}] }}, B {{ users: [{b}] }} }}");
    let user = |name: &str, more: &str| format!("{{ user: {name}, password: {name} {more} }}");
    let stays = user("stays", "");
    let mut server = TestServer::natsd(&config(
        &format!("{stays}, {}, {}, {}", user("moves", ""), user("goes", ""), user("narrows", "")),
        &user("b", ""),
    ));
    let mut clients = ["stays", "moves", "goes", "narrows", "b"].map(|user| login(server.port, user));
    for client in &mut clients {
        client.send("SUB foo 1\r\nSUB bar 2\r\n");
        client.expect_nothing();
    }
    server.reconfigure(&config(
        &format!("{stays}, {}", user("narrows", ", permissions: { subscribe: foo, publish: none }")),
        &format!("{}, {}", user("b", ""), user("moves", "")),
    ));
    server.wait_for_line("Reloaded: authorization = required");
    server.wait_for_line("Reloaded server configuration");
    let [stays, moves, goes, narrows, b] = &mut clients;
    goes.expect("-ERR 'Authorization Violation'\r\n");
    goes.expect_closed();
    narrows.expect("-ERR 'Permissions Violation for Subscription to \"bar\" (sid \"2\")'\r\n");
    stays.send("PUB foo 1\r\nA\r\nPUB bar 1\r\nA\r\n");
    stays.expect("MSG foo 1 1\r\nA\r\nMSG bar 2 1\r\nA\r\n");
    narrows.expect("MSG foo 1 1\r\nA\r\n");
    narrows.send("PUB foo 1\r\nN\r\n");
    narrows.expect("-ERR 'Permissions Violation for Publish to \"foo\"'\r\n");
    b.send("PUB foo 1\r\nB\r\n");
    b.expect("MSG foo 1 1\r\nB\r\n");
    moves.expect("MSG foo 1 1\r\nB\r\n");
    for client in [stays, moves, narrows, b] {
        client.expect_nothing();
    }
}

#[test]
fn a_reload_changes_what_is_shared() {
    let config = |exports: &str, imports: &str| {
        format!(
            "accounts {{ A {{ users: [{{ user: a, password: a }}], exports: [{exports}] }},
             B {{ users: [{{ user: b, password: b }}], imports: [{imports}] }} }}"
        )
    };
    let stream = "{ stream: \"s.>\" }, { service: ask }";
    let import = "{ stream: { account: A, subject: \"s.>\" } }, { service: { account: A, subject: ask } }";
    let mut server = TestServer::natsd(&config("", ""));
    let (mut a, mut b) = (login(server.port, "a"), login(server.port, "b"));
    b.send("SUB s.1 1\r\nSUB inbox 2\r\n");
    b.expect_nothing();
    a.send("SUB ask 1\r\n");
    a.expect_nothing();
    for (shared, config) in
        [(true, config(stream, import)), (false, config(stream, "")), (true, config(stream, import))]
    {
        server.reconfigure(&config);
        server.wait_for_line("Reloaded server configuration");
        a.send("PUB s.1 1\r\nx\r\n");
        a.expect_nothing();
        b.send("PUB ask inbox 0\r\n\r\n");
        if shared {
            b.expect("MSG s.1 1 1\r\nx\r\n");
            let (_, reply, _) = message(&mut a);
            a.send(&format!("PUB {reply} 1\r\ny\r\n"));
            b.expect("MSG inbox 2 1\r\ny\r\n");
        } else {
            assert_eq!(message(&mut b).0, "inbox", "there is nobody");
        }
        b.expect_nothing();
    }
}
