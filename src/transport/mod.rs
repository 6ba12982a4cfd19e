//! Connections: a stream of bytes both ways, and who is at the other end.

use std::fmt;
use std::net::SocketAddr;

use natsd_core::route::session::Slot;
use natsd_path::ScionAddr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

#[cfg(feature = "scion")]
pub(crate) mod scion;
pub mod tcp;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Peer {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over QUIC on SCION.
    Scion(ScionAddr),
    /// Over QUIC on plain IP; the first of its addresses.
    Udp(SocketAddr),
}

impl Peer {
    /// The address without the port.
    pub fn host(&self) -> String {
        match self {
            Self::Tcp(address) => address.ip().to_canonical().to_string(),
            Self::Scion(address) => address.host.to_string(),
            Self::Udp(address) => address.ip().to_string(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match self {
            Self::Tcp(address) => address.port(),
            Self::Scion(address) => address.port,
            Self::Udp(address) => address.port(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f),
            Self::Scion(address) => address.fmt(f),
            Self::Udp(address) => address.fmt(f),
        }
    }
}

/// A stream that is neither a socket nor known here.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for T {}

/// A stream of bytes both ways.
pub enum Stream {
    /// Whoever has something to send writes it at once, as far as the kernel takes it.
    Tcp(TcpStream),
    /// As above, sealed. Boxed, for it is large and few are.
    Tls(TcpStream, Box<rustls::Connection>),
    /// All is written by the task of the connection.
    Other(Box<dyn ByteStream>),
}

/// A connection that was made or accepted.
pub struct Connection {
    /// Its bytes.
    pub stream: Stream,
    /// Who is at the other end.
    pub peer: Peer,
    /// Chooses its path by what it carries, where paths can be chosen. To be asked when that is known.
    pub steering: Option<Steering>,
}

/// See [`Connection::steering`].
pub type Steering = Box<dyn FnOnce(&Slot) + Send>;

impl Connection {
    /// One whose path is nobody's choice.
    pub fn new(stream: Stream, peer: Peer) -> Self {
        Self { stream, peer, steering: None }
    }
}
