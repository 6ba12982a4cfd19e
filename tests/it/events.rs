//! What servers tell at `/eventz`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Instant;

use serde_json::Value;

use crate::harness::DEADLINE;
use crate::harness::client::Client;
use crate::harness::http::json;
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::{TestServer, programs, wait_for};

/// A stream of events.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn open(port: u16, query: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("monitoring accepts");
        stream.set_read_timeout(Some(DEADLINE)).expect("a positive time-out");
        write!(stream, "GET /eventz{query} HTTP/1.1\r\nHost: test\r\n\r\n").expect("writable");
        let mut stream = Self(BufReader::new(stream));
        let hello = stream.next(|event| event["version"] == 1);
        assert!(hello["server_id"].as_str().is_some_and(|id| id.len() == 56), "{hello}");
        stream
    }

    /// The next event that is the one.
    fn next(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        let (start, mut line) = (Instant::now(), String::new());
        loop {
            line.clear();
            assert!(start.elapsed() < DEADLINE, "it is not told");
            assert_ne!(self.0.read_line(&mut line).expect("the stream goes on"), 0, "the stream ended");
            let event: Option<Value> = line.strip_prefix("data: ").and_then(|json| serde_json::from_str(json).ok());
            if let Some(event) = event.filter(&is) {
                return event;
            }
        }
    }

    fn next_of(&mut self, kind: &str) -> Value {
        self.next(|event| event["kind"] == kind)
    }
}

#[cfg(feature = "lab")]
mod failover {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::{Duration, SystemTime};

    use natsd_lab::link::Cut;

    use super::*;
    use crate::harness::network::{Ground, Pair};

    #[test]
    fn a_failover_is_told_at_once_and_with_its_gap() {
        let pair = Pair::start(Ground::emulated(), "latency", false);
        pair.settle();
        let (mut here, mut there) = (pair.client(0), pair.client(1));
        there.subscribe("tick", "1");
        here.wait_for_interest("tick", true);
        let mut stream = Stream::open(pair.monitor_port(0), "?kind=switch&since=9007199254740991");
        let (told, events) = channel();
        let waiting = std::thread::spawn(move || {
            let event = stream.next(|event| event["kind"] == "switch" && event["gap_ms"].is_f64());
            told.send((SystemTime::now(), event)).expect("it is waited for");
        });
        pair.ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
        let (at, event) = loop {
            here.publish("tick", "x");
            there.next();
            match events.recv_timeout(Duration::from_millis(1)) {
                Ok(told) => break told,
                Err(RecvTimeoutError::Timeout) => {}
                Err(gone) => panic!("{gone}"),
            }
        };
        waiting.join().expect("it was told");
        let time: jiff::Timestamp = event["time"].as_str().and_then(|time| time.parse().ok()).expect("a time");
        let late = at.duration_since(time.into()).unwrap_or_default();
        assert!(late < Duration::from_secs(1), "told {late:?} after it happened");
        let pathz = pair.read(0, "/pathz?history=1");
        let same = |other: &&Value| {
            other["kind"] == "switch" && other["to"] == event["to"] && other["gap_ms"] == event["gap_ms"]
        };
        let lists = [&pathz["events"], &pathz["peers"][0]["incidents"]];
        assert!(
            lists.iter().all(|list| list.as_array().is_some_and(|list| list.iter().any(|it| same(&it)))),
            "{event}"
        );
        assert_ne!(event["from"], event["to"]);
        assert!(event["reason"].is_string() && event["peer"] == "1-ff00:0:112", "{event}");
    }
}

#[test]
fn clients_that_come_go_and_are_refused_are_told() {
    let http = free_port();
    let server = TestServer::natsd(&format!(
        "http: \"127.0.0.1:{http}\"\nauthorization {{ users: [{{ user: me, password: me }}] }}"
    ));
    let mut stream = Stream::open(http, "");
    let client = Client::connect_as(server.port, "me");
    let joined = stream.next_of("client_join");
    assert_eq!((&joined["link"], &joined["account"]), (&"client".into(), &"$G".into()));
    drop(client);
    let left = stream.next_of("client_leave");
    assert_eq!((&left["cid"], &left["reason"]), (&joined["cid"], &"Client Closed".into()));
    assert_eq!(json(http, "/connz?state=closed")["connections"][0]["reason"], left["reason"]);

    let mut eve = server.connect();
    eve.send("CONNECT {\"user\":\"eve\",\"pass\":\"guess\",\"name\":\"\\\"quoted\\n\"}\r\nPING\r\n");
    let refused = stream.next_of("auth_error");
    assert!(refused["text"].as_str().is_some_and(|text| text.contains("who says to be \"eve\"")), "{refused}");
    assert_eq!(json(http, "/varz")["http_req_stats"]["/eventz"], 1);
}

#[test]
fn a_slow_consumer_is_told() {
    let http = free_port();
    let server = TestServer::natsd(&format!("http: \"127.0.0.1:{http}\"\nmax_payload: 90000\nmax_pending: 100000"));
    let mut slow = server.client();
    slow.send("SUB flood 1\r\n");
    slow.expect_pong();
    let mut stream = Stream::open(http, "?kind=slow_consumer");
    let mut publisher = server.client();
    let payload = "x".repeat(90_000);
    let count = || json(http, "/varz")["slow_consumers"].as_u64();
    wait_for("a slow consumer", || {
        publisher.send(&format!("PUB flood {}\r\n{payload}\r\n", payload.len()));
        count().filter(|count| *count > 0)
    });
    let told = stream.next_of("slow_consumer");
    let closed = json(http, "/connz?state=closed")["connections"][0].clone();
    assert_eq!((&told["cid"], &told["reason"]), (&closed["cid"], &closed["reason"]));
}

/// Of natsd and of nats-server alike, and once however many connections there are.
#[test]
fn servers_that_join_and_leave_are_told_once() {
    for program in programs() {
        let http = free_port();
        let more = format!("http: \"127.0.0.1:{http}\"");
        let first = Node::start(Kind::Natsd, "first", Setup { more: &more, ..Setup::default() });
        let mut stream = Stream::open(http, "?kind=join&kind=leave");
        let second = Node::start(program, "second", Setup { routes: &[&first], ..Setup::default() });
        let joined = stream.next_of("join");
        assert_eq!((&joined["peer"], &joined["link"]), (&"second".into(), &"route".into()));
        wait_for("a pool of routes", || (json(http, "/routez")["num_routes"].as_u64()? > 2).then_some(()));
        second.kill();
        let left = stream.next_of("leave");
        assert_eq!(left["peer"], "second");
        let kinds = json(http, "/eventz?stream=0&kind=join&kind=leave");
        let kinds: Vec<_> = kinds["events"].as_array().expect("a list").iter().map(|event| &event["kind"]).collect();
        assert_eq!(kinds, ["join", "leave"]);
    }
}
