//! Several connections between two servers that share out the messages of one class, whose order is kept.
//!
//! The sender numbers the messages, and its [`Scheduler`] picks the connection by which each one is expected to arrive first;
//! so every connection carries what its path can, and none waits for another one. The receiver's [`Resequencer`] brings them
//! into order again. Only natsd does this.
//!
//! | line | says |
//! |---|---|
//! | `SEQ epoch number` | the next message on this connection has this number, those after it the next ones |
//! | `ASK offset` | answer this at once |
//! | `GOT offset` | the answer: what was sent before that has come |
//!
//! Numbers begin with 1 in each epoch. An epoch begins when the sender has none of the connections before. A connection takes
//! messages once its first `ASK` is answered: the receiver then knows of it, and does not take what it still has to bring for lost.

mod resequencer;
mod scheduler;
mod windowed;

pub use resequencer::{Arrival, Disorder, MAX_HELD_BYTES, MAX_HELD_MESSAGES, Resequencer};
pub use scheduler::{Dealt, Scheduler};

use std::fmt;

use super::wire::Tokens;

/// Connections that share out the messages of one class, whatever the peer asks for.
pub const MAX_CONNECTIONS: u16 = 8;

/// One of several connections, by any number that no other one of them has.
pub type Lane = u64;

/// A place in the messages of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Later ones are higher.
    pub epoch: u64,
    /// Of a message in it.
    pub number: u64,
}

/// One operation of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// `SEQ`.
    Sequence(Position),
    /// `ASK`.
    Ask(u64),
    /// `GOT`.
    Got(u64),
}

impl Op {
    /// Reads what comes after the verb; `None` if it is another one's, `Some(None)` if it cannot be right.
    #[allow(clippy::option_option)]
    pub(super) fn read(verb: &[u8], args: &[u8]) -> Option<Option<Self>> {
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        let mut args = Tokens(args);
        let mut number = || std::str::from_utf8(args.next()?).ok()?.parse().ok();
        let op = if is(b"SEQ") {
            number().zip(number()).map(|(epoch, number)| Self::Sequence(Position { epoch, number }))
        } else if is(b"ASK") {
            number().map(Self::Ask)
        } else if is(b"GOT") {
            number().map(Self::Got)
        } else {
            return None;
        };
        Some(op.filter(|_| args.is_empty()))
    }

    /// Appends the line.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// The line, without its end.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequence(Position { epoch, number }) => write!(f, "SEQ {epoch} {number}"),
            Self::Ask(offset) => write!(f, "ASK {offset}"),
            Self::Got(offset) => write!(f, "GOT {offset}"),
        }
    }
}

#[cfg(test)]
mod tests;
