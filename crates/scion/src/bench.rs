//! For `benches/transfer.rs`: hosts without a daemon and without routers, and the same QUIC without SCION.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use natsd_path::{Interface, IsdAs, ScionAddr};

use crate::error::DaemonError;
use crate::metadata::PathInfo;
use crate::quic::Datagrams;
use crate::source::{Boxed, LocalAs, PathSource};
use crate::{Host, HostConfig, Identity, header, template};

/// Bytes that packets of these hosts have at most.
const MTU: u16 = 1472;
/// Of both ends of the link between the ASes.
const INTERFACE: u16 = 3;

/// The ASes of the two hosts.
const ASES: [IsdAs; 2] = [IsdAs(0x0001_ff00_0000_0111), IsdAs(0x0001_ff00_0000_0112)];

/// Where the packets of each of two hosts go that are in different ASes: to the other one, as no router is in between.
pub type Ends = Arc<[OnceLock<SocketAddr>; 2]>;

struct Known {
    here: IsdAs,
    ends: Option<(Ends, usize)>,
}

impl PathSource for Known {
    fn name(&self) -> String {
        "bench".to_owned()
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        Box::pin(std::future::ready(Ok(LocalAs { isd_as: self.here, mtu: MTU, ports: None })))
    }

    fn paths(&self, from: IsdAs, to: IsdAs, _: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        let next_hop = self.ends.as_ref().and_then(|(ends, other)| ends[*other].get().copied());
        let path = next_hop.map(|next_hop| PathInfo {
            interfaces: [from, to].map(|isd_as| Interface { isd_as, id: INTERFACE }).into(),
            expiry: SystemTime::now().checked_add(Duration::from_secs(3600)),
            next_hop: Some(next_hop),
            raw: two_hops(),
            ..PathInfo::within(MTU)
        });
        Box::pin(std::future::ready(Ok(path.into_iter().collect())))
    }
}

/// A path of one segment over one link: its meta header, one info field and two hop fields.
fn two_hops() -> Vec<u8> {
    let mut raw = (2u32 << 12).to_be_bytes().to_vec();
    raw.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    for (ingress, egress) in [(0, INTERFACE), (INTERFACE, 0)] {
        raw.extend([0, 63]);
        raw.extend(u16::to_be_bytes(ingress));
        raw.extend(u16::to_be_bytes(egress));
        raw.extend([0; 6]);
    }
    raw
}

/// A host in the first AS. Within a runtime, as the next one.
pub fn host_of_one_as() -> Host {
    host(Known { here: ASES[0], ends: None })
}

/// One of two hosts in two ASes with a link between them. Where the packets of both go is to be said before they need it.
pub fn host_of_two_ases(at: usize, ends: &Ends) -> Host {
    host(Known { here: ASES[at], ends: Some((ends.clone(), 1 - at)) })
}

fn host(source: Known) -> Host {
    let local = Some(Ipv4Addr::LOCALHOST.into());
    Host::with_source(Arc::new(source), HostConfig { local, ..HostConfig::default() })
}

/// An address in this AS, at a port of the system's choice.
pub fn any_port(isd_as: IsdAs) -> ScionAddr {
    ScionAddr { isd_as, host: Ipv4Addr::LOCALHOST.into(), port: 0 }
}

/// What `identity` speaks within an AS, for QUIC over UDP alone: datagrams of the same size.
pub fn without_scion(identity: &Identity) -> Option<(quinn::ServerConfig, quinn::ClientConfig)> {
    let local = Ipv4Addr::LOCALHOST.into();
    let header = template::header_len(local, local, 0) as u16;
    let datagrams = Some(Datagrams::of(MTU - header));
    identity.server_config(datagrams).zip(identity.client_config(datagrams))
}

/// Whether the path of [`host_of_two_ases`] is one.
pub fn is_sound() -> bool {
    header::interfaces(&two_hops()).is_some_and(|crossed| crossed == [INTERFACE; 2])
}
