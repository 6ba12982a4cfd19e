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
    let actions = std::iter::from_fn(|| session.poll_action());
    actions.filter(|action| !matches!(action, Action::Agreed(Agreement::Plain(_)))).collect()
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
    let dialer = Dialer { slot, credentials: None, reserved: false, gossip_mode: GossipMode::Default };
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

/// `CONNECT` arrives, with the right credentials if it is one.
fn let_in(session: &mut Session, json: &[u8]) {
    session.handle_connect(json);
    match session.actions.pop_back() {
        Some(Action::Authenticate(connect)) => session.admit(connect),
        other => session.actions.extend(other),
    }
}

fn open_acceptor() -> Session {
    let mut session = Session::acceptor(Some(&info("us")), TIMING, START);
    let_in(&mut session, br#"{"name":"them","cluster":"c"}"#);
    session.handle_info(&json(&info("them")));
    session.open(START, 0.0);
    actions(&mut session);
    session
}

#[test]
fn the_acceptor_speaks_first_and_opens_when_the_peer_is_admitted() {
    let mut session = Session::acceptor(Some(&info("us")), TIMING, START);
    assert!(sent(&actions(&mut session)).starts_with("INFO {\"server_id\":\"us\""));
    let_in(&mut session, br#"{"name":"them","cluster":"c"}"#);
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
fn credentials_are_reserved_for_those_who_ask() {
    let hello = |reserved, auth_required| {
        let credentials = Some(("u".to_owned(), Secret("hidden".into())));
        let dialer = Dialer { slot: Slot::Pool(0), credentials, reserved, gossip_mode: GossipMode::Default };
        let mut session = Session::dialer(dialer, TIMING, START);
        session.handle_info(&json(&RouteInfo { auth_required, ..info("them") }));
        session.greet(&info("us"), START);
        sent(&actions(&mut session)).contains("\"user\":\"u\",\"pass\":\"hidden\"")
    };
    assert!(hello(false, false) && hello(false, true) && hello(true, true));
    assert!(!hello(true, false));
}

#[test]
fn nothing_goes_on_before_credentials_are_known_to_be_right() {
    let mut session = Session::acceptor(None, TIMING, START);
    session.handle_connect(b"{\"user\":\"u\"}");
    assert!(
        matches!(&actions(&mut session)[..], [Action::Authenticate(connect)] if connect.user.as_deref() == Some("u"))
    );
    session.handle_timeout(secs(2));
    assert_eq!(closed(&actions(&mut session)), Some(&CloseReason::HandshakeTimeout));
    session.admit(RouteConnect::default());
    assert_eq!(actions(&mut session), []);
    for early in [Session::handle_ping, Session::handle_traffic, |session: &mut Session| session.handle_info(b"{}")] {
        let mut session = Session::acceptor(None, TIMING, START);
        session.handle_connect(b"{}");
        early(&mut session);
        assert_eq!(closed(&actions(&mut session)), Some(&CloseReason::ProtocolViolation));
    }
}

#[test]
fn strangers_on_the_route_port_are_told_so() {
    let mut errors = Vec::new();
    for connect in [r#"{"lang":"go","verbose":false}"#, r#"{"gateway":"g1"}"#, "{"] {
        let mut session = Session::acceptor(Some(&info("us")), TIMING, START);
        actions(&mut session);
        let_in(&mut session, connect.as_bytes());
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
fn a_doubted_peer_has_half_a_second_to_prove_itself() {
    let mut session = open_acceptor();
    session.probe(START);
    assert_eq!(sent(&actions(&mut session)), "PING\r\n");
    session.handle_pong(START);
    session.handle_timeout(START + PROBE_TIMEOUT);
    assert_eq!(closed(&actions(&mut session)), None);
    session.probe(secs(5));
    session.handle_traffic();
    session.handle_timeout(secs(6));
    assert_eq!(closed(&actions(&mut session)), None);
    session.probe(secs(7));
    session.handle_timeout(secs(7) + PROBE_TIMEOUT);
    assert_eq!(closed(&actions(&mut session)), Some(&CloseReason::Stale));
}

#[test]
fn a_doubted_peer_far_away_has_four_round_trips() {
    let mut session = open_acceptor();
    session.probe(secs(1));
    session.handle_pong(secs(2));
    session.probe(secs(3));
    session.handle_timeout(secs(6));
    assert_eq!(closed(&actions(&mut session)), None);
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

/// An `INFO` that asks for this compression.
fn wanting(id: &str, compression: &str) -> RouteInfo {
    RouteInfo { compression: compression.into(), ..info(id) }
}

fn fast() -> Mode {
    Mode::Always(crate::compression::Level::Fast)
}

#[test]
fn a_dialer_that_compresses_introduces_itself_twice() {
    let mut session = dialer(Slot::Pool(2)).with_compression(fast());
    session.handle_info(&json(&wanting("them", "accept")));
    assert_eq!(actions(&mut session), [Action::Compress]);
    session.compress(&wanting("us", "s2_fast"));
    let said = actions(&mut session);
    let [Action::Send(hello), Action::Agreed(agreement)] = &said[..] else { panic!("{said:?}") };
    let hello = String::from_utf8_lossy(hello);
    assert!(hello.starts_with("CONNECT ") && hello.contains("\"compression\":\"s2_fast\""), "{hello}");
    assert!(!hello.contains("route_pool_idx") && !hello.contains("PING"), "{hello}");
    assert_eq!(agreement.name(), "s2_fast");
    session.handle_info(&json(&wanting("them", "s2_fast")));
    assert!(matches!(&actions(&mut session)[..], [Action::Introduce(peer)] if peer.slot == Slot::Pool(2)));
    session.greet(&wanting("us", "s2_fast"), START);
    let said = sent(&actions(&mut session));
    assert!(said.starts_with("INFO ") && said.ends_with("PING\r\n"), "{said}");
    assert!(said.contains("\"route_pool_idx\":2") && said.contains("\"compression\":\"s2_fast\""), "{said}");
}

#[test]
fn an_acceptor_that_compresses_answers_before_it_looks() {
    let mut session = Session::acceptor(Some(&wanting("us", "accept")), TIMING, START).with_compression(Mode::Accept);
    let_in(&mut session, b"{\"name\":\"them\"}");
    actions(&mut session);
    session.handle_info(&json(&wanting("them", "s2_best")));
    assert_eq!(actions(&mut session), [Action::Compress]);
    session.compress(&wanting("us", "accept"));
    let said = actions(&mut session);
    assert!(matches!(&said[..], [Action::Agreed(_), Action::Send(_)]), "{said:?}");
    assert!(sent(&said).contains("\"compression\":\"s2_best\""));
    session.handle_info(&json(&RouteInfo { route_pool_idx: 1, ..wanting("them", "s2_best") }));
    assert!(matches!(&actions(&mut session)[..], [Action::Introduce(peer)] if peer.slot == Slot::Pool(1)));
    session.compress(&wanting("us", "accept"));
    assert_eq!(actions(&mut session), [], "once is enough");
}

#[test]
fn who_does_not_compress_is_told_so() {
    for (mode, theirs) in [(Mode::Off, "s2_fast"), (fast(), "off"), (Mode::Accept, "accept"), (fast(), "")] {
        let mut session = dialer(Slot::Pool(0)).with_compression(mode.clone());
        session.handle_info(&json(&wanting("them", theirs)));
        assert!(matches!(&actions(&mut session)[..], [Action::Introduce(_)]), "{mode:?} {theirs}");
        session.greet(&wanting("us", mode.name()), START);
        assert!(sent(&actions(&mut session)).contains("\"compression\":\"off\""), "{mode:?} {theirs}");
    }
    let mut unknown = dialer(Slot::Pool(0)).with_compression(fast());
    unknown.handle_info(&json(&wanting("them", "zstd")));
    let said = actions(&mut unknown);
    assert_eq!(sent(&said), "-ERR 'unsupported route compression mode \"zstd\"'\r\n");
    assert_eq!(closed(&said), Some(&CloseReason::ProtocolViolation));
}
