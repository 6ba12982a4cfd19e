//! The border router of one AS: what becomes of a packet, decided from its own hop fields.
//!
//! Sans-IO. The checks, their order and the changes to the header are those of the reference router (v0.14), so that a
//! receiver sees the same bytes: <https://docs.scion.org/en/latest/protocols/scion-header.html>.

use std::{collections::HashMap, net::SocketAddr};

use sciparse::{
    core::view::View,
    dataplane_path::{
        standard::{
            mac::{ForwardingKey, HopMacCalculate, algo::mac_beta_step},
            types::HopFieldFlags,
            view::{HopFieldView, InfoFieldView, StandardPathView},
        },
        view::ScionDpPathViewRefMut,
    },
    identifier::isd_asn::IsdAsn,
    packet::view::ScionRawPacketView,
    payload::scmp::types::ScmpParameterProblemCode as Code,
};

use crate::{description::Relation, scmp};

const COMMON_HEADER: usize = 12;
const PATH_META: usize = 4;
const INFO_FIELD: usize = 8;
const HOP_FIELD: usize = 12;

/// The forwarding state of one AS, which has a single border router.
#[derive(Debug)]
pub struct Router {
    ia: IsdAsn,
    address: SocketAddr,
    key: ForwardingKey,
    interfaces: HashMap<u16, Relation>,
}

/// What to do with a packet after processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Hand it to a host of this AS.
    Deliver(SocketAddr),
    /// Send it over the link at this interface.
    Forward(u16),
    /// Keep it and answer with SCMP, which [`scmp::answer`] makes.
    Answer(Answer),
    /// Drop it without a word.
    Discard(&'static str),
}

/// What a router has to say about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// SCMP type 4: this field, at this offset from the start of the packet, is wrong.
    Parameter {
        /// SCMP code.
        code: Code,
        /// Offset in bytes.
        pointer: usize,
    },
    /// SCMP type 5: the link behind this interface is down.
    InterfaceDown(u16),
    /// SCMP type 1: the destination is a service that this AS does not have.
    NoSuchService,
    /// SCMP type 131: a traceroute request asked the router at this interface to identify itself.
    Traceroute(u16),
}

impl Router {
    /// A router with an address for its internal side, a forwarding key and interfaces.
    pub fn new(ia: IsdAsn, address: SocketAddr, key: ForwardingKey, interfaces: HashMap<u16, Relation>) -> Self {
        Self { ia, address, key, interfaces }
    }

    /// ISD-AS number.
    pub fn ia(&self) -> IsdAsn {
        self.ia
    }

    /// UDP address of the internal side.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processes a packet in place. `arrival` is the interface that it came in by, `None` if it came from a host of this
    /// AS; `is_up` tells whether keep-alives pass on the link at an interface.
    pub fn process(
        &self,
        packet: &mut [u8],
        arrival: Option<u16>,
        unix_now: u64,
        is_up: impl Fn(u16) -> bool,
    ) -> Verdict {
        let length = packet.len();
        let Ok((view, _)) = ScionRawPacketView::try_from_mut_slice(packet) else {
            return Verdict::Discard("not a SCION packet");
        };
        let header = view.header_mut();
        if usize::from(header.header_len()) + usize::from(header.payload_len()) != length {
            return parameter(Code::InvalidPacketSize, 0);
        }
        let (src_local, dst_local) = (header.src_ia() == self.ia, header.dst_ia() == self.ia);
        let path_offset = header.path_offset();
        let ScionDpPathViewRefMut::Standard(path) = header.path_mut() else {
            return Verdict::Discard("path type that is not routed between ASes");
        };
        let mut passage = Passage { router: self, path, path_offset, arrival, unix_now };
        match passage.enter(src_local, dst_local) {
            Err(verdict) => verdict,
            Ok(()) if dst_local => self.deliver(view),
            Ok(()) => passage.leave(is_up).map_or_else(|v| v, Verdict::Forward),
        }
    }

    fn deliver(&self, packet: &ScionRawPacketView) -> Verdict {
        let Ok(destination) = packet.dst_scion_addr() else {
            return Verdict::Discard("unknown destination address type");
        };
        match destination.ip() {
            None => Verdict::Answer(Answer::NoSuchService),
            Some(ip) if ip.is_ipv4() != self.address.is_ipv4() => {
                Verdict::Discard("destination of another address family than the AS's underlay")
            }
            Some(ip) if ip.is_loopback() => Verdict::Deliver(SocketAddr::new(ip, scmp::delivery_port(packet))),
            Some(_) => Verdict::Discard("destination outside of loopback, where all of the lab is"),
        }
    }
}

fn parameter(code: Code, pointer: usize) -> Verdict {
    Verdict::Answer(Answer::Parameter { code, pointer })
}

enum Side {
    Ingress,
    Egress,
}

/// A packet on its way through a router.
struct Passage<'a> {
    router: &'a Router,
    path: &'a mut StandardPathView,
    path_offset: usize,
    arrival: Option<u16>,
    unix_now: u64,
}

impl Passage<'_> {
    /// Everything up to the decision whether the packet stays in this AS.
    fn enter(&mut self, src_local: bool, dst_local: bool) -> Result<(), Verdict> {
        let (info, hop) = self.current()?;
        let peering = self.at_peering_hop()?;
        self.check_expiry(&info, &hop)?;
        self.check_arrival(&info, &hop)?;
        self.check_endpoints(src_local, dst_local)?;
        if !info.flags().cons_dir() && self.arrival.is_some() && !peering {
            chain_segment_id(self.path);
        }
        self.check_mac()?;
        self.check_alert(Side::Ingress, self.arrival)
    }

    /// Chooses the interface to leave by and prepares the header for the next AS.
    fn leave(&mut self, is_up: impl Fn(u16) -> bool) -> Result<u16, Verdict> {
        let peering = self.at_peering_hop()?;
        let crossing = is_segment_end(self.path) && !peering;
        if crossing {
            advance(self.path);
            let (info, hop) = self.current()?;
            self.check_expiry(&info, &hop)?;
            self.check_mac()?;
        }
        let (info, hop) = self.current()?;
        let egress = hop.egress_interface(&info);
        self.check_departure(egress, &info, crossing)?;
        self.check_alert(Side::Egress, Some(egress))?;
        if !is_up(egress) {
            return Err(Verdict::Answer(Answer::InterfaceDown(egress)));
        }
        if info.flags().cons_dir() && !peering {
            chain_segment_id(self.path);
        }
        if !advance(self.path) {
            return Err(self.bad_hop(Code::InvalidPath));
        }
        Ok(egress)
    }

    fn current(&self) -> Result<(InfoFieldView, HopFieldView), Verdict> {
        let hop_index = usize::from(self.path.curr_hop_field_idx());
        let segment = self.path.calculate_segment_index(hop_index);
        let info_index = usize::from(self.path.curr_info_field_idx());
        match (self.path.curr_info_field(), self.path.curr_hop_field()) {
            (Some(info), Some(hop)) if segment.is_some_and(|(s, ..)| s == info_index) => Ok((*info, *hop)),
            _ => Err(Verdict::Discard("path pointers out of range")),
        }
    }

    fn at_peering_hop(&self) -> Result<bool, Verdict> {
        at_peering_hop(self.path).ok_or(Verdict::Discard("malformed peering path"))
    }

    fn check_expiry(&self, info: &InfoFieldView, hop: &HopFieldView) -> Result<(), Verdict> {
        if u64::from(hop.expiry_timestamp(info)) < self.unix_now {
            return Err(self.bad_hop(Code::PathExpired));
        }
        Ok(())
    }

    fn check_arrival(&self, info: &InfoFieldView, hop: &HopFieldView) -> Result<(), Verdict> {
        if self.arrival.is_some_and(|id| id != hop.ingress_interface(info)) {
            return Err(self.unknown_interface(info.flags().cons_dir()));
        }
        Ok(())
    }

    fn check_endpoints(&self, src_local: bool, dst_local: bool) -> Result<(), Verdict> {
        let hop = self.path.curr_hop_field_idx();
        let (first, last) = (hop == 0, hop + 1 == self.path.hop_field_count());
        let (src_ok, dst_ok) = match self.arrival {
            None => (!first || src_local, !dst_local),
            Some(_) => (!src_local, last == dst_local),
        };
        match (src_ok, dst_ok) {
            (false, _) => Err(parameter(Code::InvalidSourceAddress, COMMON_HEADER + 8)),
            (_, false) => Err(parameter(Code::InvalidDestinationAddress, COMMON_HEADER)),
            _ => Ok(()),
        }
    }

    fn check_mac(&self) -> Result<(), Verdict> {
        let (info, hop) = self.current()?;
        let expected = hop.calculate_mac(info.segment_id(), info.timestamp(), &self.router.key);
        if hop.mac() != expected {
            return Err(self.bad_hop(Code::InvalidHopFieldMac));
        }
        Ok(())
    }

    /// Stops a packet that wants the router at this side of the AS to answer (router alert), and clears the wish.
    fn check_alert(&mut self, side: Side, interface: Option<u16>) -> Result<(), Verdict> {
        let (info, hop) = self.current()?;
        let flag = match (side, info.flags().cons_dir()) {
            (Side::Ingress, true) | (Side::Egress, false) => HopFieldFlags::CONS_INGRESS_ROUTER_ALERT,
            (Side::Ingress, false) | (Side::Egress, true) => HopFieldFlags::CONS_EGRESS_ROUTER_ALERT,
        };
        let (true, Some(interface)) = (hop.flags().contains(flag), interface) else {
            return Ok(());
        };
        if let Some(hop) = self.path.curr_hop_field_mut() {
            hop.set_flags(hop.flags() - flag);
        }
        Err(Verdict::Answer(Answer::Traceroute(interface)))
    }

    fn check_departure(&self, egress: u16, info: &InfoFieldView, crossing: bool) -> Result<(), Verdict> {
        use Relation::{Child, Core, Parent, Peer};
        let relation = |id| self.router.interfaces.get(&id).copied();
        let Some(to) = relation(egress) else {
            return Err(self.unknown_interface(!info.flags().cons_dir()));
        };
        let from = self.arrival.and_then(relation);
        let allowed = match (crossing, from) {
            (false, None) => true,
            (false, Some(from)) => matches!((from, to), (Core, Core) | (Child, Parent | Peer) | (Parent | Peer, Child)),
            (true, Some(from)) => {
                matches!((from, to), (Core, Child) | (Child, Core | Child))
            }
            (true, None) => false,
        };
        match (allowed, crossing) {
            (true, _) => Ok(()),
            (false, false) => Err(self.bad_hop(Code::InvalidPath)),
            (false, true) => Err(parameter(
                Code::InvalidSegmentChange,
                self.path_offset + PATH_META + INFO_FIELD * usize::from(self.path.curr_info_field_idx()),
            )),
        }
    }

    fn unknown_interface(&self, cons_ingress: bool) -> Verdict {
        self.bad_hop(if cons_ingress {
            Code::UnknownHopFieldConsIngressInterface
        } else {
            Code::UnknownHopFieldConsEgressInterface
        })
    }

    fn bad_hop(&self, code: Code) -> Verdict {
        parameter(
            code,
            self.path_offset
                + PATH_META
                + INFO_FIELD * usize::from(self.path.info_field_count())
                + HOP_FIELD * usize::from(self.path.curr_hop_field_idx()),
        )
    }
}

/// Whether the current hop field is one of the two at a peering link, which chain differently from others. `None` if the
/// peering flag is set on a path that cannot be one.
pub(crate) fn at_peering_hop(path: &StandardPathView) -> Option<bool> {
    let info = path.curr_info_field()?;
    if !info.flags().peering() {
        return Some(false);
    }
    if path.info_field_count() != 2 {
        return None;
    }
    let (hop, first_segment) = (path.curr_hop_field_idx(), path.seg0_len());
    Some(hop + 1 == first_segment || hop == first_segment)
}

/// Whether the next hop field belongs to the next segment.
pub(crate) fn is_segment_end(path: &StandardPathView) -> bool {
    let hop = path.curr_hop_field_idx();
    let is_end = path.calculate_segment_index(usize::from(hop)).is_some_and(|(_, _, end)| end);
    is_end && hop + 1 < path.hop_field_count()
}

/// Moves on to the next hop field, and to the next info field at the end of a segment. False if there is none.
pub(crate) fn advance(path: &mut StandardPathView) -> bool {
    let next = path.curr_hop_field_idx() + 1;
    match path.calculate_segment_index(usize::from(next)) {
        Some((segment, ..)) => {
            path.set_curr_hop_field(next);
            path.set_curr_info_field(segment as u8);
            true
        }
        None => false,
    }
}

/// Folds the MAC of the current hop field into the segment identifier that the next MAC is checked against.
pub(crate) fn chain_segment_id(path: &mut StandardPathView) {
    let Some(mac) = path.curr_hop_field().map(|hop| hop.mac()) else {
        return;
    };
    if let Some(info) = path.curr_info_field_mut() {
        info.set_segment_id(mac_beta_step(info.segment_id(), *mac.as_bytes()));
    }
}
