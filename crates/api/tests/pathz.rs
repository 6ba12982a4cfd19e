//! `/pathz` as users see it: names and units that they rely on.

use std::time::{Duration, SystemTime};

use natsd_api::*;

fn at(seconds: u64) -> Time {
    Time(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_244_944 + seconds))
}

fn sample() -> Pathz {
    let path = PathInfo {
        id: 3,
        fingerprint: "5f0c7a1be2d94c11".into(),
        rank: 1,
        state: PathState::Active,
        why: "lowest round trip, 22.4 ms".into(),
        interfaces: vec!["1-ff00:0:111#3".into(), "1-ff00:0:112#1".into()],
        hops: 1,
        mtu: Some(1400),
        expiry: Some(at(3600)),
        announced: Announced { latency_ms: Some(10.0), bandwidth_kbps: None },
        measured: Measured {
            rtt_ms: Some(22.4),
            jitter_ms: Some(0.5),
            min_ms: Some(20.1),
            loss: Some(0.0),
            traffic_loss: Some(0.01),
            mtu: Some(1300),
            bandwidth_kbps: None,
            delivered_kbps: Some(1200),
        },
        unknown: vec!["bandwidth".into()],
        last_received_ms: Some(12),
        probes: Probes { sent: 40, answered: 40, bytes: 8000 },
        ..PathInfo::default()
    };
    Pathz {
        server_id: "NA".into(),
        now: at(60),
        local_as: Some("1-ff00:0:111".into()),
        daemon: Daemon { address: "127.0.0.1:30255".into(), state: DaemonState::Up, since: at(0), error: None },
        path_preference: vec!["latency".into(), "bandwidth".into()],
        peers: vec![PeerInfo {
            path_preference: vec!["latency".into()],
            rules: vec!["isds 1".into()],
            lane: String::new(),
            remote_as: "1-ff00:0:112".into(),
            active: Some(path.fingerprint.clone()),
            transport: Transport::Scion,
            unprobeable: false,
            switches: 3,
            links: vec![Link { addr: "[1-ff00:0:112,127.0.0.1]:4248".into(), kind: LinkKind::Route, since: at(1) }],
            paths: vec![path],
            incidents: None,
        }],
        refused_connections: 2,
        events: vec![PathEvent {
            time: at(30),
            lane: String::new(),
            remote_as: "1-ff00:0:112".into(),
            kind: PathEventKind::Switch,
            text: "moved".into(),
            from: Some("00000000000000aa".into()),
            to: Some("5f0c7a1be2d94c11".into()),
            reason: Some("silence".into()),
            gap_ms: Some(81.5),
        }],
    }
}

#[test]
fn the_document() {
    insta::assert_snapshot!(to_json(&sample()));
}

#[test]
fn it_reads_back() {
    assert_eq!(serde_json::from_str::<Pathz>(&to_json(&sample())).unwrap(), sample());
}

#[test]
fn a_reader_survives_words_of_a_newer_server() {
    let newer = r#"{"daemon":{"state":"dizzy"},"peers":[{"transport":"pigeon","paths":[{"state":"asleep"}]}],
                    "events":[{"kind":"reborn"}],"weather":"fine"}"#;
    let pathz: Pathz = serde_json::from_str(newer).unwrap();
    assert_eq!(pathz.daemon.state, DaemonState::Unknown);
    assert_eq!(pathz.peers[0].transport, Transport::Unknown);
    assert_eq!(pathz.peers[0].paths[0].state, PathState::Unknown);
    assert_eq!(pathz.events[0].kind, PathEventKind::Unknown);
}
