//! Lines between a hub and a leaf node, as they are read. They name no account: the connection is of one.

use crate::route::wire::{Addressed, Tokens, WireError, body, first_line, interest, no_interest, split_verb, unquote};

pub use crate::route::wire::{MAX_CONTROL_LINE, Read};

/// One operation of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// `INFO {json}`.
    Info(&'a [u8]),
    /// `CONNECT {json}`.
    Connect(&'a [u8]),
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `-ERR 'text'`; the text without quotes.
    Error(&'a [u8]),
    /// `LS+`: interest arose, or a queue group has a new weight.
    Subscribe(Interest<'a>),
    /// `LS-`: interest is gone.
    Unsubscribe(Interest<'a>),
    /// `LMSG` or `HMSG`.
    Message(Message<'a>),
    /// A line that is valid and means nothing to this server.
    Ignored,
}

/// Interest of the other side in a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest<'a> {
    /// The subject, with wildcards.
    pub subject: &'a [u8],
    /// Queue group, if it is one's interest.
    pub queue: Option<&'a [u8]>,
    /// Members of the queue group on the other side; 1 for plain interest, 0 in `LS-`.
    pub weight: u32,
}

/// A message of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it was published to.
    pub subject: &'a [u8],
    /// Where an answer goes.
    pub reply: Option<&'a [u8]>,
    /// Queue groups of which this side serves one member each.
    pub queues: Tokens<'a>,
    /// Bytes of `body` that are headers.
    pub header_len: usize,
    /// Headers, then payload.
    pub body: &'a [u8],
}

/// Reads the operation at the start of `input`.
///
/// # Errors
///
/// When the bytes cannot be followed any further.
pub fn read(input: &[u8]) -> Result<Read<Op<'_>>, WireError> {
    let Some((line, after)) = first_line(input)? else { return Ok(Read::Need(input.len() + 1)) };
    let (verb, args) = split_verb(line);
    let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
    if is(b"LMSG") {
        message("LMSG", args, false, input, after)
    } else if is(b"HMSG") {
        message("HMSG", args, true, input, after)
    } else {
        Ok(Read::Op(control(verb, args)?, after))
    }
}

fn control<'a>(verb: &'a [u8], args: &'a [u8]) -> Result<Op<'a>, WireError> {
    let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
    Ok(if is(b"LS+") {
        let (subject, queue, weight) = interest(Tokens(args), None).ok_or(WireError::Malformed("LS+"))?;
        Op::Subscribe(Interest { subject, queue, weight })
    } else if is(b"LS-") {
        let (subject, queue) = no_interest(Tokens(args)).ok_or(WireError::Malformed("LS-"))?;
        Op::Unsubscribe(Interest { subject, queue, weight: 0 })
    } else if is(b"PING") {
        Op::Ping
    } else if is(b"PONG") {
        Op::Pong
    } else if is(b"INFO") {
        Op::Info(args.trim_ascii())
    } else if is(b"CONNECT") {
        Op::Connect(args.trim_ascii())
    } else if is(b"-ERR") {
        Op::Error(unquote(args.trim_ascii()))
    } else if is(b"+OK") {
        Op::Ignored
    } else {
        return Err(WireError::UnknownVerb);
    })
}

fn message<'a>(
    verb: &'static str,
    args: &'a [u8],
    headers: bool,
    input: &'a [u8],
    after: usize,
) -> Result<Read<Op<'a>>, WireError> {
    let Addressed { subject, reply, queues, header_len, total, .. } =
        Addressed::read(Tokens(args), headers).ok_or(WireError::Malformed(verb))?;
    let message = |body| Message { subject, reply, queues, header_len, body };
    Ok(body(input, after, total)?.map(|body| Op::Message(message(body))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn op(input: &[u8]) -> Op<'_> {
        match read(input).expect("valid") {
            Read::Op(op, len) => {
                assert_eq!(len, input.len(), "all bytes belong to the operation");
                op
            }
            Read::Need(need) => panic!("needs {need} bytes"),
        }
    }

    fn error(input: &[u8]) -> WireError {
        read(input).expect_err("must be refused")
    }

    #[test]
    fn interest_names_subject_and_queue_with_its_weight() {
        let interest = Interest { subject: b"foo.*", queue: None, weight: 1 };
        assert_eq!(op(b"LS+ foo.*\r\n"), Op::Subscribe(interest));
        let group = Interest { subject: b"foo", queue: Some(b"q"), weight: 17 };
        assert_eq!(op(b"ls+ \tfoo q 17 \r\n"), Op::Subscribe(group));
        assert_eq!(op(b"LS- foo.*\n"), Op::Unsubscribe(Interest { weight: 0, ..interest }));
        assert_eq!(op(b"LS- foo q\r\n"), Op::Unsubscribe(Interest { weight: 0, ..group }));
    }

    #[test]
    fn messages_name_reply_and_queues() {
        let Op::Message(message) = op(b"LMSG foo inbox 2\r\nhi\r\n") else { panic!("a message") };
        assert_eq!((message.subject, message.reply, message.body), (&b"foo"[..], Some(&b"inbox"[..]), &b"hi"[..]));
        let Op::Message(message) = op(b"LMSG foo | q1 q2 1\r\nx\r\n") else { panic!("a message") };
        assert!(message.reply.is_none() && message.queues.eq([&b"q1"[..], b"q2"]));
        let Op::Message(message) = op(b"HMSG foo + r q 12 14\r\nNATS/1.0\r\n\r\nhi\r\n") else { panic!("a message") };
        assert_eq!((message.header_len, message.body), (12, &b"NATS/1.0\r\n\r\nhi"[..]));
    }

    #[test]
    fn the_other_lines() {
        assert_eq!(op(b"INFO {\"a\":1} \r\n"), Op::Info(b"{\"a\":1}"));
        assert_eq!(op(b"CONNECT {}\r\n"), Op::Connect(b"{}"));
        assert_eq!((op(b"ping\r\n"), op(b"PONG \r\n"), op(b"+OK\r\n")), (Op::Ping, Op::Pong, Op::Ignored));
        assert_eq!(op(b"-ERR 'Stale Connection'\r\n"), Op::Error(b"Stale Connection"));
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        for (line, verb) in [
            (&b"LS+\r\n"[..], "LS+"),
            (b"LS+ foo q\r\n", "LS+"),
            (b"LS+ foo q 0\r\n", "LS+"),
            (b"LS- foo q 1\r\n", "LS-"),
            (b"LMSG foo\r\n", "LMSG"),
            (b"LMSG foo a b 1\r\n", "LMSG"),
            (b"HMSG foo 15 14\r\n", "HMSG"),
        ] {
            assert_eq!(error(line), WireError::Malformed(verb));
        }
        assert_eq!(error(b"LMSG foo 99999999\r\n"), WireError::MessageTooLarge(99_999_999));
        assert_eq!(error(b"LMSG foo 1\r\nxx\r\n"), WireError::UnterminatedPayload);
        assert_eq!(error(b"RMSG A foo 1\r\n"), WireError::UnknownVerb);
        assert_eq!(error(&[b'A'; MAX_CONTROL_LINE + 1]), WireError::LineTooLong);
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(input in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Read::Need(need)) = read(&input) {
                prop_assert!(need > input.len());
            }
        }

        #[test]
        fn almost_valid_input_neither(line in "(LS[+-]|[LH]MSG) [A $a.|+ 0-9]{0,30}\r\n[a-z]{0,9}(\r\n)?") {
            if let Ok(Read::Op(_, len)) = read(line.as_bytes()) {
                prop_assert!(len <= line.len());
            }
        }

        #[test]
        fn any_prefix_of_a_message_needs_more(cut in 0usize..30) {
            let message = b"HMSG foo | q 2 7\r\nabcdefg\r\n";
            let cut = cut.min(message.len() - 1);
            match read(&message[..cut]) {
                Ok(Read::Need(need)) => prop_assert!(need > cut && need <= message.len()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
