use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn timing() -> Timing {
    Timing { handshake: 2 * SECOND, first_ping: SECOND, ping_interval: 15 * SECOND, ping_max: 2 }
}

fn info(gateway: &str) -> GatewayInfo {
    GatewayInfo { server_id: format!("N{gateway}"), gateway: gateway.into(), ..GatewayInfo::default() }
}

fn json(info: &GatewayInfo) -> Vec<u8> {
    serde_json::to_vec(info).expect("text")
}

fn actions(session: &mut Session) -> Vec<Action> {
    std::iter::from_fn(|| session.poll_action()).collect()
}

fn open_dialer() -> Session {
    let mut session = Session::dialer(timing(), Duration::ZERO);
    session.handle_info(&json(&info("A")));
    session.greet(&GatewayConnect::default(), &info("B"), (Duration::ZERO, 0.0));
    assert!(session.is_open());
    actions(&mut session);
    session
}

fn open_acceptor() -> Session {
    let mut session = Session::acceptor(&info("A"), timing(), Duration::ZERO);
    session.handle_connect(b"{\"gateway\":\"B\"}");
    session.admit();
    session.handle_info(&json(&info("B")));
    session.open((Duration::ZERO, 0.0));
    assert!(session.is_open());
    actions(&mut session);
    session
}

#[test]
fn who_dials_hears_first_and_then_says_who_it_is() {
    let mut session = Session::dialer(timing(), Duration::ZERO);
    assert!(actions(&mut session).is_empty());
    session.handle_info(&json(&info("A")));
    assert_eq!(actions(&mut session), [Action::Introduce(Box::new(info("A")))]);
    assert!(session.holds_input());
    let connect = GatewayConnect { gateway: "B".into(), ..GatewayConnect::default() };
    session.greet(&connect, &info("B"), (Duration::ZERO, 0.5));
    let hello = [connect.to_line(), info("B").to_line()].concat();
    assert_eq!(actions(&mut session), [Action::Send(hello), Action::Open]);
    assert_eq!(session.poll_timeout(), Some(SECOND.mul_f64(1.1)));
}

#[test]
fn who_accepts_speaks_first_and_judges_before_anything_else() {
    let mut session = Session::acceptor(&info("A"), timing(), Duration::ZERO);
    assert_eq!(actions(&mut session), [Action::Send(info("A").to_line())]);
    session.handle_connect(b"{\"gateway\":\"B\",\"name\":\"NB\"}");
    let connect = GatewayConnect { gateway: "B".into(), name: "NB".into(), ..GatewayConnect::default() };
    assert_eq!(actions(&mut session), [Action::Judge(Box::new(connect))]);
    assert!(session.holds_input());
    session.admit();
    assert!(!session.holds_input());
    session.handle_info(&json(&info("B")));
    assert_eq!(actions(&mut session), [Action::Introduce(Box::new(info("B")))]);
    session.open((Duration::ZERO, 0.0));
    assert_eq!(actions(&mut session), [Action::Open]);
}

#[test]
fn anything_before_connect_ends_it() {
    let early: [fn(&mut Session); 3] = [
        |session| session.handle_info(b"{}"),
        |session| session.handle_ping(),
        |session| {
            session.admits_traffic(true);
        },
    ];
    for early in early {
        let mut session = Session::acceptor(&info("A"), timing(), Duration::ZERO);
        actions(&mut session);
        early(&mut session);
        assert_eq!(actions(&mut session), [Action::Close(CloseReason::ProtocolViolation)]);
    }
}

#[test]
fn messages_and_interest_go_one_way_each() {
    let (mut dialer, mut acceptor) = (open_dialer(), open_acceptor());
    assert!(dialer.admits_traffic(false) && acceptor.admits_traffic(true));
    assert!(!dialer.admits_traffic(true) && !acceptor.admits_traffic(false));
    for mut session in [dialer, acceptor] {
        assert_eq!(actions(&mut session), [Action::Close(CloseReason::ProtocolViolation)]);
    }
}

#[test]
fn what_a_cluster_says_later_is_told_apart() {
    let mut session = open_dialer();
    let update = GatewayInfo { gateway_urls: vec!["h:1".into()], ..info("A") };
    let gossip = GatewayInfo::gossip("N", "", "C", (vec!["h:2".into()], Vec::new()));
    for info in [
        &update,
        &gossip,
        &GatewayInfo::of_account("A", command::ALL_BEGIN, b"X"),
        &GatewayInfo::of_account("A", command::ALL_COMPLETE, b"X"),
        &GatewayInfo { gateway_cmd: 9, ..info("A") },
    ] {
        session.handle_info(&json(info));
    }
    let expected = [
        Action::Update(Box::new(update)),
        Action::Gossip(Box::new(gossip)),
        Action::AllBegin(b"X".to_vec()),
        Action::AllComplete(b"X".to_vec()),
    ];
    assert_eq!(actions(&mut session), expected);
    session.handle_info(&json(&info("C")));
    assert_eq!(actions(&mut session), [Action::Close(CloseReason::ProtocolViolation)], "it became another cluster");

    let mut session = open_dialer();
    session.handle_info(&json(&GatewayInfo { gateway_cmd: command::ALL_BEGIN, ..info("A") }));
    assert_eq!(actions(&mut session), [Action::Close(CloseReason::ProtocolViolation)], "no account");

    let mut session = open_acceptor();
    session.handle_info(&json(&info("C")));
    assert!(actions(&mut session).is_empty());
}

#[test]
fn the_silent_are_closed() {
    let mut session = Session::acceptor(&info("A"), timing(), Duration::ZERO);
    actions(&mut session);
    session.handle_timeout(2 * SECOND);
    let last = [
        Action::Send(b"-ERR 'Authentication Timeout'\r\n".to_vec()),
        Action::Close(CloseReason::AuthenticationTimeout),
    ];
    assert_eq!(actions(&mut session), last);
    for mut session in [open_dialer(), open_acceptor()] {
        session.handle_timeout(SECOND);
        assert_eq!(actions(&mut session), [Action::Send(b"PING\r\n".to_vec())]);
        session.handle_pong(SECOND + SECOND / 4);
        assert_eq!(actions(&mut session), [Action::Rtt(SECOND / 4)]);
        session.handle_timeout(16 * SECOND);
        session.handle_timeout(31 * SECOND);
        assert_eq!(actions(&mut session).len(), 2);
        session.handle_timeout(46 * SECOND);
        let last = [Action::Send(b"-ERR 'Stale Connection'\r\n".to_vec()), Action::Close(CloseReason::Stale)];
        assert_eq!(actions(&mut session), last);
        assert_eq!(session.poll_timeout(), None);
    }
}

proptest! {
    /// Whatever comes, and whenever: it closes at most once, and does nothing after that.
    #[test]
    fn nothing_happens_after_the_end(dials: bool, steps in proptest::collection::vec(0u8..9, 0..40)) {
        let mut session = if dials {
            Session::dialer(timing(), Duration::ZERO)
        } else {
            Session::acceptor(&info("A"), timing(), Duration::ZERO)
        };
        let mut closed = false;
        for (at, step) in steps.into_iter().enumerate() {
            let now = SECOND * at as u32;
            match step {
                0 => session.handle_connect(b"{\"gateway\":\"B\"}"),
                1 => session.handle_info(&json(&info("B"))),
                2 => session.handle_ping(),
                3 => session.handle_pong(now),
                4 => session.handle_timeout(now),
                5 => session.handle_info(&json(&GatewayInfo::gossip("N", "n", "C", (vec!["h:1".into()], Vec::new())))),
                6 => session.handle_info(b"nonsense"),
                7 => {
                    session.admits_traffic(dials);
                }
                _ => session.handle_info(&json(&GatewayInfo::of_account("B", command::ALL_BEGIN, b"X"))),
            }
            for action in actions(&mut session) {
                prop_assert!(!closed, "{:?}", action);
                match action {
                    Action::Judge(_) => session.admit(),
                    Action::Introduce(_) if dials => {
                        session.greet(&GatewayConnect::default(), &info("A"), (now, 0.0));
                    }
                    Action::Introduce(_) => session.open((now, 0.0)),
                    Action::Close(_) => closed = true,
                    _ => {}
                }
            }
        }
    }
}
