//! Passwords and tokens.

use std::fmt;
use std::sync::Arc;

use subtle::ConstantTimeEq;

/// A password or token as the operator wrote it, in plain or hashed with bcrypt. Never prints what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Plain(Arc<str>),
    Bcrypt(Arc<str>),
}

impl Secret {
    /// What begins as a bcrypt hash does, `$2a$`, `$2b$`, `$2x$` or `$2y$` and two digits of cost, is one. If the rest of
    /// it is no hash, nothing matches it.
    pub fn new(text: &str) -> Self {
        let hashed = matches!(
            text.as_bytes(),
            [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', b'0'..=b'9', b'0'..=b'9', b'$', ..]
        );
        Self(if hashed { Kind::Bcrypt(text.into()) } else { Kind::Plain(text.into()) })
    }

    /// Whether [`verify`](Self::verify) takes long, up to seconds.
    pub fn is_hashed(&self) -> bool {
        matches!(self.0, Kind::Bcrypt(_))
    }

    /// Whether `given` is it. Takes the same time whatever bytes of it are wrong.
    pub fn verify(&self, given: &str) -> bool {
        match &self.0 {
            Kind::Plain(secret) => secret.as_bytes().ct_eq(given.as_bytes()).into(),
            Kind::Bcrypt(hash) => bcrypt::verify(given, hash).unwrap_or(false),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[REDACTED]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_and_hashed_secrets_match_only_themselves() {
        let hash = bcrypt::hash("s3cret", 4).unwrap();
        for version in ["2a", "2b", "2y"] {
            let secret = Secret::new(&hash.replacen("2b", version, 1));
            assert!(secret.is_hashed() && secret.verify("s3cret") && !secret.verify("s3cres") && !secret.verify(""));
            assert!(!secret.verify(&hash), "the hash is no password");
        }
        let plain = Secret::new("s3cret");
        assert!(!plain.is_hashed() && plain.verify("s3cret") && !plain.verify("s3cre") && !plain.verify(""));
        let broken = Secret::new("$2a$11$short");
        assert!(broken.is_hashed() && !broken.verify("$2a$11$short"));
        assert!(!Secret::new("$2a$x").is_hashed());
    }

    #[test]
    fn secrets_do_not_print() {
        assert_eq!(format!("{:?}", Secret::new("s3cret")), "[REDACTED]");
    }
}
