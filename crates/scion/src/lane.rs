//! Which of the connections to one AS choose their path together.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use natsd_path::{IsdAs, Listener, Part, Policy, Wishes};

use crate::template::NO_AS;

/// Connections to one AS that are in the same lane use the same path; each lane watches the paths and moves for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Lane 0 is that of all connections of which nothing else was said. The others keep off the paths that the lanes of
    /// other numbers use, as far as there are paths apart from each other.
    Numbered(u16),
    /// The traffic of one account, by a policy of its own.
    Account(Arc<str>),
    /// Messages to the subjects that a pattern matches, by a policy of their own. Where several lanes share them out, they
    /// keep apart as those that are numbered do.
    Subjects(Arc<str>, u16),
}

impl Lane {
    /// The class of traffic that this lane shares with others, from which it keeps apart, and its number among them.
    fn numbered(&self) -> Option<(Arc<str>, u16)> {
        match self {
            Self::Numbered(number) => Some(("".into(), *number)),
            Self::Account(_) => None,
            Self::Subjects(pattern, number) => Some((pattern.clone(), *number)),
        }
    }
}

impl Default for Lane {
    fn default() -> Self {
        Self::Numbered(0)
    }
}

/// What holds for some connections besides what their lane says.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    /// They were accepted where the operator wants something of the paths.
    pub at: Option<Listener>,
    /// What the peer has told of its rules for paths, as it is told.
    pub told: Option<Arc<str>>,
    /// The way by which the peer comes keeps the rules, too.
    pub strict: bool,
}

/// What paths lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// All hosts of an AS.
    As(IsdAs),
    /// One host, over plain IP; known by the first of its addresses.
    Host(SocketAddr),
}

impl Place {
    /// The AS; 0-0 if there is none.
    pub fn isd_as(self) -> IsdAs {
        match self {
            Self::As(isd_as) => isd_as,
            Self::Host(_) => NO_AS,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::As(isd_as) => isd_as.fmt(f),
            Self::Host(host) => host.fmt(f),
        }
    }
}

/// Where to, and which lane: what one manager looks after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Heading {
    pub(crate) place: Place,
    pub(crate) lane: Lane,
    pub(crate) terms: Terms,
}

impl Heading {
    /// What is wanted of its paths.
    pub(crate) fn policy(&self, wishes: &Wishes) -> Policy {
        let part = match &self.lane {
            Lane::Numbered(_) => Part::Rest,
            Lane::Account(account) => Part::Account(account),
            Lane::Subjects(pattern, _) => Part::Subjects(pattern),
        };
        wishes.of_accepted(self.terms.at, self.place.isd_as(), part)
    }

    /// The class of traffic that keeps apart from each other on different paths, and the number among those.
    pub(crate) fn numbered(&self) -> Option<(Arc<str>, u16)> {
        let (class, number) = self.lane.numbered()?;
        // No subject has a blank in it.
        let told = self.terms.told.as_deref().unwrap_or_default();
        match self.terms.at {
            None if told.is_empty() => Some((class, number)),
            at => Some((format!("{at:?} {told} {class}").into(), number)),
        }
    }
}

impl fmt::Display for Heading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.lane {
            Lane::Numbered(0) => self.place.fmt(f),
            Lane::Numbered(lane) => write!(f, "{} in lane {lane}", self.place),
            Lane::Account(account) => write!(f, "{} for account {account}", self.place),
            Lane::Subjects(pattern, 0) => write!(f, "{} for subjects {pattern}", self.place),
            Lane::Subjects(pattern, lane) => write!(f, "{} for subjects {pattern} in lane {lane}", self.place),
        }?;
        if let Some(at) = self.terms.at {
            write!(f, ", accepted at {at}")?;
        }
        if self.terms.told.is_some() {
            f.write_str(", with rules of the peer")?;
        }
        Ok(())
    }
}
