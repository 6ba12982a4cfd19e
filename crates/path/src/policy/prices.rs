//! What crossing networks costs, in money or carbon: tables of the operator, as no AS announces either.

use std::fmt::Write as _;

use crate::hop::Hop;
use crate::{Candidate, Interface, IsdAs, Metric, ases};

/// The most entries of a table.
const LONGEST: usize = 1024;
/// Entries that an explanation names.
const NAMED: usize = 4;

/// The tables of the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// `costs`.
    pub cost: Tariff,
    /// `carbon`.
    pub carbon: Tariff,
}

/// What ISDs, ASes and interfaces cost, in a unit that is the operator's own. A path costs what all interfaces that it crosses
/// cost, and for each AS on it, the first and the last as well, what the AS costs, or else its ISD, or else `0-0`. What no entry
/// means costs nothing; if there are no entries the cost of a path is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tariff(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    hop: Hop,
    text: String,
    cost: u64,
}

/// Why a table is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TariffError {
    /// An entry names no hop.
    #[error("{hop:?}: {what}")]
    Hop {
        /// What stands there.
        hop: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Two entries mean the same.
    #[error("{0:?} means the same as {1:?}; remove one of them")]
    Twice(String, String),
    /// There are too many.
    #[error("there are {0} entries; at most {LONGEST} can be")]
    TooLong(usize),
}

impl Prices {
    /// The table that tells of `metric`, if one does.
    pub fn of(&self, metric: Metric) -> Option<&Tariff> {
        match metric {
            Metric::Cost => Some(&self.cost),
            Metric::Carbon => Some(&self.carbon),
            Metric::Latency | Metric::Bandwidth | Metric::Hops | Metric::Mtu => None,
        }
    }

    /// Tells a path what it costs.
    pub(crate) fn price(&self, path: &mut Candidate) {
        (path.cost, path.carbon) = (self.cost.total(path), self.carbon.total(path));
    }
}

impl Tariff {
    /// What one entry may cost at most.
    pub const MOST: u64 = 1_000_000_000;

    /// From hops, each with what it costs.
    ///
    /// # Errors
    ///
    /// When one is no ISD, AS or interface, or two are the same.
    pub fn new<T: AsRef<str>>(entries: &[(T, u64)]) -> Result<Self, TariffError> {
        if entries.len() > LONGEST {
            return Err(TariffError::TooLong(entries.len()));
        }
        let mut all: Vec<Entry> = Vec::with_capacity(entries.len());
        for (text, cost) in entries {
            let text = text.as_ref();
            let bad = |what| TariffError::Hop { hop: text.chars().take(64).collect(), what };
            let hop: Hop = text.parse().map_err(bad)?;
            if !hop.is_the_same_back() {
                return Err(bad("an entry means one interface, such as 1-ff00:0:110#3"));
            }
            if let Some(same) = all.iter().find(|entry| entry.hop.means_the_same(hop)) {
                return Err(TariffError::Twice(text.to_owned(), same.text.clone()));
            }
            all.push(Entry { hop, text: text.to_owned(), cost: *cost });
        }
        Ok(Self(all))
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a path costs; `None` when that is unknown.
    pub(crate) fn total(&self, path: &Candidate) -> Option<u64> {
        let known = !self.is_empty() && !path.interfaces.is_empty();
        known.then(|| self.parts(path).map(|(_, cost)| cost).fold(0, u64::saturating_add))
    }

    /// What it consists of, in words: `1-ff00:0:111#3 5, 18-0 2`.
    pub(crate) fn account(&self, path: &Candidate) -> String {
        let parts: Vec<_> = self.parts(path).filter(|(_, cost)| *cost > 0).collect();
        let mut text = String::new();
        for (name, cost) in parts.iter().take(NAMED) {
            let _ = write!(text, "{}{name} {cost}", if text.is_empty() { "" } else { ", " });
        }
        if parts.len() > NAMED {
            let _ = write!(text, " and {} more", parts.len() - NAMED);
        }
        text
    }

    fn parts<'a>(&'a self, path: &'a Candidate) -> impl Iterator<Item = (&'a str, u64)> {
        let links = path.interfaces.iter().filter_map(|interface| self.of_interface(*interface));
        links.chain(ases(&path.interfaces).filter_map(|(isd_as, ..)| self.of_as(isd_as)))
    }

    fn of_interface(&self, interface: Interface) -> Option<(&str, u64)> {
        let meant = |entry: &&Entry| !entry.hop.is_any_interface() && entry.hop.is_at(interface, true);
        self.0.iter().filter(meant).max_by_key(|entry| entry.hop.precision()).map(Entry::both)
    }

    fn of_as(&self, isd_as: IsdAs) -> Option<(&str, u64)> {
        let meant = |entry: &&Entry| entry.hop.is_all_of(isd_as);
        self.0.iter().filter(meant).max_by_key(|entry| entry.hop.precision()).map(Entry::both)
    }
}

impl Entry {
    fn both(&self) -> (&str, u64) {
        (&self.text, self.cost)
    }
}

/// As in the configuration.
impl std::fmt::Display for Tariff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, Entry { text, cost, .. }) in self.0.iter().enumerate() {
            write!(f, "{}{text}: {cost}", if at > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From 1-ff00:0:111 by 1-ff00:0:110 to 2-ff00:0:210.
    fn path() -> Candidate {
        let crossed = ["1-ff00:0:111#1", "1-ff00:0:110#2", "1-ff00:0:110#3", "2-ff00:0:210#4"];
        let interfaces = crossed.iter().map(|text| text.parse().expect("an interface")).collect();
        Candidate { interfaces, ..Candidate::tcp() }
    }

    fn cost(entries: &[(&str, u64)]) -> (Option<u64>, String) {
        let tariff = Tariff::new(entries).expect("a table");
        (tariff.total(&path()), tariff.account(&path()))
    }

    #[test]
    fn a_path_costs_what_its_links_and_ases_cost() {
        assert_eq!(cost(&[("1-ff00:0:110#3", 5), ("1-ff00:0:110#9", 100)]), (Some(5), "1-ff00:0:110#3 5".into()));
        assert_eq!(cost(&[("1-ff00:0:110", 7)]), (Some(7), "1-ff00:0:110 7".into()), "once for two interfaces");
        assert_eq!(cost(&[("1-0", 2)]), (Some(4), "1-0 2, 1-0 2".into()), "once for each AS");
        assert_eq!(
            cost(&[("1", 2), ("1-ff00:0:110", 7), ("0-0", 1)]).0,
            Some(2 + 7 + 1),
            "what is said of less counts"
        );
        assert_eq!(cost(&[("0-0#3", 1), ("1-ff00:0:110#3", 4)]).0, Some(4));
        assert_eq!(cost(&[("3-0", 2)]), (Some(0), String::new()), "it crosses nothing that costs");
        let all = cost(&[("0-0", 1), ("0-0#1", 1), ("0-0#2", 1), ("0-0#3", 1), ("0-0#4", Tariff::MOST)]);
        assert_eq!(all, (Some(Tariff::MOST + 6), "0-0#1 1, 0-0#2 1, 0-0#3 1, 0-0#4 1000000000 and 3 more".into()));
    }

    #[test]
    fn what_nobody_has_told_is_unknown() {
        assert_eq!(cost(&[]).0, None);
        let tariff = Tariff::new(&[("0-0", 1)]).expect("a table");
        assert_eq!(tariff.total(&Candidate::tcp()), None);
    }

    #[test]
    fn what_is_no_table_is_refused_with_the_entry() {
        let error = |entries: &[(&str, u64)]| Tariff::new(entries).expect_err("no table").to_string();
        insta::assert_snapshot!(
            [
                error(&[("1-ff00:0:110#1,2", 1)]),
                error(&[("x", 1)]),
                error(&[("18-0", 1), ("18", 2)]),
                error(&[("1", 1); 1025]),
            ]
            .join("\n")
        );
    }
}
