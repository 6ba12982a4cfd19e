//! One path: what is known of it, its state, and how answers, losses and failures change that.

use std::time::{Duration, Instant};

use crate::bandwidth::Bandwidth;
use crate::event::{EventKind, Millis, PathId};
use crate::flight::{Flight, Flying};
use crate::history::Recorder;
use crate::limit::Limit;
use crate::loss::Window;
use crate::lossiness::Lossiness;
use crate::measured::Measured;
use crate::mtu::Hole;
use crate::rank::{Score, Standing};
use crate::rtt::{Estimator, UNSEEN_VARIATION};
use crate::silence::Silence;
use crate::suspicion::{Acquittal, MOST_EVIDENCE, Suspicion};
use crate::{Candidate, Config, Kind, Policy, Reason, State};

/// Answers in a row that end a probation, if it has lasted long enough.
const PROBATION_ANSWERS: u32 = 5;
/// Failures closer than this to the last lengthen the probation.
const FLAPPING: Duration = Duration::from_secs(60);
/// Chance of taking a living path for dead that is accepted when its probes stay unanswered.
const ACCEPTED_RISK: f64 = 1e-5;
/// A path is never trusted to lose less than this share of its probes.
const LEAST_LOSS: f64 = 0.003;
/// Longest time for which a router's word and a failed send count for nothing, after others came to nothing.
const HEARSAY: Duration = Duration::from_secs(5);
/// The same of the peer's behaviour. Shorter: a path that carries nothing but acknowledgements has no other evidence.
const HINTS: Duration = Duration::from_secs(1);
/// A round trip that is longer by this than the shortest one, and four times as long, waits in queues.
const FULL_QUEUES: Duration = Duration::from_millis(100);
/// A round trip that is longer by this than the shortest one may wait in queues.
const QUEUED: Duration = Duration::from_millis(5);
/// Longer round trips, announced or measured, are taken for this.
const LONGEST_RTT: Duration = Duration::from_secs(10);

/// Where a path stands in its life, apart from a suspicion against it and from carrying the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// Not probed.
    Untried,
    /// Probed, has never answered.
    Probing,
    Up,
    /// Since `since`; probed again after `interval`.
    Dead {
        since: Instant,
        interval: Duration,
    },
    /// Since `since`, for at least `lasts`; has answered `in_row` probes without a loss between.
    Probation {
        since: Instant,
        lasts: Duration,
        in_row: u32,
    },
}

/// The answered probe that was sent last.
#[derive(Clone, Copy)]
pub(crate) struct Proof {
    pub(crate) sent: Instant,
    pub(crate) size: u16,
}

pub(crate) struct Path {
    pub(crate) id: PathId,
    pub(crate) candidate: Candidate,
    pub(crate) health: Health,
    pub(crate) suspicion: Option<Suspicion>,
    pub(crate) silence: Silence,
    pub(crate) flight: Flight,
    pub(crate) rtt: Estimator,
    pub(crate) loss: Window,
    pub(crate) lossiness: Lossiness,
    /// If its MTU turned out to be less than is announced, `candidate` has what was found.
    pub(crate) hole: Hole,
    pub(crate) bandwidth: Bandwidth,
    pub(crate) recorder: Recorder,
    /// When it was found dead; it cannot be used since.
    pub(crate) died: Option<Instant>,
    /// What it was found dead of.
    pub(crate) cause: Option<Reason>,
    pub(crate) proof: Option<Proof>,
    pub(crate) last_received: Option<Instant>,
    /// When the first probe was sent.
    pub(crate) first_asked: Option<Instant>,
    /// Probes lost in a row.
    pub(crate) missed: u32,
    /// When the first of them was sent.
    pub(crate) missed_since: Option<Instant>,
    /// How many of the last of them were lost while the peer was heard.
    pub(crate) ignored: u32,
    /// The regular probe.
    pub(crate) next_probe: Option<Instant>,
    /// It has been clearly better than the active path since then.
    pub(crate) ahead_since: Option<Instant>,
    /// Lookups no longer list it.
    pub(crate) withdrawn: bool,
    /// How often its interfaces are among those that other lanes use.
    pub(crate) crowding: usize,
    /// Limits suspicion by hearsay.
    pub(crate) hearsay: Limit,
    /// Limits suspicion because of what the peer does.
    pub(crate) hints: Limit,
    /// How much later answers to data come because the peer sends them over another path.
    pub(crate) detour: Duration,
    pub(crate) failures: u32,
    pub(crate) probes_sent: u64,
    pub(crate) probe_bytes: u64,
    pub(crate) probes_answered: u64,
    last_death: Option<Instant>,
    probation: Duration,
}

impl Path {
    pub(crate) fn new(id: PathId, candidate: Candidate) -> Self {
        Self {
            id,
            candidate,
            health: Health::Untried,
            suspicion: None,
            silence: Silence::default(),
            flight: Flight::default(),
            rtt: Estimator::default(),
            loss: Window::default(),
            lossiness: Lossiness::default(),
            hole: Hole::default(),
            bandwidth: Bandwidth::default(),
            recorder: Recorder::default(),
            died: None,
            cause: None,
            proof: None,
            last_received: None,
            first_asked: None,
            missed: 0,
            missed_since: None,
            ignored: 0,
            next_probe: None,
            ahead_since: None,
            withdrawn: false,
            crowding: 0,
            hearsay: Limit::new(HEARSAY),
            hints: Limit::new(HINTS),
            detour: Duration::ZERO,
            failures: 0,
            probes_sent: 0,
            probe_bytes: 0,
            probes_answered: 0,
            last_death: None,
            probation: Duration::ZERO,
        }
    }

    /// Whether it is more than a fallback: a SCION path, or a pair of addresses.
    pub(crate) fn is_scion(&self) -> bool {
        self.candidate.kind != Kind::Tcp
    }

    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.health, Health::Dead { .. })
    }

    /// Answers, and nothing speaks against it.
    pub(crate) fn is_up(&self) -> bool {
        self.health == Health::Up && self.suspicion.is_none()
    }

    /// The largest payload that it carries, bytes, as far as that is known.
    pub(crate) fn room(&self) -> u16 {
        if self.candidate.mtu > 0 { self.candidate.mtu.saturating_sub(self.candidate.overhead) } else { u16::MAX }
    }

    pub(crate) fn standing(&self) -> Standing {
        match self.health {
            Health::Dead { .. } => Standing::Dead,
            _ if self.suspicion.is_some() => Standing::Suspect,
            Health::Untried => Standing::Unasked,
            Health::Probing => Standing::Unproven,
            Health::Up => Standing::Up,
            Health::Probation { .. } => Standing::Probation,
        }
    }

    pub(crate) fn state(&self, active: bool) -> State {
        match self.standing() {
            Standing::Dead => State::Dead,
            Standing::Suspect => State::Suspect,
            Standing::Probation => State::Probation,
            _ if active => State::Active,
            Standing::Up => State::Standby,
            Standing::Unproven => State::Probing,
            Standing::Unasked => State::Candidate,
        }
    }

    pub(crate) fn score(&self, policy: &Policy) -> Score {
        Score {
            crowding: self.crowding,
            withdrawn: self.withdrawn,
            lossy: self.lossiness.is_lossy(),
            narrow: self.hole.limit().is_some(),
            ..Score::new(policy, &self.candidate, self.standing(), self.measured())
        }
    }

    /// What counts when it is compared to others.
    pub(crate) fn measured(&self) -> Measured {
        Measured {
            rtt: self.rtt.get().map(|rtt| rtt.smoothed),
            bandwidth: self.bandwidth.measured(),
            delivered: self.bandwidth.delivered(),
        }
    }

    /// The last probe waited in queues: it took a quarter longer than the quickest one, and 5 ms at least.
    pub(crate) fn is_queued(&self) -> bool {
        self.rtt.get().is_some_and(|rtt| rtt.latest >= rtt.min + (rtt.min / 4).max(QUEUED))
    }

    /// What is wrong with it, in words.
    pub(crate) fn condition(&self) -> Option<String> {
        let rtt = self.rtt.get().filter(|rtt| rtt.smoothed >= (rtt.min * 4).max(rtt.min + FULL_QUEUES));
        match self.health {
            Health::Dead { .. } | Health::Probation { .. } => self.cause.map(|cause| cause.to_string()),
            _ if self.hole.limit().is_some() => {
                let announced = self.hole.announced().filter(|mtu| *mtu > 0);
                let announced = announced.map(|mtu| format!(", {mtu} are announced")).unwrap_or_default();
                Some(format!("packets of more than {} bytes are lost{announced}", self.candidate.mtu))
            }
            _ if self.lossiness.is_lossy() => Some(format!("loses {} % of its packets", self.percent_lost())),
            _ => rtt.map(|rtt| {
                let (now, empty) = (Millis(rtt.smoothed), Millis(rtt.min));
                format!("its queues are full: {now} there and back, {empty} when they are empty")
            }),
        }
    }

    /// What a lossy path loses.
    pub(crate) fn percent_lost(&self) -> u8 {
        self.lossiness.percent(&self.loss)
    }

    /// Measured, else announced, else assumed.
    pub(crate) fn expected_rtt(&self, config: &Config) -> Duration {
        let announced = self.candidate.latency.map(|one_way| one_way.saturating_mul(2));
        self.rtt.get().map(|rtt| rtt.smoothed).or(announced).unwrap_or(config.assumed_rtt).min(LONGEST_RTT)
    }

    fn variation(&self, config: &Config) -> Duration {
        let unmeasured = || (self.expected_rtt(config) / 2).max(UNSEEN_VARIATION);
        self.rtt.variation().unwrap_or_else(unmeasured).min(LONGEST_RTT)
    }

    /// Silence after which the path can be left: twice the round trip, its variation, the peer's delay; bounded.
    pub(crate) fn patience(&self, config: &Config) -> Duration {
        let wanted = (self.expected_rtt(config) + self.detour) * 2 + self.variation(config) * 4 + config.ack_delay;
        wanted.max(config.min_silence).min(config.max_silence)
    }

    /// Silence after which the path is asked: half the patience, but not before an acknowledgement of usual lateness
    /// could be here; else every lone message would raise suspicion.
    pub(crate) fn suspect_after(&self, config: &Config) -> Duration {
        let patience = self.patience(config);
        let usual = self.expected_rtt(config) + self.detour + self.variation(config) * 2 + config.lateness;
        usual.max(patience / 2).min(patience)
    }

    /// How long the answer to a probe may take before its absence says something.
    pub(crate) fn answer_time(&self, config: &Config) -> Duration {
        match self.rtt.get() {
            Some(_) => self.expected_rtt(config) + (self.variation(config) * 4).max(Duration::from_millis(10)),
            None => self.expected_rtt(config) * 3 / 2,
        }
    }

    /// How long until a probe counts as lost.
    pub(crate) fn loss_time(&self, config: &Config) -> Duration {
        (self.expected_rtt(config) * 3).max(Duration::from_millis(300))
    }

    /// Unanswered probes that rule out bad luck, given the share of probes that this path lost before those it is
    /// missing now.
    pub(crate) fn evidence(&self) -> usize {
        let loss = self.loss.expected(self.missed).max(LEAST_LOSS);
        (2..MOST_EVIDENCE).find(|n| loss.powi(*n as i32) <= ACCEPTED_RISK).unwrap_or(MOST_EVIDENCE)
    }

    /// Notes the answer to one of its probes and returns what it changes.
    pub(crate) fn answered(&mut self, now: Instant, probe: &Flying) -> Option<EventKind> {
        let rtt = now.saturating_duration_since(probe.sent);
        self.rtt.record(rtt);
        self.recorder.answered(now, rtt);
        if let Some(number) = probe.lost {
            self.loss.forgive(number);
        } else {
            self.loss.record(false);
        }
        self.judge_losses();
        self.probes_answered += 1;
        self.last_received = Some(now);
        self.missed = 0;
        self.missed_since = None;
        self.ignored = 0;
        if self.proof.is_none_or(|proof| proof.sent <= probe.sent) {
            self.proof = Some(Proof { sent: probe.sent, size: probe.size });
        }
        let acquitted = self.suspicion.as_ref().is_some_and(|s| match s.acquittal {
            Acquittal::AnyPacket => true,
            Acquittal::Reply(size) => probe.size >= size && probe.sent >= s.began,
        });
        self.silence_broken(now);
        let recovered = self.recover(now, probe.sent);
        if acquitted { self.acquit() } else { recovered }
    }

    /// After a probe was answered or lost.
    pub(crate) fn judge_losses(&mut self) {
        if self.health == Health::Up {
            self.lossiness.judge(&self.loss);
        }
    }

    /// Ends the suspicion in the path's favour.
    pub(crate) fn acquit(&mut self) -> Option<EventKind> {
        self.suspicion = None;
        self.silence.forget();
        Some(EventKind::Up { path: self.id })
    }

    /// Something came over it.
    pub(crate) fn silence_broken(&mut self, now: Instant) {
        self.silence.broken(now, self.rtt.get().map_or(Duration::ZERO, |rtt| rtt.min));
    }

    fn recover(&mut self, now: Instant, asked: Instant) -> Option<EventKind> {
        let up = EventKind::Up { path: self.id };
        match &mut self.health {
            Health::Up => None,
            Health::Untried | Health::Probing => {
                self.health = Health::Up;
                self.lossiness.begin(&self.loss);
                Some(up)
            }
            Health::Dead { since, .. } if asked < *since => None,
            Health::Dead { .. } if self.candidate.kind == Kind::Tcp => {
                self.health = Health::Up;
                Some(up)
            }
            Health::Dead { .. } => {
                let lasts = self.probation;
                self.health = Health::Probation { since: now, lasts, in_row: 1 };
                self.next_probe = None;
                Some(EventKind::Probation { path: self.id, lasts })
            }
            Health::Probation { since, lasts, in_row } => {
                *in_row += 1;
                if *in_row < PROBATION_ANSWERS || now < *since + *lasts {
                    return None;
                }
                self.health = Health::Up;
                self.lossiness.begin(&self.loss);
                Some(up)
            }
        }
    }

    /// Notes that the probe sent at `sent` counts as lost.
    pub(crate) fn lost(&mut self, sent: Instant) {
        let rtt = self.rtt.get().map_or(Duration::ZERO, |rtt| rtt.smoothed);
        let heard = self.last_received.is_some_and(|at| at > sent + rtt);
        self.ignored = if heard { self.ignored.saturating_add(1) } else { 0 };
        if self.proof.is_some_and(|proof| proof.sent > sent) {
            return;
        }
        self.missed = self.missed.saturating_add(1);
        self.missed_since.get_or_insert(sent);
        if let Health::Probation { in_row, .. } = &mut self.health {
            *in_row = 0;
        }
        if self.missed > 1 {
            self.ahead_since = None;
        }
    }

    /// Declares it dead. Each failure soon after the last doubles the probation to come.
    pub(crate) fn die(&mut self, now: Instant, config: &Config) {
        let flapping = self.last_death.is_some_and(|last| now < last + FLAPPING);
        self.probation = if flapping { (self.probation * 2).min(config.probation_max) } else { config.probation };
        self.last_death = Some(now);
        self.failures = self.failures.saturating_add(1);
        self.bury(now, config);
    }

    /// Dead again without having been of use between: no new failure.
    pub(crate) fn bury(&mut self, now: Instant, config: &Config) {
        self.health = Health::Dead { since: now, interval: config.dead_interval };
        self.suspicion = None;
        self.silence.forget();
        self.ahead_since = None;
        self.next_probe = Some(now + config.dead_interval);
    }

    /// Back to the state of a path that has not been asked; measurements stay.
    pub(crate) fn retire(&mut self) {
        self.health = Health::Untried;
        self.suspicion = None;
        self.silence.forget();
        self.next_probe = None;
        self.missed = 0;
        self.missed_since = None;
    }
}
