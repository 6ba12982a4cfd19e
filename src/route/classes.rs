//! Classes of messages that have connections of their own to a peer, by their subjects.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use foldhash::quality::FixedState;
use natsd_core::route::hello::RouteClass;
use natsd_core::subject;
use parking_lot::Mutex;

use crate::link::Link;

/// Messages that have connections of their own to peers that agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    /// Their subjects.
    pub pattern: String,
    /// They go over no other connection, as other paths are forbidden to them.
    pub strict: bool,
    /// Connections that they are shared out over.
    pub spread: u16,
}

impl Class {
    /// As peers are told.
    pub(super) fn told(&self) -> RouteClass {
        RouteClass { subjects: self.pattern.clone(), connections: self.spread }
    }
}

/// All classes, the one of the most specific pattern first.
type Ordered = Arc<[Class]>;

/// The classes of a server, and which connections to its peers they have.
pub(super) struct Classes {
    all: Ordered,
    peers: Mutex<HashMap<String, Weak<Carriers>>>,
}

impl Classes {
    /// Where several of these patterns match a subject, the most specific one counts: from left to right, a literal token
    /// goes before `*`, and that before `>`.
    pub(super) fn new(mut classes: Vec<Class>) -> Self {
        classes.sort_by(|a, b| specificity(&a.pattern).cmp(specificity(&b.pattern)));
        Self { all: classes.into(), peers: Mutex::default() }
    }

    /// Whether they are the same.
    pub(super) fn are_those_of(&self, other: &Self) -> bool {
        self.all == other.all
    }

    /// The connections to this peer that classes have. `None` if there are no classes.
    pub(super) fn carriers(&self, peer: &str) -> Option<Arc<Carriers>> {
        if self.all.is_empty() {
            return None;
        }
        let mut peers = self.peers.lock();
        if let Some(known) = peers.get(peer).and_then(Weak::upgrade) {
            return Some(known);
        }
        peers.retain(|_, known| known.strong_count() > 0);
        let links = ArcSwap::from_pointee(vec![Vec::new(); self.all.len()]);
        let new = Arc::new(Carriers { all: self.all.clone(), links });
        peers.insert(peer.to_owned(), Arc::downgrade(&new));
        Some(new)
    }
}

fn specificity(pattern: &str) -> impl Iterator<Item = (u8, &str)> {
    pattern.split('.').map(|token| match token {
        ">" => (2, token),
        "*" => (1, token),
        _ => (0, token),
    })
}

/// The connections of a class, each with its number.
type Numbered = Vec<(u16, Arc<Link>)>;

/// Which connection to a peer takes a message.
pub(crate) enum Carrier {
    /// That of its account.
    Usual,
    /// This one.
    Own(Arc<Link>),
    /// None: the one that it may take is not there.
    Missing,
}

/// The connections to one peer that classes have.
pub(crate) struct Carriers {
    all: Ordered,
    /// Those that there are, by class and with their number in it.
    links: ArcSwap<Vec<Numbered>>,
}

impl fmt::Debug for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Carriers").field(&self.all).finish()
    }
}

impl Carriers {
    /// The connection that takes messages to `subject`. Of several it is always the same one for a publisher, as long as it
    /// is there, so that nothing overtakes what the publisher has sent before.
    pub(crate) fn of(&self, subject: &[u8], publisher: u64) -> Carrier {
        let matches = |class: &Class| subject::matches(class.pattern.as_bytes(), subject);
        let Some(at) = self.all.iter().position(matches) else { return Carrier::Usual };
        let links = self.links.load();
        let there = links[at].iter().filter(|(_, link)| !link.is_closing());
        // The highest of hashes of both: when one connection is gone, only its publishers move.
        let weight = |number: u16| FixedState::default().hash_one((publisher, number));
        match there.max_by_key(|(number, _)| weight(*number)) {
            Some((_, link)) => Carrier::Own(link.clone()),
            None if self.all[at].strict => Carrier::Missing,
            None => Carrier::Usual,
        }
    }

    /// From now on `link` is the connection of this number for the class of this pattern.
    pub(super) fn add(&self, (pattern, number): (&str, u16), link: &Arc<Link>) {
        if let Some(class) = self.all.iter().position(|known| known.pattern == pattern) {
            self.links.rcu(|links| {
                let mut links = Vec::clone(links);
                links[class].retain(|(known, _)| *known != number);
                links[class].push((number, link.clone()));
                links
            });
        }
    }

    /// `link` is over.
    pub(super) fn remove(&self, link: &Arc<Link>) {
        self.links.rcu(|links| {
            let mut links = Vec::clone(links);
            links.iter_mut().for_each(|of_class| of_class.retain(|(_, known)| !Arc::ptr_eq(known, link)));
            links
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_counts() {
        let class = |pattern: &str| Class { pattern: pattern.to_owned(), strict: false, spread: 1 };
        let classes = Classes::new([">", "a.>", "a.*", "a.b", "*.b", "a.b.>"].map(class).into());
        let of = |subject: &str| {
            let mut patterns = classes.all.iter().map(|class| &*class.pattern);
            patterns.find(|pattern| subject::matches(pattern.as_bytes(), subject.as_bytes())).unwrap_or_default()
        };
        let expected =
            [("a.b", "a.b"), ("a.c", "a.*"), ("a.b.c", "a.b.>"), ("a.c.d", "a.>"), ("c.b", "*.b"), ("c", ">")];
        for (subject, pattern) in expected {
            assert_eq!(of(subject), pattern, "{subject}");
        }
        assert!(Classes::new(Vec::new()).carriers("N").is_none());
        let (one, again) = (classes.carriers("N"), classes.carriers("N"));
        assert!(one.zip(again).is_some_and(|(one, again)| Arc::ptr_eq(&one, &again)));
    }

    #[test]
    fn what_may_take_no_other_path_waits_for_its_connection() {
        let class = |pattern: &str, strict| Class { pattern: pattern.to_owned(), strict, spread: 1 };
        let classes = Classes::new(vec![class("gov.>", true), class("orders.>", false)]);
        let carriers = classes.carriers("N").expect("there are classes");
        assert!(matches!(carriers.of(b"gov.x", 1), Carrier::Missing));
        assert!(matches!(carriers.of(b"orders.x", 1), Carrier::Usual));
        assert!(matches!(carriers.of(b"else", 1), Carrier::Usual));
    }
}
