//! What the operator wants of paths: which may be used at all, which limits they should keep, and which of them is best.

mod acl;
mod limits;
mod listener;
mod prices;
mod rule;
mod told;
mod wishes;

pub use acl::{Acl, AclError};
pub use limits::Limits;
pub use listener::{Accepted, Listener};
pub use prices::{Prices, Tariff, TariffError};
pub use rule::{Avoided, Rule};
pub use told::ToldError;
pub use wishes::{Class, Part, Wishes};

use std::fmt;
use std::sync::Arc;

use crate::{Candidate, IsdAs, Kind, Preference};

const REDUNDANT: &str = "redundancy 2";

/// What is wanted of the paths that carry some traffic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// What makes one path better than another.
    pub preference: Preference,
    /// Which may be used.
    pub rules: Rules,
    /// Whether each packet goes over two of them, so that nobody waits when one fails.
    pub redundant: bool,
    /// What they cost.
    pub prices: Arc<Prices>,
}

/// Which paths may be used. The default allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// A path that one of these excludes carries nothing, whatever happens to the others.
    pub strict: Vec<Rule>,
    /// A path that breaks a limit carries nothing as long as another one keeps more of them.
    pub limits: Limits,
    /// Whether TCP/IP may carry the traffic; if nothing is said, it may where no strict rule holds.
    pub tcp: Option<bool>,
}

/// What is said of some of the traffic, in addition to what is said of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refinement {
    /// In place of the other.
    pub preference: Option<Preference>,
    /// Strict rules come on top, limits and `tcp` take the place of the others.
    pub rules: Rules,
    /// In place of the other.
    pub redundant: Option<bool>,
}

impl From<Preference> for Policy {
    /// All paths may be used, by this preference.
    fn from(preference: Preference) -> Self {
        Self { preference, ..Self::default() }
    }
}

impl Policy {
    /// All that is said but for the preference, a line each.
    pub fn lines(&self) -> Vec<String> {
        let redundant = self.redundant.then(|| REDUNDANT.to_owned());
        self.rules.lines().into_iter().chain(redundant).collect()
    }

    /// As this one, with what `more` says.
    pub fn refined(&self, more: &Refinement) -> Self {
        let Rules { strict, limits, tcp } = &more.rules;
        Self {
            preference: more.preference.clone().unwrap_or_else(|| self.preference.clone()),
            rules: Rules {
                strict: self.rules.strict.iter().chain(strict).cloned().collect(),
                limits: limits.or(self.rules.limits),
                tcp: tcp.or(self.rules.tcp),
            },
            redundant: more.redundant.unwrap_or(self.redundant),
            prices: Arc::clone(&self.prices),
        }
    }
}

impl fmt::Display for Refinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let preference = self.preference.iter().map(|preference| format!("path_preference {preference}"));
        let redundancy = self.redundant.map(|it| if it { REDUNDANT } else { "redundancy 1" }.to_owned());
        f.write_str(&preference.chain(self.rules.lines()).chain(redundancy).collect::<Vec<_>>().join("; "))
    }
}

impl Rules {
    /// Whether there is a rule that no path may break.
    pub fn is_strict(&self) -> bool {
        !self.strict.is_empty()
    }

    /// Why the path may not be used, with the rule that says so; `None` if it may.
    pub fn exclusion(&self, path: &Candidate) -> Option<String> {
        if path.kind == Kind::Tcp {
            return match self.tcp.unwrap_or(!self.is_strict()) {
                true => None,
                false if self.tcp.is_some() => Some("tcp_fallback is off".to_owned()),
                false => Some("no rule can tell where TCP/IP leads; tcp_fallback: true allows it".to_owned()),
            };
        }
        // Within an AS there is nothing to choose.
        self.strict.iter().filter(|_| !path.interfaces.is_empty()).find_map(|rule| rule.exclusion(path))
    }

    /// Why no path to this AS can be allowed, if that is plain without looking for one.
    pub fn contradiction(&self, to: IsdAs) -> Option<String> {
        self.strict.iter().find_map(|rule| rule.contradiction(to))
    }

    /// All that is said, a line each, as in the configuration.
    pub fn lines(&self) -> Vec<String> {
        let tcp = self.tcp.map(|allowed| format!("tcp_fallback: {allowed}"));
        self.strict.iter().map(ToString::to_string).chain(self.limits.lines()).chain(tcp).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Metric;

    #[test]
    fn what_is_said_of_some_traffic_comes_on_top() {
        let avoid = |text: &str| Rule::Avoid(vec![text.parse().expect("a hop")]);
        let limits = |ms, mtu| Limits { latency: Some(Duration::from_millis(ms)), mtu, ..Limits::default() };
        let all = Policy {
            rules: Rules { strict: vec![avoid("1")], limits: limits(10, Some(1400)), tcp: Some(true) },
            ..Policy::default()
        };
        let some = all.refined(&Refinement {
            preference: Some("bandwidth".parse().expect("a preference")),
            rules: Rules { strict: vec![avoid("2")], limits: limits(90, None), tcp: Some(false) },
            redundant: Some(true),
        });
        assert_eq!(some.preference.metrics(), [Metric::Bandwidth]);
        let said = [
            "avoid \"1\"",
            "avoid \"2\"",
            "max_latency 90.0 ms",
            "min_mtu 1400 bytes",
            "tcp_fallback: false",
            "redundancy 2",
        ];
        assert_eq!(some.lines(), said);
        assert_eq!(all.refined(&Refinement::default()), all);
    }

    #[test]
    fn where_tcp_leads_no_rule_can_tell() {
        let excluded = |strict: &[Rule], tcp| {
            Rules { strict: strict.to_vec(), tcp, ..Rules::default() }.exclusion(&Candidate::tcp())
        };
        let rule = [Rule::Isds([1].into())];
        assert_eq!(excluded(&[], None), None);
        assert_eq!(excluded(&rule, Some(true)), None);
        assert!(excluded(&rule, None).is_some_and(|why| why.contains("tcp_fallback: true")));
        assert!(excluded(&[], Some(false)).is_some_and(|why| why.contains("off")));
    }
}
