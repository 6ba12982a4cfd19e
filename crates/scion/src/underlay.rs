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
}

impl Underlay {
    /// Binds. Must be called within a tokio runtime.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        // The system's limits may be lower; what it grants suffices for correctness.
        let _ = socket.set_recv_buffer_size(BUFFER);
        let _ = socket.set_send_buffer_size(BUFFER);
        socket.bind(&address.into())?;
        let socket = StdSocket::from(socket);
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        Ok(Self { io: UdpSocket::from_std(socket)?, state, local })
    }

    /// Where it is bound; the host may be unspecified, the port is not.
    pub(crate) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends one datagram, or several of `segment` bytes each (the last may be shorter).
    pub(crate) fn send(&self, to: SocketAddr, contents: &[u8], segment: Option<usize>) -> io::Result<()> {
        let segment_size = segment.filter(|&size| size < contents.len());
        let transmit = Transmit { destination: to, ecn: None, contents, segment_size, src_ip: None };
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
                other => return Poll::Ready(other),
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
