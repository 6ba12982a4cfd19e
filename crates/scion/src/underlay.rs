//! The UDP socket under a SCION endpoint: batches in and out.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket as StdSocket};
use std::task::{Context, Poll, ready};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Enough for 20 ms at 2 Gbit/s; the system may grant less.
const BUFFER: usize = 4 << 20;

/// A UDP socket with segmentation and receive offload where the system has them.
#[derive(Debug)]
pub(crate) struct Underlay {
    io: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Bound to `[::]`, which takes IPv4 as well; the system writes IPv4 addresses as IPv6 ones there.
    both_families: bool,
}

impl Underlay {
    /// Binds; `[::]` is for IPv4 as well. Must be called within a tokio runtime.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // The system's limits may be lower; what it grants suffices for correctness.
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
        let both_families = address.is_ipv6() && address.ip().is_unspecified();
        if both_families {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        let socket = StdSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        Ok(Self { io: UdpSocket::from_std(socket)?, state, local, both_families })
    }

    /// Where it is bound; the host may be unspecified, the port is not.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends one datagram, or several of `segment` bytes each (the last may be shorter). They leave at the address `from`, or
    /// at that of the system's choice.
    pub(crate) fn send(
        &self,
        (from, to): (Option<IpAddr>, SocketAddr),
        contents: &[u8],
        segment: Option<usize>,
    ) -> io::Result<()> {
        let segment_size = segment.filter(|&size| size < contents.len());
        let destination = match to {
            SocketAddr::V4(v4) if self.both_families => (v4.ip().to_ipv6_mapped(), v4.port()).into(),
            to => to,
        };
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: from };
        self.io.try_io(Interest::WRITABLE, || self.state.try_send((&self.io).into(), &transmit))
    }

    /// Receives into `buffers`; each may hold several datagrams of `stride` bytes.
    pub(crate) fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.io.poll_recv_ready(cx))?;
            let received = self.io.try_io(Interest::READABLE, || self.state.recv((&self.io).into(), buffers, meta));
            match received {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                // An ICMP error about something sent earlier; silence tells the same.
                Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                Ok(filled) => {
                    if self.both_families {
                        for meta in &mut meta[..filled] {
                            meta.addr.set_ip(meta.addr.ip().to_canonical());
                            meta.dst_ip = meta.dst_ip.map(|host| host.to_canonical());
                        }
                    }
                    return Poll::Ready(Ok(filled));
                }
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Waits until sending may work.
    pub(crate) async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }

    pub(crate) fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }
}

/// The address that the system would send from towards `to`.
pub(crate) fn source_towards(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let socket = StdSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn receive(underlay: &Underlay) -> (SocketAddr, Vec<u8>) {
        let (mut buffer, mut meta) = ([0; 2048], [RecvMeta::default()]);
        let received =
            std::future::poll_fn(|cx| underlay.poll_recv(cx, &mut [IoSliceMut::new(&mut buffer)], &mut meta));
        assert_eq!(received.await.expect("a datagram"), 1);
        (meta[0].addr, buffer[..meta[0].len].to_vec())
    }

    #[tokio::test]
    async fn a_wildcard_of_ipv6_talks_to_both_families() {
        let wildcard = Underlay::bind("[::]:0".parse().expect("an address")).expect("a port");
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let other = Underlay::bind(host.parse().expect("an address")).expect("a port");
            wildcard.writable().await.expect("a socket");
            wildcard.send((None, other.local()), b"there", None).expect("sent");
            let (from, payload) = receive(&other).await;
            assert_eq!((from.port(), payload.as_slice()), (wildcard.local().port(), b"there".as_slice()), "{host}");
            other.writable().await.expect("a socket");
            other.send((None, from), b"back", None).expect("sent");
            assert_eq!(receive(&wildcard).await, (other.local(), b"back".to_vec()), "{host}");
        }
    }
}
