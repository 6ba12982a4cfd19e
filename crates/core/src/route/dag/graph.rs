//! Who is linked with whom, and the way to each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Node;

/// What a server says of itself. The one with the higher version holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Raised by the server itself, with each change.
    pub version: u64,
    /// The server's name.
    pub name: Box<str>,
    /// The servers that it has a connection to.
    pub neighbours: BTreeSet<Node>,
}

/// All servers that were heard of.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    records: BTreeMap<Node, Record>,
}

impl Graph {
    /// What is known of a server.
    pub fn get(&self, node: Node) -> Option<&Record> {
        self.records.get(&node)
    }

    /// All that is known, by server.
    pub fn records(&self) -> impl Iterator<Item = (Node, &Record)> {
        self.records.iter().map(|(&node, record)| (node, record))
    }

    /// Number of servers heard of.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// A server says this of itself. Returns whether that is news.
    pub fn offer(&mut self, node: Node, record: Record) -> bool {
        if self.get(node).is_some_and(|known| known.version >= record.version) {
            return false;
        }
        self.records.insert(node, record);
        true
    }

    /// Forgets a server.
    pub fn remove(&mut self, node: Node) {
        self.records.remove(&node);
    }

    /// The servers that `node` is linked with, as both ends say.
    fn linked(&self, node: Node) -> impl Iterator<Item = Node> {
        let says = move |other: Node| self.get(other).is_some_and(|record| record.neighbours.contains(&node));
        let neighbours = self.get(node).into_iter().flat_map(|record| record.neighbours.iter().copied());
        neighbours.filter(move |&other| other != node && says(other))
    }

    /// The neighbour of `from` by which each other server is reached in the fewest hops; of several, the one of the lowest
    /// id.
    pub fn next_hops(&self, from: Node) -> BTreeMap<Node, Node> {
        let mut hops = BTreeMap::new();
        let mut queue: VecDeque<Node> = self.linked(from).collect();
        hops.extend(queue.iter().map(|&node| (node, node)));
        while let Some(node) = queue.pop_front() {
            let first = hops[&node];
            for next in self.linked(node).filter(|next| *next != from) {
                hops.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    first
                });
            }
        }
        hops
    }

    /// Servers around a cycle, in order, if there is one among those that are linked with `node` by whatever way. Where there
    /// are several, all servers find the same one.
    pub fn ring(&self, node: Node) -> Vec<Node> {
        let Some(lowest) = self.next_hops(node).into_keys().chain([node]).min() else { return Vec::new() };
        let mut parents = BTreeMap::from([(lowest, lowest)]);
        let mut queue = VecDeque::from([lowest]);
        while let Some(at) = queue.pop_front() {
            for next in self.linked(at) {
                if parents[&at] == next {
                    continue;
                }
                if parents.contains_key(&next) {
                    return cycle(&parents, at, next);
                }
                parents.insert(next, at);
                queue.push_back(next);
            }
        }
        Vec::new()
    }
}

/// The way from `one` to `other` in a tree.
fn cycle(parents: &BTreeMap<Node, Node>, one: Node, other: Node) -> Vec<Node> {
    let to_root = |mut node: Node| {
        let mut way = vec![node];
        while parents[&node] != node {
            node = parents[&node];
            way.push(node);
        }
        way
    };
    let (mut way, back) = (to_root(one), to_root(other));
    // Where the two ways to the root meet.
    let meet = way.iter().position(|node| back.contains(node)).unwrap_or(way.len() - 1);
    let common = way[meet];
    way.truncate(meet + 1);
    way.extend(back.into_iter().take_while(|node| *node != common).collect::<Vec<_>>().into_iter().rev());
    // It begins with the lowest one and goes on to the lower one, whatever the tree looks like.
    let lowest = way.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
    way.rotate_left(lowest);
    if way[way.len() - 1] < way[1] {
        way[1..].reverse();
    }
    way
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(super) fn graph(edges: &[(u64, u64)]) -> Graph {
        let mut neighbours = BTreeMap::<u64, BTreeSet<Node>>::new();
        for &(a, b) in edges {
            neighbours.entry(a).or_default().insert(Node(b));
            neighbours.entry(b).or_default().insert(Node(a));
        }
        let mut graph = Graph::default();
        for (node, neighbours) in neighbours {
            graph.offer(Node(node), Record { version: 1, name: node.to_string().into(), neighbours });
        }
        graph
    }

    fn ring(edges: &[(u64, u64)], from: u64) -> Vec<u64> {
        graph(edges).ring(Node(from)).into_iter().map(|node| node.0).collect()
    }

    #[test]
    fn a_newer_record_replaces_an_older_one() {
        let mut graph = Graph::default();
        let record = |version| Record { version, ..Record::default() };
        assert!(graph.offer(Node(1), record(2)));
        assert!(!graph.offer(Node(1), record(2)) && !graph.offer(Node(1), record(1)));
        assert!(graph.offer(Node(1), record(3)));
        graph.remove(Node(1));
        assert!(graph.is_empty() && graph.offer(Node(1), record(1)));
    }

    #[test]
    fn messages_take_the_shortest_way() {
        let graph = graph(&[(1, 2), (2, 3), (3, 4), (4, 5), (5, 1)]);
        let hops: Vec<_> = graph.next_hops(Node(1)).into_iter().map(|(to, by)| (to.0, by.0)).collect();
        assert_eq!(hops, [(2, 2), (3, 2), (4, 5), (5, 5)]);
    }

    #[test]
    fn of_two_ways_of_one_length_that_by_the_lower_id_is_taken() {
        assert_eq!(graph(&[(1, 9), (1, 3), (9, 4), (3, 4)]).next_hops(Node(1))[&Node(4)], Node(3));
    }

    #[test]
    fn a_link_counts_when_both_ends_say_so() {
        let mut graph = graph(&[(1, 2), (2, 3)]);
        graph.offer(Node(3), Record { version: 2, ..Record::default() });
        assert_eq!(graph.next_hops(Node(1)).into_keys().collect::<Vec<_>>(), [Node(2)]);
    }

    #[test]
    fn rings_are_found_by_all_alike() {
        assert!(ring(&[(1, 2), (2, 3), (3, 4)], 1).is_empty());
        assert!(ring(&[], 1).is_empty());
        for from in 1..=5 {
            assert_eq!(ring(&[(1, 2), (2, 3), (3, 4), (4, 2), (4, 5)], from), [2, 3, 4]);
        }
        let square = ring(&[(7, 2), (2, 5), (5, 1), (1, 7)], 5);
        assert_eq!(square, [1, 5, 2, 7]);
    }

    proptest! {
        #[test]
        fn each_hop_comes_closer_and_rings_are_rings(edges in proptest::collection::vec((0u64..8, 0u64..8), 0..14)) {
            let edges: Vec<_> = edges.into_iter().filter(|(a, b)| a != b).collect();
            let graph = graph(&edges);
            for (from, _) in graph.records() {
                for (to, mut at) in graph.next_hops(from) {
                    let mut hops = 1;
                    while at != to {
                        at = graph.next_hops(at)[&to];
                        hops += 1;
                        prop_assert!(hops < 8, "from {from} to {to} never arrives");
                    }
                }
                let ring = graph.ring(from);
                let distinct: BTreeSet<_> = ring.iter().collect();
                prop_assert!(ring.is_empty() || (ring.len() > 2 && distinct.len() == ring.len()));
                for (at, &node) in ring.iter().enumerate() {
                    let next = ring[(at + 1) % ring.len()];
                    prop_assert!(graph.linked(node).any(|other| other == next), "{ring:?} is no ring");
                }
                // Without one, there is a link less than there are servers.
                let reached: BTreeSet<_> = graph.next_hops(from).into_keys().chain([from]).collect();
                let links: usize = reached.iter().map(|&node| graph.linked(node).count()).sum::<usize>() / 2;
                prop_assert_eq!(ring.is_empty(), links + 1 == reached.len());
            }
        }
    }
}
