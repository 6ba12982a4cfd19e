//! The ASes and the links between them that the paths of a server pass: which there are, and where they are drawn.
//!
//! ASes stand in columns, by how many links they are away at most. A link that skips a column passes it in a row of its
//! own, so that links are drawn from one column to the next alone.

use std::collections::{BTreeMap, BTreeSet};

use natsd_api::{PathInfo, PathState, Pathz, PeerInfo};

/// Most columns; what is further away is not drawn.
const COLUMNS: usize = 12;
/// Most ASes and links; what comes after is not drawn. Best paths come first.
const MOST: usize = 200;

/// How a link is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Use {
    /// By paths that are dead or excluded alone.
    Dead,
    /// By paths that could carry traffic.
    Idle,
    /// It carries traffic.
    Active,
}

/// An AS, or a link that passes a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Empty of a link that passes.
    pub(crate) name: String,
    pub(crate) column: usize,
    /// Rows in its column: the first one, and how many.
    pub(crate) row: usize,
    pub(crate) height: usize,
    pub(crate) usage: Use,
}

/// A link, or a part of one, from one column to the next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The rows that it leaves from and comes to.
    pub(crate) rows: (usize, usize),
    /// The numbers of its interfaces; of a part in the middle of a link, empty.
    pub(crate) labels: (String, String),
    pub(crate) usage: Use,
    /// The selected path goes this way.
    pub(crate) selected: bool,
}

/// What is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map {
    pub(crate) nodes: Vec<Node>,
    pub(crate) edges: Vec<Edge>,
    /// Something is not drawn.
    pub(crate) cut: bool,
}

/// A link between two ASes.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) ends: (String, String),
    /// The numbers of its interfaces.
    pub(crate) labels: (String, String),
    pub(crate) usage: Use,
    selected: bool,
}

/// The links that the paths of a server pass, each once.
pub(crate) fn links(pathz: &Pathz) -> Vec<Link> {
    Network::of(pathz, None).links
}

struct Network {
    links: Vec<Link>,
    /// How many links an AS is away at most.
    depth: BTreeMap<String, usize>,
    cut: bool,
}

impl Network {
    fn of(pathz: &Pathz, selected: Option<(&PeerInfo, &str)>) -> Self {
        let home = pathz.local_as.clone().unwrap_or_else(|| "here".into());
        let mut links = BTreeMap::<[End; 2], Link>::new();
        let mut depth = BTreeMap::from([(home.clone(), 0)]);
        let mut cut = false;
        for (peer, path) in pathz.peers.iter().flat_map(|peer| peer.paths.iter().map(move |path| (peer, path))) {
            let looked_at =
                |(of, fingerprint): (&PeerInfo, &str)| std::ptr::eq(of, peer) && fingerprint == path.fingerprint;
            let steps = steps(&home, peer, path);
            if steps.len() >= COLUMNS || links.len() + steps.len() > MOST {
                cut = true;
                continue;
            }
            for (index, (from, to)) in steps.into_iter().enumerate() {
                let deepest = depth.entry(to.0.clone()).or_insert(0);
                *deepest = (*deepest).max(index + 1);
                let mut key = [from.clone(), to.clone()];
                key.sort();
                let (ends, labels) = ((from.0, to.0), (from.1, to.1));
                let link = links.entry(key).or_insert(Link { ends, labels, usage: Use::Dead, selected: false });
                link.usage = link.usage.max(usage(peer, path));
                link.selected |= selected.is_some_and(looked_at);
            }
        }
        let links = links.into_values().filter(|link| link.ends.0 != link.ends.1).collect();
        Self { links, depth, cut }
    }
}

impl Map {
    /// Of all paths of a server. `selected` is the peer and the fingerprint of the path that is looked at.
    pub(crate) fn of(pathz: &Pathz, selected: Option<(&PeerInfo, &str)>) -> Self {
        let mut network = Network::of(pathz, selected);
        separate(&network.links, &mut network.depth);
        Self { cut: network.cut, ..lay_out(&network.links, &network.depth) }
    }

    /// Rows that all of it takes.
    pub(crate) fn height(&self) -> usize {
        self.nodes.iter().map(|node| node.row + node.height).max().unwrap_or(0)
    }

    pub(crate) fn columns(&self) -> usize {
        self.nodes.iter().map(|node| node.column + 1).max().unwrap_or(0)
    }
}

type End = (String, String);

/// The links of a path: AS and interface at both ends of each.
fn steps(home: &str, peer: &PeerInfo, path: &PathInfo) -> Vec<(End, End)> {
    let end = |interface: &str| {
        let (isd_as, id) = interface.split_once('#').unwrap_or((interface, ""));
        (isd_as.to_owned(), id.to_owned())
    };
    match (&path.local_addr, &path.remote_addr) {
        (Some(here), Some(there)) => vec![((home.to_owned(), here.clone()), (peer.remote_as.clone(), there.clone()))],
        _ if path.interfaces.is_empty() => {
            let label = crate::reasons::transport(path.transport).to_owned();
            vec![((home.to_owned(), label), (peer.remote_as.clone(), String::new()))]
        }
        _ => path.interfaces.chunks_exact(2).map(|pair| (end(&pair[0]), end(&pair[1]))).collect(),
    }
}

fn usage(peer: &PeerInfo, path: &PathInfo) -> Use {
    match path.state {
        _ if peer.active.as_ref() == Some(&path.fingerprint) => Use::Active,
        PathState::Dead | PathState::Excluded => Use::Dead,
        _ => Use::Idle,
    }
}

/// Moves ASes that are linked and in one column apart.
fn separate(links: &[Link], depth: &mut BTreeMap<String, usize>) {
    for _ in 0..depth.len() {
        let mut moved = false;
        for Link { ends: (a, b), .. } in links {
            let (at_a, at_b) = (depth.get(a).copied().unwrap_or(0), depth.get(b).copied().unwrap_or(0));
            if at_a == at_b && at_b + 1 < COLUMNS * 2 {
                depth.insert(b.clone(), at_b + 1);
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}

fn lay_out(links: &[Link], depth: &BTreeMap<String, usize>) -> Map {
    let mut map = Map::default();
    let mut index = BTreeMap::new();
    let used: BTreeSet<&String> = links.iter().flat_map(|link| [&link.ends.0, &link.ends.1]).collect();
    let node = |name: &str, column| Node { name: name.into(), column, row: 0, height: 1, usage: Use::Dead };
    for name in used {
        index.insert(name.clone(), map.nodes.len());
        map.nodes.push(node(name, depth.get(name).copied().unwrap_or(0)));
    }
    for link in links {
        let (a, b) = (index[&link.ends.0], index[&link.ends.1]);
        let (from, to, labels) = match map.nodes[a].column.cmp(&map.nodes[b].column) {
            std::cmp::Ordering::Less => (a, b, link.labels.clone()),
            std::cmp::Ordering::Greater => (b, a, (link.labels.1.clone(), link.labels.0.clone())),
            // Moving apart was given up.
            std::cmp::Ordering::Equal => continue,
        };
        for end in [a, b] {
            map.nodes[end].usage = map.nodes[end].usage.max(link.usage);
        }
        let (mut at, mut label) = (from, labels.0);
        for column in map.nodes[from].column + 1..=map.nodes[to].column {
            let next = if column == map.nodes[to].column { to } else { map.nodes.len() };
            if next == map.nodes.len() {
                map.nodes.push(Node { usage: link.usage, ..node("", column) });
            }
            let last = if next == to { labels.1.clone() } else { String::new() };
            map.edges.push(Edge {
                from: at,
                to: next,
                rows: (0, 0),
                labels: (std::mem::take(&mut label), last),
                usage: link.usage,
                selected: link.selected,
            });
            at = next;
        }
    }
    place(&mut map);
    map
}

/// Gives rows to nodes and edges: near to what they are linked to.
fn place(map: &mut Map) {
    let ports = |map: &Map, node: usize| {
        let count = |of: fn(&Edge) -> usize| map.edges.iter().filter(|edge| of(edge) == node).count();
        count(|edge| edge.from).max(count(|edge| edge.to)).max(1)
    };
    for node in 0..map.nodes.len() {
        map.nodes[node].height = ports(map, node);
    }
    for column in 0..map.columns() {
        let mut nodes: Vec<usize> = (0..map.nodes.len()).filter(|node| map.nodes[*node].column == column).collect();
        let wish = |node: usize| {
            let rows: Vec<usize> =
                map.edges.iter().filter(|edge| edge.to == node).map(|edge| map.nodes[edge.from].row).collect();
            // Active links are drawn on top, and straight.
            let usage = std::cmp::Reverse(map.nodes[node].usage);
            (rows.iter().sum::<usize>() * 8 / rows.len().max(1), usage, map.nodes[node].name.is_empty(), node)
        };
        nodes.sort_by_key(|node| wish(*node));
        let mut row = 0;
        for node in nodes {
            map.nodes[node].row = row;
            row += map.nodes[node].height + 1;
        }
    }
    let rows: Vec<usize> = map.nodes.iter().map(|node| node.row).collect();
    for (node, row) in rows.iter().enumerate() {
        let mut leaving: Vec<usize> = (0..map.edges.len()).filter(|edge| map.edges[*edge].from == node).collect();
        leaving.sort_by_key(|edge| (rows[map.edges[*edge].to], *edge));
        for (place, edge) in leaving.into_iter().enumerate() {
            map.edges[edge].rows.0 = row + place;
        }
    }
    for (node, row) in rows.iter().enumerate() {
        let mut coming: Vec<usize> = (0..map.edges.len()).filter(|edge| map.edges[*edge].to == node).collect();
        coming.sort_by_key(|edge| (map.edges[*edge].rows.0, *edge));
        for (place, edge) in coming.into_iter().enumerate() {
            map.edges[edge].rows.1 = row + place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn ases_stand_behind_those_they_are_reached_by() {
        let pathz = testing::pathz();
        let map = Map::of(&pathz, Some((&pathz.peers[0], "0a1b2c3d4e5f6071")));
        let columns: Vec<_> = map.nodes.iter().map(|node| (node.name.as_str(), node.column)).collect();
        assert_eq!(
            columns,
            [("1-ff00:0:110", 1), ("1-ff00:0:111", 0), ("1-ff00:0:112", 2), ("", 1)],
            "the direct link passes the column in between"
        );
        let lit: Vec<_> = map.edges.iter().filter(|edge| edge.usage == Use::Active).collect();
        assert_eq!(lit.len(), 2, "both parts of the direct link");
        assert_eq!((lit[0].labels.0.as_str(), lit[1].labels.1.as_str()), ("3", "1"));
        assert!(map.edges.iter().filter(|edge| edge.selected).all(|edge| edge.usage == Use::Idle));
    }

    #[test]
    fn what_is_drawn_does_not_overlap_and_is_bounded() {
        let mut pathz = testing::pathz();
        let hop = |n: usize, m: usize| format!("1-ff00:0:{:x}#{m}", n % 40);
        let path = testing::pathz().peers[0].paths[0].clone();
        pathz.peers[0].paths = (0..300)
            .map(|n| {
                let interfaces = (0..n % 14).flat_map(|step| [hop(n * step, n), hop(n * (step + 1) + 1, n)]).collect();
                PathInfo { interfaces, fingerprint: n.to_string(), ..path.clone() }
            })
            .collect();
        let map = Map::of(&pathz, None);
        assert!(map.cut && map.columns() <= COLUMNS * 2 + 1);
        let mut taken = BTreeSet::new();
        for node in &map.nodes {
            for row in node.row..node.row + node.height {
                assert!(taken.insert((node.column, row)), "two nodes in one place");
            }
        }
        for edge in &map.edges {
            assert_eq!(map.nodes[edge.from].column + 1, map.nodes[edge.to].column);
        }
    }

    #[test]
    fn without_scion_there_is_still_a_map() {
        let mut pathz = testing::pathz();
        pathz.local_as = None;
        pathz.peers[0].paths.truncate(1);
        pathz.peers[0].paths[0].interfaces.clear();
        let names: Vec<_> = Map::of(&pathz, None).nodes.into_iter().map(|node| node.name).collect();
        assert_eq!(names, ["1-ff00:0:112", "here"]);
        assert_eq!(Map::of(&Pathz::default(), None), Map::default());
    }
}
