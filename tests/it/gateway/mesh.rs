//! Two clusters of two servers each.

use super::connected;
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::server::Program::{self, Natsd};
use crate::harness::server::{TestServer, wait_for};
use crate::leaf::wait_for_log;

/// Servers `a1` and `a2` of cluster A, and `b1` and `b2` of cluster B, of these programs.
struct Mesh {
    servers: Vec<TestServer>,
    configs: Vec<String>,
    programs: [Program; 4],
}

impl Mesh {
    fn start(programs: [Program; 4]) -> Self {
        Self::start_with(programs, "")
    }

    /// With more at the top level of each.
    fn start_with(programs: [Program; 4], more: &str) -> Self {
        let gateways: Vec<u16> = (0..4).map(|_| free_port()).collect();
        let routes: Vec<u16> = (0..4).map(|_| free_port()).collect();
        let config = |at: usize| {
            let (cluster, first) = if at < 2 { ("A", 0) } else { ("B", 2) };
            // Only the first server of A is told of B: the others hear of it.
            let known = match at {
                0 => format!("gateways: [{{ name: B, url: \"nats://127.0.0.1:{}\" }}]", gateways[2]),
                _ => String::new(),
            };
            format!(
                "server_name: {}{}\ncluster {{ name: {cluster}, listen: \"127.0.0.1:{}\", compression: off\n\
                 routes: [\"nats-route://127.0.0.1:{}\"] }}\n\
                 gateway {{ name: {cluster}, listen: \"127.0.0.1:{}\"\n{known} }}\n{more}",
                cluster.to_lowercase(),
                at % 2 + 1,
                routes[at],
                routes[first],
                gateways[at],
            )
        };
        let configs: Vec<_> = (0..4).map(config).collect();
        let servers =
            configs.iter().zip(programs).map(|(config, program)| TestServer::start(program, config)).collect();
        let mut mesh = Self { servers, configs, programs };
        for (at, server) in mesh.servers.iter_mut().enumerate() {
            let other = if at < 2 { "B" } else { "A" };
            wait_for_log(server, &format!("Outbound gateway connection to \"{other}\""));
        }
        mesh
    }

    fn client(&self, at: usize) -> Client {
        Client::connect(self.servers[at].port)
    }

    fn subscriber(&self, at: usize, subject: &str) -> Client {
        let mut client = self.client(at);
        client.subscribe(subject, "1");
        client.flush();
        client
    }
}

/// Mixes in which both clusters, or one of them, are mixed as well.
macro_rules! with_mixes {
    ($($scenario:ident),* $(,)?) => {
        mod natsd_alone {
            $(#[test] fn $scenario() { super::$scenario([super::Natsd; 4]) })*
        }
        #[cfg(feature = "interop")]
        mod one_cluster_each {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario([Natsd, Natsd, Go, Go]) })*
        }
        #[cfg(feature = "interop")]
        mod the_other_cluster_each {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario([Go, Go, Natsd, Natsd]) })*
        }
        #[cfg(feature = "interop")]
        mod mixed_clusters {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario([Natsd, Go, Go, Natsd]) })*
        }
        #[cfg(feature = "interop")]
        mod mixed_the_other_way {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario([Go, Natsd, Natsd, Go]) })*
        }
    };
}

with_mixes!(
    everybody_hears_everybody_once,
    groups_are_served_at_home_and_then_elsewhere,
    answers_reach_the_server_where_somebody_asked,
    a_server_that_dies_and_comes_back_is_found_again,
    services_are_asked_across_accounts_servers_and_clusters,
    all_addresses_of_a_cluster_are_told,
);

fn everybody_hears_everybody_once(programs: [Program; 4]) {
    let mesh = Mesh::start(programs);
    let mut listeners: Vec<_> = (0..4).map(|at| mesh.subscriber(at, "all")).collect();
    for from in 0..4 {
        let mut client = mesh.client(from);
        // Interest takes a moment to spread: until all have heard a message of this one.
        for (to, listener) in listeners.iter_mut().enumerate() {
            wait_for(&format!("a message from {from} to {to}"), || {
                client.publish("all", "probe-");
                client.flush();
                (!listener.drain().is_empty()).then_some(())
            });
        }
        client.publish("all", &format!("from {from}"));
        client.flush();
        for (to, listener) in listeners.iter_mut().enumerate() {
            let mut last = listener.next();
            while last.payload == "probe-" {
                last = listener.next();
            }
            assert_eq!(last.payload, format!("from {from}"), "to {to}");
        }
        client.publish("all", "end");
        client.flush();
        for (to, listener) in listeners.iter_mut().enumerate() {
            assert_eq!(listener.next().payload, "end", "once each: to {to}");
        }
    }
}

fn member(mesh: &Mesh, at: usize) -> Client {
    let mut client = mesh.client(at);
    client.subscribe_queue("work", "q", "1");
    client.flush();
    client
}

fn groups_are_served_at_home_and_then_elsewhere(programs: [Program; 4]) {
    let mesh = Mesh::start(programs);
    let mut far = [member(&mesh, 2), member(&mesh, 3)];
    let mut client = mesh.client(0);
    client.wait_for_interest("work", true);
    // At the other server of the same cluster.
    let mut near = member(&mesh, 1);
    let mut count = 0;
    wait_for("the member at home", || {
        count += 1;
        client.publish("work", "x");
        client.flush();
        far.iter_mut().for_each(|member| drop(member.drain()));
        (!near.drain().is_empty()).then_some(())
    });
    for member in &mut far {
        member.drain();
    }
    for _ in 0..50 {
        client.publish("work", "home");
    }
    client.flush();
    let mut got = 0;
    wait_for("all of them at home", || {
        got += near.drain().iter().filter(|got| got.payload == "home").count();
        (got >= 50).then_some(())
    });
    drop(near);
    wait_for("the members elsewhere", || {
        client.publish("work", "away");
        client.flush();
        far.iter_mut().any(|member| !member.drain().is_empty()).then_some(())
    });
    for _ in 0..50 {
        client.publish("work", "counted");
    }
    client.flush();
    // Those before may still be on their way.
    let mut counted = || {
        let of = |member: &mut Client| member.drain().iter().filter(|got| got.payload == "counted").count();
        far.iter_mut().map(of).sum::<usize>()
    };
    let mut got = 0;
    wait_for("all of them, once", || {
        got += counted();
        (got >= 50).then_some(())
    });
    assert_eq!(got + counted(), 50);
}

fn answers_reach_the_server_where_somebody_asked(programs: [Program; 4]) {
    let mesh = Mesh::start(programs);
    for (asks, answers) in [(0, 3), (1, 2), (2, 1), (3, 0), (0, 2), (1, 3)] {
        let subject = format!("help.{asks}.{answers}");
        let mut service = mesh.subscriber(answers, &subject);
        mesh.client(asks).wait_for_interest(&subject, true);
        for n in 0..10 {
            // Nobody knows of this one but the server that it has just come to.
            let mut client = mesh.client(asks);
            let inbox = format!("_INBOX.{asks}.{answers}.{n}");
            client.send(&format!("SUB {inbox} 1\r\nPUB {subject} {inbox} 1\r\n?\r\n"));
            let request = service.next();
            assert_eq!(request.reply.as_deref(), Some(inbox.as_str()));
            service.publish(&inbox, "!");
            assert_eq!(client.next().payload, "!", "{asks} to {answers}");
            client.flush();
            assert!(client.drain().is_empty(), "once");
        }
    }
}

fn a_server_that_dies_and_comes_back_is_found_again(programs: [Program; 4]) {
    let mut mesh = Mesh::start(programs);
    for victim in [2, 0, 3] {
        let (survivor, other) = (victim ^ 1, if victim < 2 { 2 } else { 0 });
        mesh.servers[victim].signal("KILL");
        mesh.servers[victim].wait_for_end();
        let subject = format!("left.{victim}");
        let mut listener = mesh.subscriber(survivor, &subject);
        let mut client = mesh.client(other);
        client.wait_for_interest(&subject, true);
        client.publish(&subject, "still");
        assert_eq!(listener.next().payload, "still");
        mesh.servers[victim] = TestServer::start(mesh.programs[victim], &mesh.configs[victim]);
        let name = if victim < 2 { "B" } else { "A" };
        wait_for_log(&mut mesh.servers[victim], &format!("Outbound gateway connection to \"{name}\""));
        let subject = format!("back.{victim}");
        let mut listener = mesh.subscriber(victim, &subject);
        let mut client = mesh.client(other);
        client.wait_for_interest(&subject, true);
        client.publish(&subject, "again");
        assert_eq!(listener.next().payload, "again");
        client.flush();
        assert!(listener.drain().is_empty(), "once");
    }
}

fn services_are_asked_across_accounts_servers_and_clusters(programs: [Program; 4]) {
    let mesh = Mesh::start_with(programs, super::requests::SHARING);
    for (asks, answers) in [(0, 3), (3, 0), (1, 2), (2, 1)] {
        let mut client = Client::connect_as(mesh.servers[asks].port, "t");
        client.send("SUB r 5\r\nPUB please r 1\r\n?\r\n");
        assert!(client.next().headers.starts_with("NATS/1.0 503\r\n"), "nobody is there yet");
        let mut service = Client::connect_as(mesh.servers[answers].port, "g");
        service.subscribe("help.me", "1");
        service.flush();
        client.wait_for_interest("please", true);
        for n in 0..5 {
            client.request("please", "r", &n.to_string());
            let request = service.next();
            service.publish(&request.reply.expect("a reply is wanted"), &request.payload);
            assert_eq!(client.next().payload, n.to_string(), "{asks} to {answers}");
        }
        drop(service);
        client.wait_for_interest("please", false);
    }
}

fn all_addresses_of_a_cluster_are_told(programs: [Program; 4]) {
    let mut mesh = Mesh::start_with(programs, "http: \"127.0.0.1:-1\"");
    let line = mesh.servers[0].log().iter().find(|line| line.contains("Starting http monitor on ")).expect("logged");
    let port = line.rsplit_once(':').expect("host:port").1.parse().expect("a port");
    let known = || {
        let varz = crate::harness::http::json(port, "/varz");
        varz["gateway"]["gateways"][0]["urls"].as_array().map_or(0, Vec::len)
    };
    wait_for("both servers of B to be known", || (known() == 2).then_some(()));
    mesh.servers[3].signal("KILL");
    mesh.servers[3].wait_for_end();
    wait_for("the other one to be forgotten", || (known() == 1).then_some(()));
}

#[test]
fn a_third_cluster_is_heard_of() {
    let ports: Vec<u16> = (0..3).map(|_| free_port()).collect();
    let start = |at: usize, knows: Option<usize>| {
        let name = ["A", "B", "C"][at];
        let known = knows.map(|other| {
            format!("gateways: [{{ name: {}, url: \"nats://127.0.0.1:{}\" }}]", ["A", "B", "C"][other], ports[other])
        });
        let known = known.unwrap_or_default();
        let config = format!("gateway {{ name: {name}, listen: \"127.0.0.1:{}\"\n{known} }}", ports[at]);
        TestServer::start(Natsd, &config)
    };
    let (mut a, mut b, mut c) = (start(0, None), start(1, Some(0)), start(2, Some(0)));
    for (server, others) in [(&mut a, ["B", "C"]), (&mut b, ["A", "C"]), (&mut c, ["A", "B"])] {
        for other in others {
            connected(server, other);
        }
    }
    let mut listener = crate::leaf::subscriber(&c, "foo");
    let mut client = crate::leaf::publisher(&b, "foo");
    client.publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
    client.flush();
    assert!(listener.drain().is_empty(), "not by way of A");
}
