use super::*;
use proptest::prelude::*;

fn op(input: &[u8]) -> Op<'_> {
    op_on(Reader::new(false), input)
}

fn op_on(reader: Reader, input: &[u8]) -> Op<'_> {
    match reader.read(input).expect("valid") {
        Read::Op(op, len) => {
            assert_eq!(len, input.len(), "all bytes belong to the operation");
            op
        }
        Read::Need(need) => panic!("needs {need} bytes"),
    }
}

fn error(input: &[u8]) -> WireError {
    Reader::new(false).read(input).expect_err("must be refused")
}

fn plain<'a>(subject: &'a [u8], body: &'a [u8]) -> Message<'a> {
    Message {
        origin: None,
        account: Some(b"ACC"),
        subject,
        reply: None,
        queues: Tokens(b""),
        queues_only: false,
        header_len: 0,
        body,
    }
}

#[test]
fn interest_names_account_subject_and_queue_with_its_weight() {
    let interest = Interest { origin: None, account: Some(b"ACC"), subject: b"foo.*", queue: None, weight: 1 };
    assert_eq!(op(b"RS+ ACC foo.*\r\n"), Op::Subscribe(interest));
    assert_eq!(
        op(b"rs+  ACC\tfoo q 17 \r\n"),
        Op::Subscribe(Interest { subject: b"foo", queue: Some(b"q"), weight: 17, ..interest })
    );
    let single = Interest { subject: b"foo", queue: Some(b"q"), weight: 1, ..interest };
    assert_eq!(op(b"RS+ ACC foo q \r\n"), Op::Subscribe(single));
    assert_eq!(op(b"RS- ACC foo.*\n"), Op::Unsubscribe(Interest { weight: 0, ..interest }));
    assert_eq!(
        op(b"RS- ACC foo q\r\n"),
        Op::Unsubscribe(Interest { subject: b"foo", queue: Some(b"q"), weight: 0, ..interest })
    );
}

#[test]
fn messages_name_reply_and_queues() {
    assert_eq!(op(b"RMSG ACC foo 5\r\nhello\r\n"), Op::Message(plain(b"foo", b"hello")));
    assert_eq!(
        op(b"RMSG ACC foo inbox.1 0\r\n\r\n"),
        Op::Message(Message { reply: Some(b"inbox.1"), ..plain(b"foo", b"") })
    );
    let Op::Message(message) = op(b"RMSG ACC foo | q1 q2 1\r\nx\r\n") else { panic!("a message") };
    assert_eq!(message.reply, None);
    assert!(message.queues.eq([&b"q1"[..], b"q2"]));
    let Op::Message(message) = op(b"RMSG ACC foo + inbox q1 1\r\nx\r\n") else { panic!("a message") };
    assert_eq!(message.reply, Some(&b"inbox"[..]));
    assert!(message.queues.eq([&b"q1"[..]]));
}

#[test]
fn headers_come_before_the_payload() {
    assert_eq!(
        op(b"HMSG ACC foo r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"),
        Op::Message(Message { reply: Some(b"r"), header_len: 12, ..plain(b"foo", b"NATS/1.0\r\n\r\nhi") })
    );
    assert_eq!(error(b"HMSG ACC foo 15 14\r\n"), WireError::Malformed("HMSG"));
}

#[test]
fn a_dedicated_route_names_no_account() {
    let reader = Reader::new(true);
    assert_eq!(
        op_on(reader, b"RS+ p.x\r\n"),
        Op::Subscribe(Interest { origin: None, account: None, subject: b"p.x", queue: None, weight: 1 })
    );
    let Op::Message(message) = op_on(reader, b"RMSG p.y + r q 1\r\nx\r\n") else { panic!("a message") };
    assert_eq!((message.account, message.subject), (None, &b"p.y"[..]));
}

#[test]
fn what_is_of_leaf_nodes_names_their_cluster() {
    let interest =
        Interest { origin: Some(b"leafs"), account: Some(b"ACC"), subject: b"foo", queue: Some(b"q"), weight: 2 };
    assert_eq!(op(b"LS+ leafs ACC foo q 2\r\n"), Op::Subscribe(interest));
    assert_eq!(op(b"LS- leafs ACC foo q\r\n"), Op::Unsubscribe(Interest { weight: 0, ..interest }));
    let message = Message { origin: Some(b"leafs"), ..plain(b"foo", b"hi") };
    assert_eq!(op(b"LMSG leafs ACC foo 0 2\r\nhi\r\n"), Op::Message(message));
    let Op::Message(message) = op(b"LMSG leafs ACC foo + r q 0 1\r\nx\r\n") else { panic!("a message") };
    assert_eq!((message.origin, message.reply), (Some(&b"leafs"[..]), Some(&b"r"[..])));
    assert_eq!(error(b"LMSG leafs ACC foo 2\r\n"), WireError::Malformed("LMSG"));
    assert_eq!(error(b"LS+ leafs\r\n"), WireError::Malformed("LS+"));
}

#[test]
fn the_other_lines() {
    assert_eq!(op(b"INFO {\"a\":1} \r\n"), Op::Info(b"{\"a\":1}"));
    assert_eq!(op(b"CONNECT {}\r\n"), Op::Connect(b"{}"));
    assert_eq!(op(b"ping\r\n"), Op::Ping);
    assert_eq!(op(b"PONG  \r\n"), Op::Pong);
    assert_eq!(op(b"-ERR 'Stale Connection'\r\n"), Op::Error(b"Stale Connection"));
    assert_eq!(op(b"SUB foo 1\r\n"), Op::Ignored);
}

#[test]
fn what_cannot_be_right_is_refused() {
    assert_eq!(error(b"RS+ ACC\r\n"), WireError::Malformed("RS+"));
    assert_eq!(error(b"RS+ ACC foo q 0\r\n"), WireError::Malformed("RS+"));
    assert_eq!(error(b"RS+ ACC foo q 4294967296\r\n"), WireError::Malformed("RS+"));
    assert_eq!(error(b"RS- ACC foo q 1\r\n"), WireError::Malformed("RS-"));
    assert_eq!(error(b"RMSG ACC\r\n"), WireError::Malformed("RMSG"));
    assert_eq!(error(b"RMSG ACC foo -1\r\n"), WireError::Malformed("RMSG"));
    assert_eq!(error(b"RMSG ACC foo a b 1\r\n"), WireError::Malformed("RMSG"));
    assert_eq!(error(b"RMSG ACC foo 99999999\r\n"), WireError::MessageTooLarge(99_999_999));
    assert_eq!(error(b"RMSG ACC foo 1\r\nxx\r\n"), WireError::UnterminatedPayload);
    assert_eq!(error(b"PUB foo 1\r\n"), WireError::UnknownVerb);
    assert_eq!(error(b"\r\n"), WireError::UnknownVerb);
    assert_eq!(error(&[b'A'; MAX_CONTROL_LINE + 1]), WireError::LineTooLong);
}

#[test]
fn a_long_payload_says_how_much_is_missing() {
    assert_eq!(Reader::new(false).read(b"RMSG ACC foo 5\r\nhe"), Ok(Read::Need(16 + 5 + 2)));
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..200), dedicated: bool) {
        if let Ok(Read::Need(need)) = Reader::new(dedicated).read(&input) {
            prop_assert!(need > input.len());
        }
    }

    #[test]
    fn almost_valid_input_neither(line in "(RS[+-]|[RHL]MSG) [A $a.|+ 0-9]{0,30}\r\n[a-z]{0,9}(\r\n)?") {
        if let Ok(Read::Op(_, len)) = Reader::new(false).read(line.as_bytes()) {
            prop_assert!(len <= line.len());
        }
    }

    #[test]
    fn any_prefix_of_a_message_needs_more(cut in 0usize..30) {
        let message = b"HMSG ACC foo | q 2 7\r\nabcdefg\r\n";
        let cut = cut.min(message.len() - 1);
        match Reader::new(false).read(&message[..cut]) {
            Ok(Read::Need(need)) => prop_assert!(need > cut && need <= message.len()),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
