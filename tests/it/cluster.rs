//! Clusters over TCP. The scenarios take the kinds of the servers, so that [`interop`](crate::interop) runs them with
//! Go's nats-server as well.

use std::borrow::Borrow;
use std::time::Instant;

use crate::harness::client::Client;
use crate::harness::node::{Kind, Node, Setup};
use crate::harness::server::TestServer;
use crate::harness::tls::Authority;
use crate::harness::{DEADLINE, POLL};

/// Two servers of which the second dials the first, and a client on each, once they see each other.
fn pair(kinds: [Kind; 2]) -> ([Node; 2], [Client; 2]) {
    let a = Node::start(kinds[0], "a", Setup::default());
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], ..Setup::default() });
    let nodes = [a, b];
    let clients = join(&nodes);
    (nodes, clients.try_into().ok().expect("two clients"))
}

/// A client on each of `nodes`, once all servers know each other.
pub fn join(nodes: &[Node]) -> Vec<Client> {
    let mut clients: Vec<_> = nodes.iter().map(Node::client).collect();
    settle(nodes, &mut clients, "ready");
    clients
}

/// Waits until all that was subscribed to before is known everywhere: interest in `MARKER.NAME`, which must be new, goes
/// the same way.
pub fn settle<N: Borrow<Node>>(nodes: &[N], clients: &mut [Client], marker: &str) {
    for (node, client) in nodes.iter().zip(clients.iter_mut()) {
        client.subscribe(&format!("{marker}.{}", node.borrow().name), marker);
        client.flush();
    }
    for (index, client) in clients.iter_mut().enumerate() {
        for (other, node) in nodes.iter().enumerate() {
            if other != index {
                client.wait_for_interest(&format!("{marker}.{}", node.borrow().name), true);
            }
        }
    }
}

/// Makes later interest known at the other server: a marker after it goes the same way.
fn announce(subscriber: &mut Client, publisher: &mut Client, marker: &str) {
    subscriber.subscribe(marker, marker);
    subscriber.flush();
    publisher.wait_for_interest(marker, true);
}

/// The dialer believes another authority than the one of the peer, and is told not to mind.
pub fn insecure_dialers_believe_anybody(kinds: [Kind; 2]) {
    let (authority, other) = (Authority::new(), Authority::new());
    let ca = |authority: &Authority| authority.file("ca.pem").display().to_string();
    let lax = authority.block("insecure: true").replace(&ca(&authority), &ca(&other));
    let a = Node::start(kinds[0], "a", Setup { cluster: &authority.block(""), ..Setup::default() });
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], cluster: &lax, ..Setup::default() });
    join(&[a, b]);
}

/// A server without a certificate that the authority has made is no peer, whoever dials.
pub fn strangers_are_no_peers(kinds: [Kind; 2]) {
    let (authority, other) = (Authority::new(), Authority::new());
    let a = Node::start(kinds[0], "a", Setup { cluster: &authority.block(""), ..Setup::default() });
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], cluster: &other.block(""), ..Setup::default() });
    let c = Node::start(kinds[1], "c", Setup { routes: &[&a], ..Setup::default() });
    for (node, refusal) in [(&b, "TLS route handshake error"), (&a, "TLS route handshake error")] {
        let start = Instant::now();
        while !node.log().contains(refusal) {
            assert!(start.elapsed() < DEADLINE, "{} does not refuse", node.name);
            std::thread::sleep(POLL);
        }
    }
    a.client().subscribe("foo", "1");
    assert!(!b.client().sees_interest("foo") && !c.client().sees_interest("foo"));
}

/// Messages reach exactly the interested ones, unchanged, in order, in both directions.
pub fn messages_flow_both_ways(kinds: [Kind; 2]) {
    let (_nodes, [mut a, mut b]) = pair(kinds);
    messages_flow(&mut a, &mut b, "m.1");
    messages_flow(&mut b, &mut a, "m.2");
}

fn messages_flow(here: &mut Client, there: &mut Client, marker: &str) {
    there.subscribe("orders.*.new", "1");
    there.subscribe("orders.>", "2");
    there.subscribe("other", "3");
    announce(there, here, marker);
    for number in 0..100 {
        here.request("orders.eu.new", "answers.here", &format!("message {number}"));
    }
    here.send("HPUB orders.us 20 25\r\nNATS/1.0\r\nA: b c\r\n\r\nhello\r\n");
    here.send("PUB orders.none 0\r\n\r\n");
    here.flush();
    let got = there.take(202);
    let numbered: Vec<_> = got.iter().filter(|delivery| delivery.subject == "orders.eu.new").collect();
    assert_eq!(numbered.len(), 200, "one for each of the two subscriptions that match");
    for (index, delivery) in numbered.iter().filter(|delivery| delivery.sid == "1").enumerate() {
        assert_eq!(delivery.payload, format!("message {index}"), "in order");
        assert_eq!(delivery.reply.as_deref(), Some("answers.here"));
    }
    let with_headers = got.iter().find(|delivery| delivery.subject == "orders.us").expect("came");
    assert_eq!((&*with_headers.headers, &*with_headers.payload), ("NATS/1.0\r\nA: b c\r\n\r\n", "hello"));
    assert_eq!(got.last().map(|delivery| delivery.payload.as_str()), Some(""));
    assert_eq!(there.drain(), [], "nothing else came");
    assert_eq!(here.drain(), [], "nothing came back");
    there.send("UNSUB 1\r\nUNSUB 2\r\nUNSUB 3\r\n");
}

/// A queue group that shrinks and goes is followed.
pub fn queue_groups_shrink(kinds: [Kind; 2]) {
    let (_nodes, [mut a, mut b]) = pair(kinds);
    a.subscribe_queue("jobs", "workers", "1");
    a.subscribe_queue("jobs", "workers", "2");
    announce(&mut a, &mut b, "m.1");
    a.send("UNSUB 1\r\n");
    a.flush();
    b.publish("jobs", "for 2");
    assert_eq!(a.next().sid, "2");
    a.send("UNSUB 2\r\n");
    a.flush();
    b.wait_for_interest("jobs", false);
}

/// Every server publishes; every other one gets it exactly once.
pub fn everybody_hears_everybody_once<N: Borrow<Node>>(nodes: &[N], clients: &mut [Client], marker: &str) {
    for client in clients.iter_mut() {
        client.subscribe("all", "all");
    }
    settle(nodes, clients, marker);
    let mut expected: Vec<_> = nodes.iter().map(|node| node.borrow().name.clone()).collect();
    expected.sort();
    // What took a second way in one round would be heard in the next.
    for round in 1..=3 {
        for (node, client) in nodes.iter().zip(clients.iter_mut()) {
            client.publish("all", &node.borrow().name);
        }
        for client in clients.iter_mut() {
            let mut heard: Vec<_> = client.take(nodes.len()).into_iter().map(|delivery| delivery.payload).collect();
            heard.sort();
            assert_eq!(heard, expected, "round {round}");
        }
    }
    for client in clients.iter_mut() {
        assert_eq!(client.drain(), []);
        client.send("UNSUB all\r\n");
        client.flush();
    }
}

/// Which attempts of two failing ones in a row are in the log: of the dials of a server that was never there, or of one
/// that went away.
fn reported_attempts(options: &str, gone: bool) -> Vec<u32> {
    // No pool: its other connections would fail as well, each at its own attempt.
    let peer = Node::start(Kind::Natsd, "peer", Setup { pool_size: Some(-1), ..Setup::default() });
    if !gone {
        peer.kill();
    }
    let route = format!("nats-route://127.0.0.1:{}", peer.route_port);
    let cluster = format!("cluster {{ name: c1, pool_size: -1, routes: [\"{route}\"] }}");
    let mut server = TestServer::natsd(&format!("{cluster}\n{options}"));
    if gone {
        let mut there = peer.client();
        there.subscribe("there", "1");
        there.flush();
        Client::connect(server.port).wait_for_interest("there", true);
        peer.kill();
    }
    let mut attempt = || {
        let line = server.wait_for_line("Error trying to connect to route (attempt ");
        let (_, number) = line.split_once("(attempt ").expect("waited for");
        number.split(')').next().and_then(|number| number.parse().ok()).expect("a number")
    };
    // A connection that was short counts as the first attempt.
    let first = attempt();
    if first == 1 { vec![first, attempt()] } else { vec![1, first] }
}

/// The first failure and every n-th is told, with one n for new servers and one for those known already.
#[test]
fn repeated_failures_are_told_as_often_as_configured() {
    let few_new = "connect_error_reports: 3\nreconnect_error_reports: 2";
    assert_eq!(reported_attempts(few_new, false), [1, 3]);
    assert_eq!(reported_attempts(few_new, true), [1, 2]);
    assert_eq!(reported_attempts("connect_error_reports: 2\nreconnect_error_reports: 3", true), [1, 3]);
}

/// Clients hear of servers that join and leave.
pub fn clients_hear_of_other_servers(kinds: [Kind; 2]) {
    let ([a, b], [mut at_a, _]) = pair(kinds);
    let urls = |client: &mut Client, wanted: &dyn Fn(&str) -> bool| loop {
        let urls = client.next_info()["connect_urls"].to_string();
        if wanted(&urls) {
            break;
        }
    };
    let other = format!("127.0.0.1:{}", b.port);
    let mut later = a.client();
    let first = later.next_info()["connect_urls"].to_string();
    assert!(first.contains(&other), "known when a client connects: {first}");
    b.kill();
    urls(&mut at_a, &|urls| !urls.contains(&other));
    b.restart();
    urls(&mut at_a, &|urls| urls.contains(&other));
}

mod natsd_only {
    use super::Kind::Natsd;

    #[test]
    fn insecure_dialers_believe_anybody() {
        super::insecure_dialers_believe_anybody([Natsd; 2]);
    }

    #[test]
    fn strangers_are_no_peers() {
        super::strangers_are_no_peers([Natsd; 2]);
    }

    #[test]
    fn messages_flow_both_ways() {
        super::messages_flow_both_ways([Natsd; 2]);
    }

    #[test]
    fn queue_groups_shrink() {
        super::queue_groups_shrink([Natsd; 2]);
    }

    #[test]
    fn clients_hear_of_other_servers() {
        super::clients_hear_of_other_servers([Natsd; 2]);
    }
}
