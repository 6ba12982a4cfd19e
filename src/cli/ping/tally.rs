//! What became of the requests.

use std::fmt;
use std::time::Duration;

use natsd_scion::PingError;

use super::super::survey::ms;

#[derive(Default)]
pub(super) struct Tally {
    pub(super) sent: u32,
    /// Sequence numbers and round trips.
    pub(super) answered: Vec<(u16, Duration)>,
    /// Sequence numbers, and what came instead.
    pub(super) unanswered: Vec<(u16, PingError)>,
    /// From the first request to the end.
    pub(super) took: Duration,
}

/// The round trips together.
pub(super) struct RoundTrips {
    pub(super) min: Duration,
    pub(super) average: Duration,
    pub(super) max: Duration,
    /// Standard deviation.
    pub(super) deviation: Duration,
}

impl Tally {
    pub(super) fn answers(&self) -> u32 {
        u32::try_from(self.answered.len()).unwrap_or(u32::MAX)
    }

    /// From 0 to 100.
    pub(super) fn lost_percent(&self) -> f64 {
        f64::from(self.sent.saturating_sub(self.answers())) * 100.0 / f64::from(self.sent.max(1))
    }

    /// `None` without any answer.
    pub(super) fn round_trips(&self) -> Option<RoundTrips> {
        let rtts = || self.answered.iter().map(|(_, rtt)| *rtt);
        let (min, max) = (rtts().min()?, rtts().max()?);
        let average = rtts().sum::<Duration>() / self.answers();
        let squares: f64 = rtts().map(|rtt| (rtt.as_secs_f64() - average.as_secs_f64()).powi(2)).sum();
        let deviation = Duration::from_secs_f64((squares / f64::from(self.answers())).sqrt());
        Some(RoundTrips { min, average, max, deviation })
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sent, {} answered, {:.0} % lost", self.sent, self.answers(), self.lost_percent())?;
        if let Some(RoundTrips { min, average, max, .. }) = self.round_trips() {
            write!(f, "; min/avg/max {} / {} / {}", ms(min), ms(average), ms(max))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_counts_losses_and_round_trips() {
        let answered = [10, 20, 60].map(|time| (0, Duration::from_millis(time))).to_vec();
        let tally = Tally { sent: 4, answered, ..Tally::default() };
        assert_eq!(tally.to_string(), "4 sent, 3 answered, 25 % lost; min/avg/max 10.0 ms / 30.0 ms / 60.0 ms");
        let deviation = tally.round_trips().expect("answers").deviation;
        assert_eq!(deviation.as_micros(), 21_602, "the root of (400 + 100 + 900) / 3");
        assert_eq!(Tally { sent: 3, ..Tally::default() }.to_string(), "3 sent, 0 answered, 100 % lost");
    }
}
