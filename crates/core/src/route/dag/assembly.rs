//! A list of interests that is coming, line by line.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Node;
use super::interest::{Key, Log};
use crate::route::wire::Interest;

#[derive(Debug)]
pub(super) struct Assembly {
    origin: Node,
    number: u64,
    left: usize,
    entries: BTreeMap<Arc<Key>, u32>,
}

impl Assembly {
    /// Of a list with so many entries.
    pub(super) fn new(origin: Node, number: u64, count: usize) -> Self {
        Self { origin, number, left: count, entries: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, interest: &Interest<'_>) {
        self.left = self.left.saturating_sub(1);
        self.entries.insert(Arc::new(Key::of(interest)), interest.weight);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.left == 0
    }

    pub(super) fn finish(self) -> (Node, Log) {
        (self.origin, Log::new(self.number, self.entries))
    }
}
