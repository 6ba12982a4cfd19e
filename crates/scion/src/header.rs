//! SCION headers as bytes: built once for each peer and path, parsed when a datagram's header is not a known one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use natsd_path::{IsdAs, ScionAddr};
use sciparse::core::view::View;
use sciparse::dataplane_path::standard::types::InfoFieldFlags;
use sciparse::dataplane_path::standard::view::StandardPathView;
use sciparse::header::view::ScionHeaderView;

use crate::checksum::Checksum;

/// Next header: SCION/UDP.
pub(crate) const UDP: u8 = 17;
/// Next header: SCMP.
pub(crate) const SCMP: u8 = 202;

const COMMON: usize = 12;

/// The part of a SCION packet before the upper layer.
pub(crate) struct Header<'a> {
    /// Destination and source; the ports are the upper layer's.
    pub(crate) destination: (IsdAs, IpAddr),
    pub(crate) source: (IsdAs, IpAddr),
    /// [`UDP`], [`SCMP`] or another.
    pub(crate) next: u8,
    /// The raw data-plane path, empty within an AS.
    pub(crate) path: &'a [u8],
    /// Bytes up to the upper layer.
    pub(crate) len: usize,
    /// What the header says follows it.
    pub(crate) payload_len: usize,
}

impl<'a> Header<'a> {
    /// Parses the header at the start of `packet`. `None`: not SCION, not IP hosts, or a path type other than empty
    /// and SCION.
    pub(crate) fn parse(packet: &'a [u8]) -> Option<Self> {
        let (view, _) = ScionHeaderView::try_from_slice(packet).ok()?;
        let len = usize::from(view.header_len());
        let host_types = packet.get(9)?;
        let (destination_len, source_len) = (host_len(host_types >> 4)?, host_len(host_types & 0xf)?);
        let destination = host(packet.get(28..28 + destination_len)?)?;
        let source = host(packet.get(28 + destination_len..28 + destination_len + source_len)?)?;
        let raw = packet.get(28 + destination_len + source_len..len)?;
        let path = match packet.get(8)? {
            0 if raw.is_empty() => raw,
            1 => {
                StandardPathView::try_from_slice(raw).ok().filter(|(_, rest)| rest.is_empty())?;
                raw
            }
            _ => return None,
        };
        Some(Self {
            destination: (IsdAs(u64::from_be_bytes(packet.get(12..20)?.try_into().ok()?)), destination),
            source: (IsdAs(u64::from_be_bytes(packet.get(20..28)?.try_into().ok()?)), source),
            next: view.next_header().to_u8(),
            path,
            len,
            payload_len: usize::from(view.payload_len()),
        })
    }
}

/// Length of a host address by its type and length nibble; IP only.
fn host_len(nibble: u8) -> Option<usize> {
    match nibble {
        0b0000 => Some(4),
        0b0011 => Some(16),
        _ => None,
    }
}

fn host(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

fn push_host(bytes: &mut Vec<u8>, host: IpAddr) {
    match host {
        IpAddr::V4(v4) => bytes.extend_from_slice(&v4.octets()),
        IpAddr::V6(v6) => bytes.extend_from_slice(&v6.octets()),
    }
}

/// Writes the header up to the upper layer (payload length still zero) and returns the checksum of its pseudo header
/// without the length. `None`: the path is too long for a SCION header.
pub(crate) fn write(
    bytes: &mut Vec<u8>,
    from: (IsdAs, IpAddr),
    to: (IsdAs, IpAddr),
    path: &[u8],
    next: u8,
) -> Option<Checksum> {
    let nibble = |host: IpAddr| if host.is_ipv4() { 0b0000 } else { 0b0011 };
    let octets = |host: IpAddr| if host.is_ipv4() { 4 } else { 16 };
    let len = COMMON + 16 + octets(to.1) + octets(from.1) + path.len();
    let words = u8::try_from(len / 4).ok().filter(|_| len.is_multiple_of(4))?;
    bytes.extend_from_slice(&[0, 0, 0, 1, next, words, 0, 0]);
    bytes.extend_from_slice(&[u8::from(!path.is_empty()), nibble(to.1) << 4 | nibble(from.1), 0, 0]);
    let addresses = bytes.len();
    bytes.extend_from_slice(&to.0.0.to_be_bytes());
    bytes.extend_from_slice(&from.0.0.to_be_bytes());
    push_host(bytes, to.1);
    push_host(bytes, from.1);
    let pseudo = Checksum::default().add(&bytes[addresses..]).add_u16(u16::from(next));
    bytes.extend_from_slice(path);
    Some(pseudo)
}

/// The interfaces that a raw path crosses, in travel order.
///
/// Where two segments meet, hop fields name interfaces that the packet does not cross (a shortcut's way on to the
/// core); they are left out, so that the list equals that of the daemon's path, and its reversal that of the way back.
pub(crate) fn interfaces(path: &[u8]) -> Option<Vec<u16>> {
    if path.is_empty() {
        return Some(Vec::new());
    }
    let (view, _) = StandardPathView::try_from_slice(path).ok()?;
    let segments: Vec<_> = view.segments().collect();
    let mut crossed = Vec::with_capacity(view.hop_fields().len() * 2);
    for (s, (info, hops)) in segments.iter().enumerate() {
        let peering = info.flags().contains(InfoFieldFlags::PEERING);
        for (h, hop) in hops.iter().enumerate() {
            if h > 0 || (peering && s > 0) {
                crossed.push(hop.ingress_interface(info));
            }
            if h + 1 < hops.len() || (peering && s + 1 < segments.len()) {
                crossed.push(hop.egress_interface(info));
            }
        }
    }
    Some(crossed)
}

/// The way back of a path as it arrived.
pub(crate) fn reverse(path: &[u8]) -> Option<Vec<u8>> {
    let mut back = path.to_vec();
    if !back.is_empty() {
        let (view, _) = StandardPathView::try_from_mut_slice(&mut back).ok()?;
        view.try_reverse().ok()?;
    }
    Some(back)
}

/// The path with the wish that the router where it enters the last AS answers the packet. `None`: it has no router.
pub(crate) fn alert_last_router(path: &[u8]) -> Option<Vec<u8>> {
    const HOP_FIELD: usize = 12;
    const INGRESS_ALERT: u8 = 0b10;
    const EGRESS_ALERT: u8 = 0b01;
    let (view, _) = StandardPathView::try_from_slice(path).ok()?;
    let (info, _) = view.segments().last()?;
    let along = info.flags().contains(InfoFieldFlags::CONS_DIR);
    let mut path = path.to_vec();
    let at = path.len().checked_sub(HOP_FIELD)?;
    path[at] |= if along { INGRESS_ALERT } else { EGRESS_ALERT };
    Some(path)
}

/// Joins an AS and host with an upper-layer port.
pub(crate) fn with_port((isd_as, host): (IsdAs, IpAddr), port: u16) -> ScionAddr {
    ScionAddr { isd_as, host, port }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A packet of the reference network over a peering link: 1-ff00:0:111,127.20.111.10:50000 to
    /// 1-ff00:0:112,127.20.112.10:4222 with the payload "PING".
    pub(crate) fn captured() -> Vec<u8> {
        let hex = "000000011114000c010000000001ff00000001120001ff00000001117f14700a7f146f0a\
                   000010400200388a6b014ac2030001d66b014ac1003f000300001388c0372fb1003f0003000003171a56da9c\
                   c350107e000cb01250494e47";
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex")).collect()
    }

    #[test]
    fn a_captured_packet_is_understood() {
        let packet = captured();
        let header = Header::parse(&packet).expect("a SCION header");
        assert_eq!(with_port(header.source, 50000).to_string(), "[1-ff00:0:111,127.20.111.10]:50000");
        assert_eq!(with_port(header.destination, 4222).to_string(), "[1-ff00:0:112,127.20.112.10]:4222");
        assert_eq!((header.next, header.len, header.payload_len, header.path.len()), (UDP, 80, 12, 44));
    }

    #[test]
    fn the_interfaces_of_a_peering_path_are_both_ends_of_the_link() {
        let packet = captured();
        let path = Header::parse(&packet).expect("a SCION header").path.to_vec();
        assert_eq!(interfaces(&path), Some(vec![3, 3]));
    }

    #[test]
    fn the_reversal_of_a_reversal_is_the_path() {
        let packet = captured();
        let path = Header::parse(&packet).expect("a SCION header").path.to_vec();
        let back = reverse(&path).expect("reversible");
        assert_eq!(back[4] & 1, 0, "the last segment, walked in construction direction, is now first and against it");
        assert_eq!(back[12] & 1, 1);
        assert_eq!(reverse(&back), Some(path));
        assert_eq!(reverse(&[]), Some(Vec::new()), "within an AS");
    }

    #[test]
    fn the_router_at_the_end_is_alerted_by_a_flag_of_the_last_hop_field() {
        let packet = captured();
        let path = Header::parse(&packet).expect("a SCION header").path.to_vec();
        let alerted = alert_last_router(&path).expect("a router");
        let changed: Vec<_> = (0..path.len()).filter(|&at| path[at] != alerted[at]).collect();
        assert_eq!((changed, alerted[32]), (vec![32], 0b10), "travelled in construction direction");
        let mut against = path;
        against[12] &= !1;
        assert_eq!(alert_last_router(&against).expect("a router")[32], 0b01, "travelled against it");
        assert_eq!(alert_last_router(&[]), None);
    }

    #[test]
    fn a_path_longer_than_a_header_can_say_is_refused() {
        let at = (IsdAs(1), IpAddr::from([127, 0, 0, 1]));
        assert!(write(&mut Vec::new(), at, at, &[0; 1024], UDP).is_none());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (Header::parse(&bytes).is_some(), interfaces(&bytes), reverse(&bytes));
        }

        #[test]
        fn no_damage_of_a_packet_panics(at in 0usize..92, to: u8, cut in 0usize..93) {
            let mut packet = captured();
            packet[at] = to;
            packet.truncate(cut);
            if let Some(header) = Header::parse(&packet) {
                let _ = (interfaces(header.path), reverse(header.path));
            }
        }

        #[test]
        fn what_is_written_is_read(from: (u64, IpAddr), to: (u64, IpAddr)) {
            let (from, to) = ((IsdAs(from.0), from.1), (IsdAs(to.0), to.1));
            let mut bytes = Vec::new();
            prop_assert!(write(&mut bytes, from, to, &[], UDP).is_some());
            let header = Header::parse(&bytes).expect("own header");
            prop_assert_eq!((header.source, header.destination, header.len), (from, to, bytes.len()));
        }
    }
}
