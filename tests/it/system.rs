//! The system account: requests, events, and what other accounts may ask; in natsd and in nats-server.

use serde_json::{Value, json};

use crate::accounts::{login, message};
use crate::harness::node::{Node, Setup};
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, wait_for};

const ACCOUNTS: &str = r#"
system_account: SYS
accounts {
  SYS { users: [{ user: sys, password: sys }] }
  A {
    users: [
      { user: a, password: a }
      { user: r, password: r, permissions { publish: ["x", "$SYS.>"], subscribe { allow: ["_INBOX.>"], deny: "secret" } } }
    ]
    limits { max_connections: 3 }
    exports: [{ service: "ask.*", latency: { sampling: headers, subject: took } }, { stream: "news.>", accounts: [B] }]
  }
  B { users: [{ user: b, password: b }], imports: [{ stream: { account: A, subject: "news.>" }, prefix: from }] }
}
"#;

/// Asks, and gives the answer; a message without a payload says that nobody is there.
fn ask(raw: &mut Raw, subject: &str, payload: &str) -> Value {
    raw.send(&format!("SUB _INBOX.q 9\r\nUNSUB 9 1\r\nPUB {subject} _INBOX.q {}\r\n{payload}\r\n", payload.len()));
    let (_, _, answer) = message(raw);
    serde_json::from_str(&answer).unwrap_or(Value::Null)
}

/// The next message to `subject`.
fn event(raw: &mut Raw, subject: &str) -> Value {
    loop {
        let (of, _, body) = message(raw);
        if of == subject {
            return serde_json::from_str(&body).expect("events are JSON");
        }
    }
}

fn id(raw: &Raw) -> String {
    raw.info["server_id"].as_str().expect("INFO has it").to_owned()
}

fn documents_are_told_to_who_asks(program: Program) {
    let server = TestServer::start(program, &format!("server_name: north\n{ACCOUNTS}"));
    let (mut sys, a) = (login(server.port, "sys"), login(server.port, "a"));
    let id = id(&sys);
    for (name, options, at, expected) in [
        ("VARZ", "", "/data/server_name", json!("north")),
        ("VARZ", "", "/data/system_account", json!("SYS")),
        ("CONNZ", "", "/data/total", json!(2)),
        ("CONNZ", r#"{"acc":"A"}"#, "/data/total", json!(1)),
        ("CONNZ", r#"{"acc":"A","auth":true}"#, "/data/connections/0/account", json!("A")),
        ("CONNZ", r#"{"user":"a","auth":true}"#, "/data/connections/0/authorized_user", json!("a")),
        ("CONNZ", r#"{"limit":1}"#, "/data/num_connections", json!(1)),
        (
            "CONNZ",
            r#"{"subscriptions":true,"acc":"SYS"}"#,
            "/data/connections/0/subscriptions_list/0",
            json!("_INBOX.q"),
        ),
        ("CONNZ", r#"{"acc":"SYS","filter_subject":"_INBOX.*"}"#, "/data/num_connections", json!(1)),
        ("CONNZ", r#"{"acc":"A","filter_subject":"_INBOX.*"}"#, "/data/num_connections", json!(0)),
        ("CONNZ", r#"{"filter_subject":"x"}"#, "/error/code", json!(500)),
        ("CONNZ", r#"{"sort":"x"}"#, "/error/description", json!("invalid sorting option: x")),
        ("CONNZ", r#"{"limit":"x"}"#, "/error/code", json!(400)),
        ("CONNZ", "nonsense", "/error/code", json!(400)),
        ("ROUTEZ", "", "/data/num_routes", json!(0)),
        ("RAFTZ", "", "/data", json!({})),
        ("SUBSZ", r#"{"subscriptions":true,"account":"N"}"#, "/data/num_subscriptions", json!(0)),
        (
            "SUBSZ",
            r#"{"subscriptions":true,"test":"_INBOX.q"}"#,
            "/data/subscriptions_list/0/subject",
            json!("_INBOX.q"),
        ),
        ("ACCOUNTZ", "", "/data/system_account", json!("SYS")),
        ("ACCOUNTZ", r#"{"account":"A"}"#, "/data/account_detail/client_connections", json!(1)),
        ("ACCOUNTZ", r#"{"account":"N"}"#, "/error/description", json!("Account N does not exist")),
        ("HEALTHZ", "", "/data", json!({"status": "ok", "status_code": 200})),
        ("STATSZ", "", "/statsz/connections", json!(2)),
        ("IDZ", "", "/name", json!("north")),
    ] {
        for target in ["PING", &id] {
            let answer = ask(&mut sys, &format!("$SYS.REQ.SERVER.{target}.{name}"), options);
            assert_eq!(answer.pointer(at), Some(&expected), "{name} {options}: {answer}");
        }
    }
    let answer = ask(&mut sys, "$SYS.REQ.SERVER.PING", r#"{"server_name":"nort","host":"127"}"#);
    assert_eq!(answer["server"]["id"], json!(id));
    drop(a);
}

fn requests_that_mean_others_are_not_answered(program: Program) {
    let server = TestServer::start(program, &format!("server_name: north\n{ACCOUNTS}"));
    let mut sys = login(server.port, "sys");
    sys.send("SUB _INBOX.> 1\r\n");
    for (name, options) in [
        ("VARZ", r#"{"server_name":"south"}"#),
        ("VARZ", r#"{"server_name":"nort","exact_match":true}"#),
        ("STATSZ", r#"{"tags":["a"]}"#),
        ("CONNZ", r#"{"cluster":"c"}"#),
        ("CONNZ", r#"{"domain":"hub"}"#),
    ] {
        sys.send(&format!("PUB $SYS.REQ.SERVER.PING.{name} _INBOX.no {}\r\n{options}\r\n", options.len()));
    }
    // Requests are answered in turn.
    sys.send("PUB $SYS.REQ.SERVER.PING.VARZ _INBOX.yes 0\r\n\r\n");
    assert_eq!(message(&mut sys).0, "_INBOX.yes");
    sys.expect_nothing();
}

fn accounts_are_asked_one_by_one(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let (mut sys, mut a) = (login(server.port, "sys"), login(server.port, "a"));
    a.send("SUB x 1\r\nPUB x 5\r\nhello\r\n");
    message(&mut a);
    a.expect_pong();
    let of = |raw: &mut Raw, account: &str, name: &str, options: &str| {
        ask(raw, &format!("$SYS.REQ.ACCOUNT.{account}.{name}"), options)
    };
    let statz = of(&mut sys, "A", "STATZ", "");
    let stat = &statz["data"]["account_statz"][0];
    assert_eq!((&stat["acc"], &stat["conns"]), (&json!("A"), &json!(1)), "{statz}");
    for direction in ["sent", "received"] {
        let expected = json!({"msgs": 0, "bytes": 0});
        let told = &stat[direction];
        assert_eq!((&told["msgs"], &told["bytes"], &told["routes"]), (&json!(1), &json!(5), &expected), "{stat}");
    }
    assert_eq!(of(&mut sys, "B", "STATZ", r#"{"include_unused":true}"#)["data"]["account_statz"][0]["conns"], 0);
    let all = of(&mut sys, "PING", "STATZ", "");
    assert_eq!(all["data"]["account_statz"].as_array().map(Vec::len), Some(2), "{all}");
    let subsz = of(&mut sys, "A", "SUBSZ", "");
    let listed = subsz["data"]["subscriptions_list"].as_array().expect("a list");
    assert!(listed.iter().any(|sub| sub["subject"] == "x" && sub["account"] == "A"), "{subsz}");
    assert_eq!(of(&mut sys, "A", "CONNZ", r#"{"acc":"SYS"}"#)["data"]["total"], 1);
    assert_eq!(of(&mut sys, "A", "CONNS", "")["conns"], 1);
    assert_eq!(of(&mut sys, "A", "JSZ", "")["error"], json!({"code": 500, "description": "jetstream not enabled"}));
    assert_eq!(of(&mut sys, "N", "INFO", "")["error"]["description"], "Account N does not exist");
    let info = of(&mut sys, "A", "INFO", "");
    let named = |list: &str, subject: &str| {
        let list = info["data"][list].as_array().cloned().unwrap_or_default();
        list.into_iter().find(|item| item["subject"] == subject).unwrap_or_default()
    };
    assert_eq!(named("exports", "ask.*")["response_type"], "Singleton", "{info}");
    assert_eq!(named("exports", "news.>")["approved_accounts"], json!(["B"]), "{info}");
    assert_eq!(named("imports", "$SYS.REQ.USER.A.INFO")["share"], true, "{info}");
    assert_eq!(named("imports", "$SYS.REQ.ACCOUNT.A.STATZ")["local_subject"], "$SYS.REQ.ACCOUNT.PING.STATZ", "{info}");
}

fn an_account_sees_only_itself(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let (_sys, mut a, mut r) = (login(server.port, "sys"), login(server.port, "a"), login(server.port, "r"));
    for subject in ["$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.SERVER.PING.CONNZ"] {
        let connz = ask(&mut a, subject, r#"{"acc":"SYS","auth":true}"#);
        assert_eq!((&connz["data"]["total"], &connz["data"]["connections"][0]["account"]), (&json!(2), &json!("A")));
    }
    let statz = ask(&mut a, "$SYS.REQ.ACCOUNT.PING.STATZ", r#"{"accounts":["SYS"]}"#);
    let accounts: Vec<_> =
        statz["data"]["account_statz"].as_array().expect("a list").iter().map(|s| &s["acc"]).collect();
    assert_eq!(accounts, ["A"], "{statz}");
    for subject in ["$SYS.REQ.ACCOUNT.SYS.CONNZ", "$SYS.REQ.SERVER.PING.VARZ", "$SYS.REQ.USER.A.INFO"] {
        assert_eq!(ask(&mut a, subject, ""), Value::Null, "{subject}");
    }
    let info = ask(&mut a, "$SYS.REQ.USER.INFO", "");
    assert_eq!(info["data"], json!({"user": "a", "account": "A", "account_name": "A"}), "{info}");
    let info = ask(&mut r, "$SYS.REQ.USER.INFO", "");
    let mut publish = info["data"]["permissions"]["publish"]["allow"].as_array().cloned().expect("a list");
    publish.sort_by_key(ToString::to_string);
    assert_eq!(publish, ["$SYS.>", "x"], "{info}");
    let subscribe = json!({"allow": ["_INBOX.>"], "deny": ["secret"]});
    assert_eq!(info["data"]["permissions"]["subscribe"], subscribe, "{info}");
}

fn clients_hear_whether_theirs_is_the_system_account(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    for (user, expected) in [("sys", json!(true)), ("a", Value::Null)] {
        let mut raw = server.connect();
        raw.send(&format!(
            "CONNECT {{\"verbose\":false,\"protocol\":1,\"user\":\"{user}\",\"pass\":\"{user}\"}}\r\nPING\r\n"
        ));
        raw.expect("PONG\r\n");
        let info = raw.expect_info();
        assert_eq!((&info["connect_info"], &info["acc_is_sys"]), (&json!(true), &expected), "{program:?}: {info}");
        let mut sys = login(server.port, "sys");
        // Measured at once, if not well.
        let connz = ask(&mut sys, "$SYS.REQ.SERVER.PING.CONNZ", &format!("{{\"cid\":{}}}", info["client_id"]));
        assert!(connz["data"]["connections"][0]["rtt"].is_string(), "{program:?}: {connz}");
    }
}

fn clients_come_and_go_in_events(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut sys = login(server.port, "sys");
    let id = id(&sys);
    sys.send("SUB $SYS.ACCOUNT.> 1\r\nSUB $SYS.SERVER.> 2\r\n");
    // Not with a PING: its own login may be told before the PONG.
    sys.send("SUB _INBOX.q 3\r\nPUB $SYS.REQ.SERVER.PING.IDZ _INBOX.q 0\r\n\r\n");
    assert_eq!(event(&mut sys, "_INBOX.q")["id"], id);
    let mut a = login(server.port, "a");
    a.send("PUB x 5\r\nhello\r\n");
    a.expect_pong();
    let came = loop {
        let (subject, _, body) = message(&mut sys);
        if subject == "$SYS.ACCOUNT.A.CONNECT" {
            break serde_json::from_str::<Value>(&body).expect("JSON");
        }
        // Of the account itself there is nothing before that but its number of clients.
        assert!(!subject.starts_with("$SYS.ACCOUNT.A.") || subject.ends_with(".CONNS"), "{subject}");
    };
    assert_eq!(came["type"], "io.nats.server.advisory.v1.client_connect");
    let client = &came["client"];
    assert_eq!((&client["acc"], &client["user"], &client["kind"]), (&json!("A"), &json!("a"), &json!("Client")));
    drop(a);
    let gone = event(&mut sys, "$SYS.ACCOUNT.A.DISCONNECT");
    assert_eq!((&gone["client"]["id"], &gone["reason"]), (&client["id"], &json!("Client Closed")));
    assert_eq!(gone["sent"], json!({"msgs": 1, "bytes": 5}));

    let mut stranger = Raw::connect(server.port);
    stranger.send("CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"wrong\",\"name\":\"x\"}\r\nPING\r\n");
    stranger.expect("-ERR 'Authorization Violation'\r\n");
    let refused = event(&mut sys, &format!("$SYS.SERVER.{id}.CLIENT.AUTH.ERR"));
    let client = &refused["client"];
    assert_eq!((&client["user"], &client["name"], &client["acc"]), (&json!("a"), &json!("x"), &json!("$G")));
    assert_eq!(refused["reason"], "Authentication Failure");
}

fn the_number_of_clients_is_told(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut sys = login(server.port, "sys");
    sys.send("SUB $SYS.SERVER.ACCOUNT.A.CONNS 1\r\nSUB $SYS.ACCOUNT.A.SERVER.CONNS 2\r\n");
    sys.expect_pong();
    let mut told = |subject: &str, conns: u64| {
        wait_for("the number", || (event(&mut sys, subject)["conns"] == conns).then_some(()));
    };
    let a = login(server.port, "a");
    told("$SYS.SERVER.ACCOUNT.A.CONNS", 1);
    told("$SYS.ACCOUNT.A.SERVER.CONNS", 1);
    drop(a);
    told("$SYS.SERVER.ACCOUNT.A.CONNS", 0);
}

fn operators_send_clients_away(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let (mut sys, mut a) = (login(server.port, "sys"), login(server.port, "a"));
    let server_id = id(&sys);
    let mut order = |what: &str, payload: &str| ask(&mut sys, &format!("$SYS.REQ.SERVER.{server_id}.{what}"), payload);
    let cid = &a.info["client_id"];
    let on = json!({"cid": cid}).to_string();
    let answer = order("LDM", &on);
    assert!(answer["error"]["description"].as_str().is_some_and(|why| why.contains("not ready")), "{answer}");
    assert_eq!(order("KICK", r#"{"cid":4711}"#)["error"]["description"], "no such client or leafnode id");
    let answer = order("KICK", &on);
    assert!(answer.get("error").is_none() && answer.get("data").is_none(), "{answer}");
    a.expect_closed();

    let mut modern = Raw::connect(server.port);
    modern.send("CONNECT {\"verbose\":false,\"protocol\":1,\"user\":\"a\",\"pass\":\"a\"}\r\nPING\r\n");
    modern.expect("PONG\r\n");
    modern.expect_info();
    let answer = order("LDM", &json!({"cid": modern.info["client_id"]}).to_string());
    assert!(answer.get("error").is_none(), "{answer}");
    assert_eq!(modern.expect_info()["ldm"], true);
    let closed = ask(&mut sys, "$SYS.REQ.SERVER.PING.CONNZ", r#"{"state":1,"acc":"A"}"#);
    assert_eq!(closed["data"]["connections"][0]["reason"], "Kicked", "{closed}");
}

fn a_reload_can_be_asked_for(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut sys = login(server.port, "sys");
    let subject = format!("$SYS.REQ.SERVER.{}.RELOAD", id(&sys));
    server.rewrite(&format!("max_payload: 2000\n{ACCOUNTS}"));
    let answer = ask(&mut sys, &subject, "");
    assert!(answer.get("error").is_none(), "{answer}");
    assert_eq!(ask(&mut sys, "$SYS.REQ.SERVER.PING.VARZ", "")["data"]["max_payload"], 2000);
    server.rewrite(&format!("max_payload: nonsense\n{ACCOUNTS}"));
    let answer = ask(&mut sys, &subject, "");
    assert_eq!(answer["error"]["code"], 500, "{answer}");
    assert!(answer["error"]["description"].as_str().is_some_and(|why| why.contains("server.conf:3")), "{answer}");
}

/// A cluster, and connections of the system's user to its servers.
fn cluster(programs: &[Program]) -> Vec<(Node, Raw)> {
    let mut nodes: Vec<Node> = Vec::new();
    for (at, program) in programs.iter().enumerate() {
        let routes: Vec<_> = nodes.iter().collect();
        nodes.push(Node::start(
            *program,
            &format!("s{at}"),
            Setup { routes: &routes, more: ACCOUNTS, ..Setup::default() },
        ));
    }
    let mut all: Vec<_> =
        nodes.into_iter().map(|node| (login(node.port, "sys"), node)).map(|(raw, node)| (node, raw)).collect();
    let count = all.len();
    for (_, raw) in &mut all {
        // All have heard of each other.
        wait_for("servers", || {
            let statsz =
                ask(raw, "$SYS.REQ.SERVER.PING.STATSZ", &json!({"server_name": raw.info["server_name"]}).to_string());
            (statsz["statsz"]["active_servers"] == count).then_some(())
        });
    }
    all
}

fn all_servers_of_a_cluster_answer(programs: &[Program]) {
    let mut nodes = cluster(programs);
    let names: Vec<_> = (0..programs.len()).map(|at| format!("s{at}")).collect();
    for (_, raw) in &mut nodes {
        raw.send("SUB _INBOX.all 1\r\nPUB $SYS.REQ.SERVER.PING.IDZ _INBOX.all 0\r\n\r\n");
        let mut found: Vec<_> = names.iter().map(|_| message(raw).2).collect();
        found.sort();
        for (name, answer) in names.iter().zip(&found) {
            assert!(answer.contains(&format!("\"name\":\"{name}\"")), "{found:?}");
        }
        raw.send("UNSUB 1\r\n");
        let other = names.last().expect("a server");
        let varz = ask(raw, "$SYS.REQ.SERVER.PING.VARZ", &json!({"server_name": other}).to_string());
        assert_eq!((&varz["server"]["name"], &varz["server"]["cluster"]), (&json!(other), &json!("c1")));
    }
    // Only the server of who asks knows who that is.
    let mut a = login(nodes[0].0.port, "a");
    a.send("SUB _INBOX.me 1\r\nPUB $SYS.REQ.USER.INFO _INBOX.me 0\r\n\r\nPUB $SYS.REQ.ACCOUNT.PING.CONNZ _INBOX.all 0\r\n\r\n");
    assert!(message(&mut a).2.contains("\"user\":\"a\""));
    a.expect_nothing();
}

fn limits_hold_for_all_servers_together(programs: &[Program]) {
    let nodes = cluster(programs);
    let enter = |port: u16| {
        let mut raw = Raw::connect(port);
        raw.send("CONNECT {\"verbose\":false,\"user\":\"a\",\"pass\":\"a\"}\r\nPING\r\n");
        let line = raw.line();
        let refused = line.contains("maximum account active connections exceeded");
        assert!(refused || line == "PONG", "{line}");
        (!refused).then_some(raw)
    };
    let mut clients: Vec<Option<Raw>> = vec![None, None, None];
    for (node, _) in &nodes {
        wait_for("a refusal", || {
            // What was told before the servers knew each other is told again when it changes.
            for (at, client) in clients.iter_mut().enumerate() {
                *client = None;
                *client = enter(nodes[at % nodes.len()].0.port);
            }
            let full = clients.iter().all(Option::is_some);
            (full && enter(node.port).is_none()).then_some(())
        });
    }
    drop(clients);
    for (node, _) in &nodes {
        wait_for("room", || enter(node.port));
    }
}

fn a_server_says_when_it_ends(program: Program) {
    let mut server = TestServer::start(program, ACCOUNTS);
    let mut sys = login(server.port, "sys");
    let id = id(&sys);
    sys.send("SUB $SYS.SERVER.*.SHUTDOWN 1\r\n");
    sys.expect_pong();
    server.signal("TERM");
    let told = event(&mut sys, &format!("$SYS.SERVER.{id}.SHUTDOWN"));
    assert_eq!(told["id"], json!(id));
    server.wait_for_end();
}

fn a_lame_duck_says_so(program: Program) {
    let server = TestServer::start(program, &format!("lame_duck_duration: 30s\n{ACCOUNTS}"));
    let mut sys = login(server.port, "sys");
    let id = id(&sys);
    sys.send("SUB $SYS.SERVER.*.LAMEDUCK 1\r\n");
    sys.expect_pong();
    server.signal("USR2");
    let told = event(&mut sys, &format!("$SYS.SERVER.{id}.LAMEDUCK"));
    assert_eq!(told["id"], json!(id));
}

macro_rules! of_both {
    ($($name:ident),* $(,)?) => {
        mod natsd {
            $(#[test] fn $name() { super::$name(super::Program::Natsd); })*
        }
        #[cfg(feature = "interop")]
        mod nats_server {
            $(#[test] fn $name() { super::$name(super::Program::Go); })*
        }
    };
}

of_both!(
    documents_are_told_to_who_asks,
    requests_that_mean_others_are_not_answered,
    accounts_are_asked_one_by_one,
    an_account_sees_only_itself,
    clients_hear_whether_theirs_is_the_system_account,
    clients_come_and_go_in_events,
    the_number_of_clients_is_told,
    operators_send_clients_away,
    a_reload_can_be_asked_for,
    a_server_says_when_it_ends,
    a_lame_duck_says_so,
);

macro_rules! of_clusters {
    ($($name:ident),* $(,)?) => {
        mod two_natsd {
            use super::Program::Natsd;
            $(#[test] fn $name() { super::$name(&[Natsd, Natsd]); })*
        }
        #[cfg(feature = "interop")]
        mod mixed {
            use super::Program::{Go, Natsd};
            $(#[test] fn $name() { super::$name(&[Natsd, Go]); })*
        }
    };
}

of_clusters!(all_servers_of_a_cluster_answer, limits_hold_for_all_servers_together);

#[test]
fn without_a_system_account_nobody_answers() {
    let server = TestServer::natsd("no_system_account: true");
    let mut client = server.client();
    assert_eq!(ask(&mut client, "$SYS.REQ.USER.INFO", ""), Value::Null);
}
