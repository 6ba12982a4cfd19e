//! Hop predicates: which ASes and interfaces are meant, in the language of the `scion` tools.

use std::str::FromStr;

use crate::{Interface, IsdAs};

/// `ISD`, `ISD-AS`, `ISD-AS#IF` (entered or left by this interface) or `ISD-AS#IN,OUT`; 0 is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    isd_as: IsdAs,
    interfaces: Interfaces,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interfaces {
    Either(u16),
    Both(u16, u16),
}

impl Hop {
    pub(crate) fn matches(self, isd_as: IsdAs, entered: u16, left: u16) -> bool {
        self.may_be_in(isd_as)
            && match self.interfaces {
                Interfaces::Either(wanted) => is(wanted, entered) || is(wanted, left),
                Interfaces::Both(by, to) => is(by, entered) && is(to, left),
            }
    }

    /// Whether this interface, by which its AS is entered or left, is meant.
    pub(crate) fn is_at(self, interface: Interface, entered: bool) -> bool {
        let wanted = match self.interfaces {
            Interfaces::Either(wanted) => wanted,
            Interfaces::Both(by, to) => {
                if entered {
                    by
                } else {
                    to
                }
            }
        };
        self.may_be_in(interface.isd_as) && is(wanted, interface.id)
    }

    /// Whether an interface of the AS may be meant.
    pub(crate) fn may_be_in(self, isd_as: IsdAs) -> bool {
        is(self.isd_as.isd(), isd_as.isd()) && is(self.isd_as.asn(), isd_as.asn())
    }

    /// Whether all of an AS is meant, whatever the interface.
    pub(crate) fn is_all_of(self, isd_as: IsdAs) -> bool {
        self.is_any_interface() && self.may_be_in(isd_as)
    }

    /// Whether it does not matter by which interface of two the AS is entered.
    pub(crate) fn is_the_same_back(self) -> bool {
        match self.interfaces {
            Interfaces::Either(_) => true,
            Interfaces::Both(by, to) => by == to,
        }
    }

    /// Whether everything is meant.
    pub(crate) fn is_all(self) -> bool {
        self.is_any_interface() && self.isd_as == IsdAs(0)
    }

    /// Whether the two mean the same.
    pub(crate) fn means_the_same(self, other: Self) -> bool {
        let named = |hop: Self| match hop.interfaces {
            Interfaces::Either(interface) => (interface, interface),
            Interfaces::Both(by, to) => (by, to),
        };
        self.isd_as == other.isd_as && named(self) == named(other)
    }

    /// How much it says of what it means: more of an AS than of an ISD.
    pub(crate) fn precision(self) -> (bool, bool) {
        (self.isd_as.asn() != 0, self.isd_as.isd() != 0)
    }

    /// Whether no interface is named.
    pub(crate) fn is_any_interface(self) -> bool {
        matches!(self.interfaces, Interfaces::Either(0) | Interfaces::Both(0, 0))
    }
}

/// 0 is any.
fn is<T: PartialEq + Default>(wanted: T, is: T) -> bool {
    wanted == T::default() || wanted == is
}

impl FromStr for Hop {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        let number = |text: &str, what| match text.parse::<u16>() {
            Ok(n) => Ok(n),
            Err(_) => Err(what),
        };
        let interface = |text| number(text, "an interface after '#' is a number from 0 to 65535, where 0 is any");
        let (isd_as, interfaces) = match word.split_once('#') {
            Some((isd_as, interfaces)) => (isd_as, Some(interfaces)),
            None => (word, None),
        };
        let isd_as = match isd_as.split_once('-') {
            Some((isd, asn)) => {
                let isd = number(isd, "the ISD before '-' is a number from 0 to 65535, where 0 is any")?;
                let asn: IsdAs =
                    format!("0-{asn}").parse().map_err(|_| "the AS after '-' looks like ff00:0:110 or 64512")?;
                IsdAs(u64::from(isd) << 48 | asn.asn())
            }
            None if interfaces.is_some() => return Err("an interface needs its AS, as in 1-ff00:0:110#3 or 0-0#3"),
            None => IsdAs(u64::from(number(isd_as, "a hop looks like 0, 1, 1-ff00:0:110 or 1-ff00:0:110#3,4")?) << 48),
        };
        let interfaces = match interfaces.map(|text| text.split_once(',').ok_or(text)) {
            None => Interfaces::Either(0),
            Some(Err(either)) => Interfaces::Either(interface(either)?),
            Some(Ok((entered, left))) => Interfaces::Both(interface(entered)?, interface(left)?),
        };
        Ok(Hop { isd_as, interfaces })
    }
}
