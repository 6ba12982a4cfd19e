//! Accounts in a directory, `KEY.jwt` each, as nats-server keeps them: all of them, the same on every server, or those
//! that were asked for. What is on disk is there whole or not at all, whenever the machine stops.
//!
//! Nothing here knows what time it is or whom to believe: that is for who calls. Everything waits for the disk.

mod deletion;
mod files;
mod index;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use natsd_auth::jwt::{Generic, KeyKind, TokenError};

pub use deletion::{DeletionError, deletions};

use crate::config::options::{Delete, Resolver};
use files::Files;
use index::Index;

/// How a directory is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Files are in directories named by the last two characters of their keys.
    pub sharded: bool,
    /// Accounts that fit; `None` for any number.
    pub limit: Option<usize>,
    /// Whether those go that were used least lately, rather than that no more are taken.
    pub evict: bool,
    /// How long one stays that is not used; `None` until it expires.
    pub ttl: Option<Duration>,
    /// What becomes of an account that is deleted.
    pub delete: Delete,
}

impl Policy {
    /// The directory of a resolver, and how it is kept; `None` if it has none.
    pub fn of(resolver: &Resolver) -> Option<(&Path, Self)> {
        match resolver {
            Resolver::Memory | Resolver::Url(_) => None,
            Resolver::Full { directory, limit, delete, .. } => {
                Some((directory, Self { sharded: false, limit: *limit, evict: false, ttl: None, delete: *delete }))
            }
            Resolver::Cache { directory, limit, ttl, .. } => {
                let limit = Some(*limit);
                Some((directory, Self { sharded: false, limit, evict: true, ttl: *ttl, delete: Delete::Remove }))
            }
        }
    }
}

/// The directory.
#[derive(Debug)]
pub struct Store {
    files: Files,
    index: Index,
    policy: Policy,
}

/// Why an account is not stored, or not found.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not the public key of an account.
    #[error("{0:?} is not the public key of an account")]
    Key(String),
    /// Not a token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The token of another account.
    #[error("jwt subject nkey and provided nkey do not match")]
    OtherSubject,
    /// No room for another account.
    #[error("jwt store is full")]
    Full,
    /// Nothing is ever deleted.
    #[error("store is not set up to for delete")]
    NoDelete,
    /// What another server sent is no account.
    #[error("line in package didn't contain 2 entries: {0:?}")]
    Line(String),
    /// The disk does not take or give it.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: io::Error,
    },
}

impl Store {
    /// Opens a directory, or makes it, and reads which accounts it has. Files that are not named as those of an account
    /// are left alone.
    ///
    /// # Errors
    ///
    /// If it cannot be read or made.
    pub fn open(directory: impl Into<PathBuf>, policy: Policy, now: SystemTime) -> Result<Self, StoreError> {
        let files = Files::open(directory.into(), policy.sharded)?;
        let mut store = Self { files, index: Index::default(), policy };
        store.read_all(now)?;
        Ok(store)
    }

    fn read_all(&mut self, now: SystemTime) -> Result<(), StoreError> {
        for key in self.files.keys()? {
            // What went meanwhile, or is too large for a token, is not there.
            if let Some(token) = self.files.read(&key)? {
                self.track(&key, &token, now);
            }
        }
        Ok(())
    }

    fn track(&mut self, key: &str, token: &str, now: SystemTime) {
        let until = match self.policy.ttl {
            Some(ttl) => now.checked_add(ttl),
            None => expiry(token),
        };
        self.index.track(key, token, until);
    }

    /// Reads the directory again, which somebody may have changed. Tells the accounts that are new or others than before.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn reload(&mut self, now: SystemTime) -> Result<Vec<String>, StoreError> {
        let before = std::mem::take(&mut self.index);
        if let Err(error) = self.read_all(now) {
            self.index = before;
            return Err(error);
        }
        Ok(self.index.keys().filter(|key| before.digest(key) != self.index.digest(key)).map(str::to_owned).collect())
    }

    /// The token of an account, if there is one.
    ///
    /// # Errors
    ///
    /// If `key` is not that of an account, or the disk does not give it.
    pub fn load(&mut self, key: &str, now: SystemTime) -> Result<Option<String>, StoreError> {
        check_key(key)?;
        let token = self.files.read(key)?;
        if token.is_some() {
            self.index.use_again(key, self.policy.ttl.and_then(|ttl| now.checked_add(ttl)));
        }
        Ok(token)
    }

    /// Stores a token, which has been checked; whether that changed anything.
    ///
    /// # Errors
    ///
    /// If there is no room, or the disk does not take it.
    pub fn save(&mut self, key: &str, token: &str, now: SystemTime) -> Result<bool, StoreError> {
        check_key(key)?;
        if self.index.is(key, token) {
            self.index.use_again(key, self.policy.ttl.and_then(|ttl| now.checked_add(ttl)));
            return Ok(false);
        }
        self.make_room(key)?;
        self.files.write(key, token)?;
        self.track(key, token, now);
        Ok(true)
    }

    fn make_room(&mut self, key: &str) -> Result<(), StoreError> {
        while self.index.digest(key).is_none() && self.policy.limit.is_some_and(|limit| self.index.len() >= limit) {
            let oldest = self.index.least_used().filter(|_| self.policy.evict).map(str::to_owned);
            let oldest = oldest.ok_or(StoreError::Full)?;
            self.files.remove(&oldest)?;
            self.index.forget(&oldest);
        }
        Ok(())
    }

    /// Stores a token if there is none that is as new; whether that changed anything. It is read, and its signature
    /// checked, but not whether the issuer is to be believed.
    ///
    /// # Errors
    ///
    /// If it is no token, or not that of this account; as [`save`](Self::save).
    pub fn save_if_newer(&mut self, key: &str, token: &str, now: SystemTime) -> Result<bool, StoreError> {
        check_key(key)?;
        let new = Generic::decode(token)?.registered;
        if new.subject != key {
            return Err(StoreError::OtherSubject);
        }
        let existing = self.files.read(key)?.and_then(|existing| Generic::decode(&existing).ok());
        match existing.map(|existing| existing.registered) {
            Some(old) if old.id == new.id || old.issued_at > new.issued_at => Ok(false),
            _ => self.save(key, token, now),
        }
    }

    /// Deletes an account; whether there was one.
    ///
    /// # Errors
    ///
    /// If that is not allowed, or the disk does not do it.
    pub fn delete(&mut self, key: &str) -> Result<bool, StoreError> {
        check_key(key)?;
        let was_there = match self.policy.delete {
            Delete::Never => return Err(StoreError::NoDelete),
            Delete::Rename => self.files.set_aside(key)?,
            Delete::Remove => self.files.remove(key)?,
        };
        self.index.forget(key);
        Ok(was_there)
    }

    /// Removes what has expired, or was not used for so long; tells what.
    ///
    /// # Errors
    ///
    /// If the disk does not do it; what is left is tried again by the next call.
    pub fn expire(&mut self, now: SystemTime) -> Result<Vec<String>, StoreError> {
        let mut gone = Vec::new();
        while let Some(key) = self.index.first_expired(now).map(str::to_owned) {
            self.files.remove(&key)?;
            self.index.forget(&key);
            gone.push(key);
        }
        Ok(gone)
    }

    /// When [`expire`](Self::expire) has something to do next.
    pub fn next_expiry(&self) -> Option<SystemTime> {
        self.index.next_expiry()
    }

    /// The SHA-256 of all tokens, combined by exclusive or: two directories with the same have the same accounts.
    pub fn hash(&self) -> [u8; 32] {
        self.index.hash()
    }

    /// The keys of all accounts.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.index.keys()
    }

    /// What another server is sent that asks for accounts and has `their_hash`: a line an account that has not expired,
    /// `KEY|TOKEN`, each a message of its own, and an empty one behind them. Nothing if it has the same accounts.
    ///
    /// # Errors
    ///
    /// Each line, if the disk does not give it.
    pub fn pack(&self, their_hash: &[u8], now: SystemTime) -> impl Iterator<Item = Result<String, StoreError>> {
        let same = their_hash == self.hash();
        self.keys().filter(move |_| !same).filter_map(move |key| match self.files.read(key) {
            Ok(Some(token)) if !token.is_empty() && expiry(&token).is_none_or(|until| until > now) => {
                Some(Ok(format!("{key}|{token}")))
            }
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Stores the lines that another server sent; tells which accounts changed. Those before a line that is wrong are
    /// stored.
    ///
    /// # Errors
    ///
    /// If a line is wrong, as [`save_if_newer`](Self::save_if_newer).
    pub fn merge(&mut self, pack: &str, now: SystemTime) -> Result<Vec<String>, StoreError> {
        let mut changed = Vec::new();
        for line in pack.split('\n').filter(|line| !line.is_empty()) {
            let mut parts = line.split('|');
            let (Some(key), Some(token), None) = (parts.next(), parts.next(), parts.next()) else {
                return Err(StoreError::Line(line.chars().take(80).collect()));
            };
            if self.save_if_newer(key, token, now)? {
                changed.push(key.to_owned());
            }
        }
        Ok(changed)
    }
}

fn check_key(key: &str) -> Result<(), StoreError> {
    if KeyKind::Account.is(key) { Ok(()) } else { Err(StoreError::Key(key.chars().take(80).collect())) }
}

/// When a token expires; `None` if never, or it is none.
fn expiry(token: &str) -> Option<SystemTime> {
    let expires = Generic::decode(token).ok()?.registered.expires;
    let seconds = u64::try_from(expires).ok().filter(|seconds| *seconds > 0)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}
