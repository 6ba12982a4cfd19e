//! A ping as JSON: the keys of `scion ping --format json`, then natsd's own.

use std::net::{IpAddr, SocketAddr};

use natsd_path::{Fingerprint, ScionAddr, Sequence};
use natsd_scion::{Host, PathInfo};
use serde::Serialize;

use super::super::paths::json::{Hop, hops, ms};
use super::tally::Tally;

/// Times are milliseconds, sizes bytes. Null means unknown.
#[derive(Serialize)]
struct Document {
    path: Path,
    payload_size: u16,
    scion_packet_size: Option<usize>,
    replies: Vec<Reply>,
    statistics: Statistics,
    unanswered: Vec<Unanswered>,
}

#[derive(Serialize)]
struct Path {
    fingerprint: String,
    hops: Vec<Hop>,
    sequence: String,
    local_ip: Option<IpAddr>,
    next_hop: Option<SocketAddr>,
}

#[derive(Serialize)]
struct Reply {
    source: String,
    scmp_seq: u16,
    round_trip_time: f64,
    state: &'static str,
}

#[derive(Serialize)]
struct Statistics {
    sent: u32,
    received: u32,
    /// Percent.
    packet_loss: f64,
    time: f64,
    min_rtt: Option<f64>,
    avg_rtt: Option<f64>,
    max_rtt: Option<f64>,
    mdev_rtt: Option<f64>,
}

#[derive(Serialize)]
struct Unanswered {
    scmp_seq: u16,
    why: String,
}

pub(super) fn render(host: &Host, to: ScionAddr, path: &PathInfo, payload: u16, tally: &Tally) -> String {
    let times = tally.round_trips();
    let time = |pick: fn(&super::tally::RoundTrips) -> std::time::Duration| times.as_ref().map(pick).map(ms);
    let reply = |&(scmp_seq, rtt): &(u16, _)| Reply {
        source: format!("{},{}", to.isd_as, to.host),
        scmp_seq,
        round_trip_time: ms(rtt),
        state: "success",
    };
    let document = Document {
        path: Path {
            fingerprint: Fingerprint::of(&path.interfaces).to_string(),
            hops: hops(path),
            sequence: Sequence::of(&path.interfaces),
            local_ip: host.local_ip(path),
            next_hop: path.next_hop,
        },
        payload_size: payload,
        scion_packet_size: host.ping_len(to, path, usize::from(payload)),
        replies: tally.answered.iter().map(reply).collect(),
        statistics: Statistics {
            sent: tally.sent,
            received: tally.answers(),
            packet_loss: tally.lost_percent(),
            time: ms(tally.took),
            min_rtt: time(|times| times.min),
            avg_rtt: time(|times| times.average),
            max_rtt: time(|times| times.max),
            mdev_rtt: time(|times| times.deviation),
        },
        unanswered: tally
            .unanswered
            .iter()
            .map(|(scmp_seq, why)| Unanswered { scmp_seq: *scmp_seq, why: why.to_string() })
            .collect(),
    };
    let mut text = serde_json::to_string_pretty(&document).expect("it has only keys that are strings");
    text.push('\n');
    text
}
