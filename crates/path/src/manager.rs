//! The manager of the paths to one destination AS: what the driver calls.

mod admit;
mod choice;
mod companion;
mod describe;
mod failover;
mod narrow;
mod peer;
mod probing;
mod remember;
mod settle;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::admit::Admission;
use crate::arrivals::Arrivals;
use crate::budget::Budget;
use crate::history::{Archive, Chronicle};
use crate::path::{Health, Path};
use crate::recent::RecentMax;
use crate::suspicion::Acquittal;
use crate::token::Tokens;
use crate::{Config, Event, EventKind, Fingerprint, Interface, PathId, Probe, Reason, Scmp};

/// Events kept for a driver that does not poll them; the oldest go first.
const MOST_EVENTS: usize = 1024;
/// Probes kept for a driver that does not poll them; the oldest go first.
const MOST_PROBES: usize = 256;

/// Ranks the paths to one destination AS, watches them, and says which one carries the traffic.
///
/// It does no IO and reads no clock: the driver tells it what happened and when (`handle_*`), then asks what to do
/// (`poll_*`). After any `handle_*` call, in this order: drain [`poll_event`](Self::poll_event), drain
/// [`poll_probe`](Self::poll_probe) and send each probe at once, then set one timer to
/// [`poll_timeout`](Self::poll_timeout) and call [`handle_timeout`](Self::handle_timeout) when it fires. A driver that
/// has packets to read and a timer that is due reads first. `now` never goes back.
///
/// [`handle_sent`](Self::handle_sent) and [`handle_received`](Self::handle_received) are cheap enough for every
/// packet: they allocate nothing, and for a path that works they only note the time.
pub struct Manager {
    config: Config,
    tokens: Tokens,
    /// In the order of their ids.
    paths: Vec<Path>,
    next_id: u32,
    admission: Admission,
    active: Option<PathId>,
    /// Carries a copy of all traffic.
    companion: Option<PathId>,
    /// Since when it carries the traffic.
    active_since: Option<Instant>,
    arrivals: Arrivals,
    /// The interfaces that other lanes use.
    crowd: Vec<Interface>,
    /// The largest datagram of late that awaited a reply.
    largest: RecentMax<u16, 10>,
    /// Set while no path answers.
    hunt: Option<Hunt>,
    /// The peer answers no probes.
    unprobeable: bool,
    /// `NoPath` was said and nothing has been heard since.
    no_path_said: bool,
    chronicle: Chronicle,
    /// Of paths that lookups no longer list.
    archive: Archive,
    budget: Budget,
    /// When the budget affords the regular probe that has waited longest.
    affordable: Option<Instant>,
    events: VecDeque<Event>,
    probes: VecDeque<Probe>,
    timer: Option<Instant>,
}

/// Rounds of probing all paths.
struct Hunt {
    next: Instant,
    interval: Duration,
}

impl Manager {
    /// A manager without paths. `seed` must be random: probe tokens and jitter are drawn from it.
    pub fn new(config: Config, seed: u64) -> Self {
        let budget = Budget::new(config.probe_budget);
        Self {
            config,
            tokens: Tokens::new(seed),
            paths: Vec::new(),
            next_id: 0,
            admission: Admission::default(),
            active: None,
            companion: None,
            active_since: None,
            arrivals: Arrivals::default(),
            crowd: Vec::new(),
            largest: RecentMax::default(),
            hunt: None,
            unprobeable: false,
            no_path_said: false,
            chronicle: Chronicle::default(),
            archive: Archive::default(),
            budget,
            affordable: None,
            events: VecDeque::new(),
            probes: VecDeque::new(),
            timer: None,
        }
    }

    /// Other lanes of the traffic to the same AS use these interfaces now, one named as often as lanes use it. The fewer
    /// of them a path crosses, the better it is, whatever the preference says; traffic moves for that after the hold
    /// time. Lanes that tell each other where they are find paths apart from each other as far as there are such paths:
    /// each move makes the sum of what they share smaller. Their hold times should differ, lest two move at once.
    pub fn handle_crowd(&mut self, now: Instant, interfaces: &[Interface]) {
        if self.crowd == interfaces {
            return;
        }
        self.crowd = interfaces.to_vec();
        for path in &mut self.paths {
            path.crowding = path.candidate.crowding(&self.crowd);
        }
        self.settle(now);
    }

    /// A datagram of `len` bytes payload was sent over `path`. `awaits_reply`: the peer will acknowledge it.
    pub fn handle_sent(&mut self, now: Instant, path: PathId, len: usize, awaits_reply: bool) {
        let Some(index) = self.index(path).filter(|_| awaits_reply) else { return };
        let size = u16::try_from(len).unwrap_or(u16::MAX);
        self.largest.record(now, size);
        // Of larger ones it is known that they do not pass, which is no news of the path.
        let size = size.min(self.paths[index].room());
        if self.paths[index].silence.sent(now, size) {
            let due = self.silence_due(&self.paths[index]);
            self.timer = [self.timer, due].into_iter().flatten().min();
        }
    }

    /// So many packets of the peer came over (the reverse of) `path`, one after the other; not probes, whose replies
    /// go to [`handle_probe_reply`](Self::handle_probe_reply).
    pub fn handle_received(&mut self, now: Instant, path: PathId, packets: usize) {
        let Some(index) = self.index(path) else { return };
        let heard = &mut self.paths[index];
        heard.last_received = Some(now);
        heard.silence_broken(now);
        let back = Some(path) == self.active && std::mem::take(&mut self.no_path_said);
        if back && self.unprobeable {
            // No suspicion is open then, whose end would say it.
            self.event(now, EventKind::Up { path });
        }
        let heard = &self.paths[index];
        if heard.suspicion.is_some() || heard.is_dead() {
            self.received_in_doubt(now, index);
        }
        self.arrived(now, path, packets);
    }

    /// Of the traffic, QUIC sent so many packets over `path` of late, and declared so many lost. Not to be told of what a failed path
    /// took with it.
    pub fn handle_loss(&mut self, now: Instant, path: PathId, sent: u64, lost: u64) {
        let Some(index) = self.index(path) else { return };
        self.paths[index].recorder.traffic(now, sent, lost);
        let Some(path) = self.paths.get_mut(index).filter(|path| path.health == Health::Up) else { return };
        let before = path.lossiness.is_lossy();
        path.lossiness.record(sent, lost, &path.loss);
        if path.lossiness.is_lossy() != before {
            self.settle(now);
        }
    }

    /// What came over `path` was an acknowledgement: data sent over other paths is answered by it too, because the two
    /// ends need not send over the same path. In addition to [`handle_received`](Self::handle_received).
    pub fn handle_acknowledgement(&mut self, now: Instant, path: PathId) {
        let Some(index) = self.index(path) else { return };
        let back = self.paths[index].rtt.get().map_or(Duration::ZERO, |rtt| rtt.min);
        for other in self.paths.iter_mut().filter(|other| other.id != path) {
            let out = other.rtt.get().map_or(Duration::ZERO, |rtt| rtt.min);
            other.silence.broken(now, (out + back) / 2);
        }
    }

    /// The peer returned a probe's token: the path works in both directions. Returns the path; `None` for a token that
    /// is unknown or too old, which changes nothing.
    pub fn handle_probe_reply(&mut self, now: Instant, token: u64) -> Option<PathId> {
        let landed =
            self.paths.iter_mut().enumerate().find_map(|(index, path)| Some((index, path.flight.land(token)?)));
        let Some((index, probe)) = landed else { return self.hole_answered(now, token) };
        let changed = self.paths[index].answered(now, &probe);
        let id = self.paths[index].id;
        if let Some(kind) = changed {
            self.event(now, kind);
        }
        if Some(id) == self.active {
            self.no_path_said = false;
        }
        self.testify(id, probe.sent);
        if self.unprobeable {
            self.find_probeable(now);
        }
        self.settle(now);
        Some(id)
    }

    /// A router reported an error about a packet that we sent over `path`; the caller has checked the quoted packet.
    ///
    /// Starts or speeds up a suspicion, of all paths that share what is reported broken. It never kills a path that
    /// still answers, and a flood of reports makes a bounded number of probes.
    pub fn handle_scmp(&mut self, now: Instant, path: PathId, evidence: Scmp) {
        let Some(index) = self.index(path) else { return };
        if self.unprobeable || !self.paths[index].hearsay.allows(now) {
            return;
        }
        self.suspect(now, index, Reason::Scmp(evidence), Acquittal::Reply(0));
        for other in 0..self.paths.len() {
            let candidate = &self.paths[other].candidate;
            let shares = match evidence {
                Scmp::ExternalInterfaceDown(interface) => candidate.crosses(interface),
                Scmp::InternalConnectivityDown { isd_as, ingress, egress } => {
                    candidate.passes_through(isd_as, ingress, egress)
                }
                Scmp::PathExpired | Scmp::Other { .. } => false,
            };
            if shares && other != index && self.paths[other].is_up() && self.paths[other].hearsay.allows(now) {
                self.suspect(now, other, Reason::Scmp(evidence), Acquittal::Reply(0));
            }
        }
        self.settle(now);
    }

    /// Sending over `path` failed locally: no route to the router, tunnel closed. The path is left as soon as another
    /// one answers.
    pub fn handle_send_error(&mut self, now: Instant, path: PathId) {
        let Some(index) = self.index(path) else { return };
        if self.unprobeable || !self.paths[index].hearsay.allows(now) {
            return;
        }
        self.suspect(now, index, Reason::SendError, Acquittal::Reply(0));
        self.settle(now);
    }

    /// The instant of [`poll_timeout`](Self::poll_timeout) has come. Calls at other times do no harm.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Some(late) = self.timer.map(|timer| now.saturating_duration_since(timer)) {
            self.excuse_stall(now, late);
        }
        self.settle(now);
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A probe to send at once.
    pub fn poll_probe(&mut self) -> Option<Probe> {
        self.probes.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); after it was called, always later than its `now`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer
    }

    /// The path that carries the traffic; `None` before the first lookup and when the last path is gone.
    pub fn active(&self) -> Option<PathId> {
        self.active
    }

    /// The path that datagrams shall go over *as well*: where the [`Policy`](crate::Policy) wants two for every packet the second one, and, while the active one is suspect, one
    /// that answered since, or the one that the peer moved to. Until judgement falls nobody waits for it, and a false
    /// suspicion costs nothing but some datagrams that arrive twice. To be read after every `handle_*`; when it changes to a path, the driver
    /// replays the last datagrams over it.
    pub fn hedge(&self) -> Option<PathId> {
        let suspicion = self.paths[self.active_index()?].suspicion.as_ref();
        let hedge = suspicion.and_then(|suspicion| suspicion.hedge);
        hedge.filter(|path| Some(*path) != self.active && self.index(*path).is_some()).or(self.companion)
    }

    /// The largest SCION packet that a path carries, bytes: what was found where less passes than is announced. `None` when
    /// unknown.
    pub fn mtu_of(&self, path: PathId) -> Option<u16> {
        self.index(path).map(|index| self.paths[index].candidate.mtu).filter(|mtu| *mtu > 0)
    }

    /// The path with this fingerprint.
    pub fn id_of(&self, fingerprint: Fingerprint) -> Option<PathId> {
        self.paths.iter().find(|p| p.candidate.fingerprint == fingerprint).map(|p| p.id)
    }

    /// Something came over a path that is suspect or dead.
    fn received_in_doubt(&mut self, now: Instant, index: usize) {
        let path = &mut self.paths[index];
        if path.suspicion.as_ref().is_some_and(|s| s.acquittal == Acquittal::AnyPacket) {
            if let Some(kind) = path.acquit() {
                self.event(now, kind);
            }
        } else if path.is_dead() && self.unprobeable {
            path.health = Health::Probing;
        } else if path.is_dead() && path.hearsay.allows(now) {
            path.next_probe = Some(now);
        } else {
            return;
        }
        self.settle(now);
    }

    fn index(&self, id: PathId) -> Option<usize> {
        self.paths.binary_search_by_key(&id, |path| path.id).ok()
    }

    fn active_index(&self) -> Option<usize> {
        self.active.and_then(|id| self.index(id))
    }

    fn event(&mut self, at: Instant, kind: EventKind) {
        self.chronicle(at, &kind);
        if self.events.len() == MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(Event { at, kind });
    }
}
