use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { max_control_line: 64, max_payload: 100, headers: true };

/// All that `input` says, when it comes in pieces of these sizes, again and again.
fn read_in_pieces(input: &[u8], sizes: &[usize]) -> (Vec<String>, Option<ParseError>) {
    let mut ops = Vec::new();
    let (mut start, mut end, mut needed) = (0, 0, 1);
    let mut sizes = sizes.iter().cycle();
    while end < input.len() {
        end = (end + sizes.next().unwrap()).min(input.len());
        while end - start >= needed {
            match read(&input[start..end], &LIMITS) {
                Ok(Read::Op(op, len)) => {
                    ops.push(format!("{op:?}"));
                    start += len;
                    needed = 1;
                }
                Ok(Read::Need(need)) => {
                    assert!(need > end - start, "asked for what is there");
                    needed = need;
                }
                Err(error) => return (ops, Some(error)),
            }
        }
    }
    (ops, None)
}

fn read_all(input: &str) -> (Vec<String>, Option<ParseError>) {
    read_in_pieces(input.as_bytes(), &[usize::MAX >> 1])
}

fn error(input: &str) -> Option<ParseError> {
    read_all(input).1
}

fn one(input: &str) -> Op<'_> {
    match read(input.as_bytes(), &LIMITS) {
        Ok(Read::Op(op, len)) if len == input.len() => op,
        other => panic!("{input:?}: {other:?}"),
    }
}

#[test]
fn every_operation() {
    let message = Message { subject: b"foo", reply: None, header_len: 0, body: b"hi" };
    assert_eq!(one("PUB foo 2\r\nhi\r\n"), Op::Publish(message));
    assert_eq!(one("pub\tfoo \t in  2 \nhi\r\n"), Op::Publish(Message { reply: Some(b"in"), ..message }));
    let with_headers = Message { header_len: 12, body: b"NATS/1.0\r\n\r\nhi", ..message };
    assert_eq!(one("HPUB foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"), Op::Publish(with_headers));
    assert_eq!(one("HPUB foo 0 2\r\nhi\r\n"), Op::Publish(message));
    let subscribe = Subscribe { subject: b"foo", queue: None, sid: b"1" };
    assert_eq!(one("SUB foo 1\r\n"), Op::Subscribe(subscribe));
    assert_eq!(one("sub foo q 1\r\n"), Op::Subscribe(Subscribe { queue: Some(b"q"), ..subscribe }));
    assert_eq!(one("UNSUB 1\r\n"), Op::Unsubscribe { sid: b"1", max: None });
    assert_eq!(one("UNSUB 1 5\r\n"), Op::Unsubscribe { sid: b"1", max: Some(5) });
    assert_eq!(one("pInG   \r\n"), Op::Ping);
    assert_eq!(one("PONG\n"), Op::Pong);
    assert_eq!(one("CONNECT {}\r\n"), Op::Connect(b"{}"));
    assert_eq!(one("INFO {\"a\":1}\r\n"), Op::Ignored);
    assert_eq!(one("+OK\r\n"), Op::Ignored);
    assert_eq!(one("-ERR 'x'\r\n"), Op::Error(b"'x'"));
}

#[test]
fn the_unknown_is_told_before_its_line_ends() {
    for input in ["F", "\r\n", "\n", "RMSG", "MSG foo 1 2\r\n", "A+ foo\r\n", "LS+ foo", "SUB\r\n", "UNSUB\r", "PUBX"] {
        assert_eq!(error(input), Some(ParseError::UnknownOperation), "{input:?}");
    }
    assert_eq!(read(b"\xff\xf4\xff\xfd\x06", &LIMITS), Err(ParseError::UnknownOperation));
}

#[test]
fn impossible_arguments_are_malformed() {
    for (verb, lines) in [
        ("PUB", vec!["PUB foo\r\n", "PUB foo x\r\n", "PUB foo a b 2\r\n", "PUB foo -1\r\n", "PUB foo 9999999999\r\n"]),
        ("HPUB", vec!["HPUB foo 5\r\n", "HPUB foo 30 25\r\n", "HPUB foo x 25\r\n", "HPUB a b c 1 2\r\n"]),
        ("SUB", vec!["SUB foo\r\n", "SUB foo a b c\r\n", "SUB \r\n"]),
        ("UNSUB", vec!["UNSUB 1 2 3\r\n", "UNSUB \r\n"]),
    ] {
        for line in lines {
            assert_eq!(error(line), Some(ParseError::Malformed(verb)), "{line:?}");
        }
    }
}

#[test]
fn a_payload_ends_where_it_says() {
    for input in ["PUB foo 2\r\nhi\n", "PUB foo 2\r\nhello\r\n", "PUB foo 2\r\nhi\rx"] {
        assert_eq!(error(input), Some(ParseError::UnknownOperation), "{input:?}");
    }
}

#[test]
fn limits_hold_before_all_is_there() {
    assert_eq!(error("PUB foo 101\r\n"), Some(ParseError::PayloadTooLarge));
    assert_eq!(error("HPUB foo 12 101\r\n"), Some(ParseError::PayloadTooLarge));
    assert_eq!(error(&format!("SUB {}", "a".repeat(65))), Some(ParseError::LineTooLong));
    assert_eq!(error(&format!("SUB {} 1\r\n", "a".repeat(63))), Some(ParseError::LineTooLong));
    assert_eq!(error(&format!("SUB {}", " ".repeat(1000))), Some(ParseError::LineTooLong));
    assert_eq!(error(&format!("SUB {} 1\r\n", "a".repeat(62))), None);
    let no_headers = Limits { headers: false, ..LIMITS };
    assert_eq!(read(b"HPUB foo 0 2\r\n", &no_headers), Err(ParseError::HeadersNotSupported));
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..90usize, "[a-z.*>]{1,9}").prop_map(|(size, subject)| {
            let mut line = format!("PUB {subject} {size}\r\n").into_bytes();
            line.extend((0..size).map(|at| b"x\r\n P"[at % 5]));
            line.extend_from_slice(b"\r\n");
            line
        }),
        "(SUB|unsub) [a-z.]{1,5} [a-z0-9]{1,3}\r?\n".prop_map(String::into_bytes),
        Just(b"PING\r\n".to_vec()),
        Just(b"hpub a r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n".to_vec()),
        Just(b"CONNECT {\"verbose\":false}\r\n".to_vec()),
        "[PUBSIN+OK a-z0-9\r\n]{1,30}".prop_map(String::into_bytes),
    ]
}

#[test]
fn of_what_is_too_large_the_headers_can_be_read() {
    let refused = |input: &'static str| {
        let (message, total) = read_refused(input.as_bytes())?;
        Some((message.subject, message.reply, message.headers(), total))
    };
    assert_eq!(read(b"HPUB a r 4 200\r\n", &LIMITS), Err(ParseError::PayloadTooLarge));
    assert_eq!(refused("HPUB a r 4 200\r\nheadPAYLOAD"), Some((&b"a"[..], Some(&b"r"[..]), &b"head"[..], 200)));
    assert_eq!(refused("hpub a 4 200\nhe"), Some((&b"a"[..], None, &b"he"[..], 200)));
    for other in ["HPUB a 4 200", "PUB a 200\r\nhead", "HPUB a 4 x\r\n", "HPUB 4\r\n", "NO\r\n", ""] {
        assert_eq!(refused(other), None, "{other:?}");
    }
}

proptest! {
    #[test]
    fn pieces_do_not_matter(
        lines in proptest::collection::vec(line(), 1..12),
        sizes in proptest::collection::vec(1..20usize, 1..10),
    ) {
        let input = lines.concat();
        prop_assert_eq!(read_in_pieces(&input, &sizes), read_in_pieces(&input, &[input.len()]));
    }

    #[test]
    fn no_input_is_too_odd(input in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_in_pieces(&input, &[7]);
    }
}
