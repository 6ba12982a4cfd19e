//! Paths with an MTU hole: what still passes is searched, and they go on with that.

use std::time::Instant;

use super::Manager;
use super::failover::SMALL;
use crate::mtu::USUAL;
use crate::path::Path;
use crate::suspicion::Acquittal;
use crate::{EventKind, PathId, Probe};

impl Manager {
    /// Packets of `size` bytes vanish on a path that small ones pass. Returns whether it is being searched what does.
    pub(super) fn search_hole(&mut self, now: Instant, index: usize, size: u16) -> bool {
        let path = &mut self.paths[index];
        if !path.is_scion() || self.unprobeable || !path.hole.search(now, size) {
            return false;
        }
        if let Some(suspicion) = &mut path.suspicion {
            // The search asks enough.
            suspicion.next_round = None;
        }
        if Some(path.id) == self.active {
            self.hunt = None;
        }
        true
    }

    /// QUIC has gone down to small packets, as it takes the large ones that it sent over `path` for lost: it is asked whether they are.
    pub fn handle_black_hole(&mut self, now: Instant, path: PathId) {
        let Some(index) = self.index(path).filter(|_| !self.unprobeable) else { return };
        let path = &mut self.paths[index];
        if path.is_scion() {
            let most = if path.candidate.mtu > 0 { path.room() } else { USUAL.saturating_sub(path.candidate.overhead) };
            path.hole.doubt(now, most);
            self.settle(now);
        }
    }

    /// Whether a path has answered a probe of this size, sent since then.
    pub(super) fn carries(&self, path: PathId, size: u16, since: Instant) -> bool {
        let proof = self.index(path).and_then(|index| self.paths[index].proof);
        proof.is_some_and(|proof| proof.size >= size && proof.sent >= since)
    }

    /// Asks what is to be asked of holes, and takes what was found.
    pub(super) fn tend_holes(&mut self, now: Instant) {
        for index in 0..self.paths.len() {
            let path = &mut self.paths[index];
            if path.is_up() {
                let announced = path.hole.announced().filter(|mtu| *mtu > 0).unwrap_or(USUAL);
                path.hole.raise(now, announced.saturating_sub(path.candidate.overhead));
            }
            let (evidence, wait) = (path.evidence(), path.answer_time(&self.config) * 2);
            if let Some(size) = path.hole.ask(now, evidence, wait) {
                let token = self.tokens.next();
                path.hole.asked(token);
                path.probes_sent += 1;
                let probe = Probe { path: path.id, token, size, unanswered: false };
                self.push_probe(probe);
            }
            match self.paths[index].hole.found() {
                Some(Some(payload)) => self.confine(now, index, payload),
                Some(None) => self.paths[index].widen(now, false),
                None => {}
            }
        }
    }

    /// A probe of a search was answered; returns of which path.
    pub(super) fn hole_answered(&mut self, now: Instant, token: u64) -> Option<PathId> {
        let path = self.paths.iter_mut().find_map(|path| path.hole.land(now, token).then_some(path))?;
        path.probes_answered += 1;
        path.last_received = Some(now);
        path.silence_broken(now);
        let id = path.id;
        self.settle(now);
        Some(id)
    }

    /// No more than `payload` passes; or all that should, then it is no hole.
    fn confine(&mut self, now: Instant, index: usize, payload: u16) {
        let path = &mut self.paths[index];
        let before = path.hole.limit();
        let announced = path.hole.announced().unwrap_or(path.candidate.mtu);
        let mtu = payload.saturating_add(path.candidate.overhead);
        if announced > 0 && mtu >= announced {
            path.widen(now, true);
        } else {
            path.narrow(now, payload, announced);
        }
        if before != path.hole.limit() {
            let kind = EventKind::Mtu { path: path.id, mtu, announced: (announced > 0).then_some(announced) };
            self.event(now, kind);
        }
        let path = &mut self.paths[index];
        if path.is_dead() {
            path.next_probe = Some(now);
        }
        let of_size = |acquittal| matches!(acquittal, Acquittal::Reply(size) if size > SMALL);
        if path.suspicion.as_ref().is_some_and(|suspicion| of_size(suspicion.acquittal))
            && let Some(kind) = path.acquit()
        {
            self.event(now, kind);
        }
    }
}

impl Path {
    fn narrow(&mut self, now: Instant, payload: u16, announced: u16) {
        self.hole.confine(now, payload, announced);
        self.candidate.mtu = payload.saturating_add(self.candidate.overhead);
        // What was lost was too large.
        self.lossiness.begin(&self.loss);
    }

    /// Back to what is announced: all of that passes (`whole`), or not even what QUIC needs.
    fn widen(&mut self, now: Instant, whole: bool) {
        self.candidate.mtu = self.hole.announced().unwrap_or(self.candidate.mtu);
        if whole { self.hole.close() } else { self.hole.bar(now) }
    }

    /// Takes what a lookup says of it now.
    pub(super) fn renew(&mut self, candidate: crate::Candidate) {
        self.candidate = candidate;
        let Some(payload) = self.hole.limit() else { return };
        let (announced, mtu) = (self.candidate.mtu, payload.saturating_add(self.candidate.overhead));
        if announced > 0 && announced <= mtu {
            self.hole.close();
        } else {
            self.hole.set_announced(announced);
            self.candidate.mtu = mtu;
        }
    }
}
