//! Servers that have to say who they are, and are believed or not; natsd and nats-server, alone and together.

use serde_json::json;

use crate::harness::client::Client;
use crate::harness::node::{Kind, Node, Setup};
use crate::harness::peer::Peer;
use crate::harness::server::{Program, wait_for};
use crate::harness::tls::Authority;
use crate::harness::with_both;

const LOGIN: &str = "authorization { user: ruser, password: \"T0p:@ S3cret\", timeout: 5 }";
const RIGHT: &str = ",\"user\":\"ruser\",\"pass\":\"T0p:@ S3cret\"";
const IN_URLS: &str = "ruser:T0p%3A%40%20S3cret@";
const REFUSAL: &str = "-ERR 'Authorization Violation'\r\n";

fn server(kind: Kind, cluster: &str) -> Node {
    Node::start(kind, "a", Setup { cluster, ..Setup::default() })
}

fn last_words(node: &Node, says: &str) -> String {
    let mut peer = Peer::connect(node.route_port);
    peer.introduce("f", says);
    peer.last_words()
}

fn only_the_right_user_is_a_peer(kind: Program) {
    let node = server(kind, LOGIN);
    for wrong in [
        "",
        ",\"user\":\"ruser\"",
        ",\"user\":\"ruser\",\"pass\":\"\"",
        ",\"user\":\"ruser\",\"pass\":\"T0p:@ S3cres\"",
        ",\"user\":\"other\",\"pass\":\"T0p:@ S3cret\"",
        ",\"pass\":\"T0p:@ S3cret\"",
        // Who is no server is told no more.
        ",\"lang\":\"go\"",
        ",\"gateway\":\"g\"",
    ] {
        assert_eq!(last_words(&node, wrong), REFUSAL, "{wrong}");
    }
    let mut peer = Peer::join_as(node.route_port, "f", RIGHT);
    let mut client = node.client();
    peer.send("RS+ $G foo\r\n");
    peer.said();
    assert!(client.sees_interest("foo"));
    let log = node.log();
    assert!(log.contains("authentication error - User \"other\"") && !log.contains("S3cre"), "{log}");
}

fn passwords_may_be_hashed(kind: Program) {
    let hash = bcrypt::hash("pw", 4).expect("a hash");
    let node = server(kind, &format!("authorization {{ user: r, password: \"{hash}\" }}"));
    assert_eq!(last_words(&node, ",\"user\":\"r\",\"pass\":\"px\""), REFUSAL);
    assert_eq!(last_words(&node, &format!(",\"user\":\"r\",\"pass\":\"{hash}\"")), REFUSAL);
    let mut peer = Peer::join_as(node.route_port, "f", ",\"user\":\"r\",\"pass\":\"pw\"");
    peer.send("RS+ $G foo\r\n");
    peer.said();
    assert!(node.client().sees_interest("foo"));
}

fn who_says_nothing_in_time_is_cut_off(kind: Program) {
    let node = server(kind, "authorization { user: r, password: p, timeout: 0.3 }");
    let peer = Peer::connect(node.route_port);
    assert_eq!(peer.info["auth_required"], json!(true));
    assert_eq!(peer.last_words(), "-ERR 'Authentication Timeout'\r\n");
}

fn another_password_sends_peers_away(kind: Program) {
    let node = server(kind, LOGIN);
    let mut stays = Peer::join_as(node.route_port, "f", RIGHT);
    node.reload("timeout: 5", "timeout: 4");
    stays.send("RS+ $G foo\r\n");
    stays.said();
    assert!(node.client().sees_interest("foo"));
    node.reload("password: \"T0p:@ S3cret\"", "password: other");
    let words = stays.last_words();
    assert!(words.ends_with(REFUSAL), "{words}");
    Peer::join_as(node.route_port, "g", ",\"user\":\"ruser\",\"pass\":\"other\"");
    node.reload("authorization { user: ruser, password: other, timeout: 4 }", "");
    Peer::join_as(node.route_port, "h", "");
}

/// Servers show a token, natsd knows how to. Others may have it in their URL, where it looks like a user.
#[test]
fn a_token_is_in_place_of_a_user() {
    let hash = bcrypt::hash("s3cr3t", 4).expect("a hash");
    for token in ["s3cr3t", &*hash] {
        let node = server(Kind::Natsd, &format!("authorization {{ token: \"{token}\", timeout: 5 }}"));
        for wrong in [
            "",
            ",\"auth_token\":\"\"",
            ",\"auth_token\":\"s3cr3s\"",
            ",\"user\":\"s3cr3t\",\"pass\":\"x\"",
            ",\"user\":\"s3cr3s\"",
        ] {
            assert_eq!(last_words(&node, wrong), REFUSAL, "{wrong}");
        }
        for right in [",\"auth_token\":\"s3cr3t\"", ",\"user\":\"s3cr3t\",\"pass\":\"\""] {
            let mut peer = Peer::join_as(node.route_port, "f", right);
            peer.send("RS+ $G foo\r\n");
            peer.said();
            assert!(node.client().sees_interest("foo"));
        }
        assert!(!node.log().contains("s3cr3"), "{}", node.log());
    }
}

/// A seed, and two servers that have its token in their URLs and hear of each other.
fn tokens_lead_to_a_mesh(kinds: [Kind; 3]) {
    const TOKEN: &str = "authorization { token: s3cr3t, timeout: 5 }";
    let start = |kind, name, routes: &[&Node]| {
        // nats-server refuses a token of its own.
        let cluster = if kind == Kind::Natsd { TOKEN } else { "" };
        Node::start(kind, name, Setup { routes, login: "s3cr3t@", cluster, ..Setup::default() })
    };
    let seed = start(kinds[0], "a", &[]);
    let (second, third) = (start(kinds[1], "b", &[&seed]), start(kinds[2], "c", &[&seed]));
    hear_of_each_other(&[seed, second, third]);
}

#[test]
fn tokens_lead_to_a_mesh_of_natsd() {
    tokens_lead_to_a_mesh([Kind::Natsd; 3]);
}

#[cfg(feature = "interop")]
#[test]
fn a_go_server_may_show_a_token() {
    tokens_lead_to_a_mesh([Kind::Natsd, Kind::Natsd, Kind::Go]);
}

/// A reload to another token sends those away that have shown the one before.
#[test]
fn another_token_sends_peers_away() {
    let node = server(Kind::Natsd, "authorization { token: one, timeout: 5 }");
    let peer = Peer::join_as(node.route_port, "f", ",\"auth_token\":\"one\"");
    node.reload("token: one", "token: two");
    let words = peer.last_words();
    assert!(words.ends_with(REFUSAL), "{words}");
    Peer::join_as(node.route_port, "g", ",\"auth_token\":\"two\"");
}

with_both!(
    only_the_right_user_is_a_peer,
    passwords_may_be_hashed,
    who_says_nothing_in_time_is_cut_off,
    another_password_sends_peers_away,
);

fn hear_of_each_other(nodes: &[Node]) {
    let mut clients: Vec<Client> = nodes.iter().map(Node::client).collect();
    for (node, client) in nodes.iter().zip(&mut clients) {
        client.subscribe(&format!("at.{}", node.name), "1");
        client.flush();
    }
    for client in &mut clients {
        nodes.iter().for_each(|node| {
            client.wait_for_interest(&format!("at.{}", node.name), true);
        });
    }
}

/// A seed, and two servers that know it alone: those hear of each other, and know the password that they have themselves.
fn peers_show_passwords(kinds: [Kind; 3]) {
    let start = |kind, name, routes: &[&Node]| {
        Node::start(kind, name, Setup { routes, login: IN_URLS, cluster: LOGIN, ..Setup::default() })
    };
    let seed = start(kinds[0], "a", &[]);
    let (second, third) = (start(kinds[1], "b", &[&seed]), start(kinds[2], "c", &[&seed]));
    hear_of_each_other(&[seed, second, third]);
}

/// The certificate of who dials is for a host that is known, or for the user; no password is shown.
fn certificates_decide(kinds: [Kind; 2]) {
    let authority = Authority::new();
    let known = |host: &str| format!("routes: [\"nats-route://{host}:1\"]");
    let user = |name: &str| format!("authorization {{ user: \"{name}\", password: any }}");
    let (urls, maps) = ("verify_cert_and_check_known_urls: true", "verify_and_map: true");
    for (tls, more, admitted) in [
        (urls, known("localhost"), true),
        (urls, known("127.0.0.2"), false),
        (maps, user("localhost"), true),
        (maps, user("other"), false),
        (maps, String::new(), false),
    ] {
        let cluster = format!("{}\n{more}", authority.block(tls));
        let a = Node::start(kinds[0], "a", Setup { cluster: &cluster, ..Setup::default() });
        let plain = authority.block("");
        let b = Node::start(kinds[1], "b", Setup { routes: &[&a], cluster: &plain, ..Setup::default() });
        let mut at_a = a.client();
        at_a.subscribe("foo", "1");
        at_a.flush();
        if admitted {
            b.client().wait_for_interest("foo", true);
        } else {
            wait_for("a refusal", || b.log().contains("Authorization Violation").then_some(()));
            assert!(!b.client().sees_interest("foo"), "{tls} {more}");
        }
    }
}

fn strangers_are_refused(kinds: [Kind; 2]) {
    let a = server(kinds[0], LOGIN);
    for (name, login) in [("b", ""), ("c", "ruser:wrong@")] {
        let b = Node::start(kinds[1], name, Setup { routes: &[&a], login, cluster: LOGIN, ..Setup::default() });
        wait_for("a refusal", || b.log().contains("Authorization Violation").then_some(()));
        assert!(!b.log().contains("wrong"), "{}", b.log());
        a.client().subscribe("foo", "1");
        assert!(!b.client().sees_interest("foo"));
    }
}

#[test]
fn natsd_shows_passwords_to_natsd() {
    peers_show_passwords([Program::Natsd; 3]);
    strangers_are_refused([Program::Natsd; 2]);
}

#[test]
fn certificates_decide_among_natsd() {
    certificates_decide([Program::Natsd; 2]);
}

#[cfg(feature = "interop")]
mod mixed {
    use super::Program::{Go, Natsd};

    #[test]
    fn natsd_shows_passwords_to_nats_server_and_back() {
        super::peers_show_passwords([Go, Natsd, Natsd]);
        super::peers_show_passwords([Natsd, Go, Natsd]);
        super::peers_show_passwords([Natsd, Go, Go]);
        super::peers_show_passwords([Go; 3]);
    }

    #[test]
    fn certificates_decide() {
        super::certificates_decide([Go, Natsd]);
        super::certificates_decide([Natsd, Go]);
    }

    #[test]
    fn strangers_are_refused() {
        super::strangers_are_refused([Go, Natsd]);
        super::strangers_are_refused([Natsd, Go]);
        super::strangers_are_refused([Go; 2]);
    }
}

#[cfg(feature = "lab")]
#[test]
fn passwords_are_shown_over_scion() {
    use natsd::config::options::RouteLogin;
    use natsd_core::route::hello::Secret;

    use crate::harness::network::{Ground, Pair};

    let secret = |text: &str| Secret(text.to_owned());
    let pair = Pair::start_with(Ground::emulated(), |_, cluster| {
        cluster.login = Some(RouteLogin { user: "r".into(), password: secret("p") });
        let urls = cluster.routes.iter_mut().flat_map(|remote| &mut remote.urls);
        urls.for_each(|url| (url.user, url.password) = (Some("r".into()), Some("p".into())));
    });
    pair.wait_for_routes();
    drop(pair);
    let pair = Pair::start_with(Ground::emulated(), |here, cluster| {
        cluster.login = Some(RouteLogin { user: "r".into(), password: secret("p") });
        if here == 0 {
            cluster.routes.clear();
        }
    });
    // The other server dials without a password, again and again.
    let refused = || pair.read(0, "/varz")["routes"] == json!(0) && pair.read(1, "/routez")["num_routes"] == json!(0);
    assert!(refused());
    let (mut here, mut there) = (pair.client(0), pair.client(1));
    here.subscribe("foo", "1");
    here.flush();
    assert!(!there.sees_interest("foo") && refused());
}
