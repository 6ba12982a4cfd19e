//! One leaf connection: who speaks when, is the other side alive, when is it over.
//!
//! The hub's side, which accepts, sends `INFO` at once. The side that dials answers with `CONNECT`; a second `INFO` tells it
//! that it is in. Who may come in is not decided here: [`Action::Judge`] asks for it, and [`Session::admit`] or
//! [`Session::close`] is the answer.

use std::collections::VecDeque;
use std::time::Duration;

use super::NO_CLUSTER;
use super::hello::{LeafConnect, LeafInfo};
use crate::compression::{Agreement, Mode, Status};
use crate::error::CloseReason;

/// How long a hub may take to answer `CONNECT`.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(2);
/// What the side that dials hears, or says, when both have one cluster name.
pub const SAME_CLUSTER: &str = "remote leafnode has same cluster name";
/// What a hub says to a leaf node that is too old, before the version.
pub const TOO_OLD: &str = "connection rejected since minimum version required is";

/// Delays of a session.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until the other side must have said who it is.
    pub handshake: Duration,
    /// Until the first ping, which measures the round trip.
    pub first_ping: Duration,
    /// Between pings.
    pub ping_interval: Duration,
    /// Pings that may be unanswered.
    pub ping_max: u32,
}

/// What the owner of a session does for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Write these bytes.
    Send(Vec<u8>),
    /// What follows is compressed, both ways: [`Session::compress`].
    Compress,
    /// This is agreed on. If it is compression, what was to be sent so far still goes as it is, and what was read so far
    /// was not compressed.
    Agreed(Agreement),
    /// Accepting: decide who this is, then [`Session::admit`] or [`Session::close`].
    Judge(Box<LeafConnect>),
    /// Dialling: answer the hub by [`Session::greet`], or [`Session::close`].
    Greet(Box<LeafInfo>),
    /// Dialling: the hub says something new of itself; before [`Action::Open`], what this side may do.
    Update(Box<LeafInfo>),
    /// Interest and messages flow from now on; tell the other side all interest here.
    Open,
    /// Round-trip time, measured.
    Rtt(Duration),
    /// The session is over; close the connection once what was sent is written.
    Close(CloseReason),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Accepting, before `CONNECT`.
    AwaitConnect,
    /// Accepting, before the owner's verdict.
    Judged,
    /// Dialling, before `INFO`.
    AwaitInfo,
    /// Dialling, before the owner's answer.
    Greeted,
    /// Dialling, before the hub's verdict.
    AwaitWelcome,
    Open,
    Closed,
}

/// State of one leaf connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    timing: Timing,
    actions: VecDeque<Action>,
    /// Handshake deadline, then the next ping.
    deadline: Duration,
    pings_out: u32,
    ping_sent: Duration,
    welcomes: bool,
    /// Whether we compress.
    mode: Mode,
    agreement: Option<Agreement>,
}

impl Session {
    /// For a connection that was made to us. `own` is our `INFO`, sent at once; `None` if it has been sent.
    pub fn acceptor(own: Option<&LeafInfo>, timing: Timing, now: Duration) -> Self {
        let mut session = Self::new(State::AwaitConnect, timing, now);
        if let Some(own) = own {
            session.send(own.to_line());
        }
        session
    }

    /// For a connection that we made.
    pub fn dialer(timing: Timing, now: Duration) -> Self {
        Self::new(State::AwaitInfo, timing, now)
    }

    fn new(state: State, timing: Timing, now: Duration) -> Self {
        let deadline = now + timing.handshake;
        let actions = VecDeque::new();
        let (pings_out, welcomes, mode, agreement) = (0, false, Mode::Off, None);
        Self { state, timing, actions, deadline, pings_out, ping_sent: now, welcomes, mode, agreement }
    }

    /// Compresses, if the other side agrees.
    pub fn with_compression(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Whether we compress, if the other side agrees.
    pub fn compression(&self) -> &Mode {
        &self.mode
    }

    /// Whether interest and messages may come.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether what comes has to wait for the owner.
    pub fn holds_input(&self) -> bool {
        matches!(self.state, State::Judged | State::Greeted)
    }

    /// What to do next; to be called until `None` after everything else.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        (self.state != State::Closed).then_some(self.deadline)
    }

    /// `CONNECT` arrived.
    pub fn handle_connect(&mut self, json: &[u8]) {
        match (self.state, serde_json::from_slice(json)) {
            (State::Closed, _) => {}
            (State::AwaitConnect, Ok(connect)) => {
                let connect: LeafConnect = connect;
                self.state = State::Judged;
                if self.agreement.is_none() {
                    // Who does not compress says so here alone.
                    let known = if connect.compression.is_empty() { Status::Unsupported } else { Status::Off };
                    self.agree(Agreement::Plain(known));
                }
                self.actions.push_back(Action::Judge(Box::new(connect)));
            }
            _ => self.violation(),
        }
    }

    /// The one who said `connect` may come in. Closes all the same if it is no leaf node for a server in `cluster` that takes
    /// them from `min_version` on; returns what it is told then. `own` is what it is told otherwise.
    pub fn admit(
        &mut self,
        connect: &LeafConnect,
        cluster: &str,
        min_version: Option<&str>,
        own: &LeafInfo,
        (now, jitter): (Duration, f64),
    ) -> Option<String> {
        if self.state != State::Judged {
            return None;
        }
        if let Some((reason, text)) = misfit(connect, cluster) {
            self.close(reason, Some(&text));
            return Some(text);
        }
        self.send(own.to_line());
        if let Some(min) = min_version.filter(|min| !is_at_least(&connect.version, min)) {
            let text = format!("{TOO_OLD} {min:?}");
            self.close(CloseReason::MinimumVersionRequired, Some(&text));
            return Some(text);
        }
        self.open(now, jitter);
        None
    }

    /// `INFO` arrived.
    pub fn handle_info(&mut self, json: &[u8], (now, jitter): (Duration, f64)) {
        let info = match (self.state, serde_json::from_slice::<LeafInfo>(json)) {
            (State::Closed, _) => return,
            // From a leaf node it is about compression alone.
            (State::AwaitConnect, Ok(info)) if self.agreement.is_none() => {
                self.negotiate(&info);
                return;
            }
            (State::AwaitConnect, _) => return,
            (_, Ok(info)) => Box::new(info),
            (_, Err(_)) => return self.violation(),
        };
        if self.state == State::AwaitInfo && !info.is_of_hub() {
            return self.close(CloseReason::WrongPort, None);
        }
        if self.state == State::AwaitInfo && self.agreement.is_none() && self.negotiate(&info) {
            self.deadline = now + self.timing.handshake;
            return;
        }
        match self.state {
            State::AwaitInfo => match bad_cluster(&info.cluster) {
                Some(text) => self.close(CloseReason::ProtocolViolation, Some(text)),
                None => {
                    self.state = State::Greeted;
                    self.welcomes = info.info_on_connect;
                    self.actions.push_back(Action::Greet(info));
                }
            },
            State::AwaitWelcome => {
                let welcome = info.connect_info;
                self.actions.push_back(Action::Update(info));
                if welcome {
                    self.open(now, jitter);
                }
            }
            State::Open => self.actions.push_back(Action::Update(info)),
            _ => self.violation(),
        }
    }

    /// The first `INFO` of the other side says whether there is to be another, compressed.
    fn negotiate(&mut self, info: &LeafInfo) -> bool {
        match self.mode.agree(&info.compression) {
            Ok(agreement @ Agreement::Plain(_)) => {
                self.agree(agreement);
                return false;
            }
            Ok(agreement) => {
                self.agreement = Some(agreement);
                self.actions.push_back(Action::Compress);
            }
            Err(unknown) => self.close(CloseReason::ProtocolViolation, Some(&unknown.to_string())),
        }
        true
    }

    fn agree(&mut self, agreement: Agreement) {
        self.agreement = Some(agreement);
        self.actions.push_back(Action::Agreed(agreement));
    }

    /// Says what was chosen, and compresses from there on. `own` is our `INFO`, as the first one.
    pub fn compress(&mut self, own: &LeafInfo) {
        let Some(agreement) = self.agreement else { return };
        let line = LeafInfo { compression: agreement.name().into(), ..own.clone() }.to_line();
        match self.state {
            State::AwaitInfo => {
                self.send(line);
                self.agree(agreement);
            }
            State::AwaitConnect => {
                self.agree(agreement);
                self.send(line);
            }
            _ => {}
        }
    }

    /// Tells the hub who we are.
    pub fn greet(&mut self, connect: &LeafConnect, (now, jitter): (Duration, f64)) {
        if self.state != State::Greeted {
            return;
        }
        self.send(connect.to_line());
        self.state = State::AwaitWelcome;
        self.deadline = now + WELCOME_TIMEOUT;
        if !self.welcomes {
            self.open(now, jitter);
        }
    }

    fn open(&mut self, now: Duration, jitter: f64) {
        self.state = State::Open;
        self.deadline = now + self.timing.first_ping.mul_f64(1.0 + 0.2 * jitter);
        self.actions.push_back(Action::Open);
    }

    /// Interest or a message arrived before [`is_open`](Self::is_open).
    pub fn handle_early_traffic(&mut self) {
        match self.state {
            State::AwaitConnect => self.close(CloseReason::AuthenticationFailure, Some("Authorization Violation")),
            State::Open | State::Closed => {}
            _ => self.violation(),
        }
    }

    /// `PING` arrived.
    pub fn handle_ping(&mut self) {
        match self.state {
            State::Closed => {}
            State::AwaitConnect => self.handle_early_traffic(),
            _ => self.send(b"PONG\r\n".to_vec()),
        }
    }

    /// `PONG` arrived.
    pub fn handle_pong(&mut self, now: Duration) {
        if self.state == State::Open && self.pings_out > 0 {
            self.pings_out = 0;
            self.actions.push_back(Action::Rtt(now.saturating_sub(self.ping_sent)));
        }
    }

    /// [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        if now < self.deadline {
            return;
        }
        match self.state {
            State::Closed => {}
            State::AwaitConnect | State::Judged => {
                self.close(CloseReason::AuthenticationTimeout, Some("Authentication Timeout"));
            }
            State::AwaitInfo | State::Greeted => self.close(CloseReason::ReadError, None),
            State::AwaitWelcome => self.close(CloseReason::Stale, Some("Stale Leaf Node Connection - Closing")),
            State::Open if self.pings_out >= self.timing.ping_max => {
                self.close(CloseReason::Stale, Some("Stale Connection"));
            }
            State::Open => {
                self.pings_out += 1;
                self.ping_sent = now;
                self.deadline = now + self.timing.ping_interval;
                self.send(b"PING\r\n".to_vec());
            }
        }
    }

    /// Ends the session; `error` is told to the other side.
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

    /// Accepting: tells the leaf node, which is in, what is new of us or of what it may do.
    pub fn tell(&mut self, own: &LeafInfo) {
        if self.state == State::Open {
            self.send(own.to_line());
        }
    }

    /// The other side broke the protocol; closed without a word, as nats-server does.
    pub fn violation(&mut self) {
        self.close(CloseReason::ProtocolViolation, None);
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.actions.push_back(Action::Send(bytes));
    }
}

/// Why this is no leaf node of a server in `cluster`.
fn misfit(connect: &LeafConnect, cluster: &str) -> Option<(CloseReason, String)> {
    if connect.lang.is_some() {
        return Some((CloseReason::WrongPort, "attempted to connect to leaf node port".into()));
    }
    if let Some(text) = bad_cluster(&connect.cluster) {
        return Some((CloseReason::ProtocolViolation, text.into()));
    }
    if !connect.cluster.is_empty() && connect.cluster == cluster {
        return Some((CloseReason::ClusterNamesIdentical, SAME_CLUSTER.into()));
    }
    connect.gateway.as_ref().map(|gateway| {
        let text = format!("Rejecting connection from gateway \"{}\" on the leafnode port", gateway.escape_debug());
        (CloseReason::WrongPort, text)
    })
}

/// What is wrong with the name of a cluster: it has to be one word on a line, and not the one for none.
fn bad_cluster(name: &str) -> Option<&'static str> {
    if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Some("cluster name cannot contain spaces")
    } else if name == NO_CLUSTER {
        Some("cluster name is reserved")
    } else {
        None
    }
}

/// Whether a version is not older than another; three numbers, of which what follows a `-` is no part.
pub fn is_at_least(version: &str, min: &str) -> bool {
    matches!((numbers(version), numbers(min)), (Some(version), Some(min)) if version >= min)
}

/// The three numbers of a version, with or without `v`.
pub fn numbers(version: &str) -> Option<[u64; 3]> {
    let plain = version.strip_prefix('v').unwrap_or(version);
    let mut parts = plain.split('-').next()?.split('.').map(|part| part.parse().ok());
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests;
