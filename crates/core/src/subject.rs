//! Subjects: tokens separated by dots. In a subscription `*` stands for one token and a last `>` for one or more.

/// The tokens of `subject`; an empty subject has one empty token.
pub fn tokens(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    subject.split(|&byte| byte == b'.')
}

/// Whether one can subscribe to `subject`: no token is empty, and `>` stands only at the end.
pub fn is_valid(subject: &[u8]) -> bool {
    let mut ended = false;
    tokens(subject).all(|token| {
        let valid = !token.is_empty() && !ended;
        ended = token == b">";
        valid
    })
}

/// Whether `subject` is valid and without wildcards, as one to publish to should be.
pub fn is_valid_literal(subject: &[u8]) -> bool {
    tokens(subject).all(|token| !token.is_empty() && token != b"*" && token != b">")
}

/// Whether a subscription to `pattern` gets what is published to `subject`.
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let mut subject = tokens(subject);
    for expected in tokens(pattern) {
        let Some(token) = subject.next() else { return false };
        if token.is_empty() {
            return false;
        }
        if expected == b">" {
            return subject.all(|token| !token.is_empty());
        }
        if expected != b"*" && expected != token {
            return false;
        }
    }
    subject.next().is_none()
}

/// Whether all that `part` matches is matched by `pattern`, too. Both may have wildcards.
pub fn is_subset(part: &[u8], pattern: &[u8]) -> bool {
    let mut part = tokens(part);
    for expected in tokens(pattern) {
        match (part.next(), expected) {
            (None | Some(b""), _) => return false,
            (Some(_), b">") => return true,
            (Some(b">"), _) => return false,
            (Some(token), _) if expected != b"*" && expected != token => return false,
            _ => {}
        }
    }
    part.next().is_none()
}

/// What matches both patterns; `None` if nothing does.
pub fn intersection(one: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let (mut ones, mut others) = (tokens(one), tokens(other));
    let mut common: Vec<&[u8]> = Vec::new();
    loop {
        let token = match (ones.next(), others.next()) {
            (None, None) => return Some(common.join(&b'.')),
            (None, _) | (_, None) => return None,
            (Some(b">"), Some(token)) => {
                common.push(token);
                common.extend(others);
                return Some(common.join(&b'.'));
            }
            (Some(token), Some(b">")) => {
                common.push(token);
                common.extend(ones);
                return Some(common.join(&b'.'));
            }
            (Some(b"*"), Some(token)) | (Some(token), Some(b"*")) => token,
            (Some(one), Some(other)) if one == other => one,
            _ => return None,
        };
        common.push(token);
    }
}

/// Whether a token of `subject` is a wildcard.
pub fn has_wildcard(subject: &[u8]) -> bool {
    tokens(subject).any(|token| token == b"*" || token == b">")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_have_no_empty_token_and_end_with_the_full_wildcard() {
        for valid in ["foo", "foo.bar", "*", ">", "foo.*.bar", "foo.>", "foo*", "f>o", "*.>", "$SYS.a", "foo.*a"] {
            assert!(is_valid(valid.as_bytes()), "{valid}");
        }
        for invalid in ["", ".", "foo..bar", ".a", "a.", "a.>.b", ">.a", ">.>"] {
            assert!(!is_valid(invalid.as_bytes()), "{invalid}");
        }
    }

    #[test]
    fn literals_have_no_wildcard() {
        for valid in ["foo", "foo.bar", "foo*", "f>o"] {
            assert!(is_valid_literal(valid.as_bytes()), "{valid}");
        }
        for invalid in ["", "foo.*", "foo.>", "*", "a..b"] {
            assert!(!is_valid_literal(invalid.as_bytes()), "{invalid}");
        }
    }

    #[test]
    fn a_pattern_covers_narrower_ones() {
        for (part, pattern, expected) in [
            ("a.b", "a.b", true),
            ("a.b", "a.*", true),
            ("a.*", "a.*", true),
            ("a.*", "a.b", false),
            ("a.>", "a.*", false),
            ("a.*.c", "a.>", true),
            ("a.>", "a.>", true),
            (">", "a.>", false),
            ("a", "a.>", false),
            ("a.b.c", "a.b", false),
            ("a", "a.b", false),
        ] {
            assert_eq!(is_subset(part.as_bytes(), pattern.as_bytes()), expected, "{part} {pattern}");
        }
    }

    #[test]
    fn patterns_overlap_in_what_both_match() {
        for (one, other, expected) in [
            ("a.b", "a.b", Some("a.b")),
            ("a.*", "*.b", Some("a.b")),
            ("a.>", "*.b.*", Some("a.b.*")),
            (">", "a.*", Some("a.*")),
            ("a.>", "a.>", Some("a.>")),
            ("a.*", "b.*", None),
            ("a.*", "a.b.c", None),
            ("a.>", "a", None),
        ] {
            let found = |one: &str, other: &str| {
                intersection(one.as_bytes(), other.as_bytes()).map(|both| String::from_utf8(both).unwrap())
            };
            assert_eq!(found(one, other).as_deref(), expected, "{one} {other}");
            assert_eq!(found(other, one).as_deref(), expected, "{other} {one}");
        }
    }

    #[test]
    fn wildcards_stand_for_one_token_or_for_all_that_follow() {
        let cases = [
            ("foo", "foo", true),
            ("foo", "foo.bar", false),
            ("foo.*", "foo.bar", true),
            ("foo.*", "foo", false),
            ("foo.*", "foo.bar.baz", false),
            ("foo.>", "foo", false),
            ("foo.>", "foo.bar.baz", true),
            (">", "foo", true),
            ("*.bar", "foo.bar", true),
            ("foo.*", "foo.*", true),
            ("foo.>", "foo..x", false),
            ("*.x", ".x", false),
        ];
        for (pattern, subject, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), subject.as_bytes()), expected, "{pattern} {subject}");
        }
    }
}
