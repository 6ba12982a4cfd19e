//! Round-trip time estimation after RFC 9002, section 5.

use std::time::Duration;

use crate::Rtt;

/// Samples before which nobody can say how much the round trip varies.
const FEW: u32 = 8;
/// How much it may vary as far as nobody can tell; less and less with each sample.
pub(crate) const UNSEEN_VARIATION: Duration = Duration::from_millis(25);

/// Smoothed round-trip time of one path; empty before the first sample.
#[derive(Default)]
pub(crate) struct Estimator {
    rtt: Option<Rtt>,
    samples: u32,
}

impl Estimator {
    pub(crate) fn get(&self) -> Option<Rtt> {
        self.rtt
    }

    /// How much the round trip varies, and may vary although that was not seen yet: a path is not to be left because the third
    /// sample is unlike the first two.
    pub(crate) fn variation(&self) -> Option<Duration> {
        let unseen = UNSEEN_VARIATION * FEW.saturating_sub(self.samples) / FEW;
        self.rtt.map(|rtt| rtt.variation.max(unseen))
    }

    pub(crate) fn record(&mut self, sample: Duration) {
        self.samples = self.samples.saturating_add(1);
        self.rtt = Some(match self.rtt {
            None => Rtt { latest: sample, min: sample, smoothed: sample, variation: sample / 2 },
            Some(rtt) => Rtt {
                latest: sample,
                min: rtt.min.min(sample),
                smoothed: (rtt.smoothed * 7 + sample) / 8,
                variation: (rtt.variation * 3 + rtt.smoothed.abs_diff(sample)) / 4,
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_is_taken_whole_and_later_ones_are_smoothed() {
        let ms = Duration::from_millis;
        let mut estimator = Estimator::default();
        estimator.record(ms(80));
        estimator.record(ms(40));
        let want = Rtt { latest: ms(40), min: ms(40), smoothed: ms(75), variation: ms(40) };
        assert_eq!(estimator.get(), Some(want));
    }

    #[test]
    fn what_was_seen_of_the_variation_counts_after_some_samples() {
        let ms = Duration::from_millis;
        let mut estimator = Estimator::default();
        assert_eq!(estimator.variation(), None);
        estimator.record(ms(20));
        assert!(estimator.variation() > Some(ms(20)));
        (0..20).for_each(|_| estimator.record(ms(20)));
        assert!(estimator.variation() < Some(ms(1)));
    }
}
