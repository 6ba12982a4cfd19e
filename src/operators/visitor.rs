//! Somebody who shows a token, while it is open whether the account is known that signed it.

use natsd_auth::jwt::{Claims, Refusal, User, user_of};

use super::seconds;
use crate::config::options::Options;

/// Who somebody is as its token says.
pub(crate) struct Visitor {
    pub(crate) token: String,
    pub(crate) user: Claims<User>,
}

impl Visitor {
    /// Reads `token`, or that of all who show none.
    ///
    /// # Errors
    ///
    /// If it is no token of a user that holds now.
    pub(crate) fn read(options: &Options, token: &str) -> Result<Self, Refusal> {
        let sentinel = options.operator.as_ref().and_then(|operator| operator.default_sentinel.as_deref());
        let token = match (Claims::<User>::decode(token), sentinel) {
            (Err(_), Some(sentinel)) => sentinel,
            _ => token,
        };
        Ok(Self { user: user_of(token, seconds())?, token: token.to_owned() })
    }

    /// Whether users of its account may connect to this server at all.
    ///
    /// # Errors
    ///
    /// If not.
    pub(crate) fn check_pinned(&self, options: &Options) -> Result<(), Refusal> {
        let pinned = options.operator.as_ref().and_then(|operator| operator.pinned_accounts.as_ref());
        let account = self.user.account();
        if pinned.is_none_or(|pinned| pinned.contains(account)) {
            Ok(())
        } else {
            Err(Refusal::NotPinned(account.to_owned()))
        }
    }
}
