//! Limits that a path should keep.

use std::time::Duration;

use crate::Candidate;
use crate::event::Millis;
use crate::measured::Measured;

/// What a path should not be worse than. What nobody announced and nothing has measured breaks no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The longest round trip: the measured one, before that twice the announced latency.
    pub latency: Option<Duration>,
    /// The least bandwidth, kbit/s: the measured one if the path was seen full, before that the announced one or what was delivered.
    pub bandwidth: Option<u64>,
    /// The least MTU, bytes.
    pub mtu: Option<u16>,
    /// The most that it may cost, by the operator's table.
    pub cost: Option<u64>,
    /// The most carbon, by the operator's table.
    pub carbon: Option<u64>,
}

impl Limits {
    /// These, and of `others` those of which nothing is said here.
    pub(super) fn or(self, others: Self) -> Self {
        Self {
            latency: self.latency.or(others.latency),
            bandwidth: self.bandwidth.or(others.bandwidth),
            mtu: self.mtu.or(others.mtu),
            cost: self.cost.or(others.cost),
            carbon: self.carbon.or(others.carbon),
        }
    }

    /// How many a path breaks of which this is measured.
    pub(crate) fn broken(&self, path: &Candidate, measured: &Measured) -> usize {
        self.judge(path, measured).into_iter().filter(|broken| *broken).count()
    }

    /// Those that it breaks, in words.
    pub(crate) fn describe(&self, path: &Candidate, measured: &Measured) -> String {
        let broken = self.judge(path, measured);
        let lines = self.texts().into_iter().zip(broken).filter(|(_, broken)| *broken).filter_map(|(text, _)| text);
        lines.collect::<Vec<_>>().join(", ")
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.texts().into_iter().flatten()
    }

    fn judge(&self, path: &Candidate, measured: &Measured) -> [bool; 5] {
        let (rtt, bandwidth) = (measured.expected_rtt(path), measured.expected_bandwidth(path));
        [
            self.latency.zip(rtt).is_some_and(|(most, rtt)| rtt > most),
            self.bandwidth.zip(bandwidth).is_some_and(|(least, kbit)| kbit < least),
            self.mtu.zip(Some(path.mtu).filter(|mtu| *mtu > 0)).is_some_and(|(least, mtu)| mtu < least),
            self.cost.zip(path.cost).is_some_and(|(most, cost)| cost > most),
            self.carbon.zip(path.carbon).is_some_and(|(most, carbon)| carbon > most),
        ]
    }

    fn texts(&self) -> [Option<String>; 5] {
        [
            self.latency.map(|most| format!("max_latency {}", Millis(most))),
            self.bandwidth.map(|least| format!("min_bandwidth {least} kbit/s")),
            self.mtu.map(|least| format!("min_mtu {least} bytes")),
            self.cost.map(|most| format!("max_cost {most}")),
            self.carbon.map(|most| format!("max_carbon {most}")),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn path(one_way_ms: Option<u64>, bandwidth: Option<u64>, mtu: u16) -> Candidate {
        Candidate {
            kind: Kind::Scion,
            latency: one_way_ms.map(Duration::from_millis),
            bandwidth,
            mtu,
            ..Candidate::tcp()
        }
    }

    const LIMITS: Limits = Limits {
        latency: Some(Duration::from_millis(50)),
        bandwidth: Some(1000),
        mtu: Some(1400),
        cost: Some(7),
        carbon: None,
    };

    #[test]
    fn what_is_worse_than_a_limit_breaks_it() {
        assert_eq!(LIMITS.broken(&path(Some(25), Some(1000), 1400), &Measured::default()), 0);
        assert_eq!(LIMITS.broken(&path(Some(26), Some(999), 1399), &Measured::default()), 3);
        let priced = |cost| Candidate { cost, carbon: Some(1), ..path(None, None, 0) };
        assert_eq!([None, Some(7), Some(8)].map(|cost| LIMITS.broken(&priced(cost), &Measured::default())), [0, 0, 1]);
        let text = LIMITS.describe(&path(Some(26), Some(1000), 1399), &Measured::default());
        assert_eq!(text, "max_latency 50.0 ms, min_mtu 1400 bytes");
    }

    #[test]
    fn what_is_measured_counts_more_than_what_is_announced() {
        let rtt = |ms| Measured::of_rtt(Some(Duration::from_millis(ms)));
        assert_eq!(LIMITS.broken(&path(Some(90), None, 0), &rtt(50)), 0);
        assert_eq!(LIMITS.broken(&path(Some(1), None, 0), &rtt(51)), 1);
        let full = |kbit| Measured { bandwidth: Some(kbit), ..Measured::default() };
        assert_eq!(LIMITS.broken(&path(None, Some(5000), 0), &full(999)), 1);
        assert_eq!(LIMITS.broken(&path(None, Some(10), 0), &full(1000)), 0);
        let delivered = |kbit| Measured { delivered: Some(kbit), ..Measured::default() };
        assert_eq!(LIMITS.broken(&path(None, Some(5000), 0), &delivered(10)), 0, "it may deliver more");
        assert_eq!(LIMITS.broken(&path(None, Some(10), 0), &delivered(1000)), 0);
    }

    #[test]
    fn what_is_unknown_breaks_no_limit() {
        assert_eq!(LIMITS.broken(&path(None, None, 0), &Measured::default()), 0);
    }
}
