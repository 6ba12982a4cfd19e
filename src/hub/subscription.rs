//! Subscriptions of clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use natsd_core::sublist::Member;
use std::hash::BuildHasher;

use super::account::Account;
use super::imports::StreamImport;
use crate::link::Link;
use crate::link::batch::Batch;

/// A subscription of a client. Its counters change only under the lock of what is sent to the client.
pub(crate) struct Subscription {
    pub link: Arc<Link>,
    pub account: Arc<Account>,
    /// Subject, queue and sid, in one allocation.
    names: Box<[u8]>,
    subject_len: u32,
    queue_len: u32,
    place: AtomicU32,
    ended: AtomicBool,
    /// When it was made, in ticks.
    made: AtomicU16,
    delivered: AtomicU64,
    /// Ends after so many messages; 0 never.
    max: AtomicU64,
    /// Other servers do not hear of it.
    private: bool,
    /// If this is the shadow, in the account that exports, of a subscription in another one.
    imported: Option<Box<Imported>>,
}

/// What a subscription is the shadow of.
pub(crate) struct Imported {
    pub original: Arc<Subscription>,
    pub import: Arc<StreamImport>,
}

impl Subscription {
    pub(crate) fn new(
        link: Arc<Link>,
        account: Arc<Account>,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
    ) -> Self {
        let queue = queue.unwrap_or_default();
        Self {
            link,
            account,
            names: [subject, queue, sid].concat().into(),
            subject_len: subject.len() as u32,
            queue_len: queue.len() as u32,
            place: AtomicU32::new(0),
            ended: AtomicBool::new(false),
            made: AtomicU16::new(0),
            delivered: AtomicU64::new(0),
            max: AtomicU64::new(0),
            private: false,
            imported: None,
        }
    }

    /// The same, of which other servers do not hear.
    pub(crate) fn private(self) -> Self {
        Self { private: true, ..self }
    }

    /// Whether other servers do not hear of it.
    pub(crate) fn is_private(&self) -> bool {
        self.private
    }

    /// What `original` gets of `import` under the subject `foreign`, in the account that exports.
    pub(crate) fn shadow(original: &Arc<Self>, import: &Arc<StreamImport>, foreign: &[u8]) -> Self {
        let (link, account) = (original.link.clone(), import.exporter.clone());
        let imported = Imported { original: original.clone(), import: import.clone() };
        let shadow = Self::new(link, account, foreign, original.queue(), original.sid());
        Self { imported: Some(Box::new(imported)), ..shadow }
    }

    /// The same in another account; what was delivered so far counts.
    pub(crate) fn again(&self, account: Arc<Account>) -> Self {
        let again = Self::new(self.link.clone(), account, self.subject(), self.queue(), self.sid());
        let (delivered, max) = self.progress();
        Self { delivered: AtomicU64::new(delivered), max: AtomicU64::new(max), ..again }
    }

    /// Whether it is what a subscription gets of `import`.
    pub(crate) fn is_shadow_of(&self, import: &Arc<StreamImport>) -> bool {
        self.imported().is_some_and(|imported| Arc::ptr_eq(&imported.import, import))
    }

    /// What it is the shadow of, if it is one.
    pub(crate) fn imported(&self) -> Option<&Imported> {
        self.imported.as_deref()
    }

    pub(crate) fn subject(&self) -> &[u8] {
        &self.names[..self.subject_len as usize]
    }

    pub(crate) fn queue(&self) -> Option<&[u8]> {
        let start = self.subject_len as usize;
        Some(&self.names[start..start + self.queue_len as usize]).filter(|queue| !queue.is_empty())
    }

    pub(crate) fn sid(&self) -> &[u8] {
        &self.names[(self.subject_len + self.queue_len) as usize..]
    }

    /// Whether the client may get what was published to `subject`.
    pub(crate) fn may_get(&self, subject: &[u8]) -> bool {
        if let Some(Imported { original, import }) = self.imported() {
            let mut local = Vec::new();
            return import.renaming.to_local(subject, &mut local) && original.may_get(&local);
        }
        let user = self.link.user.load();
        let permissions = user.as_ref().and_then(|user| user.permissions.as_ref());
        permissions.is_none_or(|permissions| permissions.may_receive(subject, self.queue()))
    }

    /// Messages so far, and after how many it ends; 0 is never.
    pub(crate) fn progress(&self) -> (u64, u64) {
        (self.delivered.load(Relaxed), self.max.load(Relaxed))
    }

    /// When it was made, where that was [noted](Self::set_made).
    pub(super) fn made(&self) -> u16 {
        self.made.load(Relaxed)
    }

    pub(super) fn set_made(&self, tick: u16) {
        self.made.store(tick, Relaxed);
    }

    /// Whether it gets nothing more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    /// One more message is about to be delivered. `false` if there may be no more. The caller holds the lock of what is
    /// sent to the link.
    pub(crate) fn count(self: &Arc<Self>, batch: &mut Batch) -> bool {
        if self.ended.load(Relaxed) {
            return false;
        }
        let delivered = self.delivered.load(Relaxed) + 1;
        self.delivered.store(delivered, Relaxed);
        if delivered == self.max.load(Relaxed) {
            self.ended.store(true, Relaxed);
            batch.expire(self);
        }
        true
    }

    /// Lets it end after `max` messages, or at once. Returns whether it has ended.
    pub(crate) fn end(&self, max: Option<u64>) -> bool {
        let _exclusive = self.link.outbound();
        match max {
            Some(max) if max > self.delivered.load(Relaxed) => {
                self.max.store(max, Relaxed);
                false
            }
            _ => {
                self.ended.store(true, Relaxed);
                true
            }
        }
    }
}

impl Member for Subscription {
    fn place(&self) -> u32 {
        self.place.load(Relaxed)
    }

    fn set_place(&self, place: u32) {
        self.place.store(place, Relaxed);
    }
}

/// The subscriptions of one client, by sid.
#[derive(Default)]
pub(crate) struct Subscriptions {
    table: HashTable<Arc<Subscription>>,
}

/// Sids are chosen by the client whose table it is: a seed would protect it from itself.
fn hash(sid: &[u8]) -> u64 {
    FixedState::default().hash_one(sid)
}

impl Subscriptions {
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn get(&self, sid: &[u8]) -> Option<&Arc<Subscription>> {
        self.table.find(hash(sid), |known| known.sid() == sid)
    }

    /// Adds a subscription whose sid is not in use.
    pub(crate) fn insert(&mut self, subscription: Arc<Subscription>) {
        self.table.insert_unique(hash(subscription.sid()), subscription, |known| hash(known.sid()));
    }

    pub(crate) fn remove(&mut self, subscription: &Arc<Subscription>) {
        if let Ok(entry) = self.table.find_entry(hash(subscription.sid()), |known| Arc::ptr_eq(known, subscription)) {
            entry.remove();
        }
    }

    /// Takes up to `max` subscriptions out.
    pub(crate) fn take(&mut self, max: usize) -> Vec<Arc<Subscription>> {
        if self.table.len() <= max {
            return std::mem::take(&mut self.table).into_iter().collect();
        }
        self.table.extract_if(|_| true).take(max).collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Subscription>> {
        self.table.iter()
    }
}
