//! Several leaf nodes of one hub, and one that is left alone.

use super::mesh::hop;
use super::{Roles, publisher, subscriber, with_roles};
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer, wait_for};

fn from_one_hub(program: Program, name: &str, port: u16) -> TestServer {
    hop(program, name, free_port(), &[port])
}

/// One hub with these settings, and two leaf nodes of different clusters.
fn star(roles: Roles, accepts: &str) -> (TestServer, [TestServer; 2]) {
    let port = free_port();
    let config = format!("server_name: hub\nleafnodes {{ listen: \"127.0.0.1:{port}\", compression: off\n{accepts} }}");
    let hub = TestServer::start(roles.hub, &config);
    (hub, ["one", "two"].map(|name| from_one_hub(roles.leaf, name, port)))
}

with_roles!(isolated_leaf_nodes_know_the_hub_alone, leaf_nodes_know_each_other);

fn leaf_nodes_know_each_other(roles: Roles) {
    let (hub, [one, two]) = star(roles, "");
    let mut at_one = subscriber(&one, "foo");
    for from in [&two, &hub] {
        publisher(from, "foo").publish("foo", "hello");
        assert_eq!(at_one.next().payload, "hello");
    }
    assert!(at_one.drain().is_empty());
}

fn isolated_leaf_nodes_know_the_hub_alone(roles: Roles) {
    let (hub, [one, two]) = star(roles, "isolate_leafnode_interest: true");
    let mut at_one = subscriber(&one, "foo");
    let mut at_hub = publisher(&hub, "foo");
    let mut at_two = Client::connect(two.port);
    at_hub.subscribe("bar", "1");
    // The other leaf node hears of the hub, and would have heard of `foo` before.
    at_two.wait_for_interest("bar", true);
    assert!(!at_two.sees_interest("foo"));
    at_two.publish("foo", "not for you");
    at_two.publish("bar", "end");
    assert_eq!(at_hub.next().payload, "end");
    at_hub.publish("foo", "for you");
    assert_eq!(at_one.next().payload, "for you");
}

mod natsd_is_hub_of_groups {
    use super::*;

    fn members_count(leaf: Program) {
        let (hub, leafs) = star(Roles { hub: Program::Natsd, leaf }, "");
        let mut members = [(0, 1), (1, 3)].map(|(at, count): (usize, usize)| {
            let mut client = Client::connect(leafs[at].port);
            (0..count).for_each(|n| client.subscribe_queue("work", "q", &n.to_string()));
            client.flush();
            client
        });
        let mut client = publisher(&hub, "work");
        // Until both are known.
        wait_for("both leaf nodes", || {
            (0..20).for_each(|_| client.publish("work", "try"));
            client.flush();
            members.iter_mut().all(|member| !member.drain().is_empty()).then_some(())
        });
        members.iter_mut().for_each(|member| drop(member.drain()));
        client.publish("work", "begin");
        (0..2000).for_each(|_| client.publish("work", "x"));
        client.flush();
        let mut got = [0; 2];
        wait_for("all messages", || {
            for (got, member) in got.iter_mut().zip(&mut members) {
                *got += member.drain().iter().filter(|it| it.payload == "x").count();
            }
            (got[0] + got[1] >= 2000).then_some(())
        });
        assert!((400..600).contains(&got[0]), "one of four members: {got:?}");
    }

    #[test]
    fn members_of_groups_count_behind_leaf_nodes() {
        members_count(Program::Natsd);
    }

    #[cfg(feature = "interop")]
    #[test]
    fn members_of_groups_count_behind_leaf_nodes_of_go() {
        members_count(Program::Go);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn without_its_hub_a_leaf_node_goes_on_and_keeps_nothing_for_it() {
    let (port, payload) = (free_port(), "x".repeat(1000));
    let hub_config = format!("server_name: hub\nleafnodes {{ listen: \"127.0.0.1:{port}\", compression: off }}");
    let hub = TestServer::natsd(&hub_config);
    let mut leaf = hop(Program::Natsd, "leaf", free_port(), &[port]);
    let _far = subscriber(&hub, "foo");
    let mut here = subscriber(&leaf, "foo");
    let mut client = publisher(&leaf, "foo");
    let mut say = |count: usize| {
        for _ in 0..count {
            client.publish("foo", &payload);
        }
        for _ in 0..count {
            assert_eq!(here.next().payload.len(), payload.len(), "what is here goes on");
        }
    };
    say(2000);
    drop(hub);
    leaf.wait_for_line("Error trying to connect as leafnode to remote server");
    say(2000);
    let before = leaf.memory();
    for _ in 0..20 {
        say(2000);
    }
    let grown = leaf.memory().saturating_sub(before);
    assert!(grown < 8 << 20, "of 40 MB it keeps {grown} bytes");
    let hub = TestServer::natsd(&hub_config);
    let mut far = subscriber(&hub, "foo");
    wait_for("the hub, and nothing that was said without it", || {
        say(1);
        let got = far.drain();
        assert!(got.len() < 2000, "{} messages", got.len());
        (!got.is_empty()).then_some(())
    });
}
