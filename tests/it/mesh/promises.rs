//! What every mesh has to show that starts from one seed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::group::{join_group, work};
use super::table::Mode;
use crate::cluster::{everybody_hears_everybody_once, join, settle};
use crate::compression::{MODES, expected, payloads};
use crate::harness::client::{Client, Delivery};
use crate::harness::http::{json, wait_until_open};
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::wait_for;
use crate::harness::tls::Authority;
use crate::harness::{DEADLINE, POLL};

/// How long a cluster may take to know of interest again.
const CONVERGED: Duration = Duration::from_secs(2);

/// How one server is set up.
#[derive(Clone, Copy)]
pub struct Member {
    pub kind: Kind,
    pub mode: Mode,
    pub pool: i32,
}

impl Member {
    /// As it is configured.
    fn compression(&self) -> &'static str {
        match (self.mode, self.kind) {
            (Mode::Uncompressed, Kind::Natsd) => "s2_uncompressed",
            // nats-server takes no such word, but can be led to it.
            #[cfg(feature = "interop")]
            (Mode::Uncompressed, Kind::Go) => "{ mode: s2_auto, rtt_thresholds: [\"1m\"] }",
            (mode, _) => MODES[mode as usize].0,
        }
    }

    /// What it does if the other end leaves it to this one.
    fn own(&self) -> &'static str {
        if self.mode == Mode::Uncompressed { "s2_uncompressed" } else { MODES[self.mode as usize].1 }
    }

    /// What it calls that.
    fn announced(&self) -> &'static str {
        if self.compression().contains("s2_auto") { "s2_auto" } else { self.own() }
    }

    /// How many connections it has to another server: those of the pool, and with nats-server that of its system account.
    fn connections(&self, other: &Self) -> usize {
        match self.pool.min(other.pool) {
            -1 => 1,
            _ => self.pool.max(other.pool) as usize + usize::from([self.kind, other.kind] != [Kind::Natsd; 2]),
        }
    }
}

/// Connections to each other server, and what goes over them: how it is compressed, how many there are.
type Routes = BTreeMap<(String, String), usize>;

struct Mesh {
    members: Vec<Member>,
    nodes: Vec<Node>,
    monitoring: Vec<u16>,
    /// Holds the certificates.
    _authority: Option<Authority>,
}

/// The last server to start takes and tells less than the others.
const PERMISSIONS: &str = "permissions { import { deny: \"closed.in\" }, export { deny: \"closed.out\" } }";

impl Mesh {
    /// Starts the first one, and all others with its address alone.
    fn start(members: &[Member], tls: bool) -> Self {
        let authority = tls.then(Authority::new);
        let tls = authority.as_ref().map(|authority| authority.block("verify: true, timeout: 5")).unwrap_or_default();
        let (mut nodes, mut monitoring) = (Vec::<Node>::new(), Vec::new());
        for (at, member) in members.iter().enumerate() {
            let port = free_port();
            let permissions = if at + 1 == members.len() { PERMISSIONS } else { "" };
            let cluster = format!("compression: {}\n{tls}\n{permissions}", member.compression());
            let more = format!("http: \"127.0.0.1:{port}\"");
            let setup = Setup { pool_size: Some(member.pool), cluster: &cluster, more: &more, ..Setup::default() };
            let name = format!("{:?}{at}", member.kind);
            let node = match nodes.first() {
                None => Node::start(member.kind, &name, setup),
                Some(seed) => Node::start(member.kind, &name, Setup { routes: &[seed], ..setup }),
            };
            nodes.push(node);
            monitoring.push(port);
        }
        monitoring.iter().for_each(|port| wait_until_open(*port));
        Self { members: members.to_vec(), nodes, monitoring, _authority: authority }
    }

    fn routes(&self, at: usize) -> Routes {
        let mut routes = Routes::new();
        for route in json(self.monitoring[at], "/routez")["routes"].as_array().expect("a list") {
            let text = |key: &str| route[key].as_str().unwrap_or_default().to_owned();
            *routes.entry((text("remote_name"), text("compression"))).or_default() += 1;
        }
        routes
    }

    /// Waits until each server has all connections to each other one, and no more, compressed as the two want it.
    fn wait_until_complete(&self) {
        for (at, member) in self.members.iter().enumerate() {
            let others = (0..self.nodes.len()).filter(|other| *other != at);
            let routes = others.map(|other| {
                let (name, other) = (self.nodes[other].name.clone(), &self.members[other]);
                ((name, expected(member.own(), other.announced()).to_owned()), member.connections(other))
            });
            let expected: Routes = routes.collect();
            let start = Instant::now();
            while self.routes(at) != expected {
                let (name, routes) = (self.name(at), self.routes(at));
                assert!(start.elapsed() < DEADLINE, "{name} has not {expected:?} but {routes:?}");
                std::thread::sleep(POLL);
            }
        }
    }

    /// Waits until no other server has a subscription to `subject`, that of the server that was killed. A nats-server
    /// answers that nobody is there as soon as a route is closed, and sends a group's messages there until its interest is
    /// removed, all at once, a moment later.
    fn wait_until_forgotten(&self, killed: usize, subject: &str) {
        let others = self.monitoring.iter().enumerate().filter(|(at, _)| *at != killed);
        for (at, &port) in others {
            let left = || json(port, &format!("/subsz?subs=1&test={subject}"))["total"].as_u64();
            wait_for(&format!("{} to forget {subject}", self.name(at)), || (left() == Some(0)).then_some(()));
        }
    }

    fn name(&self, at: usize) -> &str {
        &self.nodes[at].name
    }
}

/// Starts these servers, the first of which the others are told of, and looks whether all is as promised.
pub fn keep(members: &[Member], tls: bool) {
    let mesh = Mesh::start(members, tls);
    mesh.wait_until_complete();
    let mut clients = join(&mesh.nodes);
    everybody_hears_everybody_once(&mesh.nodes, &mut clients, "once");
    whatever_is_sent_comes_whole(&mesh, &mut clients);
    requests_are_answered(&mesh, &mut clients);
    what_is_denied_does_not_pass(&mesh, &mut clients);
    work_is_shared_evenly(&mesh, &mut clients);
    all_goes_on_while_servers_are_killed(&mesh, &mut clients);
    mesh.wait_until_complete();
}

/// Takes what comes to all clients until so many messages have come; by client.
fn collect(clients: &mut [Client], count: usize) -> Vec<Vec<Delivery>> {
    let mut got = vec![Vec::new(); clients.len()];
    wait_for("all messages", || {
        for (client, got) in clients.iter_mut().zip(&mut got) {
            got.extend(client.drain());
        }
        (got.iter().map(Vec::len).sum::<usize>() >= count).then_some(())
    });
    got
}

/// Short and long, in order, and once more for a group that is there as well.
fn whatever_is_sent_comes_whole(mesh: &Mesh, clients: &mut [Client]) {
    let payloads = payloads();
    for client in clients.iter_mut() {
        client.subscribe("whole", "plain");
        client.subscribe_queue("whole", "some", "group");
    }
    settle(&mesh.nodes, clients, "whole");
    for publisher in 0..clients.len() {
        for payload in &payloads {
            clients[publisher].publish("whole", payload);
        }
        let copies = clients.len() + 1;
        let got = collect(clients, copies * payloads.len());
        let of = |got: &[Delivery], sid: &str| {
            got.iter().filter(|got| got.sid == sid).map(|got| got.payload.clone()).collect::<Vec<_>>()
        };
        for (at, got) in got.iter().enumerate() {
            assert!(of(got, "plain") == payloads, "what {} got of {}", mesh.name(at), mesh.name(publisher));
        }
        let mut shared: Vec<_> = got.iter().flat_map(|got| of(got, "group")).collect();
        let mut expected = payloads.clone();
        shared.sort();
        expected.sort();
        assert!(shared == expected, "what the group got of {}", mesh.name(publisher));
    }
    for client in clients {
        client.send("UNSUB plain\r\nUNSUB group\r\n");
    }
}

/// Everybody asks everybody, and hears when nobody is there to answer.
fn requests_are_answered(mesh: &Mesh, clients: &mut [Client]) {
    for (at, client) in clients.iter_mut().enumerate() {
        client.subscribe(&format!("service.{at}"), "service");
        client.subscribe(&format!("inbox.{at}.*"), "inbox");
    }
    settle(&mesh.nodes, clients, "asked");
    for asker in 0..clients.len() {
        for answerer in 0..clients.len() {
            let inbox = format!("inbox.{asker}.{answerer}");
            clients[asker].request(&format!("service.{answerer}"), &inbox, "?");
            let question = clients[answerer].next();
            assert_eq!((&*question.sid, question.reply.as_deref()), ("service", Some(&*inbox)));
            clients[answerer].publish(&inbox, "!");
            let answer = clients[asker].next();
            assert_eq!((&*answer.subject, &*answer.payload), (&*inbox, "!"));
        }
    }
    for client in clients.iter_mut() {
        client.send("UNSUB service\r\n");
        client.flush();
    }
    for asker in 0..clients.len() {
        for answerer in 0..clients.len() {
            clients[asker].wait_for_interest(&format!("service.{answerer}"), false);
            clients[asker].request(&format!("service.{answerer}"), &format!("inbox.{asker}.0"), "?");
            let refusal = clients[asker].next();
            assert!(refusal.headers.starts_with("NATS/1.0 503\r\n"), "{refusal:?}");
        }
        clients[asker].send("UNSUB inbox\r\n");
    }
}

/// What the last server does not import or export does not come or go; all others have it.
fn what_is_denied_does_not_pass(mesh: &Mesh, clients: &mut [Client]) {
    const SUBJECTS: [&str; 3] = ["closed.in", "closed.out", "open"];
    let last = clients.len() - 1;
    for client in clients.iter_mut() {
        for subject in SUBJECTS {
            client.subscribe(subject, subject);
        }
    }
    settle(&mesh.nodes, clients, "permissions");
    for (at, client) in clients.iter_mut().enumerate() {
        for subject in SUBJECTS {
            client.publish(subject, &at.to_string());
        }
    }
    for (at, client) in clients.iter_mut().enumerate() {
        let mut got = Vec::new();
        // The open one comes behind the others by the same way.
        while got.iter().filter(|(subject, _)| subject == "open").count() <= last {
            let delivery = client.next();
            got.push((delivery.subject, delivery.payload));
        }
        got.sort();
        let passes = |subject: &str, from: usize| match subject {
            "closed.in" => at == from || at != last,
            "closed.out" => at == from || from != last,
            _ => true,
        };
        let all = SUBJECTS.into_iter().flat_map(|subject| (0..=last).map(move |from| (subject, from)));
        let expected = all.filter(|(subject, from)| passes(subject, *from));
        let expected: Vec<_> = expected.map(|(subject, from)| (subject.to_owned(), from.to_string())).collect();
        assert_eq!(got, expected, "at {}", mesh.name(at));
        client.send("UNSUB closed.in\r\nUNSUB closed.out\r\nUNSUB open\r\n");
    }
}

/// Each of the members, of whom every server has one, gets the same share, whoever sends: a server, natsd or nats-server,
/// draws among all of them. It prefers its own for what comes over a route alone.
fn work_is_shared_evenly(mesh: &Mesh, clients: &mut [Client]) {
    // A share is binomial. Its standard deviation is at most sqrt(10,000 * 4/5) = 89: 5 % are five and a half of them.
    const EACH: usize = 10_000;
    clients.iter_mut().for_each(|client| join_group(client, 1));
    settle(&mesh.nodes, clients, "joined");
    // The first two are of both kinds wherever the mesh is.
    for publisher in [0, 1] {
        let shares = work(clients, publisher, EACH * mesh.nodes.len());
        let shares: Vec<_> = shares.iter().map(Vec::len).collect();
        let even = shares.iter().all(|share| share.abs_diff(EACH) < EACH / 20);
        assert!(even, "{shares:?} of what {} sent", mesh.name(publisher));
    }
}

/// Each server is killed in turn and comes back: who is left does all work, interest is known again in time, and nothing
/// comes twice.
fn all_goes_on_while_servers_are_killed(mesh: &Mesh, clients: &mut Vec<Client>) {
    let mut round = 0;
    for victim in 0..mesh.nodes.len() {
        // A busy machine may stop for longer than servers may take.
        let in_time = (0..3).any(|_| {
            round += 1;
            kill_and_return(mesh, clients, victim, round) < CONVERGED
        });
        assert!(in_time, "interest is not known within {CONVERGED:?} when {} is killed or returns", mesh.name(victim));
    }
}

/// Kills a server and starts it again. How long it took at most until all knew that it had gone, or was back.
fn kill_and_return(mesh: &Mesh, clients: &mut Vec<Client>, victim: usize, round: usize) -> Duration {
    const JOBS: usize = 200;
    let node = &mesh.nodes[victim];
    node.kill();
    drop(clients.remove(victim));
    let start = Instant::now();
    let known = if round == 1 { "joined".to_owned() } else { format!("back{}", round - 1) };
    for client in clients.iter_mut() {
        client.wait_for_interest(&format!("{known}.{}", node.name), false);
    }
    let gone = start.elapsed();
    mesh.wait_until_forgotten(victim, &format!("{known}.{}", node.name));
    work(clients, 0, JOBS);
    node.restart();
    let start = Instant::now();
    clients.insert(victim, node.client());
    join_group(&mut clients[victim], 1);
    settle(&mesh.nodes, clients, &format!("back{round}"));
    let back = start.elapsed();
    everybody_hears_everybody_once(&mesh.nodes, clients, &format!("heard{round}"));
    let shares = work(clients, victim, JOBS);
    assert!(shares.iter().all(|share| !share.is_empty()), "every server has members that work");
    gone.max(back)
}

/// They are nats-server's own, not what natsd makes of them.
#[cfg(feature = "interop")]
#[test]
fn nats_server_keeps_them_alone() {
    let modes = [Mode::Fast, Mode::Accept, Mode::Uncompressed];
    keep(&modes.map(|mode| Member { kind: Kind::Go, mode, pool: 3 }), true);
}
