//! Auth callout: who decides, in place of the server, who a client is.

use natsd_auth::User;
use natsd_auth::account::GLOBAL;

use super::{InvalidOptions, Options};

/// `auth_callout {}` of `authorization {}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CalloutOptions {
    /// `issuer`: the public key, of an account, that signs answers and users.
    pub issuer: String,
    /// `account`: where who decides listens.
    pub account: String,
    /// `auth_users`: those on whom nobody decides, by name or nkey.
    pub users: Vec<String>,
    /// `xkey`: the public key with which questions are encrypted, if they are.
    pub xkey: Option<String>,
    /// `allowed_accounts`: those on whose users is decided; all if empty.
    pub accounts: Vec<String>,
}

impl Default for CalloutOptions {
    fn default() -> Self {
        Self { issuer: String::new(), account: GLOBAL.into(), users: Vec::new(), xkey: None, accounts: Vec::new() }
    }
}

/// What `auth_callout` names and is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalloutError {
    /// `account` or `allowed_accounts`.
    #[error("auth_callout: there is no account {0:?}; add it to accounts, or correct the name")]
    Account(String),
    /// `auth_users`.
    #[error(
        "auth_callout: there is no user {0:?} that could decide; add it to the users, or remove it from auth_users"
    )]
    User(String),
}

impl CalloutOptions {
    /// Whether somebody decides on the user of this name; `account` is that which the configuration puts it into, if that
    /// knows it at all.
    pub(crate) fn decides_on(&self, name: &str, account: Option<&str>) -> bool {
        let delegated = match account {
            Some(account) => {
                account == GLOBAL || self.accounts.is_empty() || self.accounts.iter().any(|it| it == account)
            }
            None => true,
        };
        delegated && (name.is_empty() || !self.users.iter().any(|user| user == name))
    }

    pub(super) fn check(&self, all: &Options) -> Result<(), InvalidOptions> {
        let there = |account: &&String| *account == GLOBAL || all.accounts.iter().any(|spec| spec.name == **account);
        if let Some(missing) = [&self.account].into_iter().chain(&self.accounts).find(|account| !there(account)) {
            return Err(CalloutError::Account(missing.clone()).into());
        }
        let own = all.websocket.as_ref().and_then(|websocket| websocket.directory.as_ref());
        let known = |user: &&String| {
            all.authorization.directory.get(user).is_some() || own.is_some_and(|own| own.get(user).is_some())
        };
        match self.users.iter().find(|user| !known(user)) {
            Some(missing) => Err(CalloutError::User(missing.clone()).into()),
            None => Ok(()),
        }
    }
}

impl Options {
    /// Whether somebody else decides on this user.
    pub(crate) fn leaves_to_callout(&self, user: &User) -> bool {
        let callout = self.authorization.callout.as_ref();
        callout.is_some_and(|callout| callout.decides_on(&user.name, Some(&user.account)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_decide_on_all_but_those_who_decide_and_those_of_other_accounts() {
        let mut options = CalloutOptions { users: vec!["d".into()], ..CalloutOptions::default() };
        assert!(options.decides_on("u", None) && options.decides_on("u", Some("A")) && options.decides_on("", None));
        assert!(!options.decides_on("d", None) && !options.decides_on("d", Some("A")));
        options.accounts = vec!["A".into()];
        assert!(options.decides_on("u", Some("A")) && !options.decides_on("u", Some("B")));
        assert!(options.decides_on("u", Some(GLOBAL)) && options.decides_on("u", None));
    }
}
