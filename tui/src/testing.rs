//! Sample answers, and a server that gives them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use natsd_api::*;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::state::State;
use crate::world::World;
use crate::{LabLink, LabLoad, LabView, LinkState, Snapshot};

/// So many seconds after 2026-11-21 07:09:04 UTC.
pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_244_944 + seconds)
}

pub(crate) fn varz() -> Varz {
    Varz {
        server_id: "NALPHA".into(),
        server_name: "alpha".into(),
        version: "2.15.2".into(),
        natsd: "0.1.0".into(),
        now: at(60).into(),
        uptime: "1m0s".into(),
        mem: 9_437_184,
        cpu: 3.0,
        connections: 2,
        routes: 2,
        remotes: 1,
        subscriptions: 17,
        in_msgs: 1000,
        out_msgs: 2000,
        ..Varz::default()
    }
}

pub(crate) fn connz() -> Connz {
    let conn = |cid, name: &str, lang: &str, isd_as: &str| ConnInfo {
        cid,
        kind: "Client".into(),
        client_type: "nats".into(),
        ip: "127.0.0.1".into(),
        port: 41_000 + cid as u16,
        rtt: "289µs".into(),
        uptime: "58s".into(),
        idle: "1s".into(),
        in_msgs: 1_234_567,
        out_bytes: 2048,
        subscriptions: 3,
        name: name.into(),
        lang: lang.into(),
        version: "1.51.0".into(),
        isd_as: isd_as.into(),
        ..ConnInfo::default()
    };
    Connz {
        server_id: "NALPHA".into(),
        num_connections: 2,
        total: 2,
        limit: 256,
        connections: vec![conn(5, "thermostat in the kitchen", "go", ""), conn(6, "", "rust", "1-ff00:0:112")],
        ..Connz::default()
    }
}

pub(crate) fn routez() -> Routez {
    let route = |rid, isd_as: &str| RouteInfo {
        rid,
        remote_id: "NBETA".into(),
        remote_name: "beta".into(),
        did_solicit: rid == 7,
        ip: "127.0.0.1".into(),
        port: 4248,
        rtt: "22.4ms".into(),
        uptime: "59s".into(),
        idle: "0s".into(),
        in_msgs: 900,
        out_msgs: 12_000,
        subscriptions: 4,
        isd_as: isd_as.into(),
        compression: "off".into(),
        ..RouteInfo::default()
    };
    Routez { num_routes: 2, routes: vec![route(7, "1-ff00:0:112"), route(8, "")], ..Routez::default() }
}

fn path(rank: u32, fingerprint: &str, state: PathState, why: &str, via: &[&str]) -> PathInfo {
    PathInfo {
        id: rank + 2,
        fingerprint: fingerprint.into(),
        rank,
        state,
        why: why.into(),
        interfaces: via.iter().map(|&interface| interface.into()).collect(),
        hops: via.len() as u32 / 2,
        mtu: Some(1400),
        expiry: Some(at(3600).into()),
        unknown: Vec::new(),
        last_received_ms: Some(12),
        probes: Probes { sent: 40, answered: 40, bytes: 8000 },
        ..PathInfo::default()
    }
}

pub(crate) fn pathz() -> Pathz {
    let long = ["1-ff00:0:111#1", "1-ff00:0:110#11", "1-ff00:0:110#12", "1-ff00:0:112#2"];
    let paths = vec![
        PathInfo {
            announced: Announced { latency_ms: Some(10.0), bandwidth_kbps: Some(100_000) },
            measured: Measured {
                rtt_ms: Some(22.4),
                jitter_ms: Some(0.5),
                min_ms: Some(20.1),
                loss: Some(0.0),
                bandwidth_kbps: Some(82_000),
                delivered_kbps: Some(79_000),
                ..Measured::default()
            },
            ..path(1, "5f0c7a1be2d94c11", PathState::Active, "the best", &["1-ff00:0:111#3", "1-ff00:0:112#1"])
        },
        PathInfo {
            decided_by: Some("latency".into()),
            announced: Announced { latency_ms: Some(22.0), bandwidth_kbps: Some(1_500_000) },
            measured: Measured {
                rtt_ms: Some(48.0),
                jitter_ms: Some(3.25),
                min_ms: Some(44.0),
                loss: Some(0.025),
                delivered_kbps: Some(9_000),
                ..Measured::default()
            },
            ..path(
                2,
                "0a1b2c3d4e5f6071",
                PathState::Standby,
                "latency 48.0 ms (measured), #3 has 22.4 ms (measured)",
                &long,
            )
        },
        PathInfo {
            announced: Announced { latency_ms: None, bandwidth_kbps: None },
            measured: Measured {
                rtt_ms: Some(91.3),
                jitter_ms: Some(9.0),
                min_ms: Some(80.0),
                loss: Some(0.4),
                mtu: Some(1280),
                ..Measured::default()
            },
            decided_by: Some("state".into()),
            condition: Some("packets of more than 1280 bytes are lost, 1400 are announced".into()),
            unknown: vec!["latency".into(), "bandwidth".into()],
            ..path(3, "77aa88bb99cc00dd", PathState::Suspect, "suspect, #4 is standby", &long[..2])
        },
        PathInfo {
            mtu: Some(1280),
            expiry: None,
            unknown: vec!["latency".into(), "bandwidth".into()],
            failures: 2,
            last_received_ms: None,
            probes: Probes { sent: 9, answered: 0, bytes: 1800 },
            decided_by: Some("state".into()),
            condition: Some("no answer to data for 184.0 ms".into()),
            ..path(4, "ffee00112233aabb", PathState::Dead, "dead, #5 is suspect", &long)
        },
    ];
    let event = |seconds, kind, text: &str, gap_ms| PathEvent {
        time: at(seconds).into(),
        remote_as: "1-ff00:0:112".into(),
        kind,
        text: text.into(),
        gap_ms,
        ..PathEvent::default()
    };
    Pathz {
        server_id: "NALPHA".into(),
        now: at(60).into(),
        local_as: Some("1-ff00:0:111".into()),
        daemon: Daemon {
            address: "127.0.0.1:30255".into(),
            state: DaemonState::Up,
            since: at(0).into(),
            ..Daemon::default()
        },
        path_preference: vec!["latency".into(), "bandwidth".into()],
        peers: vec![PeerInfo {
            path_preference: vec!["latency".into(), "bandwidth".into()],
            rules: Vec::new(),
            remote_as: "1-ff00:0:112".into(),
            lane: String::new(),
            active: Some(paths[0].fingerprint.clone()),
            transport: Transport::Scion,
            unprobeable: false,
            switches: 1,
            links: vec![Link {
                addr: "[1-ff00:0:112,127.0.0.1]:4248".into(),
                kind: LinkKind::Route,
                since: at(1).into(),
            }],
            paths,
            incidents: None,
        }],
        refused_connections: 0,
        events: vec![
            event(20, PathEventKind::Suspect, "path #6 is suspect: no answer to data for 92.0 ms", None),
            event(21, PathEventKind::Down, "path #6 is down: no answer to data for 184.0 ms", None),
            event(
                21,
                PathEventKind::Switch,
                "traffic moves from path #6 to #3: no answer to data for 184.0 ms (silent for 81.5 ms)",
                Some(81.5),
            ),
            event(50, PathEventKind::Up, "path #4 is up", None),
        ],
    }
}

/// A leaf node, a hub, another cluster and two accounts.
fn others() -> Snapshot {
    let leaf = |id, name: &str, is_spoke| LeafInfo {
        id,
        name: name.into(),
        is_spoke,
        account: "SHOP".into(),
        ip: "127.0.0.1".into(),
        port: 7422,
        rtt: "1.1ms".into(),
        in_msgs: 40,
        compression: "s2_fast".into(),
        ..LeafInfo::default()
    };
    let gateway = |cid| RemoteGatewayz {
        configured: true,
        connection: Some(Box::new(ConnInfo { cid, out_msgs: 77, ..connz().connections.remove(0) })),
        accounts: Vec::new(),
    };
    let account = |name: &str, conns, msgs| AccountStat {
        account: name.into(),
        name: name.into(),
        conns,
        num_subscriptions: 3,
        sent: DataStats { msgs, bytes: msgs * 100, ..DataStats::default() },
        received: DataStats { msgs: msgs / 2, bytes: msgs * 50, ..DataStats::default() },
        slow_consumers: u64::from(conns == 1),
        ..AccountStat::default()
    };
    Snapshot {
        leafz: Some(Leafz { leafs: vec![leaf(21, "edge-7", false), leaf(22, "hq", true)], ..Leafz::default() }),
        gatewayz: Some(Gatewayz {
            outbound_gateways: Some([("west".to_owned(), gateway(31))].into()),
            inbound_gateways: [("west".to_owned(), vec![gateway(32)])].into(),
            ..Gatewayz::default()
        }),
        accstatz: Some(AccountStatz {
            account_statz: vec![account("$G", 2, 3000), account("SHOP", 1, 900)],
            ..AccountStatz::default()
        }),
        ..Snapshot::default()
    }
}

pub(crate) fn snapshot() -> Snapshot {
    Snapshot { time: at(60).into(), varz: varz(), connz: connz(), routez: routez(), pathz: Some(pathz()), ..others() }
}

/// What became of the paths in the last minute: one steady, one that swings, one that falls silent, one that never spoke.
fn with_histories(mut pathz: Pathz) -> Pathz {
    let samples = |index: usize| {
        let sample = |second: u64| {
            let silent = index == 3 || (index == 2 && second > 50);
            let rtt = [22.4, 48.0 - 2.0 * f64::from((second as i32 * 7) % 11 - 5).abs(), 91.3, 0.0][index];
            PathSample {
                time: at(second).into(),
                rtt_min_ms: (!silent).then_some(rtt - 0.5),
                rtt_ms: (!silent).then_some(rtt),
                rtt_max_ms: (!silent).then_some(rtt + second as f64 / 10.0),
                answered: if silent { 0 } else { 2 },
                lost: u32::from(silent || second % 20 == 7),
                bytes: if index == 0 { 1000 * second } else { 0 },
                ..PathSample::default()
            }
        };
        (0..60).map(sample).collect()
    };
    for (index, path) in pathz.peers[0].paths.iter_mut().enumerate() {
        path.history = Some(PathHistory { seconds: samples(index), minutes: Vec::new() });
    }
    pathz
}

/// What `/eventz` tells of the same minute: the events of the paths, and more.
pub(crate) fn eventz() -> Eventz {
    let event =
        |seconds, kind, text: &str| Event { time: at(seconds).into(), kind, text: text.into(), ..Event::default() };
    let client = |seconds, kind, cid, text: &str| Event {
        link: Some(LinkKind::Client),
        cid: Some(cid),
        addr: "127.0.0.1:41005".into(),
        account: "$G".into(),
        ..event(seconds, kind, text)
    };
    let mut events = vec![
        Event {
            peer: "beta".into(),
            link: Some(LinkKind::Route),
            ..event(2, EventKind::Join, "server beta is connected")
        },
        client(3, EventKind::ClientJoin, 5, "client \"thermostat\" cid 5 at 127.0.0.1:41005 of account $G"),
        client(
            30,
            EventKind::SlowConsumer,
            9,
            "client cid 9 at 127.0.0.1:41009 is cut off: Slow Consumer (Pending Bytes)",
        ),
        client(
            31,
            EventKind::AuthError,
            11,
            "client cid 11 at 127.0.0.1:41011, who says to be \"eve\", is refused: Authentication Failure",
        ),
    ];
    events.extend(pathz().events.into_iter().map(Event::from));
    events.sort_by_key(|event| event.time);
    for (number, event) in events.iter_mut().enumerate() {
        event.id = 1_795_244_944_001 + number as u64;
        if event.kind == EventKind::Switch {
            event.from = Some("ffee00112233aabb".into());
            event.to = Some("5f0c7a1be2d94c11".into());
        }
    }
    let head = EventsHello { version: EVENTS_VERSION, last: 1_795_244_944_008, ..EventsHello::default() };
    Eventz { head, events }
}

/// One server that answered twice, in ten seconds.
pub(crate) fn state() -> State {
    let mut world = World::new(["http://127.0.0.1:8222".parse().unwrap()]);
    let mut before = Snapshot { pathz: None, ..snapshot() };
    before.varz.now = at(50).into();
    before.varz.in_msgs -= 400;
    before.routez.routes[0].in_msgs -= 500;
    before.connz.connections[0].in_msgs -= 12_300;
    for stat in &mut before.accstatz.as_mut().expect("accounts").account_statz {
        stat.sent.msgs -= 800;
    }
    world.observe(0, at(50), Ok(before));
    world.observe(
        0,
        at(60),
        Ok(Snapshot { pathz: Some(with_histories(pathz())), eventz: Some(eventz()), ..snapshot() }),
    );
    State::new(world, None, at(60))
}

/// Two servers, one of which does not answer.
pub(crate) fn troubled_state() -> State {
    let mut world = World::new(["http://127.0.0.1:8222".parse().unwrap(), "http://127.0.0.1:8223".parse().unwrap()]);
    world.observe(0, at(58), Ok(snapshot()));
    for n in 0..3 {
        let error = "cannot connect to http://127.0.0.1:8223: connection refused";
        world.observe(1, at(57 + n), Err(error.into()));
    }
    State::new(world, None, at(60))
}

pub(crate) fn lab() -> LabView {
    let link = |name: &str, a: &str, b: &str, ms, state, bits_per_second| LabLink {
        name: name.into(),
        a: a.into(),
        b: b.into(),
        latency: Duration::from_millis(ms),
        state,
        bits_per_second,
    };
    LabView {
        links: vec![
            link("peer", "1-ff00:0:111#3", "1-ff00:0:112#1", 10, LinkState::Up, 1_250_000),
            link("up-a", "1-ff00:0:110#11", "1-ff00:0:111#1", 8, LinkState::Cut, 0),
            link("down-a", "1-ff00:0:110#12", "1-ff00:0:112#2", 14, LinkState::BlackHole, 0),
        ],
        load: LabLoad {
            sent: 12_000,
            received: 11_990,
            lost: 0,
            duplicated: 0,
            rate: 200.0,
            longest_gap: Duration::from_millis(112),
        },
    }
}

/// As `state`, with a lab.
pub(crate) fn lab_state() -> State {
    State { lab: Some(lab()), ..state() }
}

/// What a `FakeServer` says.
pub(crate) struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self { status, body: body.into() }
    }

    pub(crate) fn not_found() -> Self {
        Self::text(404, "404 page not found\n")
    }
}

impl<T: Serialize> From<T> for Answer {
    fn from(document: T) -> Self {
        Self { status: 200, body: to_json(&document) }
    }
}

/// Answers HTTP on a port of its own, until dropped.
pub(crate) struct FakeServer {
    pub(crate) url: String,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl FakeServer {
    pub(crate) async fn start(answer: fn(&str) -> Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::<AtomicUsize>::default();
        let accepted = connections.clone();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                open.spawn(serve(stream, answer));
            }
        });
        Self { url, connections, _tasks: tasks }
    }

    /// One that has everything.
    pub(crate) async fn natsd() -> Self {
        Self::start(|path| match path.split('?').next() {
            Some("/varz") => varz().into(),
            Some("/connz") => connz().into(),
            Some("/routez") => routez().into(),
            Some("/pathz") => pathz().into(),
            _ => Answer::not_found(),
        })
        .await
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn serve(mut stream: TcpStream, answer: fn(&str) -> Answer) {
    let mut request = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut request).await {
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        let path = std::str::from_utf8(&request).unwrap().split(' ').nth(1).unwrap();
        let Answer { status, body } = answer(path);
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
        request.clear();
    }
}
