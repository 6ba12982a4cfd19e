//! Where there is no SCION: by which pair of addresses packets come and go.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use natsd_path::{PathId, ScionAddr};
use quinn::udp::RecvMeta;

use super::{Socket, Source};
use crate::header::Header;
use crate::lane::Place;
use crate::peers::Peer;
use crate::template::{NO_AS, Template};
use crate::ways::Way;

/// Whether a header claims no more than a host without SCION can be.
pub(super) fn may_be_plain(header: &Header<'_>) -> bool {
    (header.source.0, header.destination.0) == (NO_AS, NO_AS)
        && header.path.is_empty()
        && header.next == crate::header::UDP
}

impl Socket {
    /// Whether this is for hosts without SCION.
    pub(crate) fn is_plain(&self) -> bool {
        self.plain.is_some()
    }

    pub(crate) fn place_of(&self, peer: ScionAddr) -> Place {
        match self.plain {
            Some(_) => Place::Host(SocketAddr::new(peer.host, peer.port)),
            None => Place::As(peer.isd_as),
        }
    }

    /// `None`: it came to an address that is not meant.
    pub(super) fn source(&self, received: &RecvMeta) -> Option<Source> {
        let way = match &self.plain {
            None => None,
            Some(taken) => {
                let here = received.dst_ip.filter(|host| taken.is_empty() || taken.contains(host))?;
                Some(Way { here, there: received.addr })
            }
        };
        Some(Source { from: received.addr, way })
    }

    /// The template for `peer` over `way`. `None`: the peer has not said yet what it calls us.
    pub(super) fn template_over(&self, peer: &Peer, way: Way, id: PathId) -> Option<Template> {
        let name = peer.ways.lock().name?;
        Some(Template::new(name, peer.addr, &[], way.there, Some(id))?.leaving(Some(way.here)))
    }

    /// The peer calls us `here`, before any path rules. Returns whether that is news.
    pub(super) fn names(&self, peer: &Peer, here: ScionAddr) -> bool {
        self.is_plain() && peer.ways.lock().call_us(here)
    }

    /// A probe came; if the peer has sealed it, the peer is at the other end of that way.
    pub(super) fn learn(&self, peer: &Arc<Peer>, source: Source, probe: &[u8]) {
        let Some(way) = source.way else { return };
        let news = {
            let mut ways = peer.ways.lock();
            ways.is_sealed(probe) && ways.learn(way, Instant::now())
        };
        if let Some(destination) = peer.destination().as_ref().filter(|_| news) {
            log::debug!("paths to {}: {} is there too, from {}", destination.heading, way.there, way.here);
            destination.take_ways();
        }
    }
}
