//! Segments as a control service would send them, for tests.
//!
//! ISD 1 has the core ASes 110 and 120 and below both 111, below 110 also 112; 111 and 112 are peers. ISD 2 is 210 and 211 below it.

use std::time::{Duration, SystemTime};

use foldhash::{HashMap, HashMapExt};
use natsd_path::IsdAs;
use scion_protobuf::buffa::Message;
use scion_protobuf::proto::control_plane::v1::segments_response::Segments;
use scion_protobuf::proto::control_plane::v1::{
    ASEntry, ASEntrySignedBody, BandwidthInfo, HopEntry, HopField, LatencyInfo, PathSegment, PathSegmentExtensions,
    PeerEntry, SegmentInformation, SegmentsResponse, StaticInfoExtension,
};
use scion_protobuf::proto::crypto::v1::{HeaderAndBodyInternal, SignedMessage};

use super::decode;
use super::search::Request;
use super::{Kind, Segment};

/// When all beacons begin, in seconds since 1970.
pub(crate) const BEGIN: u64 = 1_800_000_000;
/// Seconds that hops last: 64 units of 337.5 s.
pub(crate) const LIFE: u64 = 64 * 675 / 2;
const UNITS: u32 = 63;

pub(crate) fn isd_as(text: &str) -> IsdAs {
    text.parse().expect("an AS")
}

pub(crate) fn date(after: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(BEGIN + after)
}

/// An AS on the way of a beacon: interface it came in by, AS, interface it left by, 0 at the ends.
pub(crate) type Step = (u64, &'static str, u64);

/// A peering link at an AS: interface, AS and interface at the other end.
pub(crate) type Peering = (&'static str, u64, &'static str, u64);

pub(crate) const PEERINGS: [Peering; 2] = [("1-112", 3, "1-111", 3), ("1-111", 3, "1-112", 3)];

fn field(ingress: u64, egress: u64) -> HopField {
    HopField { exp_time: UNITS, ingress, egress, mac: vec![ingress as u8, egress as u8, 1, 2, 3, 4] }
}

/// What an AS announces: 10 µs and 7 kbit/s within it, a thousand times its own interface of links.
fn extensions(ingress: u64, egress: u64, peers: &[PeerEntry]) -> PathSegmentExtensions {
    let peers = || peers.iter().filter_map(|peer| peer.hop_field.as_option().map(|field| field.ingress));
    let others = || [ingress].into_iter().chain(peers()).filter(|id| *id > 0);
    let links = || [egress].into_iter().chain(peers()).filter(|id| *id > 0);
    let latency = LatencyInfo {
        intra: others().map(|id| (id, 10)).collect(),
        inter: links().map(|id| (id, 1000 * id as u32)).collect(),
    };
    let bandwidth = BandwidthInfo {
        intra: others().map(|id| (id, 7)).collect(),
        inter: links().map(|id| (id, 1000 * id)).collect(),
    };
    let info =
        StaticInfoExtension { latency: Some(latency).into(), bandwidth: Some(bandwidth).into(), ..Default::default() };
    PathSegmentExtensions { static_info: Some(info).into(), ..Default::default() }
}

pub(crate) fn body(steps: &[Step], at: usize) -> ASEntrySignedBody {
    let (ingress, here, egress) = steps[at];
    let peer = |(_, local, peer, remote): &Peering| PeerEntry {
        peer_isd_as: isd_as(peer).0,
        peer_interface: *remote,
        peer_mtu: 1300,
        hop_field: Some(field(*local, egress)).into(),
    };
    let peer_entries: Vec<_> = PEERINGS.iter().filter(|peering| peering.0 == here).map(peer).collect();
    ASEntrySignedBody {
        isd_as: isd_as(here).0,
        next_isd_as: steps.get(at + 1).map_or(0, |next| isd_as(next.1).0),
        hop_entry: Some(HopEntry {
            hop_field: Some(field(ingress, egress)).into(),
            ingress_mtu: if ingress == 0 { 0 } else { 1400 },
        })
        .into(),
        extensions: Some(extensions(ingress, egress, &peer_entries)).into(),
        peer_entries,
        mtu: 1472,
    }
}

pub(crate) fn entry(body: &ASEntrySignedBody) -> ASEntry {
    let header_and_body = HeaderAndBodyInternal { body: body.encode_to_vec(), ..Default::default() }.encode_to_vec();
    ASEntry { signed: Some(SignedMessage { header_and_body, ..Default::default() }).into(), ..Default::default() }
}

pub(crate) fn wire(steps: &[Step], begin: u64) -> PathSegment {
    let info = SegmentInformation { timestamp: begin as i64, segment_id: 77 };
    let as_entries = (0..steps.len()).map(|at| entry(&body(steps, at))).collect();
    PathSegment { segment_info: info.encode_to_vec(), as_entries }
}

pub(crate) fn answer(kind: Kind, segments: Vec<PathSegment>) -> SegmentsResponse {
    let number = match kind {
        Kind::Up => 1,
        Kind::Down => 2,
        Kind::Core => 3,
    };
    let segments = [(number, Segments { segments })].into_iter().collect();
    SegmentsResponse { segments, ..Default::default() }
}

pub(crate) fn segment(kind: Kind, steps: &[Step]) -> Segment {
    segment_from(kind, steps, BEGIN)
}

pub(crate) fn segment_from(kind: Kind, steps: &[Step], begin: u64) -> Segment {
    let (mut sound, damaged) = decode::segments(answer(kind, vec![wire(steps, begin)]));
    assert_eq!(damaged, Vec::<&str>::new());
    sound.pop().expect("one")
}

/// Down segments; up segments are the same.
pub(crate) const DOWN: [&[Step]; 4] = [
    &[(0, "1-110", 11), (1, "1-111", 0)],
    &[(0, "1-120", 11), (2, "1-111", 0)],
    &[(0, "1-110", 12), (1, "1-112", 0)],
    &[(0, "2-210", 11), (1, "2-211", 0)],
];

/// Core segments, from where packets go to, to where they come from.
pub(crate) const CORE: [&[Step]; 8] = [
    &[(0, "1-110", 1), (1, "1-120", 0)],
    &[(0, "1-120", 1), (1, "1-110", 0)],
    &[(0, "1-110", 5), (5, "2-210", 0)],
    &[(0, "2-210", 5), (5, "1-110", 0)],
    &[(0, "1-110", 1), (1, "1-120", 6), (6, "2-210", 0)],
    &[(0, "2-210", 6), (6, "1-120", 1), (1, "1-110", 0)],
    &[(0, "1-120", 6), (6, "2-210", 0)],
    &[(0, "2-210", 6), (6, "1-120", 0)],
];

/// What the control service of `here` answers; `None` is an error. As the reference one, it knows the core ASes of
/// ISDs from elsewhere.
pub(crate) fn asked(here: &str, Request { from, to }: Request) -> Option<Vec<Segment>> {
    let cores = ["1-110", "1-120", "2-210"].map(isd_as);
    let here = isd_as(here);
    let is_core = |one: IsdAs| one.asn() == 0 || cores.contains(&one);
    let fits =
        |wanted: IsdAs, one: &str| wanted == isd_as(one) || wanted.asn() == 0 && wanted.isd() == isd_as(one).isd();
    let (kind, all) = match (is_core(from), is_core(to)) {
        (true, true) if from.isd() != here.isd() => return None,
        (true, true) => (Kind::Core, &CORE[..]),
        (true, false) if from.isd() != to.isd() => return None,
        (true, false) => (Kind::Down, &DOWN[..]),
        (false, true) if from == here && from.isd() == to.isd() => (Kind::Up, &DOWN[..]),
        _ => return None,
    };
    let (beginning, end) = if kind == Kind::Down { (from, to) } else { (to, from) };
    let fit = all.iter().filter(|steps| fits(beginning, steps[0].1) && fits(end, steps[steps.len() - 1].1));
    Some(fit.map(|steps| segment(kind, steps)).collect())
}

/// A router at each interface up to 16.
pub(crate) fn routers() -> HashMap<u16, std::net::SocketAddr> {
    let mut routers = HashMap::new();
    routers.extend((1..=16).map(|id| (id, ([10, 0, 0, id as u8], 30042).into())));
    routers
}
