//! `/metrics` of a running server.

use std::collections::BTreeMap;

use crate::gateway;
use crate::harness::client::Client;
use crate::harness::http::{self, Samples};
use crate::harness::node::free_port;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::leaf::{self, publisher, subscriber};

fn only(samples: &Samples) -> f64 {
    assert_eq!(samples.len(), 1, "{samples:?}");
    *samples.values().next().expect("one")
}

#[test]
fn metrics_are_those_of_the_exporter_and_say_what_varz_says() {
    let http = free_port();
    let server =
        TestServer::natsd(&format!("http: \"127.0.0.1:{http}\"\nserver_name: \"a\\\"b\\\\c\"\ncluster {{ name: c }}"));
    let mut client = server.client();
    client.send("SUB foo 1\r\nPUB foo 5\r\nhello\r\n");
    client.expect("MSG foo 1 5\r\nhello\r\n");
    client.expect_pong();
    let varz = http::json(http, "/varz");
    let reply = http::get(http, "/metrics");
    assert_eq!(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let metrics = http::metrics(&reply.body);

    for (name, (_, samples)) in &metrics {
        for labels in samples.keys() {
            assert_eq!(labels["server_id"], varz["server_id"].as_str().expect("a string"), "{name}");
        }
    }
    for key in ["in_msgs", "out_msgs", "in_bytes", "connections", "max_payload", "ping_interval", "tls_timeout"] {
        assert_eq!(only(&metrics[&format!("gnatsd_varz_{key}")].1), varz[key].as_f64().expect(key), "{key}");
    }
    assert_eq!(only(&metrics["gnatsd_varz_http_req_stats_varz"].1), 1.0);
    for (key, value) in [("num_connections", 1.0), ("in_msgs", 1.0), ("out_bytes", 5.0), ("subscriptions", 1.0)] {
        assert_eq!(only(&metrics[&format!("gnatsd_connz_{key}")].1), value, "{key}");
    }
    assert_eq!(only(&metrics["gnatsd_healthz_status"].1), 0.0);
    let named = metrics["gnatsd_varz_server_name"].1.keys().next().expect("one");
    assert_eq!(named["value"], "a\"b\\c");
    let started = only(&metrics["gnatsd_varz_start"].1);
    let told: jiff::Timestamp = varz["start"].as_str().expect("a time").parse().expect("a time");
    assert_eq!(started, told.as_millisecond() as f64);
    let names: Vec<_> = metrics.iter().map(|(name, (kind, _))| format!("{name} {kind}")).collect();
    insta::assert_snapshot!(names.join("\n"));
}

#[test]
fn routes_are_told_one_by_one() {
    let (http, port) = (free_port(), free_port());
    let first = TestServer::natsd(&format!(
        "server_name: one\ncluster {{ name: c, listen: \"127.0.0.1:{port}\", pool_size: -1 }}"
    ));
    let route = format!("cluster {{ name: c, pool_size: -1, routes: [\"nats://127.0.0.1:{port}\"] }}");
    let second = TestServer::natsd(&format!("http: \"127.0.0.1:{http}\"\nserver_name: two\n{route}"));
    let metrics = crate::harness::server::wait_for("a route", || {
        let metrics = http::metrics(&http::get(http, "/metrics").body);
        (only(&metrics["gnatsd_routez_num_routes"].1) == 1.0).then_some(metrics)
    });
    let info: &BTreeMap<_, _> = metrics["gnatsd_routez_route_info"].1.keys().next().expect("a route");
    assert_eq!((info["remote_name"].as_str(), info["ip"].as_str()), ("one", "127.0.0.1"));
    let by_rid = metrics["gnatsd_routez_route_in_msgs"].1.keys().next().expect("a route");
    assert_eq!(by_rid["rid"], info["rid"]);
    drop((first, second));
}

/// The samples that the metrics of a server have, and what one of its documents says of the same.
fn told(port: u16, path: &str) -> (impl Fn(&str) -> Samples, serde_json::Value) {
    let metrics = http::metrics(&http::get(port, "/metrics").body);
    (
        move |name: &str| metrics.get(name).map(|(_, samples)| samples.clone()).unwrap_or_default(),
        http::json(port, path),
    )
}

#[test]
fn other_clusters_are_told_one_by_one() {
    let http = free_port();
    let roles = gateway::Roles { dials: Program::Natsd, dialled: Program::Natsd };
    // The one that is configured last.
    let more = format!("}}\nhttp: \"127.0.0.1:{http}\"\nmappings {{");
    let pair = gateway::Setup { a: &more, ..gateway::Setup::default() }.start(roles);
    let mut listener = subscriber(&pair.b, "foo");
    let mut client = publisher(&pair.a, "foo");
    client.publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
    let mut back = subscriber(&pair.a, "bar");
    publisher(&pair.b, "bar").publish("bar", "hi");
    assert_eq!(back.next().payload, "hi");
    let (of, document) = wait_for("a round-trip time", || {
        let (of, document) = told(http, "/gatewayz");
        (of("gnatsd_gatewayz_outbound_gateway_conn_rtt").len() == 1).then_some((of, document))
    });
    let remotes = [
        ("outbound", &document["outbound_gateways"]["B"], 1.0),
        ("inbound", &document["inbound_gateways"]["B"][0], 0.0),
    ];
    for (direction, remote, configured) in remotes {
        let of = |name: &str| of(&format!("gnatsd_gatewayz_{direction}_gateway_{name}"));
        assert_eq!(only(&of("configured")), configured, "{direction}");
        for number in ["in_msgs", "out_msgs", "in_bytes", "out_bytes", "subscriptions", "pending_bytes"] {
            assert_eq!(Some(only(&of(&format!("conn_{number}")))), remote["connection"][number].as_f64(), "{number}");
        }
        let info = of("info").keys().next().expect("one").clone();
        let labels = ["gateway_name", "remote_gateway_name", "cid", "remote_id"].map(|label| info[label].as_str());
        let connection = &remote["connection"];
        let (cid, id) = (connection["cid"].to_string(), connection["name"].as_str().expect("a name"));
        assert_eq!(labels, ["A", "B", cid.as_str(), id]);
    }
    assert!(only(&of("gnatsd_gatewayz_outbound_gateway_conn_out_msgs")) >= 1.0);
    assert!(only(&of("gnatsd_gatewayz_inbound_gateway_conn_in_bytes")) >= 2.0);
}

#[test]
fn leaf_nodes_are_told_one_by_one() {
    let http = free_port();
    let hub = format!("http: \"127.0.0.1:{http}\"");
    let pair = leaf::Setup { hub: &hub, ..leaf::Setup::default() }.start(leaf::Roles::NATSD);
    let mut listener = subscriber(&pair.leaf, "foo");
    let mut client: Client = publisher(&pair.hub, "foo");
    client.publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
    let (of, document) = told(http, "/leafz");
    let leaf = &document["leafs"][0];
    for (number, key) in [
        ("in_msgs", "in_msgs"),
        ("out_msgs", "out_msgs"),
        ("in_bytes", "in_bytes"),
        ("out_bytes", "out_bytes"),
        ("subscriptions_total", "subscriptions"),
    ] {
        assert_eq!(Some(only(&of(&format!("gnatsd_leafz_conn_{number}")))), leaf[key].as_f64(), "{number}");
    }
    assert!(only(&of("gnatsd_leafz_conn_out_msgs")) >= 1.0);
    let info = of("gnatsd_leafz_info").keys().next().expect("one").clone();
    let labels = ["account", "ip", "name"].map(|label| info[label].as_str());
    assert_eq!(labels, ["$G", "127.0.0.1", "leaf"]);
    assert_eq!(info["port"], leaf["port"].to_string());
}
