//! What a reload changes for hubs and leaf nodes.

use super::{Pair, Roles, Setup, publisher, subscriber, wait_for_log, with_roles};
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::harness::tls::Authority;

with_roles!(hubs_come_and_go, a_hub_may_be_switched_off_for_a_while);

const RELOADED: &str = "Reloaded server configuration";

fn hub(program: Program, name: &str, port: u16) -> TestServer {
    let config = format!("server_name: {name}\nleafnodes {{ listen: \"127.0.0.1:{port}\", compression: off }}");
    TestServer::start(program, &config)
}

fn leaf_config(remotes: &[(u16, &str)]) -> String {
    let remote = |(port, more): &(u16, &str)| {
        format!(
            "{{ url: \"nats-leaf://127.0.0.1:{port}\", compression: off, ignore_discovered_servers: true\n{more} }}"
        )
    };
    let remotes: Vec<_> = remotes.iter().map(remote).collect();
    format!(
        "server_name: leaf\nleafnodes {{ compression: off, reconnect: \"100ms\", remotes: [{}] }}",
        remotes.join(", ")
    )
}

/// Whether messages get from the hub to the leaf node.
fn reaches(hub: &TestServer, leaf: &TestServer, wanted: bool) {
    let _listener = subscriber(leaf, "foo");
    Client::connect(hub.port).wait_for_interest("foo", wanted);
}

fn hubs_come_and_go(roles: Roles) {
    let (one, two) = (free_port(), free_port());
    let hubs = [hub(roles.hub, "one", one), hub(roles.hub, "two", two)];
    let mut leaf = TestServer::start(roles.leaf, &leaf_config(&[(one, "")]));
    reaches(&hubs[0], &leaf, true);
    let mut stays = subscriber(&leaf, "bar");
    let mut client = publisher(&hubs[0], "bar");
    leaf.reconfigure(&leaf_config(&[(two, ""), (one, "")]));
    leaf.wait_for_line(RELOADED);
    reaches(&hubs[1], &leaf, true);
    client.publish("bar", "on the same connection");
    assert_eq!(stays.next().payload, "on the same connection");
    leaf.reconfigure(&leaf_config(&[(two, "")]));
    leaf.wait_for_line(RELOADED);
    reaches(&hubs[0], &leaf, false);
    reaches(&hubs[1], &leaf, true);
}

fn a_hub_may_be_switched_off_for_a_while(roles: Roles) {
    let port = free_port();
    let hub = hub(roles.hub, "hub", port);
    let mut leaf = TestServer::start(roles.leaf, &leaf_config(&[(port, "disabled: true")]));
    assert!(!Client::connect(hub.port).sees_interest("foo"));
    for (disabled, wanted) in [("disabled: false", true), ("disabled: true", false), ("", true)] {
        leaf.reconfigure(&leaf_config(&[(port, disabled)]));
        leaf.wait_for_line(RELOADED);
        reaches(&hub, &leaf, wanted);
    }
}

/// The leaf nodes of both programs, at a hub of natsd: another one takes no other users while it runs.
macro_rules! with_leafs {
    ($($scenario:ident),* $(,)?) => {
        mod at_natsd {
            use crate::harness::server::Program::Natsd;
            $(#[test] fn $scenario() { super::$scenario(crate::leaf::Roles { hub: Natsd, leaf: Natsd }) })*
        }
        #[cfg(feature = "interop")]
        mod of_nats_server_at_natsd {
            use crate::harness::server::Program::{Go, Natsd};
            $(#[test] fn $scenario() { super::$scenario(crate::leaf::Roles { hub: Natsd, leaf: Go }) })*
        }
    };
}

with_leafs!(
    users_that_are_gone_go,
    users_of_the_server_that_are_gone_go,
    another_account_is_entered_at_once,
    permissions_are_told_anew,
    surplus_leaf_nodes_go,
    certificates_are_read_again,
);

const ACCOUNTS: &str = "accounts { A { users: [{ user: a, password: a }] }, B { users: [{ user: b, password: b }] } }";

/// Starts a leaf node that comes as `l`, whose password is `p`. `accepts` is in `leafnodes {}` of the hub.
fn start<'a>(roles: Roles, accepts: &'a str, hub: &'a str) -> (Pair, Setup<'a>, u16) {
    let setup = Setup { hub, accepts, user: "l:p@", ..Setup::default() };
    let (pair, port) = setup.start_apart(roles);
    (pair, setup, port)
}

/// Gives the hub `accepts` in place of what it has in `leafnodes {}`.
fn reload(pair: &mut Pair, setup: &Setup<'_>, port: u16, accepts: &str) {
    let config = Setup { hub: setup.hub, accepts, ..Setup::default() }.hub_config(port);
    pair.hub.reconfigure(&config);
    pair.hub.wait_for_line(RELOADED);
}

fn interest_at_hub(pair: &Pair, user: &str, subject: &str, wanted: bool) {
    Client::connect_as(pair.hub.port, user).wait_for_interest(subject, wanted);
}

fn users_that_are_gone_go(roles: Roles) {
    let users = |password: &str| {
        format!(
            "authorization {{ users: [{{ user: l, password: {password}, account: A }}, {{ user: o, password: o }}] }}"
        )
    };
    let accepts = users("p");
    let (mut pair, setup, port) = start(roles, &accepts, ACCOUNTS);
    let _listener = subscriber(&pair.leaf, "foo");
    interest_at_hub(&pair, "a", "foo", true);
    reload(&mut pair, &setup, port, &users("other"));
    pair.leaf.wait_for_line("Leafnode Error 'Authorization Violation'");
    interest_at_hub(&pair, "a", "foo", false);
    reload(&mut pair, &setup, port, &users("p"));
    interest_at_hub(&pair, "a", "foo", true);
}

fn users_of_the_server_that_are_gone_go(roles: Roles) {
    let hub = |users: &str| format!("accounts {{ A {{ users: [{{ user: a, password: a }}{users}] }} }}");
    let with = hub(", { user: l, password: p }");
    let (mut pair, _, port) = start(roles, "", &with);
    let _listener = subscriber(&pair.leaf, "foo");
    interest_at_hub(&pair, "a", "foo", true);
    pair.hub.reconfigure(&Setup { hub: &hub(""), ..Setup::default() }.hub_config(port));
    pair.leaf.wait_for_line("Leafnode Error 'Authorization Violation'");
    interest_at_hub(&pair, "a", "foo", false);
}

fn another_account_is_entered_at_once(roles: Roles) {
    let accepts = "authorization { user: l, password: p, account: A }";
    let (mut pair, setup, port) = start(roles, accepts, ACCOUNTS);
    let _listener = subscriber(&pair.leaf, "foo");
    interest_at_hub(&pair, "a", "foo", true);
    reload(&mut pair, &setup, port, "authorization { user: l, password: p, account: B }");
    interest_at_hub(&pair, "b", "foo", true);
    interest_at_hub(&pair, "a", "foo", false);
}

fn permissions_are_told_anew(roles: Roles) {
    let users = |subscribe: &str, publish: &str| {
        format!(
            "authorization {{ users: [{{ user: l, password: p, account: A, permissions: {{\n\
             subscribe: \"{subscribe}.>\", publish: \"{publish}.>\" }} }}] }}"
        )
    };
    let accepts = users("down", "up");
    let (mut pair, setup, port) = start(roles, &accepts, ACCOUNTS);
    let mut at_leaf = Client::connect(pair.leaf.port);
    at_leaf.subscribe("*.x", "1");
    at_leaf.flush();
    let mut at_hub = Client::connect_as(pair.hub.port, "a");
    at_hub.subscribe("up.y", "1");
    at_hub.subscribe("rise.y", "2");
    at_hub.wait_for_interest("down.x", true);
    assert!(!at_hub.sees_interest("fall.x"));
    at_leaf.wait_for_interest("up.y", true);
    assert!(!at_leaf.sees_interest("rise.y"));
    reload(&mut pair, &setup, port, &users("fall", "rise"));
    at_hub.wait_for_interest("fall.x", true);
    at_hub.wait_for_interest("down.x", false);
    at_leaf.wait_for_interest("rise.y", true);
    at_leaf.wait_for_interest("up.y", false);
    at_leaf.publish("rise.y", "up again");
    assert_eq!(at_hub.next().payload, "up again");
    at_hub.publish("fall.x", "down again");
    assert_eq!(at_leaf.next().payload, "down again");
    let everything = "authorization { users: [{ user: l, password: p, account: A }] }";
    reload(&mut pair, &setup, port, everything);
    at_leaf.wait_for_interest("up.y", true);
    at_hub.wait_for_interest("down.x", true);
    at_leaf.wait_for_interest("rise.y", true);
    assert!(!pair.hub.log().iter().any(|line| line.contains("Leafnode connection closed")), "it stays");
}

fn surplus_leaf_nodes_go(roles: Roles) {
    let hub = |max: &str| {
        format!(
            "accounts {{ A {{ limits {{ max_leafs: {max} }}, users: [{{ user: a, password: a }}, {{ user: l, password: p }}] }} }}"
        )
    };
    let plenty = hub("2");
    let (pair, setup, port) = start(roles, "", &plenty);
    let _listener = subscriber(&pair.leaf, "foo");
    interest_at_hub(&pair, "a", "foo", true);
    let config = setup.leaf_config(port).replace("server_name: leaf", "server_name: other");
    let mut other = TestServer::start(roles.leaf, &config);
    let _other_listener = subscriber(&other, "bar");
    interest_at_hub(&pair, "a", "bar", true);
    pair.hub.reconfigure(&Setup { hub: &hub("1"), ..Setup::default() }.hub_config(port));
    other.wait_for_line("maximum account active connections exceeded");
    interest_at_hub(&pair, "a", "bar", false);
    interest_at_hub(&pair, "a", "foo", true);
}

fn certificates_are_read_again(roles: Roles) {
    let (believed, other) = (Authority::new(), Authority::new());
    let (accepts, remote) = (other.block(""), believed.block(""));
    let setup = Setup { accepts: &accepts, remote: &remote, ..Setup::default() };
    let (mut pair, port) = setup.start_apart(roles);
    wait_for_log(&mut pair.leaf, "TLS leafnode handshake error");
    let _listener = subscriber(&pair.leaf, "foo");
    for name in ["server.pem", "server.key", "ca.pem"] {
        std::fs::copy(believed.file(name), other.file(name)).expect("a copy");
    }
    reload(&mut pair, &setup, port, &accepts);
    Client::connect(pair.hub.port).wait_for_interest("foo", true);
}

#[test]
fn hubs_are_believed_by_certificates_read_again() {
    let (of_hub, ours) = (Authority::new(), Authority::new());
    let (accepts, remote) = (of_hub.block(""), ours.block(""));
    let setup = Setup { accepts: &accepts, remote: &remote, ..Setup::default() };
    let (mut pair, port) = setup.start_apart(Roles::NATSD);
    wait_for_log(&mut pair.leaf, "TLS leafnode handshake error");
    let _listener = subscriber(&pair.leaf, "foo");
    std::fs::copy(of_hub.file("ca.pem"), ours.file("ca.pem")).expect("a copy");
    pair.leaf.reconfigure(&setup.leaf_config(port));
    Client::connect(pair.hub.port).wait_for_interest("foo", true);
}

#[test]
fn a_reload_that_cannot_be_leaves_hubs_alone() {
    let port = free_port();
    let hub = hub(Program::Natsd, "hub", port);
    let mut leaf = TestServer::natsd(&leaf_config(&[(port, "")]));
    reaches(&hub, &leaf, true);
    let mut listener = subscriber(&leaf, "bar");
    let mut client = publisher(&hub, "bar");
    leaf.reconfigure(&leaf_config(&[(free_port(), "tls { ca_file: \"/nowhere/ca.pem\" }")]));
    leaf.wait_for_line("Failed to reload server configuration");
    client.publish("bar", "as before");
    assert_eq!(wait_for("a message", || listener.drain().pop()).payload, "as before");
}
