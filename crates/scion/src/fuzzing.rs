//! Doors for the fuzz targets: what strangers can send to a SCION listener, without a network.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::BytesMut;
use natsd_path::IsdAs;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::cache::Cache;
use crate::probe::Probe;
use crate::socket::{Socket, Source};
use crate::source::LocalAs;
use crate::{header, scmp, tunnel};

/// The receiving side of a listener in AS 1-ff00:0:112.
pub struct Receiver {
    socket: Arc<Socket>,
    cache: Cache,
    _local_as: watch::Sender<Option<LocalAs>>,
    _runtime: Runtime,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl Receiver {
    /// Binds a free port of the loopback interface.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let local = LocalAs { isd_as: IsdAs(0x0001_ff00_0000_0112), mtu: 1472, ports: None };
        let (known, local_as) = watch::channel(Some(local));
        let socket = {
            let _within = runtime.enter();
            Socket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), true, local_as, Arc::default(), None)?
        };
        Ok(Self { socket, cache: Cache::new(), _local_as: known, _runtime: runtime })
    }

    /// Takes a packet as if it had come from a router; true when it is for QUIC. Where a packet of the right form
    /// holds a UDP destination port, it is made the listener's own, which no input could guess.
    pub fn receive(&mut self, packet: &mut [u8]) -> bool {
        let port = self.socket.underlay.local().port().to_be_bytes();
        let upper = header::Header::parse(packet).filter(|h| h.next == header::UDP).map(|h| h.len);
        if let Some(field) = upper.and_then(|at| packet.get_mut(at + 2..at + 4)) {
            field.copy_from_slice(&port);
        }
        // To the discard port: what is answered goes nowhere.
        let router = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
        self.socket.classify(&mut self.cache, packet, Source { from: router, way: None }).is_some()
    }
}

/// An SCMP message behind its SCION header.
pub fn scmp_message(message: &[u8]) {
    let _ = scmp::parse(message);
}

/// A probe: what is understood is written as it was read.
///
/// # Panics
///
/// When it is not.
pub fn probe(payload: &[u8]) {
    if let Some(probe) = Probe::parse(payload) {
        assert_eq!(Probe::parse(&probe.encode(payload.len())), Some(probe));
    }
}

/// What the client of a TCP connection that carries QUIC sends: a line, then frames.
pub fn tunnel(input: &[u8]) {
    let end = input.iter().position(|&b| b == b'\n').unwrap_or(input.len());
    let (line, frames) = (&input[..end], input.get(end + 1..).unwrap_or_default());
    let _ = tunnel::parse_hello(&String::from_utf8_lossy(line));
    let mut read = BytesMut::from(frames);
    while let Some(frame) = tunnel::take_frame(&mut read) {
        probe(&frame);
    }
}
