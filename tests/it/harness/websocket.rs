//! A client over WebSocket on which the test says every frame.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use natsd_core::websocket::deflate::{Deflater, Inflater, Step};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use super::DEADLINE;
use super::server::TestServer;

trait Duplex: Read + Write {}
impl<T: Read + Write> Duplex for T {}

/// What all requests have.
const REQUEST: [&str; 6] = [
    "GET / HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
/// For that key.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Offers to compress.
pub const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate";

/// A frame that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: flags and opcode.
    pub first: u8,
    /// As it came.
    pub payload: Vec<u8>,
}

pub struct Ws {
    stream: Box<dyn Duplex>,
    socket: TcpStream,
    wire: Vec<u8>,
    /// Payload of messages that nobody looked at yet.
    unread: Vec<u8>,
    /// Of the compressed message that goes on.
    inflater: Option<Inflater>,
    /// Frames of data as they came.
    pub frames: Vec<Frame>,
    /// Control frames as they came.
    pub controls: VecDeque<Frame>,
    /// Frames are masked.
    pub masked: bool,
    /// The head of the answer to the request.
    pub response: String,
    /// The first INFO.
    pub info: serde_json::Value,
}

/// Where a server said that it takes clients over WebSocket.
pub fn websocket_port(server: &TestServer) -> u16 {
    let line = server.log().iter().find(|line| line.contains("Listening for websocket clients on ws"));
    let line = line.expect("the server takes clients over WebSocket");
    line.rsplit_once(':').expect("host:port").1.trim().parse().expect("a port")
}

impl Ws {
    /// Connects and reads the INFO.
    pub fn connect(server: &TestServer) -> Self {
        Self::connect_with(server, &[])
    }

    /// As [`connect`](Self::connect), with these lines in the request.
    pub fn connect_with(server: &TestServer, lines: &[&str]) -> Self {
        Self::open(websocket_port(server), None, lines)
    }

    /// As [`connect_with`](Self::connect_with), to a port and perhaps over TLS.
    pub fn open(port: u16, tls: Option<Arc<ClientConfig>>, lines: &[&str]) -> Self {
        let mut ws = Self::request(port, tls, lines);
        assert!(ws.response.starts_with("HTTP/1.1 101 "), "{}", ws.response);
        assert!(ws.response.contains(ACCEPT), "{}", ws.response);
        let line = ws.line();
        let json = line.strip_prefix("INFO ").unwrap_or_else(|| panic!("{line:?} is no INFO"));
        ws.info = serde_json::from_str(json).expect("INFO carries JSON");
        ws
    }

    /// Sends a request and reads the head of the answer. A line replaces that of the same name; `Name: -` leaves it away.
    pub fn request(port: u16, tls: Option<Arc<ClientConfig>>, lines: &[&str]) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        socket.set_nodelay(true).expect("a TCP option");
        socket.set_read_timeout(Some(DEADLINE)).expect("a positive time-out");
        let clone = socket.try_clone().expect("a socket");
        let stream: Box<dyn Duplex> = match tls {
            None => Box::new(clone),
            Some(config) => {
                let name = "localhost".try_into().expect("a name");
                Box::new(StreamOwned::new(ClientConnection::new(config, name).expect("a configuration"), clone))
            }
        };
        let mut ws = Self {
            stream,
            socket,
            wire: Vec::new(),
            unread: Vec::new(),
            inflater: None,
            frames: Vec::new(),
            controls: VecDeque::new(),
            masked: true,
            response: String::new(),
            info: serde_json::Value::Null,
        };
        ws.raw(request(lines).as_bytes());
        let end = loop {
            if let Some(end) = ws.wire.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !ws.fill() {
                break ws.wire.len();
            }
        };
        ws.response = String::from_utf8(ws.wire.drain(..end).collect()).expect("a head is text");
        ws
    }

    /// The status of the answer.
    pub fn status(&self) -> u16 {
        self.response.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Sends a message in one frame.
    pub fn send(&mut self, text: &str) {
        self.frame(0x82, text.as_bytes());
    }

    /// Sends a message, compressed.
    pub fn send_compressed(&mut self, plain: &[u8]) {
        let mut compressed = Vec::new();
        Deflater::default().deflate(plain, &mut compressed);
        self.frame(0xc2, &compressed);
    }

    /// Sends a frame that begins with this byte.
    pub fn frame(&mut self, first: u8, payload: &[u8]) {
        let key = [0x5a, 0x00, 0xff, 0x13];
        let mask = if self.masked { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            len @ 0..=125 => frame.push(mask | len as u8),
            len @ 126..=0xffff => {
                frame.push(mask | 126);
                frame.extend((len as u16).to_be_bytes());
            }
            len => {
                frame.push(mask | 127);
                frame.extend((len as u64).to_be_bytes());
            }
        }
        if self.masked {
            frame.extend(key);
            frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        } else {
            frame.extend_from_slice(payload);
        }
        self.raw(&frame);
    }

    /// Sends bytes as they are. That the server does not want them shows in what comes back.
    pub fn raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).and_then(|()| self.stream.flush());
    }

    /// What messages hold next is `expected`.
    pub fn expect(&mut self, expected: &str) {
        while self.unread.len() < expected.len() && expected.as_bytes().starts_with(&self.unread) && self.read() {}
        let got = &self.unread[..expected.len().min(self.unread.len())];
        assert!(got == expected.as_bytes(), "{:?} is not {expected:?}", String::from_utf8_lossy(got));
        self.unread.drain(..expected.len());
    }

    /// The server has done all that it was told, and says nothing else.
    pub fn expect_pong(&mut self) {
        self.send("PING\r\n");
        self.expect("PONG\r\n");
    }

    /// The next line, without its end.
    pub fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = self.unread.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).expect("lines are text");
            }
            assert!(self.read(), "closed before a line ended: {:?}", String::from_utf8_lossy(&self.unread));
        }
    }

    /// The next control frame.
    pub fn control(&mut self) -> Frame {
        while self.controls.is_empty() {
            assert!(self.read(), "closed before a control frame");
        }
        self.controls.pop_front().expect("waited for")
    }

    /// What messages hold until the server closes, and the status and text of its close frame.
    pub fn rest(&mut self) -> (String, Option<(u16, String)>) {
        while self.read() {}
        let close = self.controls.iter().find(|frame| frame.first == 0x88);
        let close = close.and_then(|frame| {
            let status = u16::from_be_bytes(*frame.payload.first_chunk()?);
            Some((status, String::from_utf8_lossy(&frame.payload[2..]).into_owned()))
        });
        (String::from_utf8_lossy(&std::mem::take(&mut self.unread)).into_owned(), close)
    }

    /// All that comes beyond frames, until the server closes.
    pub fn body(&mut self) -> String {
        while self.fill() {}
        String::from_utf8_lossy(&self.wire).into_owned()
    }

    /// Ends the sending direction.
    pub fn hang_up(&self) {
        self.socket.shutdown(std::net::Shutdown::Write).expect("open");
    }

    /// Reads a frame. `false` at the end.
    fn read(&mut self) -> bool {
        loop {
            if let Some(frame) = self.take_frame() {
                self.take(frame);
                return true;
            }
            if !self.fill() {
                return false;
            }
        }
    }

    fn take(&mut self, frame: Frame) {
        if frame.first & 0x08 != 0 {
            return self.controls.push_back(frame);
        }
        if frame.first & 0x40 != 0 {
            self.inflater = Some(Inflater::default());
        }
        let Some(inflater) = &mut self.inflater else {
            self.unread.extend_from_slice(&frame.payload);
            return self.frames.push(frame);
        };
        let (mut input, mut room) = (&frame.payload[..], vec![0; 65536]);
        loop {
            let last = frame.first & 0x80 != 0;
            let (written, step) = inflater.inflate(&mut input, last, &mut room).expect("the server deflates");
            self.unread.extend_from_slice(&room[..written]);
            match step {
                Step::Full => {}
                Step::Hungry => break,
                Step::Done => {
                    self.inflater = None;
                    break;
                }
            }
        }
        self.frames.push(frame);
    }

    fn take_frame(&mut self) -> Option<Frame> {
        let (first, second) = (*self.wire.first()?, *self.wire.get(1)?);
        assert!(second & 0x80 == 0, "servers do not mask");
        let (header, len) = match second {
            126 => (4, u16::from_be_bytes(*self.wire.get(2..4)?.first_chunk()?).into()),
            127 => (10, u64::from_be_bytes(*self.wire.get(2..10)?.first_chunk()?)),
            len => (2, u64::from(len)),
        };
        let end = header + usize::try_from(len).expect("it fits into memory");
        let payload = self.wire.get(header..end)?.to_vec();
        self.wire.drain(..end);
        Some(Frame { first, payload })
    }

    /// Reads what is there. `false` at the end.
    fn fill(&mut self) -> bool {
        let end = Instant::now() + DEADLINE;
        let mut chunk = [0; 65536];
        loop {
            assert!(Instant::now() < end, "nothing more than {:?}", String::from_utf8_lossy(&self.unread));
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => {
                    self.wire.extend_from_slice(&chunk[..read]);
                    return true;
                }
                // Alerts of TLS are invalid data.
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::InvalidData
                    ) =>
                {
                    return false;
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn request(changes: &[&str]) -> String {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let kept = REQUEST[1..].iter().filter(|line| !changes.iter().any(|change| name(change) == name(line)));
    let first = changes.iter().find(|change| change.ends_with("HTTP/1.1")).unwrap_or(&REQUEST[0]);
    let added = changes.iter().filter(|change| !change.ends_with("HTTP/1.1") && !change.ends_with(": -"));
    let lines: Vec<&str> = [first].into_iter().chain(kept).chain(added).copied().collect();
    format!("{}\r\n\r\n", lines.join("\r\n"))
}
