//! Classes of messages that have connections of their own to a peer, by their subjects.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
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
        let links = ArcSwap::from_pointee(vec![None; self.all.len()]);
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
    /// One a class, while there is one.
    links: ArcSwap<Vec<Option<Arc<Link>>>>,
}

impl fmt::Debug for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Carriers").field(&self.all).finish()
    }
}

impl Carriers {
    /// The connection that takes messages to `subject`.
    pub(crate) fn of(&self, subject: &[u8]) -> Carrier {
        let matches = |class: &Class| subject::matches(class.pattern.as_bytes(), subject);
        let Some(at) = self.all.iter().position(matches) else { return Carrier::Usual };
        match self.links.load()[at].clone().filter(|link| !link.is_closing()) {
            Some(link) => Carrier::Own(link),
            None if self.all[at].strict => Carrier::Missing,
            None => Carrier::Usual,
        }
    }

    /// From now on `link` takes what the class of this pattern has.
    pub(super) fn add(&self, pattern: &str, link: &Arc<Link>) {
        if let Some(class) = self.all.iter().position(|known| known.pattern == pattern) {
            self.links.rcu(|links| {
                let mut links = Vec::clone(links);
                links[class] = Some(link.clone());
                links
            });
        }
    }

    /// `link` is over.
    pub(super) fn remove(&self, link: &Arc<Link>) {
        self.links.rcu(|links| {
            let stays = |known: &Option<Arc<Link>>| known.clone().filter(|known| !Arc::ptr_eq(known, link));
            links.iter().map(stays).collect::<Vec<_>>()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_counts() {
        let class = |pattern: &str| Class { pattern: pattern.to_owned(), strict: false };
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
        let class = |pattern: &str, strict| Class { pattern: pattern.to_owned(), strict };
        let classes = Classes::new(vec![class("gov.>", true), class("orders.>", false)]);
        let carriers = classes.carriers("N").expect("there are classes");
        assert!(matches!(carriers.of(b"gov.x"), Carrier::Missing));
        assert!(matches!(carriers.of(b"orders.x"), Carrier::Usual));
        assert!(matches!(carriers.of(b"else"), Carrier::Usual));
    }
}
