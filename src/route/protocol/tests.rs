//! Two ends of a route, without a network.

use natsd_auth::Login;
use natsd_core::route::cluster::{Cluster, Config};
use natsd_core::route::dedicated::Dedicated;
use tokio::sync::Semaphore;
use tokio::sync::mpsc;

use super::*;
use crate::route::gate::{Gate, Terms};
use crate::route::registry::system_clock;

const TIMING: Timing = Timing {
    handshake: Duration::from_secs(2),
    first_ping: Duration::from_secs(1),
    ping_interval: Duration::from_secs(30),
    ping_max: 2,
};

/// Keeps what a route did.
#[derive(Default)]
struct Recorder {
    sent: Vec<u8>,
    log: Vec<String>,
}

impl Broker for Recorder {
    fn trace(&self, _op: &Op<'_>) {}

    fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }

    fn open(&mut self, peer: &Introduction, configured: bool) {
        self.log.push(format!("open {} {:?} configured {configured}", peer.info.server_name, peer.slot));
    }

    fn subscribe(&mut self, interest: Interest<'_>) -> Result<(), CloseReason> {
        self.log.push(format!("subscribe {}", String::from_utf8_lossy(interest.subject)));
        Ok(())
    }

    fn unsubscribe(&mut self, interest: Interest<'_>) {
        self.log.push(format!("unsubscribe {}", String::from_utf8_lossy(interest.subject)));
    }

    fn deliver(&mut self, message: Message<'_>) {
        self.log.push(format!("deliver {}", String::from_utf8_lossy(message.body)));
    }

    fn hear(&mut self, _op: dag::Op<'_>) -> Result<(), CloseReason> {
        self.log.push("hear".into());
        Ok(())
    }

    fn hear_of_order(&mut self, op: spread::Op) -> Result<(), CloseReason> {
        self.log.push(format!("order {op}"));
        Ok(())
    }

    fn retell(&mut self, peer: &Introduction) {
        self.log.push(format!("retell {}", peer.info.server_name));
    }

    fn renew(&mut self) {
        self.log.push("renew".into());
    }

    fn hear_of_cluster(&mut self, info: &RouteInfo) {
        self.log.push(format!("cluster {} at {:?}", info.gateway, info.gateway_urls));
    }

    fn measured(&mut self, _rtt: Duration) {
        self.log.push("measured".into());
    }

    fn agreed(&mut self, agreement: Agreement, _mode: &Mode) {
        if !matches!(agreement, Agreement::Plain(_)) {
            self.log.push(format!("agreed {}", agreement.name()));
        }
    }

    fn set_level(&mut self, level: Level) {
        self.log.push(format!("level {}", level.name()));
    }

    fn close(&mut self, reason: CloseReason) {
        self.log.push(format!("close {reason}"));
    }
}

fn registry(name: &str, routes: usize) -> Arc<Registry> {
    guarded(name, routes, None)
}

fn guarded(name: &str, routes: usize, login: Option<Login>) -> Arc<Registry> {
    let info = RouteInfo {
        server_id: format!("N{name}"),
        server_name: name.into(),
        cluster: "c".into(),
        ..RouteInfo::default()
    };
    let config = Config {
        info,
        routes,
        pool_size: Some(1),
        dedicated: Dedicated::default(),
        classes: Vec::new(),
        shared: Vec::new(),
        advertise: true,
        connect_retries: 0,
        connect_backoff: false,
        passive: false,
        dag: false,
        seed: 1,
    };
    let gate = Gate::new(login.map(Terms::of_login).unwrap_or_default(), Arc::new(Semaphore::new(1)));
    Arc::new(Registry::new(gate, Mode::Off, system_clock(), |now| Cluster::new(config, now)))
}

fn acceptor(registry: &Arc<Registry>, link: u64) -> (RouteProtocol, mpsc::Receiver<Command>) {
    let commands = registry.enrol(LinkId(link));
    (RouteProtocol::acceptor(registry.clone(), LinkId(link), TIMING, Some("127.0.0.1".into()), false), commands)
}

/// Hands what one end has sent to the other.
fn carry(from: &mut Recorder, to: &mut RouteProtocol, broker: &mut Recorder) {
    let bytes = std::mem::take(&mut from.sent);
    let (taken, _) = to.handle_input(&bytes, broker);
    assert!(taken == bytes.len(), "whole lines are sent");
}

#[tokio::test]
async fn two_servers_meet() {
    let (a, b) = (registry("a", 1), registry("b", 0));
    let dial = a.next_dial().await;
    let _commands = a.enrol(LinkId(1));
    let (mut at_a, mut at_b) = (Recorder::default(), Recorder::default());
    let mut dialer = RouteProtocol::dialer(a.clone(), LinkId(1), TIMING, None, dial, None);
    let (mut acceptor, _more_commands) = acceptor(&b, 1);
    dialer.start(&mut at_a);
    acceptor.start(&mut at_b);
    carry(&mut at_b, &mut dialer, &mut at_a);
    carry(&mut at_a, &mut acceptor, &mut at_b);
    carry(&mut at_b, &mut dialer, &mut at_a);
    at_a.sent.extend_from_slice(b"RS+ $G foo\r\nRMSG $G bar 2\r\nhi\r\nRS- $G foo\r\n");
    carry(&mut at_a, &mut acceptor, &mut at_b);
    assert_eq!(at_a.log, ["measured", "open b Pool(0) configured true"]);
    assert_eq!(at_b.log, ["open a Pool(0) configured false", "subscribe foo", "deliver hi", "unsubscribe foo"]);

    drop(dialer);
    let again = a.next_dial().await;
    assert_eq!(again.attempt, 1, "the route is made again");
}

#[test]
fn nothing_counts_before_set_up_is_over() {
    for line in ["RS+ $G foo\r\n", "RS- $G foo\r\n", "RMSG $G foo 0\r\n\r\n", "RMSG $G foo 9999999\r\n"] {
        let mut broker = Recorder::default();
        let (mut route, _commands) = acceptor(&registry("a", 0), 1);
        route.start(&mut broker);
        broker.sent.clear();
        route.handle_input(line.as_bytes(), &mut broker);
        assert_eq!(broker.log, ["close Protocol Violation"], "{line}");
        assert!(broker.sent.is_empty(), "without a word: {line}");
    }
}

/// What somebody at the port of routes says, until a decision.
fn arrival(registry: &Arc<Registry>, connect: &str) -> (RouteProtocol, Recorder) {
    let mut broker = Recorder::default();
    let (mut route, _commands) = acceptor(registry, 1);
    route.start(&mut broker);
    broker.sent.clear();
    let info = "INFO {\"server_id\":\"Nb\",\"server_name\":\"b\",\"cluster\":\"c\"}\r\nPING\r\n";
    let input = format!("CONNECT {connect}\r\n{info}");
    let (taken, _) = route.handle_input(input.as_bytes(), &mut broker);
    if route.is_checking() {
        assert_eq!(taken, input.len() - info.len(), "what follows waits");
    }
    (route, broker)
}

#[tokio::test]
async fn a_hashed_password_is_compared_elsewhere() {
    let login = Login::new("u", &bcrypt::hash("pw", 4).expect("a hash"));
    let registry = guarded("a", 0, Some(login));
    for (connect, log) in [
        ("{\"user\":\"u\",\"pass\":\"pw\",\"cluster\":\"c\"}", Vec::new()),
        ("{\"user\":\"u\",\"pass\":\"px\",\"cluster\":\"c\"}", vec!["close Authentication Failure".to_owned()]),
    ] {
        let (mut route, mut broker) = arrival(&registry, connect);
        assert!(route.is_checking() && broker.log.is_empty(), "{:?}", broker.log);
        // A reload in between begins it anew.
        route.handle_command(Command::Renew, &mut broker);
        std::future::poll_fn(|cx| {
            route.poll_check(cx, &mut broker);
            if route.is_checking() { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        assert_eq!(broker.log, [vec!["renew".to_owned()], log].concat());
    }
}

#[test]
fn a_peer_that_is_in_may_have_to_go() {
    let registry = guarded("a", 0, Some(Login::new("u", "p")));
    let (mut route, mut broker) = arrival(&registry, "{\"user\":\"u\",\"pass\":\"p\",\"cluster\":\"c\"}");
    assert_eq!(broker.log, ["open b Pool(0) configured false"]);
    assert!(!registry.gate.set(Terms::of_login(Login::new("u", "p"))));
    route.handle_command(Command::Renew, &mut broker);
    assert_eq!(broker.log[1..], ["renew"]);
    assert!(registry.gate.set(Terms::of_login(Login::new("u", "other"))));
    route.handle_command(Command::Renew, &mut broker);
    assert_eq!(broker.log[2..], ["renew", "close Authentication Failure"]);
    assert!(broker.sent.ends_with(b"-ERR 'Authorization Violation'\r\n"));
}

#[test]
fn who_heeds_more_is_told_all_again() {
    let registry = registry("a", 0);
    let (mut route, mut broker) = arrival(&registry, "{\"cluster\":\"c\"}");
    let info = |more: &str| format!("INFO {{\"server_id\":\"Nb\",\"server_name\":\"b\",\"cluster\":\"c\"{more}}}\r\n");
    for (more, told) in [
        ("", 0),
        (",\"export\":{\"allow\":[\"a\"]}", 1),
        (",\"export\":{\"allow\":[\"a\"],\"deny\":null}", 1),
        (",\"ldm\":true", 1),
        ("", 2),
    ] {
        route.handle_input(info(more).as_bytes(), &mut broker);
        assert_eq!(broker.log.iter().filter(|line| *line == "retell b").count(), told, "{more}");
    }
}
