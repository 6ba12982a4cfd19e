//! The second path of traffic that goes over two at once.

use super::Manager;
use crate::path::Path;

impl Manager {
    /// Chooses the companion. It shares as little as possible with the active path, and of those that share as little it is the best. It stays while it works and
    /// none shares less: a copy gains nothing by being quicker.
    pub(super) fn accompany(&mut self) {
        self.companion = self.active_index().filter(|_| self.config.policy.redundant).and_then(|active| {
            let active = &self.paths[active];
            let shared = |path: &Path| path.candidate.shared_interfaces(&active.candidate);
            let others = || self.paths.iter().filter(|path| path.is_scion() && path.id != active.id && !path.withdrawn);
            let works = |path: &&Path| path.is_up();
            let least = others().filter(works).map(shared).min();
            let current = others().find(|path| Some(path.id) == self.companion && !path.is_dead());
            // Nothing better than what may have failed, if nothing else works.
            let stays = |path: &&Path| least.is_none_or(|least| path.is_up() && shared(path) <= least);
            let best = || {
                let apart = others().filter(works).filter(|path| Some(shared(path)) == least);
                apart.min_by_key(|path| path.score(&self.config.policy))
            };
            current.filter(stays).or_else(best).map(|path| path.id)
        });
    }
}
