//! Suspicion, judgement, and the switch away from a dead path.

use std::time::{Duration, Instant};

use super::{Hunt, Manager};
use crate::path::{Health, Path};
use crate::rank::{Runner, Standing, elect};
use crate::suspicion::{Acquittal, Suspicion};
use crate::{EventKind, PathId, Reason};

/// Datagrams up to this size pass wherever anything passes; larger ones can meet an MTU hole.
pub(super) const SMALL: u16 = 512;
/// Paths asked along with a suspect active path.
const CHALLENGERS: usize = 3;
/// Between the probes of a suspect path.
const SHORTEST_ROUND: Duration = Duration::from_millis(10);
/// Unanswered probes that rule out bad luck on a path that loses none.
const CLEAN: usize = 2;
/// Time that a path has to answer when a router says that it is broken.
const SHORTEST_SCMP_WAIT: Duration = Duration::from_millis(20);

impl Manager {
    /// Opens a case against a path, or adds evidence to the open one.
    pub(super) fn suspect(&mut self, now: Instant, index: usize, reason: Reason, acquittal: Acquittal) {
        let path = &self.paths[index];
        if matches!(path.health, Health::Untried | Health::Dead { .. }) {
            return;
        }
        let opened = path.suspicion.is_none();
        let mut suspicion =
            self.paths[index].suspicion.take().unwrap_or_else(|| self.open_case(now, index, reason, acquittal));
        let path = &mut self.paths[index];
        match reason {
            Reason::Scmp(_) => {
                let wait = (path.expected_rtt(&self.config) * 6 / 5).max(SHORTEST_SCMP_WAIT);
                // A path that loses probes now and then must not be lost to whoever forges a complaint at the right moment.
                let evidence = path.evidence();
                let evidence = if evidence <= CLEAN { 1 } else { evidence };
                suspicion.press(now, reason, evidence, wait);
            }
            Reason::SendError => suspicion.press(now, reason, 0, suspicion.answer_time),
            _ => {}
        }
        path.suspicion = Some(suspicion);
        let kind = EventKind::Suspect { path: path.id, reason };
        if opened {
            self.event(now, kind);
        }
    }

    fn open_case(&self, now: Instant, index: usize, reason: Reason, acquittal: Acquittal) -> Suspicion {
        let path = &self.paths[index];
        let patience = path.patience(&self.config);
        let mut suspicion = Suspicion::new(now, reason, acquittal);
        suspicion.evidence = path.evidence();
        suspicion.answer_time = path.answer_time(&self.config);
        suspicion.round = (patience / 8).max(SHORTEST_ROUND);
        if let (Reason::Silence(_), Some(since)) = (reason, path.silence.since()) {
            suspicion.not_before = since + patience;
        }
        if Some(path.id) == self.active {
            let challengers = self.challengers(index);
            let times = challengers.iter().map(|other| self.paths[*other].answer_time(&self.config));
            suspicion.challengers_time = times.max().unwrap_or_default().min(self.config.max_silence);
            suspicion.challengers = challengers.into_iter().map(|other| self.paths[other].id).collect();
        } else {
            suspicion.challengers.extend(self.active);
        }
        suspicion
    }

    /// After large datagrams only the reply to a probe as large proves the path.
    pub(super) fn acquittal_of_silence(&self, index: usize) -> Acquittal {
        match self.paths[index].silence.largest() {
            size if size > SMALL => Acquittal::Reply(size),
            _ => Acquittal::AnyPacket,
        }
    }

    /// The paths to ask along with a suspect: the best one, then those that share least with it.
    fn challengers(&self, suspect: usize) -> Vec<usize> {
        let eligible = |index: &usize| {
            let path = &self.paths[*index];
            *index != suspect && path.is_scion() && path.health != Health::Untried
        };
        let mut others: Vec<usize> = (0..self.paths.len()).filter(eligible).collect();
        others.sort_by_cached_key(|index| self.paths[*index].score(&self.config.policy));
        if let Some(rest) = others.get_mut(1..) {
            rest.sort_by_key(|index| {
                let other = &self.paths[*index];
                let shared = other.candidate.shared_interfaces(&self.paths[suspect].candidate);
                (other.standing() >= Standing::Suspect, shared)
            });
        }
        others.truncate(CHALLENGERS);
        others
    }

    /// Asks the suspects whose next round has come, and the challengers with them.
    pub(super) fn pursue_suspicions(&mut self, now: Instant) {
        for index in 0..self.paths.len() {
            let carries = Some(self.paths[index].id) == self.active;
            let Some(suspicion) = &mut self.paths[index].suspicion else { continue };
            if suspicion.next_round.is_none_or(|round| round > now) {
                continue;
            }
            suspicion.asked(now);
            let size = match suspicion.acquittal {
                Acquittal::Reply(size) => size,
                Acquittal::AnyPacket => 0,
            };
            let on = carries || !suspicion.asked_enough();
            suspicion.next_round = on.then_some(now + suspicion.round);
            let unanswered = matches!(suspicion.reason, Reason::Silence(_));
            let challengers = suspicion.challengers.clone();
            self.probe_at_once(now, index, size, unanswered);
            if size > SMALL {
                // Its answer tells an MTU hole from a dead path.
                self.probe_at_once(now, index, 0, unanswered);
            }
            for challenger in challengers {
                if let Some(challenger) = self.index(challenger) {
                    self.probe_at_once(now, challenger, size, unanswered);
                }
            }
        }
    }

    /// A path answered a probe sent at `sent`: a witness in the cases against all others that began before.
    pub(super) fn testify(&mut self, witness: PathId, sent: Instant) {
        for path in self.paths.iter_mut().filter(|path| path.id != witness) {
            if let Some(suspicion) = path.suspicion.as_mut().filter(|s| s.began <= sent) {
                suspicion.witnessed.get_or_insert(sent);
            }
        }
    }

    /// Condemns the suspects that had their chance while another path answered.
    pub(super) fn judge_suspects(&mut self, now: Instant) {
        self.hedge_suspicion();
        for index in 0..self.paths.len() {
            let path = &self.paths[index];
            let Some(suspicion) = path.suspicion.as_ref().filter(|s| s.leave_at().is_some_and(|at| at <= now)) else {
                continue;
            };
            let (reason, began) = (verdict(now, path, suspicion), suspicion.began);
            let too_large = match reason {
                Reason::LargePacketsLost(size) => Some(size),
                _ => None,
            };
            if Some(path.id) != self.active {
                self.condemn(now, index, reason);
            } else if let Some(to) = self.successor(suspicion) {
                // Where no path is known to carry as much, this one goes on with smaller packets.
                if too_large.is_some_and(|size| !self.carries(to, size, began) && self.search_hole(now, index, size)) {
                    continue;
                }
                self.condemn_and_switch(now, index, to, reason);
            } else if let Some(suspicion) = &mut self.paths[index].suspicion {
                suspicion.witnessed = None;
            }
            if let Some(size) = too_large.filter(|_| self.paths[index].is_dead()) {
                self.search_hole(now, index, size);
            }
        }
    }

    /// As soon as another path has answered, traffic need not wait for the judgement on the active one. A better one
    /// that answers later takes its place.
    fn hedge_suspicion(&mut self) {
        let Some(index) = self.active_index() else { return };
        let Some(suspicion) = self.paths[index].suspicion.as_ref().filter(|s| s.witnessed.is_some()) else { return };
        let hedge = suspicion.hedge;
        let candidates = [hedge, self.successor(suspicion)];
        let hedge = self.elected(hedge, |path| candidates.contains(&Some(path.id)));
        if let Some(suspicion) = &mut self.paths[index].suspicion {
            suspicion.hedge = hedge;
        }
    }

    /// The best path that has answered since the suspicion began; among equals the hedge.
    fn successor(&self, suspicion: &Suspicion) -> Option<PathId> {
        let answered = |path: &&Path, size: u16| {
            let proven = path.proof.is_some_and(|proof| proof.sent >= suspicion.began && proof.size >= size);
            proven && Some(path.id) != self.active && !path.is_dead()
        };
        let size = match suspicion.acquittal {
            Acquittal::Reply(size) => size,
            Acquittal::AnyPacket => 0,
        };
        let best = |size| self.elected(suspicion.hedge, |path| answered(&path, size));
        best(size).or_else(|| best(0))
    }

    /// The path that an election among those that qualify gives the traffic to.
    pub(super) fn best_of(&self, qualifies: impl Fn(&Path) -> bool) -> Option<PathId> {
        self.elected(None, qualifies)
    }

    /// The same with an incumbent, who wins unless another one is clearly better.
    fn elected(&self, incumbent: Option<PathId>, qualifies: impl Fn(&Path) -> bool) -> Option<PathId> {
        let policy = &self.config.policy;
        let runners: Vec<Runner> = self
            .paths
            .iter()
            .filter(|path| qualifies(path))
            .map(|path| Runner { id: path.id, score: path.score(policy) })
            .collect();
        elect(&runners, &policy.preference, self.config.latency_margin, incumbent).map(|election| election.winner)
    }

    pub(super) fn condemn(&mut self, now: Instant, index: usize, reason: Reason) {
        let path = &mut self.paths[index];
        path.die(now, &self.config);
        path.cause = Some(reason);
        let kind = EventKind::Down { path: path.id, reason };
        self.event(now, kind);
    }

    fn condemn_and_switch(&mut self, now: Instant, index: usize, to: PathId, reason: Reason) {
        let silent_for = self.silent_for(now, index);
        self.condemn(now, index, reason);
        self.switch(now, to, reason, silent_for);
    }

    /// How long nothing has come over a path.
    pub(super) fn silent_for(&self, now: Instant, index: usize) -> Duration {
        let path = &self.paths[index];
        let last = path.last_received.or(path.silence.since());
        last.map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    pub(super) fn switch(&mut self, now: Instant, to: PathId, reason: Reason, silent_for: Duration) {
        let from = self.active.replace(to);
        self.active_since = Some(now);
        self.hunt = None;
        self.no_path_said = false;
        let scion_down = self.index(to).is_some_and(|index| !self.paths[index].is_scion());
        for path in &mut self.paths {
            path.ahead_since = None;
            if Some(path.id) == from {
                path.silence.forget();
            }
            if scion_down && path.id != to {
                let soon = now + self.config.dead_interval;
                path.next_probe = path.next_probe.map(|at| at.min(soon));
            }
            if path.id == to {
                path.suspicion = None;
                path.silence.forget();
                if matches!(path.health, Health::Untried | Health::Dead { .. }) {
                    path.health = Health::Probing;
                    path.next_probe = Some(now);
                }
            }
        }
        self.event(now, EventKind::Switch { from, to, reason, silent_for });
    }

    /// While the active path is suspect and no other answers: asks all of them again and again, ever more slowly.
    pub(super) fn hunt(&mut self, now: Instant) {
        let Some(index) = self.active_index() else {
            self.hunt = None;
            return;
        };
        let Some(suspicion) = &mut self.paths[index].suspicion else {
            self.hunt = None;
            return;
        };
        let hopeless = suspicion.witnessed.is_none() && suspicion.hopeless_at().is_some_and(|at| at <= now);
        if hopeless && self.is_searched_for_a_hole(now, index) {
            return;
        }
        let Some(suspicion) = &mut self.paths[index].suspicion else { return };
        if self.hunt.is_none() && hopeless {
            suspicion.next_round = None;
            self.hunt = Some(Hunt { next: now, interval: self.config.hunt_interval });
        }
        let Some(hunt) = self.hunt.as_mut().filter(|hunt| hunt.next <= now) else { return };
        hunt.next = now + hunt.interval;
        let steady = hunt.interval >= self.config.hunt_interval_max;
        hunt.interval = (hunt.interval * 2).min(self.config.hunt_interval_max);
        self.say_no_path(now, index);
        let mut all: Vec<usize> = (0..self.paths.len()).filter(|i| self.paths[*i].health != Health::Untried).collect();
        all.sort_by_cached_key(|index| self.paths[*index].score(&self.config.policy));
        all.truncate(self.config.probed);
        if !all.contains(&index) {
            all.push(index);
        }
        for path in all {
            let size = match self.paths[path].suspicion.as_ref().map(|s| s.acquittal) {
                Some(Acquittal::Reply(size)) => size,
                _ => 0,
            };
            let mut cost = self.probe(now, path, size, false);
            if size > SMALL {
                cost += self.probe(now, path, 0, false);
            }
            if steady {
                self.budget.spend(now, cost);
            } else {
                self.budget.spend_at_once(now, cost);
            }
        }
        if let Some(hunt) = self.hunt.as_mut().filter(|_| steady) {
            hunt.next = hunt.next.max(self.budget.ready(now, 0));
        }
    }

    /// Nothing answers but small probes of the suspect itself: no other path is needed, and no other helps.
    fn is_searched_for_a_hole(&mut self, now: Instant, index: usize) -> bool {
        let path = &self.paths[index];
        match path.suspicion.as_ref().map(|suspicion| verdict(now, path, suspicion)) {
            Some(Reason::LargePacketsLost(size)) => self.search_hole(now, index, size),
            _ => false,
        }
    }

    /// Says `NoPath` once, when the active path is silent too (a peer may ignore probes and send traffic).
    fn say_no_path(&mut self, now: Instant, active: usize) {
        let path = &self.paths[active];
        let heard = path.last_received.is_some_and(|at| at + path.patience(&self.config) > now);
        if !heard && !self.no_path_said {
            self.no_path_said = true;
            let silent_for = self.silent_for(now, active);
            self.event(now, EventKind::NoPath { silent_for });
        }
    }

    /// The peer answers no probes and the path has been silent: go where the peer was heard meanwhile, or to the next
    /// best one, or to the one that failed longest ago.
    pub(super) fn leave_blindly(&mut self, now: Instant, index: usize, waited: Duration) {
        let id = self.paths[index].id;
        let heard = |path: &Path| path.last_received.is_some_and(|at| at + waited > now);
        let lives = |path: &Path| path.id != id && path.is_scion() && !path.is_dead();
        let living = self.best_of(|path| lives(path) && heard(path)).or_else(|| self.best_of(lives));
        let longest_dead = || {
            let dead = self.paths.iter().filter(|path| path.id != id && path.is_scion());
            dead.min_by_key(|path| match path.health {
                Health::Dead { since, .. } => Some(since),
                _ => None,
            })
        };
        let next = living.or_else(|| longest_dead().map(|path| path.id));
        if living.is_none() && !self.no_path_said {
            let silent_for = self.silent_for(now, index);
            self.event(now, EventKind::NoPath { silent_for });
        }
        match next {
            Some(to) => self.condemn_and_switch(now, index, to, Reason::Silence(waited)),
            None => self.paths[index].silence.forget(),
        }
        self.no_path_said = living.is_none();
    }
}

/// What a suspect is found guilty of.
fn verdict(now: Instant, path: &Path, suspicion: &Suspicion) -> Reason {
    let small_pass = path.proof.is_some_and(|proof| proof.sent >= suspicion.began);
    match (suspicion.acquittal, suspicion.reason) {
        (Acquittal::Reply(size), _) if size > SMALL && small_pass => Reason::LargePacketsLost(size),
        (_, Reason::Silence(waited)) => {
            let waited = path.silence.since().map_or(waited, |since| now.saturating_duration_since(since));
            Reason::Silence(waited)
        }
        (_, Reason::ProbesLost(_)) => Reason::ProbesLost(path.missed.max(1)),
        (_, reason) => reason,
    }
}
