//! Clusters over TCP. The scenarios take the kinds of the servers, so that [`interop`](crate::interop) runs them with
//! Go's nats-server as well.

use std::borrow::Borrow;
use std::time::{Duration, Instant};

use crate::harness::client::{Client, Delivery};
use crate::harness::node::{Kind, Node, Setup};
use crate::harness::server::TestServer;
use crate::harness::tls::Authority;
use crate::harness::{DEADLINE, POLL};

/// Two servers of which the second dials the first, and a client on each, once they see each other.
fn pair(kinds: [Kind; 2]) -> ([Node; 2], [Client; 2]) {
    pair_with(kinds, [None, None])
}

fn pair_with(kinds: [Kind; 2], pools: [Option<i32>; 2]) -> ([Node; 2], [Client; 2]) {
    let a = Node::start(kinds[0], "a", Setup { pool_size: pools[0], ..Setup::default() });
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], pool_size: pools[1], ..Setup::default() });
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

/// Two servers that speak TLS with each other, as [`pair`].
pub fn routes_speak_over_tls(kinds: [Kind; 2]) {
    let authority = Authority::new();
    let tls = authority.block("timeout: 5");
    let a = Node::start(kinds[0], "a", Setup { cluster: &tls, ..Setup::default() });
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], cluster: &tls, ..Setup::default() });
    let nodes = [a, b];
    let [mut a, mut b]: [Client; 2] = join(&nodes).try_into().ok().expect("two clients");
    messages_flow(&mut a, &mut b, "m.1");
    messages_flow(&mut b, &mut a, "m.2");
    let large = "x".repeat(500_000);
    a.subscribe("large", "large");
    announce(&mut a, &mut b, "m.3");
    for _ in 0..20 {
        b.publish("large", &large);
    }
    assert!(a.take(20).iter().all(|delivery| delivery.payload == large));
    // A route that is killed is made again over TLS.
    nodes[0].kill();
    nodes[0].restart();
    let mut again = nodes[0].client();
    again.subscribe("again", "again");
    again.flush();
    b.wait_for_interest("again", true);
}

/// Servers that hear of each other dial over TLS as well.
pub fn gossip_leads_to_tls(kinds: [Kind; 3]) {
    let authority = Authority::new();
    let tls = authority.block("timeout: 5");
    let seed = Node::start(kinds[0], "a", Setup { cluster: &tls, ..Setup::default() });
    let second = Node::start(kinds[1], "b", Setup { routes: &[&seed], cluster: &tls, ..Setup::default() });
    let third = Node::start(kinds[2], "c", Setup { routes: &[&seed], cluster: &tls, ..Setup::default() });
    join(&[seed, second, third]);
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

/// A request is answered from the other server; one that nobody would answer fails at once.
pub fn requests_are_answered(kinds: [Kind; 2]) {
    let (_nodes, [mut a, mut b]) = pair(kinds);
    requests_are_answered_from_there(&mut a, &mut b, "m.1");
    requests_are_answered_from_there(&mut b, &mut a, "m.2");
}

fn requests_are_answered_from_there(asker: &mut Client, answerer: &mut Client, marker: &str) {
    asker.subscribe("inbox.*", "in");
    asker.request("service", "inbox.0", "?");
    let refusal = asker.next();
    assert!(refusal.headers.starts_with("NATS/1.0 503\r\n"), "{refusal:?}");

    answerer.subscribe("service", "s");
    announce(answerer, asker, marker);
    announce(asker, answerer, &format!("{marker}.back"));
    for number in 1..=20 {
        asker.request("service", &format!("inbox.{number}"), "?");
        let question = answerer.next();
        let reply = question.reply.expect("a request carries a reply subject");
        answerer.publish(&reply, "!");
        let answer = asker.next();
        assert_eq!((answer.subject, answer.payload.as_str()), (format!("inbox.{number}"), "!"));
    }

    answerer.send("UNSUB s\r\n");
    answerer.flush();
    asker.wait_for_interest("service", false);
    asker.send("UNSUB in\r\n");
}

/// Members of a queue group share messages evenly, wherever they and the publisher are; each message goes to one.
pub fn queue_groups_share_evenly(kinds: [Kind; 2]) {
    const MESSAGES: usize = 4000;
    let (_nodes, [mut a, mut b]) = pair(kinds);
    a.subscribe_queue("jobs", "workers", "1");
    for sid in ["1", "2", "3"] {
        b.subscribe_queue("jobs", "workers", sid);
    }
    a.subscribe("jobs", "watch");
    b.subscribe("jobs", "watch");
    announce(&mut b, &mut a, "m.1");
    announce(&mut a, &mut b, "m.2");
    for from_a in [true, false] {
        let (publisher, other) = if from_a { (&mut a, &mut b) } else { (&mut b, &mut a) };
        for number in 0..MESSAGES {
            publisher.publish("jobs", &number.to_string());
        }
        publisher.publish("jobs", "end");
        publisher.flush();
        let of = |client: &mut Client| {
            let mut got = Vec::new();
            while !got.iter().any(|d: &Delivery| d.sid == "watch" && d.payload == "end") {
                got.extend(client.take(1));
            }
            got.extend(client.drain());
            got
        };
        let (at_publisher, at_other) = (of(publisher), of(other));
        let (at_a, at_b) = if from_a { (at_publisher, at_other) } else { (at_other, at_publisher) };
        let count = |got: &[Delivery], sid: &str| got.iter().filter(|d| d.sid == sid).count();
        assert_eq!((count(&at_a, "watch"), count(&at_b, "watch")), (MESSAGES + 1, MESSAGES + 1), "plain copies");
        let shares = [count(&at_a, "1"), count(&at_b, "1"), count(&at_b, "2"), count(&at_b, "3")];
        assert_eq!(shares.iter().sum::<usize>(), MESSAGES + 1, "each message has one taker");
        // A fair share is 1000; 150 off is more than five standard deviations.
        assert!(shares.iter().all(|share| share.abs_diff(MESSAGES / 4) < 150), "from a: {from_a}: {shares:?}");
    }
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

/// Whatever the pool sizes, messages flow both ways.
pub fn pool_sizes_need_not_agree(kinds: [Kind; 2]) {
    for pools in [[1, 1], [1, 3], [3, 1], [3, -1], [-1, 3], [-1, -1], [5, 2]] {
        let (_nodes, [mut a, mut b]) = pair_with(kinds, pools.map(Some));
        a.subscribe("x", "1");
        b.subscribe("y", "1");
        announce(&mut a, &mut b, "m.1");
        announce(&mut b, &mut a, "m.2");
        b.publish("x", "to a");
        a.publish("y", "to b");
        assert_eq!((a.next().payload.as_str(), b.next().payload.as_str()), ("to a", "to b"), "pools {pools:?}");
        assert_eq!((a.drain(), b.drain()), (vec![], vec![]), "pools {pools:?}");
    }
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

/// Three servers of which two know only the first become a full mesh.
pub fn one_seed_makes_a_full_mesh(kinds: [Kind; 3]) {
    let seed = Node::start(kinds[0], "a", Setup::default());
    let b = Node::start(kinds[1], "b", Setup { routes: &[&seed], ..Setup::default() });
    let c = Node::start(kinds[2], "c", Setup { routes: &[&seed], ..Setup::default() });
    let nodes = [seed, b, c];
    let mut clients = join(&nodes);
    everybody_hears_everybody_once(&nodes, &mut clients, "before");
}

/// A server that is killed and comes back gets and gives all interest within two seconds, and nothing comes twice.
pub fn a_killed_server_comes_back(kinds: [Kind; 3], victim: usize) {
    let seed = Node::start(kinds[0], "a", Setup::default());
    let b = Node::start(kinds[1], "b", Setup { routes: &[&seed], ..Setup::default() });
    let c = Node::start(kinds[2], "c", Setup { routes: &[&seed, &b], ..Setup::default() });
    let nodes = [seed, b, c];
    let mut clients = join(&nodes);
    everybody_hears_everybody_once(&nodes, &mut clients, "before");

    nodes[victim].kill();
    for (index, client) in clients.iter_mut().enumerate() {
        if index != victim {
            client.wait_for_interest(&format!("ready.{}", nodes[victim].name), false);
        }
    }
    nodes[victim].restart();
    clients[victim] = nodes[victim].client();
    let start = Instant::now();
    settle(&nodes, &mut clients, "back");
    assert!(start.elapsed() < Duration::from_secs(2), "interest is back after {:?}", start.elapsed());
    everybody_hears_everybody_once(&nodes, &mut clients, "after");
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
    fn routes_speak_over_tls() {
        super::routes_speak_over_tls([Natsd; 2]);
    }

    #[test]
    fn gossip_leads_to_tls() {
        super::gossip_leads_to_tls([Natsd; 3]);
    }

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
    fn requests_are_answered() {
        super::requests_are_answered([Natsd; 2]);
    }

    #[test]
    fn queue_groups_share_evenly() {
        super::queue_groups_share_evenly([Natsd; 2]);
    }

    #[test]
    fn queue_groups_shrink() {
        super::queue_groups_shrink([Natsd; 2]);
    }

    #[test]
    fn pool_sizes_need_not_agree() {
        super::pool_sizes_need_not_agree([Natsd; 2]);
    }

    #[test]
    fn one_seed_makes_a_full_mesh() {
        super::one_seed_makes_a_full_mesh([Natsd; 3]);
    }

    #[test]
    fn a_killed_seed_comes_back() {
        super::a_killed_server_comes_back([Natsd; 3], 0);
    }

    #[test]
    fn a_killed_member_comes_back() {
        super::a_killed_server_comes_back([Natsd; 3], 1);
    }

    #[test]
    fn clients_hear_of_other_servers() {
        super::clients_hear_of_other_servers([Natsd; 2]);
    }
}
