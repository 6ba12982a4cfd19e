//! Leaf connections that are compressed: every way to configure it at the hub beside every other at the leaf node.

use crate::compression::{MODES, expected, payloads};
use crate::harness::client::Client;
use crate::harness::http::json;
use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::harness::tls::Authority;
use crate::harness::websocket::websocket_port;
use crate::leaf::{Roles, publisher, subscriber, with_roles};

with_roles!(
    every_mode_goes_with_every_other,
    it_goes_inside_tls,
    frames_are_left_alone,
    it_changes_with_the_configuration
);

/// A hub that listens at `port` for leaf nodes and is monitored at `monitoring`.
fn hub_config(port: u16, monitoring: u16, compression: &str, more: &str) -> String {
    let listen = format!("listen: \"127.0.0.1:{port}\", compression: {compression}");
    format!("server_name: hub\nhttp: \"127.0.0.1:{monitoring}\"\nleafnodes {{ {listen} }}\n{more}")
}

fn leaf(program: Program, name: &str, url: &str, compression: &str, more: &str) -> TestServer {
    let remote = format!("url: \"{url}\", compression: {compression}\n{more}");
    let leafnodes = format!("leafnodes {{ reconnect: \"100ms\", remotes: [{{ {remote} }}] }}");
    TestServer::start(program, &format!("server_name: \"{name}\"\n{leafnodes}"))
}

/// What is compressed of what goes to the leaf node of this name.
fn shown(monitoring: u16, name: &str) -> Option<String> {
    let leafs = json(monitoring, "/leafz")["leafs"].take();
    let leaf = leafs.as_array()?.iter().find(|leaf| leaf["name"] == name)?.clone();
    leaf["compression"].as_str().map(str::to_owned)
}

fn flow(from: &TestServer, to: &TestServer, subject: &str) {
    let mut to = subscriber(to, subject);
    let mut from = publisher(from, subject);
    for payload in payloads() {
        from.publish(subject, &payload);
    }
    let got = to.take(payloads().len()).into_iter().map(|message| message.payload);
    assert!(got.eq(payloads()));
}

fn every_mode_goes_with_every_other(roles: Roles) {
    for (configured, mode) in MODES {
        let (port, monitoring) = (free_port(), free_port());
        let hub = TestServer::start(roles.hub, &hub_config(port, monitoring, configured, ""));
        let url = format!("nats-leaf://127.0.0.1:{port}");
        let leafs = MODES.map(|(configured, mode)| (leaf(roles.leaf, mode, &url, configured, ""), mode));
        let mut listeners = leafs.each_ref().map(|(leaf, mode)| {
            let mut client = subscriber(leaf, "all");
            client.subscribe(&format!("at.{mode}"), "2");
            client.flush();
            client
        });
        let mut client = Client::connect(hub.port);
        for (_, mode) in &leafs {
            client.wait_for_interest(&format!("at.{mode}"), true);
        }
        for payload in payloads() {
            client.publish("all", &payload);
        }
        for (listener, (leaf, other)) in listeners.iter_mut().zip(&leafs) {
            let got = listener.take(payloads().len()).into_iter().map(|message| message.payload);
            assert!(got.eq(payloads()), "from {mode} to {other}");
            flow(leaf, &hub, &format!("back.{other}"));
            let expected = expected(mode, other);
            wait_for(&format!("{mode} to do {expected} towards {other}"), || {
                shown(monitoring, other).filter(|mode| mode == expected)
            });
        }
    }
}

fn it_goes_inside_tls(roles: Roles) {
    let authority = Authority::new();
    let (port, monitoring) = (free_port(), free_port());
    let compression = format!("s2_fast\n{}", authority.block("timeout: 5"));
    let hub = TestServer::start(roles.hub, &hub_config(port, monitoring, &compression, ""));
    let leaf = leaf(roles.leaf, "leaf", &format!("tls://127.0.0.1:{port}"), "s2_best", &authority.block(""));
    flow(&leaf, &hub, "there");
    flow(&hub, &leaf, "back");
    assert_eq!(shown(monitoring, "leaf").as_deref(), Some("s2_fast"));
}

/// Over WebSocket, where natsd does not ask for compressed frames.
fn frames_are_left_alone(roles: Roles) {
    for remote in if roles.leaf == Program::Natsd { &[""][..] } else { &["", "ws_compression: true"] } {
        let (port, monitoring) = (free_port(), free_port());
        let websocket = "websocket { host: 127.0.0.1, port: -1, no_tls: true, compression: true }";
        let hub = TestServer::start(roles.hub, &hub_config(port, monitoring, "s2_fast", websocket));
        let url = format!("ws://127.0.0.1:{}", websocket_port(&hub));
        let leaf = leaf(roles.leaf, "leaf", &url, "s2_better", remote);
        flow(&leaf, &hub, "there");
        flow(&hub, &leaf, "back");
        assert_eq!(shown(monitoring, "leaf").as_deref(), Some("off"), "{remote}");
    }
}

fn it_changes_with_the_configuration(roles: Roles) {
    let (port, monitoring) = (free_port(), free_port());
    let config = |mode: &str| hub_config(port, monitoring, mode, "");
    let hub = TestServer::start(roles.hub, &config("s2_fast"));
    let leaf = leaf(roles.leaf, "leaf", &format!("nats-leaf://127.0.0.1:{port}"), "accept", "");
    let is = |mode: &str| wait_for(mode, || shown(monitoring, "leaf").filter(|shown| shown == mode));
    is("s2_fast");
    hub.reconfigure(&config("s2_best"));
    is("s2_best");
    flow(&hub, &leaf, "one");
    hub.reconfigure(&config("off"));
    is("off");
    flow(&leaf, &hub, "two");
    hub.reconfigure(&config("s2_better"));
    is("s2_better");
    flow(&leaf, &hub, "three");
    flow(&hub, &leaf, "four");
}
