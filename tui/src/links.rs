//! Connections to other servers, whatever they are: routes, leaf nodes and hubs, other clusters.

use natsd_api::{ConnInfo, LeafInfo, PeerInfo, RouteInfo};

use crate::Snapshot;
use crate::traffic::{Counts, Key};

/// A connection to another server.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LinkInfo {
    /// As its counters are known by.
    pub(crate) kind: &'static str,
    pub(crate) id: u64,
    /// For people: `route`, `leaf`, `hub`, `gw out`, `gw in`.
    pub(crate) what: &'static str,
    /// The name of the other server; of another cluster, its.
    pub(crate) peer: String,
    pub(crate) isd_as: String,
    pub(crate) ip: String,
    pub(crate) port: u16,
    /// Fingerprint of the path that it goes over; empty over TCP, or when it cannot be told.
    pub(crate) path: String,
    /// Who dialled: `out` is this server. Empty when it is not told.
    pub(crate) dial: &'static str,
    pub(crate) rtt: String,
    pub(crate) in_msgs: u64,
    pub(crate) out_msgs: u64,
    /// Bytes; `None` when it is not told.
    pub(crate) pending: Option<u64>,
    pub(crate) subscriptions: u64,
    pub(crate) compression: String,
    /// The account or the subjects that it is for; empty for all.
    pub(crate) purpose: String,
}

impl LinkInfo {
    pub(crate) fn address(&self) -> String {
        if self.isd_as.is_empty() {
            format!("{}:{}", self.ip, self.port)
        } else {
            format!("[{},{}]:{}", self.isd_as, self.ip, self.port)
        }
    }

    fn route(route: &RouteInfo, peers: &[PeerInfo]) -> Self {
        let link = Self {
            kind: "route",
            id: route.rid,
            what: "route",
            peer: route.remote_name.clone(),
            isd_as: route.isd_as.clone(),
            ip: route.ip.clone(),
            port: route.port,
            path: String::new(),
            dial: if route.did_solicit { "out" } else { "in" },
            rtt: route.rtt.clone(),
            in_msgs: route.in_msgs,
            out_msgs: route.out_msgs,
            pending: Some(route.pending_size),
            subscriptions: route.subscriptions,
            compression: route.compression.clone(),
            purpose: [route.account.as_str(), route.subjects.as_str()].concat(),
        };
        link.over(peers)
    }

    fn leaf(leaf: &LeafInfo, peers: &[PeerInfo]) -> Self {
        let link = Self {
            kind: "leaf",
            id: leaf.id,
            what: if leaf.is_spoke { "hub" } else { "leaf" },
            peer: leaf.name.clone(),
            isd_as: leaf.isd_as.clone(),
            ip: leaf.ip.clone(),
            port: leaf.port,
            rtt: leaf.rtt.clone(),
            in_msgs: leaf.in_msgs,
            out_msgs: leaf.out_msgs,
            subscriptions: leaf.subscriptions,
            compression: leaf.compression.clone(),
            purpose: leaf.account.clone(),
            ..Self::default()
        };
        link.over(peers)
    }

    fn gateway(name: &str, what: &'static str, conn: &ConnInfo, peers: &[PeerInfo]) -> Self {
        let link = Self {
            kind: "gateway",
            id: conn.cid,
            what,
            peer: name.to_owned(),
            isd_as: conn.isd_as.clone(),
            ip: conn.ip.clone(),
            port: conn.port,
            dial: if what == "gw out" { "out" } else { "in" },
            rtt: conn.rtt.clone(),
            in_msgs: conn.in_msgs,
            out_msgs: conn.out_msgs,
            pending: Some(conn.pending_bytes),
            subscriptions: conn.subscriptions,
            ..Self::default()
        };
        link.over(peers)
    }

    /// With the path, if one peer alone in `/pathz` has this connection.
    fn over(self, peers: &[PeerInfo]) -> Self {
        let address = self.address();
        let mut has = peers.iter().filter(|peer| peer.links.iter().any(|link| link.addr == address));
        let path = match (has.next(), has.next()) {
            (Some(peer), None) => peer.active.clone().unwrap_or_default(),
            _ => String::new(),
        };
        Self { path, ..self }
    }
}

/// All of a server.
pub(crate) fn of(snapshot: &Snapshot) -> Vec<LinkInfo> {
    let peers = snapshot.pathz.as_ref().map(|pathz| pathz.peers.as_slice()).unwrap_or_default();
    let mut links: Vec<_> = snapshot.routez.routes.iter().map(|route| LinkInfo::route(route, peers)).collect();
    links.extend(snapshot.leafz.iter().flat_map(|leafz| &leafz.leafs).map(|leaf| LinkInfo::leaf(leaf, peers)));
    if let Some(gatewayz) = &snapshot.gatewayz {
        for (name, remote) in gatewayz.outbound_gateways.iter().flatten() {
            links.extend(remote.connection.iter().map(|conn| LinkInfo::gateway(name, "gw out", conn, peers)));
        }
        for (name, remotes) in &gatewayz.inbound_gateways {
            let connections = remotes.iter().filter_map(|remote| remote.connection.as_ref());
            links.extend(connections.map(|conn| LinkInfo::gateway(name, "gw in", conn, peers)));
        }
    }
    links
}

/// All counters of a server.
pub(crate) fn counters(snapshot: &Snapshot) -> impl Iterator<Item = (Key, Counts)> {
    let links = of(snapshot).into_iter().map(|link| ((link.kind, link.id.to_string()), (link.in_msgs, link.out_msgs)));
    let clients = snapshot.connz.connections.iter();
    let clients = clients.map(|conn| (("client", conn.cid.to_string()), (conn.in_msgs, conn.out_msgs)));
    let accounts = snapshot.accstatz.iter().flat_map(|statz| &statz.account_statz);
    let accounts = accounts.map(|stat| (("account", stat.account.clone()), (stat.received.msgs, stat.sent.msgs)));
    links.chain(clients).chain(accounts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn every_kind_of_connection_is_there_with_its_path() {
        let snapshot = testing::snapshot();
        let links = of(&snapshot);
        let shown: Vec<_> = links.iter().map(|link| (link.what, link.peer.as_str(), link.path.as_str())).collect();
        assert_eq!(
            shown,
            [
                ("route", "beta", "5f0c7a1be2d94c11"),
                ("route", "beta", ""),
                ("leaf", "edge-7", ""),
                ("hub", "hq", ""),
                ("gw out", "west", ""),
                ("gw in", "west", ""),
            ]
        );
        assert_eq!(counters(&snapshot).count(), links.len() + 2 + 2);
    }

    #[test]
    fn a_connection_that_several_lanes_may_have_is_of_none() {
        let mut snapshot = testing::snapshot();
        let peers = &mut snapshot.pathz.as_mut().expect("paths").peers;
        let again = peers[0].clone();
        peers.push(PeerInfo { lane: "lane 1".into(), ..again });
        assert_eq!(of(&snapshot)[0].path, "");
    }
}
