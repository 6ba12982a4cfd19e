use super::*;

const TIMING: Timing = Timing {
    handshake: Duration::from_secs(2),
    first_ping: Duration::from_secs(1),
    ping_interval: Duration::from_secs(60),
    ping_max: 2,
};
const START: (Duration, f64) = (Duration::ZERO, 0.0);

fn actions(session: &mut Session) -> Vec<Action> {
    let mut actions = all_actions(session);
    actions.retain(|action| !matches!(action, Action::Agreed(Agreement::Plain(_))));
    actions
}

fn all_actions(session: &mut Session) -> Vec<Action> {
    std::iter::from_fn(|| session.poll_action()).collect()
}

fn hub_info() -> LeafInfo {
    LeafInfo { client_id: 3, cluster: "hub".into(), info_on_connect: true, ..LeafInfo::default() }
}

fn json(line: &[u8]) -> Vec<u8> {
    line[line.iter().position(|byte| *byte == b' ').expect("a verb")..].trim_ascii().to_vec()
}

/// An acceptor that is told this, and has the verdict that it is let in.
fn admitted(connect: &LeafConnect, min: Option<&str>) -> Vec<Action> {
    let mut session = Session::acceptor(None, TIMING, Duration::ZERO);
    session.handle_connect(&json(&connect.to_line()));
    let [Action::Judge(heard)] = &actions(&mut session)[..] else { panic!("nobody is asked") };
    assert!(session.holds_input());
    session.admit(heard, "hub", min, &hub_info(), START);
    actions(&mut session)
}

fn refusal(connect: &LeafConnect, min: Option<&str>) -> (String, CloseReason) {
    let mut said = admitted(connect, min);
    let Some(Action::Close(reason)) = said.pop() else { panic!("not closed: {said:?}") };
    let Some(Action::Send(text)) = said.pop() else { panic!("without a word") };
    (String::from_utf8(text).expect("text"), reason)
}

#[test]
fn two_servers_meet() {
    let mut hub = Session::acceptor(Some(&hub_info()), TIMING, Duration::ZERO);
    let mut leaf = Session::dialer(TIMING, Duration::ZERO);
    let [Action::Send(info)] = &actions(&mut hub)[..] else { panic!("INFO comes first") };
    leaf.handle_info(&json(info), START);
    let [Action::Greet(_)] = &actions(&mut leaf)[..] else { panic!("it is to answer") };
    leaf.greet(&LeafConnect { cluster: "leafs".into(), ..LeafConnect::default() }, START);
    let [Action::Send(connect)] = &actions(&mut leaf)[..] else { panic!("CONNECT alone") };
    hub.handle_connect(&json(connect));
    let [Action::Judge(connect)] = &actions(&mut hub)[..] else { panic!("somebody has to decide") };
    let welcome = LeafInfo { connect_info: true, remote_account: "A".into(), ..hub_info() };
    hub.admit(connect, "hub", None, &welcome, START);
    let [Action::Send(info), Action::Open] = &actions(&mut hub)[..] else { panic!("the hub is open") };
    assert!(!leaf.is_open());
    leaf.handle_info(&json(info), START);
    let [Action::Update(info), Action::Open] = &actions(&mut leaf)[..] else { panic!("the leaf is open") };
    assert_eq!(info.remote_account, "A");
}

#[test]
fn an_old_hub_says_nothing_more() {
    let mut leaf = Session::dialer(TIMING, Duration::ZERO);
    let info = LeafInfo { info_on_connect: false, leafnode_urls: vec!["h:1".into()], ..hub_info() };
    leaf.handle_info(&json(&info.to_line()), START);
    leaf.greet(&LeafConnect::default(), START);
    assert!(leaf.is_open());
}

#[test]
fn who_is_no_leaf_node_is_told_so() {
    let is = |connect: LeafConnect, text: &str, reason| {
        assert_eq!(refusal(&connect, None), (format!("-ERR '{text}'\r\n"), reason));
    };
    let with = LeafConnect::default;
    is(
        LeafConnect { lang: Some("go".into()), ..with() },
        "attempted to connect to leaf node port",
        CloseReason::WrongPort,
    );
    is(
        LeafConnect { cluster: "a b".into(), ..with() },
        "cluster name cannot contain spaces",
        CloseReason::ProtocolViolation,
    );
    is(LeafConnect { cluster: "_".into(), ..with() }, "cluster name is reserved", CloseReason::ProtocolViolation);
    is(LeafConnect { cluster: "hub".into(), ..with() }, SAME_CLUSTER, CloseReason::ClusterNamesIdentical);
    is(
        LeafConnect { gateway: Some("g".into()), ..with() },
        "Rejecting connection from gateway \"g\" on the leafnode port",
        CloseReason::WrongPort,
    );
    let old = LeafConnect { version: "2.9.9".into(), ..with() };
    let text = "-ERR 'connection rejected since minimum version required is \"2.10.0\"'\r\n".to_owned();
    assert_eq!(refusal(&old, Some("2.10.0")), (text, CloseReason::MinimumVersionRequired));
    assert_eq!(admitted(&old, Some("2.9.0")).pop(), Some(Action::Open));
}

#[test]
fn other_ports_and_other_bytes_are_no_hub() {
    let mut leaf = Session::dialer(TIMING, Duration::ZERO);
    leaf.handle_info(b"{\"server_id\":\"N\"}", START);
    assert_eq!(actions(&mut leaf), [Action::Close(CloseReason::WrongPort)]);
    let mut leaf = Session::dialer(TIMING, Duration::ZERO);
    leaf.handle_info(b"{", START);
    assert_eq!(actions(&mut leaf), [Action::Close(CloseReason::ProtocolViolation)]);
}

#[test]
fn nothing_is_taken_before_connect() {
    let mut hub = Session::acceptor(None, TIMING, Duration::ZERO);
    hub.handle_ping();
    let told = Action::Send(b"-ERR 'Authorization Violation'\r\n".to_vec());
    assert_eq!(actions(&mut hub), [told, Action::Close(CloseReason::AuthenticationFailure)]);
}

#[test]
fn every_wait_has_an_end() {
    let reason_at = |mut session: Session, after: Duration| {
        assert_eq!(session.poll_timeout(), Some(after));
        session.handle_timeout(after);
        match actions(&mut session).pop() {
            Some(Action::Close(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let acceptor = Session::acceptor(None, TIMING, Duration::ZERO);
    assert_eq!(reason_at(acceptor, TIMING.handshake), CloseReason::AuthenticationTimeout);
    assert_eq!(reason_at(Session::dialer(TIMING, Duration::ZERO), TIMING.handshake), CloseReason::ReadError);
    let mut waiting = Session::dialer(TIMING, Duration::ZERO);
    waiting.handle_info(&json(&hub_info().to_line()), START);
    waiting.greet(&LeafConnect::default(), START);
    actions(&mut waiting);
    assert_eq!(reason_at(waiting, WELCOME_TIMEOUT), CloseReason::Stale);
}

#[test]
fn pings_measure_and_find_the_dead() {
    let mut hub = Session::acceptor(None, TIMING, Duration::ZERO);
    hub.handle_connect(b"{}");
    hub.admit(&LeafConnect::default(), "hub", None, &hub_info(), START);
    actions(&mut hub);
    let at = Duration::from_secs;
    hub.handle_timeout(at(1));
    assert_eq!(actions(&mut hub), [Action::Send(b"PING\r\n".to_vec())]);
    hub.handle_pong(at(3));
    assert_eq!(actions(&mut hub), [Action::Rtt(at(2))]);
    hub.handle_timeout(at(61));
    hub.handle_timeout(at(121));
    actions(&mut hub);
    hub.handle_timeout(at(181));
    assert_eq!(actions(&mut hub).pop(), Some(Action::Close(CloseReason::Stale)));
}

#[test]
fn versions_are_compared_as_numbers() {
    assert!(is_at_least("2.15.2", "2.9.0") && is_at_least("v2.10.0-RC.1", "2.10.0"));
    assert!(!is_at_least("2.9.9", "2.10.0") && !is_at_least("", "2.8.0") && !is_at_least("2.10", "2.8.0"));
    assert_eq!(numbers("1.2.3.4"), None);
}

#[test]
fn both_compress_once_both_have_said_so() {
    let mode = Mode::Always(crate::compression::Level::Fast);
    let wanting = |name: &str| LeafInfo { compression: name.into(), ..hub_info() };
    let mut hub = Session::acceptor(Some(&wanting("accept")), TIMING, Duration::ZERO).with_compression(Mode::Accept);
    let mut leaf = Session::dialer(TIMING, Duration::ZERO).with_compression(mode);
    let [Action::Send(first)] = &actions(&mut hub)[..] else { panic!("INFO comes first") };
    leaf.handle_info(&json(first), START);
    assert_eq!(actions(&mut leaf), [Action::Compress]);
    leaf.compress(&LeafInfo { client_id: 5, ..LeafInfo::default() });
    let said = actions(&mut leaf);
    let [Action::Send(chosen), Action::Agreed(ours)] = &said[..] else { panic!("INFO goes as it is: {said:?}") };
    hub.handle_info(&json(chosen), START);
    assert_eq!(actions(&mut hub), [Action::Compress]);
    hub.compress(&hub_info());
    let said = actions(&mut hub);
    let [Action::Agreed(theirs), Action::Send(second)] = &said[..] else { panic!("INFO is compressed: {said:?}") };
    assert_eq!((ours.name(), theirs.name()), ("s2_fast", "s2_fast"));
    leaf.handle_info(&json(second), START);
    assert!(matches!(&actions(&mut leaf)[..], [Action::Greet(info)] if info.compression == "s2_fast"));
    hub.handle_connect(b"{\"compress_mode\":\"s2_fast\"}");
    assert!(matches!(&actions(&mut hub)[..], [Action::Judge(_)]));
}

#[test]
fn a_leaf_node_that_does_not_compress_says_so_with_connect() {
    for (said, known) in [("\"off\"", Status::Off), ("\"\"", Status::Unsupported)] {
        let mut hub = Session::acceptor(None, TIMING, Duration::ZERO).with_compression(Mode::Accept);
        hub.handle_connect(format!("{{\"compress_mode\":{said}}}").as_bytes());
        let said = all_actions(&mut hub);
        assert!(matches!(&said[..], [Action::Agreed(Agreement::Plain(status)), Action::Judge(_)] if *status == known));
    }
    let mut unknown = Session::acceptor(None, TIMING, Duration::ZERO).with_compression(Mode::Accept);
    unknown.handle_info(b"{\"compression\":\"zstd\"}", START);
    assert!(matches!(&actions(&mut unknown)[..], [Action::Send(_), Action::Close(CloseReason::ProtocolViolation)]));
}
