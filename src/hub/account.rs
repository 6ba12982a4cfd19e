//! An account: subjects mean something only within it.

mod clients;
mod clusters;
mod leafs;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};
use natsd_auth::account::AccountSpec;
use natsd_core::msg_trace;
use natsd_core::route::interest::Change;
use natsd_core::sublist::Sublist;
use natsd_core::transform::Mappings;
use parking_lot::{Mutex, RwLock};

use super::gateways::{Elsewhere, Gateways};
use super::imports::Imports;
use super::leafs::{Leafs, Whose};
use super::matches::Matches;
use super::remote::RemoteInterest;
use super::remote_latency::Halves;
use super::responses::Responses;
use super::shadow::Follower;
use super::stats::{Counts, Traffic};
use super::subscription::Subscription;
use super::{Hub, InterestObserver};
use crate::link::Link;
use crate::link::batch::Batch;

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
    /// `traceparent` may ask for the trace of a message.
    samples: AtomicBool,
    spec: ArcSwap<AccountSpec>,
    /// What is taken from other accounts.
    pub imports: Imports,
    /// The answers that services here owe to other accounts.
    pub responses: Mutex<Responses>,
    /// Of measurements of services here.
    pub(super) halves: Mutex<Halves>,
    /// What the subjects of those answers begin with, once there was a request.
    reply_prefix: OnceLock<Box<[u8]>>,
    /// Clients here, and at other servers as far as these tell.
    clients: AtomicU64,
    clients_elsewhere: AtomicU64,
    /// The number of clients has changed since it was told.
    told: AtomicBool,
    pub traffic: Traffic,
    leafs: Leafs,
    /// `None` if there are no other clusters.
    clusters: Option<Box<Elsewhere>>,
    observer: Arc<OnceLock<Arc<dyn InterestObserver>>>,
}

impl Account {
    pub(crate) fn new(
        spec: AccountSpec,
        observer: Arc<OnceLock<Arc<dyn InterestObserver>>>,
        gateways: &Arc<Gateways>,
    ) -> Self {
        let name: Box<[u8]> = spec.name.as_bytes().into();
        Self::with_name(&name, spec, observer, gateways)
    }

    /// As [`new`](Self::new), for a name that may be no text.
    pub(super) fn with_name(
        name: &[u8],
        spec: AccountSpec,
        observer: Arc<OnceLock<Arc<dyn InterestObserver>>>,
        gateways: &Arc<Gateways>,
    ) -> Self {
        let samples = spec.trace.is_some();
        Self {
            name: name.into(),
            spec: ArcSwap::from_pointee(spec),
            imports: Imports::default(),
            responses: Mutex::default(),
            halves: Mutex::default(),
            reply_prefix: OnceLock::new(),
            clients: AtomicU64::new(0),
            clients_elsewhere: AtomicU64::new(0),
            told: AtomicBool::new(true),
            traffic: Traffic::default(),
            leafs: Leafs::default(),
            clusters: Elsewhere::new(gateways, name),
            local: RwLock::new(Sublist::with_seed(fastrand::u64(..))),
            remote: RwLock::new(Sublist::with_seed(fastrand::u64(..))),
            counts: Counts::default(),
            generation: AtomicU64::new(0),
            filtered: AtomicBool::new(false),
            samples: AtomicBool::new(samples),
            observer,
        }
    }

    /// What [`matches`](Self::matches) gave is good as long as this stays the same.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Finds who gets what is published to `subject`.
    pub(crate) fn matches(&self, subject: &[u8], found: &mut Matches) {
        self.find(subject, false, found);
    }

    /// As [`matches`](Self::matches), with those who may not get it.
    pub(super) fn matches_unfiltered(&self, subject: &[u8], found: &mut Matches) {
        self.find(subject, true, found);
    }

    fn find(&self, subject: &[u8], all: bool, found: &mut Matches) {
        self.counts.matches.fetch_add(1, Ordering::Relaxed);
        found.clear();
        let local = self.local.read();
        let filtered = !all && self.filtered.load(Ordering::Relaxed);
        local.matches(subject, &mut found.local(filtered.then_some(subject)));
        drop(local);
        let exports = self.observer.get().is_none_or(|observer| observer.may_export(subject));
        self.remote.read().matches(subject, &mut found.remote(subject, exports));
        if let Some(clusters) = &self.clusters {
            clusters.find(subject, found);
        }
        self.imports.find_services(subject, &mut found.services);
        found.response = self.reply_prefix.get().is_some_and(|prefix| subject.starts_with(prefix));
    }

    /// Its name as text.
    pub(crate) fn display_name(&self) -> String {
        String::from_utf8_lossy(&self.name).into_owned()
    }

    /// What people call it.
    pub(crate) fn title(&self) -> String {
        let spec = self.spec.load();
        if spec.title.is_empty() { self.display_name() } else { spec.title.clone() }
    }

    /// Writes what a subject becomes that is published here; `false` if it stays.
    pub(crate) fn map(&self, hub: &Hub, subject: &[u8], batch: &mut Batch, out: &mut Vec<u8>) -> bool {
        let mappings = &self.spec.load().mappings;
        !mappings.is_empty() && map(mappings, hub, subject, batch, out)
    }

    /// What is configured for it.
    pub(crate) fn spec(&self) -> Guard<Arc<AccountSpec>> {
        self.spec.load()
    }

    /// From now on this is configured for it; what it imports has to be set as well.
    pub(crate) fn configure(&self, spec: AccountSpec) {
        if **self.spec.load() != spec {
            self.samples.store(spec.trace.is_some(), Ordering::Relaxed);
            self.spec.store(Arc::new(spec));
            self.changed();
            self.stand_for_leafs();
        }
    }

    /// Whether a message with these headers could be one to trace; costs one search of them in most accounts.
    pub(crate) fn may_trace(&self, header: &[u8]) -> bool {
        self.samples.load(Ordering::Relaxed) || msg_trace::may_name_destination(header)
    }

    /// Whether anybody listens to `subject`, here or elsewhere.
    pub(crate) fn has_interest(&self, subject: &[u8]) -> bool {
        self.interest_but(subject, |_| false)
    }

    /// As [`has_interest`](Self::has_interest), other than `link`.
    pub(crate) fn has_audience(&self, subject: &[u8], link: &Arc<Link>) -> bool {
        self.interest_but(subject, |subscription| Arc::ptr_eq(&subscription.link, link))
    }

    fn interest_but(&self, subject: &[u8], except: impl Fn(&Subscription) -> bool) -> bool {
        let mut found = Matches::default();
        self.matches(subject, &mut found);
        found.plain.iter().any(|subscription| !except(subscription))
            || !found.groups.is_empty()
            || !found.routes.is_empty()
            || !found.gateways.is_empty()
    }

    /// Adds a subscription of a client here, and what it gets of other accounts.
    pub(crate) fn subscribe(&self, subscription: Arc<Subscription>) {
        self.insert(subscription.clone());
        self.imports.follow(Follower::Client(&subscription));
    }

    /// Adds a subscription, of this account or on behalf of another one that imports.
    pub(super) fn insert(&self, subscription: Arc<Subscription>) {
        let mut local = self.local.write();
        let names = subscription.clone();
        // Under the lock, before the subscription can be found.
        self.note_filter(&names);
        if let Some(clusters) = &self.clusters {
            clusters.note(&names);
        }
        let members = local.insert(names.subject(), names.queue(), subscription);
        self.counts.inserts.fetch_add(1, Ordering::Relaxed);
        self.changed();
        self.report(&names, members, true);
        self.tell_leafs(&names, 1);
    }

    /// Removes subscriptions of clients here; those that are not there do no harm.
    pub(crate) fn unsubscribe(&self, subscriptions: &[Arc<Subscription>]) {
        self.remove(subscriptions);
        for subscription in subscriptions {
            self.imports.unfollow(Follower::Client(subscription));
        }
    }

    /// Removes subscriptions, of this account or on behalf of others that import.
    pub(super) fn remove(&self, subscriptions: &[Arc<Subscription>]) {
        let mut local = self.local.write();
        for gone in subscriptions {
            if let Some(left) = local.remove(gone.subject(), gone.queue(), gone) {
                self.counts.removes.fetch_add(1, Ordering::Relaxed);
                self.report(gone, left, false);
                self.tell_leafs(gone, -1);
            }
        }
        self.changed();
    }

    /// The permissions of the one whose `subscription` this is have changed.
    pub(crate) fn filter(&self, subscription: &Subscription) {
        let _no_matches = self.local.write();
        self.note_filter(subscription);
        self.changed();
    }

    fn note_filter(&self, subscription: &Subscription) {
        if subscription.link.permissions().is_some_and(|permissions| permissions.filters()) {
            self.filtered.store(true, Ordering::Relaxed);
        }
    }

    fn tell_leafs(&self, about: &Subscription, change: i64) {
        if about.is_private() {
            return;
        }
        self.leafs.changed(about.subject(), about.queue(), change, Whose::Here);
        if let Some(clusters) = &self.clusters {
            clusters.changed(about.subject(), about.queue(), change);
        }
    }

    fn report(&self, about: &Subscription, members: usize, came: bool) {
        let Some(observer) = self.observer.get().filter(|_| !about.is_private()) else { return };
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

    /// What the subjects of answers to other accounts begin with. Peers hear of it the first time: the one who answers may
    /// be at another server.
    pub(super) fn reply_prefix(&self) -> &[u8] {
        if self.reply_prefix.get().is_none() {
            let _in_order = self.local.write();
            if self.reply_prefix.set(Responses::new_prefix()).is_ok() {
                self.announce_responses(|change| {
                    if let Some(observer) = self.observer.get() {
                        observer.changed(&self.name, change);
                    }
                    if let Some(clusters) = &self.clusters {
                        clusters.note_any();
                        clusters.changed(change.subject(), None, 1);
                    }
                });
                self.changed();
                self.stand_for_leafs();
            }
        }
        self.reply_prefix.get().map_or(&[], |prefix| prefix)
    }

    fn announce_responses(&self, see: impl FnOnce(Change<'_>)) {
        if let Some(prefix) = self.reply_prefix.get() {
            see(Change::Plain { subject: &[prefix, &b">"[..]].concat(), interested: true });
        }
    }

    /// All subscriptions of clients here, without those of accounts that import.
    pub(super) fn own_subscriptions(&self) -> Vec<Arc<Subscription>> {
        let mut own = self.own_and_imported();
        own.retain(|subscription| subscription.imported().is_none());
        own
    }

    /// Interest at the other ends of leaf connections, without that of accounts that import.
    pub(super) fn leaf_interest(&self) -> Vec<Arc<RemoteInterest>> {
        let mut all = Vec::new();
        self.remote.read().for_each(|_, _, members| {
            all.extend(members.iter().filter(|interest| Follower::of_leaf(interest).is_some()).cloned());
        });
        all
    }

    /// All subscriptions here, those of accounts that import as well.
    pub(super) fn own_and_imported(&self) -> Vec<Arc<Subscription>> {
        let mut all = Vec::new();
        self.local.read().for_each(|_, _, members| all.extend_from_slice(members));
        all
    }

    /// Shows `see` all interest of clients here. No change comes in between: whoever begins in `see` to hear of changes
    /// misses none.
    pub(crate) fn local_interest(&self, mut see: impl FnMut(Change<'_>)) {
        let local = self.local.read();
        local.for_each(|subject, queue, members| match queue {
            Some(queue) => see(Change::Queue { subject, queue, members: members.len() as u32 }),
            None if members.iter().all(|member| member.is_private()) => {}
            None => see(Change::Plain { subject, interested: true }),
        });
        self.announce_responses(see);
    }

    /// Adds interest of another server; leaf nodes and hubs get what is imported as well.
    pub(crate) fn add_remote(&self, interest: Arc<RemoteInterest>) {
        self.insert_remote(interest.clone());
        if let Some(follower) = Follower::of_leaf(&interest) {
            self.imports.follow(follower);
        }
    }

    /// Adds interest of another server, in this account or in another one that imports.
    pub(super) fn insert_remote(&self, interest: Arc<RemoteInterest>) {
        let names = interest.clone();
        let mut remote = self.remote.write();
        if let Some(clusters) = &self.clusters {
            clusters.note_leaf(&names);
        }
        remote.insert(names.subject(), names.queue(), interest);
        self.counts.inserts.fetch_add(1, Ordering::Relaxed);
        self.changed();
        self.report_remote(&names, i64::from(names.weight()));
    }

    /// A queue group of another server has another number of members now.
    pub(crate) fn reweigh(&self, interest: &Arc<RemoteInterest>, weight: u32) {
        self.set_weight(interest, weight);
        if let Some(follower) = Follower::of_leaf(interest) {
            self.imports.reweigh(follower, weight);
        }
    }

    pub(super) fn set_weight(&self, interest: &RemoteInterest, weight: u32) {
        let _in_order = self.remote.write();
        let change = i64::from(weight) - i64::from(interest.weight());
        interest.set_weight(weight);
        self.report_remote(interest, change);
    }

    fn report_remote(&self, interest: &RemoteInterest, change: i64) {
        self.leafs.changed(interest.subject(), interest.queue(), change, Whose::Elsewhere(interest));
        if let Some(clusters) = &self.clusters {
            clusters.changed_at(interest, change);
        }
        self.leafs.changed_behind(interest, change, |origin, change| {
            if let Some(observer) = self.observer.get() {
                observer.changed_behind(&self.name, origin, change);
            }
        });
    }

    /// Removes interest of another server.
    pub(crate) fn remove_remote(&self, interest: &Arc<RemoteInterest>) {
        self.take_remote(interest);
        if let Some(follower) = Follower::of_leaf(interest) {
            self.imports.unfollow(follower);
        }
    }

    pub(super) fn take_remote(&self, interest: &Arc<RemoteInterest>) {
        let mut remote = self.remote.write();
        if remote.remove(interest.subject(), interest.queue(), interest).is_some() {
            self.counts.removes.fetch_add(1, Ordering::Relaxed);
            self.report_remote(interest, -i64::from(interest.weight()));
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

    /// What was matched so far does not count any more.
    pub(super) fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }
}

/// Writes what a subject becomes by `mappings`; `false` if it stays.
pub(crate) fn map(mappings: &Mappings, hub: &Hub, subject: &[u8], batch: &mut Batch, out: &mut Vec<u8>) -> bool {
    let options = hub.options();
    mappings.apply(subject, options.cluster_name(), &mut |below| batch.rng.u32(..below), out)
}
