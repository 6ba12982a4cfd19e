//! WebSocket (RFC 6455), the side of a server: the handshake ([`upgrade`]), the frames of a client ([`frame`]) and those sent
//! to it ([`framing`]), compression ([`deflate`]), and how a connection ends ([`close`]).
//!
//! What is inside of the messages is a stream of bytes, the NATS protocol; where one message ends and the next begins says
//! nothing.

pub mod close;
pub mod deflate;
pub mod frame;
pub mod framing;
pub mod origin;
pub mod upgrade;

/// The most that one compressed message of a client may become, in multiples of `max_payload`.
const MAX_MESSAGE_MULTIPLE: usize = 8;
/// The same in bytes, whatever `max_payload` is.
const MAX_MESSAGE: usize = 64 << 20;

/// Bytes that one compressed message may hold where `max_payload` is this. It bounds work, not memory: nothing of a message
/// waits for its end.
pub fn max_message(max_payload: usize) -> usize {
    max_payload.saturating_mul(MAX_MESSAGE_MULTIPLE).min(MAX_MESSAGE)
}
