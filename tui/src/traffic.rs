//! Messages a second of connections and accounts, from what their counters said in the last two readings.

use std::collections::HashMap;
use std::time::Duration;

use natsd_api::Time;

/// Readings closer together than this say too little.
const LEAST: Duration = Duration::from_millis(200);

/// What is counted: `route`, `leaf`, `gateway`, `client` or `account`, and which one.
pub(crate) type Key = (&'static str, String);

/// Messages in and out.
pub(crate) type Counts = (u64, u64);

/// See the [module](self).
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic {
    at: Time,
    counts: HashMap<Key, Counts>,
    rates: HashMap<Key, (f64, f64)>,
}

impl Traffic {
    /// Takes in what all counters say at `now`, by the server's clock.
    pub(crate) fn observe(&mut self, now: Time, counts: impl Iterator<Item = (Key, Counts)>) {
        let passed = now.since(self.at);
        if passed < LEAST && now >= self.at {
            return;
        }
        let counts: HashMap<Key, Counts> = counts.collect();
        let rate = |old: u64, new: u64| new.saturating_sub(old) as f64 / passed.max(LEAST).as_secs_f64();
        self.rates = counts
            .iter()
            .filter_map(|(key, new)| {
                let old = self.counts.get(key)?;
                Some((key.clone(), (rate(old.0, new.0), rate(old.1, new.1))))
            })
            .collect();
        (self.at, self.counts) = (now, counts);
    }

    /// Messages a second in and out; `None` until there are two readings.
    pub(crate) fn rate(&self, kind: &'static str, id: impl ToString) -> Option<(f64, f64)> {
        self.rates.get(&(kind, id.to_string())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    #[test]
    fn rates_are_of_the_time_between_two_readings() {
        let mut traffic = Traffic::default();
        let key = || ("route", "7".to_owned());
        traffic.observe(at(1).into(), [(key(), (100, 10))].into_iter());
        assert_eq!(traffic.rate("route", 7), None);
        traffic.observe(at(3).into(), [(key(), (300, 10)), (("leaf", "7".into()), (1, 1))].into_iter());
        assert_eq!((traffic.rate("route", 7), traffic.rate("leaf", 7)), (Some((100.0, 0.0)), None));
        traffic.observe(at(3).into(), [(key(), (999, 999))].into_iter());
        assert_eq!(traffic.rate("route", 7), Some((100.0, 0.0)), "no time has passed");
        traffic.observe(at(4).into(), [(key(), (5, 5))].into_iter());
        assert_eq!(traffic.rate("route", 7), Some((0.0, 0.0)), "it began anew");
        traffic.observe(at(5).into(), std::iter::empty());
        assert_eq!(traffic.rate("route", 7), None);
    }
}
