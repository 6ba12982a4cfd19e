//! What another cluster wants, as far as that is not in the list of what it wants: with optimistic servers, what it does not.

use std::collections::{HashMap, HashSet};

use crate::subject;

/// Accounts, and subjects of an account, that are remembered of one connection; beyond, they are sent messages for nothing.
pub const MAX_REMEMBERED: usize = 64 * 1024;

/// In which way a cluster tells what it wants in an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It gets all that it has not said to be of no interest, and what its queue groups want.
    Optimistic,
    /// It is about to tell all that it wants.
    Transitioning,
    /// It has told all that it wants.
    InterestOnly,
}

impl std::fmt::Display for Mode {
    /// As monitoring says it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Optimistic => "Optimistic",
            Self::Transitioning => "Transitioning",
            Self::InterestOnly => "Interest-Only",
        })
    }
}

#[derive(Debug)]
struct Account {
    mode: Mode,
    /// Nobody there knows it.
    unknown: bool,
    /// What is of no interest; `None` once all that is has been told.
    unwanted: Option<HashSet<Box<[u8]>>>,
    queues: usize,
}

impl Account {
    fn optimistic() -> Self {
        Self { mode: Mode::Optimistic, unknown: false, unwanted: Some(HashSet::new()), queues: 0 }
    }
}

/// What an outbound connection knows of the accounts at the other end.
#[derive(Debug)]
pub struct Accounts {
    /// The other end tells all that it wants, in every account.
    interest_only: bool,
    known: HashMap<Box<[u8]>, Account>,
}

impl Accounts {
    /// `interest_only` if the other end says that it is never optimistic.
    pub fn new(interest_only: bool) -> Self {
        Self { interest_only, known: HashMap::new() }
    }

    /// `RS+`. Whether that goes to the list of what is wanted.
    pub fn subscribe(&mut self, account: &[u8], subject: &[u8], queue: bool) -> bool {
        let interest_only = self.interest_only;
        let Some(account) = self.account(account) else { return interest_only };
        account.unknown = false;
        if queue {
            account.queues += 1;
            return true;
        }
        if interest_only || account.mode != Mode::Optimistic {
            return true;
        }
        if let Some(unwanted) = &mut account.unwanted {
            if subject::has_wildcard(subject) {
                unwanted.retain(|known| !subject::matches(subject, known));
            } else {
                unwanted.remove(subject);
            }
        }
        false
    }

    /// `RS-` of what is not in the list of what is wanted, or of what was removed from it.
    pub fn unsubscribe(&mut self, account: &[u8], subject: &[u8], queue: bool) {
        let interest_only = self.interest_only;
        let Some(account) = self.account(account) else { return };
        if queue {
            account.queues = account.queues.saturating_sub(1);
        } else if account.mode == Mode::Optimistic
            && !interest_only
            && let Some(unwanted) = &mut account.unwanted
            && unwanted.len() < MAX_REMEMBERED
        {
            unwanted.insert(subject.into());
        }
    }

    /// `A-`.
    pub fn forget(&mut self, account: &[u8]) {
        let Some(account) = self.account(account) else { return };
        account.unknown = account.queues == 0;
        if account.mode == Mode::Optimistic {
            account.unwanted = Some(HashSet::new());
        }
    }

    /// `A+`.
    pub fn welcome(&mut self, account: &[u8]) {
        if let Some(account) = self.known.get_mut(account) {
            account.unknown = false;
        }
    }

    /// All interest in `account` is told from now on.
    pub fn begin(&mut self, account: &[u8]) {
        let is_new = !self.known.contains_key(account);
        let Some(account) = self.account(account) else { return };
        account.mode = Mode::Transitioning;
        account.unknown = false;
        if is_new {
            account.unwanted = None;
        }
    }

    /// All interest in `account` has been told.
    pub fn complete(&mut self, account: &[u8]) {
        if let Some(account) = self.known.get_mut(account) {
            account.mode = Mode::InterestOnly;
            account.unwanted = None;
        }
    }

    /// Whether a message to `subject` is to be sent though it is not in the list of what is wanted.
    pub fn may_want(&self, account: &[u8], subject: &[u8]) -> bool {
        if self.interest_only {
            return false;
        }
        match self.known.get(account) {
            None => true,
            Some(account) if account.unknown => false,
            Some(account) => account.unwanted.as_ref().is_some_and(|unwanted| !unwanted.contains(subject)),
        }
    }

    /// Whether there may be anything that [`may_want`](Self::may_want) says yes to.
    pub fn is_optimistic(&self) -> bool {
        !self.interest_only
    }

    /// Each account that something was said of: its mode, and how many subjects are of no interest there.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Mode, usize)> {
        self.known.iter().map(|(name, account)| {
            let unwanted = account.unwanted.as_ref().map_or(0, HashSet::len);
            (&**name, account.mode, unwanted)
        })
    }

    fn account(&mut self, name: &[u8]) -> Option<&mut Account> {
        if self.known.len() >= MAX_REMEMBERED && !self.known.contains_key(name) {
            return None;
        }
        Some(self.known.entry(name.into()).or_insert_with(Account::optimistic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_optimistic_cluster_gets_all_but_what_it_does_not_want() {
        let mut accounts = Accounts::new(false);
        assert!(accounts.may_want(b"A", b"foo.bar"));
        accounts.unsubscribe(b"A", b"foo.bar", false);
        accounts.unsubscribe(b"A", b"foo.baz", false);
        accounts.unsubscribe(b"A", b"bar", false);
        assert!(!accounts.may_want(b"A", b"foo.bar") && accounts.may_want(b"A", b"foo"));
        assert!(accounts.may_want(b"B", b"foo.bar"));
        assert!(!accounts.subscribe(b"A", b"foo.*", false), "it is only of interest again");
        assert!(accounts.may_want(b"A", b"foo.bar") && accounts.may_want(b"A", b"foo.baz"));
        assert!(!accounts.may_want(b"A", b"bar"));
        assert!(!accounts.subscribe(b"A", b"bar", false));
        assert!(accounts.may_want(b"A", b"bar"));
    }

    #[test]
    fn groups_are_listed_in_every_mode_and_outlive_a_missing_account() {
        let mut accounts = Accounts::new(false);
        assert!(accounts.subscribe(b"A", b"foo", true));
        accounts.unsubscribe(b"A", b"bar", false);
        accounts.forget(b"A");
        assert!(accounts.may_want(b"A", b"bar"), "what was of no interest is forgotten");
        accounts.unsubscribe(b"A", b"foo", true);
        accounts.forget(b"A");
        assert!(!accounts.may_want(b"A", b"bar"));
        accounts.welcome(b"A");
        assert!(accounts.may_want(b"A", b"bar"));
    }

    #[test]
    fn once_all_is_told_nothing_else_is_wanted() {
        let mut accounts = Accounts::new(false);
        accounts.unsubscribe(b"A", b"bar", false);
        accounts.begin(b"A");
        assert!(accounts.subscribe(b"A", b"foo", false));
        assert!(accounts.may_want(b"A", b"x") && !accounts.may_want(b"A", b"bar"));
        accounts.complete(b"A");
        assert!(!accounts.may_want(b"A", b"x") && !accounts.may_want(b"A", b"foo"));
        let all: Vec<_> = accounts.iter().collect();
        assert_eq!(all, [(&b"A"[..], Mode::InterestOnly, 0)]);
        accounts.begin(b"B");
        assert!(!accounts.may_want(b"B", b"x"), "nothing was sent there before");
    }

    #[test]
    fn who_is_never_optimistic_gets_what_is_listed_alone() {
        let mut accounts = Accounts::new(true);
        assert!(!accounts.may_want(b"A", b"x") && !accounts.is_optimistic());
        assert!(accounts.subscribe(b"A", b"x", false));
        accounts.unsubscribe(b"A", b"x", false);
        assert!(!accounts.may_want(b"A", b"x"));
    }

    #[test]
    fn memory_is_bounded() {
        let mut accounts = Accounts::new(false);
        for n in 0..MAX_REMEMBERED + 10 {
            accounts.unsubscribe(b"A", n.to_string().as_bytes(), false);
            accounts.forget(n.to_string().as_bytes());
        }
        assert_eq!(accounts.iter().count(), MAX_REMEMBERED);
        assert!(accounts.iter().all(|(_, _, unwanted)| unwanted <= MAX_REMEMBERED));
        assert!(accounts.may_want(format!("{}", MAX_REMEMBERED + 5).as_bytes(), b"x"));
    }
}
