//! The choice of the active path when nothing has failed: the first one, the better one, the next one at expiry.

use std::time::{Duration, Instant};

use super::Manager;
use super::settle::LEAVE_EARLY;
use crate::path::{Health, Path};
use crate::rank::{Ground, Runner, Score, Standing, elect};
use crate::{Kind, Metric, PathId, Reason};

/// Traffic does not move to a path that expires within this time.
const TOO_LATE: Duration = Duration::from_secs(10);
/// TCP/IP is not left for a SCION path if a better one's probation ends within this time.
const SOON: Duration = Duration::from_secs(1);
/// A path that has not answered yet is given at least this long before traffic goes to one that has.
const SHORTEST_TRIAL: Duration = Duration::from_millis(100);

impl Manager {
    pub(super) fn choose(&mut self, now: Instant) {
        let Some(index) = self.active_index() else {
            self.choose_first(now);
            return;
        };
        let active = &self.paths[index];
        if let Some(reason) = leaving(now, active) {
            let unprobeable = self.unprobeable;
            let able = |path: &Path| path.is_up() || unprobeable && path.is_scion() && !path.is_dead();
            let other = |path: &Path| able(path) && Some(path.id) != self.active;
            let listed = self.best_of(|path| other(path) && stays(now, path));
            if let Some(to) = listed.or_else(|| self.best_of(|path| other(path) && !expires_soon(now, path))) {
                self.move_traffic(now, to, reason);
                return;
            }
        }
        if self.unprobeable || self.paths[index].suspicion.is_some() {
            return;
        }
        // Standby paths may have failed with the one that TCP/IP stands in for, unnoticed as yet.
        let fallen_back = self.active_since.filter(|_| self.paths[index].candidate.kind == Kind::Tcp);
        let proven = |path: &Path| fallen_back.is_none_or(|at| path.proof.is_some_and(|proof| proof.sent >= at));
        let eligible = |path: &Path| path.is_up() && path.is_scion() && stays(now, path) && proven(path);
        let reason = match self.paths[index].candidate.kind {
            Kind::Tcp => Some(Reason::ScionBack),
            Kind::Scion | Kind::Ip => {
                let until = self.unproven_until(&self.paths[index]);
                until.filter(|until| *until <= now).map(|_| Reason::Unproven)
            }
        };
        if let Some((reason, to)) = reason.and_then(|reason| Some((reason, self.best_of(eligible)?))) {
            if reason != Reason::ScionBack {
                self.move_traffic(now, to, reason);
            } else if !self.better_to_come(now, to) {
                let ip = self.index(to).is_some_and(|index| self.paths[index].candidate.kind == Kind::Ip);
                self.move_traffic(now, to, if ip { Reason::IpBack } else { reason });
            }
            return;
        }
        self.challenge(now, index);
    }

    /// Without an active path: the best SCION path by what is known, answered or not; TCP/IP once it answers.
    fn choose_first(&mut self, now: Instant) {
        let able = |path: &Path| path.is_scion() || path.health == Health::Up;
        let fresh = self.best_of(|path| able(path) && stays(now, path));
        if let Some(to) = fresh.or_else(|| self.best_of(able)) {
            self.switch(now, to, Reason::FirstChoice, Duration::ZERO);
        }
    }

    /// Whether a better path than `to` may end its probation soon: TCP/IP carries the traffic well until then.
    fn better_to_come(&self, now: Instant, to: PathId) -> bool {
        let soon = |path: &Path| match path.health {
            Health::Probation { since, lasts, .. } => since + lasts <= now + SOON,
            _ => false,
        };
        let runs = |path: &&Path| path.id == to || path.is_scion() && soon(path) && stays(now, path);
        let score = |path: &Path| Score { standing: Standing::Up, ..path.score(&self.config.policy) };
        let runner = |path: &Path| Runner { id: path.id, score: score(path) };
        let runners: Vec<Runner> = self.paths.iter().filter(runs).map(runner).collect();
        let election = elect(&runners, &self.config.policy.preference, self.config.latency_margin, Some(to));
        election.is_some_and(|election| election.winner != to)
    }

    /// Moves traffic to a path that has been clearly better for the hold time.
    fn challenge(&mut self, now: Instant, active: usize) {
        let incumbent = self.paths[active].id;
        let policy = &self.config.policy;
        let runs = |path: &&Path| path.id == incumbent || path.is_up() && path.is_scion() && stays(now, path);
        let runner = |path: &Path| Runner { id: path.id, score: path.score(policy) };
        let runners: Vec<Runner> = self.paths.iter().filter(runs).map(runner).collect();
        let Some(election) = elect(&runners, &policy.preference, self.config.latency_margin, Some(incumbent)) else {
            return;
        };
        let won = election.winner != incumbent;
        for path in &mut self.paths {
            let ahead = won && election.field.contains(&path.id);
            path.ahead_since = ahead.then(|| path.ahead_since.unwrap_or(now));
        }
        let since = self.index(election.winner).and_then(|index| self.paths[index].ahead_since);
        if since.is_some_and(|since| since + self.config.hold <= now) {
            let reason = match election.ground(incumbent) {
                Ground::Metric(metric) => Reason::Better(metric),
                Ground::Loss => Reason::Lossy(self.paths[active].percent_lost()),
                Ground::Hole => Reason::Better(Metric::Mtu),
                Ground::Limits => Reason::WithinLimits,
                Ground::Crowding => Reason::Apart,
                _ => Reason::Unproven,
            };
            self.move_traffic(now, election.winner, reason);
        }
    }

    fn move_traffic(&mut self, now: Instant, to: PathId, reason: Reason) {
        let silent_for = self.active_index().map_or(Duration::ZERO, |index| self.silent_for(now, index));
        self.switch(now, to, reason, silent_for);
    }

    /// Until when an active path that has never answered keeps the traffic although another one has answered.
    pub(super) fn unproven_until(&self, path: &Path) -> Option<Instant> {
        let unheard = path.health == Health::Probing && path.last_received.is_none();
        let asked = path.first_asked.filter(|_| unheard)?;
        Some(asked + path.answer_time(&self.config).max(SHORTEST_TRIAL))
    }
}

/// Why the active path must be left soon, if it must.
fn leaving(now: Instant, path: &Path) -> Option<Reason> {
    match path.candidate.expiry {
        Some(expiry) => (expiry <= now + LEAVE_EARLY).then_some(Reason::Expiring),
        None => path.withdrawn.then_some(Reason::Withdrawn),
    }
}

/// Whether it is still worth moving to.
fn stays(now: Instant, path: &Path) -> bool {
    !path.withdrawn && !expires_soon(now, path)
}

fn expires_soon(now: Instant, path: &Path) -> bool {
    path.candidate.expiry.is_some_and(|expiry| expiry <= now + TOO_LATE)
}
