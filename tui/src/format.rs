//! Numbers as people read them, in few characters. What is unknown is `?`.

use std::time::Duration;

/// What stands for an unknown value.
pub(crate) const UNKNOWN: &str = "?";

/// Milliseconds: `0.29ms`, `22.4ms`, `150ms`, `1.2s`.
pub(crate) fn millis(ms: Option<f64>) -> String {
    match ms {
        None => UNKNOWN.into(),
        Some(ms) if ms < 0.995 => format!("{ms:.2}ms"),
        Some(ms) if ms < 99.95 => format!("{ms:.1}ms"),
        Some(ms) if ms < 999.5 => format!("{ms:.0}ms"),
        Some(ms) => format!("{:.1}s", ms / 1000.0),
    }
}

/// Kilobits a second as bits a second: `64k`, `1.5M`, `100M`, `10G`.
pub(crate) fn bandwidth(kbps: Option<u64>) -> String {
    kbps.map_or(UNKNOWN.into(), |kbps| scaled(kbps as f64 * 1e3))
}

/// A number with a decimal prefix: `999`, `1.2k`, `34M`.
pub(crate) fn scaled(number: f64) -> String {
    let prefixes = ["", "k", "M", "G", "T", "P", "E"];
    let mut value = number.max(0.0);
    let mut prefix = 0;
    while value >= 999.5 && prefix + 1 < prefixes.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let decimals = usize::from(prefix > 0 && value < 9.95 && (value * 10.0).round() % 10.0 != 0.0);
    format!("{value:.decimals$}{}", prefixes[prefix])
}

/// A fraction as per cent: `0%`, `0.4%`, `12%`.
pub(crate) fn percent(fraction: Option<f64>) -> String {
    match fraction.map(|f| f * 100.0) {
        None => UNKNOWN.into(),
        Some(p) if p > 0.0 && p < 9.95 => format!("{p:.1}%"),
        Some(p) => format!("{p:.0}%"),
    }
}

/// A duration in its largest unit: `38s`, `59m`, `23h`, `12d`.
pub(crate) fn span(d: Duration) -> String {
    match d.as_secs() {
        s @ 0..100 => format!("{s}s"),
        s @ 100..6_000 => format!("{}m", s / 60),
        s @ 6_000..172_800 => format!("{}h", s / 3600),
        s => format!("{}d", s / 86_400),
    }
}

/// Milliseconds as a duration in its largest unit: `12ms`, `38s`, `59m`.
pub(crate) fn age(ms: u64) -> String {
    if ms < 1000 { format!("{ms}ms") } else { span(Duration::from_millis(ms)) }
}

/// `text` without control characters, for output that does not filter them itself.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A part of a sparkline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mark {
    Value(f64),
    /// It was asked, and did not answer.
    Silence,
    /// Nobody looked.
    Nothing,
}

/// A block of `▁▂▃▄▅▆▇█` for each value, `·` for silence and a blank for nothing.
///
/// The lowest block is the smallest value. The highest is the largest, if that is at least a fifth more; so noise
/// stays low.
pub(crate) fn sparkline(marks: &[Mark]) -> String {
    let values = || marks.iter().filter_map(|mark| if let Mark::Value(value) = mark { Some(*value) } else { None });
    let least = values().fold(f64::INFINITY, f64::min);
    let most = values().fold(f64::MIN_POSITIVE, f64::max);
    let range = (most - least).max(most * 0.2);
    let bar = |mark: &Mark| match mark {
        Mark::Value(value) => BLOCKS[(((value - least) / range * 8.0) as usize).min(7)],
        Mark::Silence => '·',
        Mark::Nothing => ' ',
    };
    marks.iter().map(bar).collect()
}

/// The heights of a sparkline.
pub(crate) const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds() {
        let cases = [(0.0, "0.00ms"), (0.289, "0.29ms"), (0.999, "1.0ms"), (22.4, "22.4ms"), (99.97, "100ms")];
        for (ms, text) in cases.into_iter().chain([(999.7, "1.0s"), (1234.0, "1.2s")]) {
            assert_eq!(millis(Some(ms)), text);
        }
        assert_eq!(millis(None), "?");
    }

    #[test]
    fn numbers_fit_four_characters() {
        for (number, text) in
            [(0.0, "0"), (999.0, "999"), (999.6, "1k"), (1234.0, "1.2k"), (2e6, "2M"), (99.6e6, "100M"), (1e10, "10G")]
        {
            assert_eq!(scaled(number), text);
            assert!(text.len() <= 4);
        }
        assert_eq!(bandwidth(Some(100_000)), "100M");
        assert_eq!(scaled(f64::NAN), "0");
        assert_eq!(scaled(f64::INFINITY), "infE");
    }

    #[test]
    fn percentages() {
        for (fraction, text) in [(0.0, "0%"), (0.004, "0.4%"), (0.123, "12%"), (1.0, "100%")] {
            assert_eq!(percent(Some(fraction)), text);
        }
    }

    #[test]
    fn spans() {
        for (seconds, text) in [(0, "0s"), (99, "99s"), (100, "1m"), (3599, "59m"), (7200, "2h"), (200_000, "2d")] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn sparklines_show_changes_and_gaps_and_hide_noise() {
        let line = |values: &[f64]| sparkline(&values.iter().copied().map(Mark::Value).collect::<Vec<_>>());
        let gap = [Mark::Value(10.0), Mark::Value(20.0), Mark::Silence, Mark::Nothing, Mark::Value(30.0)];
        assert_eq!(sparkline(&gap), "▁▅· █");
        assert_eq!(line(&[20.0, 20.5, 20.0]), "▁▁▁");
        assert_eq!(line(&[0.0, 0.0]), "▁▁");
        assert_eq!(line(&[f64::NAN, f64::NEG_INFINITY, f64::INFINITY]).chars().count(), 3);
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn escape_sequences_are_disarmed() {
        assert_eq!(printable("a\x1b[31mb\n"), "a[31mb");
    }
}
