//! Pieces that all control lines are made of.

/// Whether `byte` separates the words of a control line.
pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Splits `line` at runs of blanks into at most `N` words. Returns them and how many there are, or `None` when there
/// are more than `N`.
pub fn split_words<const N: usize>(line: &[u8]) -> Option<([&[u8]; N], usize)> {
    let mut words = [&line[..0]; N];
    let mut count = 0;
    let mut at = 0;
    while at < line.len() {
        if is_blank(line[at]) {
            at += 1;
            continue;
        }
        let start = at;
        while at < line.len() && !is_blank(line[at]) {
            at += 1;
        }
        *words.get_mut(count)? = &line[start..at];
        count += 1;
    }
    Some((words, count))
}

/// `line` without the blanks it starts with.
pub fn trim_start(line: &[u8]) -> &[u8] {
    let start = line.iter().position(|&byte| byte != b' ' && byte != b'\t').unwrap_or(line.len());
    &line[start..]
}

/// Most digits a size may have, as in nats-server.
const MAX_SIZE_DIGITS: usize = 9;

/// A size of 1 to 9 decimal digits.
pub fn parse_size(word: &[u8]) -> Option<usize> {
    if word.is_empty() || word.len() > MAX_SIZE_DIGITS {
        return None;
    }
    word.iter().try_fold(0, |size: usize, byte| byte.is_ascii_digit().then(|| size * 10 + usize::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_runs_of_blanks() {
        let (words, count) = split_words::<3>(b" a\t\tbc  d ").unwrap();
        assert_eq!((words, count), ([&b"a"[..], b"bc", b"d"], 3));
        assert_eq!(split_words::<2>(b"").unwrap().1, 0);
        assert_eq!(split_words::<2>(b"a b c"), None);
    }

    #[test]
    fn sizes_are_short_and_decimal() {
        assert_eq!(parse_size(b"0"), Some(0));
        assert_eq!(parse_size(b"999999999"), Some(999_999_999));
        for bad in ["", "-1", "+1", "1x", "1234567890"] {
            assert_eq!(parse_size(bad.as_bytes()), None, "{bad}");
        }
    }
}
