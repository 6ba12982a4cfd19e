//! Traces of messages, in natsd and in nats-server.

mod cluster;
mod sharing;

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;

use crate::accounts::message;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::with_both;

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// A connection of `user` that calls itself so, and wants `more` of CONNECT.
pub fn connect_with(port: u16, user: &str, more: &str) -> Raw {
    let mut raw = Raw::connect(port);
    raw.send(&format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
         \"name\":\"{user}\",\"user\":\"{user}\",\"pass\":\"{user}\"{more}}}\r\n"
    ));
    raw.expect_pong();
    raw
}

pub fn connect(port: u16, user: &str) -> Raw {
    connect_with(port, user, "")
}

/// A connection of `user` that is subscribed.
pub fn subscriber(port: u16, user: &str, subscriptions: &[&str]) -> Raw {
    let mut raw = connect(port, user);
    for (sid, subscription) in subscriptions.iter().enumerate() {
        raw.send(&format!("SUB {subscription} {}\r\n", sid + 1));
    }
    raw.expect_nothing();
    raw
}

/// `HPUB` of `payload` with these headers.
pub fn hpub(to: &str, headers: &[&str], payload: &str) -> String {
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let header = format!("NATS/1.0\r\n{lines}\r\n");
    format!("HPUB {to} {} {}\r\n{header}{payload}\r\n", header.len(), header.len() + payload.len())
}

/// What a server told of a message.
pub struct Told {
    pub server: String,
    pub hops: u64,
    pub headers: BTreeMap<String, Vec<String>>,
    pub size: u64,
    /// The events in a line each, how it came first, the others in order of the text.
    pub events: Vec<String>,
    /// Ids of connections, as the events came.
    pub cids: Vec<u64>,
}

impl Told {
    pub fn read(json: &str) -> Self {
        let event: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"));
        assert_eq!(
            (&event["server"]["ver"], &event["server"]["jetstream"]),
            (&"2.15.2".into(), &false.into()),
            "{json}"
        );
        assert!(event["server"]["seq"].as_u64() > Some(0) && event["server"]["time"].is_string(), "{json}");
        let events = event["events"].as_array().expect("a list");
        let mut lines: Vec<_> = events.iter().map(line).collect();
        assert!(lines[0].starts_with("in "), "{json}");
        lines[1..].sort();
        Self {
            server: event["server"]["name"].as_str().expect("a name").to_owned(),
            hops: event["hops"].as_u64().unwrap_or(0),
            headers: serde_json::from_value(event["request"]["header"].clone()).expect("lists by name"),
            size: event["request"]["msgsize"].as_u64().expect("a size"),
            events: lines,
            cids: events.iter().filter_map(|event| event["cid"].as_u64()).collect(),
        }
    }
}

/// An event without its time and the id of its connection.
fn line(event: &Value) -> String {
    let event = event.as_object().expect("a map");
    assert!(event["ts"].as_str().is_some_and(|time| time.contains('T')), "{event:?}");
    let fields = event.iter().filter(|(key, _)| !["type", "ts", "cid"].contains(&key.as_str()));
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = fields.map(|(key, value)| format!(" {key}={}", text(value)));
    text(&event["type"]) + &fields.collect::<String>()
}

/// The next thing that is told to `observer`.
pub fn told(observer: &mut Raw) -> Told {
    Told::read(&message(observer).2)
}

const ACCOUNTS: &str = r#"
server_name: s
max_payload: 1000
accounts {
  A {
    users: [
      { user: a, password: a }, { user: one, password: one }, { user: two, password: two }
      { user: few, password: few, permissions { publish: ["foo", "ok"], subscribe { allow: ["foo.>", "ok"], deny: "foo.deny" } } }
    ]
    mappings: { "before.*": "after.$1" }
  }
}
"#;

/// What happens to a message, and to whom it is delivered, with and without `Nats-Trace-Only`.
fn a_trace_tells_who_gets_a_message(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut observer = subscriber(server.port, "a", &["trace"]);
    let mut one = subscriber(server.port, "one", &["foo", "foo group"]);
    let mut two = subscriber(server.port, "two", &["*"]);
    let mut publisher = connect(server.port, "a");
    let cid = |raw: &Raw| raw.info["client_id"].as_u64().expect("an id");
    for (only, delivers) in [("true", false), ("1", false), ("On", false), ("false", true), ("0", true), ("x", true)] {
        let only = format!("Nats-Trace-Only: {only}");
        let text = hpub("foo reply", &["K: v", "Nats-Trace-Dest: trace", "K: w", &only], "hello");
        publisher.send(&text);
        publisher.expect_nothing();
        let told = told(&mut observer);
        assert_eq!((told.server.as_str(), told.hops), ("s", 0));
        let body = text.split_once("\r\n").expect("a line").1.trim_end_matches("hello\r\n");
        assert_eq!(told.size as usize, body.len() + 5);
        assert_eq!(told.headers["K"], ["v", "w"]);
        assert_eq!(told.headers.len(), 3);
        assert_eq!(
            told.events,
            [
                "in acc=A kind=0 name=a subj=foo",
                "eg kind=0 name=one queue=group sub=foo",
                "eg kind=0 name=one sub=foo",
                "eg kind=0 name=two sub=*",
            ]
        );
        let mut cids = told.cids;
        assert_eq!(cids.remove(0), cid(&publisher));
        cids.sort_unstable();
        assert_eq!(cids, [cid(&one), cid(&one), cid(&two)]);
        if delivers {
            let whole = |sid: u8| format!("HMSG foo {sid} reply {} {}\r\n{body}hello\r\n", body.len(), body.len() + 5);
            two.expect(&whole(1));
            assert_eq!((message(&mut one).2, message(&mut one).2), ("hello".into(), "hello".into()));
        }
        // `two` hears what is told as well.
        message(&mut two);
        one.expect_nothing();
        two.expect_nothing();
    }
    publisher.send(&hpub("no.body", &["Nats-Trace-Dest: trace"], ""));
    assert_eq!(told(&mut observer).events, ["in acc=A kind=0 name=a subj=no.body"]);
    publisher.send(&hpub("before.x", &["Nats-Trace-Dest: trace"], ""));
    assert_eq!(told(&mut observer).events, ["in acc=A kind=0 name=a subj=before.x", "sm to=after.x"]);
}

/// Why somebody does not get a message.
fn a_trace_tells_what_is_not_delivered(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut observer = subscriber(server.port, "a", &["ok"]);
    for only in ["true", "false"] {
        let headers = ["Nats-Trace-Dest: ok", &format!("Nats-Trace-Only: {only}")];
        let mut few = connect(server.port, "few");
        for (to, told_of, error) in [
            ("bar", "bar", "Permissions Violation for Publish to \"bar\""),
            ("foo _R_.x", "foo", "Permissions Violation for Publish with Reply of \"_R_.x\""),
        ] {
            few.send(&hpub(to, &headers, "hello"));
            few.expect(&format!("-ERR '{error}'\r\n"));
            assert_eq!(told(&mut observer).events, [format!("in acc=A error={error} kind=0 name=few subj={told_of}")]);
        }
        let mut reserved = connect(server.port, "a");
        reserved.send(&hpub("_GR_.x", &headers, "hello"));
        reserved.expect("-ERR 'Permissions Violation for Publish to \"_GR_.x\"'\r\n");
        assert_eq!(told(&mut observer).events.len(), 1);

        let mut quiet = connect_with(server.port, "a", ",\"echo\":false");
        quiet.send("SUB foo 1\r\n");
        quiet.send(&hpub("foo", &headers, "hello"));
        quiet.expect_nothing();
        let why = "Not delivered because of no echo";
        assert_eq!(told(&mut observer).events[1..], [format!("eg error={why} kind=0 name=a sub=foo")]);

        few.send("SUB foo.> 1\r\n");
        few.expect_nothing();
        quiet.send(&hpub("foo.deny", &headers, "hello"));
        quiet.expect_nothing();
        let why = "Not delivered because subscription denies this subject";
        assert_eq!(told(&mut observer).events[1..], [format!("eg error={why} kind=0 name=few sub=foo.>")]);
        few.expect_nothing();
    }
}

/// Whoever may not publish where a trace is to go publishes nothing; what cannot be traced is not delivered in its place.
fn a_trace_goes_only_where_it_may(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut listener = subscriber(server.port, "a", &["foo", "no"]);
    let mut few = connect(server.port, "few");
    for only in ["true", "false"] {
        let only = format!("Nats-Trace-Only: {only}");
        few.send(&hpub("foo", &["Nats-Trace-Dest: no", &only], "hello"));
        few.expect("-ERR 'Permissions Violation for Publish to \"no\"'\r\n");
        few.expect_nothing();
        let mut any = connect(server.port, "a");
        for reserved in ["_GR_.x", "$NRG.x"] {
            any.send(&hpub("foo", &[&format!("Nats-Trace-Dest: {reserved}"), &only], "hello"));
            any.expect(&format!("-ERR 'Permissions Violation for Publish to \"{reserved}\"'\r\n"));
            any.expect_nothing();
        }
        listener.expect_nothing();
    }
    let mut any = connect(server.port, "a");
    let old = ["Nats-Trace-Dest: no", "Nats-Trace-Origin-Account: A"];
    for headers in [&["Nats-Trace-Dest: *"][..], &["Nats-Trace-Dest: a b"], &old] {
        any.send(&hpub("foo", &[headers, &["Nats-Trace-Only: true"]].concat(), "dropped"));
        any.send(&hpub("foo", headers, "hello"));
        any.expect_nothing();
        assert_eq!(message(&mut listener).2, "hello", "{headers:?}");
        listener.expect_nothing();
    }
    any.send(&hpub("foo", &old, ""));
    listener.expect("HMSG foo 1 75 75\r\nNATS/1.0\r\nNats-Trace-Origin-Account: A\r\n");
    listener.expect("Nats-Trace-Dest: trace disabled\r\n\r\n\r\n");
}

fn a_message_that_is_too_large_is_told_of(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut observer = subscriber(server.port, "a", &["ok"]);
    let too_large = |header: &str| format!("HPUB foo {} 1001\r\n{header}AAAA", header.len());
    let mut few = connect(server.port, "few");
    few.send(&too_large("NATS/1.0\r\nNats-Trace-Dest: ok\r\n\r\n"));
    few.expect("-ERR 'Maximum Payload Violation'\r\n");
    few.expect_closed();
    let told = told(&mut observer);
    assert_eq!(told.events, ["in acc=A error=maximum payload exceeded kind=0 name=few subj=foo"]);
    assert_eq!(told.size, 1001);
    // What follows the headers is none, and what may not be published to is not.
    for text in ["NATS/1.0\r\n\r\n", "NATS/1.0\r\nNats-Trace-Dest: no\r\n\r\n"] {
        let mut few = connect(server.port, "few");
        few.send(&(too_large(text) + "\r\nNats-Trace-Dest: ok\r\n"));
        assert!(few.rest().ends_with("-ERR 'Maximum Payload Violation'\r\n"));
    }
    observer.expect_nothing();
}

fn what_is_told_is_compressed_as_asked(program: Program) {
    let server = TestServer::start(program, ACCOUNTS);
    let mut observer = subscriber(server.port, "a", &["ok"]);
    let mut publisher = connect(server.port, "a");
    for (accept, encoding) in
        [("gzip", "gzip"), ("snappy", "snappy"), ("GZIP, S2", "snappy"), ("br", "identity"), ("", "")]
    {
        publisher.send(&hpub("foo", &["Nats-Trace-Dest: ok", &format!("Accept-Encoding: {accept}")], "hello"));
        let line = observer.line();
        let words: Vec<_> = line.split(' ').collect();
        let size = |at: usize| words[words.len() - at].parse::<usize>().expect("a size");
        let header = if encoding.is_empty() { 0 } else { size(2) };
        let body = observer.take_bytes(size(1) + 2);
        let (header, payload) = body[..size(1)].split_at(header);
        let expected = format!("NATS/1.0\r\nContent-Encoding: {encoding}\r\n\r\n");
        assert_eq!(String::from_utf8_lossy(header), if encoding.is_empty() { "" } else { &expected });
        let mut json = String::new();
        let mut reader: Box<dyn Read> = match encoding {
            "gzip" => Box::new(flate2::read::GzDecoder::new(payload)),
            "snappy" => Box::new(snap::read::FrameDecoder::new(payload)),
            _ => Box::new(payload),
        };
        reader.read_to_string(&mut json).expect("compressed text");
        assert_eq!(Told::read(&json).events, ["in acc=A kind=0 name=a subj=foo"]);
    }
}

/// `accounts {}` with one whose messages are traced for their `traceparent`, as `target` says.
fn sampling(target: &str) -> String {
    format!(
        "server_name: s\naccounts {{ A {{ users: [{{ user: a, password: a }}, {{ user: o, password: o }}], {target} }} }}"
    )
}

fn a_parent_asks_for_a_trace(program: Program) {
    let server = TestServer::start(program, &sampling("msg_trace: parents"));
    let mut observer = subscriber(server.port, "o", &["parents", "trace"]);
    let mut listener = subscriber(server.port, "a", &["foo"]);
    let parent = format!("Traceparent: {SAMPLED}");
    let unsampled = format!("traceparent: {}0", SAMPLED.trim_end_matches('1'));
    let headers = [&parent, "Nats-Trace-Only: true"];
    listener.send(&hpub("foo", &headers, "hello"));
    // It counts for nothing besides a parent.
    assert_eq!(message(&mut listener).2, "hello");
    assert!(observer.line().starts_with("MSG parents 1 "));
    observer.line();
    listener.send(&hpub("foo", &[&unsampled], "hello"));
    listener.send(&hpub("foo", &[&parent, "Nats-Trace-Dest: trace"], "hello"));
    assert_eq!((message(&mut listener).2, message(&mut listener).2), ("hello".into(), "hello".into()));
    assert!(observer.line().starts_with("MSG trace 2 "));
    observer.line();
    for value in ["trace disabled", "*"] {
        listener.send(&hpub("foo", &[&parent, &format!("Nats-Trace-Dest: {value}")], "hello"));
        assert_eq!(message(&mut listener).2, "hello");
    }
    observer.expect_nothing();
}

fn a_part_of_the_messages_is_sampled(program: Program) {
    const MESSAGES: usize = 400;
    let server = TestServer::start(program, &sampling("trace_dest { dest: parents, sampling: \"50%\" }"));
    let mut observer = subscriber(server.port, "o", &["parents"]);
    let mut listener = subscriber(server.port, "a", &["foo"]);
    listener.send(&hpub("foo", &[&format!("traceparent: {SAMPLED}")], "").repeat(MESSAGES));
    let header = |raw: &mut Raw| {
        let line = raw.line();
        let body = raw.take(line.rsplit(' ').next().expect("a word").parse().expect("a size"));
        raw.expect("\r\n");
        body
    };
    let off =
        (0..MESSAGES).filter(|_| header(&mut listener).contains("\r\nNats-Trace-Dest: trace disabled\r\n")).count();
    assert!((MESSAGES / 4..MESSAGES * 3 / 4).contains(&off), "{off}");
    for _ in 0..MESSAGES - off {
        assert_eq!(told(&mut observer).events[1..], ["eg kind=0 name=a sub=foo"]);
    }
    observer.expect_nothing();
}

/// What an account says of traces, and what it lets in, changes at a reload.
fn a_reload_changes_what_is_traced(program: Program) {
    let config = |target: &str, allow: bool| {
        format!(
            "accounts {{
               A {{ users: [{{ user: a, password: a }}, {{ user: o, password: o }}]
                    exports: [{{ stream: foo }}, {{ service: ask, allow_trace: {allow} }}], {target} }}
               B {{ users: [{{ user: b, password: b }}]
                    imports: [{{ stream: {{ account: A, subject: foo }}, allow_trace: {allow} }}
                              {{ service: {{ account: A, subject: ask }} }}] }} }}"
        )
    };
    let mut server = TestServer::start(program, &config("", false));
    let mut observer = subscriber(server.port, "o", &["one", "two"]);
    let mut publisher = subscriber(server.port, "a", &["ask"]);
    let mut other = subscriber(server.port, "b", &["foo", "trace"]);
    let parent = format!("traceparent: {SAMPLED}");
    for (target, allow) in [("", false), ("msg_trace: one", true), ("trace_dest { dest: two }", false), ("", true)] {
        server.reconfigure(&config(target, allow));
        server.wait_for_line("Reloaded server configuration");
        publisher.send(&hpub("foo", &[&parent], "hello"));
        assert_eq!(message(&mut other).2, "hello");
        if !target.is_empty() {
            let (subject, _, json) = message(&mut observer);
            assert!(target.contains(&subject), "{subject}");
            let events = Told::read(&json).events;
            let into = ["eg acc=B kind=0 name=b sub=foo", "se acc=B to=foo"];
            assert_eq!(events[1..], into[usize::from(!allow)..]);
        }
        other.send(&hpub("ask", &["Nats-Trace-Dest: trace"], "hello"));
        let into = ["eg acc=A kind=0 name=a sub=ask", "si acc=A from=ask to=ask"];
        assert_eq!(told(&mut other).events[1..], into[usize::from(!allow)..]);
        assert_eq!(message(&mut publisher).2, "hello");
        observer.expect_nothing();
    }
}

with_both!(
    a_reload_changes_what_is_traced,
    a_parent_asks_for_a_trace,
    a_part_of_the_messages_is_sampled,
    a_trace_tells_who_gets_a_message,
    a_trace_tells_what_is_not_delivered,
    a_trace_goes_only_where_it_may,
    a_message_that_is_too_large_is_told_of,
    what_is_told_is_compressed_as_asked,
);
