//! SCMP: router errors about packets of ours, and the questions that measure paths: echo and traceroute.
//!
//! Anyone can send an SCMP message. An error counts only when the packet that it quotes is one of ours: from our
//! address and port, to a peer that we talk to, over a path that we use.

use natsd_path::{Interface, IsdAs, ScionAddr, Scmp};

use crate::header::{self, Header};

const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
const TRACEROUTE_REQUEST: u8 = 130;
const TRACEROUTE_REPLY: u8 = 131;
/// An answer's AS and interface, which the request leaves zero.
const TRACEROUTE_FIELDS: usize = 16;

/// An SCMP message that concerns an end host.
#[derive(Debug, PartialEq)]
pub(crate) enum Message {
    /// A router could not forward a packet.
    Error { evidence: Scmp, quoted: Quoted },
    /// The answer to an echo or traceroute request.
    Reply { identifier: u16, sequence: u16 },
}

/// What an error says about the packet that caused it.
#[derive(Debug, PartialEq)]
pub(crate) struct Quoted {
    pub(crate) from: ScionAddr,
    pub(crate) to: ScionAddr,
    /// The interfaces crossed, in travel order.
    pub(crate) interfaces: Vec<u16>,
}

/// Parses the bytes behind the SCION header.
pub(crate) fn parse(message: &[u8]) -> Option<Message> {
    let &[kind, code, _, _] = message.first_chunk::<4>()?;
    let u64_at = |at: usize| Some(u64::from_be_bytes(message.get(at..at + 8)?.try_into().ok()?));
    let interface_at = |at| u16::try_from(u64_at(at)?).ok();
    let u16_at = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    let (evidence, quote) = match kind {
        5 => (Scmp::ExternalInterfaceDown(Interface { isd_as: IsdAs(u64_at(4)?), id: interface_at(12)? }), 20),
        6 => {
            let (ingress, egress) = (interface_at(12)?, interface_at(20)?);
            (Scmp::InternalConnectivityDown { isd_as: IsdAs(u64_at(4)?), ingress, egress }, 28)
        }
        4 if code == 52 => (Scmp::PathExpired, 8),
        1 | 2 | 4 => (Scmp::Other { kind, code }, 8),
        ECHO_REPLY | TRACEROUTE_REPLY => {
            return Some(Message::Reply { identifier: u16_at(4)?, sequence: u16_at(6)? });
        }
        _ => return None,
    };
    Some(Message::Error { evidence, quoted: Quoted::parse(message.get(quote..)?)? })
}

impl Quoted {
    /// Routers shorten quotes; the header and the first bytes behind it always remain.
    fn parse(quote: &[u8]) -> Option<Self> {
        let header = Header::parse(quote)?;
        let upper = quote.get(header.len..)?;
        let (source, destination) = match header.next {
            header::UDP => {
                (u16::from_be_bytes(*upper.first_chunk()?), u16::from_be_bytes(*upper.get(2..)?.first_chunk()?))
            }
            header::SCMP => (u16::from_be_bytes(*upper.get(4..)?.first_chunk()?), 0),
            _ => return None,
        };
        Some(Self {
            from: header::with_port(header.source, source),
            to: header::with_port(header.destination, destination),
            interfaces: header::interfaces(header.path)?,
        })
    }
}

/// A whole SCION packet with an echo request, which the host answers. `None`: the path does not fit a header.
pub(crate) fn echo_request(
    from: ScionAddr,
    to: ScionAddr,
    path: &[u8],
    sequence: u16,
    padding: usize,
) -> Option<Vec<u8>> {
    request(ECHO_REQUEST, from, to, path, sequence, padding)
}

/// A whole SCION packet with a traceroute request, which the last router of the path answers. `None`: there is no
/// router, or the path does not fit a header.
pub(crate) fn traceroute_request(from: ScionAddr, to: ScionAddr, path: &[u8], sequence: u16) -> Option<Vec<u8>> {
    let path = header::alert_last_router(path)?;
    request(TRACEROUTE_REQUEST, from, to, &path, sequence, TRACEROUTE_FIELDS)
}

fn request(kind: u8, from: ScionAddr, to: ScionAddr, path: &[u8], sequence: u16, padding: usize) -> Option<Vec<u8>> {
    let mut packet = Vec::new();
    let pseudo = header::write(&mut packet, (from.isd_as, from.host), (to.isd_as, to.host), path, header::SCMP)?;
    let start = packet.len();
    packet.extend_from_slice(&[kind, 0, 0, 0]);
    packet.extend_from_slice(&from.port.to_be_bytes());
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.resize(packet.len() + padding, 0);
    let len = u16::try_from(packet.len() - start).ok()?;
    packet[6..8].copy_from_slice(&len.to_be_bytes());
    let sum = pseudo.add_u16(len).add(&packet[start..]).finish();
    packet[start + 2..start + 4].copy_from_slice(&sum);
    Some(packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::tests::captured;
    use proptest::prelude::*;

    fn interface_down(quote: &[u8]) -> Vec<u8> {
        let mut message = vec![5, 0, 0, 0];
        message.extend_from_slice(&0x0001_ff00_0000_0111u64.to_be_bytes());
        message.extend_from_slice(&3u64.to_be_bytes());
        message.extend_from_slice(quote);
        message
    }

    #[test]
    fn interface_down_names_the_interface_and_the_packet() {
        let Some(Message::Error { evidence, quoted }) = parse(&interface_down(&captured())) else {
            panic!("an error message")
        };
        assert_eq!(evidence.to_string(), "interface 1-ff00:0:111#3 is down");
        assert_eq!(quoted.from.to_string(), "[1-ff00:0:111,127.20.111.10]:50000");
        assert_eq!(quoted.to.to_string(), "[1-ff00:0:112,127.20.112.10]:4222");
        assert_eq!(quoted.interfaces, [3, 3]);
    }

    #[test]
    fn a_shortened_quote_suffices_as_long_as_the_ports_are_there() {
        assert!(parse(&interface_down(&captured()[..84])).is_some());
        assert!(parse(&interface_down(&captured()[..83])).is_none());
    }

    #[test]
    fn an_echo_request_is_a_packet_that_quotes_well() {
        let from: ScionAddr = "1-ff00:0:111,127.0.0.1:5555".parse().expect("address");
        let to: ScionAddr = "1-ff00:0:112,127.0.0.2:0".parse().expect("address");
        let packet = echo_request(from, to, &[], 7, 10).expect("fits");
        assert_eq!(Quoted::parse(&packet), Some(Quoted { from, to, interfaces: vec![] }));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in prop_oneof![Just(1u8), Just(2), Just(4), Just(5), Just(6), Just(129)], rest: Vec<u8>) {
            let _ = parse(&[&[kind][..], &rest].concat());
        }
    }
}
