//! SCION: two servers in different ASes of an emulated network, and the commands that show its paths.

use std::time::{Duration, Instant};

use natsd_core::compression::{Level, Mode};
use natsd_lab::engine::Unit;
use natsd_lab::link::{Cut, LinkChange};
use natsd_lab::links::Way;
use natsd_scion::{Host, HostConfig};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::harness::DEADLINE;
use crate::harness::client::Client;
use crate::harness::identity::visitor;
use crate::harness::network::{ASES, Ground, Pair, SCION_CLIENTS, wait_for};
use crate::harness::server::{TestServer, natsd};
#[cfg(feature = "interop")]
use crate::harness::{network::TCP_ROUTES, server::Program};

/// A publisher at one server and a subscriber at the other.
struct Stream {
    publisher: Client,
    subscriber: Client,
    sent: usize,
    received: usize,
}

impl Stream {
    fn start(pair: &Pair, from: usize, to: usize) -> Self {
        let (mut publisher, mut subscriber) = (pair.client(from), pair.client(to));
        let subject = format!("from.{from}");
        subscriber.subscribe(&subject, "1");
        subscriber.flush();
        publisher.wait_for_interest(&subject, true);
        Self { publisher, subscriber, sent: from << 32, received: from << 32 }
    }

    fn send(&mut self, count: usize) {
        for _ in 0..count {
            self.publisher.publish(&format!("from.{}", self.sent >> 32), &self.sent.to_string());
            self.sent += 1;
        }
        self.publisher.flush();
    }

    /// All that was sent comes, in order, and once.
    fn receive_all(&mut self) {
        let messages = self.subscriber.take(self.sent - self.received);
        let numbers: Vec<_> = messages.iter().map(|message| message.payload.parse::<usize>()).collect();
        assert_eq!(numbers, (self.received..self.sent).map(Ok).collect::<Vec<_>>());
        self.received = self.sent;
    }
}

fn both_ways(pair: &Pair) -> [Stream; 2] {
    [Stream::start(pair, 0, 1), Stream::start(pair, 1, 0)]
}

const OVER_PEERING: [&str; 2] = ["1-ff00:0:111#3", "1-ff00:0:112#3"];

/// While messages flow both ways, the link that they flow over is cut: nothing is lost or doubled, the route stays.
fn survives(how: Cut, way: Option<Way>) {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    let mut streams = both_ways(&pair);
    pair.settle();
    wait_for("the peering link is used", || pair.active(0) == OVER_PEERING);
    let routes = pair.routes();
    streams.iter_mut().for_each(|stream| stream.send(100));
    pair.ground.engine.cut("peer", how, way).expect("there is such a link");
    for _ in 0..5 {
        streams.iter_mut().for_each(|stream| stream.send(100));
        streams.iter_mut().for_each(Stream::receive_all);
    }
    for server in [0, 1] {
        wait_for("the cut link is left", || {
            streams[server].send(1);
            streams[server].receive_all();
            !pair.active(server).iter().any(|interface| OVER_PEERING.iter().any(|cut| interface == cut))
        });
    }
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn a_cut_that_routers_report_loses_nothing() {
    survives(Cut::Cable, None);
}

#[test]
fn a_black_hole_loses_nothing() {
    survives(Cut::BlackHole, None);
}

#[test]
fn a_black_hole_there_loses_nothing() {
    survives(Cut::BlackHole, Some(Way::Ab));
}

#[test]
fn a_black_hole_back_loses_nothing() {
    survives(Cut::BlackHole, Some(Way::Ba));
}

#[test]
fn messages_requests_and_clients_pass_over_scion() {
    let pair = Pair::start(Ground::emulated(), "bandwidth,latency", false);
    for stream in &mut both_ways(&pair) {
        stream.send(1000);
        stream.receive_all();
    }

    for (from, to) in [(0, 1), (1, 0)] {
        let (mut asker, mut server) = (pair.client(from), pair.client(to));
        asker.subscribe("answers", "1");
        server.subscribe("questions", "2");
        server.flush();
        asker.wait_for_interest("questions", true);
        asker.request("questions", "answers", "6 * 7?");
        let question = server.next();
        server.wait_for_interest("answers", true);
        server.publish(question.reply.as_deref().expect("a request"), "42");
        assert_eq!(asker.next().payload, "42");
    }

    pair.settle();
    let widest = &pair.paths(0)["paths"][0];
    assert_eq!((&widest["announced"]["bandwidth_kbps"], &widest["rank"]), (&40_000.into(), &1.into()));

    let mut publisher = pair.client(0);
    pair.ground.runtime.block_on(async {
        let at = pair.ground.addresses(ASES[1]);
        let config = HostConfig { daemon: Some(at.daemon.to_string()), local: Some(at.host), ..HostConfig::default() };
        let host = Host::start(config).expect("an address");
        host.ready().await.expect("the daemon answers");
        let dialer = host.dialer(&visitor(pair.ground.authority())).expect("a port");
        let server = pair.ground.scion_address(0, SCION_CLIENTS);
        let mut client = BufReader::new(dialer.dial(server, None).await.expect("connected"));
        let mut line = String::new();
        client.read_line(&mut line).await.expect("an INFO");
        assert!(line.starts_with("INFO {"), "{line}");
        client.write_all(b"CONNECT {\"verbose\":false}\r\nSUB far 1\r\nPING\r\n").await.expect("writable");
        line.clear();
        client.read_line(&mut line).await.expect("an answer");
        assert_eq!(line, "PONG\r\n");
        publisher.publish("far", "away");
        publisher.flush();
        for wanted in ["MSG far 1 4\r\n", "away\r\n"] {
            line.clear();
            tokio::time::timeout(DEADLINE, client.read_line(&mut line)).await.expect("in time").expect("a message");
            assert_eq!(line, wanted);
        }
    });
}

fn carries_messages(pair: &Pair) {
    for stream in &mut both_ways(pair) {
        stream.send(1000);
        stream.receive_all();
    }
}

#[test]
fn servers_talk_over_an_ipv6_underlay() {
    let pair = Pair::start(Ground::with_ipv6(&ASES, ASES), "latency", false);
    carries_messages(&pair);
    pair.settle();
    let routes = pair.routes();
    pair.ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
    carries_messages(&pair);
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn servers_within_an_as_talk_over_ipv6() {
    let pair = Pair::start(Ground::with_ipv6(&ASES, [ASES[0]; 2]), "latency", false);
    carries_messages(&pair);
    pair.settle();
    assert_eq!(pair.active(0), [] as [Value; 0], "no link is crossed within an AS");
}

#[test]
fn ases_with_underlays_of_different_families_talk() {
    carries_messages(&Pair::start(Ground::with_ipv6(&ASES[1..], ASES), "latency", false));
}

/// Without `local`, whether the router is reached by IPv4 or IPv6 is for natsd to find out.
#[test]
fn a_client_without_a_configured_address_dials_over_both_families() {
    let ground = Ground::with_ipv6(&ASES[..1], ASES);
    let pair = Pair::start(ground, "latency", false);
    pair.ground.runtime.block_on(async {
        for (from, server) in [(0, 1), (1, 0)] {
            let daemon = Some(pair.ground.addresses(ASES[from]).daemon.to_string());
            let host = Host::start(HostConfig { daemon, ..HostConfig::default() }).expect("an address");
            host.ready().await.expect("the daemon answers");
            let server = pair.ground.scion_address(server, SCION_CLIENTS);
            let dialer = host.dialer(&visitor(pair.ground.authority())).expect("a port");
            let mut client = BufReader::new(dialer.dial(server, None).await.expect("connected"));
            let mut line = String::new();
            client.read_line(&mut line).await.expect("an INFO");
            assert!(line.starts_with("INFO {"), "{line}");
        }
    });
}

#[test]
fn with_all_links_cut_traffic_takes_tcp_within_two_seconds_and_comes_back() {
    let pair = Pair::start(Ground::emulated(), "latency", true);
    let [mut stream, mut back] = both_ways(&pair);
    pair.settle();
    let routes = pair.routes();
    stream.send(100);
    back.send(100);

    let cut = Instant::now();
    pair.ground.for_all_links(|engine, link| engine.cut(link, Cut::BlackHole, None).expect("there is such a link"));
    wait_for("TCP carries the traffic of both", || {
        stream.send(1);
        back.send(1);
        [0, 1].iter().all(|&server| pair.paths(server)["transport"] == "tcp")
    });
    let took = cut.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    for stream in [&mut stream, &mut back] {
        stream.send(100);
        stream.receive_all();
    }

    pair.ground.for_all_links(|engine, link| engine.restore(link, None).expect("there is such a link"));
    for (server, stream) in [(0, &mut stream), (1, &mut back)] {
        wait_for("SCION carries the traffic", || {
            stream.send(1);
            pair.paths(server)["transport"] == "scion"
        });
        stream.send(100);
        stream.receive_all();
    }
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn a_link_that_loses_a_third_is_left_and_named() {
    let pair = Pair::start(Ground::emulated(), "latency", false);
    pair.settle();
    let (mut stream, routes) = (Stream::start(&pair, 0, 1), pair.routes());
    let direct = pair.active(0);
    let lossy = LinkChange { loss_pct: Some(30.0), ..LinkChange::default() };
    pair.ground.engine.set("peer", &lossy, None).expect("there is such a link");
    wait_for("the lossy path is left", || {
        stream.send(1);
        pair.active(0) != direct
    });
    stream.send(100);
    stream.receive_all();
    let paths = pair.paths(0)["paths"].as_array().cloned().expect("paths");
    let left = paths.iter().find(|path| path["interfaces"] == Value::from(direct.clone())).expect("it is listed");
    assert!(left["condition"].is_string(), "{left}");
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

/// Interest of the second server's client is known at the first one within two seconds of `start`.
fn linked_within_two_seconds(pair: &Pair, start: Instant) {
    let (mut publisher, mut subscriber) = (pair.client(0), pair.client(1));
    subscriber.subscribe("soon", "1");
    subscriber.flush();
    publisher.wait_for_interest("soon", true);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_peer_without_scion_is_reached_by_tcp_within_two_seconds_and_by_scion_when_it_has_it() {
    let start = Instant::now();
    let pair = Pair::start_half(Ground::emulated());
    linked_within_two_seconds(&pair, start);
    pair.wait_for_routes();
    let pair = pair.give_scion_to_second();
    pair.settle();
    assert_eq!(pair.paths(0)["transport"], "scion");
}

/// Go's nats-server knows nothing of SCION.
#[cfg(feature = "interop")]
#[test]
fn a_go_server_is_reached_by_tcp_within_two_seconds() {
    let (ground, peer) = (Ground::emulated(), ASES[1]);
    let cluster = format!("cluster {{ name: c1, listen: \"{}:{TCP_ROUTES}\" }}", ground.addresses(peer).host);
    let go = TestServer::start(Program::Go, &cluster);
    let mut subscriber = Client::connect(go.port);
    subscriber.subscribe("soon", "1");
    subscriber.flush();
    let start = Instant::now();
    let server = ground.serve(ground.options(0, "latency", true));
    let mut publisher = Client::connect(server.client_addrs()[0].port());
    publisher.wait_for_interest("soon", true);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    publisher.publish("soon", "enough");
    assert_eq!(subscriber.next().payload, "enough");
}

/// It knows their TCP addresses alone, and hands on nothing else.
#[cfg(feature = "interop")]
#[test]
fn servers_that_hear_of_each_other_from_a_go_server_find_each_other_over_scion() {
    let ground = Ground::emulated();
    let routes = ASES.map(|isd_as| format!("nats-route://{}:{TCP_ROUTES}", ground.addresses(isd_as).tcp));
    let options = [0, 1].map(|server| {
        let mut options = ground.options(server, "latency", true);
        options.cluster.as_mut().expect("it is clustered").routes.clear();
        options
    });
    let pair = Pair::start_of(ground, options);
    let cluster = format!("cluster {{ name: c1, listen: \"127.0.0.1:-1\", routes: {routes:?} }}");
    let _go = TestServer::start(Program::Go, &cluster);
    for server in [0, 1] {
        let other = format!("server {} in {}", 1 - server, ASES[1 - server]);
        wait_for("all routes to the other one go over SCION", || {
            let routes = pair.read(server, "/routez")["routes"].as_array().cloned().unwrap_or_default();
            let to_other: Vec<_> = routes.iter().filter(|route| route["remote_name"] == other).collect();
            to_other.len() == 3 && to_other.iter().all(|route| route["isd_as"] == ASES[1 - server])
        });
    }
}

#[test]
fn scion_that_is_silent_from_the_start_delays_a_link_by_less_than_two_seconds() {
    let ground = Ground::emulated();
    ground.for_all_links(|engine, link| engine.cut(link, Cut::BlackHole, None).expect("there is such a link"));
    let start = Instant::now();
    let pair = Pair::start(ground, "latency", true);
    linked_within_two_seconds(&pair, start);
    pair.wait_for_routes();
    let routes = pair.routes();
    let mut streams = both_ways(&pair);
    let mut carried_by = |transport: &str| {
        wait_for(transport, || {
            streams.iter_mut().for_each(|stream| stream.send(1));
            [0, 1].iter().all(|&server| pair.paths(server)["transport"] == transport)
        });
        streams.iter_mut().for_each(Stream::receive_all);
    };
    carried_by("tcp");
    pair.ground.for_all_links(|engine, link| engine.restore(link, None).expect("there is such a link"));
    carried_by("scion");
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn the_daemon_may_come_late_and_go() {
    let ground = Ground::emulated();
    let first = ASES[0].parse().expect("an AS");
    ground.runtime.block_on(ground.engine.stop_unit(Unit::Daemon, first)).expect("stopped");
    let pair = Pair::start(ground, "latency", false);
    assert_eq!(pair.read(0, "/pathz")["daemon"]["state"], "down");

    let ground = &pair.ground;
    ground.runtime.block_on(ground.engine.start_unit(Unit::Daemon, first)).expect("started");
    let mut streams = both_ways(&pair);
    pair.settle();
    assert_eq!(pair.read(0, "/pathz")["daemon"]["state"], "up");

    ground.runtime.block_on(ground.engine.stop_unit(Unit::Daemon, first)).expect("stopped");
    let routes = pair.routes();
    ground.engine.cut("peer", Cut::BlackHole, None).expect("there is such a link");
    for stream in &mut streams {
        stream.send(500);
        stream.receive_all();
    }
    ground.runtime.block_on(ground.engine.start_unit(Unit::Daemon, first)).expect("started");
    streams.iter_mut().for_each(|stream| stream.send(100));
    streams.iter_mut().for_each(Stream::receive_all);
    assert_eq!(pair.routes(), routes, "a route was made anew");
}

#[test]
fn a_listener_in_a_foreign_as_is_named() {
    let ground = Ground::emulated();
    let at = ground.addresses(ASES[0]);
    let configuration = format!(
        "scion {{ daemon: \"{}\", local: \"{}\" }}\ncluster {{ name: c, authority: \"{}\", \
         listen: \"nats://[{},{}]:4248\" }}",
        at.daemon,
        at.host,
        ground.authority().display(),
        ASES[1],
        at.host
    );
    let what = format!("this host is in AS {}, not in {}", ASES[0], ASES[1]);

    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("server.conf");
    std::fs::write(&file, format!("host: 127.0.0.1\nport: -1\n{configuration}\n")).expect("a configuration file");
    let refused = natsd(&["-c", &file.to_string_lossy()]);
    let error = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(
        error.contains(&format!("cluster.listen: cannot listen on [{},{}]:4248: {what}", ASES[1], at.host)),
        "{error}"
    );

    let first = ASES[0].parse().expect("an AS");
    ground.runtime.block_on(ground.engine.stop_unit(Unit::Daemon, first)).expect("stopped");
    let mut server = TestServer::natsd(&configuration);
    ground.runtime.block_on(ground.engine.start_unit(Unit::Daemon, first)).expect("started");
    server.wait_for_line(&what);
}

#[test]
fn the_log_says_when_an_outage_begins_and_ends() {
    let ground = Ground::emulated();
    let server = |here: usize| {
        let (at, there) = (ground.addresses(ASES[here]), 1 - here);
        TestServer::natsd(&format!(
            "scion {{ daemon: \"{}\", local: \"{}\" }}\n\
             cluster {{ name: c, authority: \"{}\", \
             listen: \"nats://[{},{}]:4248\", routes: [\"nats-route://[{},{}]:4248\"] }}",
            at.daemon,
            at.host,
            ground.authority().display(),
            ASES[here],
            at.host,
            ASES[there],
            ground.addresses(ASES[there]).host
        ))
    };
    let (mut server, _peer) = (server(0), server(1));
    server.wait_for_line("traffic starts on path");
    ground.for_all_links(|engine, link| engine.cut(link, Cut::BlackHole, None).expect("there is such a link"));
    server.wait_for_line("no path answers (silent for ");
    ground.for_all_links(|engine, link| engine.restore(link, None).expect("there is such a link"));
    let line = server.wait_for_line("there are answers again after ");
    assert!(line.contains(&format!("paths to {}: ", ASES[1])) && line.contains(" s, over path #"), "{line}");
}

#[test]
fn a_scion_listener_needs_scion() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("server.conf");
    std::fs::write(&file, "listen: \"nats://[1-ff00:0:111,127.0.0.1]:4222\"\n").expect("a configuration file");
    let output = natsd(&["-c", &file.to_string_lossy()]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("SCION is off; add scion: true or a scion {} block"), "{error}");
}

#[test]
fn routes_over_scion_are_compressed() {
    let pair = Pair::start_with(Ground::emulated(), |_, cluster| cluster.compression = Mode::Always(Level::Fast));
    let (mut publisher, mut subscriber) = (pair.client(0), pair.client(1));
    subscriber.subscribe("large", "1");
    subscriber.flush();
    publisher.wait_for_interest("large", true);
    let payload = "compressible ".repeat(50_000);
    for _ in 0..20 {
        publisher.publish("large", &payload);
    }
    assert!(subscriber.take(20).iter().all(|message| message.payload == payload));
    for server in [0, 1] {
        let routes = pair.read(server, "/routez")["routes"].take();
        let routes = routes.as_array().expect("a list");
        assert!(!routes.is_empty() && routes.iter().all(|route| route["compression"] == "s2_fast"), "{routes:?}");
    }
}
