//! What leaf connections of an account are told of interest on this side, and what is remembered of the interest behind
//! them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use natsd_core::leaf::LOOP_PREFIX;
use natsd_core::leaf::interest::Summary;
use natsd_core::route::interest::Change;
use natsd_core::sublist::Sublist;
use parking_lot::{Mutex, RwLock};

use super::remote::RemoteInterest;
use super::subscription::Subscription;
use crate::leaf::LeafPeer;
use crate::link::{Kind, Link};
use crate::server::identity::unique_id;

/// The leaf connections of one account.
#[derive(Default)]
pub(super) struct Leafs {
    desks: RwLock<Vec<Arc<LeafDesk>>>,
    /// Interest of leaf nodes that this server is the hub of, for peers.
    behind: Mutex<HashMap<Behind, u32>>,
    /// What this server knows its own interest by when it comes back.
    loop_subject: OnceLock<Box<[u8]>>,
    connections: AtomicU64,
}

/// Interest of leaf nodes of one cluster: the cluster, the subject and the queue group.
type Behind = (Arc<[u8]>, Box<[u8]>, Option<Box<[u8]>>);

/// One leaf connection, and what the other end was told.
pub(crate) struct LeafDesk {
    link: Arc<Link>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    summary: Summary,
    /// Subjects that the account itself listens to.
    standing: HashSet<Box<[u8]>>,
}

/// Where somebody is interested.
#[derive(Clone, Copy)]
pub(super) enum Whose<'a> {
    /// At this server.
    Here,
    /// At another one.
    Elsewhere(&'a RemoteInterest),
}

/// Sees interest: its subject and queue group, how many have it, and where.
pub(super) type See<'a> = dyn FnMut(&[u8], Option<&[u8]>, i64, Whose<'_>) + 'a;

impl LeafDesk {
    /// For a link whose [`LeafPeer`] is known.
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link, told: Mutex::default() }
    }

    fn peer(&self) -> Option<&LeafPeer> {
        self.link.leaf.get().map(|peer| &**peer)
    }

    /// Whether the other end is told of it at all.
    fn concerns(&self, subject: &[u8], whose: Whose<'_>) -> bool {
        let Some(peer) = self.peer() else { return false };
        let Whose::Elsewhere(interest) = whose else { return true };
        if Arc::ptr_eq(&interest.link, &self.link) || interest.origin() == Some(&*peer.cluster) {
            return false;
        }
        if subject.starts_with(LOOP_PREFIX) {
            return true;
        }
        // A hub hears of clients here and of what is behind us as a hub, but not of what others tell it themselves.
        let behind_us = interest.link.leaf.get().is_some_and(|other| !other.spoke);
        !(peer.spoke && !behind_us || peer.isolated && interest.origin().is_some())
    }

    fn change(&self, subject: &[u8], queue: Option<&[u8]>, change: i64, whose: Whose<'_>, out: &mut Vec<u8>) {
        let may_ask = || self.peer().is_some_and(|peer| peer.may_ask(subject));
        let allowed = change < 0 || subject.starts_with(LOOP_PREFIX) || may_ask();
        if allowed && self.concerns(subject, whose) {
            self.told.lock().summary.change(subject, queue, change, out);
        }
    }

    /// The account itself listens to exactly these.
    fn stand(&self, subjects: &[Box<[u8]>], out: &mut Vec<u8>) {
        let wanted: HashSet<_> = subjects.iter().filter(|subject| self.may_stand(subject)).cloned().collect();
        let mut told = self.told.lock();
        let Told { summary, standing } = &mut *told;
        for gone in standing.difference(&wanted) {
            summary.change(gone, None, -1, out);
        }
        for new in wanted.difference(standing) {
            summary.change(new, None, 1, out);
        }
        *standing = wanted;
    }

    fn may_stand(&self, subject: &[u8]) -> bool {
        let internal = subject.starts_with(LOOP_PREFIX) || subject.starts_with(b"_R_.");
        internal || self.peer().is_some_and(|peer| !peer.spoke || peer.may_ask(subject))
    }

    fn send(&self, lines: &[u8]) {
        if !lines.is_empty() {
            self.link.send_soon(|out| out.extend_from_slice(lines));
        }
    }
}

impl Leafs {
    /// One more connection. `false` if that is more than there may be; it counts all the same.
    pub(super) fn enter(&self, max: Option<u64>) -> bool {
        let connections = self.connections.fetch_add(1, Relaxed) + 1;
        max.is_none_or(|max| connections <= max)
    }

    pub(super) fn leave(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(super) fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    pub(super) fn has_desks(&self) -> bool {
        !self.desks.read().is_empty()
    }

    /// What this server knows its own interest by; made up the first time.
    pub(super) fn loop_subject(&self) -> &[u8] {
        self.loop_subject.get_or_init(|| [LOOP_PREFIX, unique_id().as_bytes()].concat().into())
    }

    /// Whether `subject` is that one.
    pub(super) fn is_loop(&self, subject: &[u8]) -> bool {
        self.loop_subject.get().is_some_and(|own| **own == *subject)
    }

    /// `change` more, or less, are interested. Called under the lock of where they are listed, so in order.
    pub(super) fn changed(&self, subject: &[u8], queue: Option<&[u8]>, change: i64, whose: Whose<'_>) {
        for desk in self.desks.read().iter() {
            let mut lines = Vec::new();
            desk.change(subject, queue, change, whose, &mut lines);
            desk.send(&lines);
        }
    }

    /// The account itself listens to exactly these.
    pub(super) fn stand(&self, subjects: &[Box<[u8]>]) {
        for desk in self.desks.read().iter() {
            let mut lines = Vec::new();
            desk.stand(subjects, &mut lines);
            desk.send(&lines);
        }
    }

    /// From now on `desk` is told of changes, and first of all that there is, which `list` lists; the caller sees to it that
    /// nothing changes meanwhile.
    pub(super) fn open(
        &self,
        desk: Arc<LeafDesk>,
        list: impl FnOnce(&mut See<'_>),
        standing: impl FnOnce() -> Vec<Box<[u8]>>,
    ) {
        let mut desks = self.desks.write();
        let mut lines = Vec::new();
        list(&mut |subject, queue, count, whose| {
            // Said in one line below, not in one for each member.
            desk.change(subject, queue, count, whose, &mut Vec::new());
        });
        desk.told.lock().summary.write(&mut lines);
        desk.stand(&standing(), &mut lines);
        desk.send(&lines);
        desks.push(desk);
    }

    /// What `link` may be told is something else now: tells what is new or gone of all that there is, which `list` lists; the
    /// caller sees to it that nothing changes meanwhile.
    pub(super) fn retell(
        &self,
        link: &Arc<Link>,
        list: impl FnOnce(&mut See<'_>),
        standing: impl FnOnce() -> Vec<Box<[u8]>>,
    ) {
        // Alone, as in `open`.
        let desks = self.desks.write();
        let Some(desk) = desks.iter().find(|desk| Arc::ptr_eq(&desk.link, link)) else { return };
        let before = std::mem::take(&mut *desk.told.lock()).summary;
        let mut unsaid = Vec::new();
        list(&mut |subject, queue, count, whose| desk.change(subject, queue, count, whose, &mut unsaid));
        desk.stand(&standing(), &mut unsaid);
        let mut lines = Vec::new();
        desk.told.lock().summary.write_since(&before, &mut lines);
        desk.send(&lines);
    }

    pub(super) fn close(&self, link: &Arc<Link>) {
        self.desks.write().retain(|desk| !Arc::ptr_eq(&desk.link, link));
    }

    /// Interest behind a leaf node changed by so many; `tell` hears of it if peers have to.
    pub(super) fn changed_behind(&self, interest: &RemoteInterest, change: i64, tell: impl FnOnce(&[u8], Change<'_>)) {
        let is_hub = interest.link.kind == Kind::Leaf && interest.link.leaf.get().is_some_and(|peer| !peer.spoke);
        let Some(origin) = interest.shared_origin().filter(|_| is_hub) else { return };
        let (subject, queue) = (interest.subject(), interest.queue());
        let mut behind = self.behind.lock();
        let key = (origin.clone(), subject.into(), queue.map(Into::into));
        let before = behind.get(&key).copied().unwrap_or(0);
        let now = u32::try_from(i64::from(before).saturating_add(change).max(0)).unwrap_or(u32::MAX);
        if now == 0 {
            behind.remove(&key)
        } else {
            behind.insert(key, now)
        };
        match queue {
            Some(queue) if now != before => tell(&origin, Change::Queue { subject, queue, members: now }),
            None if (now == 0) != (before == 0) => tell(&origin, Change::Plain { subject, interested: now > 0 }),
            _ => {}
        }
    }

    /// Shows all interest of leaf nodes that this server is the hub of. No change comes in between.
    pub(super) fn behind(&self, mut see: impl FnMut(&[u8], Change<'_>)) {
        for ((origin, subject, queue), members) in self.behind.lock().iter() {
            let change = match queue {
                Some(queue) => Change::Queue { subject, queue, members: *members },
                None => Change::Plain { subject, interested: true },
            };
            see(origin, change);
        }
    }
}

/// Shows `see` all interest that leaf connections may be told of.
pub(super) fn list_interest(local: &Sublist<Subscription>, remote: &Sublist<RemoteInterest>, see: &mut See<'_>) {
    local.for_each(|subject, queue, members| {
        let told = members.iter().filter(|member| !member.is_private()).count();
        if told > 0 {
            see(subject, queue, told as i64, Whose::Here);
        }
    });
    remote.for_each(|subject, queue, members| {
        for member in members {
            see(subject, queue, i64::from(member.weight()), Whose::Elsewhere(member));
        }
    });
}
