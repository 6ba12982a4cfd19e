//! SCMP echo: whether a path, or a host on it, is alive. For the command line; links probe by themselves.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use natsd_path::ScionAddr;
use tokio::net::UdpSocket;

use crate::error::PingError;
use crate::header::{self, Header};
use crate::host::Host;
use crate::metadata::PathInfo;
use crate::scmp::{self, Message};
use crate::underlay::source_towards;

/// Routers deliver echo requests to this port of a host, whatever listens there answers them.
const ECHO_PORT: u16 = 30041;

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
        let local = self.local_as().ok_or(PingError::NoLocalAs(to))?;
        let next_hop = match path.next_hop {
            Some(router) => router,
            None if local.isd_as == to.isd_as => SocketAddr::new(to.host, ECHO_PORT),
            None => return Err(PingError::NoNextHop(to)),
        };
        let io = |source| PingError::Io { peer: to, source };
        let unspecified: IpAddr = if next_hop.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
        let host = self.local_host().or_else(|| source_towards(next_hop)).unwrap_or(unspecified);
        let socket = UdpSocket::bind((host, 0)).await.map_err(io)?;
        let from = ScionAddr { isd_as: local.isd_as, host, port: socket.local_addr().map_err(io)?.port() };
        let packet = scmp::echo_request(from, to, &path.raw, sequence, padding).ok_or(PingError::NoNextHop(to))?;
        let started = Instant::now();
        socket.send_to(&packet, next_hop).await.map_err(io)?;
        let answer = tokio::time::timeout(timeout, answer(&socket, from, to, sequence)).await;
        match answer.map_err(|_| PingError::Timeout { peer: to, after: timeout })?.map_err(io)? {
            None => Ok(started.elapsed()),
            Some(evidence) => Err(PingError::Scmp { peer: to, evidence }),
        }
    }
}

/// Waits for the echo reply (`None`) or an error about the request.
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
            Some(Message::EchoReply { identifier, sequence: s }) if (identifier, s) == (from.port, sequence) => {
                return Ok(None);
            }
            Some(Message::Error { evidence, quoted }) if quoted.from == from && quoted.to.isd_as == to.isd_as => {
                return Ok(Some(evidence));
            }
            _ => {}
        }
    }
}
