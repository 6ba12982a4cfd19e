//! Kinds of public keys.

/// What a public key is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `O…`
    Operator,
    /// `A…`
    Account,
    /// `U…`
    User,
    /// `N…`
    Server,
    /// `X…`, for encryption.
    Curve,
}

impl KeyKind {
    /// What `text` is the public key of; `None` if of something else, or no public key.
    pub fn of(text: &str) -> Option<Self> {
        let (prefix, _) = nkeys::from_public_key(text).ok()?;
        Some(match prefix >> 3 {
            14 => Self::Operator,
            0 => Self::Account,
            20 => Self::User,
            13 => Self::Server,
            23 => Self::Curve,
            _ => return None,
        })
    }

    /// Whether `text` is such a public key.
    pub fn is(self, text: &str) -> bool {
        Self::of(text) == Some(self)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Account => "account",
            Self::User => "user",
            Self::Server => "server",
            Self::Curve => "x25519",
        }
    }
}

#[cfg(test)]
mod tests {
    use nkeys::KeyPair;

    use super::*;

    #[test]
    fn keys_tell_what_they_are_of() {
        let keys = [
            (KeyPair::new_operator(), Some(KeyKind::Operator)),
            (KeyPair::new_account(), Some(KeyKind::Account)),
            (KeyPair::new_user(), Some(KeyKind::User)),
            (KeyPair::new_server(), Some(KeyKind::Server)),
            (KeyPair::new_module(), None),
        ];
        for (pair, kind) in keys {
            let key = pair.public_key();
            assert_eq!(KeyKind::of(&key), kind);
            assert_eq!(KeyKind::of(&key[..55]), None);
            assert_eq!(KeyKind::of(&pair.seed().unwrap()), None);
        }
    }
}
