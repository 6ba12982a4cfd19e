//! Segments as a control service sends them.

use std::collections::BTreeMap;
use std::time::Duration;

use foldhash::{HashSet, HashSetExt};
use scion_protobuf::buffa::Message;
use scion_protobuf::proto::control_plane::v1::{
    ASEntry, ASEntrySignedBody, HopField, PathSegment, PathSegmentExtensions, PeerEntry as WirePeer,
    SegmentInformation, SegmentsResponse,
};
use scion_protobuf::proto::crypto::v1::HeaderAndBodyInternal;
use sciparse::dataplane_path::standard::types::HopFieldMac;
use sciparse::identifier::isd_asn::IsdAsn;
use sciparse::segment::{AsEntry, HopEntry, PeerEntry, SegmentHopField, UnsignedPathSegment};

use super::{Announced, Figures, Kind, MAX_SEGMENTS, Segment};

/// A path has no more than 64 hop fields, and a segment is a third of it as a rule.
const MAX_HOPS: usize = 32;
/// The most peering links of an AS that are looked at.
const MAX_PEERS: usize = 64;
/// The most interfaces of an AS whose announcements are kept.
const MAX_FIGURES: usize = 1024;

/// The segments of an answer that are sound, and why others are not.
pub(crate) fn segments(answer: SegmentsResponse) -> (Vec<Segment>, Vec<&'static str>) {
    let (mut sound, mut damaged) = (Vec::new(), Vec::new());
    let typed = answer.segments.into_iter().filter_map(|(number, segments)| Some((kind(number)?, segments.segments)));
    let all = typed.flat_map(|(kind, segments)| segments.into_iter().map(move |segment| (kind, segment)));
    for (kind, wire) in all.take(MAX_SEGMENTS) {
        match segment(kind, wire) {
            Ok(segment) => sound.push(segment),
            Err(reason) => damaged.push(reason),
        }
    }
    (sound, damaged)
}

fn kind(number: i32) -> Option<Kind> {
    match number {
        1 => Some(Kind::Up),
        2 => Some(Kind::Down),
        3 => Some(Kind::Core),
        _ => None,
    }
}

fn segment(kind: Kind, wire: PathSegment) -> Result<Segment, &'static str> {
    let info =
        SegmentInformation::decode_from_slice(&wire.segment_info).map_err(|_| "its information is no message")?;
    let timestamp = u32::try_from(info.timestamp).map_err(|_| "its time is out of range")?;
    let id = u16::try_from(info.segment_id).map_err(|_| "its number is out of range")?;
    if !(2..=MAX_HOPS).contains(&wire.as_entries.len()) {
        return Err("it has one AS, or too many");
    }
    let (mut entries, mut announced) = (Vec::new(), Vec::new());
    for entry in wire.as_entries {
        let (entry, figures) = as_entry(entry)?;
        entries.push(entry);
        announced.push(figures);
    }
    can_be_travelled(&entries)?;
    let hops = UnsignedPathSegment::new(timestamp, id, entries);
    let expiry = hops.expires_earliest();
    Ok(Segment { kind, hops, announced, expiry })
}

/// The signature of the entry stays unread, see the module above.
fn as_entry(wire: ASEntry) -> Result<(AsEntry, Announced), &'static str> {
    let signed = wire.signed.into_option().ok_or("an AS has no entry")?;
    let unwrapped = HeaderAndBodyInternal::decode_from_slice(&signed.header_and_body);
    let body = unwrapped.map_err(|_| "an AS's entry is not wrapped as it should be")?.body;
    let body = ASEntrySignedBody::decode_from_slice(&body).map_err(|_| "an AS's entry is no message")?;
    let hop = body.hop_entry.into_option().ok_or("an AS has no hop")?;
    let hop_entry = HopEntry {
        ingress_mtu: u16::try_from(hop.ingress_mtu).unwrap_or(u16::MAX),
        hop_field: hop_field(hop.hop_field.into_option())?,
    };
    let egress = hop_entry.hop_field.cons_egress;
    // A peering link that makes no sense is no reason to do without the others.
    let peer_entries = body.peer_entries.into_iter().filter_map(|peer| peer_entry(peer, egress)).take(MAX_PEERS);
    let entry = AsEntry {
        local: IsdAsn::from_u64(body.isd_as),
        next: IsdAsn::from_u64(body.next_isd_as),
        mtu: body.mtu.min(u32::from(u16::MAX)),
        peer_entries: peer_entries.collect(),
        hop_entry,
        extensions: Vec::new(),
        unsigned_extensions: Vec::new(),
    };
    Ok((entry, body.extensions.into_option().map(announced).unwrap_or_default()))
}

fn hop_field(wire: Option<HopField>) -> Result<SegmentHopField, &'static str> {
    let wire = wire.ok_or("a hop has no field")?;
    let interface = |id| u16::try_from(id).map_err(|_| "an interface is out of range");
    let mac: [u8; 6] = wire.mac.as_slice().try_into().map_err(|_| "a MAC does not have 6 bytes")?;
    Ok(SegmentHopField {
        expiration_units: u8::try_from(wire.exp_time).map_err(|_| "a hop's life is out of range")?,
        cons_ingress: interface(wire.ingress)?,
        cons_egress: interface(wire.egress)?,
        mac: HopFieldMac::new(mac),
    })
}

fn peer_entry(wire: WirePeer, egress: u16) -> Option<PeerEntry> {
    let hop_field = hop_field(wire.hop_field.into_option()).ok()?;
    let peer_interface = u16::try_from(wire.peer_interface).ok().filter(|id| *id > 0)?;
    if hop_field.cons_ingress == 0 || hop_field.cons_egress != egress || wire.peer_isd_as == 0 {
        return None;
    }
    let peer_mtu = u16::try_from(wire.peer_mtu).unwrap_or(u16::MAX);
    Some(PeerEntry { peer: IsdAsn::from_u64(wire.peer_isd_as), peer_interface, peer_mtu, hop_field })
}

/// What joining takes for granted.
fn can_be_travelled(entries: &[AsEntry]) -> Result<(), &'static str> {
    let mut seen = HashSet::new();
    for (at, entry) in entries.iter().enumerate() {
        let (first, next) = (at == 0, entries.get(at + 1));
        if entry.local.is_wildcard() || !seen.insert(entry.local) {
            return Err("an AS is in it twice, or is none");
        }
        if next.is_some_and(|next| next.local != entry.next) {
            return Err("an AS names another next one than follows");
        }
        let field = &entry.hop_entry.hop_field;
        if (field.cons_ingress == 0) != first || (field.cons_egress == 0) != next.is_none() {
            return Err("a hop has an interface too few or too many");
        }
        if entry.mtu == 0 {
            return Err("an AS has no MTU");
        }
    }
    Ok(())
}

fn announced(wire: PathSegmentExtensions) -> Announced {
    let Some(info) = wire.static_info.into_option() else { return Announced::default() };
    let latency = info.latency.into_option().unwrap_or_default();
    let bandwidth = info.bandwidth.into_option().unwrap_or_default();
    Announced { within: figures(&latency.intra, &bandwidth.intra), links: figures(&latency.inter, &bandwidth.inter) }
}

fn figures(latency: &BTreeMap<u64, u32>, bandwidth: &BTreeMap<u64, u64>) -> Vec<Figures> {
    let both = latency.keys().chain(bandwidth.keys().filter(|id| !latency.contains_key(id)));
    let one = |id: &u64| {
        let interface = u16::try_from(*id).ok().filter(|id| *id > 0)?;
        let latency = latency.get(id).map(|micros| Duration::from_micros((*micros).into()));
        Some(Figures { interface, latency, bandwidth: bandwidth.get(id).copied().filter(|kbit| *kbit > 0) })
    };
    both.filter_map(one).take(MAX_FIGURES).collect()
}
