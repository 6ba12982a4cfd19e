//! Servers that dial nobody, and servers that nobody can dial.

use serde_json::Value;

use crate::harness::client::Client;
use crate::harness::http;
use crate::harness::node::{Kind, Node, Setup, free_port};
use crate::harness::server::{TestServer, natsd, wait_for};

const PASSIVE: Setup<'_> =
    Setup { routes: &[], login: "", pool_size: None, listen: "", cluster: "passive: true", more: "" };

/// The routes of a server that monitors at this port.
fn routes(monitor: u16) -> Vec<Value> {
    let told: Value = serde_json::from_str(&http::get(monitor, "/routez").body).expect("JSON");
    told["routes"].as_array().cloned().unwrap_or_default()
}

/// Each of these clients, at a server of its own, hears what the others publish.
fn all_hear_all(clients: &mut [Client]) {
    for (at, client) in clients.iter_mut().enumerate() {
        client.subscribe(&format!("to.{at}"), "1");
        client.flush();
    }
    for from in 0..clients.len() {
        for to in (0..clients.len()).filter(|to| *to != from) {
            clients[from].wait_for_interest(&format!("to.{to}"), true);
            clients[from].publish(&format!("to.{to}"), &from.to_string());
            assert_eq!(clients[to].next().payload, from.to_string());
        }
    }
}

#[test]
fn a_passive_server_is_dialled_by_all_and_dials_nobody() {
    let monitor = free_port();
    let more = format!("http: \"127.0.0.1:{monitor}\"");
    let passive = Node::start(Kind::Natsd, "p", Setup { more: &more, ..PASSIVE });
    let seed = Node::start(Kind::Natsd, "a", Setup { routes: &[&passive], ..Setup::default() });
    let mut clients = vec![passive.client(), seed.client()];
    all_hear_all(&mut clients);
    // It knows of the seed alone.
    let late = Node::start(Kind::Natsd, "b", Setup { routes: &[&seed], ..Setup::default() });
    clients.push(late.client());
    all_hear_all(&mut clients);
    wait_for("all routes to the passive server", || (routes(monitor).len() == 6).then_some(()));
    let dialled: Vec<_> = routes(monitor).iter().map(|route| route["did_solicit"].clone()).collect();
    assert_eq!(dialled, vec![Value::Bool(false); 6]);
}

#[test]
fn two_passive_servers_of_a_mesh_do_not_see_each_other() {
    let [one, two] = ["p", "q"].map(|name| Node::start(Kind::Natsd, name, PASSIVE));
    let hub = Node::start(Kind::Natsd, "a", Setup { routes: &[&one, &two], ..Setup::default() });
    all_hear_all(&mut [one.client(), hub.client()]);
    all_hear_all(&mut [two.client(), hub.client()]);
    let mut listener = two.client();
    listener.subscribe("only.there", "1");
    listener.flush();
    hub.client().wait_for_interest("only.there", true);
    assert!(!one.client().sees_interest("only.there"));
}

#[test]
fn a_server_that_listens_for_no_routes_joins_those_it_hears_of() {
    let seed = Node::start(Kind::Natsd, "a", Setup::default());
    let other = Node::start(Kind::Natsd, "b", Setup { routes: &[&seed], ..Setup::default() });
    all_hear_all(&mut [seed.client(), other.client()]);
    let url = format!("nats-route://127.0.0.1:{}", seed.route_port);
    let outgoing = TestServer::natsd(&format!("server_name: c\ncluster {{ name: c1, routes: [\"{url}\"] }}"));
    assert!(!outgoing.log().iter().any(|line| line.contains("Listening for route connections")));
    all_hear_all(&mut [seed.client(), other.client(), Client::connect(outgoing.port)]);
}

#[test]
fn what_a_passive_server_cannot_have_is_refused() {
    for (block, reason) in [
        ("listen: 6222, passive: true, routes: [\"nats://127.0.0.1:1\"]", "remove routes, or passive"),
        ("passive: true", "add listen, or remove passive"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("server.conf");
        std::fs::write(&file, format!("cluster {{ {block} }}\n")).expect("a file");
        let output = natsd(&["-t", "-c", file.to_str().expect("a plain name")]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(reason), "{block}: {said}");
    }
}
