//! What is wanted of which traffic.

use std::collections::BTreeMap;

use super::{Policy, Refinement};
use crate::{IsdAs, Preference};

/// What the operator wants of the paths of all traffic, and of some of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Of all traffic.
    pub policy: Policy,
    /// Of the traffic to an AS, or to an ISD (`2-0`), on top of that.
    pub destinations: BTreeMap<IsdAs, Refinement>,
    /// Of the traffic of an account with connections of its own, on top of both.
    pub accounts: BTreeMap<String, Refinement>,
}

impl From<Preference> for Wishes {
    /// All paths may be used, by this preference.
    fn from(preference: Preference) -> Self {
        Self { policy: preference.into(), ..Self::default() }
    }
}

impl Wishes {
    /// What holds for the traffic to this AS, of this account if it has connections of its own.
    pub fn of(&self, to: IsdAs, account: Option<&str>) -> Policy {
        let isd = self.destinations.get(&IsdAs(u64::from(to.isd()) << 48));
        let account = account.and_then(|account| self.accounts.get(account));
        let more = [isd, self.destinations.get(&to), account];
        more.into_iter().flatten().fold(self.policy.clone(), |policy, more| policy.refined(more))
    }

    /// Whether there is a rule that no packet may break.
    pub fn are_strict(&self) -> bool {
        let all = self.destinations.values().chain(self.accounts.values()).map(|more| &more.rules);
        all.chain([&self.policy.rules]).any(|rules| rules.is_strict() || rules.tcp == Some(false))
    }

    /// Why no path to this AS can be allowed, to all traffic or to that of an account, if that is plain without looking
    /// for one.
    pub fn contradiction(&self, to: IsdAs) -> Option<String> {
        let of_account = |account: &String| {
            let why = self.of(to, Some(account)).rules.contradiction(to)?;
            Some(format!("account {account:?}: {why}"))
        };
        self.of(to, None).rules.contradiction(to).or_else(|| self.accounts.keys().find_map(of_account))
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
        };
        let said = |to: &str, account| wishes.of(isd_as(to), account).rules.lines().join(" ");
        assert_eq!(said("1-ff00:0:110", None), "avoid \"4\"");
        assert_eq!(said("2-ff00:0:211", None), "avoid \"4\" avoid \"5\"");
        assert_eq!(said("2-ff00:0:210", Some("GOV")), "avoid \"4\" avoid \"5\" avoid \"6\" avoid \"7\"");
        assert_eq!(wishes.contradiction(isd_as("2-ff00:0:210")), None);
        let why = wishes.contradiction(isd_as("7-ff00:0:710")).expect("it is plain");
        assert_eq!(why, "account \"GOV\": avoid \"7\" is 7-ff00:0:710 itself");
    }
}
