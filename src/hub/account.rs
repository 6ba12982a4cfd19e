//! An account: subjects mean something only within it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use natsd_core::route::interest::Change;
use natsd_core::sublist::Sublist;
use parking_lot::RwLock;

use super::InterestObserver;
use super::matches::Matches;
use super::remote::RemoteInterest;
use super::subscription::Subscription;

/// The subscriptions of an account, here and at other servers.
pub(crate) struct Account {
    pub name: Box<[u8]>,
    local: RwLock<Sublist<Subscription>>,
    remote: RwLock<Sublist<RemoteInterest>>,
    /// Since the start.
    pub counts: Counts,
    /// Raised by each change of either: what was matched before may not be so any more.
    generation: AtomicU64,
    /// There are subscriptions that may not get all that they match.
    filtered: AtomicBool,
    observer: Arc<OnceLock<Arc<dyn InterestObserver>>>,
}

/// What monitoring tells of subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub inserts: AtomicU64,
    pub removes: AtomicU64,
    /// Subjects looked up; those that a connection remembers are not.
    pub matches: AtomicU64,
}

impl Account {
    pub(crate) fn new(name: &[u8], observer: Arc<OnceLock<Arc<dyn InterestObserver>>>) -> Self {
        Self {
            name: name.into(),
            local: RwLock::new(Sublist::with_seed(fastrand::u64(..))),
            remote: RwLock::new(Sublist::with_seed(fastrand::u64(..))),
            counts: Counts::default(),
            generation: AtomicU64::new(0),
            filtered: AtomicBool::new(false),
            observer,
        }
    }

    /// What [`matches`](Self::matches) gave is good as long as this stays the same.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Finds who gets what is published to `subject`.
    pub(crate) fn matches(&self, subject: &[u8], found: &mut Matches) {
        self.counts.matches.fetch_add(1, Ordering::Relaxed);
        found.clear();
        let local = self.local.read();
        let filtered = self.filtered.load(Ordering::Relaxed);
        local.matches(subject, &mut found.local(filtered.then_some(subject)));
        drop(local);
        self.remote.read().matches(subject, &mut found.remote());
    }

    /// Adds a subscription of a client here.
    pub(crate) fn subscribe(&self, subscription: Arc<Subscription>) {
        let mut local = self.local.write();
        let names = subscription.clone();
        if names.link.permissions().is_some_and(|permissions| permissions.filters()) {
            // Under the lock, before the subscription can be found.
            self.filtered.store(true, Ordering::Relaxed);
        }
        let members = local.insert(names.subject(), names.queue(), subscription);
        self.counts.inserts.fetch_add(1, Ordering::Relaxed);
        self.changed();
        self.report(&names, members, true);
    }

    /// Removes subscriptions of clients here; those that are not there do no harm.
    pub(crate) fn unsubscribe(&self, subscriptions: &[Arc<Subscription>]) {
        let mut local = self.local.write();
        for gone in subscriptions {
            if let Some(left) = local.remove(gone.subject(), gone.queue(), gone) {
                self.counts.removes.fetch_add(1, Ordering::Relaxed);
                self.report(gone, left, false);
            }
        }
        self.changed();
    }

    fn report(&self, about: &Subscription, members: usize, came: bool) {
        let Some(observer) = self.observer.get() else { return };
        let subject = about.subject();
        match about.queue() {
            Some(queue) => {
                observer.changed(&self.name, Change::Queue { subject, queue, members: members as u32 });
            }
            None if members == usize::from(came) => {
                observer.changed(&self.name, Change::Plain { subject, interested: came });
            }
            None => {}
        }
    }

    /// Shows `see` all interest of clients here. No change comes in between: whoever begins in `see` to hear of changes
    /// misses none.
    pub(crate) fn local_interest(&self, mut see: impl FnMut(Change<'_>)) {
        self.local.read().for_each(|subject, queue, members| match queue {
            Some(queue) => see(Change::Queue { subject, queue, members: members.len() as u32 }),
            None => see(Change::Plain { subject, interested: true }),
        });
    }

    /// Adds interest of another server.
    pub(crate) fn add_remote(&self, interest: Arc<RemoteInterest>) {
        let names = interest.clone();
        self.remote.write().insert(names.subject(), names.queue(), interest);
        self.counts.inserts.fetch_add(1, Ordering::Relaxed);
        self.changed();
    }

    /// Removes interest of another server.
    pub(crate) fn remove_remote(&self, interest: &Arc<RemoteInterest>) {
        if self.remote.write().remove(interest.subject(), interest.queue(), interest).is_some() {
            self.counts.removes.fetch_add(1, Ordering::Relaxed);
        }
        self.changed();
    }

    /// All interest behind one route. Looks at that of all of them, so not for the hot path.
    pub(crate) fn interest_behind(&self, route: u64) -> Vec<Arc<RemoteInterest>> {
        let mut found = Vec::new();
        self.remote.read().for_each(|_, _, members| {
            found.extend(members.iter().filter(|interest| interest.link.id == route).cloned());
        });
        found
    }

    /// Number of subscriptions here, and of interests at other servers.
    pub(crate) fn subscriptions(&self) -> (usize, usize) {
        (self.local.read().len(), self.remote.read().len())
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }
}
