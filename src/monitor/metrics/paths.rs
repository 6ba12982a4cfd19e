//! Metrics of SCION paths, out of the document of `/pathz`.

use natsd_api::{DaemonState, PathInfo, PathState, Pathz, PeerInfo, Time};

use super::text::{Exposition, Kind};

const STATES: [PathState; 8] = [
    PathState::Candidate,
    PathState::Probing,
    PathState::Standby,
    PathState::Active,
    PathState::Suspect,
    PathState::Dead,
    PathState::Probation,
    PathState::Excluded,
];

/// A number of a path: its name without `natsd_path_`, what it is, its kind, and where it comes from. What nobody knows
/// has no sample.
type Number = (&'static str, &'static str, Kind, fn(&PathInfo) -> Option<f64>);

const NUMBERS: &[Number] = &[
    ("rank", "Place in the order of preference, 1 is the best", Kind::Gauge, |path| Some(path.rank.into())),
    ("hops", "Links between ASes", Kind::Gauge, |path| Some(path.hops.into())),
    ("mtu_bytes", "Largest SCION packet", Kind::Gauge, |path| path.measured.mtu.or(path.mtu).map(f64::from)),
    ("rtt_seconds", "Smoothed round-trip time of probes", Kind::Gauge, |path| seconds(path.measured.rtt_ms)),
    ("rtt_min_seconds", "Smallest round-trip time of probes", Kind::Gauge, |path| seconds(path.measured.min_ms)),
    ("jitter_seconds", "Mean variation of the round-trip time", Kind::Gauge, |path| seconds(path.measured.jitter_ms)),
    ("loss_ratio", "Part of the last probes that went unanswered", Kind::Gauge, |path| path.measured.loss),
    ("traffic_loss_ratio", "Part of the traffic that QUIC found lost, smoothed", Kind::Gauge, |path| {
        path.measured.traffic_loss
    }),
    ("announced_latency_seconds", "One way, as the ASes announce it", Kind::Gauge, |path| {
        seconds(path.announced.latency_ms)
    }),
    ("announced_bandwidth_bits_per_second", "Of the narrowest part, as the ASes announce it", Kind::Gauge, |path| {
        path.announced.bandwidth_kbps.map(|kbps| kbps as f64 * 1e3)
    }),
    ("measured_bandwidth_bits_per_second", "What it gave when traffic filled it", Kind::Gauge, |path| {
        path.measured.bandwidth_kbps.map(|kbps| kbps as f64 * 1e3)
    }),
    ("delivered_bits_per_second", "The most that it has delivered of late", Kind::Gauge, |path| {
        path.measured.delivered_kbps.map(|kbps| kbps as f64 * 1e3)
    }),
    ("expiry_timestamp_seconds", "When it ends unless looked up again", Kind::Gauge, |path| {
        path.expiry.map(|at| at.since(Time::default()).as_secs_f64())
    }),
    ("last_received_age_seconds", "Since a packet last came over it", Kind::Gauge, |path| {
        path.last_received_ms.map(|ms| ms as f64 / 1e3)
    }),
    ("probes_sent_total", "Probes over it", Kind::Counter, |path| Some(path.probes.sent as f64)),
    ("probes_answered_total", "Probes that were answered", Kind::Counter, |path| Some(path.probes.answered as f64)),
    ("probe_bytes_total", "Bytes of the probes over it, with headers", Kind::Counter, |path| {
        Some(path.probes.bytes as f64)
    }),
    ("failures_total", "How often it was declared dead", Kind::Counter, |path| Some(path.failures.into())),
];

fn seconds(millis: Option<f64>) -> Option<f64> {
    // Microseconds are what there is: dividing by 1000 would show digits that mean nothing.
    millis.map(|millis| (millis * 1e3).round() / 1e6)
}

/// Adds what `pathz` says.
pub(super) fn write(out: &mut Exposition, pathz: &Pathz) {
    out.family(
        "natsd_scion_refused_connections_total",
        "Connections turned away because their AS had as many as it may",
        Kind::Counter,
    )
    .sample(&[], pathz.refused_connections);
    // There is none to be asked where SCION is off.
    if pathz.daemon != natsd_api::Daemon::default() {
        let up = u8::from(pathz.daemon.state == DaemonState::Up);
        out.family("natsd_path_daemon_up", "Whether the SCION daemon answers", Kind::Gauge).sample(&[], up);
    }
    let mut switches =
        out.family("natsd_path_switches_total", "How often the traffic to an AS moved to another path", Kind::Counter);
    for peer in &pathz.peers {
        switches.sample(&heading(peer), peer.switches);
    }
    let mut links = out.family("natsd_path_links", "Connections that use the paths to an AS", Kind::Gauge);
    for peer in &pathz.peers {
        links.sample(&heading(peer), peer.links.len());
    }
    write_states(out, pathz);
    for (name, help, kind, of) in NUMBERS {
        let mut family = out.family(&format!("natsd_path_{name}"), help, *kind);
        for (labels, path) in paths(pathz) {
            if let Some(value) = of(path) {
                family.sample(&labels, value);
            }
        }
    }
}

/// 1 for the state that a path is in, 0 for all others, and which path carries the traffic.
fn write_states(out: &mut Exposition, pathz: &Pathz) {
    let mut family = out.family("natsd_path_state", "1 for the state that the path is in", Kind::Gauge);
    for ([remote_as, lane, path], info) in paths(pathz) {
        for state in STATES {
            family.sample(&[remote_as, lane, path, ("state", state.as_str())], u8::from(info.state == state));
        }
    }
    let mut family = out.family("natsd_path_active", "1 for the path that carries the traffic", Kind::Gauge);
    for peer in &pathz.peers {
        for path in &peer.paths {
            let [remote_as, lane] = heading(peer);
            let labels = [remote_as, lane, ("path", &path.fingerprint)];
            family.sample(&labels, u8::from(peer.active.as_ref() == Some(&path.fingerprint)));
        }
    }
}

/// All paths, with the labels that tell them apart.
fn paths(pathz: &Pathz) -> impl Iterator<Item = ([(&str, &str); 3], &PathInfo)> {
    pathz.peers.iter().flat_map(|peer| {
        let [remote_as, lane] = heading(peer);
        peer.paths.iter().map(move |path| ([remote_as, lane, ("path", path.fingerprint.as_str())], path))
    })
}

/// Where paths lead; the lane is empty for the traffic that is in none of its own, which Prometheus takes for no label.
fn heading(peer: &PeerInfo) -> [(&str, &str); 2] {
    [("remote_as", &peer.remote_as), ("lane", &peer.lane)]
}

#[cfg(test)]
mod tests {
    use natsd_api::{Announced, Daemon, Link, Measured, Probes};

    use super::*;

    fn path(fingerprint: &str, state: PathState) -> PathInfo {
        PathInfo {
            fingerprint: fingerprint.into(),
            state,
            rank: 1,
            mtu: Some(1400),
            expiry: Some(Time(std::time::UNIX_EPOCH + std::time::Duration::from_millis(90_500))),
            announced: Announced { latency_ms: None, bandwidth_kbps: Some(1_000) },
            measured: Measured {
                rtt_ms: Some(22.401),
                jitter_ms: Some(0.5),
                min_ms: None,
                loss: Some(0.25),
                traffic_loss: Some(0.01),
                mtu: None,
                bandwidth_kbps: None,
                delivered_kbps: Some(1_200),
            },
            last_received_ms: Some(12),
            probes: Probes { sent: 8, answered: 6, bytes: 1600 },
            failures: 2,
            ..PathInfo::default()
        }
    }

    #[test]
    fn what_is_known_of_paths_is_told_and_nothing_else() {
        let unknown = PathInfo { fingerprint: "bb".into(), ..PathInfo::default() };
        let peer = PeerInfo {
            remote_as: "1-ff00:0:112".into(),
            active: Some("aa".into()),
            switches: 3,
            links: vec![Link::default()],
            paths: vec![path("aa", PathState::Active), unknown, path("aa", PathState::Dead)],
            ..PeerInfo::default()
        };
        let daemon = Daemon { state: DaemonState::Up, ..Daemon::default() };
        let mut out = Exposition::new("N");
        write(&mut out, &Pathz { peers: vec![peer], daemon, ..Pathz::default() });
        let text = out.finish();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        insta::assert_snapshot!(samples.join("\n").replace("server_id=\"N\",remote_as=\"1-ff00:0:112\"", "…"));
    }
}
