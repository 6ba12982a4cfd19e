//! The manager of the paths to one destination AS.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::token::Tokens;
use crate::{Candidate, Config, Event, EventKind, Fingerprint, Kind, PathId, PathReport, Preference, Probe, Reason};
use crate::{Scmp, State};

/// Ranks the paths to one destination AS, watches them, and says which one carries the traffic.
///
/// It does no IO and reads no clock: the driver tells it what happened and when (`handle_*`), then asks what to do
/// (`poll_*`). After any `handle_*` call: drain [`poll_event`](Self::poll_event), drain
/// [`poll_probe`](Self::poll_probe) and send each probe at once, then set one timer to
/// [`poll_timeout`](Self::poll_timeout) and call [`handle_timeout`](Self::handle_timeout) when it fires.
pub struct Manager {
    config: Config,
    tokens: Tokens,
    paths: Vec<Path>,
    next_id: u32,
    active: Option<PathId>,
    events: VecDeque<Event>,
    probes: VecDeque<Probe>,
}

struct Path {
    id: PathId,
    candidate: Candidate,
    outstanding: Option<u64>,
    next_probe: Instant,
    last_received: Option<Instant>,
    answered: u64,
    sent: u64,
}

impl Manager {
    /// A manager without paths. `seed` must be random: probe tokens and jitter are drawn from it.
    pub fn new(config: Config, seed: u64) -> Self {
        Self {
            config,
            tokens: Tokens::new(seed),
            paths: Vec::new(),
            next_id: 0,
            active: None,
            events: VecDeque::new(),
            probes: VecDeque::new(),
        }
    }

    /// Takes the complete result of a lookup. A path with a known fingerprint keeps its id, state and measurements.
    pub fn handle_paths(&mut self, now: Instant, set: &[Candidate]) {
        for candidate in set {
            match self.paths.iter_mut().find(|p| p.candidate.fingerprint == candidate.fingerprint) {
                Some(path) => path.candidate = candidate.clone(),
                None => self.add(now, candidate),
            }
        }
        let gone: Vec<PathId> = self
            .paths
            .iter()
            .filter(|p| Some(p.id) != self.active && !set.iter().any(|c| c.fingerprint == p.candidate.fingerprint))
            .map(|p| p.id)
            .collect();
        for id in gone {
            self.paths.retain(|p| p.id != id);
            self.event(now, EventKind::Removed { path: id });
        }
        if self.active.is_none() {
            let best = self.paths.iter().filter(|p| p.candidate.kind == Kind::Scion).min_by_key(|p| {
                (p.candidate.latency.is_none(), p.candidate.latency, p.candidate.hops(), p.candidate.fingerprint)
            });
            if let Some(to) = best.map(|p| p.id) {
                self.switch(now, to, Reason::FirstChoice);
            }
        }
        self.handle_timeout(now);
    }

    /// A datagram of `len` bytes payload was sent over `path`. `awaits_reply`: the peer will acknowledge it.
    pub fn handle_sent(&mut self, _now: Instant, _path: PathId, _len: usize, _awaits_reply: bool) {}

    /// A packet of the peer came over (the reverse of) `path`.
    pub fn handle_received(&mut self, now: Instant, path: PathId, _len: usize) {
        if let Some(path) = self.paths.iter_mut().find(|p| p.id == path) {
            path.last_received = Some(now);
        }
    }

    /// The peer now sends over `path`, which is not our active one.
    pub fn handle_peer_moved(&mut self, now: Instant, path: PathId) {
        self.handle_received(now, path, 0);
    }

    /// The peer returned a probe's token. `None`: no such probe is outstanding; ignore it.
    pub fn handle_probe_reply(&mut self, now: Instant, token: u64) -> Option<PathId> {
        let path = self.paths.iter_mut().find(|p| p.outstanding == Some(token))?;
        path.outstanding = None;
        path.answered += 1;
        path.last_received = Some(now);
        let id = path.id;
        if self.active.is_none() {
            self.switch(now, id, Reason::FirstChoice);
        }
        Some(id)
    }

    /// A router reported an error about a packet that we sent over `path`.
    pub fn handle_scmp(&mut self, now: Instant, path: PathId, _evidence: Scmp) {
        self.handle_send_error(now, path);
    }

    /// Sending over `path` failed locally.
    pub fn handle_send_error(&mut self, now: Instant, path: PathId) {
        let other = self.paths.iter().find(|p| p.id != path && p.answered > 0).map(|p| p.id);
        if let (Some(to), true) = (other, self.active == Some(path)) {
            self.switch(now, to, Reason::SendError);
        }
    }

    /// The instant of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        for path in &mut self.paths {
            if path.next_probe <= now {
                path.next_probe = now + self.config.active_interval;
                let token = self.tokens.next();
                path.outstanding = Some(token);
                path.sent += 1;
                self.probes.push_back(Probe { path: path.id, token, size: 64 });
            }
        }
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A probe to send at once.
    pub fn poll_probe(&mut self) -> Option<Probe> {
        self.probes.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.paths.iter().map(|p| p.next_probe).min()
    }

    /// The path that carries the traffic.
    pub fn active(&self) -> Option<PathId> {
        self.active
    }

    /// The path with this fingerprint.
    pub fn id_of(&self, fingerprint: Fingerprint) -> Option<PathId> {
        self.paths.iter().find(|p| p.candidate.fingerprint == fingerprint).map(|p| p.id)
    }

    /// All paths, best first.
    pub fn report(&self, now: Instant) -> Vec<PathReport> {
        let report = |(rank, p): (usize, &Path)| PathReport {
            id: p.id,
            fingerprint: p.candidate.fingerprint,
            kind: p.candidate.kind,
            interfaces: p.candidate.interfaces.clone(),
            hops: p.candidate.hops(),
            mtu: (p.candidate.mtu > 0).then_some(p.candidate.mtu),
            expires_in: p.candidate.expiry.map(|e| e.saturating_duration_since(now)),
            state: if Some(p.id) == self.active { State::Active } else { State::Standby },
            active: Some(p.id) == self.active,
            rank: rank + 1,
            why: String::new(),
            announced_latency: p.candidate.latency,
            announced_bandwidth: p.candidate.bandwidth,
            rtt: None,
            measured_bandwidth: None,
            loss: None,
            last_received: p.last_received.map(|at| now.saturating_duration_since(at)),
            probes_sent: p.sent,
            probes_answered: p.answered,
            failures: 0,
            unknown: Vec::new(),
            unprobeable: false,
        };
        self.paths.iter().enumerate().map(report).collect()
    }

    /// Replaces the operator's preference (reload).
    pub fn set_preference(&mut self, _now: Instant, preference: Preference) {
        self.config.preference = preference;
    }

    fn add(&mut self, now: Instant, candidate: &Candidate) {
        let id = PathId(self.next_id);
        self.next_id += 1;
        self.paths.push(Path {
            id,
            candidate: candidate.clone(),
            outstanding: None,
            next_probe: now,
            last_received: None,
            answered: 0,
            sent: 0,
        });
        self.event(now, EventKind::Added { path: id, fingerprint: candidate.fingerprint });
    }

    fn switch(&mut self, now: Instant, to: PathId, reason: Reason) {
        let from = self.active.replace(to);
        self.event(now, EventKind::Switch { from, to, reason, silent_for: Duration::ZERO });
    }

    fn event(&mut self, at: Instant, kind: EventKind) {
        self.events.push_back(Event { at, kind });
    }
}
