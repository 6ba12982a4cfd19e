//! A peer made by hand: the route protocol, line by line.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::DEADLINE;

/// A connection to the route port of a server.
pub struct Peer {
    stream: BufReader<TcpStream>,
    /// The last INFO of the server.
    pub info: Value,
}

impl Peer {
    /// Connects and reads the server's INFO.
    pub fn connect(route_port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", route_port)).expect("the server accepts routes");
        stream.set_read_timeout(Some(DEADLINE)).expect("a positive time-out");
        let mut peer = Self { stream: BufReader::new(stream), info: Value::Null };
        let info = peer.line();
        assert!(info.starts_with("INFO {") && info.ends_with("} "), "{info:?}");
        peer
    }

    /// As [`join`](Self::join), with more in the CONNECT, such as user and password.
    pub fn join_as(route_port: u16, name: &str, more: &str) -> Self {
        let mut peer = Self::connect(route_port);
        peer.introduce(name, more);
        peer.said();
        peer
    }

    /// Says who it is, with more in the CONNECT.
    pub fn introduce(&mut self, name: &str, more: &str) {
        self.send(&format!("CONNECT {{\"name\":\"N{name}\",\"cluster\":\"c1\",\"headers\":true{more}}}\r\n"));
        self.send(&format!(
            "INFO {{\"server_id\":\"N{name}\",\"server_name\":\"{name}\",\"version\":\"2.15.2\",\"proto\":2,\
             \"host\":\"127.0.0.1\",\"port\":1,\"headers\":true,\"max_payload\":1048576,\"cluster\":\"c1\"}}\r\n"
        ));
    }

    /// Connects and becomes a member of `c1`, without a pool: the least that a peer can be.
    pub fn join(route_port: u16, name: &str) -> Self {
        Self::join_as(route_port, name, "")
    }

    pub fn send(&mut self, text: &str) {
        // A server that has closed already is seen when the answer is read.
        let _ = self.stream.get_mut().write_all(text.as_bytes());
    }

    /// The next line, without CR LF.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).expect("the server sends a line in time");
        assert!(read > 0, "the server closed the connection");
        if let Some(json) = line.strip_prefix("INFO ") {
            self.info = serde_json::from_str(json).expect("INFO carries JSON");
        }
        line.trim_end_matches("\r\n").to_owned()
    }

    /// Waits until the server has said of itself what the test waits for.
    pub fn wait_for_info(&mut self, wanted: impl Fn(&Value) -> bool) {
        while !wanted(&self.info) {
            self.line();
        }
    }

    /// All the server has said so far but PING, INFO and interest in `$SYS`, once it has done what was sent.
    pub fn said(&mut self) -> Vec<String> {
        self.send("PING\r\n");
        let lines = std::iter::from_fn(|| Some(self.line()).filter(|line| line != "PONG"));
        lines.filter(|line| line != "PING" && !line.starts_with("INFO ") && !line.contains("$SYS")).collect()
    }

    /// Reads so many bytes of whatever the server says; `false` if it closes before.
    pub fn read_some(&mut self, bytes: usize) -> bool {
        self.stream.read_exact(&mut vec![0; bytes]).is_ok()
    }

    /// What the server says until it closes the connection.
    pub fn last_words(mut self) -> String {
        let mut words = Vec::new();
        match self.stream.read_to_end(&mut words) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the server does not close the connection: {error}"),
        }
        String::from_utf8(words).expect("control lines are text")
    }
}
