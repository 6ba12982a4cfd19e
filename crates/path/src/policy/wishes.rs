//! What is wanted of which traffic.

use std::collections::BTreeMap;

use super::{Accepted, Listener, Policy, Refinement};
use crate::{IsdAs, Preference};

/// A part of the traffic between two hosts that may choose its paths for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// What is no other part.
    Rest,
    /// That of an account with connections of its own.
    Account(&'a str),
    /// Messages to subjects that this pattern matches, where they have connections of their own.
    Subjects(&'a str),
}

/// What the operator wants of the paths of all traffic, and of some of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Of all traffic.
    pub policy: Policy,
    /// Of the traffic to an AS, or to an ISD (`2-0`), on top of that.
    pub destinations: BTreeMap<IsdAs, Refinement>,
    /// Of the traffic of an account with connections of its own, on top of both.
    pub accounts: BTreeMap<String, Refinement>,
    /// Of messages to the subjects that a pattern matches, on top of what holds for all and for the destination.
    pub subjects: BTreeMap<String, Class>,
    /// Of connections that were accepted, by the listener that did; on top of what holds for all and for the destination, and
    /// below what holds for an account or for subjects.
    pub listeners: BTreeMap<Listener, Accepted>,
}

/// What is wanted of messages to some subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Of their paths.
    pub wanted: Refinement,
    /// Over how many connections they are shared out by publisher, each on a path apart from the others'; from 1.
    pub spread: u16,
}

impl From<Refinement> for Class {
    /// They share one connection.
    fn from(wanted: Refinement) -> Self {
        Self { wanted, spread: 1 }
    }
}

impl From<Preference> for Wishes {
    /// All paths may be used, by this preference.
    fn from(preference: Preference) -> Self {
        Self { policy: preference.into(), ..Self::default() }
    }
}

impl Wishes {
    /// What holds for this part of the traffic to this AS.
    pub fn of(&self, to: IsdAs, part: Part<'_>) -> Policy {
        self.of_accepted(None, to, part)
    }

    /// As [`of`](Self::of), for connections that a listener has accepted.
    pub fn of_accepted(&self, at: Option<Listener>, to: IsdAs, part: Part<'_>) -> Policy {
        let at = at.and_then(|at| self.listeners.get(&at)).map(|accepted| &accepted.wanted);
        let isd = self.destinations.get(&IsdAs(u64::from(to.isd()) << 48));
        let part = match part {
            Part::Rest => None,
            Part::Account(name) => self.accounts.get(name),
            Part::Subjects(pattern) => self.subjects.get(pattern).map(|class| &class.wanted),
        };
        let more = [isd, self.destinations.get(&to), at, part];
        more.into_iter().flatten().fold(self.policy.clone(), |policy, more| policy.refined(more))
    }

    /// Whether there is a rule that no packet may break.
    pub fn are_strict(&self) -> bool {
        let parts = self.accounts.values().chain(self.subjects.values().map(|class| &class.wanted));
        let parts = parts.chain(self.listeners.values().map(|accepted| &accepted.wanted));
        let all = self.destinations.values().chain(parts).map(|more| &more.rules);
        let doors = self.listeners.values().any(|accepted| accepted.strict);
        doors || all.chain([&self.policy.rules]).any(|rules| rules.is_strict() || rules.tcp == Some(false))
    }

    /// Why no path to this AS can be allowed, to all traffic or to a part of it, if that is plain without looking for one.
    pub fn contradiction(&self, to: IsdAs) -> Option<String> {
        let why = |part: Part<'_>| self.of(to, part).rules.contradiction(to);
        let of_account = |name: &String| Some(format!("account {name:?}: {}", why(Part::Account(name))?));
        let of_subjects = |pattern: &String| Some(format!("paths {pattern:?}: {}", why(Part::Subjects(pattern))?));
        why(Part::Rest)
            .or_else(|| self.accounts.keys().find_map(of_account))
            .or_else(|| self.subjects.keys().find_map(of_subjects))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rule, Rules};

    #[test]
    fn an_isd_an_as_and_an_account_refine_what_holds_for_all() {
        let avoid = |text: &str| Refinement {
            rules: Rules { strict: vec![Rule::Avoid(vec![text.parse().expect("a hop")])], ..Rules::default() },
            ..Refinement::default()
        };
        let isd_as = |text: &str| text.parse::<IsdAs>().expect("an AS");
        let wishes = Wishes {
            policy: Policy::default().refined(&avoid("4")),
            destinations: [(isd_as("2-0"), avoid("5")), (isd_as("2-ff00:0:210"), avoid("6"))].into(),
            accounts: [("GOV".to_owned(), avoid("7"))].into(),
            subjects: [("gov.>".to_owned(), avoid("8").into())].into(),
            listeners: [(Listener::Leafnodes, Accepted { wanted: avoid("9"), strict: false })].into(),
        };
        let said = |to: &str, part| wishes.of(isd_as(to), part).rules.lines().join(" ");
        assert_eq!(said("1-ff00:0:110", Part::Rest), "avoid \"4\"");
        assert_eq!(said("1-ff00:0:110", Part::Subjects("gov.>")), "avoid \"4\" avoid \"8\"");
        assert_eq!(said("2-ff00:0:211", Part::Account("OTHER")), "avoid \"4\" avoid \"5\"");
        assert_eq!(said("2-ff00:0:210", Part::Account("GOV")), "avoid \"4\" avoid \"5\" avoid \"6\" avoid \"7\"");
        let accepted = |at, part| wishes.of_accepted(Some(at), isd_as("1-ff00:0:110"), part).rules.lines().join(" ");
        assert_eq!(accepted(Listener::Leafnodes, Part::Rest), "avoid \"4\" avoid \"9\"");
        assert_eq!(accepted(Listener::Leafnodes, Part::Account("GOV")), "avoid \"4\" avoid \"9\" avoid \"7\"");
        assert_eq!(accepted(Listener::Gateway, Part::Rest), "avoid \"4\"");
        assert_eq!(wishes.contradiction(isd_as("2-ff00:0:210")), None);
        let why = wishes.contradiction(isd_as("7-ff00:0:710")).expect("it is plain");
        assert_eq!(why, "account \"GOV\": avoid \"7\" is 7-ff00:0:710 itself");
        let why = wishes.contradiction(isd_as("8-ff00:0:810")).expect("it is plain");
        assert_eq!(why, "paths \"gov.>\": avoid \"8\" is 8-ff00:0:810 itself");
    }
}
