//! Paths as CSV and their network as a graph, for programs.

use natsd_api::{PathInfo, Pathz, PeerInfo, Time};

use crate::format::printable;
use crate::map::{self, Use};

/// The columns of the CSV. Names are those of `scion showpaths --format json` where they mean the same.
const COLUMNS: [&str; 23] = [
    "time",
    "server",
    "local_isd_as",
    "destination",
    "lane",
    "rank",
    "state",
    "active",
    "fingerprint",
    "transport",
    "hops",
    "sequence",
    "mtu",
    "measured_mtu",
    "expiry",
    "rtt_ms",
    "jitter_ms",
    "loss",
    "announced_latency_ms",
    "announced_bandwidth_kbps",
    "measured_bandwidth_kbps",
    "delivered_kbps",
    "condition",
];

/// The first line of the CSV.
pub(crate) fn csv_head() -> String {
    COLUMNS.join(",") + "\r\n"
}

/// A line for each path of a server, as RFC 4180 wants it. What is unknown is empty.
pub(crate) fn csv(time: Time, server: &str, pathz: &Pathz) -> String {
    let rows = pathz.peers.iter().flat_map(|peer| peer.paths.iter().map(move |path| (peer, path)));
    rows.map(|(peer, path)| {
        let cells = cells(time, server, pathz, peer, path);
        cells.map(|cell| quoted(&cell)).join(",") + "\r\n"
    })
    .collect()
}

fn cells(time: Time, server: &str, pathz: &Pathz, peer: &PeerInfo, path: &PathInfo) -> [String; COLUMNS.len()] {
    fn known<T: ToString>(value: Option<T>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let (announced, measured) = (&path.announced, &path.measured);
    [
        time.to_string(),
        server.to_owned(),
        pathz.local_as.clone().unwrap_or_default(),
        peer.remote_as.clone(),
        peer.lane.clone(),
        path.rank.to_string(),
        path.state.as_str().to_owned(),
        (peer.active.as_ref() == Some(&path.fingerprint)).to_string(),
        path.fingerprint.clone(),
        crate::reasons::transport(path.transport).to_owned(),
        path.hops.to_string(),
        sequence(path),
        known(path.mtu),
        known(measured.mtu),
        known(path.expiry),
        known(measured.rtt_ms),
        known(measured.jitter_ms),
        known(measured.loss),
        known(announced.latency_ms),
        known(announced.bandwidth_kbps),
        known(measured.bandwidth_kbps),
        known(measured.delivered_kbps),
        path.condition.clone().unwrap_or_default(),
    ]
}

/// The hops as SCION's sequence language has them: `1-ff00:0:111#0,3 1-ff00:0:112#1,0`. Over plain IP, the two addresses.
fn sequence(path: &PathInfo) -> String {
    if path.local_addr.is_some() {
        return path.via();
    }
    let ends: Vec<(&str, &str)> = path.interfaces.iter().filter_map(|interface| interface.split_once('#')).collect();
    let mut hops = Vec::with_capacity(ends.len() / 2 + 1);
    let mut came_in = "0";
    for link in ends.chunks_exact(2) {
        hops.push(format!("{}#{came_in},{}", link[0].0, link[0].1));
        came_in = link[1].1;
    }
    hops.extend(ends.last().map(|(isd_as, _)| format!("{isd_as}#{came_in},0")));
    hops.join(" ")
}

fn quoted(cell: &str) -> String {
    let cell = printable(cell);
    if cell.contains([',', '"']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

/// The network that the paths of a server pass, in the language of Graphviz: bold links carry traffic, dotted ones belong
/// to paths that are dead or excluded alone.
pub(crate) fn dot(server: &str, pathz: &Pathz) -> String {
    let text = |text: &str| format!("\"{}\"", printable(text).replace('\\', "\\\\").replace('"', "\\\""));
    let mut out = format!("graph {} {{\n", text(server));
    for link in map::links(pathz) {
        let style = match link.usage {
            Use::Active => "bold",
            Use::Idle => "solid",
            Use::Dead => "dotted",
        };
        out += &format!(
            "  {} -- {} [taillabel={}, headlabel={}, style={style}];\n",
            text(&link.ends.0),
            text(&link.ends.1),
            text(&link.labels.0),
            text(&link.labels.1),
        );
    }
    out + "}\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, at};

    #[test]
    fn csv_and_dot() {
        let pathz = testing::pathz();
        let csv = csv_head() + &csv(at(60).into(), "alpha", &pathz);
        insta::assert_snapshot!(csv.replace("\r\n", "\n") + &dot("alpha", &pathz));
    }

    /// The cells of a line.
    fn read(line: &str) -> Vec<String> {
        let (mut cells, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                c => cells.last_mut().expect("one at least").push(c),
            }
        }
        cells
    }

    #[test]
    fn every_number_is_that_of_the_document() {
        let pathz = testing::pathz();
        let document = serde_json::to_value(&pathz).expect("JSON");
        for (line, told) in csv(at(60).into(), "alpha", &pathz).lines().zip(0..) {
            let (cells, told) = (read(line), &document["peers"][0]["paths"][told]);
            assert_eq!(cells.len(), COLUMNS.len());
            let (announced, measured) = (&told["announced"], &told["measured"]);
            for (name, value) in [
                ("rank", &told["rank"]),
                ("hops", &told["hops"]),
                ("mtu", &told["mtu"]),
                ("measured_mtu", &measured["mtu"]),
                ("rtt_ms", &measured["rtt_ms"]),
                ("jitter_ms", &measured["jitter_ms"]),
                ("loss", &measured["loss"]),
                ("announced_latency_ms", &announced["latency_ms"]),
                ("announced_bandwidth_kbps", &announced["bandwidth_kbps"]),
                ("measured_bandwidth_kbps", &measured["bandwidth_kbps"]),
                ("delivered_kbps", &measured["delivered_kbps"]),
            ] {
                let at = COLUMNS.iter().position(|column| *column == name).expect("a column");
                assert_eq!(cells[at].parse::<f64>().ok(), value.as_f64(), "{name}: {line}");
            }
        }
    }

    #[test]
    fn names_from_elsewhere_cannot_leave_their_place() {
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\"");
        let pathz = Pathz { local_as: Some("x\" -> evil;\\".into()), ..testing::pathz() };
        let mut pathz = pathz;
        pathz.peers[0].paths[0].interfaces.clear();
        let graph = dot("al\"pha\n", &pathz);
        assert!(graph.starts_with("graph \"al\\\"pha\" {\n"), "{graph}");
        assert!(graph.contains("\"x\\\" -> evil;\\\\\""), "{graph}");
    }
}
