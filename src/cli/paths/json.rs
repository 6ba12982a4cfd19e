//! Paths as JSON: the keys of `scion showpaths --format json`, then natsd's own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use natsd_api::{Announced, Time};
use natsd_path::Interface;
use natsd_scion::PathInfo;
use serde::Serialize;

use super::super::survey::Surveyed;
use super::Listing;

#[derive(Serialize)]
struct Document {
    local_isd_as: String,
    destination: String,
    paths: Vec<Path>,
}

/// Null means unknown.
#[derive(Serialize)]
struct Path {
    fingerprint: String,
    hops: Vec<Hop>,
    sequence: String,
    next_hop: Option<SocketAddr>,
    expiry: Option<Time>,
    mtu: Option<u16>,
    /// Nanoseconds between the first interface and the second, and so on; -1 where none is announced.
    latency: Vec<i64>,
    status: &'static str,
    local_ip: Option<IpAddr>,
    rank: usize,
    why: String,
    announced: Announced,
    measured: Measured,
}

#[derive(Serialize)]
struct Hop {
    interface: u16,
    isd_as: String,
}

#[derive(Serialize)]
struct Measured {
    rtt_ms: Option<f64>,
}

pub(super) fn render(listing: &Listing<'_>) -> String {
    let Listing { host, from, to, paths } = listing;
    let path = |path: &Surveyed| Path {
        fingerprint: path.candidate.fingerprint.to_string(),
        hops: path.info.interfaces.iter().map(|i| Hop { interface: i.id, isd_as: i.isd_as.to_string() }).collect(),
        sequence: sequence(&path.info),
        next_hop: path.info.next_hop,
        expiry: path.info.expiry.map(Time),
        mtu: (path.info.mtu > 0).then_some(path.info.mtu),
        latency: path.info.latencies.iter().map(nanoseconds).collect(),
        status: path.answer.as_str(),
        local_ip: host.local_ip(&path.info),
        rank: path.rank,
        why: path.why.clone(),
        announced: Announced { latency_ms: path.info.latency.map(ms), bandwidth_kbps: path.info.bandwidth },
        measured: Measured { rtt_ms: path.answer.rtt().map(ms) },
    };
    let paths = paths.iter().map(path).collect();
    let document = Document { local_isd_as: from.to_string(), destination: to.to_string(), paths };
    let mut text = serde_json::to_string_pretty(&document).expect("it has only keys that are strings");
    text.push('\n');
    text
}

fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn nanoseconds(part: &Option<Duration>) -> i64 {
    part.map_or(-1, |part| i64::try_from(part.as_nanos()).unwrap_or(i64::MAX))
}

/// The path in the language of SCION's path policies: each AS with the interfaces it is entered and left by.
pub(super) fn sequence(path: &PathInfo) -> String {
    ases(&path.interfaces)
        .map(|(isd_as, entered, left)| format!("{isd_as}#{entered},{left}"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// 0 stands for the ends of the path.
fn ases(interfaces: &[Interface]) -> impl Iterator<Item = (natsd_path::IsdAs, u16, u16)> {
    let entered = std::iter::once(None).chain(interfaces.iter().skip(1).step_by(2).map(Some));
    let left = interfaces.iter().step_by(2).map(Some).chain(std::iter::once(None));
    let id = |interface: Option<&Interface>| interface.map_or(0, |interface| interface.id);
    let both = entered.zip(left);
    both.filter_map(move |(entered, left)| Some((entered.or(left)?.isd_as, id(entered), id(left))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_as_is_listed_with_the_way_in_and_out() {
        let interface = |text: &str| {
            let (isd_as, id) = text.split_once('#').expect("an interface");
            Interface { isd_as: isd_as.parse().expect("an AS"), id: id.parse().expect("a number") }
        };
        let interfaces = ["1-ff00:0:111#1", "1-ff00:0:110#11", "1-ff00:0:110#12", "1-ff00:0:112#4"].map(interface);
        let ases: Vec<_> =
            ases(&interfaces).map(|(isd_as, entered, left)| (isd_as.to_string(), entered, left)).collect();
        let wanted = [("1-ff00:0:111", 0, 1), ("1-ff00:0:110", 11, 12), ("1-ff00:0:112", 4, 0)];
        assert_eq!(ases, wanted.map(|(isd_as, entered, left)| (isd_as.to_owned(), entered, left)));
    }
}
