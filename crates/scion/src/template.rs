//! Header templates: all that precedes the payload of every datagram to one peer over one path, written once.

use std::net::{IpAddr, SocketAddr};

use natsd_path::{IsdAs, PathId, ScionAddr};

use crate::checksum::Checksum;
use crate::header;

/// Everything needed to send to one peer over one path: copy it, patch two lengths and the checksum.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Box<[u8]>,
    pseudo: Checksum,
    /// The border router; within an AS the peer itself.
    pub(crate) next_hop: SocketAddr,
    /// Our address on the way, if it is not the system's choice.
    pub(crate) source: Option<IpAddr>,
    /// The path manager's name for the path; `None` when it does not know it (a received path, reversed).
    pub(crate) path: Option<PathId>,
}

impl Template {
    /// `None`: the raw path does not fit a header.
    pub(crate) fn new(
        from: ScionAddr,
        to: ScionAddr,
        raw_path: &[u8],
        next_hop: SocketAddr,
        path: Option<PathId>,
    ) -> Option<Self> {
        let mut bytes = Vec::with_capacity(header_len(from.host, to.host, raw_path.len()));
        let pseudo = header::write(&mut bytes, (from.isd_as, from.host), (to.isd_as, to.host), raw_path, header::UDP)?;
        let ports = bytes.len();
        bytes.extend_from_slice(&from.port.to_be_bytes());
        bytes.extend_from_slice(&to.port.to_be_bytes());
        let pseudo = pseudo.add(&bytes[ports..]);
        bytes.extend_from_slice(&[0; 4]);
        Some(Self { bytes: bytes.into(), pseudo, next_hop, source: None, path })
    }

    /// What is sent leaves at this address of ours.
    pub(crate) fn leaving(self, source: Option<IpAddr>) -> Self {
        Self { source, ..self }
    }

    /// Where the system is to send from and to.
    pub(crate) fn hop(&self) -> (Option<IpAddr>, SocketAddr) {
        (self.source, self.next_hop)
    }

    /// Bytes before the payload.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Appends one whole datagram. Payloads above 65,527 bytes cannot occur (quinn's limit is 65,527) and are cut.
    pub(crate) fn append(&self, payload: &[u8], out: &mut Vec<u8>) {
        let payload = &payload[..payload.len().min(usize::from(u16::MAX) - 8)];
        let len = payload.len() as u16 + 8;
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        out.extend_from_slice(payload);
        let header = &mut out[start..start + self.bytes.len()];
        let udp = header.len() - 8;
        header[6..8].copy_from_slice(&len.to_be_bytes());
        header[udp + 4..udp + 6].copy_from_slice(&len.to_be_bytes());
        let sum = self.pseudo.add_u16(len).add_u16(len).add(payload);
        header[udp + 6..].copy_from_slice(&sum.finish());
    }

    /// Fills `out` with a batch of segments of `segment` bytes payload each (the last may be shorter), ready for GSO;
    /// returns the datagrams' size.
    pub(crate) fn fill(&self, payload: &[u8], segment: usize, out: &mut Vec<u8>) -> usize {
        out.clear();
        for part in payload.chunks(segment.max(1)) {
            self.append(part, out);
        }
        self.len() + segment
    }
}

/// Bytes before the payload for these hosts and a raw path of this length.
pub(crate) fn header_len(from: IpAddr, to: IpAddr, raw_path: usize) -> usize {
    let octets = |host: IpAddr| if host.is_ipv4() { 4 } else { 16 };
    12 + 16 + octets(from) + octets(to) + raw_path + 8
}

/// An address whose AS is not known yet (the daemon is down): reachable by TCP only.
pub(crate) const NO_AS: IsdAs = IsdAs(0);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{Header, tests::captured};

    fn of_captured() -> (Template, Vec<u8>) {
        let packet = captured();
        let path = Header::parse(&packet).expect("a SCION header").path.to_vec();
        let from = "1-ff00:0:111,127.20.111.10:50000".parse().expect("address");
        let to = "1-ff00:0:112,127.20.112.10:4222".parse().expect("address");
        let next_hop = SocketAddr::from(([127, 20, 111, 1], 30042));
        (Template::new(from, to, &path, next_hop, None).expect("fits"), packet)
    }

    #[test]
    fn a_datagram_equals_the_reference_implementations_byte_for_byte() {
        let (template, packet) = of_captured();
        let mut out = Vec::new();
        template.append(b"PING", &mut out);
        assert_eq!(out, packet);
        assert_eq!(template.len(), header_len([127, 0, 0, 1].into(), [127, 0, 0, 1].into(), 44));
    }

    #[test]
    fn segments_lie_one_behind_the_other_for_gso() {
        let (template, packet) = of_captured();
        let mut out = vec![1, 2, 3];
        assert_eq!(template.fill(b"PINGPINGPI", 4, &mut out), packet.len());
        assert_eq!((&out[..packet.len()], &out[packet.len()..2 * packet.len()]), (&packet[..], &packet[..]));
        let last = Header::parse(&out[2 * packet.len()..]).expect("a SCION header");
        assert_eq!((last.payload_len, out.len()), (8 + 2, 2 * packet.len() + template.len() + 2));
    }

    #[test]
    fn the_header_within_an_as_is_44_bytes() {
        assert_eq!(header_len([127, 0, 0, 1].into(), [127, 0, 0, 2].into(), 0), 44);
    }
}
