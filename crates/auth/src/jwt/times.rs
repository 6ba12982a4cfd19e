//! Hours in which a user may connect.

use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;
const SECOND: i128 = 1_000_000_000;

/// A part of the day, `15:04:05` to `15:04:05`; over midnight if the end is before the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeRange {
    /// When it begins.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub start: String,
    /// When it ends.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub end: String,
}

/// Time zones.
pub trait Zones {
    /// Seconds by which the clocks of `location`, such as `Europe/Zurich`, are before UTC at `at`, in seconds since
    /// 1970. An empty location is that of this machine. `None` if there is no such location.
    fn offset(&self, location: &str, at: i64) -> Option<i32>;
}

/// Seconds since midnight.
pub(super) fn parse(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let (second, fraction) = second.split_once(['.', ',']).unwrap_or((second, "0"));
    let number = |text: &str, digits: std::ops::RangeInclusive<usize>, end: i64| {
        let well_formed = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|n: &i64| well_formed && *n < end)
    };
    if parts.next().is_some() || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(number(hour, 1..=2, 24)? * 3600 + number(minute, 2..=2, 60)? * 60 + number(second, 2..=2, 60)?)
}

/// How many nanoseconds from `now`, in nanoseconds since 1970, one of `ranges` still lasts; the longest counts.
/// `None` if it is in none of them, or one is malformed.
pub(super) fn remaining(ranges: &[TimeRange], location: &str, now: i128, zones: &dyn Zones) -> Option<i128> {
    let seconds = i64::try_from(now.div_euclid(SECOND)).ok()?;
    let local = seconds.checked_add(zones.offset(location, seconds)?.into())?;
    let midnight = local - local.rem_euclid(DAY);
    let at = |time: i64| -> Option<i128> {
        let local = midnight.checked_add(time)?;
        let guess = local - i64::from(zones.offset(location, local)?);
        Some(i128::from(local - i64::from(zones.offset(location, guess)?)) * SECOND)
    };
    let mut longest = None;
    for range in ranges {
        let (from, to) = (parse(&range.start)?, parse(&range.end)?);
        let (start, end) = (at(from)?, at(to)?);
        let left = if start < now && end > now {
            Some(end - now)
        } else if start <= end {
            None
        } else if end > now {
            Some(end - now)
        } else {
            let end = at(to + DAY)?;
            (start < now && end > now).then_some(end - now)
        };
        longest = longest.max(left);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// UTC, except for a place that is two hours ahead until 1970-01-03 01:00 UTC and one hour from then on.
    struct Places;

    impl Zones for Places {
        fn offset(&self, location: &str, at: i64) -> Option<i32> {
            match location {
                "" | "UTC" => Some(0),
                "Place" => Some(if at < 2 * DAY + 3600 { 7200 } else { 3600 }),
                _ => None,
            }
        }
    }

    fn left(range: (&str, &str), location: &str, day: i64, now: &str) -> Option<i64> {
        let range = TimeRange { start: range.0.into(), end: range.1.into() };
        let now = i128::from(day * DAY + parse(now).unwrap()) * SECOND;
        remaining(&[range], location, now, &Places).map(|left| i64::try_from(left / SECOND).unwrap())
    }

    #[test]
    fn a_time_has_hours_minutes_and_seconds() {
        for (text, expected) in [
            ("00:00:00", Some(0)),
            ("23:59:59", Some(DAY - 1)),
            ("7:05:09", Some(25_509)),
            ("07:05:09.25", Some(25_509)),
            ("24:00:00", None),
            ("07:60:00", None),
            ("07:5:09", None),
            ("07:05", None),
            ("", None),
            ("+7:05:09", None),
            ("07:05:09.", None),
            ("07:05:09:00", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_range_lasts_until_its_end_and_may_pass_midnight() {
        let office = ("11:00:00", "22:00:00");
        assert_eq!(left(office, "UTC", 5, "13:00:00"), Some(9 * 3600));
        for outside in ["10:59:59", "11:00:00", "22:00:00", "23:00:00"] {
            assert_eq!(left(office, "UTC", 5, outside), None, "{outside}");
        }
        let night = ("22:00:00", "06:00:00");
        assert_eq!(left(night, "UTC", 5, "05:00:00"), Some(3600));
        assert_eq!(left(night, "UTC", 5, "23:30:00"), Some(6 * 3600 + 1800));
        assert_eq!(left(night, "UTC", 5, "12:00:00"), None);
        assert_eq!(left(office, "Nowhere", 5, "13:00:00"), None);
        assert_eq!(left(("11:00", "22:00:00"), "UTC", 5, "13:00:00"), None);
    }

    #[test]
    fn clocks_are_those_of_the_place() {
        let morning = ("08:00:00", "12:00:00");
        assert_eq!(left(morning, "Place", 1, "07:00:00"), Some(3 * 3600), "two hours ahead");
        assert_eq!(left(morning, "Place", 2, "07:30:00"), Some(3 * 3600 + 1800), "one hour ahead");
        assert_eq!(left(("01:00:00", "04:00:00"), "Place", 1, "23:30:00"), Some(3 * 3600 + 1800), "it is 02:00 twice");
    }

    #[test]
    fn the_range_that_lasts_longest_counts() {
        let ranges = [("00:00:00", "09:00:00"), ("07:00:00", "12:00:00"), ("08:30:00", "10:00:00")]
            .map(|(start, end)| TimeRange { start: start.into(), end: end.into() });
        let eight = i128::from(8 * 3600) * SECOND;
        assert_eq!(remaining(&ranges, "", eight, &Places), Some(i128::from(4 * 3600) * SECOND));
        assert_eq!(remaining(&[], "", eight, &Places), None);
    }
}
