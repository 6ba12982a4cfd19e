//! A connection on which every byte is said by the test, and every byte that comes is checked.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::{ClientConfig, ClientConnection};

use super::DEADLINE;

/// What the server sends after a while, whatever the test does.
const PING: &str = "PING\r\n";

pub struct Raw {
    stream: TcpStream,
    /// Once there was a handshake.
    session: Option<Box<ClientConnection>>,
    unread: Vec<u8>,
    /// The first INFO.
    pub info: serde_json::Value,
}

impl Raw {
    /// Connects and reads the INFO.
    pub fn connect(port: u16) -> Self {
        let mut raw = Self::silent(port);
        raw.info = raw.expect_info();
        raw
    }

    /// Connects, and waits for nothing.
    pub fn silent(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        stream.set_nodelay(true).expect("a TCP option");
        Self { stream, session: None, unread: Vec::new(), info: serde_json::Value::Null }
    }

    /// A connection that was accepted.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a TCP option");
        Self { stream, session: None, unread: Vec::new(), info: serde_json::Value::Null }
    }

    /// What the server says until it closes the connection.
    pub fn last_words(mut self) -> String {
        while self.read() {}
        String::from_utf8(self.unread).expect("lines are text")
    }

    /// From now on everything is said over TLS.
    ///
    /// # Errors
    ///
    /// When the server is not believed. That it does not believe us may show later.
    pub fn begin_tls(&mut self, config: Arc<ClientConfig>) -> std::io::Result<()> {
        let name = "localhost".try_into().expect("a name");
        let mut session = ClientConnection::new(config, name).expect("a configuration");
        self.stream.set_read_timeout(Some(DEADLINE)).expect("a positive time-out");
        while session.is_handshaking() {
            session.complete_io(&mut self.stream)?;
        }
        self.session = Some(Box::new(session));
        Ok(())
    }

    /// Whether a PING is answered before the server closes.
    pub fn is_answered(&mut self) -> bool {
        self.try_send(b"CONNECT {\"verbose\":false}\r\nPING\r\n");
        while self.unread.len() < 6 && self.read() {}
        self.unread == b"PONG\r\n"
    }

    pub fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes());
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.write(bytes).expect("the server reads");
    }

    /// Sends what the server may not want to read to its end.
    pub fn try_send(&mut self, bytes: &[u8]) {
        // Whether it was read shows in what comes back.
        let _ = self.write(bytes);
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match &mut self.session {
            Some(session) => rustls::Stream::new(&mut **session, &mut self.stream).write_all(bytes),
            None => self.stream.write_all(bytes),
        }
    }

    /// What comes next is `expected`. The PING that the server sends after a while is left out, here and wherever lines are
    /// read, unless it is what is expected.
    pub fn expect(&mut self, expected: &str) {
        for line in expected.split_inclusive("\r\n") {
            self.expect_part(line);
        }
    }

    fn expect_part(&mut self, expected: &str) {
        if !expected.starts_with(PING) {
            self.skip_pings();
        }
        let enough = |unread: &[u8]| unread.len() >= expected.len() || !expected.as_bytes().starts_with(unread);
        while !enough(&self.unread) && self.read() {}
        let got = &self.unread[..expected.len().min(self.unread.len())];
        assert_eq!(String::from_utf8_lossy(got), expected, "in all: {:?}", String::from_utf8_lossy(&self.unread));
        self.unread.drain(..expected.len());
    }

    /// Waits until something else has come than PING, or the server has closed.
    fn skip_pings(&mut self) {
        loop {
            if self.unread.starts_with(PING.as_bytes()) {
                self.unread.drain(..PING.len());
            } else if !PING.as_bytes().starts_with(&self.unread) || !self.read() {
                return;
            }
        }
    }

    /// The next line is an INFO.
    pub fn expect_info(&mut self) -> serde_json::Value {
        let line = self.line();
        let json = line.strip_prefix("INFO ").unwrap_or_else(|| panic!("{line:?} is no INFO"));
        serde_json::from_str(json).expect("INFO carries JSON")
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> String {
        self.skip_pings();
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.unread.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).expect("lines are text");
            }
            assert!(self.read(), "closed before a line ended: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// The next bytes, as text.
    pub fn take(&mut self, len: usize) -> String {
        String::from_utf8(self.take_bytes(len)).expect("text")
    }

    /// The next bytes.
    pub fn take_bytes(&mut self, len: usize) -> Vec<u8> {
        while self.unread.len() < len {
            assert!(self.read(), "closed before {len} bytes: {:?}", String::from_utf8_lossy(&self.unread));
        }
        self.unread.drain(..len).collect()
    }

    /// Whether a line, other than PING, has come by now, or comes in a moment.
    pub fn has_line(&mut self) -> bool {
        let mut chunk = [0; 4096];
        self.stream.set_read_timeout(Some(super::POLL)).expect("a positive time-out");
        if let Ok(read) = self.stream.read(&mut chunk) {
            self.unread.extend_from_slice(&chunk[..read]);
        }
        while self.unread.starts_with(PING.as_bytes()) {
            self.unread.drain(..PING.len());
        }
        self.unread.windows(2).any(|pair| pair == b"\r\n")
    }

    /// The line of a message, which is taken with its body, if one has come.
    pub fn try_message(&mut self) -> Option<String> {
        self.has_line().then(|| {
            let line = self.line();
            let len = line.rsplit(' ').next().and_then(|len| len.parse::<usize>().ok()).expect("a message");
            self.take(len + 2);
            line
        })
    }

    /// The server has done all that it was told, and says nothing more.
    pub fn expect_nothing(&mut self) {
        self.expect_pong();
        assert_eq!(String::from_utf8_lossy(&self.unread).replace(PING, ""), "");
    }

    /// The server has done all that it was told.
    pub fn expect_pong(&mut self) {
        self.send("PING\r\n");
        self.expect("PONG\r\n");
    }

    /// The server closes the connection without another word.
    pub fn expect_closed(&mut self) {
        while self.read() {}
        assert_eq!(String::from_utf8_lossy(&self.unread).replace(PING, ""), "");
    }

    /// All that comes until the server closes.
    pub fn rest(&mut self) -> String {
        while self.read() {}
        String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned()
    }

    /// Reads until the server closes; says how much that was.
    pub fn drain(&mut self) -> usize {
        let mut total = self.unread.len();
        self.unread.clear();
        while self.read() {
            total += self.unread.len();
            self.unread.clear();
        }
        total
    }

    fn read(&mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        let mut chunk = [0; 65536];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nothing more than {:?}", String::from_utf8_lossy(&self.unread));
            self.stream.set_read_timeout(Some(left)).expect("a positive time-out");
            let read = match &mut self.session {
                Some(session) => rustls::Stream::new(&mut **session, &mut self.stream).read(&mut chunk),
                None => self.stream.read(&mut chunk),
            };
            match read {
                Ok(read) => {
                    self.unread.extend_from_slice(&chunk[..read]);
                    return read > 0;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                // The server has said over TLS that it does not want us.
                Err(error) if error.kind() == ErrorKind::InvalidData => return false,
                // A server that closes with unread bytes resets.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
