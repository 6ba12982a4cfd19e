//! What is known of the server at the other end of a leaf connection.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use natsd_auth::Permissions;

/// The other end, and what this one is to it.
pub(crate) struct LeafPeer {
    /// Its name.
    pub name: String,
    /// Its cluster; its own name if it is in none. Never empty, and one word.
    pub cluster: Arc<[u8]>,
    /// The account over there.
    pub account: String,
    /// The other end is the hub.
    pub spoke: bool,
    /// We dialled.
    pub solicited: bool,
    /// It speaks WebSocket.
    pub websocket: bool,
    /// It is told nothing of the interest of other leaf nodes.
    pub isolated: bool,
    /// It tells its part of the trace of a message.
    pub traces: bool,
    /// What we may send there, as `publish`, and ask for, as `subscribe`. `None` is everything.
    pub rules: ArcSwapOption<Permissions>,
}

impl LeafPeer {
    /// Whether messages to `subject` may be sent there.
    pub(crate) fn may_send(&self, subject: &[u8]) -> bool {
        is_internal(subject) || self.rules.load().as_ref().is_none_or(|rules| rules.may_publish(subject))
    }

    /// Whether the other end may be told that somebody here wants `subject`.
    pub(crate) fn may_ask(&self, subject: &[u8]) -> bool {
        self.rules.load().as_ref().is_none_or(|rules| rules.may_ask(subject))
    }

    /// Whether a message to `subject` may come from there.
    pub(crate) fn may_come(&self, subject: &[u8]) -> bool {
        is_internal(subject) || self.may_ask(subject)
    }
}

/// Answers to other accounts, and what acknowledges messages of streams: servers alone make up such subjects.
pub(super) fn is_internal(subject: &[u8]) -> bool {
    subject.starts_with(b"_R_.") || subject.starts_with(b"$JS.ACK.")
}
