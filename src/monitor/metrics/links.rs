//! Metrics of connections to other clusters, leaf nodes and hubs, out of the documents of `/gatewayz` and `/leafz`.

use natsd_api::{ConnInfo, Gatewayz, LeafInfo, RemoteGatewayz};

use super::text::{Exposition, Kind};
use crate::config::duration;

/// What a number is called, and where it comes from. What was not measured has no sample.
type Number<T> = (&'static str, fn(&T) -> Option<f64>);

const OF_GATEWAYS: &[Number<ConnInfo>] = &[
    ("rtt", |connection| seconds(&connection.rtt)),
    ("pending_bytes", |connection| Some(connection.pending_bytes as f64)),
    ("in_msgs", |connection| Some(connection.in_msgs as f64)),
    ("out_msgs", |connection| Some(connection.out_msgs as f64)),
    ("in_bytes", |connection| Some(connection.in_bytes as f64)),
    ("out_bytes", |connection| Some(connection.out_bytes as f64)),
    ("subscriptions", |connection| Some(connection.subscriptions as f64)),
];

const OF_LEAFS: &[Number<LeafInfo>] = &[
    ("rtt", |leaf| seconds(&leaf.rtt)),
    ("in_msgs", |leaf| Some(leaf.in_msgs as f64)),
    ("out_msgs", |leaf| Some(leaf.out_msgs as f64)),
    ("in_bytes", |leaf| Some(leaf.in_bytes as f64)),
    ("out_bytes", |leaf| Some(leaf.out_bytes as f64)),
    ("subscriptions_total", |leaf| Some(leaf.subscriptions as f64)),
];

/// As documents tell a round-trip time: nothing, or zero, before it was measured.
fn seconds(rtt: &str) -> Option<f64> {
    duration::parse(rtt).ok().filter(|rtt| !rtt.is_zero()).map(|rtt| rtt.as_secs_f64())
}

/// A connection to or from the cluster of that name.
type Remote<'a> = (&'a str, &'a RemoteGatewayz);

/// Adds what `gatewayz` says.
pub(super) fn write_gateways(out: &mut Exposition, gatewayz: &Gatewayz) {
    let outbound = gatewayz.outbound_gateways.iter().flatten();
    let outbound: Vec<Remote<'_>> = outbound.map(|(name, remote)| (name.as_str(), remote)).collect();
    write_remotes(out, "outbound", &gatewayz.name, &outbound);
    let mut inbound: Vec<Remote<'_>> = Vec::new();
    for (name, remotes) in &gatewayz.inbound_gateways {
        inbound.extend(remotes.iter().map(|remote| (name.as_str(), remote)));
    }
    write_remotes(out, "inbound", &gatewayz.name, &inbound);
}

fn write_remotes(out: &mut Exposition, direction: &str, own: &str, remotes: &[Remote<'_>]) {
    let name = |number: &str| format!("gnatsd_gatewayz_{direction}_gateway_{number}");
    let mut configured = out.family(&name("configured"), "configured", Kind::Gauge);
    for (remote, of) in remotes {
        configured.sample(&[("gateway_name", own), ("remote_gateway_name", remote)], u8::from(of.configured));
    }
    let connections = remotes.iter().filter_map(|(remote, of)| Some((*remote, of.connection.as_deref()?)));
    let connections: Vec<_> = connections.map(|(remote, it)| (remote, it.cid.to_string(), it)).collect();
    let mut info = out.family(&name("info"), "info", Kind::Gauge);
    for (remote, cid, connection) in &connections {
        let [own, cid, remote] = [("gateway_name", own), ("cid", cid), ("remote_gateway_name", remote)];
        info.sample(&[own, cid, remote, ("remote_id", &connection.name), ("ip", &connection.ip)], 1);
    }
    for (number, of) in OF_GATEWAYS {
        let mut family = out.family(&name(&format!("conn_{number}")), number, Kind::Gauge);
        for (remote, cid, connection) in &connections {
            if let Some(value) = of(connection) {
                family.sample(&[("gateway_name", own), ("cid", cid), ("remote_gateway_name", remote)], value);
            }
        }
    }
}

/// Adds what is known of each connection to a leaf node or a hub.
pub(super) fn write_leafs(out: &mut Exposition, leafs: &[LeafInfo]) {
    out.family("gnatsd_leafz_conn_nodes_total", "nodes_total", Kind::Gauge).sample(&[], leafs.len());
    let ports: Vec<String> = leafs.iter().map(|leaf| leaf.port.to_string()).collect();
    let mut each = |name: &str, help: &str, of: &dyn Fn(&LeafInfo) -> Option<f64>| {
        let mut family = out.family(&format!("gnatsd_leafz_{name}"), help, Kind::Gauge);
        for (leaf, port) in leafs.iter().zip(&ports) {
            let account = leaf.account.as_str();
            let (account, id) = (("account", account), ("account_id", account));
            if let Some(value) = of(leaf) {
                family.sample(&[account, id, ("ip", &leaf.ip), ("port", port), ("name", &leaf.name)], value);
            }
        }
    };
    each("info", "info", &|_| Some(1.0));
    for (number, of) in OF_LEAFS {
        each(&format!("conn_{number}"), number, of);
    }
}
