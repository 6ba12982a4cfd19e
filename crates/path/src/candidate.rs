//! A path as the SCION daemon (or the operator, for TCP) describes it, before anything is measured.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::IsdAs;
use crate::siphash::siphash24;

/// One end of an inter-AS link: the interface of an AS that a path crosses. Prints `1-ff00:0:111#3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface {
    /// The AS that the interface belongs to.
    pub isd_as: IsdAs,
    /// The interface number, unique in its AS.
    pub id: u16,
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.isd_as, self.id)
    }
}

/// Why a text is no interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an interface looks like 1-ff00:0:111#3")]
pub struct InterfaceError;

impl FromStr for Interface {
    type Err = InterfaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (isd_as, id) = text.split_once('#').ok_or(InterfaceError)?;
        let isd_as = isd_as.parse().map_err(|_| InterfaceError)?;
        Ok(Self { isd_as, id: id.parse().map_err(|_| InterfaceError)? })
    }
}

/// What makes a path the same path after a refresh: a hash of its interfaces in travel order.
///
/// The same in every process and release, so that two servers and their logs agree. Prints as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 8]);

impl Fingerprint {
    /// The TCP/IP fallback of a peer, which has no interfaces.
    pub const TCP: Self = Self(*b"tcp/ip\0\0");

    /// The fingerprint of a SCION path that crosses `interfaces` in this order.
    pub fn of(interfaces: &[Interface]) -> Self {
        let mut bytes = Vec::with_capacity(interfaces.len() * 10);
        for interface in interfaces {
            bytes.extend_from_slice(&interface.isd_as.0.to_be_bytes());
            bytes.extend_from_slice(&interface.id.to_be_bytes());
        }
        Self(siphash24(0, 0, &bytes).to_be_bytes())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// Why a text is no fingerprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint is 16 hexadecimal digits, as natsd paths and /pathz show it")]
pub struct FingerprintError;

impl FromStr for Fingerprint {
    type Err = FingerprintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = Some(text).filter(|text| text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let number = u64::from_str_radix(digits.ok_or(FingerprintError)?, 16).map_err(|_| FingerprintError)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What carries the packets of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A SCION path.
    Scion,
    /// A pair of addresses, one of each end, between which UDP goes as the Internet routes it.
    Ip,
    /// The TCP/IP fallback of a peer; ranks after every other path.
    Tcp,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Scion => "SCION",
            Kind::Ip => "UDP/IP",
            Kind::Tcp => "TCP/IP",
        })
    }
}

/// A path that could be used, with what its ASes announce about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Identity across refreshes.
    pub fingerprint: Fingerprint,
    /// SCION or the TCP/IP fallback.
    pub kind: Kind,
    /// The interfaces crossed, in travel order, two a link. Empty for TCP and within an AS.
    pub interfaces: Vec<Interface>,
    /// The largest SCION packet in bytes, 0 when unknown.
    pub mtu: u16,
    /// How many bytes of each packet precede its payload, 0 when unknown.
    pub overhead: u16,
    /// When the routers stop accepting it; `None` when it does not expire.
    pub expiry: Option<Instant>,
    /// Announced one-way latency of the whole path; `None` when any part is unannounced.
    pub latency: Option<Duration>,
    /// Announced bottleneck bandwidth in kbit/s; `None` when any part is unannounced.
    pub bandwidth: Option<u64>,
    /// What it costs by the operator's table, which fills this in; `None` when that does not tell.
    pub cost: Option<u64>,
    /// The same of carbon.
    pub carbon: Option<u64>,
}

impl Candidate {
    /// The TCP/IP fallback of a peer.
    pub fn tcp() -> Self {
        Self {
            fingerprint: Fingerprint::TCP,
            kind: Kind::Tcp,
            interfaces: Vec::new(),
            mtu: 0,
            overhead: 0,
            expiry: None,
            latency: None,
            bandwidth: None,
            cost: None,
            carbon: None,
        }
    }

    /// The way back.
    pub(crate) fn reversed(&self) -> Self {
        let interfaces: Vec<_> = self.interfaces.iter().rev().copied().collect();
        Self { fingerprint: Fingerprint::of(&interfaces), interfaces, ..self.clone() }
    }

    /// Inter-AS links crossed.
    pub fn hops(&self) -> usize {
        self.interfaces.len() / 2
    }

    /// How many interfaces of this path `other` crosses too.
    pub(crate) fn shared_interfaces(&self, other: &Candidate) -> usize {
        self.interfaces.iter().filter(|i| other.interfaces.contains(i)).count()
    }

    /// How often `crowd` names an interface of this path.
    pub(crate) fn crowding(&self, crowd: &[Interface]) -> usize {
        crowd.iter().filter(|interface| self.crosses(**interface)).count()
    }

    pub(crate) fn crosses(&self, interface: Interface) -> bool {
        self.interfaces.contains(&interface)
    }

    /// Whether the path enters `isd_as` by one of the two interfaces and leaves it by the other.
    pub(crate) fn passes_through(&self, isd_as: IsdAs, ingress: u16, egress: u16) -> bool {
        let transits = self.interfaces.get(1..).unwrap_or_default().chunks_exact(2);
        transits.into_iter().any(|transit| {
            let ids = (transit[0].id, transit[1].id);
            transit.iter().all(|i| i.isd_as == isd_as) && (ids == (ingress, egress) || ids == (egress, ingress))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interfaces(list: &[(u64, u16)]) -> Vec<Interface> {
        list.iter().map(|&(asn, id)| Interface { isd_as: IsdAs(1 << 48 | 0xff00_0000_0000 | asn), id }).collect()
    }

    fn scion(list: &[(u64, u16)]) -> Candidate {
        let interfaces = interfaces(list);
        Candidate { fingerprint: Fingerprint::of(&interfaces), kind: Kind::Scion, interfaces, ..Candidate::tcp() }
    }

    #[test]
    fn interfaces_print_as_scion_tools_print_them() {
        let interface = interfaces(&[(0x111, 3)])[0];
        assert_eq!(interface.to_string(), "1-ff00:0:111#3");
        assert_eq!("1-ff00:0:111#3".parse(), Ok(interface));
        assert!("1-ff00:0:111".parse::<Interface>().is_err() && "1#3".parse::<Interface>().is_err());
    }

    #[test]
    fn a_fingerprint_depends_on_interfaces_and_their_order_only() {
        let print = |list: &[(u64, u16)]| Fingerprint::of(&interfaces(list)).to_string();
        assert_eq!(print(&[(0x111, 1), (0x112, 2)]), print(&[(0x111, 1), (0x112, 2)]));
        assert_ne!(print(&[(0x111, 1), (0x112, 2)]), print(&[(0x112, 2), (0x111, 1)]));
        assert_eq!(print(&[]), "1e924b9d737700d7", "stable across processes and releases");
        assert_eq!("1e924b9d737700d7".parse(), Ok(Fingerprint::of(&[])));
        assert!("+e924b9d737700d7".parse::<Fingerprint>().is_err() && "1e92".parse::<Fingerprint>().is_err());
    }

    #[test]
    fn a_transit_matches_in_both_directions_and_not_across_links() {
        let path = scion(&[(0x111, 1), (0x110, 2), (0x110, 3), (0x112, 4)]);
        let transit = path.interfaces[1].isd_as;
        assert!(path.passes_through(transit, 2, 3) && path.passes_through(transit, 3, 2));
        assert!(!path.passes_through(transit, 2, 4));
        assert!(!path.passes_through(path.interfaces[0].isd_as, 1, 2));
        assert!(!Candidate::tcp().passes_through(transit, 2, 3));
        assert_eq!((path.hops(), Candidate::tcp().hops()), (2, 0));
    }
}
