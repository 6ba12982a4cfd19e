use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use natsd_api::{
    AccountStatz, Accountz, Connz, EVENTS_VERSION, Event, EventKind, Eventz, Healthz, PathIncident, Pathz, PeerInfo,
    Routez, SubjectPermissions, Subsz, Varz,
};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::journal::Journal;

/// A server with three clients, one of them closed, and a route over SCION.
struct Sample {
    created: SystemTime,
    sick: bool,
    scion: bool,
    journal: Arc<Journal>,
}

impl Default for Sample {
    fn default() -> Self {
        Self {
            created: SystemTime::now(),
            sick: false,
            scion: false,
            journal: Arc::new(Journal::new(SystemTime::UNIX_EPOCH)),
        }
    }
}

fn client(start: SystemTime, cid: u64, subscriptions: u64, rtt_us: u64) -> Client {
    let start = start + Duration::from_secs(cid);
    Client {
        cid,
        peer: Peer { ip: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 40_000, isd_as: None },
        websocket: false,
        start,
        last_activity: start + Duration::from_secs(10),
        closed: None,
        rtt: (rtt_us > 0).then(|| Duration::from_micros(rtt_us)),
        traffic: Traffic { in_msgs: cid * 10, ..Traffic::default() },
        stalls: 0,
        subscriptions,
        name: "thermostat".into(),
        lang: "rust".into(),
        version: "1.0".into(),
        account: "$G".into(),
        user: String::new(),
        token: None,
        proxy: None,
        tls: None,
    }
}

fn subscription(cid: u64, subject: &str, queue: &str) -> Subscription {
    Subscription {
        account: "$G".into(),
        subject: subject.into(),
        queue: queue.into(),
        sid: "1".into(),
        msgs: 3,
        max: 0,
        cid,
    }
}

impl Sample {
    fn started(&self) -> SystemTime {
        self.created - Duration::from_secs(100)
    }
}

impl Inspect for Sample {
    fn server_id(&self) -> String {
        "NSAMPLE".into()
    }

    fn server_name(&self) -> String {
        "sample".into()
    }

    fn varz(&self) -> Varz {
        let start = self.started();
        Varz { server_id: self.server_id(), start: start.into(), ..Varz::default() }
    }

    fn open_clients(&self) -> Vec<Client> {
        vec![client(self.started(), 9, 1, 200), client(self.started(), 5, 3, 900)]
    }

    fn closed_clients(&self) -> Vec<Client> {
        let at = self.started() + Duration::from_secs(50);
        vec![Client { closed: Some(Closed { at, reason: "Client Closed".into() }), ..client(self.started(), 7, 2, 0) }]
    }

    fn subscriptions_of(&self, cid: u64) -> Vec<Subscription> {
        self.subscriptions().into_iter().filter(|sub| sub.cid == cid).collect()
    }

    fn routes(&self) -> Vec<Route> {
        let start = self.started();
        vec![Route {
            rid: 12,
            facts: RouteFacts {
                remote_id: "NOTHER".into(),
                did_solicit: true,
                subscriptions: 1,
                ..RouteFacts::default()
            },
            peer: Peer {
                ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 4248,
                isd_as: Some("1-ff00:0:112".parse().unwrap()),
            },
            start,
            last_activity: start,
            rtt: None,
            traffic: Traffic::default(),
        }]
    }

    fn route_permissions(&self) -> RoutePermissions {
        let export = SubjectPermissions { allow: vec!["orders.>".into()], deny: Vec::new() };
        (None, Some(export))
    }

    fn subscriptions(&self) -> Vec<Subscription> {
        vec![subscription(5, "orders.>", ""), subscription(9, "orders.*", "workers"), subscription(12, "bar", "")]
    }

    fn system_account(&self) -> String {
        "$SYS".into()
    }

    fn accounts(&self) -> Vec<String> {
        vec!["$SYS".into(), "$G".into()]
    }

    fn account(&self, name: &str) -> Option<natsd_api::AccountInfo> {
        self.accounts().contains(&name.to_owned()).then(|| natsd_api::AccountInfo {
            account_name: name.into(),
            complete: true,
            ..Default::default()
        })
    }

    fn account_stats(&self) -> Vec<natsd_api::AccountStat> {
        let stat = |account: &str, conns| natsd_api::AccountStat {
            account: account.into(),
            name: account.into(),
            conns,
            total_conns: conns,
            ..Default::default()
        };
        vec![stat("$SYS", 0), stat("$G", 2)]
    }

    fn subscription_counts(&self, _: &str) -> SubscriptionCounts {
        SubscriptionCounts { now: 3, inserts: 4, removes: 1, matches: 8, cache_hits: 2, ..Default::default() }
    }

    fn health(&self) -> Result<(), String> {
        if self.sick { Err("lame duck mode".into()) } else { Ok(()) }
    }

    fn journal(&self) -> Arc<Journal> {
        self.journal.clone()
    }

    fn paths(&self, history: Option<SystemTime>) -> Option<Pathz> {
        let peer = PeerInfo {
            incidents: history.map(|since| vec![PathIncident { time: since.into(), ..PathIncident::default() }]),
            ..PeerInfo::default()
        };
        self.scion.then(|| Pathz { peers: vec![peer], ..Pathz::default() })
    }
}

struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

async fn monitor(sample: Sample, base: &str) -> Monitor {
    Monitor::start(Arc::new(sample), "127.0.0.1", 0, base, None, None).await.expect("started")
}

async fn request(monitor: &Monitor, method: &str, path: &str) -> Reply {
    let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Reply { status, headers, body: body.to_owned() }
}

async fn get(monitor: &Monitor, path: &str) -> Reply {
    request(monitor, "GET", path).await
}

async fn read<T: DeserializeOwned>(monitor: &Monitor, path: &str) -> T {
    let reply = get(monitor, path).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    assert_eq!(reply.headers["content-type"], "application/json");
    assert_eq!(reply.headers["access-control-allow-origin"], "*");
    assert!(!reply.body.ends_with('\n'));
    serde_json::from_str(&reply.body).expect(path)
}

async fn cids(monitor: &Monitor, query: &str) -> Vec<u64> {
    read::<Connz>(monitor, &format!("/connz?{query}")).await.connections.iter().map(|conn| conn.cid).collect()
}

#[tokio::test]
async fn clients_are_selected_sorted_and_paged() {
    let monitor = monitor(Sample::default(), "").await;
    for (query, want) in [
        ("", &[5, 9][..]),
        ("sort=subs", &[5, 9]),
        ("sort=msgs_from", &[9, 5]),
        ("sort=rtt", &[5, 9]),
        ("sort=last", &[9, 5]),
        ("sort=idle", &[5, 9]),
        ("sort=uptime", &[9, 5]),
        ("state=closed&sort=stop", &[7]),
        ("state=ANY", &[5, 7, 9]),
        ("cid=7&state=all", &[7]),
        ("cid=7", &[]),
        ("limit=1", &[5]),
        ("offset=1", &[9]),
        ("acc=%24G", &[5, 9]),
        ("acc=OTHER", &[]),
        ("acc=%24G&filter_subject=orders.new", &[5, 9]),
        ("acc=%24G&filter_subject=orders.new.%3E", &[5]),
        ("acc=%24G&filter_subject=bar", &[]),
        ("filter_subject=%3E", &[5, 9]),
        ("user=me", &[]),
        ("mqtt_client=me", &[]),
        ("unknown=1", &[5, 9]),
    ] {
        assert_eq!(cids(&monitor, query).await, want, "{query}");
    }
    let refused = get(&monitor, "/connz?filter_subject=bar").await;
    assert_eq!((refused.status, &*refused.body), (400, "filter by subject only valid with account filtering"));
    let connz: Connz = read(&monitor, "/connz?limit=1&offset=1").await;
    assert_eq!((connz.num_connections, connz.total, connz.offset, connz.limit), (1, 2, 1, 1));
}

#[tokio::test]
async fn accounts_are_listed_and_told_of() {
    let monitor = monitor(Sample::default(), "").await;
    let accountz: Accountz = read(&monitor, "/accountz").await;
    assert_eq!((accountz.system_account.as_str(), &*accountz.accounts), ("$SYS", &["$G".into(), "$SYS".into()][..]));
    let accountz: Accountz = read(&monitor, "/accountz?acc=%24G").await;
    let detail = accountz.account_detail.expect("asked for");
    assert_eq!((detail.account_name.as_str(), &*accountz.accounts), ("$G", &[][..]));
    let refused = get(&monitor, "/accountz?acc=NO").await;
    assert_eq!((refused.status, &*refused.body), (400, "Account NO does not exist"));
    for (query, want) in [
        ("", &["$G"][..]),
        ("unused=1", &["$G", "$SYS"]),
        ("unused=1&acc=%24SYS", &["$SYS"]),
        ("acc=%24SYS", &[]),
        ("acc=%24G&acc=OTHER", &["$G"]),
    ] {
        let statz: AccountStatz = read(&monitor, &format!("/accstatz?{query}")).await;
        let names: Vec<_> = statz.account_statz.iter().map(|stat| stat.account.as_str()).collect();
        assert_eq!(names, want, "{query}");
    }
}

#[tokio::test]
async fn a_client_is_told_with_its_subscriptions_if_wanted() {
    let monitor = monitor(Sample::default(), "").await;
    let first = async |query: &str| read::<Connz>(&monitor, query).await.connections.remove(0);
    let plain = first("/connz").await;
    assert_eq!(plain.rtt, "900µs");
    assert!(plain.uptime.starts_with("1m3") && plain.idle.starts_with("1m2"), "{plain:?}");
    assert!(plain.subscriptions_list.is_empty() && plain.name_tag.is_empty());
    assert_eq!(first("/connz?subs=1").await.subscriptions_list, ["orders.>"]);
    let detailed = first("/connz?subs=detail&auth=1").await;
    assert_eq!(detailed.subscriptions_list_detail[0].subject, "orders.>");
    assert_eq!(detailed.name_tag, "$G");

    let closed = first("/connz?state=closed").await;
    assert_eq!((closed.reason.as_str(), closed.uptime.as_str()), ("Client Closed", "43s"));
    assert_eq!(closed.idle, "33s");
}

#[tokio::test]
async fn wildcards_are_written_as_go_does() {
    let monitor = monitor(Sample::default(), "").await;
    assert!(get(&monitor, "/connz?subs=1").await.body.contains("\n        \"orders.\\u003e\"\n"));
}

#[tokio::test]
async fn routes_over_scion_name_their_as() {
    let monitor = monitor(Sample::default(), "").await;
    let routez: Routez = read(&monitor, "/routez?subs=1").await;
    assert_eq!((routez.num_routes, routez.routes[0].isd_as.as_str()), (1, "1-ff00:0:112"));
    assert_eq!(routez.routes[0].subscriptions_list, ["bar"]);
}

#[tokio::test]
async fn subscriptions_are_found_by_a_subject() {
    let monitor = monitor(Sample::default(), "").await;
    let subsz: Subsz = read(&monitor, "/subsz").await;
    assert_eq!((subsz.num_subscriptions, subsz.total, subsz.cache_hit_rate), (3, 0, 0.25));
    let subsz: Subsz = read(&monitor, "/subsz?subs=1&test=orders.new&limit=1&offset=1").await;
    assert_eq!((subsz.total, subsz.offset, subsz.limit), (2, 1, 1));
    let list = subsz.subscriptions_list.expect("it was asked for");
    assert_eq!(list[0].qgroup, "workers");
    assert_eq!(list[0].account_tag, "$G");
}

#[tokio::test]
async fn refusals_are_nats_servers() {
    let monitor = monitor(Sample::default(), "").await;
    let mut refusals = String::new();
    for path in [
        "/connz?sort=xx",
        "/connz?sort=stop",
        "/connz?sort=reason&state=any",
        "/connz?state=zz",
        "/connz?subs=2",
        "/connz?auth=maybe",
        "/connz?limit=x",
        "/connz?offset=%22a%00",
        "/connz?cid=-1",
        "/routez?subs=2",
        "/subsz?subs=2",
        "/subsz?limit=99999999999999999999",
        "/subsz?test=foo..x",
        "/subsz?test=foo.*",
        "/healthz?js-enabled-only=zz",
    ] {
        let reply = get(&monitor, path).await;
        assert_eq!(
            (reply.status, reply.headers["content-type"].as_str()),
            (400, "text/plain; charset=utf-8"),
            "{path}"
        );
        refusals += &format!("{path}\n    {}\n", reply.body);
    }
    insta::assert_snapshot!(refusals);
}

#[tokio::test]
async fn a_sick_server_says_why() {
    let monitor = monitor(Sample { sick: true, ..Sample::default() }, "").await;
    let reply = get(&monitor, "/healthz").await;
    assert_eq!((reply.status, reply.body.as_str()), (503, r#"{"status":"unavailable","error":"lame duck mode"}"#));
}

#[tokio::test]
async fn paths_are_there_with_scion_only() {
    assert_eq!(get(&monitor(Sample::default(), "").await, "/pathz").await.status, 404);
    let monitor = monitor(Sample { scion: true, ..Sample::default() }, "").await;
    let since = async |query| {
        let incidents = read::<Pathz>(&monitor, query).await.peers[0].incidents.clone();
        incidents.map(|incidents| incidents[0].time.to_string())
    };
    assert_eq!(since("/pathz?since=2026-11-21T07:09:04Z").await, None);
    assert_eq!(since("/pathz?history=1").await.as_deref(), Some("1970-01-01T00:00:00Z"));
    let later = since("/pathz?history=1&since=2026-11-21T07:09:04.5Z").await;
    assert_eq!(later.as_deref(), Some("2026-11-21T07:09:04.5Z"));
    for (query, name) in [("history=long", "history"), ("history=1&since=noon", "since")] {
        let refused = get(&monitor, &format!("/pathz?{query}")).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body.contains(name), "{}", refused.body);
    }
}

#[tokio::test]
async fn events_are_a_document_or_a_stream() {
    let sample = Sample::default();
    let journal = sample.journal.clone();
    let event = |kind| Event { kind, ..Event::default() };
    journal.add(event(EventKind::Join));
    journal.add(event(EventKind::ClientJoin));
    let monitor = monitor(sample, "").await;
    let ids = async |query: &str| {
        let document = read::<Eventz>(&monitor, &format!("/eventz?stream=0{query}")).await;
        assert_eq!((document.head.version, document.head.last), (EVENTS_VERSION, 2));
        document.events.iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!((ids("").await, ids("&since=1").await), (vec![1, 2], vec![2]));
    assert_eq!(ids("&kind=switch&kind=join").await, [1]);
    for bad in ["/eventz?kind=news", "/eventz?since=x", "/eventz?stream=x"] {
        assert_eq!(get(&monitor, bad).await.status, 400, "{bad}");
    }

    let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
    stream.write_all(b"GET /eventz HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n\r\n").await.unwrap();
    let mut told = String::new();
    let mut until = async |end: &str| {
        let mut bytes = [0; 4096];
        while !told.contains(end) {
            let count = stream.read(&mut bytes).await.expect("more");
            assert_ne!(count, 0, "{told}");
            told += std::str::from_utf8(&bytes[..count]).expect("text");
        }
        told.clone()
    };
    let before = until("id: 2\nevent: client_join\n").await;
    assert!(before.contains("content-type: text/event-stream") && before.contains("\nevent: hello\n"), "{before}");
    assert!(!before.contains("id: 1\n"), "{before}");
    journal.add(event(EventKind::Switch));
    until("id: 3\nevent: switch\ndata: {").await;
}

#[tokio::test]
async fn streams_of_events_leave_room_for_documents() {
    let monitor = monitor(Sample::default(), "").await;
    let mut streams = Vec::new();
    for _ in 0..eventz::STREAMS {
        let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
        stream.write_all(b"GET /eventz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 200");
        streams.push(stream);
    }
    assert_eq!(get(&monitor, "/eventz").await.status, 503);
    assert_eq!(get(&monitor, "/varz").await.status, 200);
    streams.pop();
    let freed = async {
        loop {
            let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
            stream.write_all(b"GET /eventz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut status = [0; 12];
            stream.read_exact(&mut status).await.unwrap();
            if &status == b"HTTP/1.1 200" {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.expect("a seat is free again");
}

#[tokio::test]
async fn the_process_and_the_requests_are_counted() {
    let monitor = monitor(Sample::default(), "").await;
    read::<Healthz>(&monitor, "/healthz").await;
    request(&monitor, "POST", "/varz").await;
    get(&monitor, "/").await;
    let varz: Varz = read(&monitor, "/varz").await;
    let counted: Vec<_> = varz.http_req_stats.iter().map(|(path, count)| (path.as_str(), *count)).collect();
    assert_eq!(counted, [("/", 1), ("/healthz", 1), ("/varz", 2)]);
    assert!(varz.uptime.starts_with("1m4"), "{}", varz.uptime);
    assert!(varz.cores > 0 && varz.gomaxprocs > 0);
}

#[tokio::test]
async fn the_page_may_ask_its_own_server_alone() {
    let monitor = monitor(Sample::default(), "/edge").await;
    let page = get(&monitor, "/edge/ui").await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; connect-src 'self'; "), "{policy}");
    assert!(get(&monitor, "/edge").await.body.contains("<a href=\"./edge/ui\">"));
}

#[tokio::test]
async fn all_paths_are_below_the_base_path() {
    let monitor = monitor(Sample::default(), "/edge/7/").await;
    assert_eq!(read::<Varz>(&monitor, "/edge/7/varz").await.http_base_path, "/edge/7");
    assert!(get(&monitor, "/edge/7").await.body.contains("<a href=\"./7/varz\">"));
    assert_eq!(get(&monitor, "/varz").await.status, 404);
}

#[tokio::test]
async fn an_unknown_path_is_not_found() {
    let reply = get(&monitor(Sample::default(), "").await, "/varz/").await;
    assert_eq!((reply.status, reply.body.as_str()), (404, "404 page not found\n"));
    assert_eq!(reply.headers["content-type"], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn what_cannot_start_says_what_to_change() {
    let first = monitor(Sample::default(), "").await;
    let again = Monitor::start(Arc::new(Sample::default()), "127.0.0.1", first.address().port(), "", None, None).await;
    let text = again.expect_err("in use").to_string();
    assert!(text.starts_with(&format!("monitoring cannot listen on {}: ", first.address())), "{text}");
    assert!(text.ends_with("; change http, http_port or monitor_port"), "{text}");
    for base in ["edge", "/a{b}", "/a b"] {
        let error =
            Monitor::start(Arc::new(Sample::default()), "127.0.0.1", 0, base, None, None).await.expect_err(base);
        assert!(matches!(error, MonitorError::BasePath(_)));
    }
}

#[tokio::test]
async fn connections_end_with_the_monitor() {
    let monitor = monitor(Sample::default(), "").await;
    let mut stream = TcpStream::connect(monitor.address()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(stream.read_u8().await.is_ok());
    drop(monitor);
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await.expect("closed").unwrap();
}
