//! One end of a connection between clusters: what the session wants done, and what the other end says.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use natsd_auth::CertificateNames;
use natsd_core::error::CloseReason;
use natsd_core::gateway::hello::{GatewayConnect, GatewayInfo};
use natsd_core::gateway::session::{Action, Session};
use natsd_core::gateway::wire::{MAX_CONTROL_LINE, Op, Read, read};
use natsd_core::route::hello::Secret;
use tokio::sync::oneshot;

use super::inbound::Inbound;
use super::outbound::Outbound;
use super::remotes::Remote;
use super::{DIALLED_HANDSHAKE, GatewayPeer, Shared, trace};
use crate::config::options::RouteUrl;
use crate::link::batch::Batch;
use crate::link::outbound::Outbound as Out;
use crate::link::task::{LinkTask, Protocol, Source};
use crate::link::{self, Kind, Link};
use crate::route::gate::{Outcome, Shown, Verdict};
use crate::tls::Facts;
use crate::transport::{Connection, Peer};

/// How a connection came about.
pub(super) enum Start {
    /// A server of another cluster came to us, perhaps over TLS.
    Accepted { tls: Option<Box<Facts>> },
    /// We came to one.
    Dialled { remote: Arc<Remote>, url: Box<RouteUrl>, end: End },
}

/// Tells the one who dials that the connection is over, when it is dropped.
pub(super) struct End {
    told: Option<oneshot::Sender<()>>,
}

impl End {
    pub(super) fn new(told: oneshot::Sender<()>) -> Self {
        Self { told: Some(told) }
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            // Nobody dials any more when the server ends.
            let _ = told.send(());
        }
    }
}

/// What the task of a connection runs.
pub(super) struct GatewayLink {
    shared: Arc<Shared>,
    link: Arc<Link>,
    session: Session,
    role: Role,
    closed: bool,
}

enum Role {
    Acceptor { names: Option<Arc<CertificateNames>>, judged: Option<(String, Outcome)>, inbound: Option<Inbound> },
    Dialer { remote: Arc<Remote>, url: Box<RouteUrl>, outbound: Option<Outbound>, _end: End },
}

impl GatewayLink {
    /// Serves a connection.
    pub(super) fn spawn(shared: &Arc<Shared>, connection: Connection, start: Start) {
        let hub = &shared.hub;
        let Connection { stream, peer, .. } = connection;
        let facts = match (&start, peer) {
            (Start::Accepted { .. }, _) => None,
            // What QUIC speaks; it does not tell the cipher suite.
            (Start::Dialled { .. }, Peer::Scion(_) | Peer::Udp(_)) => Some(Facts::of_certificates(&[], false)),
            (Start::Dialled { .. }, Peer::Tcp(_)) => Facts::of_dialled(&stream),
        };
        let (source, sink) = Source::split(stream);
        let limits = hub.outbound_limits(Kind::Gateway);
        let link = Arc::new(Link::new(hub.next_id(), Kind::Gateway, peer, None, Out::new(sink), limits));
        hub.register(&link);
        let (session, role) = match start {
            Start::Accepted { tls } => {
                let names = tls.as_ref().and_then(|facts| facts.names.clone());
                if let Some(facts) = tls {
                    let _ = link.tls.set(facts);
                }
                log::info!("{} - Processing inbound gateway connection", link.describe());
                let timing = shared.timing(shared.options.auth_timeout);
                let role = Role::Acceptor { names, judged: None, inbound: None };
                (Session::acceptor(&shared.info(), timing, shared.now()), role)
            }
            Start::Dialled { remote, url, end } => {
                log::info!("{} - Creating outbound gateway connection to {:?}", link.describe(), remote.name);
                if let Some(facts) = facts {
                    let _ = link.tls.set(Box::new(facts));
                }
                let timing = shared.timing(DIALLED_HANDSHAKE);
                let role = Role::Dialer { remote, url, outbound: None, _end: end };
                (Session::dialer(timing, shared.now()), role)
            }
        };
        let this = Self { shared: shared.clone(), link: link.clone(), session, role, closed: false };
        tokio::spawn(LinkTask::new(link, hub.clone(), this, source, limits));
    }

    fn handle_op(&mut self, op: Op<'_>, batch: &mut Batch) {
        match op {
            Op::Message(_) if !self.session.admits_traffic(true) => {}
            Op::Subscribe(_) | Op::Unsubscribe(_) | Op::Account(_) | Op::NoAccount(_)
                if !self.session.admits_traffic(false) =>
            {
                log::error!("{} - interest on an inbound connection, or too early", self.link.describe());
            }
            Op::Message(message) => {
                if let Role::Acceptor { inbound: Some(inbound), .. } = &mut self.role {
                    inbound.deliver(&message, batch);
                }
                return;
            }
            Op::Subscribe(_) | Op::Unsubscribe(_) | Op::Account(_) | Op::NoAccount(_) => {
                batch.act();
                self.handle_interest(op);
            }
            Op::Info(json) => self.session.handle_info(json),
            Op::Connect(json) => self.session.handle_connect(json),
            Op::Ping => self.session.handle_ping(),
            Op::Pong => self.session.handle_pong(self.shared.now()),
            Op::Error(text) => {
                let said = String::from_utf8_lossy(&text[..text.len().min(256)]).escape_debug().to_string();
                log::error!("{} - Gateway Error '{said}'", self.link.describe());
                self.session.close(CloseReason::ProtocolViolation, None);
            }
            Op::Ignored => return,
        }
        self.act(batch);
    }

    fn handle_interest(&mut self, op: Op<'_>) {
        let Role::Dialer { outbound: Some(outbound), .. } = &mut self.role else { return };
        match op {
            Op::Subscribe(interest) if !outbound.subscribe(&interest) => self.session.violation(),
            Op::Unsubscribe(interest) => outbound.unsubscribe(&interest),
            Op::Account(account) => outbound.say(account, |accounts| accounts.welcome(account)),
            Op::NoAccount(account) => outbound.say(account, |accounts| accounts.forget(account)),
            _ => {}
        }
    }

    /// Does all that the session wants done.
    fn act(&mut self, batch: &mut Batch) {
        while let Some(action) = self.session.poll_action() {
            match action {
                Action::Send(bytes) => {
                    if link::trace::enabled() {
                        self.link.trace_lines_out(&bytes);
                    }
                    self.link.send(batch, |out| out.extend_from_slice(&bytes));
                }
                Action::Judge(connect) => self.judge(&connect),
                Action::Introduce(info) => self.introduce(&info),
                Action::Open => self.open(),
                Action::Update(info) => self.update(&info),
                Action::Gossip(info) => self.shared.hear(&info.gateway, &info.all_urls()),
                Action::AllBegin(account) => self.switch(&account, false),
                Action::AllComplete(account) => self.switch(&account, true),
                Action::Rtt(rtt) => {
                    self.link.rtt.store((rtt.as_nanos() as u64).max(1), Relaxed);
                    if matches!(self.role, Role::Dialer { .. }) {
                        self.shared.hub.gateways.measured();
                    }
                }
                Action::Close(reason) => {
                    self.closed = true;
                    self.link.close(reason);
                }
            }
        }
    }

    /// Somebody comes: with the right password, from a cluster that may come?
    fn judge(&mut self, connect: &GatewayConnect) {
        let Role::Acceptor { names, judged, .. } = &mut self.role else { return };
        let shown = Shown {
            user: connect.user.clone().unwrap_or_default(),
            password: connect.password.clone().unwrap_or(Secret(String::new())),
            token: None,
            names: names.clone(),
        };
        let name = connect.gateway.clone();
        match self.shared.gate.judge(&shown) {
            Verdict::Admitted => self.admit(&name),
            Verdict::Refused => self.refuse(),
            Verdict::Later(outcome) => *judged = Some((name, outcome)),
        }
    }

    /// The password of a server of the cluster `name` is right.
    fn admit(&mut self, name: &str) {
        if name.is_empty() {
            let text = "attempted to connect to gateway port";
            log::error!("{} - {text}", self.link.describe());
            return self.session.close(CloseReason::WrongPort, Some(text));
        }
        if self.shared.options.reject_unknown && self.shared.remotes.get(name).is_none() {
            log::error!("{} - Rejecting connection from gateway {name:?}", self.link.describe());
            let text = format!("Connection to gateway {:?} rejected", self.shared.options.name);
            return self.session.close(CloseReason::WrongGateway, Some(&text));
        }
        self.session.admit();
    }

    fn refuse(&mut self) {
        log::error!("{} - authentication error", self.link.describe());
        self.session.close(CloseReason::AuthenticationFailure, Some("Authorization Violation"));
    }

    /// A server says who it is.
    fn introduce(&mut self, info: &GatewayInfo) {
        let who = self.link.describe();
        let (configured, outbound) = match &self.role {
            Role::Acceptor { .. } => {
                (self.shared.remotes.get(&info.gateway).is_some_and(|it| !it.is_implicit()), false)
            }
            Role::Dialer { remote, .. } => (!remote.is_implicit(), true),
        };
        if let Role::Dialer { remote, .. } = &self.role
            && let Some((reason, text, logged)) = self.misfit(info, remote)
        {
            log::error!("{who} - {logged}");
            return self.session.close(reason, Some(&text));
        }
        if info.gateway.is_empty() || info.gateway == self.shared.options.name && !outbound {
            log::error!("{who} - a server of no other cluster: {:?}", info.gateway);
            return self.session.close(CloseReason::WrongGateway, None);
        }
        if self.shared.is_name_of_ours(&info.server_name) {
            log::error!("{who} - Remote server has a duplicate name: {:?}", info.server_name);
            return self.session.close(CloseReason::DuplicateServerName, None);
        }
        self.link.outbound().takes_headers = info.headers && !self.shared.hub.options().no_header_support;
        let _ = self.link.gateway.set(Box::new(GatewayPeer::new(info, outbound, configured)));
        match &self.role {
            Role::Acceptor { .. } => {
                self.session.open(self.shared.now_and_jitter());
                self.shared.hear(&info.gateway, &info.all_urls());
            }
            Role::Dialer { remote, url, .. } => {
                remote.replace(&info.all_urls());
                let connect = self.shared.connect(url, remote.tls.is_some());
                self.session.greet(&connect, &self.shared.info(), self.shared.now_and_jitter());
            }
        }
    }

    /// Why a server that we dialled is not the one that was wanted: what it is told, and what the log says.
    fn misfit(&self, info: &GatewayInfo, remote: &Remote) -> Option<(CloseReason, String, String)> {
        if info.gateway.is_empty() {
            let text = format!("Attempt to connect to gateway {:?} using wrong port", remote.name);
            return Some((CloseReason::WrongPort, text.clone(), text));
        }
        (info.gateway != remote.name).then(|| {
            let (own, wanted, is) = (&self.shared.options.name, &remote.name, &info.gateway);
            let text = format!("Connection from {own:?} rejected, wanted to connect to {wanted:?}, this is {is:?}");
            let logged = format!("Failing connection to gateway {wanted:?}, remote gateway name is {is:?}");
            (CloseReason::WrongGateway, text, logged)
        })
    }

    fn open(&mut self) {
        let (who, Some(peer)) = (self.link.describe(), self.link.gateway.get()) else { return };
        match &mut self.role {
            Role::Acceptor { inbound, .. } => {
                *inbound = Some(Inbound::open(&self.shared, &self.link));
                self.shared.hub.tell_joined(&self.link);
                log::info!("{who} - Inbound gateway connection from {:?} ({}) registered", peer.name, peer.server_id);
                for remote in self.shared.remotes.all().iter().filter(|remote| remote.name != peer.name) {
                    if let Some(line) = self.shared.gossip(remote, false) {
                        self.link.send_soon(|out| out.extend_from_slice(&line));
                    }
                }
            }
            Role::Dialer { remote, outbound, .. } => {
                *outbound = Outbound::open(&self.shared, &self.link);
                if outbound.is_none() {
                    return self.session.close(CloseReason::WrongGateway, None);
                }
                log::info!("{who} - Outbound gateway connection to {:?} ({}) registered", peer.name, peer.server_id);
                self.shared.hub.tell_joined(&self.link);
                self.shared.tell_servers(remote);
            }
        }
    }

    /// The cluster that we dialled says where its servers are.
    fn update(&self, info: &GatewayInfo) {
        if let Role::Dialer { remote, .. } = &self.role {
            remote.replace(&info.all_urls());
            self.shared.tell_servers(remote);
        }
    }

    /// The cluster that we dialled tells all that it wants in an account.
    fn switch(&self, account: &[u8], complete: bool) {
        let Role::Dialer { remote, outbound: Some(outbound), .. } = &self.role else { return };
        outbound.say(account, |accounts| if complete { accounts.complete(account) } else { accounts.begin(account) });
        let (what, name) = (String::from_utf8_lossy(account), &remote.name);
        let end = if complete { " complete" } else { "" };
        log::debug!("Gateway {name:?}: switching account {what:?} to Interest-Only mode{end}");
    }
}

impl Shared {
    /// `CONNECT` to a server at `url`.
    fn connect(&self, url: &RouteUrl, tls: bool) -> GatewayConnect {
        let (user, password) = match (&url.user, &self.options.login) {
            (Some(user), _) => (Some(user.clone()), url.password.clone().map(Secret)),
            (None, Some(login)) => (Some(login.user.clone()), Some(login.password.clone())),
            (None, None) => (None, None),
        };
        GatewayConnect {
            user,
            password,
            tls_required: tls,
            name: self.hub.identity.id.clone(),
            gateway: self.options.name.clone(),
            ..GatewayConnect::default()
        }
    }
}

impl Protocol for GatewayLink {
    fn start(&mut self, batch: &mut Batch) {
        self.act(batch);
    }

    fn handle_input(&mut self, input: &[u8], batch: &mut Batch) -> (usize, usize) {
        let mut taken = 0;
        while !self.closed {
            if self.session.holds_input() {
                return (taken, 1);
            }
            match read(&input[taken..]) {
                Ok(Read::Op(op, len)) => {
                    taken += len;
                    self.trace(&op);
                    self.handle_op(op, batch);
                }
                // Before the other end is in, it cannot make us keep more than a line.
                Ok(Read::Need(need)) if self.session.is_open() || need <= MAX_CONTROL_LINE + 1 => {
                    return (taken, need);
                }
                Ok(Read::Need(_)) => {
                    self.session.violation();
                    self.act(batch);
                }
                Err(error) => {
                    log::error!("{} - closed: {error}", self.link.describe());
                    self.session.close(CloseReason::ProtocolViolation, error.told());
                    self.act(batch);
                }
            }
        }
        (input.len(), 1)
    }

    fn timeout(&self) -> Option<Instant> {
        self.session.poll_timeout().map(|due: Duration| self.shared.started + due)
    }

    fn handle_timeout(&mut self, _now: Instant, batch: &mut Batch) {
        self.session.handle_timeout(self.shared.now());
        self.act(batch);
    }

    fn holds_input(&self) -> bool {
        !self.closed && self.session.holds_input()
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, batch: &mut Batch) {
        let Role::Acceptor { judged, .. } = &mut self.role else { return };
        let Some((_, outcome)) = judged.as_mut().filter(|_| !self.closed) else { return };
        let Poll::Ready(right) = outcome.as_mut().poll(cx) else { return };
        match judged.take() {
            Some((name, _)) if right => self.admit(&name),
            _ => self.refuse(),
        }
        self.act(batch);
    }

    fn unwind(&mut self) -> bool {
        let done = match &mut self.role {
            Role::Acceptor { inbound, .. } => {
                inbound.take().inspect(Inbound::unwind);
                true
            }
            Role::Dialer { outbound, .. } => outbound.as_mut().is_none_or(Outbound::unwind),
        };
        if done && let Some(reason) = self.shared.hub.deregister(&self.link, 0) {
            let remote =
                self.link.gateway.get().map(|peer| format!(" - Remote: {}", peer.server_name)).unwrap_or_default();
            log::info!("{} - Gateway connection closed: {reason}{remote}", self.link.describe());
        }
        done
    }
}

impl GatewayLink {
    fn trace(&self, op: &Op<'_>) {
        if !link::trace::enabled() {
            return;
        }
        if let Some(operation) = trace::describe(op) {
            self.link.trace_in(&operation);
        }
        if let Op::Message(message) = op {
            self.link.trace_payload_in(message.body, message.header_len);
        }
    }
}

impl Drop for GatewayLink {
    /// The runtime may drop the task at shutdown: the connection is gone all the same.
    fn drop(&mut self) {
        self.link.close(CloseReason::ServerShutdown);
        self.link.outbound().hang_up();
        while !self.unwind() {}
    }
}
