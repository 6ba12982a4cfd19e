//! What the operations of one read have in common: whom they wrote to, and what they add up to.

use std::sync::Arc;
use std::time::Instant;

use super::{Kind, Link};
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::hub::matches::Matches;
use crate::hub::subscription::Subscription;

/// The work of a link between reading and flushing.
pub(crate) struct Batch {
    now: Option<Instant>,
    touched: Vec<Arc<Link>>,
    expired: Vec<Arc<Subscription>>,
    stall: bool,
    active: bool,
    /// What `received` and `sent` are of.
    account: Option<Arc<Account>>,
    received: Tally,
    sent: Tally,
    /// What was received besides, of accounts before.
    read: (u64, u64),
    /// Picks members of queue groups.
    pub rng: fastrand::Rng,
    /// What was matched last, if it is in no cache.
    pub matches: Matches,
    /// What a mapping made of the subject published last.
    pub mapped: Vec<u8>,
    /// What a subject is called in the account that imports it.
    pub imported: Vec<u8>,
}

/// Messages and bytes, of clients, of leaf connections, of other clusters, and in all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub msgs: u64,
    pub bytes: u64,
    pub client_msgs: u64,
    pub client_bytes: u64,
    pub leaf_msgs: u64,
    pub leaf_bytes: u64,
    pub gateway_msgs: u64,
    pub gateway_bytes: u64,
}

impl Tally {
    fn count(&mut self, kind: Kind, bytes: usize) {
        self.msgs += 1;
        self.bytes += bytes as u64;
        if kind == Kind::Client {
            self.client_msgs += 1;
            self.client_bytes += bytes as u64;
        } else if kind == Kind::Leaf {
            self.leaf_msgs += 1;
            self.leaf_bytes += bytes as u64;
        } else if kind == Kind::Gateway {
            self.gateway_msgs += 1;
            self.gateway_bytes += bytes as u64;
        }
    }
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            now: None,
            touched: Vec::new(),
            expired: Vec::new(),
            stall: false,
            active: false,
            account: None,
            received: Tally::default(),
            sent: Tally::default(),
            read: (0, 0),
            rng: fastrand::Rng::new(),
            matches: Matches::default(),
            mapped: Vec::new(),
            imported: Vec::new(),
        }
    }
}

impl Batch {
    /// The time at which the batch began, if anything happened in it.
    pub(crate) fn now(&mut self) -> Option<Instant> {
        self.now.or_else(|| {
            self.now = Some(Instant::now());
            self.now
        })
    }

    /// `link` is to be flushed.
    pub(crate) fn touch(&mut self, link: &Arc<Link>) {
        self.touched.push(link.clone());
    }

    /// `subscription` had all that it asked for.
    pub(crate) fn expire(&mut self, subscription: &Arc<Subscription>) {
        self.expired.push(subscription.clone());
    }

    /// A receiver is slow.
    pub(crate) fn stall(&mut self) {
        self.stall = true;
    }

    /// There was a change of subscriptions.
    pub(crate) fn act(&mut self) {
        self.active = true;
    }

    /// What is counted from now on is of `account`.
    pub(crate) fn enter(&mut self, account: &Arc<Account>, hub: &Hub) {
        if !self.account.as_ref().is_some_and(|known| Arc::ptr_eq(known, account)) {
            self.post(hub);
            self.account = Some(account.clone());
        }
    }

    /// What is counted from now on is of no account that there is.
    pub(crate) fn enter_none(&mut self, hub: &Hub) {
        self.post(hub);
        self.account = None;
    }

    /// Adds what was counted to what the account and the server count.
    fn post(&mut self, hub: &Hub) {
        if self.received.msgs > 0 {
            let received = std::mem::take(&mut self.received);
            self.read.0 += received.msgs;
            self.read.1 += received.bytes;
            hub.stats.received.add(&received);
            if let Some(account) = &self.account {
                account.traffic.received.add(&received);
            }
        }
        if self.sent.msgs > 0 {
            let sent = std::mem::take(&mut self.sent);
            hub.stats.sent.add(&sent);
            if let Some(account) = &self.account {
                account.traffic.sent.add(&sent);
            }
        }
    }

    /// A message was received from a link of this kind.
    pub(crate) fn count_received(&mut self, kind: Kind, bytes: usize) {
        self.active = true;
        self.received.count(kind, bytes);
    }

    /// A message was sent to a link of this kind.
    pub(crate) fn count_sent(&mut self, kind: Kind, bytes: usize) {
        self.sent.count(kind, bytes);
    }

    /// Removes the subscriptions that had all they asked for, so that the next message does not find them.
    pub(crate) fn settle(&mut self, hub: &Hub) {
        for subscription in self.expired.drain(..) {
            hub.unsubscribe(&subscription);
        }
    }

    /// Flushes all that were written to. Returns whether the one who read should pause for a slow receiver.
    pub(crate) fn finish(&mut self, hub: &Hub, reader: &Link) -> bool {
        self.flush(hub);
        if std::mem::take(&mut self.active)
            && let Some(now) = self.now()
        {
            reader.touch(now);
        }
        let (msgs, bytes) = std::mem::take(&mut self.read);
        if msgs > 0 {
            reader.received.add(msgs, bytes);
        }
        self.now = None;
        std::mem::take(&mut self.stall)
    }

    /// As [`finish`](Self::finish), of what the server itself did.
    pub(crate) fn flush(&mut self, hub: &Hub) {
        self.settle(hub);
        for link in self.touched.drain(..) {
            link.flush();
        }
        self.post(hub);
    }

    /// Gives memory back: nothing has come for a while.
    pub(crate) fn shrink(&mut self) {
        self.touched = Vec::new();
        self.expired = Vec::new();
        self.matches = Matches::default();
    }
}
