//! What one route does with what it reads, free of IO: [`RouteProtocol`] is fed bytes, commands and the time, and acts on a
//! [`Broker`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_core::route::CloseReason;
use natsd_core::route::cluster::{Dial, DialId, LinkId, Place};
use natsd_core::route::hello::Secret;
use natsd_core::route::session::{Action, Dialer, Introduction, Session, Slot, Timing};
use natsd_core::route::wire::{Interest, MAX_CONTROL_LINE, Message, Op, Read, Reader};

use super::registry::{Command, Registry};

/// The server around a route.
pub(crate) trait Broker {
    /// Something has come: shows it in trace logs.
    fn trace(&self, op: &Op<'_>);
    /// Puts bytes in line to be written.
    fn send(&mut self, bytes: &[u8]);
    /// The peer is admitted: tell it all local interest in the accounts of its slot. `configured` if the
    /// route is in the configuration.
    fn open(&mut self, peer: &Introduction, configured: bool);
    /// Interest arose at the peer, or changed.
    fn subscribe(&mut self, interest: Interest<'_>) -> Result<(), CloseReason>;
    /// Interest at the peer is gone.
    fn unsubscribe(&mut self, interest: Interest<'_>);
    /// A message for our clients.
    fn deliver(&mut self, message: Message<'_>);
    /// The round-trip time was measured.
    fn measured(&mut self, rtt: Duration);
    /// The route is over: closes the connection when all that was sent is written.
    fn close(&mut self, reason: CloseReason);
}

/// One end of a route.
pub(crate) struct RouteProtocol {
    registry: Arc<Registry>,
    link: LinkId,
    session: Session,
    reader: Reader,
    dial: Option<DialId>,
    configured: bool,
    observed: Option<String>,
    introduced: Option<Introduction>,
    closed: bool,
}

impl RouteProtocol {
    /// For a connection that was made to us, by somebody at the IP address `observed`. `greeted` if our `INFO` has been
    /// sent.
    pub(crate) fn acceptor(
        registry: Arc<Registry>,
        link: LinkId,
        timing: Timing,
        observed: Option<String>,
        greeted: bool,
    ) -> Self {
        let info = (!greeted).then(|| registry.info());
        let session = Session::acceptor(info.as_ref(), timing, registry.now());
        Self::new(registry, link, session, None, observed)
    }

    /// For a connection that we made, to the IP address `observed`.
    pub(crate) fn dialer(
        registry: Arc<Registry>,
        link: LinkId,
        timing: Timing,
        observed: Option<String>,
        dial: Dial,
        credentials: Option<(String, Secret)>,
    ) -> Self {
        let dialer = Dialer { slot: dial.slot.clone(), credentials, gossip_mode: dial.gossip_mode };
        let session = Session::dialer(dialer, timing, registry.now());
        Self::new(registry, link, session, Some(dial), observed)
    }

    fn new(
        registry: Arc<Registry>,
        link: LinkId,
        session: Session,
        dial: Option<Dial>,
        observed: Option<String>,
    ) -> Self {
        let reader = Reader::default();
        let configured = dial.as_ref().is_some_and(|dial| matches!(dial.place, Place::Configured(_)));
        let dial = dial.map(|dial| dial.id);
        Self { registry, link, session, reader, dial, configured, observed, introduced: None, closed: false }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.session.poll_timeout().map(|due| self.registry.instant(due))
    }

    /// The connection is there: says what is to be said first.
    pub(crate) fn start(&mut self, broker: &mut impl Broker) {
        self.act(broker);
    }

    /// Takes operations off the front of `input`. Returns how many bytes they were, and how many bytes there must be
    /// before it is worth calling again.
    pub(crate) fn handle_input(&mut self, input: &[u8], broker: &mut impl Broker) -> (usize, usize) {
        let mut taken = 0;
        while !self.closed {
            match self.reader.read(&input[taken..]) {
                Ok(Read::Op(op, len)) => {
                    taken += len;
                    broker.trace(&op);
                    self.handle_op(op, broker);
                }
                // Before a peer is admitted it cannot make us keep more than a line.
                Ok(Read::Need(need)) if self.session.is_open() || need <= MAX_CONTROL_LINE + 1 => {
                    return (taken, need);
                }
                Ok(Read::Need(_)) => self.violation("message before set-up is over", None, broker),
                Err(error) => self.violation(&error.to_string(), error.told(), broker),
            }
        }
        (input.len(), 1)
    }

    fn handle_op(&mut self, op: Op<'_>, broker: &mut impl Broker) {
        if !self.session.is_open() && matches!(op, Op::Message(_) | Op::Subscribe(_) | Op::Unsubscribe(_)) {
            self.session.handle_traffic();
            self.act(broker);
            if !self.session.is_open() {
                return;
            }
        }
        match op {
            Op::Message(message) => return broker.deliver(message),
            Op::Unsubscribe(interest) => return broker.unsubscribe(interest),
            Op::Subscribe(interest) => {
                if let Err(reason) = broker.subscribe(interest) {
                    self.session.close(reason, None);
                }
            }
            Op::Info(json) => self.session.handle_info(json),
            Op::Connect(json) => self.session.handle_connect(json),
            Op::Ping => self.session.handle_ping(),
            Op::Pong => self.session.handle_pong(self.registry.now()),
            Op::Error(text) => self.session.handle_error(text),
            Op::Ignored => return,
        }
        self.act(broker);
    }

    /// The cluster has decided something about this route.
    pub(crate) fn handle_command(&mut self, command: Command, broker: &mut impl Broker) {
        self.obey(command);
        self.act(broker);
    }

    /// [`timeout`](Self::timeout) has come.
    pub(crate) fn handle_timeout(&mut self, broker: &mut impl Broker) {
        self.session.handle_timeout(self.registry.now());
        self.act(broker);
    }

    fn violation(&mut self, what: &str, told: Option<&str>, broker: &mut impl Broker) {
        log::error!("{} - closed: {what}", self.describe());
        self.session.close(CloseReason::ProtocolViolation, told);
        self.act(broker);
    }

    fn describe(&self) -> String {
        let peer = self.introduced.as_ref().map_or("peer not known yet", |peer| &peer.info.server_name);
        format!("{} - rid:{} - {peer}", self.observed.as_deref().unwrap_or("SCION"), self.link.0)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Greet => self.session.greet(&self.registry.info(), self.registry.now()),
            Command::Open => self.session.open(self.registry.now(), fastrand::f64()),
            Command::Close(reason, text) => self.session.close(reason, text.as_deref()),
            Command::Probe => self.session.probe(self.registry.now()),
            Command::Tell(info) => self.session.tell(&info),
        }
    }

    /// Does all that the session wants done.
    fn act(&mut self, broker: &mut impl Broker) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Send(bytes) => broker.send(&bytes),
                Action::CheckCluster(connect) => {
                    self.drive(|cluster, link, now| cluster.handle_connect(link, &connect, now));
                }
                Action::Introduce(peer) => self.introduce(peer),
                Action::Open => {
                    if let Some(peer) = &self.introduced {
                        broker.open(peer, self.configured);
                    }
                }
                Action::Confirmed => self.drive(|cluster, link, now| cluster.handle_confirmed(link, now)),
                Action::Update(info) => self.drive(|cluster, link, _| cluster.handle_update(link, info)),
                Action::Gossip(info) => self.drive(|cluster, _, now| cluster.handle_gossip(&info, now)),
                Action::Rtt(rtt) => broker.measured(rtt),
                Action::Close(reason) => {
                    self.closed = true;
                    broker.close(reason);
                }
            }
        }
    }

    fn introduce(&mut self, peer: Introduction) {
        self.reader = Reader::new(matches!(peer.slot, Slot::Account(_)));
        self.introduced = Some(peer.clone());
        let dial = self.dial.take();
        let observed = self.observed.clone();
        self.drive(|cluster, link, now| cluster.handle_introduction(link, dial, peer, observed.as_deref(), now));
    }

    fn drive(&mut self, know: impl FnOnce(&mut natsd_core::route::cluster::Cluster, LinkId, Duration)) {
        let link = self.link;
        for command in self.registry.drive(Some(link), |cluster, now| know(cluster, link, now)) {
            self.obey(command);
        }
    }
}

impl Drop for RouteProtocol {
    /// Whatever ends the task of a route, the cluster learns that the route is gone.
    fn drop(&mut self) {
        if let Some(dial) = self.dial.take() {
            self.registry.drive(None, |cluster, now| cluster.handle_dial_failed(dial, true, now));
        }
        self.registry.leave(self.link);
    }
}

#[cfg(test)]
mod tests {
    use natsd_core::route::cluster::{Cluster, Config};
    use natsd_core::route::hello::RouteInfo;
    use tokio::sync::mpsc;

    use super::*;

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

        fn measured(&mut self, _rtt: Duration) {
            self.log.push("measured".into());
        }

        fn close(&mut self, reason: CloseReason) {
            self.log.push(format!("close {reason}"));
        }
    }

    fn registry(name: &str, routes: usize) -> Arc<Registry> {
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
            dedicated: Vec::new(),
            shared: Vec::new(),
            advertise: true,
            connect_retries: 0,
            connect_backoff: false,
            seed: 1,
        };
        Arc::new(Registry::new(|now| Cluster::new(config, now)))
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
}
