//! What became of a path: a sample of each second of the last five minutes, and of each minute of the last six hours.
//!
//! A second in which nothing was measured or sent, and in which the state did not change, has no sample. What a path
//! remembers takes 26 KiB at most, and nothing before its first probe; all of it is allocated then, so that
//! packets allocate nothing.

mod archive;
mod chronicle;
mod sample;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

pub(crate) use archive::Archive;
pub(crate) use chronicle::Chronicle;
pub use chronicle::{Incident, IncidentKind};
use sample::{Packed, Tally};
pub use sample::{RttRange, Sample, States};

use crate::{Fingerprint, PathId, State};

/// Seconds remembered, at most one sample each.
const SECONDS: u32 = 300;
/// Minutes remembered.
const MINUTES: u32 = 360;
const SECONDS_A_MINUTE: u32 = 60;

/// What became of one path lately.
#[derive(Clone, Debug, PartialEq)]
pub struct PathHistory {
    /// The manager's name for it.
    pub id: PathId,
    /// Identity across refreshes and processes.
    pub fingerprint: Fingerprint,
    /// One sample a second, oldest first, at most 300, none older than five minutes. The second that is not over yet is left out.
    pub seconds: Vec<Sample>,
    /// One sample a minute, oldest first, at most 360, none older than six hours. The minute that is not over yet is left out.
    pub minutes: Vec<Sample>,
}

/// What became of the paths to one AS lately.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Each path that was probed since it was listed, in the order of their ids.
    pub paths: Vec<PathHistory>,
    /// What mattered to the traffic, oldest first, at most 128.
    pub incidents: Vec<Incident>,
}

/// Remembers one path.
#[derive(Default)]
pub(crate) struct Recorder {
    /// Second 0 begins here. Nothing is recorded before it is set.
    epoch: Option<Instant>,
    second: Tally,
    minute: Tally,
    seconds: VecDeque<Packed>,
    minutes: VecDeque<Packed>,
    state: Option<State>,
}

impl Recorder {
    /// The state of the path, whenever it may have changed. Begins with the first one in which paths are probed.
    pub(crate) fn stands(&mut self, now: Instant, state: State) {
        if self.state == Some(state) || self.epoch.is_none() && matches!(state, State::Candidate | State::Excluded) {
            return;
        }
        if self.epoch.is_none() {
            self.epoch = Some(now);
            self.seconds.reserve_exact(SECONDS as usize);
            self.minutes.reserve_exact(MINUTES as usize);
        }
        self.roll(now);
        self.state = Some(state);
        self.second.stands(state);
    }

    /// A probe was answered after this time.
    pub(crate) fn answered(&mut self, now: Instant, rtt: Duration) {
        self.roll(now);
        self.second.answered(rtt);
    }

    /// A probe counts as lost; its answer may still come.
    pub(crate) fn missed(&mut self, now: Instant) {
        self.roll(now);
        self.second.missed();
    }

    /// QUIC sent so many packets of late, and declared so many lost.
    pub(crate) fn traffic(&mut self, now: Instant, packets: u64, lost: u64) {
        self.roll(now);
        self.second.traffic(packets, lost);
    }

    /// So many bytes of traffic went out.
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize) {
        self.roll(now);
        self.second.sent(bytes);
    }

    /// What is known at `now`: seconds, and minutes.
    pub(crate) fn samples(&mut self, now: Instant) -> (Vec<Sample>, Vec<Sample>) {
        let Some(epoch) = self.epoch else { return (Vec::new(), Vec::new()) };
        self.roll(now);
        let list = |ring: &VecDeque<Packed>, open: u32, most: u32, length: Duration| -> Vec<Sample> {
            let recent = ring.iter().filter(|packed| packed.number().saturating_add(most) >= open);
            recent
                .map(|packed| packed.unpack(now.saturating_duration_since(epoch + length * packed.number())))
                .collect()
        };
        let second = Duration::from_secs(1);
        (
            list(&self.seconds, self.second.number, SECONDS, second),
            list(&self.minutes, self.minute.number, MINUTES, second * SECONDS_A_MINUTE),
        )
    }

    /// Ends the second and the minute that are over by now.
    fn roll(&mut self, now: Instant) {
        let Some(epoch) = self.epoch else { return };
        let number = u32::try_from(now.saturating_duration_since(epoch).as_secs()).unwrap_or(u32::MAX);
        if number <= self.second.number {
            return;
        }
        let over = std::mem::replace(&mut self.second, Tally::new(number, self.state));
        keep(&mut self.seconds, SECONDS, &over);
        self.minute.merge(&over);
        if number / SECONDS_A_MINUTE != self.minute.number {
            let over = std::mem::replace(&mut self.minute, Tally::new(number / SECONDS_A_MINUTE, self.state));
            keep(&mut self.minutes, MINUTES, &over);
        }
    }
}

fn keep(ring: &mut VecDeque<Packed>, most: u32, over: &Tally) {
    if let Some(packed) = over.pack() {
        if ring.len() >= most as usize {
            ring.pop_front();
        }
        ring.push_back(packed);
    }
}

#[cfg(test)]
mod tests;
