//! Paths as JSON: the keys of `scion showpaths --format json`, then natsd's own.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use natsd_api::{Announced, Time};
use natsd_path::Sequence;
use natsd_scion::PathInfo;
use serde::Serialize;

use super::super::survey::Surveyed;
use super::Listing;

#[derive(Serialize)]
struct Document {
    local_isd_as: String,
    destination: String,
    /// Which traffic the rules are for, if a file says them.
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<String>,
    path_preference: Vec<String>,
    rules: Vec<String>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    carbon: Option<u64>,
    announced: Announced,
    measured: Measured,
}

/// An interface that the path crosses.
#[derive(Serialize)]
pub(in crate::cli) struct Hop {
    interface: u16,
    isd_as: String,
}

#[derive(Serialize)]
struct Measured {
    rtt_ms: Option<f64>,
}

pub(super) fn render(listing: &Listing<'_>) -> String {
    let Listing { host, from, to, paths, wanted } = listing;
    let path = |path: &Surveyed| Path {
        fingerprint: path.candidate.fingerprint.to_string(),
        hops: hops(&path.info),
        sequence: Sequence::of(&path.info.interfaces),
        next_hop: path.info.next_hop,
        expiry: path.info.expiry.map(Time),
        mtu: (path.info.mtu > 0).then_some(path.info.mtu),
        latency: path.info.latencies.iter().map(nanoseconds).collect(),
        status: if path.excluded { "excluded" } else { path.answer.as_str() },
        local_ip: host.local_ip(&path.info),
        rank: path.rank,
        why: path.why.clone(),
        cost: path.prices[0],
        carbon: path.prices[1],
        announced: Announced { latency_ms: path.info.latency.map(ms), bandwidth_kbps: path.info.bandwidth },
        measured: Measured { rtt_ms: path.answer.rtt().map(ms) },
    };
    let paths = paths.iter().map(path).collect();
    let document = Document {
        local_isd_as: from.to_string(),
        destination: to.to_string(),
        traffic: wanted.source.clone(),
        path_preference: wanted.policy.preference.words(),
        rules: wanted.policy.lines(),
        paths,
    };
    let mut text = serde_json::to_string_pretty(&document).expect("it has only keys that are strings");
    text.push('\n');
    text
}

pub(in crate::cli) fn hops(path: &PathInfo) -> Vec<Hop> {
    path.interfaces.iter().map(|i| Hop { interface: i.id, isd_as: i.isd_as.to_string() }).collect()
}

pub(in crate::cli) fn ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn nanoseconds(part: &Option<Duration>) -> i64 {
    part.map_or(-1, |part| i64::try_from(part.as_nanos()).unwrap_or(i64::MAX))
}
