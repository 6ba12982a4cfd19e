//! What became of paths in the last minutes, from `/pathz?history=1`.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use natsd_api::{PathSample, Pathz, PeerInfo, Time};

use crate::format::Mark;

/// So much of the past is kept and shown.
pub(crate) const SPAN: Duration = Duration::from_secs(120);
/// Most samples kept of a path; the server tells one a second.
const SAMPLES: usize = 128;
/// Samples that begin closer together than this are the same one: their times are rounded.
const SAME: Duration = Duration::from_millis(500);

/// The samples of all paths of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// By heading of the peer and fingerprint, oldest first.
    paths: HashMap<(String, String), VecDeque<PathSample>>,
}

/// What became of a path in one part of the time shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Slice {
    /// Mean round trip of the probes answered, milliseconds.
    pub(crate) rtt_ms: Option<f64>,
    /// From the shortest round trip to the longest, milliseconds.
    pub(crate) spread_ms: Option<f64>,
    pub(crate) answered: u32,
    pub(crate) lost: u32,
    pub(crate) bytes: u64,
}

impl Past {
    /// Moves the histories of `pathz` in here. Paths that it does not list are forgotten.
    pub(crate) fn absorb(&mut self, pathz: &mut Pathz) {
        let mut known = HashMap::new();
        for peer in &mut pathz.peers {
            peer.incidents = None;
            let heading = peer.heading();
            for path in &mut peer.paths {
                let key = (heading.clone(), path.fingerprint.clone());
                let mut samples = self.paths.remove(&key).unwrap_or_default();
                for sample in path.history.take().map(|history| history.seconds).unwrap_or_default() {
                    if samples.back().is_none_or(|last: &PathSample| sample.time.since(last.time) > SAME) {
                        samples.push_back(sample);
                    }
                }
                while samples.len() > SAMPLES {
                    samples.pop_front();
                }
                known.insert(key, samples);
            }
        }
        self.paths = known;
    }

    /// The time before `now` in `parts` equal parts, oldest first.
    pub(crate) fn slices(&self, peer: &PeerInfo, fingerprint: &str, now: Time, parts: usize) -> Vec<Slice> {
        let mut slices = vec![Collected::default(); parts];
        let key = (peer.heading(), fingerprint.to_owned());
        for sample in self.paths.get(&key).into_iter().flatten() {
            let age = now.since(sample.time).as_secs_f64() / SPAN.as_secs_f64();
            let back = (age * parts as f64) as usize;
            if let Some(slice) = parts.checked_sub(back + 1).and_then(|index| slices.get_mut(index)) {
                slice.add(sample);
            }
        }
        slices.iter().map(Collected::slice).collect()
    }
}

#[derive(Clone, Default)]
struct Collected {
    rtt_sum: f64,
    rtts: u32,
    min: Option<f64>,
    max: Option<f64>,
    answered: u32,
    lost: u32,
    bytes: u64,
}

impl Collected {
    fn add(&mut self, sample: &PathSample) {
        if let Some(rtt) = sample.rtt_ms {
            let weight = sample.answered.max(1);
            self.rtt_sum += rtt * f64::from(weight);
            self.rtts = self.rtts.saturating_add(weight);
        }
        let bound = |known: Option<f64>, new: Option<f64>, choose: fn(f64, f64) -> f64| match (known, new) {
            (Some(known), Some(new)) => Some(choose(known, new)),
            (known, new) => known.or(new),
        };
        self.min = bound(self.min, sample.rtt_min_ms.or(sample.rtt_ms), f64::min);
        self.max = bound(self.max, sample.rtt_max_ms.or(sample.rtt_ms), f64::max);
        self.answered = self.answered.saturating_add(sample.answered);
        self.lost = self.lost.saturating_add(sample.lost);
        self.bytes = self.bytes.saturating_add(sample.bytes);
    }

    fn slice(&self) -> Slice {
        Slice {
            rtt_ms: (self.rtts > 0).then(|| self.rtt_sum / f64::from(self.rtts)),
            spread_ms: self.min.zip(self.max).map(|(min, max)| max - min),
            answered: self.answered,
            lost: self.lost,
            bytes: self.bytes,
        }
    }
}

impl Slice {
    fn mark(self, value: Option<f64>) -> Mark {
        match value {
            Some(value) => Mark::Value(value),
            None if self.lost > 0 && self.answered == 0 => Mark::Silence,
            None => Mark::Nothing,
        }
    }

    pub(crate) fn rtt(self) -> Mark {
        self.mark(self.rtt_ms)
    }

    pub(crate) fn spread(self) -> Mark {
        self.mark(self.spread_ms)
    }

    /// Share of the probes that was lost.
    pub(crate) fn loss(self) -> Mark {
        let probes = self.answered.saturating_add(self.lost);
        if probes == 0 { Mark::Nothing } else { Mark::Value(f64::from(self.lost) / f64::from(probes)) }
    }

    pub(crate) fn traffic(self) -> Mark {
        if self.bytes == 0 { Mark::Nothing } else { Mark::Value(self.bytes as f64) }
    }
}

#[cfg(test)]
mod tests {
    use natsd_api::{PathHistory, PathInfo};

    use super::*;
    use crate::testing::at;

    fn sample(seconds: u64, rtt: Option<f64>, answered: u32, lost: u32) -> PathSample {
        PathSample { time: at(seconds).into(), rtt_ms: rtt, answered, lost, ..PathSample::default() }
    }

    fn pathz(samples: Vec<PathSample>) -> Pathz {
        let history = Some(PathHistory { seconds: samples, minutes: Vec::new() });
        let path = PathInfo { fingerprint: "aa".into(), history, ..PathInfo::default() };
        Pathz { peers: vec![PeerInfo { paths: vec![path], ..PeerInfo::default() }], ..Pathz::default() }
    }

    #[test]
    fn what_is_told_twice_is_kept_once_and_no_longer_than_shown() {
        let mut past = Past::default();
        for n in 0..400 {
            let mut told = pathz(vec![sample(n, Some(1.0), 1, 0), sample(n + 1, Some(1.0), 1, 0)]);
            past.absorb(&mut told);
            assert_eq!(told.peers[0].paths[0].history, None);
        }
        assert_eq!(past.paths.values().map(VecDeque::len).collect::<Vec<_>>(), [SAMPLES]);
        past.absorb(&mut Pathz::default());
        assert!(past.paths.is_empty());
    }

    #[test]
    fn the_time_is_cut_into_equal_parts() {
        let mut past = Past::default();
        let mut told =
            pathz(vec![sample(10, Some(10.0), 1, 0), sample(61, Some(20.0), 3, 1), sample(62, Some(40.0), 1, 0)]);
        past.absorb(&mut told);
        past.absorb(&mut pathz(vec![sample(119, None, 0, 2)]));
        let slices = past.slices(&told.peers[0], "aa", at(120).into(), 4);
        let means: Vec<_> = slices.iter().map(|slice| slice.rtt_ms).collect();
        assert_eq!(means, [Some(10.0), None, Some(25.0), None]);
        assert_eq!(slices[2].loss(), Mark::Value(0.2));
        assert_eq!(slices[2].spread_ms, Some(20.0));
        assert_eq!((slices[1].rtt(), slices[3].rtt()), (Mark::Nothing, Mark::Silence));
        assert!(past.slices(&told.peers[0], "aa", at(120).into(), 0).is_empty());
    }
}
