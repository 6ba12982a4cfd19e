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
