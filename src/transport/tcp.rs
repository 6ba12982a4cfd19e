//! TCP: listeners and accepted connections.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};

use super::{Connection, Peer, Stream};

/// Listens on all addresses that `host` stands for, or the first that works; the wildcard address takes IPv6 as well.
///
/// # Errors
///
/// When none of the addresses can be bound.
pub async fn listen(host: &str, port: u16) -> io::Result<TcpListener> {
    // nats-server, too, takes both families when told 0.0.0.0.
    if host == "0.0.0.0"
        && let Ok(listener) = bind(SocketAddr::from(([0u16; 8], port)))
    {
        return Ok(listener);
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    let mut addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    // Of a name with addresses of both families, such as localhost, nats-server takes the older one.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    for address in addresses {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Makes a connection of an accepted or dialled stream.
///
/// # Errors
///
/// When the socket is gone already.
pub fn connection(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let peer = Peer::Tcp(stream.peer_addr()?);
    Ok(Connection::new(Stream::Tcp(stream), peer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_means_its_older_address() {
        let listener = listen("localhost", 0).await.unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), std::net::Ipv4Addr::LOCALHOST);
    }
}
