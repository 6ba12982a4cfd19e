//! What each server is interested in, as a log: the server numbers the changes, and whoever has the first n of them has what
//! the server had then.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::route::wire::Interest;

/// What somebody is interested in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The account.
    pub account: Box<[u8]>,
    /// The cluster of the leaf nodes whose interest it is.
    pub leafs: Option<Box<[u8]>>,
    /// The subject, with wildcards.
    pub subject: Box<[u8]>,
    /// The queue group.
    pub queue: Option<Box<[u8]>>,
}

impl Key {
    /// That of a line, which names an account.
    pub(super) fn of(interest: &Interest<'_>) -> Self {
        Self {
            account: interest.account.unwrap_or_default().into(),
            leafs: interest.origin.map(Into::into),
            subject: interest.subject.into(),
            queue: interest.queue.map(Into::into),
        }
    }

    /// As a line tells it, with so many members.
    pub(super) fn with(&self, members: u32) -> Interest<'_> {
        Interest {
            origin: self.leafs.as_deref(),
            account: Some(&self.account),
            subject: &self.subject,
            queue: self.queue.as_deref(),
            weight: members,
        }
    }
}

/// All that one server is interested in.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Changes so far.
    pub number: u64,
    entries: BTreeMap<Arc<Key>, u32>,
}

impl Log {
    /// A log as it was after `number` changes.
    pub fn new(number: u64, entries: BTreeMap<Arc<Key>, u32>) -> Self {
        Self { number, entries }
    }

    /// Each interest and the number of its members; 1 where it is no queue group's.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&Arc<Key>, u32)> {
        self.entries.iter().map(|(key, &members)| (key, members))
    }

    /// Number of interests.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// There are so many members now, 0 for none. Returns the key, as it is kept, if that is a change. Does not count it.
    pub fn set(&mut self, key: Key, members: u32) -> Option<Arc<Key>> {
        if members == 0 {
            return self.entries.remove_entry(&key).map(|(key, _)| key);
        }
        if let Some((known, before)) = self.entries.get_key_value(&key) {
            let (known, before) = (known.clone(), *before);
            return (before != members).then(|| {
                self.entries.insert(known.clone(), members);
                known
            });
        }
        let key = Arc::new(key);
        self.entries.insert(key.clone(), members);
        Some(key)
    }

    /// What is to be done to what `self` says to have what `after` does.
    pub fn changes_to(&self, after: &Self) -> Vec<(Arc<Key>, u32)> {
        let gone = self.entries.keys().filter(|key| !after.entries.contains_key(*key));
        let gone = gone.map(|key| (key.clone(), 0));
        let new = after.entries.iter().filter(|(key, members)| self.entries.get(*key) != Some(members));
        gone.chain(new.map(|(key, &members)| (key.clone(), members))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(subject: &str) -> Key {
        Key { account: b"A"[..].into(), leafs: None, subject: subject.as_bytes().into(), queue: None }
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let mut log = Log::default();
        assert!(log.set(key("a"), 0).is_none());
        assert!(log.set(key("a"), 1).is_some() && log.set(key("a"), 1).is_none());
        assert!(log.set(key("a"), 2).is_some() && log.set(key("a"), 0).is_some());
        assert!(log.is_empty());
    }

    #[test]
    fn the_changes_between_two_logs_make_one_of_the_other() {
        let log = |entries: &[(&str, u32)]| {
            Log::new(1, entries.iter().map(|(subject, members)| (Arc::new(key(subject)), *members)).collect())
        };
        let (before, after) = (log(&[("a", 1), ("b", 2), ("c", 3)]), log(&[("b", 2), ("c", 4), ("d", 1)]));
        let mut made = before.clone();
        let changes = before.changes_to(&after);
        assert_eq!(changes.len(), 3);
        for (changed, members) in changes {
            assert!(made.set((*changed).clone(), members).is_some());
        }
        assert!(made.entries().eq(after.entries()));
    }
}
