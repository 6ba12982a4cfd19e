//! Traces across accounts, in natsd and in nats-server.

use super::{connect, hpub, subscriber, told};
use crate::accounts::message;
use crate::harness::server::{Program, TestServer};
use crate::harness::with_both;

const SHARED: &str = r#"
server_name: s
accounts {
  A {
    users: [{ user: a, password: a }, { user: a2, password: a2 }]
    exports: [{ stream: "news.>" }, { service: "open.*", allow_trace: true }, { service: "closed.*" }]
    mappings: { "open.mapped": "open.target" }
  }
  B {
    users: [{ user: b, password: b }, { user: b2, password: b2 }]
    imports: [
      { stream: { account: A, subject: "news.>" }, to: "open.>", allow_trace: true }
      { service: { account: A, subject: "open.*" }, to: "ask.*" }
      { service: { account: A, subject: "closed.*" } }
    ]
    exports: [{ service: "ask.*", allow_trace: true }]
  }
  C {
    users: [{ user: c, password: c }]
    imports: [
      { stream: { account: A, subject: "news.>" }, prefix: closed }
      { service: { account: B, subject: "ask.*" }, to: "far.*" }
    ]
  }
}
"#;

fn a_trace_goes_on_where_a_stream_is_imported(program: Program) {
    let server = TestServer::start(program, SHARED);
    let mut observer = subscriber(server.port, "a", &["trace"]);
    let mut own = subscriber(server.port, "a2", &["news.x"]);
    let mut open = subscriber(server.port, "b", &["open.x", "open.*", "open.* q"]);
    let mut closed = subscriber(server.port, "c", &["closed.news.x", "closed.> r"]);
    let mut publisher = connect(server.port, "a2");
    for (only, delivers) in [("true", 0), ("false", 1)] {
        publisher.send(&hpub("news.x", &["Nats-Trace-Dest: trace", &format!("Nats-Trace-Only: {only}")], "hello"));
        publisher.expect_nothing();
        assert_eq!(
            told(&mut observer).events,
            [
                "in acc=A kind=0 name=a2 subj=news.x",
                "eg acc=B kind=0 name=b queue=q sub=news.*",
                "eg acc=B kind=0 name=b sub=news.*",
                "eg acc=B kind=0 name=b sub=news.x",
                "eg kind=0 name=a2 sub=news.x",
                "se acc=B to=open.x",
                "se acc=B to=open.x",
                "se acc=B to=open.x",
                "se acc=C to=closed.news.x",
                "se acc=C to=closed.news.x",
            ]
        );
        for (raw, messages) in [(&mut own, 1), (&mut open, 3), (&mut closed, 2)] {
            for _ in 0..messages * delivers {
                assert_eq!(message(raw).2, "hello");
            }
            raw.expect_nothing();
        }
    }
}

fn a_trace_goes_on_where_a_service_lets_it(program: Program) {
    let server = TestServer::start(program, SHARED);
    let mut service = subscriber(server.port, "a", &["open.*", "closed.* q"]);
    let mut neighbour = subscriber(server.port, "b2", &["ask.x"]);
    for (user, to, events, heard) in [
        (
            "b",
            "ask.x",
            &["eg acc=A kind=0 name=a sub=open.*", "eg kind=0 name=b2 sub=ask.x", "si acc=A from=ask.x to=open.x"][..],
            1,
        ),
        ("b", "ask.mapped", &["eg acc=A kind=0 name=a sub=open.*", "si acc=A from=ask.mapped to=open.target"], 1),
        (
            "c",
            "far.x",
            &[
                "eg acc=A kind=0 name=a sub=open.*",
                "eg acc=B kind=0 name=b2 sub=ask.x",
                "si acc=A from=ask.x to=open.x",
                "si acc=B from=far.x to=ask.x",
            ],
            1,
        ),
        ("b", "closed.x", &["si acc=A from=closed.x to=closed.x"], 1),
    ] {
        let mut requestor = subscriber(server.port, user, &["inbox", "trace"]);
        for (only, delivers) in [("true", false), ("false", true)] {
            let headers = ["Nats-Trace-Dest: trace", &format!("Nats-Trace-Only: {only}")];
            requestor.send(&hpub(&format!("{to} inbox"), &headers, "hello"));
            if !delivers && to == "closed.x" {
                // It is taken for one that nobody answers.
                assert_eq!(message(&mut requestor).0, "inbox");
            }
            let told = told(&mut requestor);
            assert_eq!(told.headers["Nats-Trace-Dest"], ["trace"]);
            assert_eq!(told.events[1..], *events, "{to}");
            assert_eq!(told.hops, 0);
            for _ in 0..if delivers { heard } else { 0 } {
                let (_, reply, _) = message(&mut service);
                service.send(&hpub(&reply, &["Nats-Trace-Dest: trace"], "answer"));
                assert_eq!(message(&mut requestor).2, "answer");
            }
            service.expect_nothing();
            requestor.expect_nothing();
        }
    }
    while neighbour.has_line() {
        assert_eq!(message(&mut neighbour).0, "ask.x");
    }
}

/// What is told of an answer ends where it leaves the account.
fn an_answer_is_traced_where_it_is_given(program: Program) {
    let server = TestServer::start(program, SHARED);
    let mut service = subscriber(server.port, "a", &["open.*"]);
    let mut observer = subscriber(server.port, "a2", &["trace"]);
    let mut requestor = subscriber(server.port, "b", &["inbox"]);
    for (only, delivers) in [("true", false), ("false", true)] {
        requestor.send("PUB ask.x inbox 5\r\nhello\r\n");
        let (_, reply, _) = message(&mut service);
        let headers = ["Nats-Trace-Dest: trace", &format!("Nats-Trace-Only: {only}")];
        service.send(&hpub(&reply, &headers, "answer"));
        let ingress = format!("in acc=A kind=0 name=a subj={reply}");
        assert_eq!(told(&mut observer).events, [ingress, format!("si acc=B from={reply} to=inbox")]);
        if delivers {
            assert!(requestor.line().starts_with("HMSG inbox 1 "));
            requestor.expect("NATS/1.0\r\nNats-Trace-Only: false\r\n");
            requestor.expect("Nats-Trace-Dest: trace disabled\r\n\r\nanswer\r\n");
        }
        requestor.expect_nothing();
    }
}

with_both!(
    a_trace_goes_on_where_a_stream_is_imported,
    a_trace_goes_on_where_a_service_lets_it,
    an_answer_is_traced_where_it_is_given,
);
