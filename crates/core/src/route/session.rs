//! One route connection: who speaks when, is the peer alive, when is it over.
//!
//! The acceptor sends `INFO` at once. The dialer answers it with `CONNECT`, its own `INFO` and `PING`; the `PONG` tells
//! it that the acceptor kept the connection. Whether a peer is wanted at all is not decided here: the session
//! introduces it ([`Action::Introduce`]), and [`Session::greet`], [`Session::open`] or [`Session::close`] is the answer
//! of the [cluster](super::cluster).

use std::collections::VecDeque;
use std::time::Duration;

use super::CloseReason;
use super::hello::{GossipMode, RouteConnect, RouteInfo, Secret};
use crate::compression::{Agreement, Mode};

/// Which connection between two servers this is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// One of the pool; 0 also for the only one where there is no pool.
    Pool(u16),
    /// Dedicated to one account.
    Account(String),
    /// One of those for messages to the subjects that this pattern matches, of all accounts that share the pool.
    Class(String, u16),
}

impl Slot {
    /// As the dialer's `INFO` names it.
    fn of(info: &RouteInfo) -> Self {
        if !info.route_account.is_empty() {
            Self::Account(info.route_account.clone())
        } else if !info.route_class.is_empty() {
            Self::Class(info.route_class.clone(), info.route_pool_idx)
        } else {
            Self::Pool(info.route_pool_idx)
        }
    }

    /// Says in `info` that the connection for which it is meant is this one.
    fn name_in(&self, info: &mut RouteInfo) {
        match self {
            Self::Pool(index) => info.route_pool_idx = *index,
            Self::Account(account) => info.route_account.clone_from(account),
            Self::Class(pattern, index) => {
                info.route_class.clone_from(pattern);
                info.route_pool_idx = *index;
            }
        }
    }
}

/// Delays of a session.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until the peer must have said who it is.
    pub handshake: Duration,
    /// Until the first ping, which measures the round trip.
    pub first_ping: Duration,
    /// Between pings.
    pub ping_interval: Duration,
    /// Pings that may be unanswered when the next one is due.
    pub ping_max: u32,
}

/// A doubted peer that says nothing for this long, or four round trips if that is longer, is dead: whoever came back in its
/// place waits for that.
pub const PROBE_TIMEOUT: Duration = Duration::from_millis(500);

/// What the dialer of a route knows beforehand.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// Which connection is wanted.
    pub slot: Slot,
    /// User and password of the route's URL, or those of the cluster. A token is a password without a user; in a URL it
    /// looks like a user without a password, and so it is told both ways.
    pub credentials: Option<(String, Secret)>,
    /// The acceptor is not known to be ours: it gets credentials only if its `INFO` asks for them.
    pub reserved: bool,
    /// Told to the acceptor: what it does with our `INFO`.
    pub gossip_mode: GossipMode,
}

/// A peer that has said who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Introduction {
    /// The peer's `INFO`.
    pub info: RouteInfo,
    /// Which connection between it and us this is.
    pub slot: Slot,
    /// Whether we dialled.
    pub solicited: bool,
}

/// What the owner of a session does for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write these bytes.
    Send(Vec<u8>),
    /// See whether this dialer's user and password are right: [`Session::admit`], or [`Session::close`].
    Authenticate(RouteConnect),
    /// Check the cluster's name in a dialer's `CONNECT`; on a conflict, [`Session::close`].
    CheckCluster(RouteConnect),
    /// What follows is compressed, both ways: [`Session::compress`].
    Compress,
    /// This is agreed on. If it is compression, what was to be sent so far still goes as it is, and what was read so far
    /// was not compressed.
    Agreed(Agreement),
    /// Decide on the peer: [`Session::greet`] as dialer, [`Session::open`] as acceptor, or [`Session::close`].
    Introduce(Introduction),
    /// Interest and messages flow from now on; tell the peer all local interest.
    Open,
    /// The acceptor has admitted us: [`Session::open`], or [`Session::close`].
    Confirmed,
    /// The peer says something new of itself.
    Update(RouteInfo),
    /// The peer tells of another server.
    Gossip(RouteInfo),
    /// Round-trip time, measured.
    Rtt(Duration),
    /// The session is over; close the connection once what was sent is written.
    Close(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Acceptor, before `CONNECT`.
    AwaitConnect,
    /// Acceptor, before it is known whether user and password are right.
    Authenticating,
    /// Before the peer's `INFO`.
    AwaitInfo,
    /// Before the cluster's verdict.
    Introduced,
    /// Dialer, before the acceptor's verdict.
    Greeting,
    /// Dialer, before the cluster's second look.
    Confirmed,
    Open,
    Closed,
}

/// State of one route connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    dialer: Option<Dialer>,
    timing: Timing,
    peer_id: String,
    /// The acceptor asks for user and password.
    asked: bool,
    /// Whether we compress.
    mode: Mode,
    agreement: Option<Agreement>,
    /// Dialer, after `CONNECT`.
    connected: bool,
    actions: VecDeque<Action>,
    /// Handshake deadline, then the next ping.
    deadline: Duration,
    probe_deadline: Option<Duration>,
    /// As last measured.
    rtt: Duration,
    pings_out: u32,
    ping_sent: Duration,
}

impl Session {
    /// For a connection that we made.
    pub fn dialer(dialer: Dialer, timing: Timing, now: Duration) -> Self {
        Self::new(State::AwaitInfo, Some(dialer), timing, now)
    }

    /// For a connection made to us. `own` is our `INFO`, sent at once; `None` if it has been sent.
    pub fn acceptor(own: Option<&RouteInfo>, timing: Timing, now: Duration) -> Self {
        let mut session = Self::new(State::AwaitConnect, None, timing, now);
        if let Some(own) = own {
            session.send(own.to_line());
        }
        session
    }

    fn new(state: State, dialer: Option<Dialer>, timing: Timing, now: Duration) -> Self {
        Self {
            state,
            dialer,
            timing,
            peer_id: String::new(),
            asked: false,
            mode: Mode::Off,
            agreement: None,
            connected: false,
            actions: VecDeque::new(),
            deadline: now + timing.handshake,
            probe_deadline: None,
            rtt: Duration::ZERO,
            pings_out: 0,
            ping_sent: now,
        }
    }

    /// Compresses, if the peer agrees.
    pub fn with_compression(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether interest and messages may come.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// What to do next; to be called until `None` after each `handle_*`, `greet`, `open`, `probe` or `close`.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        match self.state {
            State::Closed => None,
            _ => Some(self.probe_deadline.map_or(self.deadline, |probe| probe.min(self.deadline))),
        }
    }

    /// `CONNECT` arrived.
    pub fn handle_connect(&mut self, json: &[u8]) {
        match self.state {
            State::Closed => return,
            State::AwaitConnect => {}
            _ => return self.violation(),
        }
        let Ok(connect) = serde_json::from_slice::<RouteConnect>(json) else { return self.violation() };
        self.state = State::Authenticating;
        self.actions.push_back(Action::Authenticate(connect));
    }

    /// User and password of the dialer are right.
    pub fn admit(&mut self, connect: RouteConnect) {
        if self.state != State::Authenticating {
            return;
        }
        if connect.lang.is_some() {
            return self.close(CloseReason::WrongPort, Some("attempted to connect to route port"));
        }
        if let Some(gateway) = &connect.gateway {
            let text = format!("Rejecting connection from gateway \"{}\" on the Route port", gateway.escape_debug());
            return self.close(CloseReason::WrongPort, Some(&text));
        }
        self.state = State::AwaitInfo;
        self.actions.push_back(Action::CheckCluster(connect));
    }

    /// `INFO` arrived.
    pub fn handle_info(&mut self, json: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        let Ok(info) = serde_json::from_slice::<RouteInfo>(json) else { return self.violation() };
        match self.state {
            State::AwaitInfo if info.server_id.is_empty() => self.violation(),
            State::AwaitInfo => self.negotiate(info),
            State::Greeting | State::Open => {
                self.handle_traffic();
                let update = info.server_id == self.peer_id;
                self.actions.push_back(if update { Action::Update(info) } else { Action::Gossip(info) });
            }
            _ => self.violation(),
        }
    }

    /// The first `INFO` says whether there is to be another, compressed.
    fn negotiate(&mut self, info: RouteInfo) {
        if self.agreement.is_none() {
            match self.mode.agree(&info.compression) {
                Ok(agreement @ Agreement::Plain(_)) => {
                    self.agreement = Some(agreement);
                    self.actions.push_back(Action::Agreed(agreement));
                }
                Ok(agreement) => {
                    self.asked = info.auth_required;
                    self.agreement = Some(agreement);
                    return self.actions.push_back(Action::Compress);
                }
                Err(unknown) => return self.close(CloseReason::ProtocolViolation, Some(&unknown.to_string())),
            }
        }
        self.introduce(info);
    }

    /// Says what was chosen, and compresses from there on. `own` is our `INFO` as of now.
    pub fn compress(&mut self, own: &RouteInfo) {
        let (State::AwaitInfo, Some(agreement)) = (self.state, self.agreement) else { return };
        let Some(dialer) = &self.dialer else {
            self.actions.push_back(Action::Agreed(agreement));
            return self.send(self.told(own).to_line());
        };
        let mut hello = connect(dialer, own, self.asked);
        let mut info = self.told(own);
        if !matches!(dialer.slot, Slot::Pool(_)) {
            dialer.slot.name_in(&mut info);
        }
        hello.extend_from_slice(&info.to_line());
        self.connected = true;
        self.send(hello);
        self.actions.push_back(Action::Agreed(agreement));
    }

    /// Our `INFO`, as it follows that of the peer.
    fn told(&self, own: &RouteInfo) -> RouteInfo {
        let mut info = own.clone();
        if let Some(agreement) = self.agreement.filter(|_| self.mode != Mode::Unsupported) {
            info.compression = agreement.name().into();
        }
        info
    }

    fn introduce(&mut self, info: RouteInfo) {
        self.state = State::Introduced;
        self.peer_id.clone_from(&info.server_id);
        self.asked = info.auth_required;
        let slot = self.dialer.as_ref().map_or_else(|| Slot::of(&info), |dialer| dialer.slot.clone());
        let solicited = self.dialer.is_some();
        self.actions.push_back(Action::Introduce(Introduction { info, slot, solicited }));
    }

    /// The cluster wants the acceptor that was introduced: introduces us. `own` is our `INFO` as of now.
    pub fn greet(&mut self, own: &RouteInfo, now: Duration) {
        if let (State::Introduced, Some(dialer)) = (self.state, &self.dialer) {
            let mut hello = if self.connected { Vec::new() } else { connect(dialer, own, self.asked) };
            hello.extend_from_slice(&introduction(dialer, self.told(own)));
            self.state = State::Greeting;
            self.send(hello);
            self.ping(now);
        }
    }

    /// Both sides want each other. `jitter`, from 0 to 1, spreads the first ping.
    pub fn open(&mut self, now: Duration, jitter: f64) {
        if matches!(self.state, State::Introduced | State::Confirmed) {
            self.state = State::Open;
            self.deadline = now + self.timing.first_ping.mul_f64(1.0 + 0.2 * jitter);
            self.actions.push_back(Action::Open);
        }
    }

    /// Interest, a message or gossip arrived, perhaps before [`is_open`](Self::is_open): from an acceptor that is as good
    /// as a `PONG`.
    pub fn handle_traffic(&mut self) {
        match self.state {
            State::Greeting => self.confirm(),
            State::Open => self.probe_deadline = None,
            State::Closed => {}
            _ => self.violation(),
        }
    }

    fn confirm(&mut self) {
        self.state = State::Confirmed;
        self.actions.push_back(Action::Confirmed);
    }

    /// `PING` arrived.
    pub fn handle_ping(&mut self) {
        match self.state {
            State::Closed => {}
            State::AwaitConnect | State::Authenticating => self.violation(),
            _ => self.send(b"PONG\r\n".to_vec()),
        }
    }

    /// `PONG` arrived.
    pub fn handle_pong(&mut self, now: Duration) {
        if self.state == State::Closed || self.pings_out == 0 {
            return;
        }
        self.pings_out = 0;
        self.probe_deadline = None;
        self.rtt = now.saturating_sub(self.ping_sent);
        self.actions.push_back(Action::Rtt(self.rtt));
        if self.state == State::Greeting {
            self.confirm();
        }
    }

    /// `-ERR` arrived: the peer closes.
    pub fn handle_error(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(&text[..text.len().min(256)]).into_owned();
        self.close(CloseReason::Refused(text), None);
    }

    /// [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.probe_deadline.is_some_and(|probe| now >= probe) {
            return self.close(CloseReason::Stale, Some("Stale Connection"));
        }
        if self.state == State::Closed || now < self.deadline {
            return;
        }
        if self.state != State::Open {
            return self.close(CloseReason::HandshakeTimeout, Some("Authentication Timeout"));
        }
        if self.pings_out > self.timing.ping_max {
            return self.close(CloseReason::Stale, Some("Stale Connection"));
        }
        self.ping(now);
        self.deadline = now + self.timing.ping_interval;
    }

    /// Makes the peer prove within [`PROBE_TIMEOUT`] that it is alive: somebody else claims its place.
    pub fn probe(&mut self, now: Duration) {
        if self.state == State::Open && self.probe_deadline.is_none() {
            self.ping(now);
            self.probe_deadline = Some(now + PROBE_TIMEOUT.max(self.rtt * 4));
        }
    }

    /// Tells the peer of a server, or of a change in our own `INFO`.
    pub fn tell(&mut self, info: &RouteInfo) {
        if self.state == State::Open {
            self.send(info.to_line());
        }
    }

    /// Ends the session; `error` is told to the peer.
    pub fn close(&mut self, reason: CloseReason, error: Option<&str>) {
        if self.state == State::Closed {
            return;
        }
        self.state = State::Closed;
        if let Some(error) = error {
            self.send(format!("-ERR '{error}'\r\n").into_bytes());
        }
        self.actions.push_back(Action::Close(reason));
    }

    /// The peer broke the protocol; closed without a word, as nats-server does.
    pub fn violation(&mut self) {
        self.close(CloseReason::ProtocolViolation, None);
    }

    fn ping(&mut self, now: Duration) {
        self.pings_out += 1;
        self.ping_sent = now;
        self.send(b"PING\r\n".to_vec());
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.actions.push_back(Action::Send(bytes));
    }
}

/// `CONNECT` of the dialer.
fn connect(dialer: &Dialer, own: &RouteInfo, asked: bool) -> Vec<u8> {
    let (user, password) = dialer.credentials.clone().filter(|_| asked || !dialer.reserved).unzip();
    let is_empty = |text: Option<&str>| text.is_none_or(str::is_empty);
    let (user, password, token) = match (is_empty(user.as_deref()), is_empty(password.as_ref().map(|p| &*p.0))) {
        (true, false) => (None, None, password),
        (false, true) => (user.clone(), password, user.map(Secret)),
        _ => (user, password, None),
    };
    RouteConnect {
        echo: true,
        user,
        password,
        token,
        headers: own.headers,
        name: own.server_id.clone(),
        cluster: own.cluster.clone(),
        dynamic: own.dynamic,
        ..RouteConnect::default()
    }
    .to_line()
}

/// `INFO` of the dialer, which says for which connection it is.
fn introduction(dialer: &Dialer, own: RouteInfo) -> Vec<u8> {
    let mut info = RouteInfo { gossip_mode: dialer.gossip_mode.into(), ..own };
    dialer.slot.name_in(&mut info);
    info.to_line()
}

#[cfg(test)]
mod tests;
