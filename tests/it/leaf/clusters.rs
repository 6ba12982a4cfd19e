//! Leaf nodes of clusters, and clusters of leaf nodes.

use crate::harness::client::Client;
use crate::harness::node::{Kind, Node, Setup, free_port};

/// The same scenarios with natsd alone, and with both programs in every place.
macro_rules! with_kinds {
    ($($scenario:ident),* $(,)?) => {
        mod natsd_alone {
            use crate::harness::node::Kind::Natsd;
            $(#[test] fn $scenario() { super::$scenario([Natsd; 4]) })*
        }
        #[cfg(feature = "interop")]
        mod mixed {
            use crate::harness::node::Kind::{Go, Natsd};
            $(#[test] fn $scenario() {
                for kinds in [[Natsd, Go, Go, Natsd], [Go, Natsd, Natsd, Go], [Natsd, Natsd, Go, Go]] {
                    super::$scenario(kinds);
                }
            })*
        }
    };
}

with_kinds!(
    interest_behind_a_leaf_node_is_known_in_the_cluster,
    clusters_of_leaf_nodes_get_one_copy,
    imported_streams_cross_the_cluster,
);

/// Two servers of one cluster, of which each is a leaf node of one of `hubs`, or takes leaf nodes.
fn cluster(kinds: [Kind; 2], name: &str, more: [&str; 2]) -> [Node; 2] {
    cluster_with(kinds, name, more, "")
}

/// The same, with `all` at the top level of both.
fn cluster_with(kinds: [Kind; 2], name: &str, more: [&str; 2], all: &str) -> [Node; 2] {
    let cluster = format!("name: {name}");
    let leafnodes = more.map(|more| format!("leafnodes {{ compression: off, reconnect: \"100ms\"\n{more} }}\n{all}"));
    let one = Node::start(
        kinds[0],
        &format!("{name}1"),
        Setup { cluster: &cluster, more: &leafnodes[0], ..Setup::default() },
    );
    let two = Node::start(
        kinds[1],
        &format!("{name}2"),
        Setup { routes: &[&one], cluster: &cluster, more: &leafnodes[1], ..Setup::default() },
    );
    [one, two]
}

fn accepts(port: u16) -> String {
    format!("listen: \"127.0.0.1:{port}\"")
}

fn dials(port: u16) -> String {
    dials_as("", port)
}

/// With `user:password@`.
fn dials_as(user: &str, port: u16) -> String {
    format!(
        "remotes: [{{ url: \"nats-leaf://{user}127.0.0.1:{port}\", compression: off, ignore_discovered_servers: true }}]"
    )
}

/// A leaf node in a cluster of its own.
fn leaf(kind: Kind, dialled: &str) -> Node {
    let more = format!("leafnodes {{ compression: off, reconnect: \"100ms\"\n{dialled} }}");
    Node::start(kind, "leaf", Setup { cluster: "name: leafs", more: &more, ..Setup::default() })
}

fn subscribed(node: &Node, subject: &str) -> Client {
    let mut client = node.client();
    client.subscribe(subject, "1");
    client.flush();
    client
}

fn interest_behind_a_leaf_node_is_known_in_the_cluster(kinds: [Kind; 4]) {
    let port = free_port();
    let hubs = cluster([kinds[0], kinds[1]], "hubs", [&accepts(port), ""]);
    let leaf = leaf(kinds[3], &dials(port));
    let mut at_leaf = subscribed(&leaf, "foo");
    let mut far = hubs[1].client();
    far.wait_for_interest("foo", true);
    far.publish("foo", "from afar");
    assert_eq!(at_leaf.next().payload, "from afar");

    let mut at_far = subscribed(&hubs[1], "bar");
    let mut from_leaf = leaf.client();
    from_leaf.wait_for_interest("bar", true);
    from_leaf.publish("bar", "from the leaf");
    assert_eq!(at_far.next().payload, "from the leaf");

    at_leaf.send("UNSUB 1\r\n");
    at_leaf.flush();
    far.wait_for_interest("foo", false);
}

fn clusters_of_leaf_nodes_get_one_copy(kinds: [Kind; 4]) {
    let ports = [free_port(), free_port()];
    let hubs = cluster([kinds[0], kinds[1]], "hubs", [&accepts(ports[0]), &accepts(ports[1])]);
    let leafs = cluster([kinds[2], kinds[3]], "leafs", [&dials(ports[0]), &dials(ports[1])]);
    let mut listeners: Vec<_> = hubs.iter().chain(&leafs).map(|node| subscribed(node, "foo")).collect();
    for (at, node) in hubs.iter().chain(&leafs).enumerate() {
        // Whoever publishes knows of all others once their own messages come by every way.
        let mut client = node.client();
        client.wait_for_interest("foo", true);
        let reach = |client: &mut Client, listeners: &mut Vec<Client>| {
            client.publish("foo", "try");
            client.flush();
            listeners.iter_mut().map(|listener| listener.drain().len()).collect::<Vec<_>>()
        };
        crate::harness::server::wait_for("everybody", || {
            let got = reach(&mut client, &mut listeners);
            got.iter().all(|count| *count > 0).then_some(())
        });
        for listener in &mut listeners {
            listener.drain();
        }
        for n in 0..20 {
            client.publish("foo", &format!("{at} {n}"));
        }
        client.publish("foo", "end");
        for (of, listener) in listeners.iter_mut().enumerate() {
            let mut got = Vec::new();
            while got.last().is_none_or(|last: &String| last != "end") {
                got.push(listener.next().payload);
            }
            got.retain(|payload| payload != "try");
            assert_eq!(got.len(), 21, "{of} got of {at}: {got:?}");
            assert!(listener.drain().iter().all(|late| late.payload == "try"), "{of} got more of {at}");
        }
    }
}

fn imported_streams_cross_the_cluster(kinds: [Kind; 4]) {
    const ACCOUNTS: &str = "accounts { A { users: [{ user: a, password: a }], exports: [{ stream: \"news.>\" }] }\n\
        B { users: [{ user: b, password: b }], imports: [{ stream: { account: A, subject: \"news.>\" }, prefix: of }] } }";
    let port = free_port();
    let hubs = cluster_with([kinds[0], kinds[1]], "hubs", [&accepts(port), ""], ACCOUNTS);
    let leaf = leaf(kinds[3], &dials_as("b:b@", port));
    let mut at_leaf = subscribed(&leaf, "of.news.*");
    let [mut near, mut far] = hubs.each_ref().map(|hub| Client::connect_as(hub.port, "a"));
    for (exporter, from) in [(&mut near, "near"), (&mut far, "far")] {
        exporter.wait_for_interest("news.x", true);
        exporter.publish("news.x", from);
        let got = at_leaf.next();
        assert_eq!((got.subject.as_str(), got.payload.as_str()), ("of.news.x", from));
    }
    at_leaf.send("UNSUB 1\r\n");
    at_leaf.flush();
    far.wait_for_interest("news.x", false);
    assert!(at_leaf.drain().is_empty(), "each once");
}
