//! Classes of messages that have connections of their own to a peer, by their subjects.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use natsd_core::route::hello::{RouteClass, RouteInfo};
use natsd_core::subject;
use parking_lot::Mutex;

use super::spread::Spread;
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
        RouteClass { subjects: self.pattern.clone(), connections: self.spread, in_order: true }
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
        let links = ArcSwap::from_pointee(vec![None; self.all.len()]);
        let new = Arc::new(Carriers { all: self.all.clone(), links, spreads: Mutex::default() });
        peers.insert(peer.to_owned(), Arc::downgrade(&new));
        Some(new)
    }
}

/// The one of these patterns that counts for a subject.
#[cfg(feature = "scion")]
pub(crate) fn most_specific<'a>(patterns: impl Iterator<Item = &'a str>, subject: &str) -> Option<&'a str> {
    let matching = patterns.filter(|pattern| subject::matches(pattern.as_bytes(), subject.as_bytes()));
    matching.min_by(|a, b| specificity(a).cmp(specificity(b)))
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
    /// That of each class, if it is there; it may stand for several.
    links: ArcSwap<Vec<Option<Arc<Link>>>>,
    /// The classes that several connections share out, by their patterns.
    spreads: Mutex<HashMap<String, Arc<Spread>>>,
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
        match &self.links.load()[at] {
            Some(link) if !link.is_closing() => Carrier::Own(link.clone()),
            _ if self.all[at].strict => Carrier::Missing,
            _ => Carrier::Usual,
        }
    }

    /// What several connections have in common that share out the messages of this class with the peer that says this, if
    /// they do.
    pub(super) fn spread(&self, pattern: &str, peer: &RouteInfo, new: impl FnOnce() -> Spread) -> Option<Arc<Spread>> {
        let ours = self.all.iter().find(|known| known.pattern == pattern)?;
        let connections = peer.class(pattern).map_or(1, |theirs| ours.told().agreed(theirs));
        let mut spreads = self.spreads.lock();
        (connections > 1).then(|| spreads.entry(pattern.to_owned()).or_insert_with(|| Arc::new(new())).clone())
    }

    /// From now on the class of this pattern has this connection, or none.
    pub(super) fn set(&self, pattern: &str, link: Option<&Arc<Link>>) {
        if let Some(class) = self.all.iter().position(|known| known.pattern == pattern) {
            self.links.rcu(|links| {
                let mut links = Vec::clone(links);
                links[class] = link.cloned();
                links
            });
        }
    }

    /// `link` is over. Returns whether a class had it.
    pub(super) fn remove(&self, link: &Arc<Link>) -> bool {
        let is_it = |known: &Option<Arc<Link>>| known.as_ref().is_some_and(|known| Arc::ptr_eq(known, link));
        let before = self.links.rcu(|links| {
            let mut links = Vec::clone(links);
            links.iter_mut().filter(|known| is_it(known)).for_each(|known| *known = None);
            links
        });
        before.iter().any(is_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "scion")]
    #[test]
    fn commands_find_the_pattern_that_counts() {
        let patterns = ["a.>", "a.*", "a.b", ">"];
        let of = |subject| most_specific(patterns.into_iter(), subject);
        assert_eq!([of("a.b"), of("a.c"), of("a.b.c"), of("x")], [Some("a.b"), Some("a.*"), Some("a.>"), Some(">")]);
        assert_eq!(most_specific(patterns[..3].iter().copied(), "x"), None);
    }

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
        assert!(matches!(carriers.of(b"gov.x"), Carrier::Missing));
        assert!(matches!(carriers.of(b"orders.x"), Carrier::Usual));
        assert!(matches!(carriers.of(b"else"), Carrier::Usual));
    }
}
