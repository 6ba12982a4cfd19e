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

/// Which connection between two servers this is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Slot {
    /// One of the pool; 0 also for the only one where there is no pool.
    Pool(u16),
    /// Dedicated to one account.
    Account(String),
}

impl Slot {
    /// As the dialer's `INFO` names it.
    fn of(info: &RouteInfo) -> Self {
        if info.route_account.is_empty() {
            Self::Pool(info.route_pool_idx)
        } else {
            Self::Account(info.route_account.clone())
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

/// A ping that must be answered within this proves that a doubted peer is alive.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What the dialer of a route knows beforehand.
#[derive(Clone, Debug)]
pub struct Dialer {
    /// Which connection is wanted.
    pub slot: Slot,
    /// User and password of the route's URL.
    pub credentials: Option<(String, Secret)>,
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
    /// Check the cluster's name in a dialer's `CONNECT`; on a conflict, [`Session::close`].
    CheckCluster(RouteConnect),
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
    actions: VecDeque<Action>,
    /// Handshake deadline, then the next ping.
    deadline: Duration,
    probe_deadline: Option<Duration>,
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
            actions: VecDeque::new(),
            deadline: now + timing.handshake,
            probe_deadline: None,
            pings_out: 0,
            ping_sent: now,
        }
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
            State::AwaitInfo => self.introduce(info),
            State::Greeting | State::Open => {
                self.handle_traffic();
                let update = info.server_id == self.peer_id;
                self.actions.push_back(if update { Action::Update(info) } else { Action::Gossip(info) });
            }
            _ => self.violation(),
        }
    }

    fn introduce(&mut self, info: RouteInfo) {
        self.state = State::Introduced;
        self.peer_id.clone_from(&info.server_id);
        let slot = self.dialer.as_ref().map_or_else(|| Slot::of(&info), |dialer| dialer.slot.clone());
        let solicited = self.dialer.is_some();
        self.actions.push_back(Action::Introduce(Introduction { info, slot, solicited }));
    }

    /// The cluster wants the acceptor that was introduced: introduces us. `own` is our `INFO` as of now.
    pub fn greet(&mut self, own: &RouteInfo, now: Duration) {
        if let (State::Introduced, Some(dialer)) = (self.state, &self.dialer) {
            let hello = hello(dialer, own);
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
            State::Open | State::Closed => {}
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
            State::AwaitConnect => self.violation(),
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
        self.actions.push_back(Action::Rtt(now.saturating_sub(self.ping_sent)));
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
            self.probe_deadline = Some(now + PROBE_TIMEOUT);
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

/// `CONNECT` and `INFO` of the dialer.
fn hello(dialer: &Dialer, own: &RouteInfo) -> Vec<u8> {
    let (user, password) = dialer.credentials.clone().unzip();
    let mut bytes = RouteConnect {
        echo: true,
        user,
        password,
        headers: own.headers,
        name: own.server_id.clone(),
        cluster: own.cluster.clone(),
        dynamic: own.dynamic,
        ..RouteConnect::default()
    }
    .to_line();
    let mut info = RouteInfo { gossip_mode: dialer.gossip_mode.into(), ..own.clone() };
    match &dialer.slot {
        Slot::Pool(index) => info.route_pool_idx = *index,
        Slot::Account(account) => info.route_account.clone_from(account),
    }
    bytes.extend(info.to_line());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMING: Timing = Timing {
        handshake: Duration::from_secs(2),
        first_ping: Duration::from_secs(1),
        ping_interval: Duration::from_secs(30),
        ping_max: 2,
    };
    const START: Duration = Duration::from_secs(100);

    fn secs(seconds: u64) -> Duration {
        START + Duration::from_secs(seconds)
    }

    fn info(id: &str) -> RouteInfo {
        RouteInfo { server_id: id.into(), cluster: "c".into(), route_pool_size: 3, ..RouteInfo::default() }
    }

    fn json(info: &RouteInfo) -> Vec<u8> {
        serde_json::to_vec(info).expect("serializes")
    }

    fn actions(session: &mut Session) -> Vec<Action> {
        std::iter::from_fn(|| session.poll_action()).collect()
    }

    fn sent(actions: &[Action]) -> String {
        let bytes = actions.iter().filter_map(|action| match action {
            Action::Send(bytes) => Some(bytes.as_slice()),
            _ => None,
        });
        String::from_utf8(bytes.collect::<Vec<_>>().concat()).expect("text")
    }

    fn closed(actions: &[Action]) -> Option<&CloseReason> {
        actions.iter().find_map(|action| match action {
            Action::Close(reason) => Some(reason),
            _ => None,
        })
    }

    fn dialer(slot: Slot) -> Session {
        let dialer = Dialer { slot, credentials: None, gossip_mode: GossipMode::Default };
        Session::dialer(dialer, TIMING, START)
    }

    /// A dialer that has introduced itself.
    fn greeting() -> Session {
        let mut session = dialer(Slot::Pool(0));
        session.handle_info(&json(&info("them")));
        session.greet(&info("us"), START);
        actions(&mut session);
        session
    }

    fn open_acceptor() -> Session {
        let mut session = Session::acceptor(Some(&info("us")), TIMING, START);
        session.handle_connect(br#"{"name":"them","cluster":"c"}"#);
        session.handle_info(&json(&info("them")));
        session.open(START, 0.0);
        actions(&mut session);
        session
    }

    #[test]
    fn the_acceptor_speaks_first_and_opens_when_the_peer_is_admitted() {
        let mut session = Session::acceptor(Some(&info("us")), TIMING, START);
        assert!(sent(&actions(&mut session)).starts_with("INFO {\"server_id\":\"us\""));
        session.handle_connect(br#"{"name":"them","cluster":"c"}"#);
        assert!(matches!(&actions(&mut session)[..], [Action::CheckCluster(connect)] if connect.name == "them"));
        session.handle_info(&json(&RouteInfo { route_pool_idx: 2, ..info("them") }));
        let introduced = actions(&mut session);
        assert!(matches!(&introduced[..], [Action::Introduce(peer)] if peer.slot == Slot::Pool(2) && !peer.solicited));
        session.open(START, 0.0);
        assert_eq!(actions(&mut session), [Action::Open]);
        assert!(session.is_open());
    }

    #[test]
    fn the_dialer_waits_for_info_and_then_says_all_at_once() {
        let mut session = dialer(Slot::Pool(1));
        assert_eq!(actions(&mut session), []);
        session.handle_info(&json(&info("them")));
        assert!(matches!(&actions(&mut session)[..], [Action::Introduce(peer)] if peer.solicited));
        session.greet(&info("us"), START);
        let said = actions(&mut session);
        insta::assert_snapshot!(sent(&said));
        assert!(!session.is_open(), "the acceptor may not want us");
    }

    #[test]
    fn the_first_pong_confirms_the_dialer_and_measures() {
        let mut session = greeting();
        session.handle_pong(START + Duration::from_millis(7));
        assert_eq!(actions(&mut session), [Action::Rtt(Duration::from_millis(7)), Action::Confirmed]);
        session.open(START, 0.0);
        assert_eq!(actions(&mut session), [Action::Open]);
        session.handle_pong(secs(1));
        assert_eq!(actions(&mut session), [], "nobody asked");
    }

    #[test]
    fn interest_confirms_the_dialer_as_well() {
        let mut session = greeting();
        session.handle_traffic();
        assert_eq!(actions(&mut session), [Action::Confirmed]);
        let mut early = Session::acceptor(None, TIMING, START);
        early.handle_traffic();
        assert_eq!(closed(&actions(&mut early)), Some(&CloseReason::ProtocolViolation));
    }

    #[test]
    fn a_dedicated_route_names_its_account() {
        let mut session = dialer(Slot::Account("$SYS".into()));
        session.handle_info(&json(&info("them")));
        session.greet(&info("us"), START);
        assert!(sent(&actions(&mut session)).contains("\"route_account\":\"$SYS\""));
    }

    #[test]
    fn strangers_on_the_route_port_are_told_so() {
        let mut errors = Vec::new();
        for connect in [r#"{"lang":"go","verbose":false}"#, r#"{"gateway":"g1"}"#, "{"] {
            let mut session = Session::acceptor(Some(&info("us")), TIMING, START);
            actions(&mut session);
            session.handle_connect(connect.as_bytes());
            let said = actions(&mut session);
            errors.push(format!("{connect}: {:?} {:?}", sent(&said), closed(&said)));
        }
        insta::assert_snapshot!(errors.join("\n"));
    }

    #[test]
    fn who_does_not_introduce_itself_in_time_is_cut() {
        let mut session = Session::acceptor(Some(&info("us")), TIMING, START);
        actions(&mut session);
        assert_eq!(session.poll_timeout(), Some(secs(2)));
        session.handle_timeout(secs(2));
        let said = actions(&mut session);
        assert_eq!(sent(&said), "-ERR 'Authentication Timeout'\r\n");
        assert_eq!(closed(&said), Some(&CloseReason::HandshakeTimeout));
        assert_eq!(session.poll_timeout(), None);
    }

    #[test]
    fn a_silent_peer_is_stale_after_ping_max_unanswered_pings() {
        let mut session = open_acceptor();
        let mut pings = 0;
        let reason = loop {
            let due = session.poll_timeout().expect("an open session has a timer");
            session.handle_timeout(due);
            let said = actions(&mut session);
            if let Some(reason) = closed(&said) {
                break reason.clone();
            }
            assert_eq!(sent(&said), "PING\r\n");
            pings += 1;
        };
        assert_eq!((pings, reason), (3, CloseReason::Stale));
    }

    #[test]
    fn an_answering_peer_is_not() {
        let mut session = open_acceptor();
        for _ in 0..10 {
            let due = session.poll_timeout().expect("an open session has a timer");
            session.handle_timeout(due);
            session.handle_pong(due);
            assert_eq!(closed(&actions(&mut session)), None);
        }
    }

    #[test]
    fn a_doubted_peer_has_two_seconds_to_prove_itself() {
        let mut session = open_acceptor();
        session.probe(START);
        assert_eq!(sent(&actions(&mut session)), "PING\r\n");
        session.handle_pong(START);
        session.handle_timeout(START + PROBE_TIMEOUT);
        assert_eq!(closed(&actions(&mut session)), None);
        session.probe(secs(5));
        session.handle_timeout(secs(7));
        assert_eq!(closed(&actions(&mut session)), Some(&CloseReason::Stale));
    }

    #[test]
    fn info_of_another_server_is_gossip() {
        let mut session = open_acceptor();
        session.handle_info(&json(&info("third")));
        session.handle_info(&json(&info("them")));
        assert!(matches!(
            &actions(&mut session)[..],
            [Action::Gossip(third), Action::Update(them)] if third.server_id == "third" && them.server_id == "them"
        ));
    }

    #[test]
    fn out_of_order_set_up_is_a_violation() {
        let mut early_info = Session::acceptor(Some(&info("us")), TIMING, START);
        early_info.handle_info(&json(&info("them")));
        assert_eq!(closed(&actions(&mut early_info)), Some(&CloseReason::ProtocolViolation));
        let mut second_connect = open_acceptor();
        second_connect.handle_connect(b"{}");
        assert_eq!(closed(&actions(&mut second_connect)), Some(&CloseReason::ProtocolViolation));
        let mut nameless = dialer(Slot::Pool(0));
        nameless.handle_info(b"{}");
        assert_eq!(closed(&actions(&mut nameless)), Some(&CloseReason::ProtocolViolation));
    }

    #[test]
    fn nothing_happens_after_the_end() {
        let mut session = open_acceptor();
        session.handle_error(b"Stale Connection");
        let said = actions(&mut session);
        assert_eq!(closed(&said), Some(&CloseReason::Refused("Stale Connection".into())));
        session.handle_ping();
        session.handle_info(b"nonsense");
        session.handle_timeout(secs(1000));
        session.probe(secs(1000));
        assert_eq!(actions(&mut session), []);
    }
}
