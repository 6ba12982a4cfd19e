//! Round-trip time estimation after RFC 9002, section 5.

use std::time::Duration;

use crate::Rtt;

/// Smoothed round-trip time of one path; empty before the first sample.
#[derive(Default)]
pub(crate) struct Estimator(Option<Rtt>);

impl Estimator {
    pub(crate) fn get(&self) -> Option<Rtt> {
        self.0
    }

    pub(crate) fn record(&mut self, sample: Duration) {
        self.0 = Some(match self.0 {
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
}
