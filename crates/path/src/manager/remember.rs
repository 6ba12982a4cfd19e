//! What the manager keeps for those who want to know what has been: samples of each path, and incidents.

use std::time::Instant;

use super::Manager;
use crate::history::{History, IncidentKind, PathHistory};
use crate::{Delivery, EventKind, Fingerprint, PathId};

impl Manager {
    /// What became of the paths lately. Bounded in memory: 26 KiB for each path that was ever probed, as much for each of at
    /// most 32 that are gone and may come back within the hour, and 128 incidents.
    pub fn history(&mut self, now: Instant) -> History {
        let mut paths = Vec::with_capacity(self.paths.len());
        for path in &mut self.paths {
            let (seconds, minutes) = path.recorder.samples(now);
            if !seconds.is_empty() || !minutes.is_empty() {
                let (id, fingerprint) = (path.id, path.candidate.fingerprint);
                paths.push(PathHistory { id, fingerprint, seconds, minutes });
            }
        }
        History { paths, incidents: self.chronicle.incidents(now) }
    }

    /// So many bytes of traffic went out over `path`, those of a copy too. Allocates nothing.
    pub fn handle_carried(&mut self, now: Instant, path: PathId, bytes: usize) {
        if let Some(index) = self.index(path) {
            self.paths[index].recorder.sent(now, bytes);
        }
    }

    /// Connections delivered so much over `path`, which carried all of their traffic for all of that time and the time told of before. To be told once
    /// a second or so.
    pub fn handle_delivery(&mut self, now: Instant, path: PathId, delivery: &Delivery) {
        let Some(index) = self.index(path) else { return };
        let path = &mut self.paths[index];
        path.bandwidth.record(now, delivery, path.is_queued());
        self.settle(now);
    }

    /// Notes the states that paths are in after all that was due is done, and forgets what is too old.
    pub(super) fn note_states(&mut self, now: Instant) {
        let active = self.active;
        for path in &mut self.paths {
            path.bandwidth.forget(now);
            let state = path.state(Some(path.id) == active);
            path.recorder.stands(now, state);
        }
    }

    /// Keeps of an event what matters to the traffic.
    pub(super) fn chronicle(&mut self, now: Instant, kind: &EventKind) {
        match *kind {
            EventKind::Switch { from, to, reason, silent_for: gap } => {
                let from = from.and_then(|from| self.fingerprint(from));
                if let Some(to) = self.fingerprint(to) {
                    self.chronicle.note(now, IncidentKind::Switch { from, to, reason, gap });
                    self.chronicle.answers(now, to);
                }
            }
            EventKind::Down { path, reason } => {
                let Some(index) = self.index(path) else { return };
                self.paths[index].died.get_or_insert(now);
                let path = self.paths[index].candidate.fingerprint;
                self.chronicle.note(now, IncidentKind::Down { path, reason });
            }
            EventKind::Up { path: id } => {
                let Some(index) = self.index(id) else { return };
                let path = self.paths[index].candidate.fingerprint;
                if let Some(died) = self.paths[index].died.take() {
                    let after = now.saturating_duration_since(died);
                    self.chronicle.note(now, IncidentKind::Back { path, after });
                }
                if Some(id) == self.active {
                    self.chronicle.answers(now, path);
                }
            }
            EventKind::NoPath { silent_for: gap } => self.chronicle.note(now, IncidentKind::NoPath { gap }),
            _ => {}
        }
    }

    fn fingerprint(&self, path: PathId) -> Option<Fingerprint> {
        self.index(path).map(|index| self.paths[index].candidate.fingerprint)
    }
}
