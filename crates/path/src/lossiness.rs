//! Whether a path that lives loses so much that traffic is better off elsewhere.
//!
//! A path that loses a third of its packets answers probes, acknowledges data and is silent for no longer than others: nothing else
//! here would leave it. Two things tell: what QUIC had to declare lost of the traffic, and the probes, whose way back counts
//! as well. A path is found lossy late enough not to fall for bad luck on one that always loses some (5 % each way, say), and is
//! trusted again when it has lost next to nothing for a while.

use crate::loss::Window;

/// Packets of traffic that are judged at a time: 5 % of these is 7 to 13 packets nine times out of ten.
const BATCH: u64 = 200;
/// How much a batch counts against those before it.
const WEIGHT: f64 = 0.25;
/// Share of the traffic that makes a path lossy.
const LOSSY: f64 = 0.10;
/// Share of the traffic that it loses at most when it is trusted again.
const SOUND: f64 = 0.02;
/// The same of the last 64 probes.
const LOSSY_PROBES: f64 = 0.30;
const SOUND_PROBES: f64 = 0.05;

/// See the [module](self).
#[derive(Debug, Default)]
pub(crate) struct Lossiness {
    sent: u64,
    lost: u64,
    /// Of the traffic, smoothed.
    share: Option<f64>,
    /// The number of the probe at which it was found to be lossy.
    since: Option<u64>,
    /// That of the first probe which counts.
    first: u64,
}

impl Lossiness {
    /// QUIC sent so many packets over the path, and declared so many lost.
    pub(crate) fn record(&mut self, sent: u64, lost: u64, probes: &Window) {
        self.sent = self.sent.saturating_add(sent);
        self.lost = self.lost.saturating_add(lost);
        if self.sent >= BATCH {
            let share = (self.lost as f64 / self.sent as f64).min(1.0);
            self.share = Some(self.share.map_or(share, |before| before + (share - before) * WEIGHT));
            (self.sent, self.lost) = (0, 0);
        }
        self.judge(probes);
    }

    /// The path lives, again or for the first time: what was lost before is no sign of a path that lives.
    pub(crate) fn begin(&mut self, probes: &Window) {
        *self = Self { first: probes.results(), ..Self::default() };
    }

    /// Judges anew; after a probe was answered or lost.
    pub(crate) fn judge(&mut self, probes: &Window) {
        let of_probes = probes.fraction().filter(|_| probes.results() >= self.first + Window::SIZE);
        match self.since {
            None => {
                let lossy =
                    self.share.is_some_and(|share| share >= LOSSY) || of_probes.is_some_and(|it| it >= LOSSY_PROBES);
                self.since = lossy.then(|| probes.results());
            }
            Some(since) => {
                let anew = probes.results() >= since + Window::SIZE;
                let sound = anew && of_probes.is_some_and(|it| it <= SOUND_PROBES);
                if sound
                    || self.share.is_some_and(|share| share <= SOUND) && of_probes.is_none_or(|it| it < LOSSY_PROBES)
                {
                    self.begin(probes);
                }
            }
        }
    }

    pub(crate) fn is_lossy(&self) -> bool {
        self.since.is_some()
    }

    /// Share of the traffic that was lost, from 0 to 1; `None` before there was enough.
    pub(crate) fn of_traffic(&self) -> Option<f64> {
        self.share
    }

    /// In percent, of a lossy path.
    pub(crate) fn percent(&self, probes: &Window) -> u8 {
        let share = self.share.unwrap_or(0.0).max(probes.fraction().unwrap_or(0.0));
        (share * 100.0).round().min(100.0) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Deterministic luck.
    struct Luck(u64);

    impl Luck {
        fn strikes(&mut self, share: f64) -> bool {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            ((self.0 >> 11) as f64 / (1u64 << 53) as f64) < share
        }
    }

    /// An hour, or less if it is found lossy before: how many seconds it lasted. 100 packets and 2 probes a second.
    fn hour(share: f64, seed: u64) -> u32 {
        let (mut luck, mut probes, mut path) = (Luck(seed), Window::default(), Lossiness::default());
        for second in 0..3600 {
            let lost = (0..100).filter(|_| luck.strikes(share)).count();
            path.record(100, lost as u64, &probes);
            for _ in 0..2 {
                probes.record(luck.strikes(share) || luck.strikes(share));
                path.judge(&probes);
            }
            if path.is_lossy() {
                return second;
            }
        }
        3600
    }

    #[test]
    fn a_path_that_always_loses_a_little_is_not_lossy() {
        assert!((1..=20).all(|seed| hour(0.05, seed) == 3600));
    }

    #[test]
    fn a_path_that_loses_a_third_is_lossy_within_seconds() {
        assert!((1..=20).all(|seed| hour(0.3, seed) <= 3));
    }

    #[test]
    fn without_traffic_probes_tell() {
        let (mut probes, mut path) = (Window::default(), Lossiness::default());
        for number in 0..Window::SIZE {
            assert!(!path.is_lossy(), "too few to tell");
            probes.record(number % 2 == 0);
            path.judge(&probes);
        }
        assert!(path.is_lossy());
        assert_eq!(path.percent(&probes), 50);
    }

    #[test]
    fn it_is_trusted_again_when_probes_have_come_through_for_a_while() {
        let (mut probes, mut path) = (Window::default(), Lossiness::default());
        path.record(BATCH, BATCH / 2, &probes);
        assert_eq!((path.is_lossy(), path.percent(&probes)), (true, 50));
        for _ in 1..Window::SIZE {
            probes.record(false);
            path.judge(&probes);
            assert!(path.is_lossy());
        }
        probes.record(false);
        path.judge(&probes);
        assert!(!path.is_lossy());
    }

    #[test]
    fn it_is_trusted_again_when_traffic_has_come_through() {
        let (probes, mut path) = (Window::default(), Lossiness::default());
        path.record(BATCH, BATCH / 5, &probes);
        let batches = (1..100).find(|_| {
            path.record(BATCH, 0, &probes);
            !path.is_lossy()
        });
        assert_eq!(batches, Some(9));
    }
}
