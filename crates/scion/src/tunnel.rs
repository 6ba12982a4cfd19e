//! TCP/IP as the last path: QUIC datagrams inside a TCP connection, so that the QUIC connection outlives all of SCION.
//!
//! The client connects to the peer's ordinary NATS listener, reads its `INFO`, and if that says
//! `"scion_tunnel":true` sends `TUNNEL {"from":"[ia,host]:port","to":"[ia,host]:port"}`. Then both sides send frames:
//! a 16-bit length and a QUIC datagram or probe. A listener that waits for TLS says nothing by itself: the client asks it
//! with `TUNNEL ?` first. The TCP connection itself is in the clear, as what it carries is encrypted and proven by QUIC.
//! A tunnel opens when it is first sent to and closes when nothing came
//! for a minute. Its queue is bounded; what does not fit is lost, as on any network.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use natsd_path::ScionAddr;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::error::TunnelError;
use crate::peers::Peer;
use crate::socket::Socket;
use crate::template::NO_AS;

const QUEUE: usize = 1024;
const IDLE: Duration = Duration::from_secs(60);
const OPENING: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(500);
/// A younger tunnel takes an older one's place only when that one is silent: its client's name is not proven.
const SILENT: Duration = Duration::from_secs(2);
const MAX_LINE: usize = 64 * 1024;

/// With which a client asks a listener that waits for TLS for its `INFO`, without a tunnel yet.
pub const TUNNEL_QUESTION: &[u8] = b"TUNNEL ?\r\n";

/// Where a peer can be reached by TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpFallback {
    /// `host:port` of a NATS listener.
    pub address: String,
    /// It waits for TLS, and so has to be asked.
    pub tls: bool,
}

/// The `TUNNEL` line's argument.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    from: String,
    to: String,
}

/// What matters of the `INFO` line.
#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    scion_tunnel: bool,
}

/// The TCP connection of one peer, if it has one or could have one.
#[derive(Debug, Default)]
pub(crate) struct Tunnel(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    fallback: Option<TcpFallback>,
    queue: Option<mpsc::Sender<Bytes>>,
    tried: Option<Instant>,
    heard: Option<Instant>,
}

impl Tunnel {
    /// Where the peer can be reached by TCP.
    pub(crate) fn set_fallback(&self, fallback: TcpFallback) {
        self.0.lock().fallback = Some(fallback);
    }

    /// Whether it is open or can be opened.
    pub(crate) fn is_possible(&self) -> bool {
        let state = self.0.lock();
        state.fallback.is_some() || state.queue.as_ref().is_some_and(|q| !q.is_closed())
    }

    /// Queues a datagram; opens the tunnel if need be. False: there is none, and none can be opened now.
    pub(crate) fn send(&self, peer: &Arc<Peer>, socket: &Socket, datagram: &[u8]) -> bool {
        let mut state = self.0.lock();
        if state.queue.as_ref().is_none_or(|q| q.is_closed()) {
            let recently = state.tried.is_some_and(|at| at.elapsed() < RETRY);
            let Some(fallback) = state.fallback.clone().filter(|_| !recently) else { return false };
            let (queue, datagrams) = mpsc::channel(QUEUE);
            state.tried = Some(Instant::now());
            state.queue = Some(queue);
            let from = peer.ways.lock().name.unwrap_or_else(|| ScionAddr {
                isd_as: socket.isd_as().unwrap_or(NO_AS),
                host: socket.underlay.local().ip(),
                port: socket.underlay.local().port(),
            });
            tokio::spawn(run_client(Arc::clone(peer), fallback, from, datagrams));
        }
        if let Some(queue) = &state.queue {
            // A full queue loses the datagram.
            let _ = queue.try_send(Bytes::copy_from_slice(datagram));
        }
        true
    }

    /// Takes a connection that the peer opened; `None` when a living one is there.
    fn enter(&self) -> Option<mpsc::Receiver<Bytes>> {
        let mut state = self.0.lock();
        let alive = state.queue.as_ref().is_some_and(|q| !q.is_closed());
        if alive && state.heard.is_some_and(|at| at.elapsed() < SILENT) {
            return None;
        }
        let (queue, datagrams) = mpsc::channel(QUEUE);
        state.queue = Some(queue);
        state.heard = Some(Instant::now());
        Some(datagrams)
    }
}

async fn run_client(peer: Arc<Peer>, fallback: TcpFallback, from: ScionAddr, datagrams: mpsc::Receiver<Bytes>) {
    let opened = tokio::time::timeout(OPENING, open(&fallback, from, peer.addr)).await;
    let address = fallback.address;
    let opened = opened.unwrap_or_else(|_| Err(TunnelError::Timeout { address: address.clone(), after: OPENING }));
    let ended = match opened {
        Ok((stream, rest)) => {
            log::info!("TCP/IP to {} by {address} is up", peer.addr);
            pump(&peer, stream, rest, datagrams).await.map_err(|source| TunnelError::Io { address, source })
        }
        Err(e) => {
            drop(datagrams);
            Err(e)
        }
    };
    if let Err(e) = ended {
        log::warn!("TCP/IP to {}: {e}", peer.addr);
        broken(&peer);
    }
}

fn broken(peer: &Peer) {
    if let Some(destination) = &*peer.destination()
        && let Some(path) = destination.tcp()
    {
        destination.drive(|manager, now| manager.handle_send_error(now, path));
    }
}

async fn open(
    TcpFallback { address, tls }: &TcpFallback,
    mut from: ScionAddr,
    to: ScionAddr,
) -> Result<(TcpStream, BytesMut), TunnelError> {
    let io = |source| TunnelError::Io { address: address.clone(), source };
    let mut stream = TcpStream::connect(address)
        .await
        .map_err(|source| TunnelError::Connect { address: address.to_owned(), source })?;
    stream.set_nodelay(true).map_err(io)?;
    if from.host.is_unspecified() {
        from.host = stream.local_addr().map_err(io)?.ip();
    }
    if *tls {
        stream.write_all(TUNNEL_QUESTION).await.map_err(io)?;
    }
    let mut read = BytesMut::new();
    let line = read_line(&mut stream, &mut read, address).await?;
    let json = line.strip_prefix("INFO ").and_then(|json| serde_json::from_str::<Info>(json).ok());
    let info = json.ok_or_else(|| TunnelError::Protocol {
        address: address.to_owned(),
        got: line.chars().take(80).collect(),
        want: "an INFO line",
    })?;
    if !info.scion_tunnel {
        return Err(TunnelError::NotOffered { address: address.to_owned() });
    }
    let hello = Hello { from: from.to_string(), to: to.to_string() };
    let hello = serde_json::to_string(&hello).expect("two strings are JSON");
    stream.write_all(format!("TUNNEL {hello}\r\n").as_bytes()).await.map_err(io)?;
    Ok((stream, read))
}

/// Reads up to a line's end; what follows stays in `read`.
async fn read_line(stream: &mut TcpStream, read: &mut BytesMut, address: &str) -> Result<String, TunnelError> {
    loop {
        if let Some(end) = read.iter().position(|&b| b == b'\n') {
            let line = read.split_to(end + 1);
            return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        let closed = || std::io::ErrorKind::UnexpectedEof.into();
        let n = if read.len() < MAX_LINE {
            stream.read_buf(read).await
        } else {
            Err(std::io::ErrorKind::InvalidData.into())
        };
        match n {
            Ok(0) => return Err(TunnelError::Io { address: address.to_owned(), source: closed() }),
            Ok(_) => {}
            Err(source) => return Err(TunnelError::Io { address: address.to_owned(), source }),
        }
    }
}

/// Serves a TCP connection whose client sent a `TUNNEL` line. `find` gives the endpoint with an address.
pub(crate) async fn serve(
    mut stream: TcpStream,
    already_read: Bytes,
    find: impl Fn(ScionAddr) -> Option<Arc<Socket>>,
) -> Result<(), TunnelError> {
    let address = stream.peer_addr().map_or_else(|_| "a client".to_owned(), |a| a.to_string());
    let mut read = BytesMut::from(already_read.as_ref());
    let line = tokio::time::timeout(OPENING, read_line(&mut stream, &mut read, &address))
        .await
        .map_err(|_| TunnelError::Timeout { address: address.clone(), after: OPENING })??;
    let (from, to) = parse_hello(&line).ok_or_else(|| TunnelError::Protocol {
        address: address.clone(),
        got: line.chars().take(80).collect(),
        want: "TUNNEL {\"from\":\"[ia,host]:port\",\"to\":\"[ia,host]:port\"}",
    })?;
    let io = |source| TunnelError::Io { address: address.clone(), source };
    stream.set_nodelay(true).map_err(io)?;
    let peer = find(to).and_then(|socket| socket.peer(from)).ok_or(TunnelError::NoListener { from, to })?;
    let Some(datagrams) = peer.tunnel.enter() else {
        log::warn!("{address} says that it is {from}, which has a living TCP connection; refused");
        return Ok(());
    };
    if peer.socket.upgrade().is_some_and(|socket| socket.is_plain()) {
        peer.ways.lock().call_us(to);
    }
    peer.entered_by_tcp();
    pump(&peer, stream, read, datagrams).await.map_err(io)
}

pub(crate) fn parse_hello(line: &str) -> Option<(ScionAddr, ScionAddr)> {
    let hello: Hello = serde_json::from_str(line.strip_prefix("TUNNEL ")?).ok()?;
    Some((hello.from.parse().ok()?, hello.to.parse().ok()?))
}

/// Carries datagrams both ways until the connection ends or nothing comes for a minute.
async fn pump(
    peer: &Arc<Peer>,
    stream: TcpStream,
    mut read: BytesMut,
    mut datagrams: mpsc::Receiver<Bytes>,
) -> std::io::Result<()> {
    let (mut input, mut output) = stream.into_split();
    let write = async {
        let mut frames = BytesMut::new();
        while let Some(datagram) = datagrams.recv().await {
            push_frame(&mut frames, &datagram);
            while frames.len() < 64 * 1024
                && let Ok(datagram) = datagrams.try_recv()
            {
                push_frame(&mut frames, &datagram);
            }
            output.write_all_buf(&mut frames).await?;
        }
        Ok(())
    };
    let read = async {
        loop {
            while let Some(datagram) = take_frame(&mut read) {
                peer.tunnel.0.lock().heard = Some(Instant::now());
                let Some(socket) = peer.socket.upgrade() else { return Ok(()) };
                socket.inject(peer, datagram);
            }
            read.reserve(16 * 1024);
            match tokio::time::timeout(IDLE, input.read_buf(&mut read)).await {
                Err(_) => return Ok(()),
                Ok(Ok(0)) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Ok(result) => result.map(|_| ())?,
            }
        }
    };
    tokio::select! { ended = write => ended, ended = read => ended }
}

fn push_frame(frames: &mut BytesMut, datagram: &[u8]) {
    if let Ok(len) = u16::try_from(datagram.len()) {
        frames.extend_from_slice(&len.to_be_bytes());
        frames.extend_from_slice(datagram);
    }
}

pub(crate) fn take_frame(read: &mut BytesMut) -> Option<Bytes> {
    let len = usize::from(u16::from_be_bytes(*read.first_chunk()?));
    if read.len() < 2 + len {
        return None;
    }
    read.advance(2);
    Some(read.split_to(len).freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_line_names_both_ends() {
        let line = r#"TUNNEL {"from":"[0-0,10.0.0.1]:5000","to":"[1-ff00:0:112,10.0.0.2]:4248"}"#;
        let (from, to) = parse_hello(line).expect("a TUNNEL line");
        assert_eq!((from.isd_as, to.port), (NO_AS, 4248));
        assert!(parse_hello("CONNECT {}").is_none());
        assert!(parse_hello(r#"TUNNEL {"from":"here","to":"there"}"#).is_none());
    }

    proptest! {
        #[test]
        fn frames_survive_any_cut(datagrams: Vec<Vec<u8>>, cut in 1usize..50) {
            let mut wire = BytesMut::new();
            for datagram in &datagrams {
                push_frame(&mut wire, datagram);
            }
            let (mut read, mut got) = (BytesMut::new(), Vec::new());
            for part in wire.chunks(cut) {
                read.extend_from_slice(part);
                while let Some(datagram) = take_frame(&mut read) {
                    got.push(datagram.to_vec());
                }
            }
            prop_assert_eq!(got, datagrams);
        }
    }
}
