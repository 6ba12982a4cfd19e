//! Lines for syslog, in the format of nats-server. A thread of its own sends them, so that nobody waits for the network.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::time::{Duration, Instant};

use jiff::Zoned;
use log::Level;

use crate::config::options::SyslogAddr;

/// Lines that may wait; more are lost.
const QUEUE: usize = 8192;
/// How long connecting and writing may take.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Between two attempts to connect again.
const RETRY: Duration = Duration::from_secs(1);
/// How long [`Syslog::flush`] waits.
const FLUSH: Duration = Duration::from_secs(1);
/// Where the syslog of this machine may be.
const LOCAL: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// A way to syslog.
pub(super) struct Syslog {
    local: bool,
    host: String,
    pid: u32,
    lost: Arc<AtomicU64>,
    queue: SyncSender<Item>,
}

enum Item {
    Line(String),
    /// Answer when all before this is sent.
    Flush(SyncSender<()>),
}

impl Syslog {
    /// Connects to the syslog at `address`. Later on it may go away and come back.
    pub(super) fn connect(address: SyslogAddr) -> io::Result<Self> {
        let connection = Connection::open(&address)?;
        let (queue, lines) = mpsc::sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        let local = !matches!(address, SyslogAddr::Udp { .. } | SyslogAddr::Tcp { .. });
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let syslog = Self { local, host, pid: std::process::id(), lost: lost.clone(), queue };
        let notice = syslog.notice();
        let sender = Sender { address, connection: Some(connection), tried: Instant::now(), lost, notice };
        std::thread::Builder::new().name("syslog".into()).spawn(move || sender.run(&lines))?;
        Ok(syslog)
    }

    /// Sends a line, or counts it as lost if too many wait already.
    pub(super) fn log(&self, level: Level, text: impl Display) {
        let line = packet(self.local, &self.host, self.pid, level, &text);
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Item::Line(line)) {
            self.lost.fetch_add(1, Relaxed);
        }
    }

    /// Waits a moment until all lines are sent.
    pub(super) fn flush(&self) {
        let (done, sent) = mpsc::sync_channel(1);
        if self.queue.try_send(Item::Flush(done)).is_ok() {
            // Too late is too late.
            let _ = sent.recv_timeout(FLUSH);
        }
    }

    /// Makes the line that tells how many were lost.
    fn notice(&self) -> impl Fn(u64) -> String + Send + 'static {
        let (local, host, pid) = (self.local, self.host.clone(), self.pid);
        move |lost| {
            packet(local, &host, pid, Level::Warn, &format!("{lost} lines could not be sent to syslog and are lost"))
        }
    }
}

/// A line as syslog takes it; the local one knows the name of the machine.
fn packet(local: bool, host: &str, pid: u32, level: Level, text: &dyn Display) -> String {
    let priority = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info | Level::Trace => 5,
        Level::Debug => 7,
    };
    let (now, text) = (Zoned::now(), super::joined(text, " "));
    if local {
        return format!("<{priority}>{} natsd[{pid}]: {text}\n", now.strftime("%b %e %H:%M:%S"));
    }
    let zone = if now.offset().is_zero() { "Z".to_owned() } else { now.strftime("%:z").to_string() };
    format!("<{priority}>{}{zone} {host} natsd[{pid}]: {text}\n", now.strftime("%Y-%m-%dT%H:%M:%S"))
}

struct Sender<F> {
    address: SyslogAddr,
    connection: Option<Connection>,
    /// When it was last connected, or tried to.
    tried: Instant,
    lost: Arc<AtomicU64>,
    notice: F,
}

impl<F: Fn(u64) -> String> Sender<F> {
    fn run(mut self, lines: &Receiver<Item>) {
        while let Ok(item) = lines.recv() {
            match item {
                Item::Line(line) => {
                    self.tell_lost();
                    // A connection may have ended without a sign since the last line.
                    if !self.send(&line) && !self.send(&line) {
                        self.lost.fetch_add(1, Relaxed);
                    }
                }
                Item::Flush(done) => {
                    let _ = done.try_send(());
                }
            }
        }
    }

    fn tell_lost(&mut self) {
        let lost = self.lost.load(Relaxed);
        if lost > 0 && self.send(&(self.notice)(lost)) {
            self.lost.fetch_sub(lost, Relaxed);
        }
    }

    fn send(&mut self, line: &str) -> bool {
        if self.connection.is_none() && self.tried.elapsed() >= RETRY {
            self.connection = Connection::open(&self.address).ok();
            self.tried = Instant::now();
        }
        let sent = self.connection.as_mut().is_some_and(|connection| connection.send(line.as_bytes()).is_ok());
        if !sent {
            self.connection = None;
        }
        sent
    }
}

enum Connection {
    Udp(UdpSocket),
    Tcp(TcpStream),
    Datagram(UnixDatagram),
    Stream(UnixStream),
}

impl Connection {
    fn open(address: &SyslogAddr) -> io::Result<Self> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, "nothing listens there");
        match address {
            SyslogAddr::Local => LOCAL.iter().find_map(|path| Self::unix(Path::new(path)).ok()).ok_or_else(missing),
            SyslogAddr::Unix(path) => Self::unix(path),
            SyslogAddr::Udp { host, port } => first((host.as_str(), *port), |address| {
                let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
                socket.connect(address)?;
                Ok(Self::Udp(socket))
            }),
            SyslogAddr::Tcp { host, port } => first((host.as_str(), *port), |address| {
                let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
                stream.set_write_timeout(Some(TIMEOUT))?;
                Ok(Self::Tcp(stream))
            }),
        }
    }

    fn unix(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        if socket.connect(path).is_ok() {
            socket.set_write_timeout(Some(TIMEOUT))?;
            return Ok(Self::Datagram(socket));
        }
        let stream = UnixStream::connect(path)?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self::Stream(stream))
    }

    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Udp(socket) => socket.send(line).map(drop),
            Self::Datagram(socket) => socket.send(line).map(drop),
            Self::Tcp(stream) => stream.write_all(line),
            Self::Stream(stream) => stream.write_all(line),
        }
    }
}

/// The first of the addresses of a host that `open` can do something with.
fn first<T>(host: (&str, u16), open: impl Fn(std::net::SocketAddr) -> io::Result<T>) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in host.to_socket_addrs()? {
        match open(address) {
            Ok(opened) => return Ok(opened),
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Lines for a receiver that is gone are lost, the count is told to the one that comes after it.
    #[test]
    fn a_syslog_that_went_away_hears_how_much_it_missed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        let receiver = UnixDatagram::bind(&path).expect("a socket");
        let syslog = Syslog::connect(SyslogAddr::Unix(path.clone())).expect("connected");
        let mut buffer = [0; 1000];
        let mut receive = |from: &UnixDatagram| {
            from.set_read_timeout(Some(Duration::from_secs(10))).expect("a time-out");
            let len = from.recv(&mut buffer).expect("a line");
            String::from_utf8_lossy(&buffer[..len]).into_owned()
        };
        syslog.log(Level::Error, "first");
        let line = receive(&receiver);
        assert!(
            line.starts_with("<3>") && line.ends_with(&format!(" natsd[{}]: first\n", std::process::id())),
            "{line}"
        );

        drop(receiver);
        std::fs::remove_file(&path).expect("gone");
        syslog.log(Level::Info, "lost");
        syslog.flush();
        assert_eq!(syslog.lost.load(Relaxed), 1);
        let receiver = UnixDatagram::bind(&path).expect("a socket again");
        let start = Instant::now();
        let told = loop {
            syslog.log(Level::Debug, "after");
            receiver.set_read_timeout(Some(Duration::from_millis(20))).expect("a time-out");
            let mut line = [0; 1000];
            match receiver.recv(&mut line) {
                Ok(len) => break String::from_utf8_lossy(&line[..len]).into_owned(),
                Err(_) => assert!(start.elapsed() < Duration::from_secs(10), "it never comes back"),
            }
        };
        assert!(told.starts_with("<4>") && told.contains(" lines could not be sent to syslog"), "{told}");
        assert!(receive(&receiver).ends_with(": after\n"));
    }

    #[test]
    fn a_text_is_one_line() {
        let sent = packet(true, "host", 7, Level::Info, &"Remote: x\n<3>forged");
        assert!(sent.ends_with(" natsd[7]: Remote: x <3>forged\n"), "{sent}");
    }

    #[test]
    fn a_receiver_that_does_not_read_holds_nobody_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let syslog = Syslog::connect(SyslogAddr::Tcp { host: "127.0.0.1".into(), port }).expect("connected");
        let (mut stream, _) = listener.accept().expect("accepted");
        let text = "x".repeat(1000);
        let start = Instant::now();
        for _ in 0..4 * QUEUE {
            syslog.log(Level::Info, &text);
        }
        assert!(start.elapsed() < TIMEOUT, "took {:?}", start.elapsed());
        assert!(syslog.lost.load(Relaxed) > 0);
        let mut first = [0; 3];
        stream.read_exact(&mut first).expect("what was sent before");
        assert_eq!(&first, b"<5>");
    }
}
