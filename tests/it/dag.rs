//! Clusters whose servers pass on what is for others.

use std::time::{Duration, Instant};

use crate::harness::client::Client;
use crate::harness::http;
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::{natsd, wait_for};

/// A natsd that passes on, with routes to these.
fn node(name: &str, routes: &[&Node]) -> Node {
    Node::start(Kind::Natsd, name, Setup { routes, cluster: "route_type: dag", ..Setup::default() })
}

/// Servers of which each one after the first has a route to the one before, and a client on each.
fn chain<const N: usize>() -> ([Node; N], Vec<Client>) {
    let mut nodes: Vec<Node> = Vec::new();
    for at in 0..N {
        let before: Vec<&Node> = nodes.last().into_iter().collect();
        let next = node(&format!("s{at}"), &before);
        nodes.push(next);
    }
    let clients = nodes.iter().map(Node::client).collect();
    (nodes.try_into().ok().expect("as many"), clients)
}

/// Waits until each server reaches each, and what was subscribed to before is known.
fn settle(clients: &mut [Client], marker: &str) {
    for (at, client) in clients.iter_mut().enumerate() {
        client.subscribe(&format!("{marker}.{at}"), marker);
        client.flush();
    }
    for at in 0..clients.len() {
        for other in (0..clients.len()).filter(|other| *other != at) {
            clients[at].wait_for_interest(&format!("{marker}.{other}"), true);
        }
    }
}

/// Publishes some messages at `from`, and a last one by which all have come that were to. Gives how often each came to `to`.
fn heard(clients: &mut [Client], (from, to): (usize, usize), subject: &str) -> Vec<usize> {
    const COUNT: usize = 20;
    for number in 0..COUNT {
        clients[from].publish(subject, &number.to_string());
    }
    clients[from].publish(subject, "end");
    let mut counts = vec![0; COUNT];
    loop {
        let payload = clients[to].next().payload;
        match payload.parse::<usize>() {
            Ok(number) => counts[number] += 1,
            Err(_) => break,
        }
    }
    // A second copy would come a little later, by a longer way: this goes all those ways.
    settle(clients, &format!("after.{from}.{to}.{subject}"));
    assert!(clients[to].drain().is_empty(), "something came twice");
    counts
}

#[test]
fn the_ends_of_a_chain_hear_each_other_once() {
    let (_nodes, mut clients) = chain::<3>();
    clients[2].subscribe("far", "1");
    clients[1].subscribe("near", "1");
    settle(&mut clients, "ready");
    assert_eq!(heard(&mut clients, (0, 2), "far"), [1; 20]);
    assert_eq!(heard(&mut clients, (0, 1), "near"), [1; 20]);
    assert_eq!(heard(&mut clients, (2, 1), "near"), [1; 20]);
}

#[test]
fn with_a_link_to_spare_messages_come_once_all_the_same() {
    let (nodes, mut clients) = chain::<2>();
    let last = node("s2", &[&nodes[0], &nodes[1]]);
    clients.push(last.client());
    clients[2].subscribe("far", "1");
    clients[1].subscribe("far", "1");
    settle(&mut clients, "ready");
    assert_eq!(heard(&mut clients, (0, 2), "far"), [1; 20]);
    assert_eq!(clients[1].take(21).len(), 21);
}

#[test]
fn a_ring_is_reported_within_two_seconds() {
    let (nodes, mut clients) = chain::<3>();
    settle(&mut clients, "ready");
    assert!(nodes.iter().all(|node| !node.log().contains("Routes form a ring")));
    let monitor = free_port();
    let more = format!("http: \"127.0.0.1:{monitor}\"");
    let setup = Setup { routes: &[&nodes[0], &nodes[2]], cluster: "route_type: dag", more: &more, ..Setup::default() };
    let closing = Node::start(Kind::Natsd, "s3", setup);
    let start = Instant::now();
    for node in nodes.iter().chain([&closing]) {
        wait_for("the ring", || node.log().contains("Routes form a ring").then_some(()));
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    let cluster = http::json(monitor, "/varz")["cluster"].take();
    assert_eq!(cluster["route_type"], "dag");
    let mut ring: Vec<_> = cluster["ring"].as_array().expect("names").iter().filter_map(|name| name.as_str()).collect();
    ring.sort_unstable();
    assert_eq!(ring, ["s0", "s1", "s2", "s3"]);
    // It is no storm: each message comes once, and nothing goes around.
    clients.push(closing.client());
    clients[2].subscribe("across", "1");
    settle(&mut clients, "closed");
    assert_eq!(heard(&mut clients, (0, 2), "across"), [1; 20]);
    assert!(nodes[0].log().matches("Routes form a ring").count() == 1);
}

#[test]
fn interest_that_ends_is_gone_everywhere() {
    let (_nodes, mut clients) = chain::<4>();
    clients[3].subscribe("short", "9");
    settle(&mut clients, "ready");
    assert!(clients[0].sees_interest("short"));
    clients[3].send("UNSUB 9\r\n");
    clients[3].flush();
    assert!(clients[0].wait_for_interest("short", false) < Duration::from_secs(2));
}

#[test]
fn a_queue_group_over_hops_is_served_evenly() {
    const MESSAGES: usize = 3000;
    let (_nodes, mut clients) = chain::<3>();
    for client in &mut clients {
        client.subscribe_queue("work", "q", "q");
    }
    settle(&mut clients, "ready");
    for number in 0..MESSAGES {
        clients[0].publish("work", &number.to_string());
    }
    clients[0].flush();
    let mut served = vec![0; clients.len()];
    wait_for("all messages", || {
        for (client, served) in clients.iter_mut().zip(&mut served) {
            *served += client.drain().len();
        }
        (served.iter().sum::<usize>() >= MESSAGES).then_some(())
    });
    assert_eq!(served.iter().sum::<usize>(), MESSAGES);
    assert!(served.iter().all(|count| (800..1200).contains(count)), "{served:?}");
}

#[test]
fn requests_are_answered_over_three_hops() {
    let (_nodes, mut clients) = chain::<4>();
    clients[3].subscribe("service", "1");
    clients[0].subscribe("_INBOX.1", "2");
    settle(&mut clients, "ready");
    clients[0].request("service", "_INBOX.1", "?");
    let request = clients[3].next();
    assert_eq!(request.reply.as_deref(), Some("_INBOX.1"));
    clients[3].publish("_INBOX.1", "!");
    assert_eq!(clients[0].next().payload, "!");
    // Nobody is there, and this is said at once.
    clients[0].request("nobody", "_INBOX.1", "?");
    assert!(clients[0].next().headers.contains("503"));
}

#[test]
fn when_the_middle_dies_traffic_goes_the_other_way() {
    let (nodes, mut clients) = chain::<3>();
    let spare = node("s3", &[&nodes[0], &nodes[2]]);
    clients.push(spare.client());
    clients[2].subscribe("far", "1");
    settle(&mut clients, "ready");
    nodes[1].kill();
    let mut survivors = vec![clients.remove(0), clients.remove(1), clients.remove(1)];
    let start = Instant::now();
    wait_for("a message the other way", || {
        survivors[0].publish("far", "x");
        survivors[0].flush();
        (!survivors[1].drain().is_empty()).then_some(())
    });
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    nodes[1].restart();
    let mut back = nodes[1].client();
    back.wait_for_interest("far", true);
    survivors.push(back);
    settle(&mut survivors, "again");
    survivors[1].drain();
    assert_eq!(heard(&mut survivors, (0, 1), "far"), [1; 20]);
}

#[test]
fn two_passive_servers_see_each_other_over_an_active_one() {
    let cluster = "route_type: dag\npassive: true";
    let [one, two] = ["p", "q"].map(|name| Node::start(Kind::Natsd, name, Setup { cluster, ..Setup::default() }));
    let hub = node("hub", &[&one, &two]);
    let mut clients = [one.client(), two.client(), hub.client()];
    clients[1].subscribe("there", "1");
    settle(&mut clients, "ready");
    assert_eq!(heard(&mut clients, (0, 1), "there"), [1; 20]);
}

#[test]
fn accounts_and_headers_survive_hops() {
    let accounts = "accounts { A { users: [{user: a, password: a}] }, B { users: [{user: b, password: b}] } }";
    let cluster = "route_type: dag";
    let first = Node::start(Kind::Natsd, "s0", Setup { cluster, more: accounts, ..Setup::default() });
    // The one in between knows of no such accounts.
    let between = node("s1", &[&first]);
    let last =
        Node::start(Kind::Natsd, "s2", Setup { routes: &[&between], cluster, more: accounts, ..Setup::default() });
    let mut to = Client::connect_with(last.port, "a", "a");
    let mut other = Client::connect_with(last.port, "b", "b");
    to.subscribe("x.>", "1");
    other.subscribe("x.>", "1");
    to.flush();
    other.flush();
    let mut from = Client::connect_with(first.port, "a", "a");
    from.wait_for_interest("x.y", true);
    from.send("HPUB x.y 23 25\r\nNATS/1.0\r\nName: one\r\n\r\nhi\r\n");
    from.flush();
    let delivery = to.next();
    assert_eq!((delivery.payload.as_str(), delivery.headers.contains("Name: one")), ("hi", true));
    from.publish("x.end", "end");
    assert_eq!(to.next().payload, "end");
    assert!(other.drain().is_empty());
}

/// Both leaf nodes are of one cluster, which gets nothing back of what it publishes, and each message once.
#[test]
fn leaf_nodes_are_reached_over_hops() {
    let (one, two) = (free_port(), free_port());
    let (leafs_of_first, leafs_of_last) = (
        format!("leafnodes {{ listen: \"127.0.0.1:{one}\" }}"),
        format!("leafnodes {{ listen: \"127.0.0.1:{two}\" }}"),
    );
    let cluster = "route_type: dag";
    let first = Node::start(Kind::Natsd, "s0", Setup { cluster, more: &leafs_of_first, ..Setup::default() });
    let between = node("s1", &[&first]);
    let setup = Setup { routes: &[&between], cluster, more: &leafs_of_last, ..Setup::default() };
    let last = Node::start(Kind::Natsd, "s2", setup);
    let leaf = |name: &str, port: u16| {
        let more = format!("leafnodes {{ remotes: [{{ url: \"nats://127.0.0.1:{port}\" }}] }}");
        Node::start(Kind::Natsd, name, Setup { cluster: &format!("name: {name}"), more: &more, ..Setup::default() })
    };
    let (near, far) = (leaf("near", one), leaf("far", two));
    let mut clients = [near.client(), far.client(), first.client(), between.client(), last.client()];
    clients[1].subscribe("at.leaf", "1");
    clients[2].subscribe("at.hub", "1");
    settle(&mut clients, "ready");
    assert_eq!(heard(&mut clients, (0, 1), "at.leaf"), [1; 20]);
    assert_eq!(heard(&mut clients, (3, 1), "at.leaf"), [1; 20]);
    assert_eq!(heard(&mut clients, (1, 2), "at.hub"), [1; 20]);
    clients[1].send("UNSUB 1\r\n");
    clients[1].flush();
    clients[0].wait_for_interest("at.leaf", false);
}

#[test]
fn the_system_account_reaches_all_servers() {
    let users = "accounts { $SYS { users: [{user: sys, password: s}] } }";
    let cluster = "route_type: dag";
    let start = |name, routes: &[&Node]| {
        Node::start(Kind::Natsd, name, Setup { routes, cluster, more: users, ..Setup::default() })
    };
    let first = start("s0", &[]);
    let between = start("s1", &[&first]);
    let last = start("s2", &[&between]);
    let mut operator = Client::connect_with(first.port, "sys", "s");
    operator.subscribe("answers", "1");
    for node in [&between, &last] {
        let mut there = Client::connect_with(node.port, "sys", "s");
        there.wait_for_interest("answers", true);
    }
    let mut names = std::collections::BTreeSet::new();
    wait_for("answers of all servers", || {
        operator.request("$SYS.REQ.SERVER.PING", "answers", "");
        names.extend(operator.drain().into_iter().filter_map(|answer| {
            let answer: serde_json::Value = serde_json::from_str(&answer.payload).ok()?;
            Some(answer["server"]["name"].as_str()?.to_owned())
        }));
        (names.len() == 3).then_some(())
    });
}

#[test]
fn servers_of_a_mesh_and_of_a_dag_refuse_each_other_and_say_why() {
    let mesh = Node::start(Kind::Natsd, "m", Setup::default());
    let dag = node("d", &[&mesh]);
    let said = "d has route_type dag and m has route_type mesh: set the same in cluster {} of both";
    wait_for("a refusal", || dag.log().contains(said).then_some(()));
    wait_for("a refusal", || mesh.log().contains("set the same in cluster {} of both").then_some(()));
    let (mut here, mut there) = (mesh.client(), dag.client());
    here.subscribe("foo", "1");
    here.flush();
    assert!(!there.sees_interest("foo"));
}

#[cfg(feature = "interop")]
#[test]
fn nats_server_is_refused() {
    let go = Node::start(Kind::Go, "g", Setup::default());
    let dag = node("d", &[&go]);
    let said = "d has route_type dag and g has route_type mesh: set the same in cluster {} of both";
    wait_for("a refusal", || dag.log().contains(said).then_some(()));
    // It shows what it is told where it dials.
    let dialler = Node::start(Kind::Go, "h", Setup { routes: &[&dag], ..Setup::default() });
    let said = "d has route_type dag and h has route_type mesh: set the same in cluster {} of both";
    wait_for("a refusal", || dialler.log().contains(said).then_some(()));
    wait_for("a refusal", || dag.log().contains(said).then_some(()));
}

#[test]
fn what_there_is_not_over_hops_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("server.conf");
    for (block, reason) in [
        ("listen: 6222, route_type: dag, accounts: [\"$G\"]", "remove accounts, or route_type"),
        ("listen: 6222, route_type: tree", "mesh or dag"),
        ("listen: 6222, route_type: dag }\ngateway { name: c, listen: 7222", "remove gateway, or route_type"),
    ] {
        std::fs::write(&file, format!("cluster {{ {block} }}\n")).expect("a file");
        let output = natsd(&["-t", "-c", file.to_str().expect("a plain name")]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(reason), "{block}: {said}");
    }
}
