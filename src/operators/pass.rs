//! What somebody who came with a token was granted, and what is left of that when its account says something else.

use std::sync::Arc;
use std::time::Duration;

use natsd_auth::User;
use natsd_auth::jwt::{Admission, Refusal};
use natsd_core::error::ClientError;

use super::{Known, Operators};

/// What a client or a leaf node that came with a token was granted.
pub(crate) struct Pass {
    pub(crate) token: String,
    pub(crate) admission: Admission,
    /// Its account, as that was then.
    pub(crate) account: Arc<Known>,
}

/// Why somebody with a pass may not stay.
pub(crate) enum PassEnd {
    /// The account is gone.
    NoAccount,
    /// Its account would not let it in now.
    Refused(Refusal),
    /// Its account called its token back.
    Revoked,
    /// The key that vouched for it vouches for others now, or for nobody.
    OtherKey,
}

impl Pass {
    /// The token, unless whoever sees it could come in with it.
    pub(crate) fn shown_token(&self) -> String {
        if self.admission.bearer { String::new() } else { self.token.clone() }
    }

    /// When the connection has to end, in time since 1970, and what is said then.
    pub(crate) fn ends(&self) -> Option<(Duration, ClientError)> {
        let account = u64::try_from(self.account.claims.registered.expires).ok().filter(|expires| *expires > 0);
        match (self.admission.ends, account.map(Duration::from_secs)) {
            (Some(user), Some(account)) if account < user => Some((account, ClientError::AccountExpired)),
            (None, account) => account.map(|account| (account, ClientError::AccountExpired)),
            (user, _) => user.map(|user| (user, ClientError::UserExpired)),
        }
    }

    /// The user, under this name: in an account where others decide who is who, it does not ask them.
    pub(crate) fn user(&self, name: &str) -> Arc<User> {
        let (name, account) = (name.to_owned(), self.admission.account.as_str().into());
        let mut user = User { name, account, ..self.admission.user.clone() };
        if !self.account.claims.body.authorization.auth_users.is_empty() {
            user.deny_questions();
        }
        Arc::new(user)
    }

    /// The account's key that vouched for the user.
    pub(crate) fn issuer(&self) -> &str {
        self.admission.signing_key.as_deref().unwrap_or(&self.admission.account)
    }

    /// Whether the user may do the same as with `other`.
    pub(crate) fn permits_as(&self, other: &Self) -> bool {
        self.admission.user.permissions == other.admission.user.permissions
    }
}

impl Operators {
    /// What `pass` grants now; `None` if its account says what it said then.
    ///
    /// # Errors
    ///
    /// If whoever has it may not stay.
    pub(crate) fn renew(&self, pass: &Pass) -> Result<Option<Pass>, PassEnd> {
        let old = &pass.admission;
        let now = self.known(&old.account).ok_or(PassEnd::NoAccount)?;
        if Arc::ptr_eq(&now, &pass.account) {
            return Ok(None);
        }
        let account = &now.claims.body;
        if old.bearer && account.limits.account.disallow_bearer {
            return Err(PassEnd::Refused(Refusal::NoBearers));
        }
        if account.has_revoked(&old.user.name, old.issued_at) {
            return Err(PassEnd::Revoked);
        }
        let signers =
            |known: &Known| old.signing_key.as_ref().map(|key| known.claims.body.signing_keys.0.get(key).cloned());
        if signers(&now) != signers(&pass.account) {
            return Err(PassEnd::OtherKey);
        }
        let mut admission = old.clone();
        if old.default_permissions && account.default_permissions != pass.account.claims.body.default_permissions {
            let rules = account.default_permissions.rules();
            let rules = rules.map_err(|problem| PassEnd::Refused(Refusal::Rule(problem)))?;
            admission.user.permissions = rules.map(Arc::new);
        }
        Ok(Some(Pass { token: pass.token.clone(), admission, account: now }))
    }
}
