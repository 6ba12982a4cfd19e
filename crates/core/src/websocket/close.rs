//! How a connection ends: close frames, and which status a reason has.

use super::frame::{FrameError, MAX_CONTROL};
use super::framing::write_control;
use crate::error::CloseReason;

const NORMAL: u16 = 1000;
const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const INVALID_PAYLOAD: u16 = 1007;
const POLICY_VIOLATION: u16 = 1008;
const TOO_BIG: u16 = 1009;
const INTERNAL_ERROR: u16 = 1011;
const TLS_HANDSHAKE: u16 = 1015;

/// What a client says at its end, and is to be told in turn: a status and a text, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell(Option<(u16, String)>);

impl Farewell {
    /// Reads what is inside of a close frame.
    ///
    /// # Errors
    ///
    /// When it is half a status, or one that nobody may send.
    pub fn read(payload: &[u8]) -> Result<Self, FrameError> {
        let text = match payload {
            [] => return Ok(Self(None)),
            [_] => return Err(FrameError::HalfStatus),
            [_, _, text @ ..] => text,
        };
        let status = u16::from_be_bytes([payload[0], payload[1]]);
        if !may_be_sent(status) {
            return Err(FrameError::Status(status));
        }
        Ok(Self(Some(match std::str::from_utf8(text) {
            Ok(text) => (status, text.to_owned()),
            Err(_) => (INVALID_PAYLOAD, "invalid utf8 body in close frame".to_owned()),
        })))
    }

    /// The answer to a client that broke the rules.
    pub fn to_protocol_error(error: &FrameError) -> Self {
        Self(Some((PROTOCOL_ERROR, error.to_string())))
    }

    /// The answer to a message that does not end.
    pub fn too_big() -> Self {
        Self(Some((TOO_BIG, CloseReason::MaxPayload.to_string())))
    }

    /// The answer to a message that is not what it says.
    pub fn invalid_payload(why: &str) -> Self {
        Self(Some((INVALID_PAYLOAD, why.to_owned())))
    }

    /// What is said when the server ends a connection.
    pub fn because(reason: &CloseReason) -> Self {
        Self(Some((status(reason), reason.to_string())))
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut payload = Vec::new();
        if let Some((status, text)) = &self.0 {
            payload.extend(status.to_be_bytes());
            payload.extend_from_slice(text.as_bytes());
            if payload.len() > MAX_CONTROL {
                const MORE: &str = "...";
                let mut end = MAX_CONTROL - 2 - MORE.len();
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                payload.truncate(2 + end);
                payload.extend_from_slice(MORE.as_bytes());
            }
        }
        write_control(out, 8, &payload);
    }
}

/// Whether an end of a connection may send it, and not only see it.
fn may_be_sent(status: u16) -> bool {
    matches!(status, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// As nats-server maps its reasons.
fn status(reason: &CloseReason) -> u16 {
    match reason {
        CloseReason::ClientClosed | CloseReason::CompressionChanged => NORMAL,
        CloseReason::AuthenticationTimeout
        | CloseReason::AuthenticationFailure
        | CloseReason::SlowConsumerPendingBytes
        | CloseReason::SlowConsumerWriteDeadline
        | CloseReason::MaxConnections
        | CloseReason::MaxAccountConnections
        | CloseReason::AuthenticationExpired
        | CloseReason::Revocation
        | CloseReason::MaxControlLine => POLICY_VIOLATION,
        CloseReason::TlsHandshake => TLS_HANDSHAKE,
        CloseReason::ProtocolViolation | CloseReason::BadClientProtocolVersion => PROTOCOL_ERROR,
        CloseReason::MaxPayload => TOO_BIG,
        CloseReason::WriteError | CloseReason::ReadError | CloseReason::Stale | CloseReason::ServerShutdown => {
            GOING_AWAY
        }
        CloseReason::MessageHeaderViolation
        | CloseReason::NoRespondersRequiresHeaders
        | CloseReason::Kicked
        | CloseReason::WrongPort
        | CloseReason::MissingAccount
        | CloseReason::DuplicateLeaf
        | CloseReason::ClusterNamesIdentical
        | CloseReason::MinimumVersionRequired
        | CloseReason::ProxyNotTrusted
        | CloseReason::ProxyRequired
        | CloseReason::WrongGateway
        | CloseReason::DuplicateServerName
        | CloseReason::Route(_) => INTERNAL_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_sent_is_taken() {
        for status in [1000, 1003, 1007, 1011, 1014, 3000, 4999u16] {
            let farewell = Farewell::read(&status.to_be_bytes()).expect("a status");
            assert_eq!(farewell, Farewell(Some((status, String::new()))));
        }
        for status in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535u16] {
            assert_eq!(Farewell::read(&status.to_be_bytes()), Err(FrameError::Status(status)));
        }
        assert_eq!(Farewell::read(b""), Ok(Farewell(None)));
        assert_eq!(Farewell::read(b"\x03"), Err(FrameError::HalfStatus));
    }

    #[test]
    fn what_is_no_text_is_answered_so() {
        let mut out = Vec::new();
        Farewell::read(b"\x03\xe8\xff").expect("a status").write(&mut out);
        assert_eq!(out[2..4], INVALID_PAYLOAD.to_be_bytes());
        out.clear();
        Farewell::read(b"\x03\xe8bye").expect("a status").write(&mut out);
        assert_eq!(out, b"\x88\x05\x03\xe8bye");
        out.clear();
        Farewell(None).write(&mut out);
        assert_eq!(out, b"\x88\x00");
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        let mut out = Vec::new();
        Farewell(Some((NORMAL, "ä".repeat(100)))).write(&mut out);
        assert!(out.len() <= MAX_CONTROL + 2 && usize::from(out[1]) == out.len() - 2);
        let text = std::str::from_utf8(&out[4..]).expect("text");
        assert!(text.ends_with("ä..."), "{text}");
    }
}
