//! Which of the connections to one AS choose their path together.

use std::fmt;
use std::sync::Arc;

use natsd_path::{IsdAs, Policy, Wishes};

/// Connections to one AS that are in the same lane use the same path; each lane watches the paths and moves for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Lane 0 is that of all connections of which nothing else was said. The others keep off the paths that the lanes of
    /// other numbers use, as far as there are paths apart from each other.
    Numbered(u16),
    /// The traffic of one account, by a policy of its own.
    Account(Arc<str>),
}

impl Default for Lane {
    fn default() -> Self {
        Self::Numbered(0)
    }
}

/// Where to, and which lane: what one manager looks after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Heading {
    pub(crate) isd_as: IsdAs,
    pub(crate) lane: Lane,
}

impl Heading {
    /// What is wanted of its paths.
    pub(crate) fn policy(&self, wishes: &Wishes) -> Policy {
        match &self.lane {
            Lane::Numbered(_) => wishes.of(self.isd_as, None),
            Lane::Account(account) => wishes.of(self.isd_as, Some(account)),
        }
    }
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lane {
            Lane::Numbered(0) => self.isd_as.fmt(f),
            Lane::Numbered(lane) => write!(f, "{} in lane {lane}", self.isd_as),
            Lane::Account(account) => write!(f, "{} for account {account}", self.isd_as),
        }
    }
}
