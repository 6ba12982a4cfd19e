//! One account across clusters.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use natsd_core::gateway::reply::PREFIX;
use natsd_core::gateway::tally::Tally;
use natsd_core::leaf::LOOP_PREFIX;
use natsd_core::sublist::{Sublist, Visitor};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::{GatewayDesk, Gateways, RECENT};
use crate::hub::matches::Matches;
use crate::hub::remote::RemoteInterest;
use crate::hub::subscription::Subscription;
use crate::link::Kind;

/// Who listens here, and at other servers.
pub(in crate::hub) type Listeners<'a> = (&'a RwLock<Sublist<Subscription>>, &'a RwLock<Sublist<RemoteInterest>>);

/// See the [module](self).
pub(in crate::hub) struct Elsewhere {
    shared: Arc<Gateways>,
    account: Box<[u8]>,
    /// What this cluster wants.
    here: Mutex<Tally>,
    /// What others want.
    wanted: RwLock<Sublist<RemoteInterest>>,
    /// When somebody subscribed here last, in ticks.
    last: AtomicU16,
}

impl Elsewhere {
    /// `None` if there are no other clusters.
    pub(in crate::hub) fn new(shared: &Arc<Gateways>, account: &[u8]) -> Option<Box<Self>> {
        shared.own.as_ref()?;
        Some(Box::new(Self {
            shared: shared.clone(),
            account: account.into(),
            here: Mutex::default(),
            wanted: RwLock::new(Sublist::with_seed(fastrand::u64(..))),
            last: AtomicU16::new(0),
        }))
    }

    /// What the account shares with others.
    pub(super) fn shared(&self) -> &Gateways {
        &self.shared
    }

    /// `change` more, or less, are interested at this server.
    pub(in crate::hub) fn changed(&self, subject: &[u8], queue: Option<&[u8]>, change: i64) {
        if subject.starts_with(LOOP_PREFIX) || subject.starts_with(PREFIX) {
            return;
        }
        let mut here = self.here.lock();
        // Under the lock, so that all are told in order.
        if let Some(wanted) = here.change(subject, queue, change) {
            self.shared.tell(&self.account, subject, queue, wanted);
        }
    }

    /// Interest at another server of this cluster, or behind a leaf connection, changed by so many. What a hub wants it is not
    /// for us to tell.
    pub(in crate::hub) fn changed_at(&self, interest: &RemoteInterest, change: i64) {
        let is_of_hub = interest.link.leaf.get().is_some_and(|peer| peer.spoke);
        if !is_of_hub {
            self.changed(interest.subject(), interest.queue(), change);
        }
    }

    /// From now on `desk` is told all that is wanted here.
    pub(in crate::hub) fn open(&self, desk: &GatewayDesk) {
        if let Some(own) = &self.shared.own {
            desk.open(own, &self.account, &self.here.lock());
        }
    }

    /// Somebody subscribes here.
    pub(in crate::hub) fn note(&self, subscription: &Subscription) {
        let now = self.shared.tick();
        subscription.set_made(now);
        self.last.store(now, Relaxed);
    }

    /// Somebody subscribes behind a leaf connection. Other servers of this cluster see to those whom they tell of.
    pub(in crate::hub) fn note_leaf(&self, interest: &RemoteInterest) {
        if interest.link.kind == Kind::Leaf {
            let now = self.shared.tick();
            interest.set_made(now);
            self.last.store(now, Relaxed);
        }
    }

    /// The account listens to answers from now on.
    pub(in crate::hub) fn note_any(&self) {
        self.last.store(self.shared.tick(), Relaxed);
    }

    /// Whether one of those who listen to `subject`, here or behind a leaf connection, subscribed so lately that other clusters
    /// may not know of it.
    pub(super) fn is_recent(&self, subject: &[u8], (local, remote): Listeners<'_>) -> bool {
        let now = self.shared.tick();
        if !is_recent(now, self.last.load(Relaxed)) {
            return false;
        }
        // Answers to other accounts are listened to by nobody who is subscribed.
        if subject.starts_with(crate::hub::responses::RESERVED) {
            return true;
        }
        let mut recent = Recent { now, found: false };
        local.read().matches(subject, &mut recent);
        if !recent.found {
            remote.read().matches(subject, &mut recent);
        }
        recent.found
    }

    /// A server of another cluster wants something. `tell` is called before anything else changes.
    pub(in crate::hub) fn insert(&self, interest: Arc<RemoteInterest>, tell: impl FnOnce(&RemoteInterest)) {
        let names = interest.clone();
        let mut wanted = self.wanted.write();
        wanted.insert(names.subject(), names.queue(), interest);
        tell(&names);
    }

    /// It does not any more.
    pub(in crate::hub) fn remove(&self, interest: &Arc<RemoteInterest>, tell: impl FnOnce(&RemoteInterest)) {
        let mut wanted = self.wanted.write();
        if wanted.remove(interest.subject(), interest.queue(), interest).is_some() {
            tell(interest);
        }
    }

    /// What other clusters want, which does not change while this is held.
    pub(in crate::hub) fn wanted(&self) -> RwLockReadGuard<'_, Sublist<RemoteInterest>> {
        self.wanted.read()
    }

    /// Adds to `found` the clusters that a message to `subject` goes to.
    pub(in crate::hub) fn find(&self, subject: &[u8], found: &mut Matches) {
        self.wanted.read().matches(subject, &mut found.of_clusters());
        for link in self.shared.outbound.load().iter() {
            let Some(peer) = link.gateway.get().filter(|peer| peer.is_optimistic()) else { continue };
            if peer.may_want(&self.account, subject) {
                found.cluster(link).plain = true;
            }
        }
    }
}

fn is_recent(now: u16, then: u16) -> bool {
    u128::from(now.wrapping_sub(then)) * 125 <= RECENT.as_millis()
}

/// Looks for somebody who subscribed lately.
struct Recent {
    now: u16,
    found: bool,
}

impl Recent {
    fn look(&mut self, members: &[Arc<Subscription>]) {
        let is_client = |member: &Subscription| matches!(member.link.kind, Kind::Client | Kind::System);
        self.found |= members.iter().any(|member| is_client(member) && is_recent(self.now, member.made()));
    }
}

impl Visitor<RemoteInterest> for Recent {
    fn plain(&mut self, members: &[Arc<RemoteInterest>]) {
        let is_recent =
            |member: &Arc<RemoteInterest>| member.link.kind == Kind::Leaf && is_recent(self.now, member.made());
        self.found |= members.iter().any(is_recent);
    }

    fn group(&mut self, _: &[u8], members: &[Arc<RemoteInterest>]) {
        self.plain(members);
    }
}

impl Visitor<Subscription> for Recent {
    fn plain(&mut self, members: &[Arc<Subscription>]) {
        self.look(members);
    }

    fn group(&mut self, _: &[u8], members: &[Arc<Subscription>]) {
        self.look(members);
    }
}
