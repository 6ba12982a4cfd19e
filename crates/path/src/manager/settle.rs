//! After every input: do all that is due, then work out when something is due again.

use std::time::{Duration, Instant};

use super::Manager;
use crate::path::{Health, Path};
use crate::{EventKind, PathId, Reason};

/// Traffic leaves a path this long before it expires.
pub(super) const LEAVE_EARLY: Duration = Duration::from_secs(5);

/// Paths that are kept although lookups do not list them any more.
const MOST_SPARE: usize = 16;

impl Manager {
    pub(super) fn settle(&mut self, now: Instant) {
        let orphaned = self.remove_expired(now);
        self.measure_detour();
        self.judge_probes(now);
        self.notice_silence(now);
        self.pursue_suspicions(now);
        self.judge_suspects(now);
        self.hunt(now);
        self.tend_holes(now);
        self.choose(now);
        if orphaned && self.active.is_none() {
            self.event(now, EventKind::NoPath { silent_for: Duration::ZERO });
        }
        self.remove_withdrawn(now);
        self.accompany();
        self.probe_regularly(now);
        self.note_states(now);
        self.timer = self.next_deadline(now);
    }

    /// Returns whether the active path was among them.
    fn remove_expired(&mut self, now: Instant) -> bool {
        let active = self.active;
        self.remove(now, |path| path.candidate.expiry.is_some_and(|expiry| expiry <= now));
        active.is_some() && self.active.is_none()
    }

    /// What lookups do not list any more stands by until it expires, if it was ever heard of: it may carry traffic on when all
    /// that is listed fails, and the control plane with it.
    fn remove_withdrawn(&mut self, now: Instant) {
        let active = self.active;
        let withdrawn = |path: &Path| path.withdrawn && Some(path.id) != active;
        let stands_by = |path: &Path| path.candidate.expiry.is_some() && path.last_received.is_some();
        self.remove(now, |path| withdrawn(path) && !stands_by(path));
        let policy = &self.config.policy;
        let mut spare: Vec<_> = self.paths.iter().filter(|p| withdrawn(p)).map(|p| (p.score(policy), p.id)).collect();
        if spare.len() > MOST_SPARE {
            spare.sort_unstable();
            let surplus: Vec<PathId> = spare.split_off(MOST_SPARE).into_iter().map(|(_, id)| id).collect();
            self.remove(now, |path| surplus.contains(&path.id));
        }
    }

    pub(super) fn remove(&mut self, now: Instant, gone: impl Fn(&Path) -> bool) {
        if !self.paths.iter().any(&gone) {
            return;
        }
        let ids: Vec<PathId> = self.paths.iter().filter(|path| gone(path)).map(|path| path.id).collect();
        for path in self.paths.iter_mut().filter(|path| gone(path)) {
            self.archive.put(now, path.candidate.fingerprint, std::mem::take(&mut path.recorder));
        }
        self.paths.retain(|path| !gone(path));
        for path in ids {
            self.active = self.active.filter(|active| *active != path);
            self.event(now, EventKind::Removed { path });
        }
    }

    /// Looks for silences that have lasted too long.
    fn notice_silence(&mut self, now: Instant) {
        for index in 0..self.paths.len() {
            let path = &mut self.paths[index];
            let carries = Some(path.id) == self.active;
            if !carries && (self.unprobeable || matches!(path.health, Health::Untried | Health::Dead { .. })) {
                path.silence.forget();
            }
            let path = &self.paths[index];
            let Some(since) = path.silence.since() else { continue };
            if self.silence_due(path).is_none_or(|due| due > now) {
                continue;
            }
            let waited = now.saturating_duration_since(since);
            if self.unprobeable {
                self.leave_blindly(now, index, waited);
            } else {
                let acquittal = self.acquittal_of_silence(index);
                self.suspect(now, index, Reason::Silence(waited), acquittal);
            }
        }
    }

    /// When the silence on `path` calls for action: asking it, or leaving it if its peer answers no probes.
    pub(super) fn silence_due(&self, path: &Path) -> Option<Instant> {
        let since = path.silence.since()?;
        match (self.unprobeable, &path.suspicion) {
            (true, _) => Some(since + path.patience(&self.config)),
            (false, None) => Some(since + path.suspect_after(&self.config)),
            (false, Some(_)) => None,
        }
    }

    /// Our own process was late: answers may lie unread in the socket. Nothing is judged by what should have come
    /// meanwhile; what was asked is asked again. Each probe and silence is excused once and each suspicion twice, so
    /// that a process that is always late still fails over.
    pub(super) fn excuse_stall(&mut self, now: Instant, late: Duration) {
        let late = late * 2;
        for path in &mut self.paths {
            let patience = path.patience(&self.config);
            if late <= patience {
                continue;
            }
            path.flight.excuse(now, path.answer_time(&self.config));
            path.hole.excuse(now);
            if self.unprobeable {
                path.silence.excuse(now.checked_sub(patience / 2).unwrap_or(now));
            }
            if let Some(suspicion) = &mut path.suspicion
                && suspicion.judgement().is_some_and(|at| at <= now)
                && self.hunt.is_none()
            {
                suspicion.reopen(now);
            }
        }
    }

    /// The next instant at which time alone changes something. What is due and waits for an answer has no deadline.
    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let later = |at: &Instant| *at > now;
        let of_path = |path: &Path| {
            let suspicion = path.suspicion.as_ref();
            [
                path.candidate.expiry,
                path.flight.next_deadline(),
                self.silence_due(path),
                suspicion.and_then(|s| s.next_round),
                suspicion.and_then(|s| s.leave_at()).filter(later),
                path.hole.due().filter(|_| path.is_up() || path.hole.is_searched()),
                path.next_probe.filter(|at| path.health != Health::Untried && later(at)),
                path.ahead_since.map(|since| since + self.config.hold).filter(later),
            ]
        };
        let of_active = |path: &Path| {
            let hunts = self.hunt.is_none() && !path.hole.is_searched();
            let hopeless = path.suspicion.as_ref().filter(|s| hunts && s.witnessed.is_none());
            [
                hopeless.and_then(|s| s.hopeless_at()),
                path.candidate.expiry.and_then(|expiry| expiry.checked_sub(LEAVE_EARLY)).filter(later),
                self.unproven_until(path).filter(later),
                self.hunt.as_ref().map(|hunt| hunt.next),
            ]
        };
        let active = self.active_index().map(|index| of_active(&self.paths[index]));
        let deadlines = self.paths.iter().flat_map(of_path).chain(active.into_iter().flatten());
        deadlines.chain([self.affordable]).flatten().min()
    }
}
