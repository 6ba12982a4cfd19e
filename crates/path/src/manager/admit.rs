//! Which of the paths that lookups offer become paths of ours: those that the rules allow.

use std::time::{Duration, Instant};

use super::Manager;
use crate::measured::Measured;
use crate::path::Path;
use crate::rank::{Score, Standing};
use crate::{Candidate, EventKind, Fingerprint, PathId, Policy, Reason};

/// Paths kept of a lookup; of more, the best by what is announced. As many again of those that are excluded.
const MOST_PATHS: usize = 128;

/// What lookups offered last.
#[derive(Default)]
pub(super) struct Admission {
    allowed: Vec<Candidate>,
    /// Each with its name, and the rule that excludes it.
    pub(super) excluded: Vec<(PathId, Candidate, String)>,
    /// It was said that there are paths and none is allowed.
    none_said: bool,
}

impl Manager {
    /// Takes the complete result of a lookup (with the TCP/IP fallback, if the peer lists one).
    ///
    /// A path with a known fingerprint keeps its id, state and measurements. The active path is used until shortly before its
    /// expiry even if it is no longer listed; up to 16 others that were ever heard of stand by until they expire, behind those that
    /// are listed. Of more than 128 paths the best by what is
    /// announced are kept. What the rules exclude is reported, and nothing more.
    pub fn handle_paths(&mut self, now: Instant, set: &[Candidate]) {
        self.sort_out(now, set.to_vec());
        for candidate in self.admission.allowed.clone() {
            match self.paths.iter_mut().find(|p| p.candidate.fingerprint == candidate.fingerprint) {
                Some(path) => {
                    path.crowding = candidate.crowding(&self.crowd);
                    path.renew(candidate);
                    path.withdrawn = false;
                }
                None => self.add(now, candidate),
            }
        }
        let allowed = &self.admission.allowed;
        for path in &mut self.paths {
            path.withdrawn = !allowed.iter().any(|c| c.fingerprint == path.candidate.fingerprint);
        }
        self.settle(now);
        self.tell_if_none_is_allowed(now);
    }

    /// Replaces what the operator wants (reload). What the rules exclude now is left at once; otherwise traffic moves
    /// after the hold time if another path is better now.
    pub fn set_policy(&mut self, now: Instant, policy: Policy) {
        let same_rules =
            policy.rules.strict == self.config.policy.rules.strict && policy.rules.tcp == self.config.policy.rules.tcp;
        let other_prices = policy.prices != self.config.policy.prices;
        self.config.policy = policy;
        if other_prices {
            self.price();
        }
        if same_rules {
            return self.settle(now);
        }
        let Admission { mut allowed, excluded, .. } = std::mem::take(&mut self.admission);
        allowed.extend(excluded.into_iter().map(|(_, candidate, _)| candidate));
        self.expel(now);
        self.handle_paths(now, &allowed);
    }

    /// Tells all paths what they cost now.
    fn price(&mut self) {
        let prices = &self.config.policy.prices;
        let excluded = self.admission.excluded.iter_mut().map(|(_, candidate, _)| candidate);
        let used = self.paths.iter_mut().map(|path| &mut path.candidate);
        used.chain(&mut self.admission.allowed).chain(excluded).for_each(|candidate| prices.price(candidate));
    }

    /// What is wanted of the paths.
    pub fn policy(&self) -> &Policy {
        &self.config.policy
    }

    /// The paths that the rules exclude, each with the one that does it.
    pub fn excluded(&self) -> impl Iterator<Item = (&Candidate, &str)> {
        self.admission.excluded.iter().map(|(_, candidate, rule)| (candidate, rule.as_str()))
    }

    fn sort_out(&mut self, now: Instant, mut set: Vec<Candidate>) {
        set.retain(|c| c.expiry.is_none_or(|expiry| expiry > now));
        set.iter_mut().for_each(|candidate| self.config.policy.prices.price(candidate));
        let (mut allowed, mut excluded) = (Vec::new(), Vec::new());
        for candidate in set {
            match self.config.policy.rules.exclusion(&candidate) {
                None => allowed.push(candidate),
                Some(why) if excluded.len() < MOST_PATHS => {
                    excluded.push((self.name_of_excluded(&candidate), candidate, why));
                }
                Some(_) => {}
            }
        }
        self.keep_best_announced(&mut allowed);
        (self.admission.allowed, self.admission.excluded) = (allowed, excluded);
    }

    /// The one that it has already, or a new one.
    fn name_of_excluded(&mut self, candidate: &Candidate) -> PathId {
        let known = self.admission.excluded.iter().find(|(_, known, _)| known.fingerprint == candidate.fingerprint);
        known.map(|(id, ..)| *id).unwrap_or_else(|| self.next_name())
    }

    fn next_name(&mut self) -> PathId {
        let id = PathId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    fn keep_best_announced(&self, set: &mut Vec<Candidate>) {
        if set.len() > MOST_PATHS {
            let announced = |c: &Candidate| Score::new(&self.config.policy, c, Standing::Unasked, Measured::default());
            set.sort_by_cached_key(|c| Score { crowding: c.crowding(&self.crowd), ..announced(c) });
            let fallback = set.iter().rposition(|c| c.fingerprint == Fingerprint::TCP);
            if let Some(fallback) = fallback.filter(|index| *index >= MOST_PATHS) {
                set.swap(MOST_PATHS - 1, fallback);
            }
            set.truncate(MOST_PATHS);
        }
    }

    fn add(&mut self, now: Instant, candidate: Candidate) {
        let id = self.next_name();
        self.event(now, EventKind::Added { path: id, fingerprint: candidate.fingerprint });
        let mut path = Path::new(id, candidate);
        path.recorder = self.archive.take(now, path.candidate.fingerprint);
        path.crowding = path.candidate.crowding(&self.crowd);
        self.paths.push(path);
    }

    /// Removes the paths that are not allowed any more, and moves the traffic off them.
    fn expel(&mut self, now: Instant) {
        let rules = self.config.policy.rules.clone();
        let expelled = |path: &Path| rules.exclusion(&path.candidate).is_some();
        if self.active_index().is_some_and(|active| expelled(&self.paths[active])) {
            let up = self.best_of(|path| path.is_up() && !expelled(path));
            if let Some(to) = up.or_else(|| self.best_of(|path| path.is_scion() && !expelled(path))) {
                self.switch(now, to, Reason::Excluded, Duration::ZERO);
            }
        }
        self.remove(now, expelled);
    }

    fn tell_if_none_is_allowed(&mut self, now: Instant) {
        let Admission { allowed, excluded, none_said } = &mut self.admission;
        let none = allowed.is_empty() && !excluded.is_empty();
        if none && !std::mem::replace(none_said, none) {
            let paths = excluded.len();
            self.event(now, EventKind::NoneAllowed { paths });
        } else {
            *none_said = none;
        }
    }
}
