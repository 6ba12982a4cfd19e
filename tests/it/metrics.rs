//! `/metrics` of a running server.

use std::collections::BTreeMap;

use crate::harness::http::{self, Samples};
use crate::harness::node::free_port;
use crate::harness::server::TestServer;

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
