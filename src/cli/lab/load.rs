//! The load of the lab: numbered messages, and what became of them.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Messages a second: half of what the narrowest link of the default network carries.
const RATE: u64 = 500;
/// Bytes of a message.
const SIZE: usize = 128;
/// Between two bursts of the publisher.
const TICK: Duration = Duration::from_millis(2);
const SUBJECT: &str = "lab.load";
/// How many messages behind the newest one a message still counts as under way. Larger than what a link can hold.
const WINDOW: usize = 1 << 20;

/// Why the load cannot run.
#[derive(Debug, Error)]
pub(super) enum LoadError {
    #[error("cannot connect to {0}: {1}")]
    Connect(SocketAddr, #[source] io::Error),
    #[error("{0} ended the connection")]
    Closed(SocketAddr, #[source] io::Error),
    #[error("{0} did not see the subscription at {1} within 10 s")]
    NoInterest(SocketAddr, SocketAddr),
}

/// What was sent and what arrived.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) duplicated: u64,
    pub(super) longest_gap: Duration,
    /// One more than the highest number that arrived.
    highest: u64,
    /// Of the last [`WINDOW`] numbers, those that arrived.
    seen: Box<[u64]>,
    last: Option<Instant>,
}

impl Default for Counters {
    fn default() -> Self {
        let seen = vec![0; WINDOW / 64].into_boxed_slice();
        Self { sent: 0, received: 0, duplicated: 0, longest_gap: Duration::ZERO, highest: 0, seen, last: None }
    }
}

impl Counters {
    fn arrived(&mut self, number: u64, now: Instant) {
        while self.highest <= number {
            self.set(self.highest, false);
            self.highest += 1;
        }
        if self.highest - number > WINDOW as u64 || self.is_set(number) {
            self.duplicated += 1;
            return;
        }
        self.set(number, true);
        self.received += 1;
        if let Some(last) = self.last.replace(now) {
            self.longest_gap = self.longest_gap.max(now - last);
        }
    }

    fn slot(number: u64) -> (usize, u64) {
        let bit = number as usize % WINDOW;
        (bit / 64, 1 << (bit % 64))
    }

    fn is_set(&self, number: u64) -> bool {
        let (word, bit) = Self::slot(number);
        self.seen[word] & bit != 0
    }

    fn set(&mut self, number: u64, on: bool) {
        let (word, bit) = Self::slot(number);
        if on {
            self.seen[word] |= bit;
        } else {
            self.seen[word] &= !bit;
        }
    }

    /// Messages that others overtook: lost, since one publisher's messages keep their order.
    pub(super) fn overtaken(&self) -> u64 {
        self.highest - self.received.min(self.highest)
    }
}

/// A publisher at one server and a subscriber at the other.
pub(super) struct Load {
    counters: Arc<Mutex<Counters>>,
    publisher: JoinHandle<io::Result<()>>,
    subscriber: JoinHandle<io::Result<()>>,
}

impl Load {
    /// Subscribes at `subscribe_at`, and publishes at `publish_at` once a message gets through.
    pub(super) async fn start(subscribe_at: SocketAddr, publish_at: SocketAddr) -> Result<Self, LoadError> {
        let mut subscriber = connect(subscribe_at).await?;
        let subscribe = format!("SUB {SUBJECT} 1\r\nSUB lab.ready 2\r\nPING\r\n");
        subscriber.write_all(subscribe.as_bytes()).await.map_err(|e| LoadError::Closed(subscribe_at, e))?;
        let mut publisher = connect(publish_at).await?;
        let met = tokio::time::timeout(Duration::from_secs(10), meet(&mut publisher, &mut subscriber)).await;
        met.map_err(|_| LoadError::NoInterest(publish_at, subscribe_at))?
            .map_err(|e| LoadError::Closed(publish_at, e))?;
        let counters = Arc::<Mutex<Counters>>::default();
        Ok(Self {
            publisher: tokio::spawn(publish(publisher, Arc::clone(&counters))),
            subscriber: tokio::spawn(subscribe_all(subscriber, Arc::clone(&counters))),
            counters,
        })
    }

    /// The counters, live.
    pub(super) fn counters(&self) -> Arc<Mutex<Counters>> {
        Arc::clone(&self.counters)
    }

    /// Ends the publisher, gives what is under way `drain` to arrive, and sums up.
    pub(super) async fn finish(self, drain: Duration) -> Summary {
        self.publisher.abort();
        let arrived = async {
            let mut poll = tokio::time::interval(Duration::from_millis(20));
            loop {
                poll.tick().await;
                let counters = self.counters.lock();
                if counters.received >= counters.sent {
                    break;
                }
            }
        };
        // Time running out is no error: what has not arrived by then counts as lost.
        let _ = tokio::time::timeout(drain, arrived).await;
        self.subscriber.abort();
        let counters = self.counters.lock();
        Summary {
            sent: counters.sent,
            received: counters.received,
            duplicated: counters.duplicated,
            longest_gap: counters.longest_gap,
        }
    }
}

/// What became of the messages of a run.
pub(super) struct Summary {
    sent: u64,
    received: u64,
    duplicated: u64,
    longest_gap: Duration,
}

impl Summary {
    /// Whether every message arrived once.
    pub(super) fn is_clean(&self) -> bool {
        self.sent > 0 && self.received == self.sent && self.duplicated == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sent {}, received {}, lost {}, duplicated {}, longest gap {} ms",
            self.sent,
            self.received,
            self.sent.saturating_sub(self.received),
            self.duplicated,
            self.longest_gap.as_millis()
        )
    }
}

/// A client's connection after its handshake.
async fn connect(to: SocketAddr) -> Result<BufReader<TcpStream>, LoadError> {
    let stream = TcpStream::connect(to).await.map_err(|e| LoadError::Connect(to, e))?;
    let mut client = BufReader::with_capacity(64 << 10, stream);
    client
        .write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false,\"name\":\"natsd lab\",\"lang\":\"rust\"}\r\n")
        .await
        .map_err(|e| LoadError::Closed(to, e))?;
    Ok(client)
}

/// Publishes until the subscriber gets one: the interest has reached the publisher's server.
async fn meet(publisher: &mut BufReader<TcpStream>, subscriber: &mut BufReader<TcpStream>) -> io::Result<()> {
    let mut ask = tokio::time::interval(Duration::from_millis(50));
    // `read_until` and not `read_line`, which would lose what it has read when the tick comes first.
    let mut line = Vec::new();
    loop {
        tokio::select! {
            _ = ask.tick() => publisher.write_all(b"PUB lab.ready 0\r\n\r\n").await?,
            read = subscriber.read_until(b'\n', &mut line) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if line.starts_with(b"MSG lab.ready ") {
                    return Ok(());
                }
                line.clear();
            }
        }
    }
}

async fn publish(mut server: BufReader<TcpStream>, counters: Arc<Mutex<Counters>>) -> io::Result<()> {
    let start = Instant::now();
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut line = Vec::new();
    let mut batch = Vec::new();
    let mut number = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            read = server.read_until(b'\n', &mut line) => {
                if read? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                if line.starts_with(b"PING") {
                    server.write_all(b"PONG\r\n").await?;
                }
                line.clear();
                continue;
            }
        }
        let due = start.elapsed().as_micros() as u64 * RATE / 1_000_000;
        batch.clear();
        while number < due {
            let body = format!("{number:<SIZE$}");
            batch.extend_from_slice(format!("PUB {SUBJECT} {SIZE}\r\n{body}\r\n").as_bytes());
            number += 1;
        }
        // Counted before they are written, so that an aborted write leaves no message that was never counted.
        counters.lock().sent = number;
        server.write_all(&batch).await?;
    }
}

async fn subscribe_all(mut server: BufReader<TcpStream>, counters: Arc<Mutex<Counters>>) -> io::Result<()> {
    let mut line = String::new();
    let mut body = Vec::new();
    loop {
        line.clear();
        if server.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line.starts_with("PING") {
            server.write_all(b"PONG\r\n").await?;
        }
        let Some(size) = line.strip_prefix("MSG ").and_then(|args| args.split_ascii_whitespace().last()) else {
            continue;
        };
        let size: usize = size.parse().map_err(|_| io::ErrorKind::InvalidData)?;
        body.resize(size + 2, 0);
        server.read_exact(&mut body).await?;
        let text = std::str::from_utf8(&body[..size]).map_err(|_| io::ErrorKind::InvalidData)?;
        if let Ok(number) = text.trim_end().parse() {
            counters.lock().arrived(number, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_doubles_and_gaps_are_told_apart() {
        let mut counters = Counters::default();
        let start = Instant::now();
        for (number, ms) in [(0, 0), (1, 1), (3, 41), (3, 42), (4, 43)] {
            counters.arrived(number, start + Duration::from_millis(ms));
        }
        assert_eq!((counters.received, counters.duplicated, counters.overtaken()), (4, 1, 1));
        assert_eq!(counters.longest_gap, Duration::from_millis(40));
        counters.arrived(2, start + Duration::from_millis(44));
        assert_eq!((counters.received, counters.overtaken()), (5, 0));
    }
}
