//! Leaf nodes over WebSocket.

use super::{Pair, Roles, publisher, subscriber, wait_for_log, with_roles};
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::server::TestServer;
use crate::harness::tls::Authority;
use crate::harness::websocket::websocket_port;

with_roles!(
    messages_flow_in_frames,
    masks_can_be_left_out,
    messages_flow_in_frames_over_tls,
    messages_may_be_compressed,
    a_hub_may_not_compress,
    who_shows_nothing_is_whom_websocket_names,
);

/// A leaf node at the WebSocket port of a hub. `at_hub` is in `websocket {}`, `remote` in the remote.
fn start(roles: Roles, scheme: &str, at_hub: &str, remote: &str) -> Pair {
    let port = free_port();
    let hub = format!(
        "server_name: hub\nleafnodes {{ listen: \"127.0.0.1:{port}\", compression: off }}\n\
         websocket {{ host: 127.0.0.1, port: -1\n{at_hub} }}"
    );
    let hub = TestServer::start(roles.hub, &hub);
    let leaf = format!(
        "server_name: leaf\nleafnodes {{ compression: off, reconnect: \"100ms\", remotes: [{{\n\
         url: \"{scheme}://127.0.0.1:{}\", compression: off\n{remote} }}] }}",
        websocket_port(&hub)
    );
    let mut pair = Pair { leaf: TestServer::start(roles.leaf, &leaf), hub };
    wait_for_log(&mut pair.leaf, "Leafnode connection created");
    pair
}

fn speak(pair: &Pair) {
    for (from, to) in [(&pair.hub, &pair.leaf), (&pair.leaf, &pair.hub)] {
        let mut listener = subscriber(to, "foo");
        let mut client = publisher(from, "foo");
        for len in [0, 100, 300, 70_000, 500_000] {
            client.publish("foo", &"x".repeat(len));
            assert_eq!(listener.next().payload.len(), len);
        }
        drop(listener);
        client.wait_for_interest("foo", false);
    }
}

fn messages_flow_in_frames(roles: Roles) {
    speak(&start(roles, "ws", "no_tls: true", ""));
}

fn masks_can_be_left_out(roles: Roles) {
    speak(&start(roles, "ws", "no_tls: true", "ws_no_masking: true"));
}

fn messages_flow_in_frames_over_tls(roles: Roles) {
    let authority = Authority::new();
    speak(&start(roles, "wss", &authority.block(""), &authority.block("")));
}

fn messages_may_be_compressed(roles: Roles) {
    speak(&start(roles, "ws", "no_tls: true, compression: true", "ws_compression: true"));
    speak(&start(roles, "ws", "no_tls: true, compression: true", "ws_compression: true, ws_no_masking: true"));
    let authority = Authority::new();
    let (at_hub, remote) = (authority.block(""), authority.block(""));
    speak(&start(roles, "wss", &(at_hub + "\ncompression: true"), &(remote + "\nws_compression: true")));
}

fn a_hub_may_not_compress(roles: Roles) {
    speak(&start(roles, "ws", "no_tls: true", "ws_compression: true"));
}

fn who_shows_nothing_is_whom_websocket_names(roles: Roles) {
    let at_hub = "no_tls: true, no_auth_user: b }\n\
        accounts { A { users: [{ user: a, password: a }] }, B { users: [{ user: b, password: b }] } }\n\
        no_auth_user: a\nserver_metadata {";
    let pair = start(roles, "ws", at_hub, "");
    let _listener = subscriber(&pair.leaf, "foo");
    Client::connect_as(pair.hub.port, "b").wait_for_interest("foo", true);
    assert!(!Client::connect_as(pair.hub.port, "a").sees_interest("foo"));
}
