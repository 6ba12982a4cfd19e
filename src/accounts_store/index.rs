//! Which accounts there are, without their tokens.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

#[derive(Debug)]
struct Entry {
    digest: [u8; 32],
    used: u64,
    until: Option<SystemTime>,
}

/// What is known of the files.
#[derive(Debug, Default)]
pub(super) struct Index {
    entries: HashMap<String, Entry>,
    by_use: BTreeSet<(u64, String)>,
    by_expiry: BTreeSet<(SystemTime, String)>,
    hash: [u8; 32],
    uses: u64,
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        self.hash
    }

    pub(super) fn digest(&self, key: &str) -> Option<[u8; 32]> {
        self.entries.get(key).map(|entry| entry.digest)
    }

    pub(super) fn is(&self, key: &str, token: &str) -> bool {
        self.digest(key) == Some(digest(token))
    }

    pub(super) fn track(&mut self, key: &str, token: &str, until: Option<SystemTime>) {
        self.forget(key);
        self.insert(key, Entry { digest: digest(token), used: self.uses, until });
    }

    /// It was used now, and stays until `until` if that is given.
    pub(super) fn use_again(&mut self, key: &str, until: Option<SystemTime>) {
        if let Some(entry) = self.take(key) {
            self.insert(key, Entry { until: until.or(entry.until), ..entry });
        }
    }

    fn insert(&mut self, key: &str, entry: Entry) {
        self.uses += 1;
        let entry = Entry { used: self.uses, ..entry };
        self.combine(&entry.digest);
        self.by_use.insert((entry.used, key.to_owned()));
        if let Some(until) = entry.until {
            self.by_expiry.insert((until, key.to_owned()));
        }
        self.entries.insert(key.to_owned(), entry);
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.take(key);
    }

    fn take(&mut self, key: &str) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.combine(&entry.digest);
        self.by_use.remove(&(entry.used, key.to_owned()));
        if let Some(until) = entry.until {
            self.by_expiry.remove(&(until, key.to_owned()));
        }
        Some(entry)
    }

    /// Once puts a digest into the hash, twice takes it out.
    fn combine(&mut self, digest: &[u8; 32]) {
        for (byte, other) in self.hash.iter_mut().zip(digest) {
            *byte ^= other;
        }
    }

    pub(super) fn least_used(&self) -> Option<&str> {
        self.by_use.first().map(|(_, key)| key.as_str())
    }

    pub(super) fn next_expiry(&self) -> Option<SystemTime> {
        self.by_expiry.first().map(|(until, _)| *until)
    }

    pub(super) fn first_expired(&self, now: SystemTime) -> Option<&str> {
        self.by_expiry.first().filter(|(until, _)| *until <= now).map(|(_, key)| key.as_str())
    }
}
