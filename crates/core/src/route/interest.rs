//! What a server tells its peers of its clients' subscriptions: each subject once, however many subscribe to it, and
//! each queue group with the number of its members.

use super::encode::{write_leaf_subscribe, write_leaf_unsubscribe, write_subscribe, write_unsubscribe};

/// Which connection of a pool of `pool_size` carries the interest in `account`: FNV-1a, so that both ends of equal
/// pools choose the same one. Messages travel where the interest came from.
pub fn pool_slot(account: &[u8], pool_size: u16) -> u16 {
    if pool_size <= 1 {
        return 0;
    }
    let hash = account.iter().fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    (hash % u32::from(pool_size)) as u16
}

/// A change of local interest that peers must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The first plain subscription to a subject came (`true`), or the last one went (`false`).
    Plain {
        /// The subject, with wildcards.
        subject: &'a [u8],
        /// Whether there is one now.
        interested: bool,
    },
    /// A queue group has this many members now.
    Queue {
        /// The subject, with wildcards.
        subject: &'a [u8],
        /// The group.
        queue: &'a [u8],
        /// Members here; 0 when the last one left.
        members: u32,
    },
}

impl<'a> Change<'a> {
    /// What it is about, with wildcards.
    pub fn subject(&self) -> &'a [u8] {
        match *self {
            Self::Plain { subject, .. } | Self::Queue { subject, .. } => subject,
        }
    }

    /// The same interest, when there is none any more.
    pub fn ended(self) -> Self {
        match self {
            Self::Plain { subject, .. } => Self::Plain { subject, interested: false },
            Self::Queue { subject, queue, .. } => Self::Queue { subject, queue, members: 0 },
        }
    }

    /// Appends the line that tells a peer; `account` is `None` on a route dedicated to it.
    pub fn write(&self, out: &mut Vec<u8>, account: Option<&[u8]>) {
        match *self {
            Self::Plain { subject, interested: true } => write_subscribe(out, account, subject, None),
            Self::Plain { subject, interested: false } => write_unsubscribe(out, account, subject, None),
            Self::Queue { subject, queue, members: 0 } => write_unsubscribe(out, account, subject, Some(queue)),
            Self::Queue { subject, queue, members } => write_subscribe(out, account, subject, Some((queue, members))),
        }
    }

    /// As [`write`](Self::write), of interest of leaf nodes of the cluster `origin`; `gone` if the peer understands whose it
    /// was that is gone.
    pub fn write_of_leafs(&self, out: &mut Vec<u8>, (origin, gone): (&[u8], bool), account: Option<&[u8]>) {
        let left = gone.then_some(origin);
        match *self {
            Self::Plain { subject, interested: true } => write_leaf_subscribe(out, origin, account, subject, None),
            Self::Plain { subject, interested: false } => write_leaf_unsubscribe(out, left, account, subject, None),
            Self::Queue { subject, queue, members: 0 } => {
                write_leaf_unsubscribe(out, left, account, subject, Some(queue));
            }
            Self::Queue { subject, queue, members } => {
                write_leaf_subscribe(out, origin, account, subject, Some((queue, members)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_go_where_nats_server_puts_them() {
        // Seen on the wire: with a pool of 3, nats-server 2.15 sends `RS+ $G` on the connection with index 2.
        assert_eq!(pool_slot(b"$G", 3), 2);
        assert_eq!(pool_slot(b"$G", 1), 0);
        assert_eq!(pool_slot(b"$G", 0), 0);
    }

    #[test]
    fn each_change_is_one_line() {
        let mut out = Vec::new();
        Change::Plain { subject: b"a", interested: true }.write(&mut out, Some(b"$G"));
        Change::Queue { subject: b"a", queue: b"q", members: 2 }.write(&mut out, Some(b"$G"));
        Change::Queue { subject: b"a", queue: b"q", members: 0 }.write(&mut out, Some(b"$G"));
        Change::Plain { subject: b"a", interested: false }.write(&mut out, None);
        assert_eq!(out, b"RS+ $G a\r\nRS+ $G a q 2\r\nRS- $G a q\r\nRS- a\r\n");
        let mut out = Vec::new();
        Change::Plain { subject: b"a", interested: true }.ended().write(&mut out, None);
        Change::Queue { subject: b"a", queue: b"q", members: 2 }.ended().write(&mut out, None);
        assert_eq!(out, b"RS- a\r\nRS- a q\r\n");
    }

    #[test]
    fn interest_of_leaf_nodes_names_their_cluster() {
        let (mut out, old) = (Vec::new(), (&b"L"[..], false));
        let new = (old.0, true);
        Change::Plain { subject: b"a", interested: true }.write_of_leafs(&mut out, new, Some(b"$G"));
        Change::Queue { subject: b"a", queue: b"q", members: 2 }.write_of_leafs(&mut out, old, None);
        Change::Queue { subject: b"a", queue: b"q", members: 0 }.write_of_leafs(&mut out, new, Some(b"$G"));
        Change::Plain { subject: b"a", interested: false }.write_of_leafs(&mut out, old, Some(b"$G"));
        assert_eq!(out, b"LS+ L $G a\r\nLS+ L a q 2\r\nLS- L $G a q\r\nLS- $G a\r\n");
    }
}
