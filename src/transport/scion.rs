//! Connections over SCION: a QUIC connection with one stream each.

use std::io;

use natsd_scion::{DialError, Place, Stream as ScionStream};

use super::{Connection, Peer, Stream};

/// A connection as links take it.
pub(crate) fn connection(stream: ScionStream) -> Connection {
    let peer = match stream.place() {
        Place::As(_) => Peer::Scion(stream.peer()),
        Place::Host(host) => Peer::Udp(host),
    };
    Connection::new(Stream::Other(Box::new(stream)), peer)
}

/// Why a peer was not reached, for those who dial TCP as well.
pub(crate) fn dial_error(error: DialError) -> io::Error {
    let kind = match error {
        DialError::Timeout { .. } => io::ErrorKind::TimedOut,
        _ => io::ErrorKind::NotConnected,
    };
    io::Error::new(kind, error)
}
