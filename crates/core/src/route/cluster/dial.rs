//! Whom to dial, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::route::hello::GossipMode;
use crate::route::session::Slot;

/// Between attempts to reach a server.
const RETRY: Duration = Duration::from_secs(1);
/// What `connect_backoff` doubles [`RETRY`] to, and what dedicated routes, which a peer may not want, always use.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// A gossiped server that does not answer is lost: it is dialled again after this, ever more rarely. Others of the cluster may
/// still reach it, and nobody will tell of it again.
const LOST_RETRY: Duration = Duration::from_secs(5);
/// Longest time between dials to a lost server.
const MAX_LOST_RETRY: Duration = Duration::from_secs(60);
/// Dials to a lost server: an hour of them.
const LOST_ATTEMPTS: u32 = 64;
/// Random share of a delay, so that two servers that dial each other do not do so at the same moment for ever.
const JITTER: Duration = Duration::from_millis(100);
/// Attempts beyond `connect_retries` that a gossiped server gets when it can be reached but ends the connection.
const EXTRA_ATTEMPTS: u32 = 10;

/// Names one dial from [`Cluster::poll_dial`](super::Cluster::poll_dial) until its end is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(u64);

/// Names a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TargetId(u64);

/// Where a server can be dialled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The n-th configured route.
    Configured(usize),
    /// Addresses heard of from peers, most wanted first.
    Told(Vec<String>),
}

/// A connection to make now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// To report its end.
    pub id: DialId,
    /// Where to.
    pub place: Place,
    /// Which connection to that server it becomes.
    pub slot: Slot,
    /// Told to the acceptor.
    pub gossip_mode: GossipMode,
    /// Failed attempts before this one, in a row.
    pub attempt: u32,
    /// Whether that server was connected before.
    pub again: bool,
}

/// A server to stay connected to.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) place: Place,
    pub(super) gossip_mode: GossipMode,
    /// Its id, once known.
    pub(super) peer: Option<String>,
    /// A dial has led to it.
    reached: bool,
    jobs: BTreeMap<Slot, Job>,
    failures: BTreeMap<Slot, Failures>,
}

impl Target {
    pub(super) fn is_explicit(&self) -> bool {
        matches!(self.place, Place::Configured(_))
    }

    /// Whoever told us of it told others at the time; when we reach it again, they may not know of it any more.
    fn outdate_gossip(&mut self) {
        if !self.is_explicit() {
            self.gossip_mode = GossipMode::Override;
        }
    }
}

#[derive(Debug)]
enum Job {
    Due(Duration),
    UnderWay,
}

impl Job {
    fn due(&self) -> Option<Duration> {
        match *self {
            Self::Due(due) => Some(due),
            Self::UnderWay => None,
        }
    }
}

/// Attempts in a row that led to no connection that stayed.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    all: u32,
    unreachable: u32,
}

/// How a dial ended that led to no connection that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No server answered.
    Unreachable,
    /// One did and the connection ended during set-up or soon after.
    Ended,
}

/// Delays between dials.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policy {
    pub(super) connect_retries: u32,
    pub(super) backoff: bool,
}

/// All targets and the dials that they need.
#[derive(Debug)]
pub(super) struct Dialing {
    pub(super) policy: Policy,
    jitter: Jitter,
    pub(super) targets: BTreeMap<TargetId, Target>,
    under_way: BTreeMap<DialId, (TargetId, Slot)>,
    next_id: u64,
}

impl Dialing {
    pub(super) fn new(policy: Policy, jitter: Jitter) -> Self {
        Self { policy, jitter, targets: BTreeMap::new(), under_way: BTreeMap::new(), next_id: 0 }
    }

    pub(super) fn add(&mut self, place: Place, gossip_mode: GossipMode, peer: Option<String>) -> TargetId {
        let id = TargetId(self.fresh());
        let (jobs, failures) = (BTreeMap::new(), BTreeMap::new());
        self.targets.insert(id, Target { place, gossip_mode, peer, reached: false, jobs, failures });
        id
    }

    fn fresh(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Makes the jobs of `id` those of the `wanted` slots; new ones are due after `delay` and a random while.
    pub(super) fn want(&mut self, id: TargetId, wanted: &[Slot], now: Duration, delay: Duration) {
        let Some(target) = self.targets.get_mut(&id) else { return };
        target.jobs.retain(|slot, job| job.due().is_none() || wanted.contains(slot));
        for slot in wanted {
            target.jobs.entry(slot.clone()).or_insert(Job::Due(now + delay));
        }
    }

    /// A random part of the delay that keeps servers apart.
    pub(super) fn spread(&mut self) -> Duration {
        self.jitter.up_to(JITTER)
    }

    pub(super) fn jitter(&mut self) -> f64 {
        self.jitter.next()
    }

    pub(super) fn poll(&mut self, now: Duration) -> Option<Dial> {
        let (&target_id, slot) = self.targets.iter().find_map(|(id, target)| {
            let due = target.jobs.iter().find(|(_, job)| job.due().is_some_and(|due| due <= now));
            due.map(|(slot, _)| (id, slot.clone()))
        })?;
        let id = DialId(self.fresh());
        let target = self.targets.get_mut(&target_id)?;
        target.jobs.insert(slot.clone(), Job::UnderWay);
        self.under_way.insert(id, (target_id, slot.clone()));
        let attempt = target.failures.get(&slot).map_or(0, |failures| failures.all);
        let (place, gossip_mode, again) = (target.place.clone(), target.gossip_mode, target.reached);
        Some(Dial { id, place, slot, gossip_mode, attempt, again })
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.targets.values().flat_map(|target| target.jobs.values()).filter_map(Job::due).min()
    }

    /// What `dial` is for.
    pub(super) fn target_mut(&mut self, dial: DialId) -> Option<&mut Target> {
        let (target, _) = self.under_way.get(&dial)?;
        self.targets.get_mut(target)
    }

    /// Whether the end of `dial` is still of interest.
    pub(super) fn is_under_way(&self, dial: DialId) -> bool {
        self.under_way.contains_key(&dial)
    }

    /// Whether `dial` is made for the sake of `target`.
    pub(super) fn leads_to(&self, dial: DialId, target: TargetId) -> bool {
        self.under_way.get(&dial).is_some_and(|(wanted, _)| *wanted == target)
    }

    /// Nobody wants `target` any more, nor what its dials lead to.
    pub(super) fn forget(&mut self, target: TargetId) {
        self.targets.remove(&target);
        self.under_way.retain(|_, (wanted, _)| *wanted != target);
    }

    /// The dial has led to a connection that stays, or that is not needed.
    pub(super) fn finish(&mut self, dial: DialId) -> Option<TargetId> {
        let (target_id, slot) = self.under_way.remove(&dial)?;
        let target = self.targets.get_mut(&target_id)?;
        target.jobs.remove(&slot);
        target.reached = true;
        Some(target_id)
    }

    /// Tries again later, or forgets a gossiped server that is not there.
    pub(super) fn fail(&mut self, dial: DialId, failure: Failure, now: Duration) {
        let Some((target_id, slot)) = self.under_way.remove(&dial) else { return };
        self.fail_slot(target_id, slot, failure, now);
    }

    /// As [`fail`](Self::fail), for a connection that was made and ended too soon.
    pub(super) fn fail_slot(&mut self, target_id: TargetId, slot: Slot, failure: Failure, now: Duration) {
        let spread = self.spread();
        let Some(target) = self.targets.get_mut(&target_id) else { return };
        target.outdate_gossip();
        let failures = target.failures.entry(slot.clone()).or_default();
        failures.all = failures.all.saturating_add(1);
        failures.unreachable = failures.unreachable.saturating_add(u32::from(failure == Failure::Unreachable));
        let Failures { all, unreachable } = *failures;
        let retries = self.policy.connect_retries;
        let lost = if target.is_explicit() { 0 } else { unreachable.saturating_sub(retries) };
        let refused = !target.is_explicit() && all - unreachable > retries.saturating_add(EXTRA_ATTEMPTS);
        if refused || lost > LOST_ATTEMPTS {
            self.targets.remove(&target_id);
            return;
        }
        let backs_off = self.policy.backoff || !matches!(slot, Slot::Pool(_));
        let delay = match lost {
            0 if backs_off => doubled(RETRY, all - 1, MAX_BACKOFF),
            0 => RETRY,
            lost => doubled(LOST_RETRY, lost - 1, MAX_LOST_RETRY),
        };
        target.jobs.insert(slot, Job::Due(now + delay + spread));
    }

    /// A connection for `slot` stayed for a while: past failures do not count any more.
    pub(super) fn forgive(&mut self, target: TargetId, slot: &Slot) {
        if let Some(target) = self.targets.get_mut(&target) {
            target.outdate_gossip();
            target.failures.remove(slot);
        }
    }
}

fn doubled(delay: Duration, times: u32, max: Duration) -> Duration {
    (delay * (1 << times.min(8))).min(max)
}

/// A small generator: it keeps servers apart in time and guards no secret.
#[derive(Debug)]
pub(super) struct Jitter(pub(super) u64);

impl Jitter {
    /// From 0 to 1, by splitmix64.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn up_to(&mut self, limit: Duration) -> Duration {
        limit.mul_f64(self.next())
    }
}
