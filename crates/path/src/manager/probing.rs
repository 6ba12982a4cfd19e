//! Regular probes, lost probes, and peers that answer none.

use std::time::{Duration, Instant};

use super::{MOST_PROBES, Manager};
use crate::budget;
use crate::path::{Health, Path};
use crate::suspicion::Acquittal;
use crate::{EventKind, Probe, Reason};

/// Probes lost in a row that make a standby path suspect, a new path dead, or a peer unprobeable.
const MISSES: u32 = 3;
/// Standby paths that are probed at the shorter interval.
const CLOSE_STANDBYS: usize = 3;
/// New candidates are first probed within this time, not all at once.
const FIRST_PROBE_JITTER: Duration = Duration::from_millis(50);
/// The smallest probe, bytes of payload.
const SMALLEST: u16 = 64;

impl Manager {
    /// Regular probes take no more than so many bytes a second on average from now on (reload).
    pub fn set_probe_budget(&mut self, now: Instant, bytes: u32) {
        self.config.probe_budget = bytes;
        self.budget.set(now, bytes);
        self.settle(now);
    }

    /// Sends a probe that cannot wait for the budget.
    pub(super) fn probe_at_once(&mut self, now: Instant, index: usize, size: u16, unanswered: bool) {
        let cost = self.probe(now, index, size, unanswered);
        self.budget.spend_at_once(now, cost);
    }

    /// The size of a probe over this path that shall have `size` bytes at least.
    fn probe_size(&self, index: usize, size: u16) -> u16 {
        size.min(self.paths[index].room()).max(SMALLEST)
    }

    /// Sends a probe of at least `size` bytes over a path and plans the next regular one. `unanswered`: it tells the
    /// peer that we hear nothing. Returns what it costs.
    pub(super) fn probe(&mut self, now: Instant, index: usize, size: u16, unanswered: bool) -> u32 {
        let size = self.probe_size(index, size);
        let token = self.tokens.next();
        let interval = self.interval(index);
        let jitter = self.tokens.jitter(interval / 10);
        let path = &mut self.paths[index];
        let cost = budget::cost(&path.candidate, size);
        if path.health == Health::Untried {
            path.health = Health::Probing;
        }
        path.first_asked.get_or_insert(now);
        path.probes_sent += 1;
        path.probe_bytes += u64::from(cost);
        path.next_probe = Some(now + interval + jitter);
        path.flight.launch(token, now, size, now + path.loss_time(&self.config));
        let probe = Probe { path: path.id, token, size, unanswered };
        self.push_probe(probe);
        cost
    }

    pub(super) fn push_probe(&mut self, probe: Probe) {
        if self.probes.len() == MOST_PROBES {
            self.probes.pop_front();
        }
        self.probes.push_back(probe);
    }

    /// How long after a probe the next regular one follows. The interval of a dead path grows.
    fn interval(&mut self, index: usize) -> Duration {
        let config = &self.config;
        let path = &self.paths[index];
        if self.unprobeable {
            return config.dead_interval_max;
        }
        match path.health {
            _ if Some(path.id) == self.active => config.active_interval,
            Health::Probation { .. } => config.probation_interval,
            Health::Up if Some(path.id) == self.companion || self.is_close_standby(path) => config.standby_interval,
            Health::Up => config.spare_interval,
            Health::Probing | Health::Untried if path.missed < MISSES => config.standby_interval,
            Health::Probing | Health::Untried => config.spare_interval,
            Health::Dead { since, interval } => {
                let most = if self.scion_works() { config.dead_interval_max } else { config.hunt_interval_max };
                let interval = (interval * 2).min(most);
                self.paths[index].health = Health::Dead { since, interval };
                interval
            }
        }
    }

    fn is_close_standby(&self, path: &Path) -> bool {
        let score = path.score(&self.config.policy);
        let standby = |other: &&Path| other.health == Health::Up && Some(other.id) != self.active;
        let better = self.paths.iter().filter(standby).filter(|p| p.score(&self.config.policy) < score);
        better.count() < CLOSE_STANDBYS
    }

    /// Sends the regular probes that are due, as far as the budget goes: the one that has waited longest first.
    pub(super) fn probe_regularly(&mut self, now: Instant) {
        self.admit(now);
        self.tend_fallback(now);
        self.affordable = None;
        let due = |path: &Path| path.health != Health::Untried && path.next_probe.is_none_or(|at| at <= now);
        let mut waiting: Vec<usize> = (0..self.paths.len()).filter(|index| due(&self.paths[*index])).collect();
        waiting.sort_by_key(|index| self.paths[*index].next_probe);
        for index in waiting {
            // As large as the traffic where traffic flows or might soon, so that an MTU hole shows.
            let path = &self.paths[index];
            let returns = matches!(path.health, Health::Dead { .. } | Health::Probation { .. });
            let as_traffic = Some(path.id) == self.active || returns || path.ahead_since.is_some();
            let size = if as_traffic { self.largest.get(now) } else { 0 };
            let cost = budget::cost(&path.candidate, self.probe_size(index, size));
            if !self.budget.affords(now, cost) {
                self.affordable = Some(self.budget.ready(now, cost));
                return;
            }
            let path = &mut self.paths[index];
            if self.unprobeable && path.is_dead() {
                path.health = Health::Probing;
            }
            let cost = self.probe(now, index, size, false);
            self.budget.spend(now, cost);
        }
    }

    /// Starts probing the best candidates as long as there is room.
    fn admit(&mut self, now: Instant) {
        let lives = |path: &&Path| {
            let health = matches!(path.health, Health::Probing | Health::Up | Health::Probation { .. });
            path.is_scion() && health && path.suspicion.is_none()
        };
        let room = self.config.probed.saturating_sub(self.paths.iter().filter(lives).count());
        if room == 0 {
            return;
        }
        let untried = |index: &usize| self.paths[*index].is_scion() && self.paths[*index].health == Health::Untried;
        let mut untried: Vec<usize> = (0..self.paths.len()).filter(untried).collect();
        untried.sort_by_cached_key(|index| self.paths[*index].score(&self.config.policy));
        for index in untried.into_iter().take(room) {
            let first = now + self.tokens.jitter(FIRST_PROBE_JITTER);
            self.paths[index].health = Health::Probing;
            self.paths[index].next_probe = Some(first);
        }
    }

    /// The TCP/IP fallback is probed only while no SCION path works: its first probe makes the driver connect.
    fn tend_fallback(&mut self, now: Instant) {
        let carries = self.active_index().is_some_and(|index| !self.paths[index].is_scion());
        let wanted = carries || self.hunt.is_some() || !self.scion_works();
        for path in self.paths.iter_mut().filter(|path| !path.is_scion()) {
            if wanted && path.health == Health::Untried {
                path.health = Health::Probing;
                path.next_probe = Some(now);
            } else if !wanted && path.health != Health::Untried {
                path.retire();
            }
        }
    }

    /// Whether some SCION path answers or may be about to.
    fn scion_works(&self) -> bool {
        let works = |path: &Path| matches!(path.health, Health::Up | Health::Probing) && path.suspicion.is_none();
        self.paths.iter().any(|path| path.is_scion() && works(path))
    }

    /// Counts the probes whose time is up as lost, and draws the consequences.
    pub(super) fn judge_probes(&mut self, now: Instant) {
        for index in 0..self.paths.len() {
            let path = &mut self.paths[index];
            let mut largest = None;
            while let Some(probe) = path.flight.overdue(now) {
                probe.lost = Some(path.loss.record(true));
                largest = largest.max(Some(probe.size));
                let sent = probe.sent;
                path.recorder.missed(now);
                path.lost(sent);
                path.judge_losses();
            }
            if let Some(size) = largest {
                self.consider_misses(now, index, size);
            }
        }
    }

    fn consider_misses(&mut self, now: Instant, index: usize, size: u16) {
        if self.unprobeable || self.find_unprobeable(now) {
            return;
        }
        let path = &self.paths[index];
        let carries = Some(path.id) == self.active;
        if path.missed == 0 || path.suspicion.is_some() {
            return;
        }
        let reason = Reason::ProbesLost(path.missed);
        match path.health {
            Health::Dead { .. } | Health::Untried => {}
            _ if carries => self.suspect(now, index, reason, Acquittal::Reply(size)),
            Health::Probation { .. } if path.missed > 1 => self.paths[index].bury(now, &self.config),
            Health::Up if path.missed >= MISSES => self.suspect(now, index, reason, Acquittal::Reply(size)),
            Health::Probing if path.missed >= MISSES && self.answered_since(index) => {
                self.condemn(now, index, reason);
            }
            Health::Up | Health::Probing | Health::Probation { .. } => {}
        }
    }

    /// Whether another path has answered a probe sent since this one began to miss.
    fn answered_since(&self, index: usize) -> bool {
        let Some(since) = self.paths[index].missed_since else { return false };
        let answered = |path: &Path| path.proof.is_some_and(|proof| proof.sent >= since);
        self.paths.iter().enumerate().any(|(other, path)| other != index && answered(path))
    }

    /// The peer sends over the active path, whose probes it does not answer, nor those of any other path.
    fn find_unprobeable(&mut self, now: Instant) -> bool {
        let Some(index) = self.active_index() else { return false };
        // Whoever has answered probes knows them: on a path that loses many, several in a row go unanswered now and then.
        let knows = self.paths.iter().any(|path| path.proof.is_some());
        let path = &self.paths[index];
        let long = path.missed_since.is_some_and(|since| since + self.config.dead_interval_max <= now);
        if path.ignored < MISSES || knows && !long || self.answered_since(index) {
            return false;
        }
        self.unprobeable = true;
        self.hunt = None;
        self.event(now, EventKind::Unprobeable);
        for path in self.paths.iter_mut().filter(|path| path.health != Health::Untried) {
            path.suspicion = None;
            path.silence.forget();
            path.health = Health::Probing;
            path.next_probe = Some(now + self.config.dead_interval_max);
        }
        true
    }

    /// A probe was answered after all.
    pub(super) fn find_probeable(&mut self, now: Instant) {
        self.unprobeable = false;
        self.event(now, EventKind::Probeable);
        for path in self.paths.iter_mut().filter(|path| path.health != Health::Untried) {
            path.missed = 0;
            path.missed_since = None;
            path.next_probe = Some(now);
        }
    }
}
