//! Paths out of segments.

use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use foldhash::{HashMap, HashMapExt, HashSet};
use natsd_path::{Fingerprint, Interface, IsdAs};
use sciparse::core::view::View;
use sciparse::dataplane_path::standard::types::InfoFieldFlags;
use sciparse::dataplane_path::standard::view::StandardPathView;
use sciparse::dataplane_path::view::ScionDpPathViewExt;
use sciparse::identifier::isd_asn::IsdAsn;
use sciparse::path::combinator::graph::{CombinedPath, InputSegment, MultiGraph, number_of_hops};
use sciparse::segment::{AsEntry, SegmentFp};

use super::{Announced, Kind, Segment};
use crate::header;
use crate::metadata::{self, PathInfo};
use crate::source::MAX_PATHS;

/// The most combinations that are tried: more than any AS of today has, and less than a second of work.
const MAX_TRIED: usize = 30_000;
/// The most segments of each kind that are combined.
const MAX_OF_A_KIND: usize = 64;
const MAX_CORE: usize = 256;

/// The paths from one AS to another that `segments` make, those with the fewest links first. Those that have expired by `date` are
/// left out, and those that begin at an interface without a router.
pub(crate) fn paths(
    from: IsdAs,
    to: IsdAs,
    segments: &[&Segment],
    routers: &HashMap<u16, SocketAddr>,
    date: SystemTime,
) -> Vec<PathInfo> {
    let segments = few_enough(segments, date);
    let mut by_name = HashMap::<SegmentFp, Vec<&Segment>>::new();
    for segment in &segments {
        by_name.entry(segment.hops.fingerprint()).or_default().push(segment);
    }
    let mut graph = MultiGraph::new(number_of_hops::<AsEntry>);
    graph.add_segments(segments.iter().map(|segment| match segment.kind {
        Kind::Core => InputSegment::new_core(&segment.hops),
        Kind::Up | Kind::Down => InputSegment::new_non_core(&segment.hops),
    }));
    let solutions = graph.get_paths(IsdAsn::from_u64(from.0), IsdAsn::from_u64(to.0));
    let combined = solutions.iter().filter_map(|solution| solution.path().ok().flatten());
    let mut found = Vec::<(PathInfo, Vec<&Segment>)>::new();
    let mut known = HashMap::<Fingerprint, usize>::new();
    for path in combined {
        let Some((path, parts)) = travelled(from, to, path, &by_name, routers, date) else { continue };
        match known.get(&path.fingerprint()) {
            // Another beacon over the same links.
            Some(&at) if found[at].0.expiry < path.expiry => found[at] = (path, parts),
            Some(_) => {}
            None if found.len() < MAX_PATHS => {
                known.insert(path.fingerprint(), found.len());
                found.push((path, parts));
            }
            None => {}
        }
    }
    found.into_iter().map(|(path, parts)| announce(path, &parts)).collect()
}

/// Those that last, as many as can be combined in reasonable time: the shortest, and of these the ones that last longest.
fn few_enough<'a>(segments: &[&'a Segment], date: SystemTime) -> Vec<&'a Segment> {
    let best = |kind, most| {
        let mut some: Vec<_> =
            segments.iter().copied().filter(|segment| segment.kind == kind && segment.expiry > date).collect();
        some.sort_by_key(|segment| (segment.hops.len(), Reverse(segment.expiry)));
        some.truncate(most);
        some
    };
    let mut few = [best(Kind::Up, MAX_OF_A_KIND), best(Kind::Core, MAX_CORE), best(Kind::Down, MAX_OF_A_KIND)];
    while combinations(&few) > MAX_TRIED {
        for kind in &mut few {
            kind.truncate(kind.len() - kind.len().div_ceil(8).min(kind.len().saturating_sub(1)));
        }
    }
    few.concat()
}

/// How many there are at most, those among them that the graph begins and gives up.
fn combinations([up, core, down]: &[Vec<&Segment>; 3]) -> usize {
    let leaves = up.len() + down.len();
    let branches = |segment: &&Segment| segment.hops.iter().map(|entry| 1 + entry.peer_entries.len()).sum::<usize>();
    let ways_up = up.iter().map(branches).sum::<usize>().max(1);
    // From each end of a core segment all others there can be taken.
    let mut at = HashMap::<IsdAs, usize>::new();
    for segment in core {
        *at.entry(segment.first()).or_default() += 1;
        *at.entry(segment.last()).or_default() += 1;
    }
    let to_core = up.iter().map(|up| at.get(&up.first()).copied().unwrap_or(0)).sum::<usize>();
    let across = if up.is_empty() { core.len() } else { to_core };
    ways_up * leaves.max(1) + across * leaves.max(1)
}

/// A combination as a path, and the segments it is of; `None` if it cannot be travelled.
fn travelled<'a>(
    from: IsdAs,
    to: IsdAs,
    (path, names): CombinedPath,
    by_name: &HashMap<SegmentFp, Vec<&'a Segment>>,
    routers: &HashMap<u16, SocketAddr>,
    date: SystemTime,
) -> Option<(PathInfo, Vec<&'a Segment>)> {
    let metadata = path.metadata()?;
    let crossed = metadata.interfaces.as_ref()?.iter().map(|at| at.interface);
    let interfaces: Vec<_> = crossed.map(|at| Interface { isd_as: IsdAs(at.isd_asn.to_u64()), id: at.id }).collect();
    let (first, last) = (interfaces.first()?, interfaces.last()?);
    if first.isd_as != from || last.isd_as != to || !interfaces.len().is_multiple_of(2) {
        return None;
    }
    let expiry = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(metadata.expiration))?;
    let raw = path.dp_path().as_slice().to_vec();
    let of = |name| by_name.get(name).map(Vec::as_slice).unwrap_or_default();
    let (view, _) = StandardPathView::try_from_slice(&raw).ok()?;
    // Core segments are for the way against their beacon alone: for the other one the other AS has its own.
    let wrong_way = view.segments().zip(&names).any(|((info, _), name)| {
        let core = of(name).iter().any(|segment| segment.kind == Kind::Core);
        core && info.flags().contains(InfoFieldFlags::CONS_DIR)
    });
    if wrong_way || expiry <= date || !header::interfaces(&raw)?.iter().eq(interfaces.iter().map(|at| &at.id)) {
        return None;
    }
    let newest = |name| of(name).iter().copied().max_by_key(|segment| segment.expiry);
    let parts = names.iter().filter_map(newest).collect();
    let next_hop = Some(*routers.get(&first.id)?);
    let path = PathInfo { interfaces, expiry: Some(expiry), next_hop, raw, ..PathInfo::within(metadata.mtu) };
    Some((path, parts))
}

/// Adds what the ASes on the way announce: for each pair of interfaces the worst.
fn announce(mut path: PathInfo, parts: &[&Segment]) -> PathInfo {
    let mut known = HashMap::<[Interface; 2], (Option<Duration>, Option<u64>)>::new();
    let on_path: HashSet<_> = path.interfaces.iter().map(|at| at.isd_as).collect();
    let across: HashMap<_, _> =
        path.interfaces.chunks_exact(2).flat_map(|link| [(link[0], link[1]), (link[1], link[0])]).collect();
    let entries = parts.iter().flat_map(|segment| segment.hops.iter().zip(&segment.announced));
    for (entry, Announced { within, links }) in entries {
        let isd_as = IsdAs(entry.local.to_u64());
        if !on_path.contains(&isd_as) {
            continue;
        }
        let egress = Some(entry.hop_entry.hop_field.cons_egress).filter(|id| *id > 0);
        let egress = egress.map(|id| Interface { isd_as, id });
        let here = |figures| (Interface { isd_as, id: figures }, egress);
        let within = within.iter().map(|figures| (here(figures.interface), figures));
        let links = links.iter().map(|figures| {
            let end = Interface { isd_as, id: figures.interface };
            ((end, across.get(&end).copied()), figures)
        });
        for ((one, other), figures) in within.chain(links) {
            let Some(other) = other else { continue };
            let (latency, bandwidth) = known.entry(pair(one, other)).or_default();
            *latency = (*latency).max(figures.latency);
            *bandwidth = [*bandwidth, figures.bandwidth].into_iter().flatten().min();
        }
    }
    let steps =
        || path.interfaces.windows(2).map(|step| known.get(&pair(step[0], step[1])).copied().unwrap_or_default());
    let latencies: Vec<_> = steps().map(|(latency, _)| latency).collect();
    let bandwidths: Vec<_> = steps().map(|(_, bandwidth)| bandwidth.unwrap_or(0)).collect();
    path.latency = metadata::total_latency(latencies.iter().copied(), path.interfaces.len());
    path.bandwidth = metadata::bottleneck(&bandwidths);
    path.latencies = latencies;
    path
}

/// The same in both directions.
fn pair(one: Interface, other: Interface) -> [Interface; 2] {
    if one <= other { [one, other] } else { [other, one] }
}
