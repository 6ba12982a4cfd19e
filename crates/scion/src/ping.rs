//! SCMP questions: whether a path, or a host at its end, is alive. For the command line; links probe by themselves.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use natsd_path::{IsdAs, ScionAddr};
use tokio::net::UdpSocket;

use crate::error::PingError;
use crate::header::{self, Header};
use crate::host::Host;
use crate::metadata::PathInfo;
use crate::scmp::{self, Message};
use crate::template::header_len;
use crate::underlay::source_towards;

/// Routers deliver echo requests to this port of a host, whatever listens there answers them.
const ECHO_PORT: u16 = 30041;
/// How many ports of the daemon's range are tried before the system chooses one.
const TRIES: usize = 16;

impl Host {
    /// Sends one SCMP echo request with `padding` bytes to the host of `to` over `path` (one of
    /// [`lookup`](Self::lookup)) and waits for the answer. The port of `to` does not matter.
    pub async fn ping(
        &self,
        to: ScionAddr,
        path: &PathInfo,
        sequence: u16,
        padding: usize,
        timeout: Duration,
    ) -> Result<Duration, PingError> {
        let request = |from| scmp::echo_request(from, to, &path.raw, sequence, padding);
        self.question(to, path, sequence, timeout, request).await
    }

    /// Asks the router where `path` enters the AS `to` to identify itself (SCMP traceroute), and gives the round trip.
    /// Needs no host there.
    pub async fn probe(&self, to: IsdAs, path: &PathInfo, timeout: Duration) -> Result<Duration, PingError> {
        let to = ScionAddr { isd_as: to, host: Ipv4Addr::UNSPECIFIED.into(), port: 0 };
        let request = |from| scmp::traceroute_request(from, to, &path.raw, 0);
        self.question(to, path, 0, timeout, request).await
    }

    /// Bytes of the SCION packet that [`ping`](Self::ping) sends; `None` when this host's address is not known.
    pub fn ping_len(&self, to: ScionAddr, path: &PathInfo, padding: usize) -> Option<usize> {
        let next_hop = path.next_hop.unwrap_or(SocketAddr::new(to.host, ECHO_PORT));
        let from = self.local_host().or_else(|| source_towards(next_hop))?;
        // The header of an echo request is as long as that of UDP.
        Some(header_len(from, to.host, path.raw.len()) + padding)
    }

    /// This host's address as the packets over `path` carry it; `None` when the system has no way to the router.
    pub fn local_ip(&self, path: &PathInfo) -> Option<IpAddr> {
        self.local_host().or_else(|| source_towards(path.next_hop?))
    }

    async fn question(
        &self,
        to: ScionAddr,
        path: &PathInfo,
        sequence: u16,
        timeout: Duration,
        request: impl FnOnce(ScionAddr) -> Option<Vec<u8>>,
    ) -> Result<Duration, PingError> {
        let local = self.local_as().ok_or(PingError::NoLocalAs(to))?;
        let next_hop = match path.next_hop {
            Some(router) => router,
            None if local.isd_as == to.isd_as => SocketAddr::new(to.host, ECHO_PORT),
            None => return Err(PingError::NoNextHop(to)),
        };
        let io = |source| PingError::Io { peer: to, source };
        let unspecified: IpAddr = if next_hop.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
        let host = self.local_host().or_else(|| source_towards(next_hop)).unwrap_or(unspecified);
        let socket = bind(host, local.ports).await.map_err(io)?;
        let from = ScionAddr { isd_as: local.isd_as, host, port: socket.local_addr().map_err(io)?.port() };
        let packet = request(from).ok_or(PingError::NoNextHop(to))?;
        let started = Instant::now();
        socket.send_to(&packet, next_hop).await.map_err(io)?;
        let answer = tokio::time::timeout(timeout, answer(&socket, from, to, sequence)).await;
        match answer.map_err(|_| PingError::Timeout { peer: to, after: timeout })?.map_err(io)? {
            None => Ok(started.elapsed()),
            Some(evidence) => Err(PingError::Scmp { peer: to, evidence }),
        }
    }
}

/// Binds a port that routers deliver to, if the daemon has told which these are.
async fn bind(host: IpAddr, ports: Option<(u16, u16)>) -> std::io::Result<UdpSocket> {
    if let Some((low, high)) = ports.filter(|(low, high)| low <= high) {
        for _ in 0..TRIES {
            if let Ok(socket) = UdpSocket::bind((host, fastrand::u16(low..=high))).await {
                return Ok(socket);
            }
        }
    }
    UdpSocket::bind((host, 0)).await
}

/// Waits for the reply (`None`) or an error about the request.
async fn answer(
    socket: &UdpSocket,
    from: ScionAddr,
    to: ScionAddr,
    sequence: u16,
) -> std::io::Result<Option<natsd_path::Scmp>> {
    let mut buffer = vec![0; 65_536];
    loop {
        let (len, _) = socket.recv_from(&mut buffer).await?;
        let packet = &buffer[..len];
        let Some(header) = Header::parse(packet).filter(|h| h.next == header::SCMP) else { continue };
        match packet.get(header.len..).and_then(scmp::parse) {
            Some(Message::Reply { identifier, sequence: s }) if (identifier, s) == (from.port, sequence) => {
                return Ok(None);
            }
            Some(Message::Error { evidence, quoted }) if quoted.from == from && quoted.to.isd_as == to.isd_as => {
                return Ok(Some(evidence));
            }
            _ => {}
        }
    }
}
