//! Access control lists, in the language of the `scion` tools.

use std::fmt;

use crate::hop::Hop;
use crate::{Interface, IsdAs};

/// The most entries.
const LONGEST: usize = 256;

/// Entries such as `- 2-0`, `+ 1-ff00:0:110#3` and, at the end, `+` or `-` for all else. The first one that means an
/// interface says whether it may be crossed; a path is allowed if all its interfaces are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl(Vec<Entry>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    allows: bool,
    hop: Hop,
    text: String,
}

/// Why a list is no ACL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// An entry is not what it should be.
    #[error("{entry:?} is no entry of an ACL: {what}")]
    Entry {
        /// The entry.
        entry: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Nothing is said of what no entry means.
    #[error("the ACL does not say what holds for all else; end it with \"+\" (allowed) or \"-\" (not)")]
    NoDefault,
    /// Entries that can never count.
    #[error("the entry {0:?} of the ACL never counts, for {1:?} before it means everything; put that last")]
    Unreachable(String, String),
    /// There are too many.
    #[error("the ACL has {0} entries; at most {LONGEST} can be")]
    TooLong(usize),
}

impl Acl {
    /// From its entries in their order.
    ///
    /// # Errors
    ///
    /// When an entry is malformed, or the last one and no other does not mean everything.
    pub fn new<T: AsRef<str>>(entries: &[T]) -> Result<Self, AclError> {
        if entries.len() > LONGEST {
            return Err(AclError::TooLong(entries.len()));
        }
        let entries = entries.iter().map(|text| entry(text.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let default = entries.iter().position(|entry| entry.hop.is_all()).ok_or(AclError::NoDefault)?;
        match entries.get(default + 1) {
            Some(dead) => Err(AclError::Unreachable(dead.text.clone(), entries[default].text.clone())),
            None => Ok(Self(entries)),
        }
    }

    pub(super) fn is_the_same_back(&self) -> bool {
        self.0.iter().all(|entry| entry.hop.is_the_same_back())
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|entry| entry.text.as_str())
    }

    /// The entry that refuses a path over these interfaces (two a link, in travel order), and the interface.
    pub(super) fn refusal(&self, interfaces: &[Interface]) -> Option<(&str, Interface)> {
        interfaces.iter().enumerate().find_map(|(index, interface)| {
            let entry = self.0.iter().find(|entry| entry.hop.is_at(*interface, index % 2 == 1))?;
            (!entry.allows).then_some((entry.text.as_str(), *interface))
        })
    }

    /// The entry by which no path can lead to this AS.
    pub(super) fn bars(&self, isd_as: IsdAs) -> Option<&str> {
        let entry =
            self.0.iter().find(|entry| entry.hop.is_all_of(isd_as) || entry.allows && entry.hop.may_be_in(isd_as))?;
        (!entry.allows).then_some(entry.text.as_str())
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> = self.0.iter().map(|entry| entry.text.as_str()).collect();
        write!(f, "{entries:?}")
    }
}

fn entry(text: &str) -> Result<Entry, AclError> {
    let bad = |what| AclError::Entry { entry: text.chars().take(64).collect(), what };
    let mut words = text.split_ascii_whitespace();
    let allows = match words.next() {
        Some("+") => true,
        Some("-") => false,
        _ => return Err(bad("it begins with \"+\" (allowed) or \"-\" (not) and a blank")),
    };
    let hop = words.next().unwrap_or("0").parse().map_err(bad)?;
    match words.next() {
        Some(_) => Err(bad("it names one hop at most")),
        None => Ok(Entry { allows, hop, text: text.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    /// From 1-ff00:0:111 by 1-ff00:0:110 to 2-ff00:0:210.
    fn path() -> Vec<Interface> {
        let crossed = ["1-ff00:0:111#1", "1-ff00:0:110#2", "1-ff00:0:110#3", "2-ff00:0:210#4"];
        crossed.iter().map(|text| text.parse().expect("an interface")).collect()
    }

    fn refusal(entries: &[&str]) -> Option<String> {
        let acl = Acl::new(entries).expect("an ACL");
        acl.refusal(&path()).map(|(entry, interface)| format!("{entry} at {interface}"))
    }

    #[test]
    fn the_first_entry_that_means_an_interface_decides() {
        assert_eq!(refusal(&["+"]), None);
        assert_eq!(refusal(&["-"]).as_deref(), Some("- at 1-ff00:0:111#1"));
        assert_eq!(refusal(&["- 2", "+"]).as_deref(), Some("- 2 at 2-ff00:0:210#4"));
        assert_eq!(refusal(&["+ 2-ff00:0:210", "- 2", "+"]), None);
        assert_eq!(refusal(&["- 1-ff00:0:110#3", "+ 1", "-"]).as_deref(), Some("- 1-ff00:0:110#3 at 1-ff00:0:110#3"));
        assert_eq!(refusal(&["+ 1", "+ 2-0#4", "-"]), None);
    }

    #[test]
    fn two_interfaces_are_that_of_entry_and_that_of_exit() {
        assert_eq!(refusal(&["- 1-ff00:0:110#2,0", "+"]).as_deref(), Some("- 1-ff00:0:110#2,0 at 1-ff00:0:110#2"));
        assert_eq!(refusal(&["- 1-ff00:0:110#3,9", "+"]), None);
        assert_eq!(refusal(&["- 1-ff00:0:110#9,3", "+"]).as_deref(), Some("- 1-ff00:0:110#9,3 at 1-ff00:0:110#3"));
    }

    #[test]
    fn a_destination_that_no_path_can_have_is_known_beforehand() {
        let bars = |entries: &[&str], isd_as: &str| {
            Acl::new(entries).expect("an ACL").bars(isd_as.parse().expect("an AS")).map(str::to_owned)
        };
        assert_eq!(bars(&["- 2", "+"], "2-ff00:0:210").as_deref(), Some("- 2"));
        assert_eq!(bars(&["- 2", "+"], "1-ff00:0:110"), None);
        assert_eq!(bars(&["+ 2-ff00:0:210#4", "-"], "2-ff00:0:210"), None, "by that interface");
        assert_eq!(bars(&["- 2-ff00:0:210#4", "+"], "2-ff00:0:210"), None, "by another one");
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_entry() {
        let error = |entries: &[&str]| Acl::new(entries).expect_err("no ACL").to_string();
        insta::assert_snapshot!(
            [
                error(&[]),
                error(&["- 2"]),
                error(&["+", "- 2", "-"]),
                error(&["2-0", "+"]),
                error(&["- 2 3", "+"]),
                error(&["- x", "+"]),
                error(&["- 1#3", "+"]),
                error(&["+"; 257]),
            ]
            .join("\n")
        );
    }
}
