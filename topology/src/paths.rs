//! End-to-end paths: combinations of segments, and what the ASes on them announce.

use std::time::Duration;

use sciparse::{dataplane_path::view::ScionDpPathViewExt, path::combinator::combine};

use crate::{
    description::{Interface, Link, Network},
    segments::Segments,
};

/// What ASes announce between two of their interfaces. The engines carry packets through an AS without delay; the
/// reference lab announces the same.
const INTRA_LATENCY: Duration = Duration::from_millis(1);
const INTRA_BANDWIDTH_KBPS: u64 = 10_000_000;

/// A path as a daemon hands it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The dataplane path (SCION path type) for the packet header.
    pub raw: Vec<u8>,
    /// Interfaces in the order of travel, two a link.
    pub interfaces: Vec<Interface>,
    /// Largest SCION packet, in bytes.
    pub mtu: u16,
    /// When the first hop field expires, in seconds since 1970.
    pub expiration: u64,
}

/// All paths from one AS to another, the ones with fewest hops first.
pub fn find(network: &Network, segments: &Segments, from: usize, to: usize) -> Vec<Path> {
    let (src, dst) = (network.ases[from].ia, network.ases[to].ia);
    let non_cores =
        segments.down.iter().filter(|segment| segment.last_ia().is_some_and(|leaf| leaf == src || leaf == dst));
    let mut paths: Vec<Path> = combine(src, dst, segments.core.iter(), non_cores)
        .into_iter()
        .filter_map(|path| {
            let metadata = path.metadata()?;
            let interfaces = metadata
                .interfaces
                .as_ref()?
                .iter()
                .map(|i| Some(Interface { as_index: network.as_index(i.interface.isd_asn)?, id: i.interface.id }));
            Some(Path {
                interfaces: interfaces.collect::<Option<_>>()?,
                mtu: metadata.mtu,
                expiration: metadata.expiration,
                raw: path.dp_path().as_slice().to_vec(),
            })
        })
        .collect();
    // Core segments of both directions make the same path; the one against the beacon's direction sorts first.
    paths.sort_by_cached_key(|path| (path.interfaces.len(), path.numbers(), path.raw.clone()));
    paths.dedup_by(|a, b| a.interfaces == b.interfaces);
    paths
}

impl Path {
    fn numbers(&self) -> Vec<(usize, u16)> {
        self.interfaces.iter().map(|i| (i.as_index, i.id)).collect()
    }

    /// Announced latency between consecutive interfaces, links and AS crossings alternating. An AS that keeps quiet about a
    /// link says nothing about the way to its interface either.
    pub fn latencies(&self, network: &Network) -> Vec<Option<Duration>> {
        let announced = |at: Interface| link_at(network, at).is_some_and(|link| link.announce);
        self.between(|pair, crossing| match (announced(pair[0]) && announced(pair[1]), crossing) {
            (false, _) => None,
            (true, true) => Some(INTRA_LATENCY),
            (true, false) => link_at(network, pair[0]).map(|link| link.params.latency),
        })
    }

    /// Announced bandwidth in kbit/s between consecutive interfaces, links and AS crossings alternating.
    pub fn bandwidths(&self, network: &Network) -> Vec<Option<u64>> {
        self.between(|pair, crossing| match crossing {
            true => Some(INTRA_BANDWIDTH_KBPS),
            false => {
                let link = link_at(network, pair[0]).filter(|link| link.announce)?;
                Some(link.params.bandwidth_bps / 1000).filter(|kbps| *kbps != 0)
            }
        })
    }

    /// Asks for each pair of consecutive interfaces, telling whether an AS or a link is between them.
    fn between<T>(&self, value: impl Fn(&[Interface], bool) -> Option<T>) -> Vec<Option<T>> {
        let pairs = self.interfaces.windows(2).enumerate();
        pairs.map(|(i, pair)| value(pair, i % 2 == 1)).collect()
    }
}

fn link_at(network: &Network, interface: Interface) -> Option<&Link> {
    network.link_at(interface).map(|(link, _)| &network.links[link])
}
