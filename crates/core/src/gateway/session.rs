//! One connection between clusters: who speaks when, is the other end alive, when is it over.
//!
//! Who accepts sends `INFO` at once; who dials answers with `CONNECT` and its own `INFO`. Who may come in, and whether a cluster
//! is the right one, is not decided here: [`Action::Judge`] and [`Action::Introduce`] ask for it.

use std::collections::VecDeque;
use std::time::Duration;

use super::command;
use super::hello::{GatewayConnect, GatewayInfo};
use crate::error::CloseReason;

/// Delays of a session.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until the other end must have said who it is.
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
    /// Accepting: decide whether this may come in, then [`Session::admit`] or [`Session::close`].
    Judge(Box<GatewayConnect>),
    /// Decide on the cluster that introduces itself: [`Session::greet`] as the one who dials, [`Session::open`] as the one who
    /// accepts, or [`Session::close`].
    Introduce(Box<GatewayInfo>),
    /// Interest and messages flow from now on.
    Open,
    /// Dialling: the other end says something new of itself.
    Update(Box<GatewayInfo>),
    /// Dialling: the other end tells of another cluster.
    Gossip(Box<GatewayInfo>),
    /// Dialling: all interest in this account is told from now on.
    AllBegin(Vec<u8>),
    /// Dialling: all interest in this account has been told.
    AllComplete(Vec<u8>),
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
    /// Before `INFO`.
    AwaitInfo,
    /// Before the owner's verdict.
    Introduced,
    Open,
    Closed,
}

/// State of one connection.
#[derive(Debug)]
pub struct Session {
    state: State,
    dials: bool,
    timing: Timing,
    actions: VecDeque<Action>,
    /// Handshake deadline, then the next ping.
    deadline: Duration,
    pings_out: u32,
    ping_sent: Duration,
    /// The cluster at the other end.
    gateway: String,
}

impl Session {
    /// For a connection that was made to us. `own` is our `INFO`, sent at once.
    pub fn acceptor(own: &GatewayInfo, timing: Timing, now: Duration) -> Self {
        let mut session = Self::new(State::AwaitConnect, false, timing, now);
        session.send(own.to_line());
        session
    }

    /// For a connection that we made.
    pub fn dialer(timing: Timing, now: Duration) -> Self {
        Self::new(State::AwaitInfo, true, timing, now)
    }

    fn new(state: State, dials: bool, timing: Timing, now: Duration) -> Self {
        Self {
            state,
            dials,
            timing,
            actions: VecDeque::new(),
            deadline: now + timing.handshake,
            pings_out: 0,
            ping_sent: now,
            gateway: String::new(),
        }
    }

    /// Whether interest and messages may come.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether what comes has to wait for the owner.
    pub fn holds_input(&self) -> bool {
        matches!(self.state, State::Judged | State::Introduced)
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
        match (self.state, serde_json::from_slice::<GatewayConnect>(json)) {
            (State::Closed, _) => {}
            (State::AwaitConnect, Ok(connect)) => {
                self.state = State::Judged;
                self.actions.push_back(Action::Judge(Box::new(connect)));
            }
            _ => self.violation(),
        }
    }

    /// The one who said `CONNECT` may come in.
    pub fn admit(&mut self) {
        if self.state == State::Judged {
            self.state = State::AwaitInfo;
        }
    }

    /// `INFO` arrived.
    pub fn handle_info(&mut self, json: &[u8]) {
        if self.state == State::Closed {
            return;
        }
        let Ok(info) = serde_json::from_slice::<GatewayInfo>(json) else { return self.violation() };
        match self.state {
            State::AwaitInfo => {
                self.gateway.clone_from(&info.gateway);
                self.state = State::Introduced;
                self.actions.push_back(Action::Introduce(Box::new(info)));
            }
            State::Open if self.dials => self.handle_news(info),
            // Those who dialled us have nothing new to say that we would not hear from the server we dial.
            State::Open => {}
            _ => self.violation(),
        }
    }

    fn handle_news(&mut self, info: GatewayInfo) {
        let payload = |info: GatewayInfo| info.gateway_cmd_payload.map(|payload| payload.0).filter(|it| !it.is_empty());
        let is_same = info.gateway == self.gateway;
        let action = match info.gateway_cmd {
            command::GOSSIP if !info.gateway.is_empty() => Some(Action::Gossip(Box::new(info))),
            _ if !is_same => None,
            0 => Some(Action::Update(Box::new(info))),
            command::ALL_BEGIN => payload(info).map(Action::AllBegin),
            command::ALL_COMPLETE => payload(info).map(Action::AllComplete),
            _ => return,
        };
        match action {
            Some(action) => self.actions.push_back(action),
            None => self.violation(),
        }
    }

    /// The cluster that we dialled is the right one: tells it who we are.
    pub fn greet(&mut self, connect: &GatewayConnect, own: &GatewayInfo, at: (Duration, f64)) {
        if self.state == State::Introduced && self.dials {
            let mut hello = connect.to_line();
            hello.extend(own.to_line());
            self.send(hello);
            self.open(at);
        }
    }

    /// The cluster that introduced itself is welcome. A number from 0 to 1 spreads the first ping.
    pub fn open(&mut self, (now, jitter): (Duration, f64)) {
        if self.state == State::Introduced {
            self.state = State::Open;
            self.deadline = now + self.timing.first_ping.mul_f64(1.0 + 0.2 * jitter);
            self.actions.push_back(Action::Open);
        }
    }

    /// Interest, or a message, arrived: whether it may come now. Interest may come only to the one who dialled, messages only
    /// to the one who accepted; whoever does not keep to that is cut off.
    pub fn admits_traffic(&mut self, is_message: bool) -> bool {
        let may = self.state == State::Open && self.dials != is_message;
        if !may {
            self.violation();
        }
        may
    }

    /// `PING` arrived.
    pub fn handle_ping(&mut self) {
        match self.state {
            State::Closed => {}
            State::AwaitConnect => self.violation(),
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
            State::Open if self.pings_out < self.timing.ping_max => {
                self.pings_out += 1;
                self.ping_sent = now;
                self.deadline = now + self.timing.ping_interval;
                self.send(b"PING\r\n".to_vec());
            }
            State::Open => self.close(CloseReason::Stale, Some("Stale Connection")),
            _ if self.dials => self.close(CloseReason::Stale, Some("Stale Connection")),
            _ => self.close(CloseReason::AuthenticationTimeout, Some("Authentication Timeout")),
        }
    }

    /// Ends the session; `error` is told to the other end.
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

    /// The other end broke the protocol; closed without a word, as nats-server does.
    pub fn violation(&mut self) {
        self.close(CloseReason::ProtocolViolation, None);
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.actions.push_back(Action::Send(bytes));
    }
}

#[cfg(test)]
mod tests;
