//! `/metrics`: the text format of Prometheus, version 0.0.4.
//!
//! The names that begin with `gnatsd_` are those which the exporter of NATS makes of the JSON documents, so that its
//! dashboards work: the way to a number in the document is the name of its metric. `natsd_path_*` are natsd's own.

mod links;
mod paths;
mod text;

use axum::http::{HeaderName, StatusCode, header};
use natsd_api::{Routez, Time, Varz};
use serde::Serialize;
use serde_json::{Map, Value};

use super::inspect::{GatewayQuery, Route};
use super::params::DEFAULT_LIMIT;
use super::{Answer, Context, Params, routez, subsz, varz};
use text::{Exposition, Kind};

/// Texts that are told as a label `value` of a metric that is always 1.
const LABELS: [&str; 4] = ["server_id", "server_name", "version", "name"];
/// Times that are told in milliseconds since 1970.
const TIMES: [&str; 2] = ["start", "config_load_time"];
/// Numbers which the exporter leaves out.
const LEFT_OUT: [&str; 3] = ["cluster_tls_timeout", "cluster_cluster_port", "cluster_auth_timeout"];

/// The document. Sums are over all clients, not only over as many as `/connz` shows at once.
pub(super) fn metrics(context: &Context, _: &Params) -> Answer {
    const HEADERS: &[(HeaderName, &str)] = &[(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let server = context.inspect.server_id();
    let mut out = Exposition::new(&server);
    let varz = varz::document(context);
    times(&mut out, &varz);
    numbers(&mut out, "varz", &varz);
    clients(&mut out, context);
    routes(&mut out, context);
    if let Ok(subsz) = subsz::document(context, &Params(Vec::new())) {
        numbers(&mut out, "subsz", &subsz);
    }
    links::write_leafs(&mut out, &context.inspect.leafs(false));
    links::write_gateways(&mut out, &context.inspect.gatewayz(&GatewayQuery::default()));
    health(&mut out, context);
    if let Some(pathz) = context.inspect.paths(None) {
        paths::write(&mut out, &pathz);
    }
    Answer { status: StatusCode::OK, headers: HEADERS, body: out.finish() }
}

/// All numbers in `document`, and the texts that name the server.
fn numbers(out: &mut Exposition, endpoint: &str, document: &impl Serialize) {
    if let Ok(Value::Object(object)) = serde_json::to_value(document) {
        flatten(out, endpoint, "", &object);
    }
}

fn flatten(out: &mut Exposition, endpoint: &str, prefix: &str, object: &Map<String, Value>) {
    for (key, value) in object {
        let way = joined(prefix, key);
        let name = format!("gnatsd_{endpoint}_{way}");
        match value {
            // The path `/` leaves nothing of its name.
            Value::Number(number) if way != prefix && !LEFT_OUT.contains(&way.as_str()) => {
                out.family(&name, &way, Kind::Gauge).sample(&[], number);
            }
            Value::String(text) if LABELS.contains(&key.as_str()) => {
                out.family(&name, &way, Kind::Gauge).sample(&[("value", text)], 1);
            }
            Value::Object(object) => flatten(out, endpoint, &way, object),
            _ => {}
        }
    }
}

/// The way to `key`; slashes do not count.
fn joined(prefix: &str, key: &str) -> String {
    let parts = key.split('/').filter(|part| !part.is_empty());
    [prefix].into_iter().filter(|prefix| !prefix.is_empty()).chain(parts).collect::<Vec<_>>().join("_")
}

fn times(out: &mut Exposition, varz: &Varz) {
    for (key, time) in TIMES.into_iter().zip([varz.start, varz.config_load_time]) {
        let millis = time.since(Time::default()).as_millis();
        out.family(&format!("gnatsd_varz_{key}"), key, Kind::Gauge).sample(&[], millis);
    }
}

fn clients(out: &mut Exposition, context: &Context) {
    let clients = context.inspect.open_clients();
    let mut sum = |name: &str, kind, of: &dyn Fn(&super::Client) -> u64| {
        let sum: u64 = clients.iter().map(of).sum();
        out.family(&format!("gnatsd_connz_{name}"), name, kind).sample(&[], sum);
    };
    sum("num_connections", Kind::Gauge, &|_| 1);
    sum("total", Kind::Gauge, &|_| 1);
    sum("offset", Kind::Gauge, &|_| 0);
    sum("pending_bytes", Kind::Gauge, &|client| client.traffic.pending);
    sum("subscriptions", Kind::Gauge, &|client| client.subscriptions);
    sum("in_bytes", Kind::Counter, &|client| client.traffic.in_bytes);
    sum("out_bytes", Kind::Counter, &|client| client.traffic.out_bytes);
    sum("in_msgs", Kind::Counter, &|client| client.traffic.in_msgs);
    sum("out_msgs", Kind::Counter, &|client| client.traffic.out_msgs);
    out.family("gnatsd_connz_limit", "limit", Kind::Gauge).sample(&[], DEFAULT_LIMIT);
}

fn routes(out: &mut Exposition, context: &Context) {
    let mut routes = context.inspect.routes();
    routes.sort_by_key(|route| route.rid);
    let (server_id, server_name) = (context.inspect.server_id(), context.inspect.server_name());
    numbers(out, "routez", &Routez { server_id, server_name, num_routes: routes.len() as u64, ..Routez::default() });

    let rids: Vec<String> = routes.iter().map(|route| route.rid.to_string()).collect();
    let mut info = out.family("gnatsd_routez_route_info", "route_info", Kind::Gauge);
    for (route, rid) in routes.iter().zip(&rids) {
        let route = routez::info(route.clone(), Time::default());
        let labels: [(&str, &str); 6] = [
            ("rid", rid),
            ("remote_id", &route.remote_id),
            ("remote_name", &route.remote_name),
            ("account", &route.account),
            ("ip", &route.ip),
            ("compression", &route.compression),
        ];
        info.sample(&labels, 1);
    }
    let mut each = |name: &str, of: &dyn Fn(&Route) -> Option<f64>| {
        let mut family = out.family(&format!("gnatsd_routez_route_{name}"), name, Kind::Gauge);
        for (route, rid) in routes.iter().zip(&rids) {
            if let Some(value) = of(route) {
                family.sample(&[("rid", rid)], value);
            }
        }
    };
    each("rtt_seconds", &|route| route.rtt.map(|rtt| rtt.as_secs_f64()));
    each("subscriptions", &|route| Some(route.facts.subscriptions as f64));
    each("uptime_seconds", &|route| Some(route.start.elapsed().unwrap_or_default().as_secs() as f64));
    each("in_msgs", &|route| Some(route.traffic.in_msgs as f64));
    each("out_msgs", &|route| Some(route.traffic.out_msgs as f64));
    each("in_bytes", &|route| Some(route.traffic.in_bytes as f64));
    each("out_bytes", &|route| Some(route.traffic.out_bytes as f64));
}

/// 0 is well.
fn health(out: &mut Exposition, context: &Context) {
    let (status, word) = if context.inspect.health().is_ok() { (0, "ok") } else { (1, "unavailable") };
    out.family("gnatsd_healthz_status", "status", Kind::Gauge).sample(&[], status);
    out.family("gnatsd_healthz_status_value", "status", Kind::Gauge).sample(&[("value", word)], 1);
}
