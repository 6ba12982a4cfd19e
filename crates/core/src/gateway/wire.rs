//! Lines between clusters, as they are read. They always name the account.

use crate::route::wire::{Addressed, Tokens, WireError, body, first_line, interest, no_interest, split_verb, unquote};

pub use crate::route::wire::{MAX_CONTROL_LINE, Read};

/// One operation of the other cluster.
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
    /// `RS+`: interest arose.
    Subscribe(Interest<'a>),
    /// `RS-`: interest is gone; of an optimistic server, there never was any.
    Unsubscribe(Interest<'a>),
    /// `A+`: the account is known there now.
    Account(&'a [u8]),
    /// `A-`: nobody there knows the account.
    NoAccount(&'a [u8]),
    /// `RMSG` or `HMSG`.
    Message(Message<'a>),
    /// A line that is valid and means nothing to this server.
    Ignored,
}

/// Interest of the other cluster in a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest<'a> {
    /// The account.
    pub account: &'a [u8],
    /// The subject, with wildcards.
    pub subject: &'a [u8],
    /// Queue group, if it is one's interest.
    pub queue: Option<&'a [u8]>,
}

/// A message of the other cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The account.
    pub account: &'a [u8],
    /// What it was published to.
    pub subject: &'a [u8],
    /// Where an answer goes.
    pub reply: Option<&'a [u8]>,
    /// Queue groups of which this cluster serves one member each.
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
    if is(b"RMSG") {
        message("RMSG", args, false, input, after)
    } else if is(b"HMSG") {
        message("HMSG", args, true, input, after)
    } else {
        Ok(Read::Op(control(verb, args)?, after))
    }
}

fn control<'a>(verb: &'a [u8], args: &'a [u8]) -> Result<Op<'a>, WireError> {
    let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
    Ok(if is(b"RS+") {
        Op::Subscribe(wanted(Tokens(args)).ok_or(WireError::Malformed("RS+"))?)
    } else if is(b"RS-") {
        Op::Unsubscribe(unwanted(Tokens(args)).ok_or(WireError::Malformed("RS-"))?)
    } else if is(b"A+") {
        Op::Account(only(Tokens(args)).ok_or(WireError::Malformed("A+"))?)
    } else if is(b"A-") {
        Op::NoAccount(only(Tokens(args)).ok_or(WireError::Malformed("A-"))?)
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

/// `account subject [queue weight]`; the weight is always 1.
fn wanted(mut args: Tokens<'_>) -> Option<Interest<'_>> {
    let account = args.next()?;
    let (subject, queue, _) = interest(args, None)?;
    Some(Interest { account, subject, queue })
}

fn unwanted(mut args: Tokens<'_>) -> Option<Interest<'_>> {
    let account = args.next()?;
    let (subject, queue) = no_interest(args)?;
    Some(Interest { account, subject, queue })
}

fn only(mut args: Tokens<'_>) -> Option<&[u8]> {
    let account = args.next()?;
    args.next().is_none().then_some(account)
}

fn message<'a>(
    verb: &'static str,
    args: &'a [u8],
    headers: bool,
    input: &'a [u8],
    after: usize,
) -> Result<Read<Op<'a>>, WireError> {
    let malformed = || WireError::Malformed(verb);
    let mut args = Tokens(args);
    let account = args.next().ok_or_else(malformed)?;
    let Addressed { subject, reply, queues, header_len, total, .. } =
        Addressed::read(args, headers).ok_or_else(malformed)?;
    let message = |body| Message { account, subject, reply, queues, header_len, body };
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

    #[test]
    fn interest_names_its_account() {
        let interest = Interest { account: b"$G", subject: b"foo.*", queue: None };
        assert_eq!(op(b"RS+ $G foo.*\r\n"), Op::Subscribe(interest));
        let group = Interest { account: b"A", subject: b"foo", queue: Some(b"q") };
        assert_eq!(op(b"rs+ \tA foo q 1 \r\n"), Op::Subscribe(group));
        assert_eq!(op(b"RS- $G foo.*\n"), Op::Unsubscribe(interest));
        assert_eq!(op(b"RS- A foo q\r\n"), Op::Unsubscribe(group));
        assert_eq!((op(b"A+ $G\r\n"), op(b"a- $G\r\n")), (Op::Account(b"$G"), Op::NoAccount(b"$G")));
    }

    #[test]
    fn messages_name_account_reply_and_queues() {
        let Op::Message(message) = op(b"RMSG ACC foo + _GR_.u4xB6R.IL3XjM.inb.1 q 1\r\nx\r\n") else {
            panic!("a message")
        };
        assert_eq!((message.account, message.subject, message.body), (&b"ACC"[..], &b"foo"[..], &b"x"[..]));
        assert_eq!(message.reply, Some(&b"_GR_.u4xB6R.IL3XjM.inb.1"[..]));
        assert!(message.queues.eq([&b"q"[..]]));
        let Op::Message(message) = op(b"HMSG A foo 12 14\r\nNATS/1.0\r\n\r\nhi\r\n") else { panic!("a message") };
        assert_eq!((message.header_len, message.reply), (12, None));
    }

    #[test]
    fn the_other_lines() {
        assert_eq!(op(b"INFO {\"a\":1}\r\n"), Op::Info(b"{\"a\":1}"));
        assert_eq!(op(b"CONNECT {}\r\n"), Op::Connect(b"{}"));
        assert_eq!((op(b"ping\r\n"), op(b"PONG \r\n"), op(b"+OK\r\n")), (Op::Ping, Op::Pong, Op::Ignored));
        assert_eq!(op(b"-ERR 'Stale Connection'\r\n"), Op::Error(b"Stale Connection"));
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let error = |input: &[u8]| read(input).expect_err("must be refused");
        for (line, verb) in [
            (&b"RS+\r\n"[..], "RS+"),
            (b"RS+ A\r\n", "RS+"),
            (b"RS+ A foo q\r\n", "RS+"),
            (b"RS+ A foo q 0\r\n", "RS+"),
            (b"RS- A foo q 1\r\n", "RS-"),
            (b"A+\r\n", "A+"),
            (b"A- A b\r\n", "A-"),
            (b"RMSG A foo\r\n", "RMSG"),
            (b"RMSG A foo a b 1\r\n", "RMSG"),
            (b"HMSG A foo 15 14\r\n", "HMSG"),
        ] {
            assert_eq!(error(line), WireError::Malformed(verb));
        }
        assert_eq!(error(b"RMSG A foo 99999999\r\n"), WireError::MessageTooLarge(99_999_999));
        assert_eq!(error(b"RMSG A foo 1\r\nxx\r\n"), WireError::UnterminatedPayload);
        assert_eq!(error(b"LMSG A foo 1\r\n"), WireError::UnknownVerb);
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
        fn almost_valid_input_neither(line in "(RS[+-]|A[+-]|[RH]MSG) [A $a.|+ 0-9]{0,30}\r\n[a-z]{0,9}(\r\n)?") {
            if let Ok(Read::Op(_, len)) = read(line.as_bytes()) {
                prop_assert!(len <= line.len());
            }
        }

        #[test]
        fn any_prefix_of_a_message_needs_more(cut in 0usize..32) {
            let message = b"HMSG A foo | q 2 7\r\nabcdefg\r\n";
            let cut = cut.min(message.len() - 1);
            match read(&message[..cut]) {
                Ok(Read::Need(need)) => prop_assert!(need > cut && need <= message.len()),
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }
}
