//! One end of a leaf connection: what the session wants done, and what the other end says.

mod compression;
mod renewal;
mod rest;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use natsd_core::compression::{Agreement, Mode, Status};
use natsd_core::connect::Credentials;
use natsd_core::error::{ClientError, CloseReason};
use natsd_core::leaf::hello::{LeafConnect, LeafInfo};
use natsd_core::leaf::session::{Action, SAME_CLUSTER, Session, TOO_OLD};
use natsd_core::leaf::wire::{MAX_CONTROL_LINE, Op, Read, read};
use tokio::sync::oneshot;

use super::admission::{Admitted, Stranger, judge};
use super::broker::{Broker, Refused};
use super::remote::Remote;
use super::{Shared, credentials, trace};
use crate::config::options::LeafUrl;
use crate::link::batch::Batch;
use crate::link::outbound::{Outbound, Sink};
use crate::link::task::{LinkTask, Protocol, Source};
use crate::link::{self, Kind, Link};
use crate::server::listener::Listener;
use crate::tls::Facts;
use crate::transport::{Connection, Peer};
use rest::End;
pub(super) use rest::Rest;

/// How long a hub is left alone that two leaf connections make a loop with, that has our cluster's name, or that we sent
/// what we may not.
const LONG_PAUSE: Duration = Duration::from_secs(30);
/// The same of one for which we are too old.
const OLD_PAUSE: Duration = Duration::from_secs(5);

/// How a connection came about.
pub(super) enum Start {
    /// A leaf node came to us; `greeted` if it has had our `INFO`.
    Accepted { nonce: String, greeted: bool, tls: Option<Box<Facts>>, compression: Mode },
    /// We came to a hub. `ended` is told when to try again.
    Dialled { remote: Arc<Remote>, url: Box<LeafUrl>, ended: oneshot::Sender<Rest> },
}

/// The two directions of a connection, who is at the other end, and where it came in if that was not the port for leaf nodes.
pub(super) struct Ends {
    pub(super) source: Source,
    pub(super) sink: Sink,
    pub(super) peer: Peer,
    pub(super) listener: Option<Arc<Listener>>,
}

impl From<Connection> for Ends {
    fn from(Connection { stream, peer, .. }: Connection) -> Self {
        let (source, sink) = Source::split(stream);
        Self { source, sink, peer, listener: None }
    }
}

/// What the task of a leaf connection runs.
pub(super) struct LeafLink {
    shared: Arc<Shared>,
    link: Arc<Link>,
    session: Session,
    role: Role,
    /// Who is being decided on.
    judged: Option<Judged>,
    /// When what says who it is no longer holds.
    expires: Option<(Instant, ClientError)>,
    /// The options that it obeys.
    epoch: u64,
    broker: Option<Broker>,
    /// What comes after what was handled last is compressed.
    compressed: bool,
    closed: bool,
}

enum Role {
    Acceptor { nonce: String },
    Dialer { remote: Arc<Remote>, url: Box<LeafUrl>, hub: Option<Box<LeafInfo>>, end: End },
}

struct Judged {
    connect: LeafConnect,
    verdict: Pin<Box<dyn Future<Output = Result<Admitted, CloseReason>> + Send>>,
}

impl LeafLink {
    /// Serves a connection, of which `unread` has been read already.
    pub(super) fn spawn(shared: &Arc<Shared>, id: u64, ends: Ends, start: Start, unread: Vec<u8>) -> Arc<Link> {
        let hub = &shared.hub;
        let Ends { source, sink, peer, listener } = ends;
        let limits = hub.outbound_limits(Kind::Leaf);
        let link = Arc::new(Link::new(id, Kind::Leaf, peer, listener, Outbound::new(sink), limits));
        hub.register(&link);
        let (session, role) = match start {
            Start::Accepted { nonce, greeted, tls, compression } => {
                log::info!("{} - Leafnode connection created", link.describe());
                if let Some(facts) = tls {
                    let _ = link.tls.set(facts);
                }
                let timing = shared.timing(shared.options.load().auth_timeout);
                let info = (!greeted).then(|| shared.first_info(id, &nonce, &compression));
                let session = Session::acceptor(info.as_ref(), timing, shared.now());
                (session.with_compression(compression), Role::Acceptor { nonce })
            }
            Start::Dialled { remote, url, ended } => {
                let account = remote.options.account_name();
                log::info!("{} - Leafnode connection created for account: {account}", link.describe());
                let timing = shared.timing(remote.options.first_info_timeout);
                let end = End { rest: Rest::default(), told: Some(ended) };
                let session = Session::dialer(timing, shared.now());
                let session = session.with_compression(compression_over(&url, &remote));
                (session, Role::Dialer { remote, url, hub: None, end })
            }
        };
        let this = Self {
            shared: shared.clone(),
            link: link.clone(),
            session,
            role,
            judged: None,
            expires: None,
            epoch: hub.epoch(),
            broker: None,
            compressed: false,
            closed: false,
        };
        tokio::spawn(LinkTask::new(link.clone(), hub.clone(), this, source, limits).with_unread(unread));
        link
    }

    fn handle_op(&mut self, op: Op<'_>, batch: &mut Batch) {
        let is_traffic = matches!(op, Op::Message(_) | Op::Subscribe(_) | Op::Unsubscribe(_));
        if is_traffic && !self.session.is_open() {
            self.session.handle_early_traffic();
            return self.act(batch);
        }
        match (op, &mut self.broker) {
            (Op::Message(message), Some(broker)) => match broker.deliver(&message, batch) {
                Ok(()) => return,
                Err(refused) => self.refuse(refused),
            },
            (Op::Subscribe(interest), Some(broker)) => {
                batch.act();
                match broker.subscribe(&interest) {
                    Ok(()) => return,
                    Err(refused) => self.refuse(refused),
                }
            }
            (Op::Unsubscribe(interest), Some(broker)) => {
                batch.act();
                return broker.unsubscribe(&interest);
            }
            (Op::Info(json), _) => self.session.handle_info(json, self.shared.now_and_jitter()),
            (Op::Connect(json), _) => self.session.handle_connect(json),
            (Op::Ping, _) => self.session.handle_ping(),
            (Op::Pong, _) => self.session.handle_pong(self.shared.now()),
            (Op::Error(text), _) => self.handle_error(text),
            _ => return,
        }
        self.act(batch);
    }

    /// The other end did what it may not.
    fn refuse(&mut self, refused: Refused) {
        let who = self.link.describe();
        let text = match refused {
            Refused::Loop => return self.close_loop(true),
            Refused::Publish(subject) => {
                log::error!("{who} - Publish Violation on {subject:?} - Check other side configuration");
                format!("Permissions Violation for Publish to {subject:?}")
            }
            Refused::Subscribe(subject) => {
                log::error!("{who} - Subscription Violation on {subject:?} - Check other side configuration");
                format!("Permissions Violation for Subscription to {subject:?}")
            }
            Refused::TooMany => {
                log::error!("{who} - maximum subscriptions exceeded");
                "maximum subscriptions exceeded".to_owned()
            }
        };
        self.pause(LONG_PAUSE);
        self.session.close(CloseReason::ProtocolViolation, Some(&text));
    }

    /// What this server tells comes back to it.
    fn close_loop(&mut self, tell: bool) {
        self.pause(LONG_PAUSE);
        let account = match (&self.broker, &self.role) {
            (Some(broker), _) => broker.account.display_name(),
            (None, Role::Dialer { remote, .. }) => remote.options.account_name().to_owned(),
            (None, Role::Acceptor { .. }) => String::new(),
        };
        let text = format!("Loop detected for leafnode account={account:?}. Delaying attempt to reconnect for 30s");
        log::error!("{} - {text}", self.link.describe());
        self.session.close(CloseReason::ProtocolViolation, tell.then_some(&*text));
    }

    fn handle_error(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(&text[..text.len().min(256)]).into_owned();
        let who = self.link.describe();
        log::error!("{who} - Leafnode Error '{}'", text.escape_debug());
        if text.contains(SAME_CLUSTER) {
            self.pause(LONG_PAUSE);
            log::error!(
                "{who} - Leafnode connection dropped with same cluster name error. Delaying attempt to reconnect for 30s"
            );
        } else if text.contains(TOO_OLD) {
            self.pause(OLD_PAUSE);
            log::error!(
                "{who} - Leafnode connection dropped due to minimum version requirement. Delaying attempt to reconnect for 5s"
            );
        } else if text.contains("Loop detected") {
            return self.close_loop(false);
        } else if text.starts_with("Permissions Violation") {
            self.pause(LONG_PAUSE);
        }
        self.session.close(CloseReason::ProtocolViolation, None);
    }

    fn pause(&mut self, pause: Duration) {
        if let Role::Dialer { end, .. } = &mut self.role {
            end.rest.pause = pause;
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
                Action::Compress => self.compress(),
                Action::Agreed(agreement) => {
                    self.compressed = !matches!(agreement, Agreement::Plain(_));
                    self.link.agree_on_compression(agreement, self.session.compression());
                }
                Action::Judge(connect) => self.begin_judging(*connect),
                Action::Greet(info) => self.greet(info),
                Action::Update(info) => self.update(info),
                Action::Open => self.open(),
                Action::Rtt(rtt) => {
                    self.link.rtt.store((rtt.as_nanos() as u64).max(1), Relaxed);
                    self.adjust_compression(rtt);
                }
                Action::Close(reason) => {
                    if reason == CloseReason::WrongPort && matches!(self.role, Role::Dialer { .. }) {
                        log::error!("{} - attempted to connect to wrong port", self.link.describe());
                    }
                    self.closed = true;
                    self.link.close(reason);
                }
            }
        }
    }

    fn begin_judging(&mut self, connect: LeafConnect) {
        let Role::Acceptor { nonce } = &self.role else { return };
        let stranger = Stranger::new(&self.link, &connect, nonce);
        self.link.anonymous.store(stranger.given == Credentials::default(), Relaxed);
        // Before it is looked at: what comes meanwhile is seen to when it is in.
        self.epoch = self.shared.hub.epoch();
        let verdict = Box::pin(judge(self.shared.clone(), stranger));
        self.judged = Some(Judged { connect, verdict });
    }

    /// Looks whether it is known who the leaf node is.
    fn poll_verdict(&mut self, cx: &mut Context<'_>, batch: &mut Batch) {
        let Some(judged) = self.judged.as_mut().filter(|_| !self.closed) else { return };
        let Poll::Ready(admitted) = judged.verdict.as_mut().poll(cx) else { return };
        if let Some(Judged { connect, .. }) = self.judged.take() {
            self.decide(&connect, admitted);
            self.act(batch);
        }
    }

    /// It is known who the leaf node is.
    fn decide(&mut self, connect: &LeafConnect, admitted: Result<Admitted, CloseReason>) {
        let who = self.link.describe();
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(reason) => {
                let about = if connect.user.is_empty() { String::new() } else { format!(" - User {:?}", connect.user) };
                log::error!("{who} - authentication error{about}");
                return self.session.close(reason, Some("Authorization Violation"));
            }
        };
        self.expires = renewal::end_of(&admitted);
        self.link.decided.store(admitted.decided.is_some(), Relaxed);
        let permissions = admitted.user.as_ref().and_then(|user| user.permissions.clone());
        let info = self.shared.welcome(self.link.id, &admitted.account, permissions.as_deref());
        let (broker, room) = Broker::hub(&self.shared, &self.link, admitted, connect);
        self.broker = Some(broker);
        if !room {
            let text = "maximum account active connections exceeded";
            log::error!("{who} - {text}");
            return self.session.close(CloseReason::MaxAccountConnections, Some(text));
        }
        let (cluster, min) = (self.shared.cluster(), self.shared.options.load().min_version.clone());
        if let Some(problem) =
            self.session.admit(connect, &cluster, min.as_deref(), &info, self.shared.now_and_jitter())
        {
            log::error!("{who} - {problem}");
        }
    }

    /// The hub has said the first word: says who we are.
    fn greet(&mut self, info: Box<LeafInfo>) {
        let Role::Dialer { remote, url, hub, .. } = &mut self.role else { return };
        let mut connect = self.shared.introduction(remote, &info);
        connect.compression = match self.link.compression() {
            Status::Unsupported => String::new(),
            agreed => agreed.name().into(),
        };
        if let Err(problem) = credentials::introduce(&remote.options, url, &info.nonce, &mut connect) {
            log::error!("{} - {problem}", self.link.describe());
            return self.session.close(CloseReason::AuthenticationFailure, None);
        }
        remote.discover(&info);
        *hub = Some(info);
        self.session.greet(&connect, self.shared.now_and_jitter());
    }

    /// The hub says something new of itself, or how it took us.
    fn update(&mut self, info: Box<LeafInfo>) {
        let Role::Dialer { remote, hub, .. } = &mut self.role else { return };
        remote.discover(&info);
        let rules = (info.import.is_some() || info.export.is_some()).then(|| remote.rules(&info));
        if let (Some(broker), Some(rules)) = (&self.broker, rules) {
            return broker.adopt_rules(rules);
        }
        if let Some(known) = hub {
            known.remote_account.clone_from(&info.remote_account);
            (known.import, known.export) = (info.import, info.export);
        }
    }

    fn open(&mut self) {
        if let Role::Dialer { remote, hub: Some(info), .. } = &self.role {
            let Some((broker, room)) = Broker::leaf(&self.shared, &self.link, remote, info) else {
                log::error!(
                    "{} - Unable to lookup account {} for solicited leafnode connection",
                    self.link.describe(),
                    remote.options.account_name()
                );
                return self.session.close(CloseReason::MissingAccount, None);
            };
            self.broker = Some(broker);
            if !room {
                let text = "maximum account active connections exceeded";
                return self.session.close(CloseReason::MaxAccountConnections, Some(text));
            }
            if self.broker.as_ref().is_some_and(Broker::is_hub_of_hub) {
                return self.close_loop(true);
            }
        }
        if let Some(Err(first)) = self.broker.as_mut().map(Broker::open) {
            self.stand_by(&first);
        }
    }

    /// The hub's cluster is reached by another remote: this one is for when that is gone.
    fn stand_by(&mut self, first: &Link) {
        let (who, other) = (self.link.describe(), first.describe());
        let cluster = self.link.leaf.get().map(|peer| String::from_utf8_lossy(&peer.cluster).into_owned());
        log::warn!("{who} - Leafnode connection waits: {other} leads to {:?} already", cluster.unwrap_or_default());
        if let Role::Dialer { end, .. } = &mut self.role {
            end.rest.while_open = Some(first.id);
        }
        self.session.close(CloseReason::DuplicateLeaf, None);
    }
}

/// Over WebSocket there is none; see [`serve_websocket`](super::accept::serve_websocket).
fn compression_over(url: &LeafUrl, remote: &Remote) -> Mode {
    if url.websocket { Mode::Off } else { remote.options.compression.clone() }
}

impl Protocol for LeafLink {
    fn start(&mut self, batch: &mut Batch) {
        self.act(batch);
    }

    fn handle_input(&mut self, input: &[u8], batch: &mut Batch) -> (usize, usize) {
        let mut taken = 0;
        while !self.closed {
            if self.session.holds_input() || self.compressed {
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
        let due = self.session.poll_timeout().map(|due| self.shared.started + due);
        let expires = self.expires.as_ref().filter(|_| !self.closed).map(|(at, _)| *at);
        due.into_iter().chain(expires).min()
    }

    fn handle_timeout(&mut self, now: Instant, batch: &mut Batch) {
        if let Some((_, error)) = self.expires.take_if(|(at, _)| *at <= now) {
            log::debug!("{} - {error}", self.link.describe());
            self.session.close(CloseReason::AuthenticationExpired, Some(&error.to_string()));
        }
        self.session.handle_timeout(self.shared.now());
        self.act(batch);
    }

    fn holds_input(&self) -> bool {
        self.judged.is_some() && !self.closed
    }

    fn begins_compression(&mut self) -> bool {
        std::mem::take(&mut self.compressed)
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, batch: &mut Batch) {
        self.poll_verdict(cx, batch);
        if self.epoch != self.shared.hub.epoch() && self.session.is_open() {
            self.renew(batch);
            self.act(batch);
        }
    }

    fn unwind(&mut self) -> bool {
        if self.broker.as_mut().is_some_and(|broker| !broker.unwind()) {
            return false;
        }
        self.judged = None;
        if let Some(reason) = self.shared.hub.deregister(&self.link, 0) {
            let remote = self.link.leaf.get().map(|peer| format!(" - Remote: {}", peer.name)).unwrap_or_default();
            log::info!("{} - Leafnode connection closed: {reason}{remote}", self.link.describe());
        }
        true
    }
}

impl LeafLink {
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

impl Drop for LeafLink {
    /// The runtime may drop the task at shutdown: the connection is gone all the same.
    fn drop(&mut self) {
        self.link.close(CloseReason::ServerShutdown);
        self.link.outbound().hang_up();
        while !self.unwind() {}
    }
}
