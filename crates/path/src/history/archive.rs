//! What is remembered of paths that are gone, in case they come back.

use std::time::{Duration, Instant};

use super::Recorder;
use crate::Fingerprint;

/// Paths remembered; the one that went first is forgotten first.
const MOST: usize = 32;
/// How long a path that is gone is remembered.
const FOR: Duration = Duration::from_secs(3600);

struct Gone {
    fingerprint: Fingerprint,
    since: Instant,
    recorder: Recorder,
}

/// Paths that lookups no longer list, oldest first: at most 32, each for an hour.
#[derive(Default)]
pub(crate) struct Archive(Vec<Gone>);

impl Archive {
    /// A path is gone. One that was never probed leaves nothing to remember.
    pub(crate) fn put(&mut self, now: Instant, fingerprint: Fingerprint, recorder: Recorder) {
        self.expire(now);
        if recorder.epoch.is_none() {
            return;
        }
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        self.0.push(Gone { fingerprint, since: now, recorder });
    }

    /// A path is listed that was not: what is remembered of it.
    pub(crate) fn take(&mut self, now: Instant, fingerprint: Fingerprint) -> Recorder {
        self.expire(now);
        let index = self.0.iter().position(|gone| gone.fingerprint == fingerprint);
        index.map(|index| self.0.remove(index).recorder).unwrap_or_default()
    }

    fn expire(&mut self, now: Instant) {
        self.0.retain(|gone| gone.since + FOR > now);
    }
}
