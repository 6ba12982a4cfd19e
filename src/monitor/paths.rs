//! Paths and what happens to them, in the terms of `/pathz`.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use natsd_api as api;
use natsd_path::{EventKind, Fingerprint, Kind, PathId, PathReport, State};

/// The paths to one AS, or to one host over plain IP, from the report of its manager, made at `now`. `ends` knows the addresses of
/// the latter, ours first. How often it switched is not in there, nor of which
/// lane, nor what is wanted of it.
pub fn peer_info(
    remote_as: impl Display,
    links: Vec<api::Link>,
    reports: &[PathReport],
    ends: impl Fn(&PathId) -> Option<(IpAddr, SocketAddr)>,
    now: SystemTime,
) -> api::PeerInfo {
    let active = reports.iter().find(|report| report.active);
    api::PeerInfo {
        remote_as: remote_as.to_string(),
        lane: String::new(),
        path_preference: Vec::new(),
        rules: Vec::new(),
        active: active.map(|report| report.fingerprint.to_string()),
        transport: active.map(|report| transport(report.kind)).unwrap_or_default(),
        unprobeable: reports.iter().any(|report| report.unprobeable),
        switches: 0,
        links,
        paths: reports.iter().map(|report| path_info(report, ends(&report.id), now)).collect(),
        incidents: None,
    }
}

/// An event of the manager of the paths to `remote_as`. `fingerprint_of` knows the paths that the event names, those
/// that are gone too.
pub fn path_event(
    time: SystemTime,
    remote_as: impl Display,
    event: &EventKind,
    fingerprint_of: impl Fn(PathId) -> Option<Fingerprint>,
) -> api::PathEvent {
    use api::PathEventKind as Api;
    let name = |path: PathId| fingerprint_of(path).map(|fingerprint| fingerprint.to_string());
    let (kind, from, to, reason, gap) = match *event {
        EventKind::Switch { from, to, reason, silent_for } => {
            let gap = from.map(|_| silent_for);
            (Api::Switch, from.and_then(name), name(to), Some(reason), gap)
        }
        EventKind::Added { fingerprint, .. } => (Api::Added, Some(fingerprint.to_string()), None, None, None),
        EventKind::Removed { path } => (Api::Removed, name(path), None, None, None),
        EventKind::Up { path } => (Api::Up, name(path), None, None, None),
        EventKind::Suspect { path, reason } => (Api::Suspect, name(path), None, Some(reason), None),
        EventKind::Down { path, reason } => (Api::Down, name(path), None, Some(reason), None),
        EventKind::Probation { path, .. } => (Api::Probation, name(path), None, None, None),
        EventKind::Mtu { path, .. } => (Api::Mtu, name(path), None, None, None),
        EventKind::NoPath { silent_for } => (Api::NoPath, None, None, None, Some(silent_for)),
        EventKind::NoneAllowed { .. } => (Api::NoneAllowed, None, None, None, None),
        EventKind::Unprobeable => (Api::Unprobeable, None, None, None, None),
        EventKind::Probeable => (Api::Probeable, None, None, None, None),
    };
    api::PathEvent {
        time: time.into(),
        remote_as: remote_as.to_string(),
        lane: String::new(),
        kind,
        text: event.to_string(),
        from,
        to,
        reason: reason.map(|reason| reason.to_string()),
        gap_ms: gap.map(millis),
    }
}

fn path_info(report: &PathReport, ends: Option<(IpAddr, SocketAddr)>, now: SystemTime) -> api::PathInfo {
    let interfaces = report.interfaces.iter().filter(|_| ends.is_none());
    api::PathInfo {
        id: report.id.0,
        fingerprint: report.fingerprint.to_string(),
        transport: transport(report.kind),
        rank: u32::try_from(report.rank).unwrap_or(u32::MAX),
        state: state(report.state),
        why: report.why.clone(),
        decided_by: report.decided_by.map(str::to_owned),
        interfaces: interfaces.map(ToString::to_string).collect(),
        local_addr: ends.map(|(here, _)| here.to_string()),
        remote_addr: ends.map(|(_, there)| there.to_string()),
        hops: u32::try_from(report.hops).unwrap_or(u32::MAX),
        mtu: report.mtu.map(u32::from),
        expiry: report.expires_in.and_then(|left| now.checked_add(left)).map(Into::into),
        announced: api::Announced {
            latency_ms: report.announced_latency.map(millis),
            bandwidth_kbps: report.announced_bandwidth,
        },
        cost: report.cost,
        carbon: report.carbon,
        measured: api::Measured {
            rtt_ms: report.rtt.map(|rtt| millis(rtt.smoothed)),
            jitter_ms: report.rtt.map(|rtt| millis(rtt.variation)),
            min_ms: report.rtt.map(|rtt| millis(rtt.min)),
            loss: report.loss,
            traffic_loss: report.traffic_loss.map(|share| (share * 1e4).round() / 1e4),
            mtu: report.measured_mtu.map(u32::from),
            bandwidth_kbps: report.measured_bandwidth,
            delivered_kbps: report.delivered_bandwidth,
        },
        unknown: report.unknown.iter().map(ToString::to_string).collect(),
        last_received_ms: report.last_received.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        probes: api::Probes { sent: report.probes_sent, answered: report.probes_answered, bytes: report.probe_bytes },
        failures: report.failures,
        condition: report.condition.clone(),
        history: None,
    }
}

fn transport(kind: Kind) -> api::Transport {
    match kind {
        Kind::Scion => api::Transport::Scion,
        Kind::Ip => api::Transport::Udp,
        Kind::Tcp => api::Transport::Tcp,
    }
}

pub(super) fn state(state: State) -> api::PathState {
    match state {
        State::Candidate => api::PathState::Candidate,
        State::Probing => api::PathState::Probing,
        State::Standby => api::PathState::Standby,
        State::Active => api::PathState::Active,
        State::Suspect => api::PathState::Suspect,
        State::Dead => api::PathState::Dead,
        State::Probation => api::PathState::Probation,
        State::Excluded => api::PathState::Excluded,
    }
}

/// Milliseconds to the microsecond.
pub(super) fn millis(d: Duration) -> f64 {
    (d.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use natsd_api::to_json;
    use natsd_path::{Interface, Metric, Reason, Rtt};

    use super::*;

    fn report(id: u32, active: bool) -> PathReport {
        let interface = |isd_as: &str, id| Interface { isd_as: isd_as.parse().unwrap(), id };
        PathReport {
            id: PathId(id),
            fingerprint: Fingerprint([id as u8; 8]),
            kind: Kind::Scion,
            interfaces: vec![interface("1-ff00:0:111", 3), interface("1-ff00:0:112", 1)],
            hops: 1,
            mtu: Some(1400),
            expires_in: Some(Duration::from_secs(3600)),
            state: if active { State::Suspect } else { State::Standby },
            active,
            rank: 1,
            why: "lowest latency".into(),
            decided_by: Some("latency"),
            announced_latency: Some(Duration::from_millis(10)),
            announced_bandwidth: None,
            cost: Some(7),
            carbon: None,
            rtt: Some(Rtt {
                latest: Duration::from_millis(30),
                min: Duration::from_micros(20_100),
                smoothed: Duration::from_nanos(22_400_400),
                variation: Duration::from_micros(500),
            }),
            measured_mtu: None,
            measured_bandwidth: Some(8000),
            delivered_bandwidth: Some(9000),
            traffic_loss: None,
            condition: None,
            loss: Some(0.25),
            last_received: Some(Duration::from_micros(12_900)),
            probes_sent: 8,
            probe_bytes: 1600,
            probes_answered: 6,
            failures: 2,
            unknown: vec![Metric::Bandwidth],
            unprobeable: false,
        }
    }

    #[test]
    fn a_managers_report_as_users_see_it() {
        let peer = peer_info("1-ff00:0:112", Vec::new(), &[report(3, true)], |_| None, SystemTime::UNIX_EPOCH);
        insta::assert_snapshot!(to_json(&peer));
    }

    #[test]
    fn over_plain_ip_a_path_is_its_two_addresses() {
        let ends = ("10.0.1.1".parse().unwrap(), "10.1.1.2:6222".parse().unwrap());
        let reports = [PathReport { kind: Kind::Ip, ..report(2, true) }];
        let peer = peer_info("10.0.1.2:6222", Vec::new(), &reports, |_| Some(ends), SystemTime::UNIX_EPOCH);
        let path = &peer.paths[0];
        assert_eq!((peer.remote_as.as_str(), path.transport), ("10.0.1.2:6222", api::Transport::Udp));
        assert_eq!(
            (path.local_addr.as_deref(), path.remote_addr.as_deref()),
            (Some("10.0.1.1"), Some("10.1.1.2:6222"))
        );
        assert!(path.interfaces.is_empty());
    }

    #[test]
    fn the_transport_is_that_of_the_active_path() {
        let reports = [report(1, false), PathReport { kind: Kind::Tcp, ..report(2, true) }];
        let peer = peer_info("1-ff00:0:112", Vec::new(), &reports, |_| None, SystemTime::UNIX_EPOCH);
        assert_eq!((peer.transport, peer.active.as_deref()), (api::Transport::Tcp, Some("0202020202020202")));
    }

    #[test]
    fn a_switch_names_both_paths_and_its_gap() {
        let switch = EventKind::Switch {
            from: Some(PathId(1)),
            to: PathId(2),
            reason: Reason::PeerMoved,
            silent_for: Duration::from_micros(81_500),
        };
        let event =
            path_event(SystemTime::UNIX_EPOCH, "1-ff00:0:112", &switch, |path| Some(Fingerprint([path.0 as u8; 8])));
        insta::assert_snapshot!(to_json(&event));
    }

    #[test]
    fn the_first_choice_has_no_gap() {
        let switch =
            EventKind::Switch { from: None, to: PathId(2), reason: Reason::FirstChoice, silent_for: Duration::ZERO };
        let event = path_event(SystemTime::UNIX_EPOCH, "1-ff00:0:112", &switch, |_| None);
        assert_eq!((event.gap_ms, event.from, event.to), (None, None, None));
    }
}
