//! Rules that no path may break.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::Acl;
use crate::hop::Hop;
use crate::{Candidate, Fingerprint, Interface, IsdAs, Sequence, ases};

/// A rule that every path has to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Every interface is allowed.
    Acl(Acl),
    /// The ASes and interfaces are crossed in such an order.
    Sequence(Sequence),
    /// No AS is outside of these ISDs.
    Isds(BTreeSet<u16>),
    /// Nothing of this is crossed.
    Avoid(Vec<Avoided>),
    /// It is one of these.
    Pin(Vec<Fingerprint>),
    /// The way back keeps this rule, which the other end has told.
    OfPeer(Box<Rule>),
}

/// An AS, an interface, or an ISD that is not to be crossed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Avoided {
    hop: Hop,
    text: String,
}

impl FromStr for Avoided {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let hop: Hop = text.parse()?;
        match hop.is_all() {
            true => Err("every path crosses that"),
            false => Ok(Self { hop, text: text.to_owned() }),
        }
    }
}

impl Rule {
    /// Why the path breaks this rule; `None` if it does not.
    pub(super) fn exclusion(&self, path: &Candidate) -> Option<String> {
        let interfaces = &path.interfaces;
        match self {
            Self::Acl(acl) => {
                let (entry, interface) = acl.refusal(interfaces)?;
                Some(format!("acl {entry:?} excludes {interface}"))
            }
            Self::Sequence(sequence) if sequence.matches(interfaces) => None,
            Self::Sequence(_) => Some(format!("{self} does not match")),
            Self::Isds(isds) => {
                let Interface { isd_as, .. } = interfaces.iter().find(|it| !isds.contains(&it.isd_as.isd()))?;
                Some(format!("{self} does not hold {isd_as}"))
            }
            Self::Avoid(list) => {
                let crossed =
                    |avoided: &&Avoided| ases(interfaces).any(|(isd_as, by, to)| avoided.hop.matches(isd_as, by, to));
                list.iter().find(crossed).map(|avoided| format!("avoid {:?} is crossed", avoided.text))
            }
            Self::Pin(pinned) if pinned.contains(&path.fingerprint) => None,
            Self::Pin(_) => Some(format!("{self} is another one")),
            Self::OfPeer(rule) => rule.exclusion(&path.reversed()).map(|why| format!("of the peer: {why}")),
        }
    }

    /// Whether a path keeps it if the way back does.
    pub(super) fn is_the_same_back(&self) -> bool {
        match self {
            Self::Acl(acl) => acl.is_the_same_back(),
            Self::Isds(_) => true,
            Self::Avoid(avoided) => avoided.iter().all(|avoided| avoided.hop.is_the_same_back()),
            Self::Sequence(_) | Self::Pin(_) | Self::OfPeer(_) => false,
        }
    }

    /// Its key.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Acl(_) => "acl",
            Self::Sequence(_) => "sequence",
            Self::Isds(_) => "isds",
            Self::Avoid(_) => "avoid",
            Self::Pin(_) => "pin",
            Self::OfPeer(rule) => rule.word(),
        }
    }

    /// What it says, as in a list of the configuration.
    pub(super) fn parts(&self) -> Vec<String> {
        match self {
            Self::Acl(acl) => acl.entries().map(str::to_owned).collect(),
            Self::Sequence(sequence) => vec![sequence.to_string()],
            Self::Isds(isds) => isds.iter().map(ToString::to_string).collect(),
            Self::Avoid(avoided) => avoided.iter().map(|avoided| avoided.text.clone()).collect(),
            Self::Pin(pinned) => pinned.iter().map(ToString::to_string).collect(),
            Self::OfPeer(rule) => rule.parts(),
        }
    }

    /// Why no path to this AS can keep the rule, if that is plain.
    pub(super) fn contradiction(&self, to: IsdAs) -> Option<String> {
        match self {
            Self::Acl(acl) => acl.bars(to).map(|entry| format!("acl {entry:?} excludes {to} itself")),
            Self::Isds(isds) => (!isds.contains(&to.isd())).then(|| format!("{self} does not hold {to} itself")),
            Self::Avoid(list) => {
                let avoided = list.iter().find(|avoided| avoided.hop.is_all_of(to))?;
                Some(format!("avoid {:?} is {to} itself", avoided.text))
            }
            Self::Sequence(_) | Self::Pin(_) | Self::OfPeer(_) => None,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acl(acl) => write!(f, "acl {acl}"),
            Self::Sequence(sequence) => write!(f, "sequence \"{sequence}\""),
            Self::Isds(isds) => write!(f, "isds {}", list(isds)),
            Self::Avoid(avoided) => {
                write!(f, "avoid {}", list(avoided.iter().map(|avoided| format!("{:?}", avoided.text))))
            }
            Self::Pin(pinned) => write!(f, "pin {}", list(pinned)),
            Self::OfPeer(rule) => write!(f, "of the peer: {rule}"),
        }
    }
}

fn list(items: impl IntoIterator<Item: ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    /// From 1-ff00:0:111 by 1-ff00:0:110 to 2-ff00:0:210.
    fn path() -> Candidate {
        let crossed = ["1-ff00:0:111#1", "1-ff00:0:110#2", "1-ff00:0:110#3", "2-ff00:0:210#4"];
        let interfaces: Vec<Interface> = crossed.iter().map(|text| text.parse().expect("an interface")).collect();
        Candidate { fingerprint: Fingerprint::of(&interfaces), kind: Kind::Scion, interfaces, ..Candidate::tcp() }
    }

    fn rules() -> Vec<(Rule, Rule)> {
        let acl = |entries: &[&str]| Rule::Acl(Acl::new(entries).expect("an ACL"));
        let sequence = |text: &str| Rule::Sequence(text.parse().expect("a sequence"));
        let avoid = |text: &str| Rule::Avoid(vec![text.parse().expect("a hop")]);
        vec![
            (acl(&["- 1-ff00:0:120", "+"]), acl(&["- 1-ff00:0:110", "+"])),
            (sequence("1-ff00:0:111 0* 2"), sequence("1-ff00:0:111 2")),
            (Rule::Isds([1, 2].into()), Rule::Isds([1].into())),
            (avoid("1-ff00:0:110#1"), avoid("1-ff00:0:110#2,3")),
            (Rule::Pin(vec![path().fingerprint]), Rule::Pin(vec![Fingerprint::TCP])),
        ]
    }

    #[test]
    fn every_rule_allows_what_keeps_it_and_says_why_it_excludes_the_rest() {
        let mut lines = Vec::new();
        for (kept, broken) in rules() {
            assert_eq!(kept.exclusion(&path()), None, "{kept}");
            lines.push(format!("{broken}: {}", broken.exclusion(&path()).expect("it is broken")));
        }
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_destination_that_a_rule_excludes_itself_is_a_contradiction() {
        let to = "2-ff00:0:210".parse().expect("an AS");
        let plain = [
            Rule::Acl(Acl::new(&["- 2", "+"]).expect("an ACL")),
            Rule::Isds([1].into()),
            Rule::Avoid(vec!["2-ff00:0:210".parse().expect("a hop")]),
        ];
        let lines: Vec<_> = plain.iter().map(|rule| rule.contradiction(to).expect("it is plain")).collect();
        insta::assert_snapshot!(lines.join("\n"));
        assert!(rules().iter().all(|(kept, _)| kept.contradiction(to).is_none()));
    }

    #[test]
    fn nobody_can_avoid_everything() {
        assert!("0".parse::<Avoided>().is_err_and(|why| why.contains("every path")));
        assert!("1-".parse::<Avoided>().is_err());
    }
}
