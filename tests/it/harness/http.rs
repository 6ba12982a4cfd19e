//! Asks monitoring over HTTP, and understands the text format of Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;

use super::DEADLINE;
use super::server::wait_for;

/// What came back.
pub struct Reply {
    pub status: u16,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// Asks for `path` with more headers, each ended by CR LF.
pub fn get_with(port: u16, path: &str, headers: &str) -> Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("monitoring accepts");
    stream.set_read_timeout(Some(DEADLINE)).expect("a positive time-out");
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n{headers}\r\n").expect("writable");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("readable");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.map(|line| line.split_once(": ").expect("a header"));
    Reply {
        status: status.expect("a status"),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

/// Waits until somebody answers there.
pub fn wait_until_open(port: u16) {
    wait_for("monitoring", || TcpStream::connect(("127.0.0.1", port)).ok());
}

/// Asks for `path`.
pub fn get(port: u16, path: &str) -> Reply {
    get_with(port, path, "")
}

/// Asks for `path`, which must be there and JSON.
pub fn json(port: u16, path: &str) -> serde_json::Value {
    let reply = get(port, path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    serde_json::from_str(&reply.body).unwrap_or_else(|error| panic!("{path}: {error}: {}", reply.body))
}

/// The samples of a name, by their labels.
pub type Samples = BTreeMap<BTreeMap<String, String>, f64>;

/// A document in the text format, version 0.0.4: kind and samples by name. Fails the test at anything that the format
/// does not allow, as well as at what it allows and scrapers refuse.
pub fn metrics(text: &str) -> BTreeMap<String, (String, Samples)> {
    let mut families = BTreeMap::<String, (String, Samples)>::new();
    let (mut helped, mut current) = (BTreeSet::new(), String::new());
    assert!(text.ends_with('\n'), "the last line must end");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = help.split_once(' ').expect(line);
            assert!(helped.insert(name.to_owned()), "two lines of help: {line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect(line);
            assert!(["counter", "gauge"].contains(&kind) && is_name(name) && helped.contains(name), "{line}");
            let new = families.insert(name.to_owned(), (kind.to_owned(), Samples::new())).is_none();
            assert!(new, "a family comes twice: {line}");
            name.clone_into(&mut current);
        } else {
            let (name, rest) = line.split_once('{').expect(line);
            assert_eq!(name, current, "samples of a name stand together: {line}");
            let (labels, value) = labels(rest);
            let value = value.strip_prefix(' ').and_then(|value| value.parse().ok()).expect(line);
            let family = &mut families.get_mut(name).expect("it is current").1;
            assert!(family.insert(labels, value).is_none(), "a sample comes twice: {line}");
        }
    }
    families
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Labels, and what comes behind the brace.
fn labels(mut rest: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    loop {
        let (name, value) = rest.split_once("=\"").expect(rest);
        assert!(is_name(name), "{rest}");
        let mut chars = value.char_indices();
        let mut text = String::new();
        let end = loop {
            match chars.next().expect("a quote at the end") {
                (at, '"') => break at,
                (_, '\\') => text.push(match chars.next() {
                    Some((_, 'n')) => '\n',
                    Some((_, c @ ('\\' | '"'))) => c,
                    other => panic!("no escape: {other:?}"),
                }),
                (_, c) => text.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), text).is_none(), "a label comes twice: {rest}");
        match value[end + 1..].split_at(1) {
            ("}", after) => return (labels, after),
            (",", after) => rest = after,
            (other, _) => panic!("{other:?} behind a label"),
        }
    }
}
