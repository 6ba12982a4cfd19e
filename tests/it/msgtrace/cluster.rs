//! Traces across servers, of natsd, of nats-server, and of both: each tells its part, and together they are one.

use super::{SAMPLED, Told, connect, hpub, subscriber, told};
use crate::accounts::message;
use crate::harness::node::Kind::{self, Natsd};
use crate::harness::node::{Node, Setup};
use crate::harness::peer::Peer;
use crate::harness::raw::Raw;
use crate::harness::server::wait_for;

const SHARED: &str = r#"
accounts {
  A {
    users: [{ user: a, password: a }, { user: a2, password: a2 }]
    exports: [{ stream: "news.>" }, { service: "open.*", allow_trace: true }, { service: "closed.*" }]
    msg_trace: trace
  }
  B {
    users: [{ user: b, password: b }, { user: b2, password: b2 }]
    imports: [
      { stream: { account: A, subject: "news.>" }, prefix: from, allow_trace: true }
      { service: { account: A, subject: "open.*" }, to: "ask.*" }
      { service: { account: A, subject: "closed.*" } }
    ]
    exports: [{ service: "ask.*", allow_trace: true }]
  }
  C {
    users: [{ user: c, password: c }]
    imports: [
      { stream: { account: A, subject: "news.>" } }
      { service: { account: B, subject: "ask.*" }, to: "far.*" }
    ]
  }
}
"#;

/// Servers `s0`, `s1` and so on, each with routes to those before.
fn cluster(kinds: &[Kind]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for (at, kind) in kinds.iter().enumerate() {
        let routes: Vec<_> = nodes.iter().collect();
        let setup = Setup { routes: &routes, more: SHARED, ..Setup::default() };
        nodes.push(Node::start(*kind, &format!("s{at}"), setup));
    }
    nodes
}

/// Waits until `node` knows that somebody takes what `user` publishes to `subject`; nobody gets it.
fn wait_for_interest(node: &Node, user: &str, subject: &str) {
    let mut raw = subscriber(node.port, user, &["probe"]);
    wait_for(&format!("{subject} to be known at {}", node.name), || {
        let headers = ["Nats-Trace-Dest: nowhere", "Nats-Trace-Only: true"];
        raw.send(&(hpub(&format!("{subject} probe"), &headers, "") + "PING\r\n"));
        let mut known = true;
        while raw.line() != "PONG" {
            // The answer that nobody is there has a body.
            known = false;
        }
        known.then_some(())
    });
}

/// What the servers tell of the next message, that of the first one of them first.
fn parts(observer: &mut Raw, count: usize) -> Vec<Told> {
    let mut parts: Vec<_> = (0..count).map(|_| told(observer)).collect();
    parts.sort_by_key(|part| part.server.clone());
    parts
}

fn only(only: bool) -> String {
    format!("Nats-Trace-Only: {only}")
}

pub fn each_server_tells_its_part(kinds: &[Kind]) {
    let nodes = cluster(kinds);
    let mut observer = subscriber(nodes[kinds.len() - 1].port, "a", &["trace"]);
    let mut receivers: Vec<_> = nodes.iter().map(|node| subscriber(node.port, "a", &["foo", "foo q"])).collect();
    let mut publisher = connect(nodes[0].port, "a2");
    for node in &nodes {
        wait_for_interest(node, "a", "trace");
        wait_for_interest(node, "a", "foo");
    }
    let others = kinds.len() - 1;
    wait_for("all servers to know each other", || {
        publisher.send(&hpub("foo", &["Nats-Trace-Dest: trace", &only(true)], ""));
        let (mut seen, mut hops) = (0, None);
        while hops.is_none_or(|hops| seen <= hops) {
            let part = told(&mut observer);
            seen += 1;
            hops = hops.or(Some(part.hops).filter(|_| part.server == "s0"));
        }
        (hops == Some(others as u64)).then_some(())
    });
    for delivers in [false, true, false] {
        publisher.send(&hpub("foo", &["Nats-Trace-Dest: trace", "K: v", &only(!delivers)], "hello"));
        let parts = parts(&mut observer, 1 + others);
        assert_eq!(parts[0].hops as usize, others);
        assert!(!parts[0].headers.contains_key("Nats-Trace-Hop"));
        let queue = "eg kind=0 name=a queue=q sub=foo".to_owned();
        let mut members = 0;
        for (at, part) in parts.iter().enumerate() {
            let mut events = part.events.clone();
            members += events.extract_if(.., |event| *event == queue).count();
            let ingress = if at == 0 { "kind=0 name=a2" } else { "kind=1 name=s0" };
            let plain = "eg kind=0 name=a sub=foo".to_owned();
            let mut expected = vec![format!("in acc=A {ingress} subj=foo"), plain];
            if at == 0 {
                // Which server is which hop is up to the first one.
                let routes = events.extract_if(.., |event| event.starts_with("eg hop=")).collect::<Vec<_>>();
                let mut told: Vec<_> = parts[1..].iter().map(hop_to).collect();
                told.sort();
                assert_eq!(routes, told);
            } else {
                assert_eq!(part.headers["K"], ["v"]);
                assert_eq!(part.hops, 0);
            }
            expected[1..].sort();
            assert_eq!(events, expected, "{}", part.server);
        }
        assert_eq!(members, 1, "one of the group");
        if delivers {
            let mut got = 0;
            wait_for("all to be delivered", || {
                for receiver in &mut receivers {
                    while let Some(line) = receiver.try_message() {
                        assert!(line.starts_with("HMSG foo "), "{line}");
                        got += 1;
                    }
                }
                (got == kinds.len() + 1).then_some(())
            });
        }
        for receiver in &mut receivers {
            receiver.expect_nothing();
        }
    }
}

/// What the first server tells of the one that tells `part`.
fn hop_to(part: &Told) -> String {
    let hops = &part.headers["Nats-Trace-Hop"];
    assert_eq!(hops.len(), 1);
    format!("eg hop={} kind=1 name={}", hops[0], part.server)
}

/// Requests that services lead into other accounts, to another server.
pub fn services_are_traced_across_servers(kinds: &[Kind]) {
    let nodes = cluster(kinds);
    let (here, there) = (nodes[0].port, nodes[1].port);
    let mut service = subscriber(there, "a", &["open.*", "closed.*"]);
    let mut neighbour = subscriber(there, "b2", &["ask.x"]);
    for (user, subject) in [("a", "open.x"), ("a", "closed.x"), ("b", "ask.x")] {
        wait_for_interest(&nodes[0], user, subject);
    }
    for (user, subject, events, parts_there) in [
        ("b", "ask.y", &["eg hop=1 kind=1 name=s1", "si acc=A from=ask.y to=open.y"][..], 1),
        (
            "c",
            "far.x",
            &[
                "eg hop=1 kind=1 name=s1",
                "eg hop=2 kind=1 name=s1",
                "si acc=A from=ask.x to=open.x",
                "si acc=B from=far.x to=ask.x",
            ],
            2,
        ),
        ("b", "closed.y", &["si acc=A from=closed.y to=closed.y"], 0),
    ] {
        // Told where it was asked, and at the other server.
        for observed in [here, there] {
            let destination = format!("trace{observed}.{user}");
            let mut observer = subscriber(observed, user, &[&destination]);
            wait_for_interest(&nodes[0], user, &destination);
            let mut requestor = subscriber(here, user, &["inbox"]);
            for delivers in [false, true] {
                let headers = [format!("Nats-Trace-Dest: {destination}"), only(!delivers)];
                requestor.send(&hpub(&format!("{subject} inbox"), &headers.each_ref().map(String::as_str), "hello"));
                let parts = parts(&mut observer, 1 + parts_there);
                assert_eq!((parts[0].events[1..].to_vec(), parts[0].hops as usize), (to_owned(events), parts_there));
                for part in &parts[1..] {
                    assert!(part.headers["Nats-Trace-Dest"][0].starts_with("_R_."), "{:?}", part.headers);
                    assert!(events.contains(&hop_to(part).as_str()), "{:?}", part.headers);
                    let line = &part.events[1];
                    match part.events[0].as_str() {
                        "in acc=B kind=1 name=s0 subj=ask.x" => assert_eq!(line, "eg kind=0 name=b2 sub=ask.x"),
                        ingress => {
                            assert!(ingress.starts_with("in acc=A kind=1 name=s0 subj=open."), "{ingress}");
                            assert_eq!(line, "eg kind=0 name=a sub=open.*");
                        }
                    }
                }
                if delivers {
                    let (_, reply, _) = message(&mut service);
                    service.send(&format!("PUB {reply} 6\r\nanswer\r\n"));
                    assert_eq!(message(&mut requestor).2, "answer");
                } else if parts_there == 0 {
                    assert_eq!(message(&mut requestor).0, "inbox");
                }
                service.expect_nothing();
                requestor.expect_nothing();
                observer.expect_nothing();
            }
        }
    }
    while neighbour.has_line() {
        assert_eq!(message(&mut neighbour).0, "ask.x");
    }
}

fn to_owned(events: &[&str]) -> Vec<String> {
    events.iter().map(|event| (*event).to_owned()).collect()
}

/// Streams into other accounts, whose subscribers are at another server.
pub fn streams_are_traced_across_servers(kinds: &[Kind]) {
    let nodes = cluster(kinds);
    let mut observer = subscriber(nodes[1].port, "a", &["trace"]);
    let mut open = subscriber(nodes[1].port, "b", &["from.news.*"]);
    let mut closed = subscriber(nodes[1].port, "c", &["news.x"]);
    wait_for_interest(&nodes[0], "a", "news.x");
    wait_for_interest(&nodes[0], "a", "trace");
    let mut publisher = connect(nodes[0].port, "a2");
    for delivers in [false, true] {
        publisher.send(&hpub("news.x", &["Nats-Trace-Dest: trace", &only(!delivers)], "hello"));
        let parts = parts(&mut observer, 2);
        assert_eq!(parts[0].events, ["in acc=A kind=0 name=a2 subj=news.x", "eg hop=1 kind=1 name=s1"]);
        assert_eq!(
            parts[1].events,
            [
                "in acc=A kind=1 name=s0 subj=news.x",
                "eg acc=B kind=0 name=b sub=news.*",
                "se acc=B to=from.news.x",
                "se acc=C to=news.x",
            ]
        );
        for receiver in [&mut open, &mut closed] {
            if delivers {
                assert_eq!(message(receiver).2, "hello");
            }
            receiver.expect_nothing();
        }
    }
}

/// A sampled `traceparent` counts at all servers, whatever comes with it, and what the first one has switched off at none.
pub fn parents_count_across_servers(kinds: &[Kind]) {
    let nodes = cluster(kinds);
    let mut observer = subscriber(nodes[0].port, "a", &["trace"]);
    let mut receiver = subscriber(nodes[1].port, "a2", &["foo"]);
    wait_for_interest(&nodes[1], "a", "trace");
    wait_for_interest(&nodes[0], "a", "foo");
    let mut publisher = connect(nodes[0].port, "a2");
    let parent = format!("traceparent: {SAMPLED}");
    publisher.send(&hpub("foo", &[&parent, "Nats-Trace-Dest: trace disabled"], "untraced"));
    publisher.send(&hpub("foo", &[&parent, "Nats-Trace-Hop: 7"], "hello"));
    let parts = parts(&mut observer, 2);
    assert_eq!(parts[0].events, ["in acc=A kind=0 name=a2 subj=foo", "eg hop=1 kind=1 name=s1"]);
    assert_eq!(parts[1].events, ["in acc=A kind=1 name=s0 subj=foo", "eg kind=0 name=a2 sub=foo"]);
    assert_eq!(parts[1].headers["Nats-Trace-Hop"], ["1"]);
    assert_eq!((message(&mut receiver).2, message(&mut receiver).2), ("untraced".into(), "hello".into()));
    observer.expect_nothing();
}

/// A server that knows nothing of traces is sent what is delivered, and nothing that is only traced.
pub fn a_peer_may_know_nothing_of_traces(kind: Kind) {
    let node = Node::start(kind, "a", Setup::default());
    let mut peer = Peer::join(node.route_port, "old");
    peer.send("RS+ $G foo\r\n");
    peer.said();
    let mut raw = Raw::connect(node.port);
    raw.send("CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB trace 1\r\n");
    raw.send(&hpub("foo", &["Nats-Trace-Dest: trace", "Nats-Trace-Only: true"], "hello"));
    let why = "Not delivered because remote does not support message tracing";
    assert_eq!(told(&mut raw).events[1..], [format!("eg error={why} hop=1 kind=1 name=old")]);
    raw.send(&hpub("foo", &["Nats-Trace-Dest: trace"], "hello"));
    let why = "Message delivered but remote does not support message tracing so no trace event generated from there";
    assert_eq!(told(&mut raw).events[1..], [format!("eg error={why} hop=1 kind=1 name=old")]);
    raw.expect_nothing();
    let said = peer.said().into_iter().filter(|line| !line.starts_with("RS")).collect::<Vec<_>>().join("\n");
    assert_eq!(said, "HMSG $G foo 55 60\nNATS/1.0\nNats-Trace-Dest: trace\nNats-Trace-Hop: 1\n\nhello");
}

/// A message for a queue group that has left goes on to another server, which tells the part after.
pub fn a_part_may_have_parts(kind: Kind) {
    let node = Node::start(kind, "a", Setup::default());
    let mut from = Peer::join(node.route_port, "f");
    let mut member = Peer::join(node.route_port, "g");
    member.send("RS+ $G foo q 2\r\n");
    member.said();
    let mut raw = Raw::connect(node.port);
    raw.send("CONNECT {\"verbose\":false,\"headers\":true}\r\nSUB trace 1\r\n");
    raw.expect_nothing();
    let message = |hop: &str| format!("NATS/1.0\r\nNats-Trace-Dest: trace\r\nNats-Trace-Hop: {hop}\r\n\r\nhello");
    let sent = message("2");
    from.send(&format!("HMSG $G foo | q {} {}\r\n{sent}\r\n", sent.len() - 5, sent.len()));
    from.said();
    let passed_on = message("2.1");
    assert_eq!(
        member.said().into_iter().filter(|line| !line.starts_with("RS")).collect::<Vec<_>>().join("\r\n"),
        format!("HMSG $G foo | q {} {}\r\n{passed_on}", passed_on.len() - 5, passed_on.len())
    );
    let told = told(&mut raw);
    let why = "Message delivered but remote does not support message tracing so no trace event generated from there";
    assert_eq!(told.hops, 1);
    assert_eq!(
        told.events,
        ["in acc=$G kind=1 name=f subj=foo".to_owned(), format!("eg error={why} hop=2.1 kind=1 name=g")]
    );
}

#[test]
fn of_natsd() {
    each_server_tells_its_part(&[Natsd, Natsd]);
    each_server_tells_its_part(&[Natsd, Natsd, Natsd]);
    streams_are_traced_across_servers(&[Natsd, Natsd]);
    parents_count_across_servers(&[Natsd, Natsd]);
    a_peer_may_know_nothing_of_traces(Natsd);
    a_part_may_have_parts(Natsd);
}

#[test]
fn of_services_of_natsd() {
    services_are_traced_across_servers(&[Natsd, Natsd]);
}

#[cfg(feature = "interop")]
mod mixed {
    use super::*;
    use crate::harness::node::Kind::Go;

    const PAIRS: [[Kind; 2]; 3] = [[Natsd, Go], [Go, Natsd], [Go, Go]];

    #[test]
    fn each_server_tells_its_part() {
        for kinds in [[Natsd, Go, Natsd], [Go, Natsd, Go], [Go; 3]] {
            super::each_server_tells_its_part(&kinds);
        }
    }

    #[test]
    fn services_are_traced() {
        for kinds in PAIRS {
            services_are_traced_across_servers(&kinds);
        }
    }

    #[test]
    fn streams_are_traced() {
        for kinds in PAIRS {
            streams_are_traced_across_servers(&kinds);
        }
    }

    #[test]
    fn parents_count() {
        for kinds in PAIRS {
            parents_count_across_servers(&kinds);
        }
    }

    #[test]
    fn a_peer_may_know_nothing_of_traces() {
        super::a_peer_may_know_nothing_of_traces(Go);
        super::a_part_may_have_parts(Go);
    }
}
