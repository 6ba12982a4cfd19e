//! Remembers what the subjects that a connection publishes to match.
//!
//! A subject has one slot. The first time only its hash is noted there, so that subjects which do not come again cost
//! no memory.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::account::Account;
use super::matches::Matches;

/// Slots at first, and at most.
const SLOTS: (usize, usize) = (16, 1024);

#[derive(Default)]
pub(crate) struct MatchCache {
    generation: u64,
    slots: Vec<Slot>,
    /// Slot of the last subject: many publish to the same one again and again.
    last: usize,
}

#[derive(Default)]
struct Slot {
    hash: u64,
    entry: Option<Box<Entry>>,
}

struct Entry {
    subject: Box<[u8]>,
    matches: Matches,
}

impl MatchCache {
    /// As [`find_permitted`](Self::find_permitted), of one who may publish anywhere.
    #[cfg(test)]
    pub(crate) fn find<'a>(&'a mut self, account: &Account, subject: &[u8], scratch: &'a mut Matches) -> &'a Matches {
        self.look_up(account, subject, scratch, || true)
    }

    /// What `subject` matches in `account`, always the same one for a cache. `scratch` is used if it is not cached. `None`
    /// if one may not publish to `subject`. What `may` says of it, always the same for a
    /// cache, is remembered like what it matches, and so costs a message nothing.
    pub(crate) fn find_permitted<'a>(
        &'a mut self,
        account: &Account,
        subject: &[u8],
        scratch: &'a mut Matches,
        may: impl FnOnce() -> bool,
    ) -> Option<&'a Matches> {
        Some(self.look_up(account, subject, scratch, may)).filter(|matches| !matches.refused)
    }

    fn look_up<'a>(
        &'a mut self,
        account: &Account,
        subject: &[u8],
        scratch: &'a mut Matches,
        may: impl FnOnce() -> bool,
    ) -> &'a Matches {
        // Read before matching: a change in between makes the result count as old, not as new.
        let generation = account.generation();
        if generation != self.generation || self.slots.is_empty() {
            self.forget(generation);
        }
        if self.slots[self.last].entry.as_ref().is_some_and(|entry| *entry.subject == *subject) {
            return &self.slots[self.last].entry.as_ref().expect("just seen").matches;
        }
        let hash = FixedState::default().hash_one(subject);
        let at = hash as usize & (self.slots.len() - 1);
        let slot = &self.slots[at];
        let known = slot.entry.as_ref().is_some_and(|entry| slot.hash == hash && *entry.subject == *subject);
        if known {
            self.last = at;
            return &self.slots[at].entry.as_ref().expect("just seen").matches;
        }
        if may() {
            account.matches(subject, scratch);
        } else {
            scratch.clear();
            scratch.refused = true;
        }
        let seen_before = slot.hash == hash;
        let crowded = slot.entry.is_some() && self.slots.len() < SLOTS.1;
        if seen_before {
            let entry = Entry { subject: subject.into(), matches: scratch.clone() };
            self.slots[at].entry = Some(Box::new(entry));
        } else if crowded {
            self.slots = empty(self.slots.len() * 2);
            self.last = 0;
        } else {
            self.slots[at] = Slot { hash, entry: None };
        }
        scratch
    }

    fn forget(&mut self, generation: u64) {
        self.generation = generation;
        if self.slots.is_empty() {
            self.slots = empty(SLOTS.0);
        }
        for slot in &mut self.slots {
            slot.entry = None;
        }
    }
}

fn empty(slots: usize) -> Vec<Slot> {
    std::iter::repeat_with(Slot::default).take(slots).collect()
}

#[cfg(test)]
mod tests;
