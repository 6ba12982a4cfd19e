//! Users, and whether credentials are theirs.

use std::collections::HashMap;
use std::sync::Arc;

use natsd_core::connect::Credentials;

use crate::account;
use crate::certificate::{Certificate, CertificateNames, DistinguishedName};
use crate::connection_type::ConnectionType;
use crate::jwt::CALLOUT_SUBJECT;
use crate::nkey::Nkey;
use crate::permissions::{Permissions, Rule};
use crate::secret::Secret;
use crate::verdict::{SlowCheck, Unprinted, Verdict};

/// Who connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Name or public nkey; empty for one who comes by token.
    pub name: String,
    /// The account it is in.
    pub account: Arc<str>,
    /// `None` for one who comes by nkey.
    pub secret: Option<Secret>,
    /// What it may connect by; `None` is anything.
    pub connection_types: Option<Vec<ConnectionType>>,
    /// What it may do; `None` is everything.
    pub permissions: Option<Arc<Permissions>>,
    /// It may only come by a proxy that is trusted.
    pub proxy_required: bool,
}

impl User {
    /// One who comes by a secret, without any restriction.
    pub fn with_secret(name: &str, secret: &str) -> Self {
        Self { secret: Some(Secret::new(secret)), ..Self::of_no_secret(name) }
    }

    /// One who comes by a key, without any restriction.
    pub fn with_nkey(nkey: &Nkey) -> Self {
        Self::of_no_secret(nkey.as_str())
    }

    fn of_no_secret(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            account: account::GLOBAL.into(),
            secret: None,
            connection_types: None,
            permissions: None,
            proxy_required: false,
        }
    }

    /// From now on it may not ask those who decide, in place of the server, who a client is.
    pub fn deny_questions(&mut self) {
        let mut permissions = self.permissions.as_deref().cloned().unwrap_or_default();
        permissions.publish.deny.extend(Rule::to_publish(CALLOUT_SUBJECT));
        self.permissions = Some(Arc::new(permissions));
    }

    /// Whether it may connect this way.
    pub fn may_come_by(&self, way: ConnectionType) -> bool {
        self.connection_types.as_ref().is_none_or(|allowed| allowed.contains(&way))
    }
}

/// All who may connect. Empty, the default, lets everybody in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    token: Option<Arc<User>>,
    users: HashMap<String, Arc<User>>,
    nkeys: HashMap<String, Arc<User>>,
    /// The users were listed.
    list: bool,
    /// Who comes without credentials.
    anonymous: Option<Arc<User>>,
    /// There are listeners where certificates say who somebody is.
    certificates: bool,
    /// A hash to be busy with for those who are refused: the time tells nobody which names exist.
    decoy: Option<Secret>,
}

/// Users that cannot be in one directory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// A single user and a token.
    #[error("user and token cannot both be given; keep one of them")]
    UserAndToken,
    /// A single user and a list.
    #[error("user and users cannot both be given; move the user into the list")]
    UserAndUsers,
    /// A token and a list.
    #[error("token and users cannot both be given; keep one of them")]
    TokenAndUsers,
    /// A password of nobody.
    #[error("a password without a user lets everybody in; add the user, or write token")]
    PasswordWithoutUser,
    /// A token that everybody has.
    #[error("an empty token lets everybody in; give one, or remove the key")]
    EmptyToken,
    /// One name twice.
    #[error("user {0:?} is listed twice; remove one of them")]
    Duplicate(String),
    /// `no_auth_user` is nobody.
    #[error("there is no user {0:?} in the users of authorization; add it, or remove no_auth_user")]
    UnknownAnonymous(String),
}

/// What an operator may write.
#[derive(Clone, Debug, Default)]
pub struct DirectoryBuilder {
    /// A single user.
    pub user: Option<String>,
    /// Its password.
    pub password: Option<String>,
    /// A token.
    pub token: Option<String>,
    /// A list of users.
    pub users: Vec<User>,
}

impl DirectoryBuilder {
    /// Puts them together.
    ///
    /// # Errors
    ///
    /// If they do not go together.
    pub fn build(self) -> Result<Directory, DirectoryError> {
        let user = self.user.filter(|user| !user.is_empty());
        let mut directory = Directory::default();
        match (user, self.password.filter(|password| !password.is_empty())) {
            (Some(_), _) if self.token.is_some() => return Err(DirectoryError::UserAndToken),
            (Some(_), _) if !self.users.is_empty() => return Err(DirectoryError::UserAndUsers),
            (Some(user), password) => {
                directory.add(User::with_secret(&user, &password.unwrap_or_default()))?;
            }
            (None, Some(_)) => return Err(DirectoryError::PasswordWithoutUser),
            (None, None) => {}
        }
        match self.token {
            Some(token) if token.is_empty() => return Err(DirectoryError::EmptyToken),
            Some(_) if !self.users.is_empty() => return Err(DirectoryError::TokenAndUsers),
            Some(token) => directory.token = Some(Arc::new(User::with_secret("", &token))),
            None => {}
        }
        directory.list = !self.users.is_empty();
        for user in self.users {
            directory.add(user)?;
        }
        Ok(directory)
    }
}

/// Who somebody says to be, and the secret that is to be compared yet.
type Claim<'a> = (&'a Arc<User>, Option<(&'a Secret, &'a str)>);

impl Directory {
    fn add(&mut self, user: User) -> Result<(), DirectoryError> {
        let by_name = if user.secret.is_some() { &mut self.users } else { &mut self.nkeys };
        let name = user.name.clone();
        self.decoy = self.decoy.take().or_else(|| user.secret.clone().filter(Secret::is_hashed));
        match by_name.insert(name.clone(), Arc::new(user)) {
            Some(_) => Err(DirectoryError::Duplicate(name)),
            None => Ok(()),
        }
    }

    /// Lets who gives no credentials in as the user of this name, or of this nkey.
    ///
    /// # Errors
    ///
    /// If there is no such user.
    pub fn set_anonymous(&mut self, name: &str) -> Result<(), DirectoryError> {
        let user = self.listed(name).ok_or_else(|| DirectoryError::UnknownAnonymous(name.to_owned()))?;
        self.anonymous = Some(user.clone());
        Ok(())
    }

    /// Lets who gives no credentials in, into the account of those that name none, though there are users.
    pub fn admit_anybody(&mut self) {
        self.anonymous = Some(Arc::new(User::of_no_secret("")));
    }

    /// As [`admit_anybody`](Self::admit_anybody), into this account, and perhaps by a proxy alone.
    pub fn admit_anybody_into(&mut self, account: &str, proxy_required: bool) {
        self.anonymous = Some(Arc::new(User { account: account.into(), proxy_required, ..User::of_no_secret("") }));
    }

    /// The accounts of all users.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        let users = self.token.iter().chain(self.users.values()).chain(self.nkeys.values()).chain(&self.anonymous);
        users.map(|user| &*user.account)
    }

    /// The user of this name, or of this public nkey.
    pub fn get(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name).or_else(|| self.nkeys.get(name))
    }

    /// Who one is now who came in as `before` by another directory; `None` if one may not stay.
    pub fn renew(&self, before: &User) -> Option<Arc<User>> {
        let now = if before.name.is_empty() { self.token.as_ref() } else { self.get(&before.name) };
        now.filter(|now| now.secret == before.secret).cloned()
    }

    /// The user of this name, or of this nkey, if users were listed.
    pub fn listed(&self, name: &str) -> Option<&Arc<User>> {
        Some(&self.users).filter(|_| self.list).and_then(|users| users.get(name)).or_else(|| self.nkeys.get(name))
    }

    /// Whether it has several users, or one that was listed.
    pub fn is_list(&self) -> bool {
        self.list
    }

    /// Whether everybody may connect.
    pub fn is_open(&self) -> bool {
        self.token.is_none() && self.users.is_empty() && self.nkeys.is_empty()
    }

    /// Who comes without credentials.
    pub fn anonymous(&self) -> Option<&Arc<User>> {
        self.anonymous.as_ref()
    }

    /// From now on certificates say who somebody is at some listeners: who has no password comes by those alone.
    pub fn expect_certificates(&mut self) {
        self.certificates = true;
    }

    fn needs_certificate(&self, user: &User) -> bool {
        self.certificates && user.secret.as_ref().is_some_and(|secret| !secret.is_hashed() && secret.verify(""))
    }

    /// The user that a certificate with these names is of.
    fn certified(&self, names: &CertificateNames) -> Option<&Arc<User>> {
        let mut alternatives = names.emails.iter().chain(&names.dns).chain(&names.uris);
        let by_subject = || {
            let is_subject =
                |user: &&Arc<User>| DistinguishedName::parse(&user.name).is_some_and(|it| it == names.subject);
            self.users.values().find(is_subject)
        };
        alternatives.find_map(|name| self.users.get(name)).or_else(by_subject)
    }

    /// Whether connections need a nonce to sign.
    pub fn needs_nonce(&self) -> bool {
        !self.nkeys.is_empty()
    }

    /// Whether there are passwords that can be read in the configuration.
    pub fn has_plain_passwords(&self) -> bool {
        self.users.values().any(|user| user.secret.as_ref().is_some_and(|secret| !secret.is_hashed()))
    }

    /// Judges what a `CONNECT` says, on a connection that was given `nonce`.
    pub fn judge(
        &self,
        given: &Credentials,
        way: ConnectionType,
        nonce: &str,
        certificate: Certificate<'_>,
    ) -> Verdict {
        match self.claimed(given, nonce, certificate) {
            Some((user, _)) if !user.may_come_by(way) => self.refuse(given),
            Some((user, None)) => Verdict::Admitted(user.clone()),
            Some((user, Some((secret, text)))) if secret.is_hashed() => {
                let (user, given) = (Some(user.clone()), secret.clone());
                Verdict::Slow(SlowCheck { user, given, text: Unprinted(text.to_owned()) })
            }
            Some((user, Some((secret, text)))) if secret.verify(text) => Verdict::Admitted(user.clone()),
            _ => self.refuse(given),
        }
    }

    /// Where one password is hashed, every wrong one takes as long.
    fn refuse(&self, given: &Credentials) -> Verdict {
        match &self.decoy {
            Some(decoy) if !given.user.is_empty() => {
                let text = Unprinted(given.password.clone());
                Verdict::Slow(SlowCheck { user: None, given: decoy.clone(), text })
            }
            _ => Verdict::Refused,
        }
    }

    /// Who the credentials are said to be of, and the secret that is to be compared yet.
    fn claimed<'a>(&'a self, given: &'a Credentials, nonce: &str, certificate: Certificate<'_>) -> Option<Claim<'a>> {
        if let Some(user) = &self.token {
            return Some((user, user.secret.as_ref().map(|secret| (secret, given.token.as_str()))));
        }
        if self.needs_nonce() && !given.nkey.is_empty() {
            let user = self.nkeys.get(&given.nkey)?;
            let signed = Nkey::new(&given.nkey).is_ok_and(|nkey| nkey.verify(nonce, &given.signature));
            return signed.then_some((user, None));
        }
        let user = match certificate {
            Certificate::Decides(names) if self.list => self.certified(names?)?,
            _ if given.user.is_empty() && given.password.is_empty() && given.token.is_empty() => {
                return self.anonymous.as_ref().map(|user| (user, None));
            }
            _ => self.users.get(&given.user).filter(|user| !self.needs_certificate(user))?,
        };
        Some((user, user.secret.as_ref().map(|secret| (secret, given.password.as_str()))))
    }
}

#[cfg(test)]
mod tests;
