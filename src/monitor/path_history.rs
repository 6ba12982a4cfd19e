//! What became of paths, in the terms of `/pathz?history=1`.

use std::time::{Duration, SystemTime};

use natsd_api as api;
use natsd_path::{History, Incident, IncidentKind, Sample};

use super::paths::{millis, state};

/// Adds to a peer what its manager remembers of what began at `since` or later, as told at `now`.
pub fn add_history(peer: &mut api::PeerInfo, history: &History, since: SystemTime, now: SystemTime) {
    let reaches = now.duration_since(since).unwrap_or_default();
    let samples = |samples: &[Sample]| {
        samples.iter().filter(|sample| sample.age <= reaches).map(|sample| self::sample(sample, now)).collect()
    };
    for path in &history.paths {
        let fingerprint = path.fingerprint.to_string();
        if let Some(info) = peer.paths.iter_mut().find(|info| info.fingerprint == fingerprint) {
            let history = api::PathHistory { seconds: samples(&path.seconds), minutes: samples(&path.minutes) };
            info.history = Some(history);
        }
    }
    peer.incidents =
        Some(history.incidents.iter().filter(|told| told.age <= reaches).map(|told| incident(told, now)).collect());
}

fn sample(sample: &Sample, now: SystemTime) -> api::PathSample {
    api::PathSample {
        time: before(now, sample.age),
        states: sample.states.iter().map(state).collect(),
        rtt_min_ms: sample.rtt.map(|rtt| millis(rtt.min)),
        rtt_ms: sample.rtt.map(|rtt| millis(rtt.mean)),
        rtt_max_ms: sample.rtt.map(|rtt| millis(rtt.max)),
        answered: sample.answered,
        lost: sample.lost,
        packets: sample.packets,
        packets_lost: sample.packets_lost,
        bytes: sample.bytes,
    }
}

fn incident(incident: &Incident, now: SystemTime) -> api::PathIncident {
    use api::PathIncidentKind as Kind;
    let time = before(now, incident.age);
    let new = |kind| api::PathIncident { time, kind, ..api::PathIncident::default() };
    match incident.kind {
        IncidentKind::Switch { from, to, reason, gap } => api::PathIncident {
            from: from.map(|from| from.to_string()),
            to: Some(to.to_string()),
            reason: Some(reason.to_string()),
            gap_ms: from.map(|_| millis(gap)),
            ..new(Kind::Switch)
        },
        IncidentKind::Down { path, reason } => {
            api::PathIncident { from: Some(path.to_string()), reason: Some(reason.to_string()), ..new(Kind::Down) }
        }
        IncidentKind::Back { path, after } => {
            api::PathIncident { to: Some(path.to_string()), after_ms: Some(millis(after)), ..new(Kind::Back) }
        }
        IncidentKind::NoPath { gap } => api::PathIncident { gap_ms: Some(millis(gap)), ..new(Kind::NoPath) },
        IncidentKind::Answers { path, after } => {
            api::PathIncident { to: Some(path.to_string()), after_ms: Some(millis(after)), ..new(Kind::Answers) }
        }
    }
}

/// To the millisecond.
fn before(now: SystemTime, age: Duration) -> api::Time {
    let since = now.checked_sub(age).and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok()).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    (SystemTime::UNIX_EPOCH + Duration::from_millis(millis)).into()
}

#[cfg(test)]
mod tests {
    use natsd_api::to_json;
    use natsd_path::{Fingerprint, PathHistory, PathId, Reason, RttRange, State};

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_managers_history_as_users_see_it() {
        let [old, new] = [1, 2].map(|name| Fingerprint([name; 8]));
        let busy = Sample {
            age: ms(2000),
            rtt: Some(RttRange { min: ms(10), mean: Duration::from_micros(12_345), max: ms(20) }),
            answered: 3,
            lost: 1,
            packets: 40,
            packets_lost: 2,
            bytes: 52_000,
            states: [State::Standby, State::Active].into_iter().collect(),
        };
        let quiet = Sample {
            age: ms(60_000),
            rtt: None,
            answered: 0,
            lost: 0,
            packets: 0,
            packets_lost: 0,
            bytes: 0,
            states: [State::Dead].into_iter().collect(),
        };
        let kinds = [
            IncidentKind::Switch { from: None, to: old, reason: Reason::FirstChoice, gap: ms(0) },
            IncidentKind::NoPath { gap: ms(500) },
            IncidentKind::Answers { path: old, after: ms(3000) },
            IncidentKind::Down { path: old, reason: Reason::SendError },
            IncidentKind::Switch { from: Some(old), to: new, reason: Reason::SendError, gap: ms(80) },
            IncidentKind::Back { path: old, after: ms(9000) },
        ];
        let history = History {
            paths: vec![PathHistory { id: PathId(2), fingerprint: new, seconds: vec![busy], minutes: vec![quiet] }],
            incidents: kinds.map(|kind| Incident { age: ms(1500), kind }).to_vec(),
        };
        let path = api::PathInfo { fingerprint: new.to_string(), ..api::PathInfo::default() };
        let mut peer = api::PeerInfo { paths: vec![path], ..api::PeerInfo::default() };
        let now = SystemTime::UNIX_EPOCH + ms(1_795_244_944_250);
        add_history(&mut peer, &history, SystemTime::UNIX_EPOCH, now);
        insta::assert_snapshot!(to_json(&(&peer.incidents, &peer.paths[0].history)));

        let known = |peer: &api::PeerInfo| {
            let history = peer.paths[0].history.as_ref().expect("wanted");
            [peer.incidents.as_ref().map_or(0, Vec::len), history.seconds.len(), history.minutes.len()]
        };
        add_history(&mut peer, &history, now - ms(2000), now);
        assert_eq!(known(&peer), [6, 1, 0]);
        add_history(&mut peer, &history, now - ms(1999), now);
        assert_eq!(known(&peer), [6, 0, 0]);
    }
}
