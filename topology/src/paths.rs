//! End-to-end paths: combinations of segments, and what the ASes on them announce.

use std::time::Duration;

use sciparse::{dataplane_path::view::ScionDpPathViewExt, path::combinator::combine};

use crate::{
    description::{Interface, Network},
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

    /// Announced latency between consecutive interfaces, links and AS crossings alternating.
    pub fn latencies(&self, network: &Network) -> Vec<Option<Duration>> {
        self.between(network, INTRA_LATENCY, |link| link.params.latency)
    }

    /// Announced bandwidth in kbit/s between consecutive interfaces, links and AS crossings alternating.
    pub fn bandwidths(&self, network: &Network) -> Vec<Option<u64>> {
        self.between(network, INTRA_BANDWIDTH_KBPS, |link| link.params.bandwidth_bps / 1000)
            .into_iter()
            .map(|kbps| kbps.filter(|k| *k != 0))
            .collect()
    }

    fn between<T: Copy>(
        &self,
        network: &Network,
        crossing: T,
        announced: impl Fn(&crate::description::Link) -> T,
    ) -> Vec<Option<T>> {
        self.interfaces
            .windows(2)
            .enumerate()
            .map(|(i, pair)| match i % 2 {
                0 => {
                    let (link, _) = network.link_at(pair[0])?;
                    let link = &network.links[link];
                    link.announce.then(|| announced(link))
                }
                _ => Some(crossing),
            })
            .collect()
    }
}
