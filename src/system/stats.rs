//! The counters of this server, as it tells them to others.

use natsd_api::{DataStats, LinkCounts, RouteStat, ServerStats, Varz};

use crate::hub::Hub;
use crate::monitor::Route;
use crate::monitor::documents::Documents;

/// What there is to tell; `others` is the number of servers that tell of themselves.
pub(super) fn collect(hub: &Hub, documents: &Documents, others: usize) -> ServerStats {
    let varz = documents.varz();
    let busy = |counts: LinkCounts| Some(counts).filter(|counts| *counts != LinkCounts::default());
    let active = hub.accounts.all().iter().filter(|account| account.client_count() > 0).count();
    ServerStats {
        active_accounts: active as u64,
        active_servers: others as u64 + 1,
        slow_consumer_stats: busy(varz.slow_consumer_stats),
        stale_connection_stats: busy(varz.stale_connection_stats),
        routes: documents.inspect().routes().into_iter().map(route).collect(),
        gateways: documents.inspect().gateway_stats(),
        ..counters(varz)
    }
}

fn counters(varz: Varz) -> ServerStats {
    ServerStats {
        start: varz.start,
        mem: varz.mem,
        cores: varz.cores,
        cpu: varz.cpu,
        connections: varz.connections,
        total_connections: varz.total_connections,
        subscriptions: varz.subscriptions,
        sent: data(varz.out_msgs, varz.out_bytes),
        sent_to_clients: data(varz.out_client_msgs, varz.out_client_bytes),
        received: data(varz.in_msgs, varz.in_bytes),
        received_from_clients: data(varz.in_client_msgs, varz.in_client_bytes),
        slow_consumers: varz.slow_consumers,
        stale_connections: varz.stale_connections,
        stalled_clients: varz.stalled_clients,
        gomaxprocs: varz.gomaxprocs,
        ..ServerStats::default()
    }
}

fn data(msgs: u64, bytes: u64) -> DataStats {
    DataStats { msgs, bytes, ..DataStats::default() }
}

fn route(route: Route) -> RouteStat {
    RouteStat {
        rid: route.rid,
        name: route.facts.remote_name,
        sent: data(route.traffic.out_msgs, route.traffic.out_bytes),
        received: data(route.traffic.in_msgs, route.traffic.in_bytes),
        pending: route.traffic.pending,
    }
}
