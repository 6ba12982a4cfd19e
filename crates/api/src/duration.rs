//! Durations as Go programs print them.

use std::time::Duration;

/// `d` as Go's `Duration.String`: `0s`, `850ns`, `1.5µs`, `289µs`, `3.904218ms`, `1.5s`, `2m3s`, `26h0m1.25s`.
pub fn go_duration(d: Duration) -> String {
    let nanos = d.as_nanos();
    if nanos == 0 {
        return "0s".into();
    }
    if nanos < 1_000_000_000 {
        let (unit, name) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return decimal(nanos, unit) + name;
    }
    let minutes = d.as_secs() / 60;
    let seconds = decimal(nanos - u128::from(minutes) * 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, m) => format!("{m}m{seconds}s"),
        (h, m) => format!("{h}h{m}m{seconds}s"),
    }
}

/// A round-trip time as in `/connz`: whole microseconds below a millisecond, exact otherwise.
pub fn rtt(d: Duration) -> String {
    let truncate = d > Duration::from_micros(1) && d < Duration::from_millis(1);
    go_duration(if truncate { Duration::from_micros(d.as_micros() as u64) } else { d })
}

/// `uptime` and `idle` as in `/varz` and `/connz`: whole seconds, with minutes, hours, days and years (of 365 days)
/// as needed: `38s`, `1m0s`, `2d3h0m1s`.
pub fn uptime(d: Duration) -> String {
    let seconds = d.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let years = days / 365;
    let (d, h, m, s) = (days % 365, hours % 24, minutes % 60, seconds % 60);
    match (years, days, hours, minutes) {
        (0, 0, 0, 0) => format!("{s}s"),
        (0, 0, 0, _) => format!("{m}m{s}s"),
        (0, 0, ..) => format!("{h}h{m}m{s}s"),
        (0, ..) => format!("{d}d{h}h{m}m{s}s"),
        _ => format!("{years}y{d}d{h}h{m}m{s}s"),
    }
}

/// `value / unit` without trailing zeros; `unit` is a power of ten.
fn decimal(value: u128, unit: u128) -> String {
    let (whole, fraction) = (value / unit, value % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_prints_them() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (289_000, "289µs"),
            (2_200_000, "2.2ms"),
            (3_904_218, "3.904218ms"),
            (999_999_999, "999.999999ms"),
            (1_000_000_000, "1s"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (93_600_000_000_000, "26h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_nanos(nanos)), text);
        }
        assert_eq!(go_duration(Duration::MAX), "5124095576030431h0m15.999999999s");
    }

    #[test]
    fn round_trips_below_a_millisecond_are_whole_microseconds() {
        assert_eq!(rtt(Duration::from_nanos(289_765)), "289µs");
        assert_eq!(rtt(Duration::from_nanos(999)), "999ns");
        assert_eq!(rtt(Duration::from_nanos(3_904_218)), "3.904218ms");
    }

    #[test]
    fn uptime_grows_units_as_needed() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m0s"),
            (3_600, "1h0m0s"),
            (86_400 + 61, "1d0h1m1s"),
            (365 * 86_400 + 86_399, "1y0d23h59m59s"),
        ] {
            assert_eq!(uptime(Duration::from_millis(seconds * 1000 + 999)), text);
        }
    }
}
