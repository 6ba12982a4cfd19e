//! Whose accounts a server believes in.

use std::collections::HashSet;

use super::account::Account;
use super::claims::Claims;
use super::issues::Issues;
use super::key::KeyKind;
use super::operator::Operator;
use super::signing_keys::UserScope;
use super::token::TokenError;

/// Keys that vouch for accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    keys: HashSet<String>,
    /// Of operators for whom and whose accounts only signing keys sign.
    strict: HashSet<String>,
}

/// A key that vouches for nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("trusted Keys {0:?} are required to be a valid public operator nkey")]
pub struct TrustError(String);

/// Why an account is not taken. nats-server tells clients nothing of it, and its log the same for all but a token that
/// cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// Not the token of an account.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Nobody whom the server believes vouches for it.
    #[error("account validation failed: {0:?} is no key of a trusted operator")]
    Untrusted(String),
    /// It is not valid, or not now.
    #[error("account validation failed: {0}")]
    Invalid(Issues),
    /// It is another account.
    #[error("account validation failed: it is the token of {found:?}, not of {expected:?}")]
    Other {
        /// Whose token it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
}

impl Trust {
    /// Believes these operators and, besides, these keys.
    ///
    /// # Errors
    ///
    /// If a key is not one of an operator.
    pub fn new(operators: &[Claims<Operator>], keys: &[String]) -> Result<Self, TrustError> {
        let mut trust = Self { keys: keys.iter().cloned().collect(), strict: HashSet::new() };
        for operator in operators {
            let signing = operator.body.signing_keys.iter().cloned();
            if operator.body.strict_signing_key_usage {
                trust.strict.extend(signing.clone());
            } else {
                trust.keys.insert(operator.registered.subject.clone());
            }
            trust.keys.extend(signing);
        }
        match trust.keys.iter().find(|key| !KeyKind::Operator.is(key)) {
            Some(key) => Err(TrustError(key.clone())),
            None => Ok(trust),
        }
    }

    /// Whether nobody is believed.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether `key` vouches for accounts.
    pub fn believes(&self, key: &str) -> bool {
        self.keys.contains(key)
    }

    /// Whether only signing keys sign for the users and activations of `account`, not its own.
    pub fn is_strict(&self, account: &Claims<Account>) -> bool {
        self.strict.contains(&account.registered.issuer)
    }

    /// Reads the token of the account `key` and checks it at `now`, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// If it is not to be believed, not valid now, or another account's.
    pub fn account(&self, token: &str, key: &str, now: i64) -> Result<Claims<Account>, AccountError> {
        let account = Claims::<Account>::decode(token)?;
        if !self.believes(&account.registered.issuer) {
            return Err(AccountError::Untrusted(account.registered.issuer));
        }
        let issues = account.check(now);
        if issues.is_blocking() {
            return Err(AccountError::Invalid(issues));
        }
        if account.registered.subject != key {
            return Err(AccountError::Other { found: account.registered.subject, expected: key.to_owned() });
        }
        Ok(account)
    }
}

impl Claims<Account> {
    /// Whether `key` signs for this account; with what its users are then restricted to. `strict` is that of
    /// [`Trust::is_strict`].
    pub fn issuer(&self, key: &str, strict: bool) -> Option<Option<&UserScope>> {
        match self.body.signing_keys.0.get(key) {
            _ if !strict && key == self.registered.subject => Some(None),
            found => found.map(Option::as_ref),
        }
    }

    /// Whether it no longer holds at `now`, in seconds since 1970.
    pub fn has_expired(&self, now: i64) -> bool {
        self.registered.expires != 0 && self.registered.expires <= now
    }
}
