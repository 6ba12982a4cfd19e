//! Leaf nodes of a cluster that is one of several.

use super::{Roles, connected, with_roles};
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::server::Program;
use crate::harness::server::TestServer;
use crate::leaf::wait_for_log;

with_roles!(a_leaf_node_is_part_of_it, what_a_leaf_node_asks_for_comes_back_to_it);

/// Cluster A with a leaf node of natsd, and cluster B.
struct Place {
    leaf: TestServer,
    _hub: TestServer,
    other: TestServer,
}

impl Place {
    fn start(roles: Roles) -> Self {
        let (gateway, leafs) = (free_port(), free_port());
        // Leaf nodes beside gateways need an account of the servers.
        let accounts = "accounts { S { users: [{ user: s, password: p }] }, ACC { users: [{ user: u, password: p }] } }\n\
                        system_account: S\nno_auth_user: u";
        let other = format!("server_name: b\ngateway {{ name: B, listen: \"127.0.0.1:{gateway}\" }}\n{accounts}");
        let mut other = TestServer::start(roles.dialled, &other);
        let hub = format!(
            "server_name: a\nleafnodes {{ listen: \"127.0.0.1:{leafs}\", compression: off }}\n\
             gateway {{ name: A, listen: \"127.0.0.1:{}\"\n\
             gateways: [{{ name: B, url: \"nats://127.0.0.1:{gateway}\" }}] }}\n{accounts}",
            free_port()
        );
        let mut hub = TestServer::start(roles.dials, &hub);
        let leaf = format!(
            "server_name: leaf\nleafnodes {{ compression: off, remotes: [{{ url: \"nats-leaf://u:p@127.0.0.1:{leafs}\", \
             compression: off }}] }}"
        );
        let mut leaf = TestServer::start(Program::Natsd, &leaf);
        connected(&mut hub, "B");
        connected(&mut other, "A");
        wait_for_log(&mut leaf, "Leafnode connection created");
        Self { leaf, _hub: hub, other }
    }
}

fn a_leaf_node_is_part_of_it(roles: Roles) {
    let place = Place::start(roles);
    for (from, to) in [(&place.leaf, &place.other), (&place.other, &place.leaf)] {
        let mut listener = crate::leaf::subscriber(to, "foo");
        let mut client = crate::leaf::publisher(from, "foo");
        client.publish("foo", "hello");
        assert_eq!(listener.next().payload, "hello");
        client.flush();
        assert!(listener.drain().is_empty(), "once");
        drop(listener);
        client.wait_for_interest("foo", false);
    }
}

fn what_a_leaf_node_asks_for_comes_back_to_it(roles: Roles) {
    let place = Place::start(roles);
    for (asks, answers) in [(&place.leaf, &place.other), (&place.other, &place.leaf)] {
        let mut service = crate::leaf::subscriber(answers, "help");
        crate::leaf::publisher(asks, "help");
        for n in 0..10 {
            let mut client = Client::connect(asks.port);
            let inbox = format!("_INBOX.{n}");
            client.send(&format!("SUB {inbox} 1\r\nPUB help {inbox} 1\r\n?\r\n"));
            let request = service.next();
            assert_eq!(request.reply.as_deref(), Some(inbox.as_str()));
            service.publish(&inbox, "!");
            assert_eq!(client.next().payload, "!");
        }
    }
}
