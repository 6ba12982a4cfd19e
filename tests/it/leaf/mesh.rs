//! Clusters of hubs and of leaf nodes, several hops, and what happens when some of it is gone.

use std::time::{Duration, Instant};

use super::{publisher, subscriber};
use crate::cluster::{everybody_hears_everybody_once, join, settle};
use crate::harness::client::Client;
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::{Program, TestServer, wait_for};

/// How long interest may take that is back.
const CONVERGENCE: Duration = Duration::from_secs(2);

/// The same with natsd alone, and with nats-server as hubs, as leaf nodes, and in every second place.
macro_rules! with_clusters {
    ($($scenario:ident),* $(,)?) => {
        mod natsd_alone {
            use crate::harness::node::Kind::Natsd;
            $(#[test] fn $scenario() { super::$scenario([Natsd; 3], [Natsd; 3]) })*
        }
        #[cfg(feature = "interop")]
        mod leafs_of_go {
            use crate::harness::node::Kind::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario([Natsd; 3], [Go; 3]) })*
        }
        #[cfg(feature = "interop")]
        mod hubs_of_go {
            use crate::harness::node::Kind::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario([Go; 3], [Natsd; 3]) })*
        }
        #[cfg(feature = "interop")]
        mod mixed {
            use crate::harness::node::Kind::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario([Natsd, Go, Natsd], [Go, Natsd, Go]) })*
        }
    };
}

with_clusters!(
    everybody_hears_everybody_across_two_clusters,
    hubs_are_killed_and_come_back,
    leaf_nodes_are_killed_and_come_back
);

/// Three servers of one cluster; each has what `more` says of it in `leafnodes {}`.
fn cluster(kinds: [Kind; 3], name: &str, more: [String; 3]) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for (at, (kind, more)) in kinds.into_iter().zip(more).enumerate() {
        let more = format!("leafnodes {{ compression: off, reconnect: \"100ms\"\n{more} }}");
        let routes: Vec<&Node> = nodes.iter().collect();
        let cluster = format!("name: {name}");
        let setup = Setup { routes: &routes, cluster: &cluster, more: &more, ..Setup::default() };
        nodes.push(Node::start(kind, &format!("{name}{at}"), setup));
    }
    nodes
}

/// Three hubs, and three leaf nodes of which each prefers a hub of its own. Hubs come first.
fn clusters(hubs: [Kind; 3], leafs: [Kind; 3]) -> Vec<Node> {
    let ports = [(); 3].map(|()| free_port());
    let mut nodes = cluster(hubs, "hub", ports.map(|port| format!("listen: \"127.0.0.1:{port}\"")));
    let remotes = [0, 1, 2].map(|first| {
        let urls: Vec<_> = (0..3).map(|at| format!("\"nats-leaf://127.0.0.1:{}\"", ports[(first + at) % 3])).collect();
        format!("remotes: [{{ urls: [{}], compression: off, no_randomize: true }}]", urls.join(", "))
    });
    nodes.extend(cluster(leafs, "leaf", remotes));
    nodes
}

fn everybody_hears_everybody_across_two_clusters(hubs: [Kind; 3], leafs: [Kind; 3]) {
    let nodes = clusters(hubs, leafs);
    let mut clients = join(&nodes);
    everybody_hears_everybody_once(&nodes, &mut clients, "before");
    // Of a group in all places one gets it, and it is one where it was published as long as there is one.
    for client in &mut clients {
        client.subscribe_queue("work", "q", "work");
    }
    settle(&nodes, &mut clients, "grouped");
    for (at, publishes_to_hubs) in [(0, true), (4, false)] {
        for n in 0..60 {
            clients[at].publish("work", &n.to_string());
        }
        clients[at].flush();
        let mut shares = [0; 6];
        wait_for("the members", || {
            for (share, client) in shares.iter_mut().zip(&mut clients) {
                *share += client.drain().len();
            }
            (shares.iter().sum::<usize>() >= 60).then_some(())
        });
        let (of_hubs, of_leafs) = (shares[..3].iter().sum::<usize>(), shares[3..].iter().sum::<usize>());
        assert_eq!(of_hubs + of_leafs, 60, "{shares:?}");
        assert_eq!(of_hubs == 60, publishes_to_hubs, "{shares:?}");
    }
}

/// Kills one server after the other, and lets it come back.
fn each_is_killed(nodes: &[Node], victims: std::ops::Range<usize>) {
    let mut clients = join(nodes);
    for victim in victims {
        nodes[victim].kill();
        let start = Instant::now();
        let (mut others, mut left) = (Vec::new(), Vec::new());
        for (at, (node, client)) in nodes.iter().zip(clients).enumerate() {
            if at != victim {
                left.push(node);
                others.push(client);
            }
        }
        settle(&left, &mut others, &format!("without{victim}"));
        let took = start.elapsed();
        assert!(took < CONVERGENCE, "without {victim}, all know of each other after {took:?}");
        everybody_hears_everybody_once(&left, &mut others, &format!("still{victim}"));
        nodes[victim].restart();
        others.insert(victim, nodes[victim].client());
        clients = others;
        let start = Instant::now();
        settle(nodes, &mut clients, &format!("back{victim}"));
        let took = start.elapsed();
        assert!(took < CONVERGENCE, "{victim} is back, and all know of each other after {took:?}");
        everybody_hears_everybody_once(nodes, &mut clients, &format!("again{victim}"));
    }
}

fn hubs_are_killed_and_come_back(hubs: [Kind; 3], leafs: [Kind; 3]) {
    each_is_killed(&clusters(hubs, leafs), 0..2);
}

fn leaf_nodes_are_killed_and_come_back(hubs: [Kind; 3], leafs: [Kind; 3]) {
    each_is_killed(&clusters(hubs, leafs), 3..5);
}

/// A leaf node of natsd that knows two ways to the same cluster.
mod two_ways {
    use super::*;

    fn one_waits_for_the_other(hubs: [Kind; 3]) {
        let ports = [(); 3].map(|()| free_port());
        let nodes = cluster(hubs, "hub", ports.map(|port| format!("listen: \"127.0.0.1:{port}\"")));
        let remote =
            |port: &u16| format!("{{ url: \"nats-leaf://127.0.0.1:{port}\", ignore_discovered_servers: true }}");
        let remotes: Vec<_> = ports[..2].iter().map(remote).collect();
        let mut leaf = TestServer::natsd(&format!(
            "server_name: leaf\nleafnodes {{ reconnect: \"100ms\", remotes: [{}] }}",
            remotes.join(", ")
        ));
        super::super::wait_for_log(&mut leaf, "Leafnode connection waits");
        let mut here = subscriber(&leaf, "down");
        let mut hub = nodes[2].client();
        hub.subscribe("up", "1");
        let mut client = Client::connect(leaf.port);
        for round in 0..4 {
            let start = Instant::now();
            hub.wait_for_interest("down", true);
            client.wait_for_interest("up", true);
            assert!(start.elapsed() < CONVERGENCE, "round {round}: {:?}", start.elapsed());
            for n in 0..20 {
                hub.publish("down", &n.to_string());
                client.publish("up", &n.to_string());
            }
            assert_eq!((here.take(20).len(), hub.take(20).len()), (20, 20));
            client.flush();
            assert!(here.drain().is_empty() && hub.drain().is_empty(), "round {round}: each once");
            // One after the other is gone, whichever is in use.
            nodes[round % 2].kill();
            hub.wait_for_interest("down", true);
            nodes[round % 2].restart();
        }
    }

    #[test]
    fn one_waits_for_the_other_at_natsd() {
        one_waits_for_the_other([Kind::Natsd; 3]);
    }

    #[cfg(feature = "interop")]
    #[test]
    fn one_waits_for_the_other_at_nats_server() {
        one_waits_for_the_other([Kind::Go; 3]);
    }
}

/// The same of three servers in a row, of which each is a leaf node of the one before.
macro_rules! with_rows {
    ($($scenario:ident),* $(,)?) => {
        mod row_of_natsd {
            use crate::harness::server::Program::Natsd;
            $(#[test] fn $scenario() { super::$scenario([Natsd; 3]) })*
        }
        #[cfg(feature = "interop")]
        mod row_of_both {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() {
                for programs in [[Natsd, Go, Natsd], [Go, Natsd, Go], [Natsd, Natsd, Go], [Go, Natsd, Natsd]] {
                    super::$scenario(programs);
                }
            })*
        }
    };
}

with_rows!(what_is_hops_away_is_reached_once, loops_over_several_hops_are_found);

/// `name` takes leaf nodes at `own`, and dials those of `hubs`.
pub fn hop(program: Program, name: &str, own: u16, hubs: &[u16]) -> TestServer {
    let remote = |port: &u16| format!("{{ url: \"nats-leaf://127.0.0.1:{port}\", compression: off }}");
    let remotes: Vec<_> = hubs.iter().map(remote).collect();
    let config = format!(
        "server_name: {name}\nleafnodes {{ listen: \"127.0.0.1:{own}\", compression: off, reconnect: \"100ms\"\n\
         remotes: [{}] }}",
        remotes.join(", ")
    );
    TestServer::start(program, &config)
}

fn what_is_hops_away_is_reached_once(programs: [Program; 3]) {
    let ports = [(); 3].map(|()| free_port());
    let first = hop(programs[0], "first", ports[0], &[]);
    let second = hop(programs[1], "second", ports[1], &[ports[0]]);
    let third = hop(programs[2], "third", ports[2], &[ports[1]]);
    for (from, to, subject) in [(&first, &third, "down"), (&third, &first, "up"), (&second, &third, "near")] {
        let mut listener = subscriber(to, subject);
        let mut grouped = Client::connect(to.port);
        grouped.subscribe_queue(subject, "q", "1");
        grouped.flush();
        let mut client = publisher(from, subject);
        // What asked for interest may have come before the group was known.
        wait_for("the group", || {
            client.publish(subject, "try");
            client.flush();
            (!grouped.drain().is_empty()).then_some(())
        });
        client.publish(subject, "end");
        let until_end = |client: &mut Client| {
            let mut count = 0;
            while client.next().payload != "end" {
                count += 1;
            }
            count
        };
        assert!(until_end(&mut listener) > 0);
        until_end(&mut grouped);
        client.flush();
        assert!(listener.drain().is_empty() && grouped.drain().is_empty(), "{subject} comes once");
    }
}

fn loops_over_several_hops_are_found(programs: [Program; 3]) {
    let ports = [(); 3].map(|()| free_port());
    let mut servers = [
        hop(programs[0], "first", ports[0], &[ports[2]]),
        hop(programs[1], "second", ports[1], &[ports[0]]),
        hop(programs[2], "third", ports[2], &[ports[1]]),
    ];
    // Whoever sees what it told itself come back first breaks the ring.
    let found = wait_for("one that finds it", || {
        servers.iter_mut().position(|server| server.has_logged("Loop detected for leafnode account=\"$G\""))
    });
    assert!(found < servers.len());
}
