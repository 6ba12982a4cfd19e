//! What clients send, read from the bytes received so far.
//!
//! [`read`] gives one operation that borrows from the bytes, so that a payload is copied only once, to where it goes.
//! Nothing is kept between calls: the caller keeps unread bytes and calls again when there are more.

use memchr::memchr;
use thiserror::Error;

use crate::encode::Message;
use crate::error::{ClientError, CloseReason};
use crate::lex::{parse_size, split_words, trim_start};

/// What a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the arguments of a line.
    pub max_control_line: usize,
    /// Bytes of a message, headers included.
    pub max_payload: usize,
    /// Whether it may send headers.
    pub headers: bool,
}

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// `CONNECT {json}`.
    Connect(&'a [u8]),
    /// `PUB` or `HPUB`.
    Publish(Message<'a>),
    /// `SUB subject [queue] sid`.
    Subscribe(Subscribe<'a>),
    /// `UNSUB sid [max]`.
    Unsubscribe {
        /// Which subscription.
        sid: &'a [u8],
        /// After how many messages, counted from its start; `None` at once.
        max: Option<u64>,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `INFO` or `+OK`, which mean nothing from a client.
    Ignored,
    /// `-ERR`: the client gives up.
    Error(&'a [u8]),
}

/// `SUB subject [queue] sid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// What the client wants to hear of; any bytes but blanks.
    pub subject: &'a [u8],
    /// The group of which one member gets each message.
    pub queue: Option<&'a [u8]>,
    /// What the client calls this subscription.
    pub sid: &'a [u8],
}

/// What [`read`] found at the start of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<'a> {
    /// A whole operation and how many bytes it took.
    Op(Op<'a>, usize),
    /// Not before this many bytes are there can it be told; always more than there were.
    Need(usize),
}

/// Why the bytes of a client cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// No operation begins like that, or a payload does not end where it should.
    #[error("unknown protocol operation")]
    UnknownOperation,
    /// A line is longer than [`Limits::max_control_line`].
    #[error("control line is longer than max_control_line")]
    LineTooLong,
    /// A message is larger than [`Limits::max_payload`].
    #[error("message is larger than max_payload")]
    PayloadTooLarge,
    /// A known operation with arguments that cannot be right.
    #[error("malformed {0} line")]
    Malformed(&'static str),
    /// `HPUB` from a client that did not say `headers`.
    #[error("HPUB without headers:true in CONNECT")]
    HeadersNotSupported,
}

impl ParseError {
    /// What the client is told; `None` where it is only cut off.
    pub fn client_error(self) -> Option<ClientError> {
        match self {
            Self::UnknownOperation => Some(ClientError::UnknownOperation),
            Self::LineTooLong => Some(ClientError::MaxControlLine),
            Self::PayloadTooLarge => Some(ClientError::MaxPayload),
            Self::Malformed(_) | Self::HeadersNotSupported => None,
        }
    }

    /// Why the connection ends.
    pub fn reason(self) -> CloseReason {
        match self {
            Self::UnknownOperation | Self::Malformed(_) => CloseReason::ProtocolViolation,
            Self::LineTooLong => CloseReason::MaxControlLine,
            Self::PayloadTooLarge => CloseReason::MaxPayload,
            Self::HeadersNotSupported => CloseReason::MessageHeaderViolation,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Connect,
    Pub,
    Hpub,
    Sub,
    Unsub,
    Ping,
    Pong,
    Info,
    Ok,
    Err,
}

const VERBS: [(&[u8], Verb); 10] = [
    (b"PUB", Verb::Pub),
    (b"HPUB", Verb::Hpub),
    (b"SUB", Verb::Sub),
    (b"UNSUB", Verb::Unsub),
    (b"PING", Verb::Ping),
    (b"PONG", Verb::Pong),
    (b"CONNECT", Verb::Connect),
    (b"INFO", Verb::Info),
    (b"+OK", Verb::Ok),
    (b"-ERR", Verb::Err),
];

impl Verb {
    /// Whether a blank must follow.
    fn takes_words(self) -> bool {
        matches!(self, Self::Pub | Self::Hpub | Self::Sub | Self::Unsub | Self::Err)
    }
}

/// Reads the operation at the start of `input`.
///
/// # Errors
///
/// As soon as the bytes cannot become an operation any more, be the line or the payload complete or not.
pub fn read<'a>(input: &'a [u8], limits: &Limits) -> Result<Read<'a>, ParseError> {
    let Some((verb, verb_len)) = read_verb(input)? else { return Ok(Read::Need(input.len() + 1)) };
    let Some(line_len) = memchr(b'\n', &input[verb_len..]) else {
        let args = trim_start(&input[verb_len..]);
        // Blanks before the arguments do not count, but are not kept without end either.
        if args.len() > limits.max_control_line || input.len() > 2 * limits.max_control_line + verb_len {
            return Err(ParseError::LineTooLong);
        }
        return Ok(Read::Need(input.len() + 1));
    };
    let line = &input[verb_len..verb_len + line_len];
    let args = trim_start(line.strip_suffix(b"\r").unwrap_or(line));
    if args.len() > limits.max_control_line {
        return Err(ParseError::LineTooLong);
    }
    let after = verb_len + line_len + 1;
    let op = match verb {
        Verb::Pub => return read_message(publish_line(args)?, input, after, limits),
        Verb::Hpub if !limits.headers => return Err(ParseError::HeadersNotSupported),
        Verb::Hpub => return read_message(header_publish_line(args)?, input, after, limits),
        Verb::Sub => Op::Subscribe(subscribe_line(args)?),
        Verb::Unsub => unsubscribe_line(args)?,
        Verb::Ping => Op::Ping,
        Verb::Pong => Op::Pong,
        Verb::Connect => Op::Connect(args),
        Verb::Info | Verb::Ok => Op::Ignored,
        Verb::Err => Op::Error(args),
    };
    Ok(Read::Op(op, after))
}

/// The verb at the start of `input` and its length, once it can be told.
fn read_verb(input: &[u8]) -> Result<Option<(Verb, usize)>, ParseError> {
    if input.starts_with(b"PUB ") {
        return Ok(Some((Verb::Pub, 3)));
    }
    let mut unfinished = false;
    for (name, verb) in VERBS {
        let shared = name.len().min(input.len());
        if !input[..shared].eq_ignore_ascii_case(&name[..shared]) {
            continue;
        }
        match input.get(name.len()) {
            Some(&next) if verb.takes_words() && next != b' ' && next != b'\t' => {
                return Err(ParseError::UnknownOperation);
            }
            Some(_) => return Ok(Some((verb, name.len()))),
            None => unfinished = true,
        }
    }
    if unfinished { Ok(None) } else { Err(ParseError::UnknownOperation) }
}

/// A message line: the message without its bytes, and how many they are.
type Head<'a> = (Message<'a>, usize);

fn publish_line(args: &[u8]) -> Result<Head<'_>, ParseError> {
    let malformed = ParseError::Malformed("PUB");
    let (subject, reply, size) = match split_words(args).ok_or(malformed)? {
        ([subject, size, _], 2) => (subject, None, size),
        ([subject, reply, size], 3) => (subject, Some(reply), size),
        _ => return Err(malformed),
    };
    let total = parse_size(size).ok_or(malformed)?;
    Ok((Message { subject, reply, header_len: 0, body: b"" }, total))
}

fn header_publish_line(args: &[u8]) -> Result<Head<'_>, ParseError> {
    let malformed = ParseError::Malformed("HPUB");
    let (subject, reply, header_len, total) = match split_words(args).ok_or(malformed)? {
        ([subject, header_len, total, _], 3) => (subject, None, header_len, total),
        ([subject, reply, header_len, total], 4) => (subject, Some(reply), header_len, total),
        _ => return Err(malformed),
    };
    let header_len = parse_size(header_len).ok_or(malformed)?;
    let total = parse_size(total).filter(|&total| total >= header_len).ok_or(malformed)?;
    Ok((Message { subject, reply, header_len, body: b"" }, total))
}

/// The message whose line ended before `after`.
fn read_message<'a>(
    (head, total): Head<'a>,
    input: &'a [u8],
    after: usize,
    limits: &Limits,
) -> Result<Read<'a>, ParseError> {
    if total > limits.max_payload {
        return Err(ParseError::PayloadTooLarge);
    }
    // `total` has at most 9 digits.
    let end = after + total;
    match input.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(Read::Op(Op::Publish(Message { body: &input[after..end], ..head }), end + 2)),
        Some([] | [b'\r']) | None => Ok(Read::Need(end + 2)),
        Some(_) => Err(ParseError::UnknownOperation),
    }
}

/// Of an `HPUB` that [`read`] found to be too large: its line, with what has come of its headers as the body, and how many
/// bytes it was to have. `None` if `input` begins with something else.
pub fn read_refused(input: &[u8]) -> Option<(Message<'_>, usize)> {
    let Ok(Some((Verb::Hpub, verb_len))) = read_verb(input) else { return None };
    let end = verb_len + memchr(b'\n', &input[verb_len..])?;
    let line = &input[verb_len..end];
    let (head, total) = header_publish_line(trim_start(line.strip_suffix(b"\r").unwrap_or(line))).ok()?;
    let body = &input[end + 1..];
    Some((Message { body: &body[..head.header_len.min(body.len())], ..head }, total))
}

fn subscribe_line(args: &[u8]) -> Result<Subscribe<'_>, ParseError> {
    match split_words(args) {
        Some(([subject, sid, _], 2)) => Ok(Subscribe { subject, queue: None, sid }),
        Some(([subject, queue, sid], 3)) => Ok(Subscribe { subject, queue: Some(queue), sid }),
        _ => Err(ParseError::Malformed("SUB")),
    }
}

fn unsubscribe_line(args: &[u8]) -> Result<Op<'_>, ParseError> {
    match split_words(args) {
        Some(([sid, _], 1)) => Ok(Op::Unsubscribe { sid, max: None }),
        // What is no number counts as no limit, as in nats-server.
        Some(([sid, max], 2)) => Ok(Op::Unsubscribe { sid, max: parse_size(max).map(|max| max as u64) }),
        _ => Err(ParseError::Malformed("UNSUB")),
    }
}

#[cfg(test)]
mod tests;
