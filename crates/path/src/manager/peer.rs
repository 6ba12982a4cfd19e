//! What the peer does tells of the direction that we do not see.

use std::time::Instant;

use super::Manager;
use crate::arrivals::QUIET;
use crate::path::Path;
use crate::suspicion::Acquittal;
use crate::{PathId, Reason};

impl Manager {
    /// The peer says (in a probe that came over `path`) that nothing answers its data: what we send may be lost, and
    /// acknowledgements alone are missed by nobody but the peer. Asks the active path, and sends over both meanwhile.
    pub fn handle_peer_deaf(&mut self, now: Instant, path: PathId) {
        if self.doubt_active(now, path, Reason::PeerDeaf) {
            self.settle(now);
        }
    }

    /// Packets of the peer came over a path. If it now sends over that, the active one may have failed in the direction
    /// that we do not see: asks both, and sends over both meanwhile.
    pub(super) fn arrived(&mut self, now: Instant, path: PathId, packets: usize) {
        self.arrivals.note(now, path, packets);
        let Some(chosen) = self.arrivals.chosen().filter(|_| !self.arrivals.examined) else { return };
        if self.active == Some(chosen) {
            self.arrivals.examined = true;
        } else if !self.active_heard_lately(now) && self.doubt_active(now, chosen, Reason::PeerMoved) {
            self.arrivals.examined = true;
            self.settle(now);
        }
    }

    /// Works out how much later than a round trip answers come over the path that the peer sends over.
    pub(super) fn measure_detour(&mut self) {
        let half = |path: &Path| path.expected_rtt(&self.config) / 2;
        let back = self.arrivals.chosen().and_then(|id| self.index(id)).map(|index| half(&self.paths[index]));
        let active = self.active_index();
        let detour = active.zip(back).map(|(index, back)| back.saturating_sub(half(&self.paths[index])));
        for (index, path) in self.paths.iter_mut().enumerate() {
            path.detour = detour.filter(|_| active == Some(index)).unwrap_or_default();
        }
    }

    fn active_heard_lately(&self, now: Instant) -> bool {
        let heard = |index: usize| self.paths[index].last_received;
        self.active_index().and_then(heard).is_some_and(|at| at + QUIET > now)
    }

    /// Suspects the active path because of what the peer does over `path`; false if there is nothing to be asked now.
    fn doubt_active(&mut self, now: Instant, path: PathId, reason: Reason) -> bool {
        let (Some(active), Some(_)) = (self.active_index(), self.index(path)) else { return false };
        if self.unprobeable {
            return false;
        }
        if self.paths[active].suspicion.is_none() {
            if !self.paths[active].hints.allows(now) {
                return false;
            }
            self.suspect(now, active, reason, Acquittal::Reply(0));
        }
        if let Some(suspicion) = self.paths[active].suspicion.as_mut().filter(|_| self.active != Some(path)) {
            suspicion.hedge.get_or_insert(path);
            if !suspicion.challengers.contains(&path) {
                suspicion.challengers.push(path);
            }
        }
        true
    }
}
