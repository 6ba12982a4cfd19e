//! What clusters have to stand: addresses behind others, servers that leave slowly or suddenly, routes that are none, and
//! groups with members everywhere. natsd and nats-server, alone and together; `table` has what holds in every mesh.

mod group;
mod promises;
mod table;

use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use group::{join_group, work};

use crate::cluster::{join, settle};
use crate::harness::http::{json, wait_until_open};
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::wait_for;

/// Passes connections on to a port that is known later, and counts them.
struct Relay {
    port: u16,
    to: Arc<OnceLock<u16>>,
    passed: Arc<AtomicUsize>,
}

impl Relay {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let (to, passed) = (Arc::new(OnceLock::new()), Arc::new(AtomicUsize::new(0)));
        let relay = Self { port, to: to.clone(), passed: passed.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let Ok(other) = TcpStream::connect(("127.0.0.1", *to.wait())) else { continue };
                passed.fetch_add(1, Relaxed);
                let ends = |from: &TcpStream, to: &TcpStream| Ok::<_, io::Error>((from.try_clone()?, to.try_clone()?));
                for ends in [ends(&stream, &other), ends(&other, &stream)] {
                    let (mut from, mut to) = ends.expect("open sockets");
                    std::thread::spawn(move || {
                        // Whoever is left sees that it is over.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(std::net::Shutdown::Both);
                    });
                }
            }
        });
        relay
    }
}

/// A server that others cannot reach where it listens tells them where they can.
fn advertised_addresses_are_dialled(kinds: [Kind; 3]) {
    for key in ["advertise", "cluster_advertise"] {
        let relay = Relay::start();
        let cluster = format!("{key}: \"127.0.0.1:{}\"", relay.port);
        // Only nats-server's own name is known to it.
        if key == "cluster_advertise" && kinds[2] != Kind::Natsd {
            continue;
        }
        let seed = Node::start(kinds[0], "a", Setup::default());
        let second = Node::start(kinds[1], "b", Setup { routes: &[&seed], ..Setup::default() });
        // Those that there are dial the newcomer, whom the seed tells them of.
        join(std::slice::from_ref(&second));
        let third = Node::start(kinds[2], "c", Setup { routes: &[&seed], cluster: &cluster, ..Setup::default() });
        relay.to.set(third.route_port).expect("set once");
        join(&[seed, second, third]);
        assert!(relay.passed.load(Relaxed) > 0, "nobody came by the advertised address");
    }
}

/// Clients hear that a server sends its own away while it is still there.
fn a_lame_duck_is_not_recommended(kinds: [Kind; 2]) {
    let a = Node::start(kinds[0], "a", Setup::default());
    let more = "lame_duck_duration: \"30s\"";
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], more, ..Setup::default() });
    let nodes = [a, b];
    join(&nodes);
    let b = format!("127.0.0.1:{}", nodes[1].port);
    let mut client = nodes[0].client();
    let first = client.next_info()["connect_urls"].to_string();
    assert!(first.contains(&b), "{first}");
    let mut there = nodes[1].client();
    nodes[1].signal("USR2");
    while client.next_info()["connect_urls"].to_string().contains(&b) {}
    there.flush();
    assert!(!there.next_info()["connect_urls"].to_string().is_empty(), "it still serves its clients");
}

/// Two servers with routes to each other have the connections of one route, and hear everything once.
fn two_that_dial_each_other_have_one_route(kinds: [Kind; 2]) {
    let monitoring = free_port();
    let more = format!("http: \"127.0.0.1:{monitoring}\"");
    let a = Node::start(kinds[0], "a", Setup { pool_size: Some(2), more: &more, ..Setup::default() });
    let b = Node::start(kinds[1], "b", Setup { routes: &[&a], pool_size: Some(2), ..Setup::default() });
    wait_until_open(monitoring);
    let route = format!("name: c1\nroutes: [\"nats-route://127.0.0.1:{}\"]\n", b.route_port);
    let nodes = [a, b];
    let mut clients = join(&nodes);
    nodes[0].reload("name: c1\n", &route);
    let sys = usize::from(kinds != [Kind::Natsd; 2]);
    for round in ["first", "second"] {
        wait_for("the connections of one route", || {
            let routes = json(monitoring, "/routez");
            (routes["num_routes"].as_u64() == Some(2 + sys as u64)).then_some(())
        });
        settle(&nodes, &mut clients, round);
        for at in [0, 1] {
            clients[at].subscribe("all", "all");
            clients[at].flush();
        }
        settle(&nodes, &mut clients, &format!("{round}.known"));
        clients[0].publish("all", round);
        for client in &mut clients {
            assert_eq!(client.take(1)[0].payload, round);
            assert_eq!(client.drain(), [], "twice");
            client.send("UNSUB all\r\n");
            client.flush();
        }
        // Once more after both have to find each other again.
        nodes[1].kill();
        nodes[1].restart();
        clients[1] = nodes[1].client();
    }
}

/// A route to the server itself is noticed and given up.
#[test]
fn a_route_to_itself_is_given_up() {
    let monitoring = free_port();
    let more = format!("http: \"127.0.0.1:{monitoring}\"");
    let node = Node::start(Kind::Natsd, "a", Setup { more: &more, ..Setup::default() });
    wait_until_open(monitoring);
    node.reload("name: c1\n", &format!("name: c1\nroutes: [\"nats-route://localhost:{}\"]\n", node.route_port));
    wait_for("the log", || node.log().contains("leads to this server itself: ignored").then_some(()));
    let varz = json(monitoring, "/varz");
    assert_eq!(json(monitoring, "/routez")["num_routes"], 0, "{varz}");
    let peer = Node::start(Kind::Natsd, "b", Setup { routes: &[&node], ..Setup::default() });
    join(&[node, peer]);
}

/// Members of a group, by node.
const MEMBERS: [usize; 3] = [1, 2, 4];

/// Every member of a group gets as much as every other, however many of them a server has, and wherever the publisher is.
fn work_is_shared_evenly(kinds: [Kind; 3]) {
    const EACH: usize = 10_000;
    let total: usize = MEMBERS.iter().sum();
    let seed = Node::start(kinds[0], "a", Setup::default());
    let b = Node::start(kinds[1], "b", Setup { routes: &[&seed], ..Setup::default() });
    let c = Node::start(kinds[2], "c", Setup { routes: &[&seed], ..Setup::default() });
    let nodes = [seed, b, c];
    let mut clients = join(&nodes);
    for (client, members) in clients.iter_mut().zip(MEMBERS) {
        join_group(client, members);
    }
    settle(&nodes, &mut clients, "joined");
    for publisher in 0..3 {
        let got = work(&mut clients, publisher, EACH * total);
        for (at, members) in MEMBERS.into_iter().enumerate() {
            for member in 0..members {
                let sid = format!("m{member}");
                let share = got[at].iter().filter(|delivery| delivery.sid == sid).count();
                // 5 % are more than five standard deviations.
                let off = share.abs_diff(EACH);
                assert!(off < EACH / 20, "{sid} at {} got {share} of what {publisher} sent", nodes[at].name);
            }
        }
    }
}

/// The same scenarios with natsd alone, and with both.
macro_rules! scenarios {
    ($($kinds:ident $mixed:tt: $($scenario:ident),*;)*) => {
        mod natsd_alone {
            use crate::harness::node::Kind::Natsd;
            $($(#[test] fn $scenario() { super::$scenario([Natsd; scenarios!(@ $kinds)]) })*)*
        }
        #[cfg(feature = "interop")]
        mod with_go {
            use crate::harness::node::Kind::{Go, Natsd};
            $($(#[test] fn $scenario() { for kinds in $mixed { super::$scenario(kinds) } })*)*
        }
    };
    (@ pairs) => { 2 };
    (@ threes) => { 3 };
}

scenarios! {
    pairs [[Natsd, Go], [Go, Natsd]]: a_lame_duck_is_not_recommended, two_that_dial_each_other_have_one_route;
    threes [[Natsd, Go, Natsd], [Go, Natsd, Go]]: advertised_addresses_are_dialled, work_is_shared_evenly;
}
