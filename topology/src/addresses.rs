//! Where the parts of an AS listen: everything in 127.0.0.0/8, derived from the lab's network number, but for ASes whose
//! underlay is IPv6.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::description::Network;

/// UDP port of the border routers' internal side, over IPv4.
pub const ROUTER_PORT: u16 = 30042;
/// TCP port of the control services.
pub const CONTROL_PORT: u16 = 30252;
/// TCP port of the daemons.
pub const DAEMON_PORT: u16 = 30255;
/// UDP port at which a host answers SCMP requests.
pub const ENDHOST_PORT: u16 = 30041;
/// First UDP port that routers deliver to directly; traffic to lower ones goes to [`ENDHOST_PORT`].
pub const FIRST_DISPATCHED_PORT: u16 = 1024;

/// The addresses of one AS. With network number N and the AS's octet S all are in `127.N.S.0/24`, where applications may
/// bind any other address too.
///
/// If the host is IPv6, so is the underlay of the AS: its router has the host's address. The host is the same for all
/// such ASes of all labs then (there is but `::1`), ports tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct AsAddresses {
    /// Internal side of the border router (UDP): the next hop of applications.
    pub router: SocketAddr,
    /// Control service (TCP); only announced by the emulator.
    pub control: SocketAddrV4,
    /// Daemon (TCP, gRPC over plaintext HTTP/2).
    pub daemon: SocketAddrV4,
    /// The host for applications; its port 30041 answers SCMP echo requests.
    pub host: IpAddr,
    /// For TCP ports of applications: the host if it is IPv4.
    pub tcp: Ipv4Addr,
}

impl AsAddresses {
    /// The addresses of an AS of `network` in the lab with number `net`. The port of a router over IPv6 is 0: the system
    /// chooses it.
    pub fn derive(network: &Network, as_index: usize, net: u8) -> Self {
        let autonomous_system = &network.ases[as_index];
        let at = |last| Ipv4Addr::new(127, net, autonomous_system.octet, last);
        let host = autonomous_system.host.unwrap_or_else(|| at(10).into());
        let (router, tcp) = match host {
            IpAddr::V4(v4) => (SocketAddr::new(at(1).into(), ROUTER_PORT), v4),
            IpAddr::V6(_) => (SocketAddr::new(host, 0), at(10)),
        };
        Self {
            router,
            control: SocketAddrV4::new(at(2), CONTROL_PORT),
            daemon: SocketAddrV4::new(at(3), DAEMON_PORT),
            host,
            tcp,
        }
    }
}
