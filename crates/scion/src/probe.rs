//! Probes: "does this path carry packets of this size?" asked of natsd by natsd, beside QUIC on the same port.
//!
//! ```text
//! 0      1     2     3        4      5..13          ..size
//! 0x00   'n'   'P'   version  type   token (u64)    zeros
//! ```
//! The first byte has QUIC's fixed bit (0x40) clear, so that neither can be taken for the other (RFC 9443). The answer
//! has the request's size and token and returns over the reverse of the path that the request came by: both directions
//! are tested, also for size, and nothing is amplified.

/// The shortest probe.
pub(crate) const MIN: usize = 13;

const MAGIC: [u8; 4] = [0, b'n', b'P', 1];
const REQUEST: u8 = 1;
const REPLY: u8 = 2;
const UNANSWERED: u8 = 3;

/// A probe's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Please answer.
    Request(u64),
    /// Please answer; and nothing has answered my data of late.
    Unanswered(u64),
    /// The answer.
    Reply(u64),
}

impl Probe {
    /// `None`: not a probe.
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let (magic, rest) = payload.split_first_chunk::<4>()?;
        let (kind, rest) = rest.split_first()?;
        let token = u64::from_be_bytes(*rest.first_chunk()?);
        match (*magic == MAGIC, *kind) {
            (true, REQUEST) => Some(Probe::Request(token)),
            (true, REPLY) => Some(Probe::Reply(token)),
            (true, UNANSWERED) => Some(Probe::Unanswered(token)),
            _ => None,
        }
    }

    /// The datagram, padded to `size`.
    pub(crate) fn encode(self, size: usize) -> Vec<u8> {
        let (kind, token) = match self {
            Probe::Request(token) => (REQUEST, token),
            Probe::Reply(token) => (REPLY, token),
            Probe::Unanswered(token) => (UNANSWERED, token),
        };
        let mut bytes = Vec::with_capacity(size.max(MIN));
        bytes.extend_from_slice(&MAGIC);
        bytes.push(kind);
        bytes.extend_from_slice(&token.to_be_bytes());
        bytes.resize(size.max(MIN), 0);
        bytes
    }
}

/// Whether a payload is QUIC's: its fixed bit is set.
pub(crate) fn is_quic(payload: &[u8]) -> bool {
    payload.first().is_some_and(|byte| byte & 0x40 != 0)
}

/// Whether a payload may open a QUIC connection: a long header, padded as RFC 9000 (14.1) demands.
pub(crate) fn may_open_quic(payload: &[u8]) -> bool {
    payload.len() >= 1200 && payload[0] & 0xc0 == 0xc0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_probe_is_never_quic() {
        assert!(!is_quic(&Probe::Request(u64::MAX).encode(100)));
    }

    #[test]
    fn quic_is_never_a_probe() {
        assert_eq!(Probe::parse(&[0x40; 100]), None);
        assert!(!may_open_quic(&[0xc0; 1199]) && may_open_quic(&[0xc0; 1200]) && !may_open_quic(&[0x40; 1200]));
    }

    proptest! {
        #[test]
        fn probes_survive_the_wire(token: u64, size in 0usize..1500) {
            for probe in [Probe::Request(token), Probe::Unanswered(token), Probe::Reply(token)] {
                let bytes = probe.encode(size);
                prop_assert_eq!(bytes.len(), size.max(MIN));
                prop_assert_eq!(Probe::parse(&bytes), Some(probe));
            }
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = Probe::parse(&bytes);
        }
    }
}
