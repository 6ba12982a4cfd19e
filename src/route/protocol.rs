//! What one route does with what it reads, free of IO: [`RouteProtocol`] is fed bytes, commands and the time, and acts on a
//! [`Broker`].

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use natsd_auth::CertificateNames;
use natsd_core::compression::{Agreement, Level, Mode};
use natsd_core::route::CloseReason;
use natsd_core::route::cluster::{Dial, DialId, LinkId, Place};
use natsd_core::route::dag::wire as dag;
use natsd_core::route::hello::{RouteConnect, RouteInfo, Secret};
use natsd_core::route::session::{Action, Dialer, Introduction, Session, Slot, Timing};
use natsd_core::route::spread;
use natsd_core::route::wire::{Interest, MAX_CONTROL_LINE, Message, Op, Read, Reader};

use super::gate::{Outcome, Shown, Verdict};
use super::registry::{Clock, Command, Registry};

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
    /// What servers say to each other that pass things on: which servers there are, interest, messages.
    fn hear(&mut self, op: dag::Op<'_>) -> Result<(), CloseReason>;
    /// What keeps messages in order that several connections share out.
    fn hear_of_order(&mut self, op: spread::Op) -> Result<(), CloseReason>;
    /// The peer heeds other interest now: tell it all that there is once more.
    fn retell(&mut self, peer: &Introduction);
    /// Other subjects may pass: forget interest that is not to be heeded any more.
    fn renew(&mut self);
    /// The peer tells of another cluster.
    fn hear_of_cluster(&mut self, info: &RouteInfo);
    /// The round-trip time was measured.
    fn measured(&mut self, rtt: Duration);
    /// This is agreed on with the peer, of which we want the mode: what is sent from now on is compressed, or is not.
    fn agreed(&mut self, agreement: Agreement, mode: &Mode);
    /// If anything is compressed, it is with this level from now on.
    fn set_level(&mut self, level: Level);
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
    /// What a peer that came to us has shown.
    shown: Option<Shown>,
    /// Who its certificate says that it is, where that decides.
    names: Option<Arc<CertificateNames>>,
    checking: Option<Checking>,
    /// What comes after what was handled last is compressed.
    compressed: bool,
    closed: bool,
}

/// A password that is being compared.
struct Checking {
    outcome: Outcome,
    /// What the peer said with it; `None` if that was a while ago.
    connect: Option<RouteConnect>,
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
        let session = session.with_compression((**registry.compression.load()).clone());
        Self::new(registry, link, session, None, observed)
    }

    /// The certificate of the peer that came has these names.
    pub(crate) fn with_names(mut self, names: Option<Arc<CertificateNames>>) -> Self {
        self.names = names;
        self
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
        let reserved = matches!(dial.place, Place::Told(_));
        let dialer = Dialer { slot: dial.slot.clone(), credentials, reserved, gossip_mode: dial.gossip_mode };
        let session = Session::dialer(dialer, timing, registry.now());
        let session = session.with_compression((**registry.compression.load()).clone());
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
        Self {
            registry,
            link,
            session,
            reader,
            dial,
            configured,
            observed,
            introduced: None,
            shown: None,
            names: None,
            checking: None,
            compressed: false,
            closed: false,
        }
    }

    /// The clock of the cluster.
    pub(crate) fn clock(&self) -> Clock {
        self.registry.clock()
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
            if self.is_checking() || self.compressed {
                return (taken, 1);
            }
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
        if !self.session.is_open() && is_traffic(&op) {
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
            Op::Dag(op) => match broker.hear(op) {
                Ok(()) => return,
                Err(reason) => self.session.close(reason, None),
            },
            Op::Spread(op) => match broker.hear_of_order(op) {
                Ok(()) => return,
                Err(reason) => self.session.close(reason, None),
            },
            Op::Info(json) => self.session.handle_info(json),
            Op::Connect(json) => self.session.handle_connect(json),
            Op::Ping => self.session.handle_ping(),
            Op::Pong => self.session.handle_pong(self.registry.now()),
            Op::Error(text) => {
                let said = String::from_utf8_lossy(&text[..text.len().min(256)]).escape_debug().to_string();
                log::error!("{} - Route Error {said}", self.describe());
                self.session.handle_error(text);
            }
            Op::Ignored => return,
        }
        self.act(broker);
    }

    /// The cluster has decided something about this route.
    pub(crate) fn handle_command(&mut self, command: Command, broker: &mut impl Broker) {
        if matches!(command, Command::Renew) {
            broker.renew();
        }
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
            Command::Renew => {
                let connect = self.checking.take().and_then(|checking| checking.connect);
                self.authenticate(connect);
            }
        }
    }

    /// Does all that the session wants done.
    fn act(&mut self, broker: &mut impl Broker) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Send(bytes) => broker.send(&bytes),
                Action::Authenticate(connect) => {
                    self.shown = Some(Shown {
                        user: connect.user.clone().unwrap_or_default(),
                        password: connect.password.clone().unwrap_or(Secret(String::new())),
                        token: connect.token.clone(),
                        names: self.names.clone(),
                    });
                    self.authenticate(Some(connect));
                }
                Action::CheckCluster(connect) => {
                    self.drive(|cluster, link, now| cluster.handle_connect(link, &connect, now));
                }
                Action::Compress => self.session.compress(&self.registry.info()),
                Action::Agreed(agreement) => {
                    self.compressed = !matches!(agreement, Agreement::Plain(_));
                    broker.agreed(agreement, &self.registry.compression.load());
                }
                Action::Introduce(peer) => self.introduce(peer),
                Action::Open => {
                    if let Some(peer) = &self.introduced {
                        broker.open(peer, self.configured);
                    }
                }
                Action::Confirmed => self.drive(|cluster, link, now| cluster.handle_confirmed(link, now)),
                Action::Update(info) => self.update(info, broker),
                Action::Gossip(info) if !info.gateway.is_empty() => broker.hear_of_cluster(&info),
                Action::Gossip(info) => self.drive(|cluster, _, now| cluster.handle_gossip(&info, now)),
                Action::Rtt(rtt) => {
                    broker.measured(rtt);
                    self.drive(|cluster, link, _| cluster.handle_alive(link));
                    if let Some(level) = self.registry.compression.load().level_at(rtt) {
                        broker.set_level(level);
                    }
                }
                Action::Close(reason) => {
                    self.closed = true;
                    broker.close(reason);
                }
            }
        }
    }

    /// Lets a peer in, or lets it stay, that has the right user and password; now or when that is known.
    fn authenticate(&mut self, connect: Option<RouteConnect>) {
        let Some(shown) = &self.shown else { return };
        match (self.registry.gate.judge(shown), connect) {
            (Verdict::Later(outcome), connect) => self.checking = Some(Checking { outcome, connect }),
            (Verdict::Refused, _) => self.refuse(),
            (Verdict::Admitted, Some(connect)) => self.session.admit(connect),
            (Verdict::Admitted, None) => {}
        }
    }

    /// Whether what comes after what was handled last is compressed. Says so once.
    pub(crate) fn begins_compression(&mut self) -> bool {
        std::mem::take(&mut self.compressed)
    }

    fn refuse(&mut self) {
        let nameless = self.registry.gate.wants_token();
        let user = self.shown.as_ref().map(|shown| &shown.user).filter(|user| !user.is_empty() && !nameless);
        let about = user.map(|user| format!(" - User {user:?}")).unwrap_or_default();
        log::error!("{} - authentication error{about}", self.describe());
        self.session.close(CloseReason::Unauthorized, Some("Authorization Violation"));
    }

    /// Whether a password is being compared, and what the peer says has to wait.
    pub(crate) fn is_checking(&self) -> bool {
        self.checking.is_some()
    }

    /// Looks whether the password has been compared.
    pub(crate) fn poll_check(&mut self, cx: &mut Context<'_>, broker: &mut impl Broker) {
        let Some(checking) = &mut self.checking else { return };
        let Poll::Ready(right) = checking.outcome.as_mut().poll(cx) else { return };
        let connect = self.checking.take().and_then(|checking| checking.connect);
        match connect {
            _ if !right => self.refuse(),
            Some(connect) => self.session.admit(connect),
            None => {}
        }
        self.act(broker);
    }

    /// The peer says something new of itself.
    fn update(&mut self, info: RouteInfo, broker: &mut impl Broker) {
        if let Some(peer) = self.introduced.as_mut().filter(|_| !info.lame_duck) {
            let rules = (info.import.clone(), info.export.clone());
            if (&peer.info.import, &peer.info.export) != (&rules.0, &rules.1) {
                (peer.info.import, peer.info.export) = rules;
                broker.retell(peer);
            }
        }
        self.drive(|cluster, link, _| cluster.handle_update(link, info));
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

/// Whether only a peer that is admitted says that.
fn is_traffic(op: &Op<'_>) -> bool {
    matches!(op, Op::Message(_) | Op::Subscribe(_) | Op::Unsubscribe(_) | Op::Dag(_) | Op::Spread(_))
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
mod tests;
