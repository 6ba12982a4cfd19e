//! Durations as operators write them: `"2m"`, `"1h30m"`, `"1.5s"`, `"250ms"`.

use std::time::Duration;

/// Why a duration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write numbers with the units h, m, s, ms, us or ns, such as \"2m\" or \"1.5s\"")]
pub struct DurationError(String);

/// Parses a duration of one or more numbers with units; `0` needs none.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    let total = if text == "0" { Some(Duration::ZERO) } else { sum(text) };
    total.ok_or_else(|| DurationError(text.to_owned()))
}

fn sum(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut total = Duration::ZERO;
    loop {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len()));
        total = total.checked_add(scale(number, unit_nanos(unit)?)?)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// A decimal number of units; digits below a nanosecond are dropped.
fn scale(number: &str, unit: u64) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut nanos = whole.checked_mul(unit)?;
    let mut share = unit;
    for digit in fraction.chars() {
        share /= 10;
        nanos = nanos.checked_add(u64::from(digit.to_digit(10)?) * share)?;
    }
    Some(Duration::from_nanos(nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_add_up() {
        for (text, millis) in [
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1500),
            (".5s", 500),
            ("250ms", 250),
            ("3000us", 3),
            ("0", 0),
            ("+1s", 1000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn a_number_without_a_unit_a_sign_or_an_unknown_unit_is_refused() {
        for text in ["", "2", "-1s", "2d", "s", ".s", "1.2.3s", "99999999999999999999h", "2m "] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9.a-zµ+-]{0,30}|\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn milliseconds_come_back_whole(millis in 0u32..) {
            prop_assert_eq!(parse(&format!("{millis}ms")), Ok(Duration::from_millis(millis.into())));
        }
    }
}
