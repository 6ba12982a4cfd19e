//! A small blocking NATS client that sees everything.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{DEADLINE, POLL};

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub subject: String,
    pub sid: String,
    pub reply: Option<String>,
    pub headers: String,
    pub payload: String,
}

/// A connection that has said CONNECT with headers and no_responders.
pub struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    deliveries: VecDeque<Delivery>,
    infos: VecDeque<String>,
    pongs: usize,
    refusals: usize,
}

/// Payload of requests that only ask whether anybody is there: receivers do not see them.
const PROBE: &str = "probe";

impl Client {
    pub fn connect(port: u16) -> Self {
        Self::open(port, "")
    }

    /// As [`connect`](Self::connect), of this user, whose password is the same.
    pub fn connect_as(port: u16, user: &str) -> Self {
        Self::connect_with(port, user, user)
    }

    /// As [`connect`](Self::connect), of this user.
    pub fn connect_with(port: u16, user: &str, password: &str) -> Self {
        Self::open(port, &format!(",\"user\":\"{user}\",\"pass\":\"{password}\""))
    }

    /// With `more` in `CONNECT`.
    fn open(port: u16, more: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts clients");
        stream.set_nodelay(true).expect("a TCP option");
        let (input, deliveries, infos) = (Vec::new(), VecDeque::new(), VecDeque::new());
        let mut client = Self { stream, input, deliveries, infos, pongs: 0, refusals: 0 };
        client.send(&format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\"no_responders\":true{more}}}\r\n",
        ));
        client.send(&format!("SUB _probe {PROBE}\r\n"));
        client.flush();
        client
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the server reads");
    }

    pub fn subscribe(&mut self, subject: &str, sid: &str) {
        self.send(&format!("SUB {subject} {sid}\r\n"));
    }

    pub fn subscribe_queue(&mut self, subject: &str, queue: &str, sid: &str) {
        self.send(&format!("SUB {subject} {queue} {sid}\r\n"));
    }

    pub fn publish(&mut self, subject: &str, payload: &str) {
        self.send(&format!("PUB {subject} {}\r\n{payload}\r\n", payload.len()));
    }

    pub fn request(&mut self, subject: &str, reply: &str, payload: &str) {
        self.send(&format!("PUB {subject} {reply} {}\r\n{payload}\r\n", payload.len()));
    }

    /// Waits until the server has done all that was sent.
    pub fn flush(&mut self) {
        let wanted = self.pongs + 1;
        self.send("PING\r\n");
        self.read_until("a PONG", DEADLINE, |client| client.pongs >= wanted);
    }

    /// The next message.
    pub fn next(&mut self) -> Delivery {
        self.read_until("a message", DEADLINE, |client| !client.deliveries.is_empty());
        self.deliveries.pop_front().expect("waited for")
    }

    /// The next INFO after the ones already taken.
    pub fn next_info(&mut self) -> serde_json::Value {
        self.read_until("an INFO", DEADLINE, |client| !client.infos.is_empty());
        serde_json::from_str(&self.infos.pop_front().expect("waited for")).expect("INFO carries JSON")
    }

    /// Takes what has come so far, without waiting for more than an answer to a PING.
    pub fn drain(&mut self) -> Vec<Delivery> {
        self.flush();
        self.deliveries.drain(..).collect()
    }

    /// Waits until `count` messages have come.
    pub fn take(&mut self, count: usize) -> Vec<Delivery> {
        self.read_until("all messages", DEADLINE, |client| client.deliveries.len() >= count);
        self.deliveries.drain(..).collect()
    }

    /// Whether this server knows of anybody who takes messages to `subject`, here or at a peer.
    pub fn sees_interest(&mut self, subject: &str) -> bool {
        let before = self.refusals;
        self.request(subject, "_probe", PROBE);
        self.flush();
        self.refusals == before
    }

    /// Waits until interest in `subject` is (or is not) seen here; gives the time that took.
    pub fn wait_for_interest(&mut self, subject: &str, wanted: bool) -> Duration {
        let start = Instant::now();
        while self.sees_interest(subject) != wanted {
            assert!(start.elapsed() < DEADLINE, "interest in {subject} does not become {wanted}");
            std::thread::sleep(POLL);
        }
        start.elapsed()
    }

    fn read_until(&mut self, what: &str, limit: Duration, done: impl Fn(&Self) -> bool) {
        let end = Instant::now() + limit;
        while !done(self) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited {limit:?} for {what}; unread: {:?}", String::from_utf8_lossy(&self.input));
            self.stream.set_read_timeout(Some(left)).expect("a positive time-out");
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => panic!("the server closed the connection while the test waited for {what}"),
                Ok(read) => self.input.extend_from_slice(&chunk[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => panic!("{error} while the test waited for {what}"),
            }
            while self.read_line() {}
        }
    }

    /// Takes one line, and payload if it is a message, off the input.
    fn read_line(&mut self) -> bool {
        let Some(end) = self.input.windows(2).position(|pair| pair == b"\r\n") else { return false };
        let line = String::from_utf8(self.input[..end].to_vec()).expect("control lines are text");
        let mut consumed = end + 2;
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            Some(verb @ ("MSG" | "HMSG")) => {
                let words: Vec<_> = words.collect();
                let number = |word: &str| word.parse::<usize>().expect("a size");
                let sizes = if verb == "MSG" { 1 } else { 2 };
                let (names, sizes) = words.split_at(words.len() - sizes);
                let total = number(sizes[sizes.len() - 1]);
                let header = if sizes.len() == 2 { number(sizes[0]) } else { 0 };
                if self.input.len() < consumed + total + 2 {
                    return false;
                }
                let body = String::from_utf8(self.input[consumed..consumed + total].to_vec()).expect("tests send text");
                consumed += total + 2;
                match (names[1], &body[header..]) {
                    (PROBE, _) => self.refusals += 1,
                    (_, PROBE) => {}
                    (sid, payload) => self.deliveries.push_back(Delivery {
                        subject: names[0].into(),
                        sid: sid.into(),
                        reply: names.get(2).map(|reply| (*reply).into()),
                        headers: body[..header].into(),
                        payload: payload.into(),
                    }),
                }
            }
            Some("PING") => self.stream.write_all(b"PONG\r\n").expect("the server reads"),
            Some("PONG") => self.pongs += 1,
            Some("INFO") => self.infos.push_back(line["INFO".len()..].trim().into()),
            _ => panic!("unexpected line {line:?}"),
        }
        self.input.drain(..consumed);
        true
    }
}
