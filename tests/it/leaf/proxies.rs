//! Proxies on the way to the hub: those that lead there, and those that vouch for who comes.

use data_encoding::{BASE64, BASE64URL_NOPAD};
use nkeys::KeyPair;

use super::{Pair, Roles, Setup, publisher, subscriber, wait_for_log, with_roles};
use crate::harness::http_proxy::HttpProxy;
use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};
use crate::harness::tls::Authority;
use crate::harness::websocket::websocket_port;
use crate::harness::with_both;

with_roles!(
    a_proxy_leads_to_the_hub,
    a_proxy_leads_to_the_hub_over_websocket,
    a_proxy_leads_to_the_hub_over_tls,
    a_proxy_may_itself_speak_tls,
    a_proxy_may_want_to_know_who_asks,
);

fn speak(pair: &Pair) {
    for (from, to, subject) in [(&pair.hub, &pair.leaf, "down"), (&pair.leaf, &pair.hub, "up")] {
        let mut listener = subscriber(to, subject);
        publisher(from, subject).publish(subject, &"x".repeat(200_000));
        assert_eq!(listener.next().payload.len(), 200_000);
    }
}

fn led_by(proxy: &HttpProxy, more: &str) -> String {
    format!("proxy {{ url: \"http://127.0.0.1:{}\"\n{more} }}", proxy.port)
}

fn a_proxy_leads_to_the_hub(roles: Roles) {
    let proxy = HttpProxy::start(None, None);
    let remote = led_by(&proxy, "");
    let (mut pair, port) = Setup { remote: &remote, ..Setup::default() }.start_apart(roles);
    wait_for_log(&mut pair.leaf, "Leafnode connection created");
    speak(&pair);
    let asked = &proxy.heads()[0];
    assert!(asked.starts_with(&format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n")), "{asked}");
}

fn a_proxy_leads_to_the_hub_over_websocket(roles: Roles) {
    let proxy = HttpProxy::start(None, None);
    let hub = format!(
        "server_name: hub\nleafnodes {{ listen: \"127.0.0.1:{}\", compression: off }}\n\
         websocket {{ host: 127.0.0.1, port: -1, no_tls: true }}",
        free_port()
    );
    let hub = TestServer::start(roles.hub, &hub);
    let leaf = format!(
        "server_name: leaf\nleafnodes {{ compression: off, reconnect: \"100ms\", remotes: [{{\n\
         url: \"ws://127.0.0.1:{}\", compression: off\n{} }}] }}",
        websocket_port(&hub),
        led_by(&proxy, "")
    );
    let leaf = TestServer::start(roles.leaf, &leaf);
    speak(&Pair { hub, leaf });
    assert_eq!(proxy.heads().len(), 1);
}

fn a_proxy_leads_to_the_hub_over_tls(roles: Roles) {
    let (proxy, authority) = (HttpProxy::start(None, None), Authority::new());
    let (accepts, remote) = (authority.block(""), authority.block("") + "\n" + &led_by(&proxy, ""));
    let setup = Setup { accepts: &accepts, remote: &remote, ..Setup::default() };
    let (mut pair, _) = setup.start_apart(roles);
    wait_for_log(&mut pair.leaf, "Leafnode connection created");
    speak(&pair);
}

fn a_proxy_may_itself_speak_tls(roles: Roles) {
    let authority = Authority::new();
    let proxy = HttpProxy::start(Some(&authority), None);
    let ca = authority.file("ca.pem").display().to_string();
    let led = format!("proxy {{ url: \"https://127.0.0.1:{}\", tls {{ ca_file: \"{ca}\" }} }}", proxy.port);
    for more in ["", &authority.block("")] {
        let remote = format!("{more}\n{led}");
        let setup = Setup { accepts: more, remote: &remote, ..Setup::default() };
        let (mut pair, _) = setup.start_apart(roles);
        wait_for_log(&mut pair.leaf, "Leafnode connection created");
        speak(&pair);
    }
    let stranger = HttpProxy::start(Some(&Authority::new()), None);
    let remote = led.replace(&proxy.port.to_string(), &stranger.port.to_string());
    let (mut pair, _) = Setup { remote: &remote, ..Setup::default() }.start_apart(roles);
    wait_for_log(&mut pair.leaf, "Error trying to connect as leafnode to remote server");
    assert!(stranger.heads().is_empty(), "it was told nothing");
}

fn a_proxy_may_want_to_know_who_asks(roles: Roles) {
    let proxy = HttpProxy::start(None, Some(&BASE64.encode(b"edge:secret")));
    let remote = led_by(&proxy, "username: edge, password: secret");
    let (mut pair, _) = Setup { remote: &remote, ..Setup::default() }.start_apart(roles);
    wait_for_log(&mut pair.leaf, "Leafnode connection created");
    speak(&pair);
    let remote = led_by(&proxy, "username: edge, password: other");
    let (mut pair, _) = Setup { remote: &remote, ..Setup::default() }.start_apart(roles);
    wait_for_log(&mut pair.leaf, "407");
}

mod vouched_for {
    use super::*;

    with_both!(leaf_nodes_may_have_to_come_by_a_proxy);

    fn answer(port: u16, user: &str, by: Option<&KeyPair>) -> String {
        let mut raw = Raw::connect(port);
        let nonce = raw.info["nonce"].as_str().expect("to be signed").to_owned();
        let signed = by.map(|key| BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()).expect("a pair signs")));
        let signature = signed.map(|it| format!(",\"proxy_sig\":\"{it}\"")).unwrap_or_default();
        raw.send(&format!(
            "CONNECT {{\"version\":\"2.15.2\",\"server_id\":\"N\",\"name\":\"L\",\"cluster\":\"L\",\"user\":\"{user}\",\
             \"pass\":\"p\",\"compress_mode\":\"off\",\"protocol\":3{signature}}}\r\n"
        ));
        raw.line()
    }

    fn leaf_nodes_may_have_to_come_by_a_proxy(program: Program) {
        let (proxy, stranger) = (KeyPair::new_user(), KeyPair::new_user());
        let users = "authorization { users: [{ user: free, password: p }, { user: bound, password: p, proxy_required: true }] }";
        let of_server = "authorization { users: [{ user: free, password: p }, { user: bound, password: p, proxy_required: true }] }";
        for (own, all) in [(users, ""), ("", of_server)] {
            let port = free_port();
            let config = format!(
                "server_name: hub\nproxies {{ trusted: [{{ key: {} }}] }}\n\
                 leafnodes {{ listen: \"127.0.0.1:{port}\", compression: off\n{own} }}\n{all}",
                proxy.public_key()
            );
            let _server = TestServer::start(program, &config);
            for (user, by, welcome) in [
                ("free", None, true),
                ("free", Some(&proxy), true),
                ("free", Some(&stranger), false),
                ("bound", None, false),
                ("bound", Some(&proxy), true),
                ("bound", Some(&stranger), false),
            ] {
                let line = answer(port, user, by);
                assert_eq!(line.starts_with("INFO "), welcome, "{program:?} {user} {}: {line}", by.is_some());
                assert!(welcome || line == "-ERR 'Authorization Violation'", "{line}");
            }
        }
    }
}
