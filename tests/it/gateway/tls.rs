//! Gateways over TLS.

use super::{Roles, Setup, connected, with_roles};
use crate::harness::http;
use crate::harness::server::{Program, TestServer};
use crate::harness::tls::Authority;
use crate::leaf::{publisher, subscriber, wait_for_log};

with_roles!(clusters_prove_who_they_are, a_cluster_that_nobody_vouches_for_stays_outside);

fn clusters_prove_who_they_are(roles: Roles) {
    let authority = Authority::new();
    let tls = authority.block("");
    let both = "http: \"127.0.0.1:-1\"";
    let mut pair = Setup { both, a: &tls, b: &tls, ..Setup::default() }.start(roles);
    for (server, other) in [(&mut pair.a, "B"), (&mut pair.b, "A")] {
        let line = server.log().iter().find(|line| line.contains("Starting http monitor on ")).expect("logged").clone();
        let port = line.rsplit_once(':').expect("host:port").1.parse().expect("a port");
        let gatewayz = http::json(port, "/gatewayz");
        for remote in [&gatewayz["outbound_gateways"][other], &gatewayz["inbound_gateways"][other][0]] {
            let connection = &remote["connection"];
            let suite = connection["tls_cipher_suite"].as_str().unwrap_or_default();
            assert!(connection["tls_version"] == "1.3" && suite.starts_with("TLS_"), "{gatewayz}");
        }
    }
    for (from, to) in pair.ways() {
        let mut listener = subscriber(to, "foo");
        let mut client = publisher(from, "foo");
        client.publish("foo", &"x".repeat(100_000));
        assert_eq!(listener.next().payload.len(), 100_000);
    }
}

fn a_cluster_that_nobody_vouches_for_stays_outside(roles: Roles) {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let (a, b) = (theirs.block(""), ours.block(""));
    let mut pair = Setup { a: &a, b: &b, ..Setup::default() }.start_apart(roles);
    let dialler = match roles.dials {
        Program::Natsd => "Error connecting to explicit gateway \"B\"",
        #[cfg(feature = "interop")]
        Program::Go => "TLS gateway handshake error",
    };
    wait_for_log(&mut pair.a, dialler);
}

#[test]
fn another_certificate_holds_from_the_next_handshake_on() {
    let authority = Authority::new();
    let port = crate::harness::node::free_port();
    let config =
        |more: &str| format!("gateway {{ name: A, listen: \"127.0.0.1:{port}\"\n{} }}\n{more}", authority.block(""));
    let mut server = TestServer::natsd(&config(""));
    let cluster = |server: &mut TestServer| {
        let known = format!("gateways: [{{ name: A, url: \"nats://127.0.0.1:{port}\" }}]\n{}", authority.block(""));
        let config =
            format!("gateway {{ name: B, listen: \"127.0.0.1:{}\"\n{known} }}", crate::harness::node::free_port());
        let mut other = TestServer::natsd(&config);
        connected(&mut other, "A");
        connected(server, "B");
        other
    };
    drop(cluster(&mut server));
    authority.issue("server");
    server.reconfigure(&config("ping_interval: 7"));
    server.wait_for_line("Reloaded: gateway tls = enabled");
    server.wait_for_line("Reloaded server configuration");
    drop(cluster(&mut server));
    server.reconfigure(&config("").replace("name: A", "name: X"));
    server.wait_for_line("config reload not supported for gateway.name: old=A, new=X");
}
