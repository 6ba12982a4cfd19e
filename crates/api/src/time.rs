//! Points in time as RFC 3339 in UTC.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time, written as RFC 3339 in UTC with up to nine decimals and no trailing zeros:
/// `2026-11-21T07:09:04.78784993Z`.
///
/// The default is the Unix epoch. Times before it (Go's zero time among them) are read as the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub SystemTime);

impl Time {
    /// How long `earlier` was before this; zero if it was not.
    pub fn since(self, earlier: Time) -> Duration {
        self.0.duration_since(earlier.0).unwrap_or_default()
    }

    /// The time of day, `07:09:04`, in UTC.
    pub fn time_of_day(self) -> String {
        let seconds = self.since(Time::default()).as_secs() % 86_400;
        format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
    }
}

impl Default for Time {
    fn default() -> Self {
        Self(SystemTime::UNIX_EPOCH)
    }
}

impl From<SystemTime> for Time {
    fn from(time: SystemTime) -> Self {
        Self(time)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Out of range is only what no clock of this age shows; the end of jiff's range stands for it.
        jiff::Timestamp::try_from(self.0).unwrap_or(jiff::Timestamp::MAX).fmt(f)
    }
}

/// A text that is no time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeError(String);

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a time in RFC 3339", self.0)
    }
}

impl std::error::Error for TimeError {}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let timestamp: jiff::Timestamp = text.parse().map_err(|_| TimeError(text.to_owned()))?;
        Ok(Self(SystemTime::from(timestamp.max(jiff::Timestamp::UNIX_EPOCH))))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> Time {
        Time(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos))
    }

    #[test]
    fn trailing_zeros_are_cut_as_in_go() {
        assert_eq!(at(1_795_244_944_787_849_930).to_string(), "2026-11-21T07:09:04.78784993Z");
        assert_eq!(at(1_795_244_944_500_000_000).to_string(), "2026-11-21T07:09:04.5Z");
        assert_eq!(at(1_795_244_944_000_000_000).to_string(), "2026-11-21T07:09:04Z");
    }

    #[test]
    fn what_is_written_reads_back() {
        let time = at(1_795_244_944_787_849_930);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Time>(&json).unwrap(), time);
        assert_eq!(time.time_of_day(), "07:09:04");
    }

    #[test]
    fn gos_zero_time_is_the_epoch() {
        assert_eq!(serde_json::from_str::<Time>("\"0001-01-01T00:00:00Z\"").unwrap(), Time::default());
    }

    #[test]
    fn nonsense_is_named() {
        let error = serde_json::from_str::<Time>("\"noon\"").unwrap_err().to_string();
        assert!(error.starts_with("\"noon\" is not a time in RFC 3339"), "{error}");
    }
}
