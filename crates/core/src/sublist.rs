//! Who subscribed to what: finds the subscriptions that a subject matches.
//!
//! A trie over tokens. The edges to literal tokens of all nodes live in one hash table that holds nothing but the index
//! of the child; the child knows its parent and its token, and both are compared on the way. Nodes hold the edges to
//! the two wildcards themselves. A million subscriptions to different subjects cost about 110 bytes each here.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::subject;

/// A member of a [`Sublist`]. It keeps its place among those that share its subject, so that leaving is quick however
/// many they are.
pub trait Member {
    /// What was last set.
    fn place(&self) -> u32;
    /// Remembers a place. Called only with exclusive access to the list.
    fn set_place(&self, place: u32);
}

/// Takes what a subject matches.
pub trait Visitor<M> {
    /// These each get the message.
    fn plain(&mut self, members: &[Arc<M>]);
    /// One of these gets the message, together with those of further calls with the same `queue`.
    fn group(&mut self, queue: &[u8], members: &[Arc<M>]);
}

/// Subscriptions by subject.
#[derive(Debug)]
pub struct Sublist<M> {
    nodes: Vec<Node<M>>,
    free: Vec<u32>,
    edges: HashTable<u32>,
    hasher: FixedState,
    len: usize,
}

/// Stands for no node.
const NONE: u32 = u32::MAX;
const ROOT: u32 = 0;

#[derive(Debug)]
struct Node<M> {
    parent: u32,
    /// Child behind `*`.
    any: u32,
    /// Child behind `>`.
    rest: u32,
    /// Children behind literal tokens.
    literals: u32,
    token: Box<[u8]>,
    interest: Option<Box<Interest<M>>>,
}

impl<M> Node<M> {
    fn new(parent: u32, token: &[u8]) -> Self {
        Self { parent, any: NONE, rest: NONE, literals: 0, token: token.into(), interest: None }
    }

    fn is_unused(&self) -> bool {
        self.any == NONE && self.rest == NONE && self.literals == 0 && self.interest.is_none()
    }
}

#[derive(Debug)]
struct Interest<M> {
    plain: Vec<Arc<M>>,
    groups: Vec<Group<M>>,
}

#[derive(Debug)]
struct Group<M> {
    name: Box<[u8]>,
    members: Vec<Arc<M>>,
}

impl<M: Member> Default for Sublist<M> {
    fn default() -> Self {
        Self::with_seed(0)
    }
}

impl<M: Member> Sublist<M> {
    /// An empty list. `seed` keeps those who choose subjects from choosing where they land in the table.
    pub fn with_seed(seed: u64) -> Self {
        let nodes = vec![Node::new(NONE, b"")];
        Self { nodes, free: Vec::new(), edges: HashTable::new(), hasher: FixedState::with_seed(seed), len: 0 }
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a member to a [valid](subject::is_valid) subject. Returns how many share subject and queue group (or the
    /// lack of one) now.
    pub fn insert(&mut self, subject: &[u8], queue: Option<&[u8]>, member: Arc<M>) -> usize {
        let mut node = ROOT;
        for token in subject::tokens(subject) {
            node = self.child(node, token).unwrap_or_else(|| self.add_child(node, token));
        }
        self.len += 1;
        let empty = || Box::new(Interest { plain: Vec::new(), groups: Vec::new() });
        let members = self.nodes[node as usize].interest.get_or_insert_with(empty).members_mut(queue);
        member.set_place(members.len() as u32);
        if members.is_empty() {
            // Most subjects have one subscription only.
            members.reserve_exact(1);
        }
        members.push(member);
        members.len()
    }

    /// Removes a member. Returns how many share its subject and queue group now, or `None` if it was not there.
    pub fn remove(&mut self, subject: &[u8], queue: Option<&[u8]>, member: &Arc<M>) -> Option<usize> {
        let node = subject::tokens(subject).try_fold(ROOT, |node, token| self.child(node, token))?;
        let interest = self.nodes[node as usize].interest.as_mut()?;
        let group = queue.map(|queue| interest.groups.iter().position(|group| *group.name == *queue));
        let members = match group {
            None => &mut interest.plain,
            Some(group) => &mut interest.groups[group?].members,
        };
        let place = member.place() as usize;
        members.get(place).filter(|found| Arc::ptr_eq(found, member))?;
        members.swap_remove(place);
        if let Some(moved) = members.get(place) {
            moved.set_place(place as u32);
        }
        let left = members.len();
        if left == 0 {
            match group {
                None => interest.plain = Vec::new(),
                Some(group) => drop(interest.groups.swap_remove(group?)),
            }
        }
        if interest.plain.is_empty() && interest.groups.is_empty() {
            self.nodes[node as usize].interest = None;
            self.prune(node);
        }
        self.len -= 1;
        if self.len == 0 {
            *self = Self { hasher: self.hasher.clone(), ..Self::with_seed(0) };
        }
        Some(left)
    }

    /// Shows `visitor` all that get what is published to `subject`.
    pub fn matches(&self, subject: &[u8], visitor: &mut impl Visitor<M>) {
        if self.len == 0 || subject::tokens(subject).any(<[u8]>::is_empty) {
            return;
        }
        // Where both `*` and the literal token lead on, one of them has to wait here.
        let mut waiting = Vec::new();
        let mut next = Some((ROOT, subject));
        while let Some((node, subject)) = next {
            next = self.step(node, subject, &mut waiting, visitor).or_else(|| waiting.pop());
        }
    }

    /// Matches the first token of `subject` at `node`. Returns where to go on, and with which tokens.
    fn step<'s>(
        &self,
        node: u32,
        subject: &'s [u8],
        waiting: &mut Vec<(u32, &'s [u8])>,
        visitor: &mut impl Visitor<M>,
    ) -> Option<(u32, &'s [u8])> {
        let here = &self.nodes[node as usize];
        self.visit(here.rest, visitor);
        let dot = memchr::memchr(b'.', subject);
        let token = &subject[..dot.unwrap_or(subject.len())];
        let literal = if here.literals > 0 { self.literal_child(node, token) } else { None };
        let any = Some(here.any).filter(|&any| any != NONE);
        let Some(dot) = dot else {
            self.visit(here.any, visitor);
            self.visit(literal.unwrap_or(NONE), visitor);
            return None;
        };
        let rest = &subject[dot + 1..];
        if let (Some(any), Some(_)) = (any, literal) {
            waiting.push((any, rest));
        }
        literal.or(any).map(|node| (node, rest))
    }

    fn visit(&self, node: u32, visitor: &mut impl Visitor<M>) {
        if node == NONE {
            return;
        }
        if let Some(interest) = &self.nodes[node as usize].interest {
            if !interest.plain.is_empty() {
                visitor.plain(&interest.plain);
            }
            for group in &interest.groups {
                visitor.group(&group.name, &group.members);
            }
        }
    }

    /// Calls `see` for each subject, with the queue group if it is one's, and all members. In no particular order.
    pub fn for_each(&self, mut see: impl FnMut(&[u8], Option<&[u8]>, &[Arc<M>])) {
        let mut subject = Vec::new();
        for node in &self.nodes {
            let Some(interest) = &node.interest else { continue };
            self.write_subject(node, &mut subject);
            if !interest.plain.is_empty() {
                see(&subject, None, &interest.plain);
            }
            for group in &interest.groups {
                see(&subject, Some(&group.name), &group.members);
            }
        }
    }

    fn write_subject(&self, node: &Node<M>, out: &mut Vec<u8>) {
        let mut tokens = vec![&*node.token];
        let mut parent = node.parent;
        while parent != ROOT && parent != NONE {
            tokens.push(&self.nodes[parent as usize].token);
            parent = self.nodes[parent as usize].parent;
        }
        tokens.reverse();
        out.clear();
        out.extend_from_slice(&tokens.join(&b'.'));
    }

    fn child(&self, node: u32, token: &[u8]) -> Option<u32> {
        let here = &self.nodes[node as usize];
        match token {
            b"*" => Some(here.any).filter(|&child| child != NONE),
            b">" => Some(here.rest).filter(|&child| child != NONE),
            _ => self.literal_child(node, token),
        }
    }

    fn literal_child(&self, node: u32, token: &[u8]) -> Option<u32> {
        let is_it = |&child: &u32| {
            let child = &self.nodes[child as usize];
            child.parent == node && *child.token == *token
        };
        self.edges.find(hash(&self.hasher, node, token), is_it).copied()
    }

    fn add_child(&mut self, node: u32, token: &[u8]) -> u32 {
        let new = Node::new(node, token);
        let child = match self.free.pop() {
            Some(child) => {
                self.nodes[child as usize] = new;
                child
            }
            None => {
                self.nodes.push(new);
                u32::try_from(self.nodes.len() - 1).expect("memory ends before 2^32 nodes")
            }
        };
        let here = &mut self.nodes[node as usize];
        match token {
            b"*" => here.any = child,
            b">" => here.rest = child,
            _ => {
                here.literals += 1;
                let (nodes, hasher) = (&self.nodes, &self.hasher);
                let rehash = |&child: &u32| hash(hasher, nodes[child as usize].parent, &nodes[child as usize].token);
                self.edges.insert_unique(hash(hasher, node, token), child, rehash);
            }
        }
        child
    }

    /// Removes `node` and its ancestors as far as nothing needs them.
    fn prune(&mut self, node: u32) {
        let mut node = node;
        while node != ROOT && self.nodes[node as usize].is_unused() {
            let Node { parent, token, .. } = std::mem::replace(&mut self.nodes[node as usize], Node::new(NONE, b""));
            match &*token {
                b"*" => self.nodes[parent as usize].any = NONE,
                b">" => self.nodes[parent as usize].rest = NONE,
                token => {
                    self.nodes[parent as usize].literals -= 1;
                    if let Ok(edge) = self.edges.find_entry(hash(&self.hasher, parent, token), |&child| child == node) {
                        edge.remove();
                    }
                }
            }
            self.free.push(node);
            node = parent;
        }
    }
}

impl<M> Interest<M> {
    fn members_mut(&mut self, queue: Option<&[u8]>) -> &mut Vec<Arc<M>> {
        let Some(queue) = queue else { return &mut self.plain };
        let found = self.groups.iter().position(|group| *group.name == *queue);
        let at = found.unwrap_or_else(|| {
            self.groups.push(Group { name: queue.into(), members: Vec::new() });
            self.groups.len() - 1
        });
        &mut self.groups[at].members
    }
}

fn hash(hasher: &FixedState, node: u32, token: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u32(node);
    state.write(token);
    state.finish()
}

#[cfg(test)]
mod tests;
