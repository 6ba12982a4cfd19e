//! Which rows a view has, after filter and order.

use std::cmp::Reverse;

use natsd_api::{AccountStat, ConnInfo, PathInfo, PeerInfo};

use crate::links::{self, LinkInfo};
use crate::state::{State, View};
use crate::world::{Entry, Server};

/// A row that can be selected and filtered.
pub(crate) trait Row {
    /// Stays the same from one reading to the next.
    fn id(&self) -> String;
    /// What the filter looks into.
    fn text(&self) -> String;
}

/// A path of a server to a peer.
pub(crate) struct PathRow<'a> {
    pub(crate) server: &'a Server,
    pub(crate) peer: &'a PeerInfo,
    pub(crate) path: &'a PathInfo,
}

/// A connection of a server to another one.
pub(crate) struct LinkRow<'a> {
    pub(crate) server: &'a Server,
    pub(crate) link: LinkInfo,
}

/// An account of a server.
pub(crate) struct AccountRow<'a> {
    pub(crate) server: &'a Server,
    pub(crate) stat: &'a AccountStat,
}

/// A client of a server.
pub(crate) struct ConnRow<'a> {
    pub(crate) server: &'a Server,
    pub(crate) conn: &'a ConnInfo,
}

impl Row for PathRow<'_> {
    fn id(&self) -> String {
        format!("{} {} {}", self.server.url, self.peer.heading(), self.path.fingerprint)
    }

    fn text(&self) -> String {
        let Self { server, peer, path } = self;
        let interfaces = path.via();
        let (id, name, state) = (path.id, &path.fingerprint, path.state.as_str());
        let condition = path.condition.as_deref().unwrap_or_default();
        format!("{} {} #{id} {name} {state} {interfaces} {condition}", server.label(), peer.heading())
    }
}

impl Row for LinkRow<'_> {
    fn id(&self) -> String {
        format!("{} {} {}", self.server.url, self.link.kind, self.link.id)
    }

    fn text(&self) -> String {
        let link = &self.link;
        let (server, address) = (self.server.label(), link.address());
        format!("{server} {} {} {address} {} {}", link.what, link.peer, link.purpose, link.path)
    }
}

impl Row for AccountRow<'_> {
    fn id(&self) -> String {
        format!("{} {}", self.server.url, self.stat.account)
    }

    fn text(&self) -> String {
        format!("{} {} {}", self.server.label(), self.stat.account, self.stat.name)
    }
}

impl Row for ConnRow<'_> {
    fn id(&self) -> String {
        format!("{} {}", self.server.url, self.conn.cid)
    }

    fn text(&self) -> String {
        let conn = self.conn;
        let server = self.server.label();
        format!("{server} {} {}:{} {} {} {}", conn.cid, conn.ip, conn.port, conn.isd_as, conn.name, conn.lang)
    }
}

impl Row for &Entry {
    fn id(&self) -> String {
        self.number.to_string()
    }

    fn text(&self) -> String {
        format!("{} {} {} {} {}", self.server, self.heading, self.kind, self.text, self.detail)
    }
}

/// Paths grouped by server and peer.
pub(crate) fn paths(state: &State) -> Vec<PathRow<'_>> {
    let mut rows = Vec::new();
    for server in &state.world().servers {
        for peer in server.latest.iter().flat_map(|s| &s.pathz).flat_map(|pathz| &pathz.peers) {
            let mut paths: Vec<&PathInfo> = peer.paths.iter().collect();
            sort_paths(&mut paths, state.sort(View::Paths));
            rows.extend(paths.into_iter().map(|path| PathRow { server, peer, path }));
        }
    }
    filtered(rows, state)
}

fn sort_paths(paths: &mut [&PathInfo], by: &str) {
    let last = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
    match by {
        "rtt" => paths.sort_by(|a, b| last(a.measured.rtt_ms).total_cmp(&last(b.measured.rtt_ms))),
        "loss" => paths.sort_by(|a, b| last(a.measured.loss).total_cmp(&last(b.measured.loss))),
        "jitter" => paths.sort_by(|a, b| last(a.measured.jitter_ms).total_cmp(&last(b.measured.jitter_ms))),
        "gives" => paths.sort_by_key(|path| Reverse(path.measured.bandwidth_kbps.or(path.measured.delivered_kbps))),
        "hops" => paths.sort_by_key(|path| path.hops),
        "bandwidth" => paths.sort_by_key(|path| Reverse(path.announced.bandwidth_kbps)),
        "mtu" => paths.sort_by_key(|path| Reverse(path.measured.mtu.or(path.mtu))),
        _ => paths.sort_by_key(|path| path.rank),
    }
}

/// Connections to other servers, grouped by server.
pub(crate) fn links(state: &State) -> Vec<LinkRow<'_>> {
    let mut rows = Vec::new();
    for server in &state.world().servers {
        let mut links = server.latest.as_ref().map(links::of).unwrap_or_default();
        match state.sort(View::Routes) {
            "rtt" => links.sort_by_key(|link| rtt_order(&link.rtt)),
            "in" => links.sort_by_key(|link| Reverse(link.in_msgs)),
            "out" => links.sort_by_key(|link| Reverse(link.out_msgs)),
            "pending" => links.sort_by_key(|link| Reverse(link.pending)),
            "subs" => links.sort_by_key(|link| Reverse(link.subscriptions)),
            "kind" => links.sort_by_key(|link| link.what),
            _ => links.sort_by(|a, b| (&a.peer, a.id).cmp(&(&b.peer, b.id))),
        }
        rows.extend(links.into_iter().map(|link| LinkRow { server, link }));
    }
    filtered(rows, state)
}

/// Accounts grouped by server.
pub(crate) fn accounts(state: &State) -> Vec<AccountRow<'_>> {
    let mut rows = Vec::new();
    for server in &state.world().servers {
        let statz = server.latest.iter().filter_map(|snapshot| snapshot.accstatz.as_ref());
        let mut stats: Vec<&AccountStat> = statz.flat_map(|statz| &statz.account_statz).collect();
        let rate = |stat: &AccountStat| server.traffic.rate("account", &stat.account).unwrap_or_default();
        match state.sort(View::Accounts) {
            "conns" => stats.sort_by_key(|stat| Reverse(stat.conns)),
            "subs" => stats.sort_by_key(|stat| Reverse(stat.num_subscriptions)),
            "in" => stats.sort_by(|a, b| rate(b).0.total_cmp(&rate(a).0)),
            "out" => stats.sort_by(|a, b| rate(b).1.total_cmp(&rate(a).1)),
            "slow" => stats.sort_by_key(|stat| Reverse(stat.slow_consumers)),
            _ => stats.sort_by(|a, b| a.account.cmp(&b.account)),
        }
        rows.extend(stats.into_iter().map(|stat| AccountRow { server, stat }));
    }
    filtered(rows, state)
}

/// Picoseconds of a round-trip time as Go prints it; unmeasured ones come last.
fn rtt_order(text: &str) -> u64 {
    let units = [("ns", 1e3), ("µs", 1e6), ("ms", 1e9), ("s", 1e12)];
    let parsed = units.iter().find_map(|(unit, scale)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * scale));
    parsed.map_or(u64::MAX, |picos| picos as u64)
}

/// Connections grouped by server, in the order that the server gave them.
pub(crate) fn connections(state: &State) -> Vec<ConnRow<'_>> {
    let servers = state.world().servers.iter();
    let rows = servers.flat_map(|server| {
        server.latest.iter().flat_map(|s| &s.connz.connections).map(move |conn| ConnRow { server, conn })
    });
    filtered(rows.collect(), state)
}

/// The log.
pub(crate) fn events(state: &State) -> Vec<&Entry> {
    let mut rows: Vec<_> = state.world().log.iter().collect();
    if state.sort(View::Events) == "newest" {
        rows.reverse();
    }
    filtered(rows, state)
}

/// Ids of the rows of the current view.
pub(crate) fn ids(state: &State) -> Vec<String> {
    fn of<R: Row>(rows: Vec<R>) -> Vec<String> {
        rows.iter().map(Row::id).collect()
    }
    match state.view {
        View::Paths => of(paths(state)),
        View::Routes => of(links(state)),
        View::Connections => of(connections(state)),
        View::Events => of(events(state)),
        View::Map => of(paths(state)),
        View::Accounts => of(accounts(state)),
    }
}

/// Index of the selected row among `rows`; the first when the selected one is not there.
pub(crate) fn selected(state: &State, rows: &[impl Row]) -> usize {
    state.selected().and_then(|id| rows.iter().position(|row| row.id() == id)).unwrap_or(0)
}

fn filtered<R: Row>(mut rows: Vec<R>, state: &State) -> Vec<R> {
    if !state.filter.is_empty() {
        let needle = state.filter.to_lowercase();
        rows.retain(|row| row.text().to_lowercase().contains(&needle));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn round_trip_times_are_ordered_across_units() {
        let mut texts = ["", "1.5s", "3.9ms", "289µs", "850ns"];
        texts.sort_by_key(|text| rtt_order(text));
        assert_eq!(texts, ["850ns", "289µs", "3.9ms", "1.5s", ""]);
    }

    #[test]
    fn unknown_measurements_come_last() {
        let mut state = testing::state();
        state.next_sort();
        assert_eq!(state.sort(View::Paths), "rtt");
        let rtts: Vec<_> = paths(&state).iter().map(|row| row.path.measured.rtt_ms).collect();
        assert_eq!(rtts, [Some(22.4), Some(48.0), Some(91.3), None]);
    }

    #[test]
    fn the_filter_looks_into_interfaces_and_ignores_case() {
        let mut state = testing::state();
        state.filter = "FF00:0:112#1".into();
        assert_eq!(paths(&state).len(), 1);
        state.filter = "nothing".into();
        assert!(paths(&state).is_empty());
    }
}
