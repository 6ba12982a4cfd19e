//! A host without SCION that has several IP addresses, or peers that have; see `ways`.

use std::future::ready;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use natsd_path::{IsdAs, PlainAddr, ScionAddr, Wishes};

use crate::endpoint::Endpoint;
use crate::error::{DaemonError, DialError, ListenError};
use crate::host::{Host, HostConfig};
use crate::lane::Lane;
use crate::metadata::PathInfo;
use crate::quic::Identity;
use crate::socket::Socket;
use crate::source::{Boxed, LocalAs, PathSource};
use crate::stream::Stream;
use crate::template::NO_AS;
use crate::tunnel::TcpFallback;
use crate::underlay::Underlay;
use crate::ways::{self, pairs};

/// Why a peer may not have answered.
pub(crate) const HINT: &str =
    "over UDP, at none of its addresses; does it listen there, and do firewalls let UDP pass?";

const LOCAL: LocalAs = LocalAs { isd_as: NO_AS, mtu: ways::MTU, ports: None };

/// There is nobody to be asked.
struct Nowhere;

impl PathSource for Nowhere {
    fn name(&self) -> String {
        "plain IP".to_owned()
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        Box::pin(ready(Ok(LOCAL)))
    }

    fn paths(&self, _: IsdAs, _: IsdAs, _: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

impl Host {
    /// A host without SCION, whose paths are the pairs of one of its addresses and one of a peer, at most 16 a peer. Packets leave at
    /// the addresses in `local`, at most eight; if it is empty, at the one that the system takes towards each address of the
    /// peer. Those that this host does not have now are tried again and again. To be called within a tokio runtime.
    pub fn plain(local: &[IpAddr], wishes: Wishes) -> Self {
        let local: Box<[IpAddr]> = local.iter().take(PlainAddr::MOST).map(IpAddr::to_canonical).collect();
        for host in local.iter().filter(|host| Underlay::bind(SocketAddr::new(**host, 0)).is_err()) {
            log::warn!("{host} is no address of this host now; what leaves there is tried again and again");
        }
        let config = HostConfig { wishes, ..HostConfig::default() };
        let host = Self::new(Arc::new(Nowhere), config, Some(local));
        host.0.local_as.send_replace(Some(LOCAL));
        host
    }

    /// Accepts connections at all addresses of `at`. To be called on a host [without SCION](Self::plain).
    ///
    /// # Errors
    ///
    /// When the port is taken, or there is nothing to show to those who come.
    pub fn listen_plain(&self, at: &PlainAddr, identity: &Identity) -> Result<Endpoint, ListenError> {
        let name = name_of(at);
        let server = identity.server_config(None).ok_or(ListenError::Identity(name))?;
        let any: IpAddr = match at.hosts() {
            [only] => *only,
            hosts if hosts.iter().any(IpAddr::is_ipv6) => Ipv6Addr::UNSPECIFIED.into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        let address = SocketAddr::new(any, at.port());
        self.endpoint_at(address, identity, Some((name, server)), Some(at.hosts().into()))
    }

    pub(crate) fn is_plain(&self) -> bool {
        self.0.plain.is_some()
    }
}

impl Endpoint {
    /// Connects over plain IP, from a host [without SCION](Host::plain); otherwise as [`dial_in`](Self::dial_in).
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn dial_plain(
        &self,
        lane: Lane,
        to: &PlainAddr,
        tcp_fallback: Option<TcpFallback>,
    ) -> Result<Stream, DialError> {
        let peer = self.enter(name_of(to))?;
        {
            let here = self.host().0.plain.clone().unwrap_or_default();
            let port = self.socket().underlay.local().port();
            let listening: Vec<_> = to.hosts().iter().map(|host| SocketAddr::new(*host, to.port())).collect();
            let first = pairs(&here, &listening).first().map(|way| way.here);
            let mut ways = peer.ways.lock();
            ways.dial(to);
            if let Some(host) = first.filter(|_| ways.name.is_none()) {
                ways.name = Some(ScionAddr { isd_as: NO_AS, host, port });
            }
        }
        self.dial_peer(peer, lane, tcp_fallback).await
    }
}

fn name_of(host: &PlainAddr) -> ScionAddr {
    ScionAddr { isd_as: NO_AS, host: host.first().ip(), port: host.port() }
}

/// The listener that is called so, perhaps by an address that somebody has translated underway.
pub(crate) fn socket_at(sockets: Vec<Arc<Socket>>, to: ScionAddr) -> Option<Arc<Socket>> {
    let mut listening: Vec<_> = sockets.into_iter().filter(|socket| to.isd_as == NO_AS && socket.listens()).collect();
    let named = listening.iter().position(|socket| socket.underlay.local().port() == to.port);
    match (named, listening.len()) {
        (Some(named), _) => Some(listening.swap_remove(named)),
        (None, 1) => listening.pop(),
        _ => None,
    }
}
