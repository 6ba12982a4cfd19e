//! Lines of the route protocol, as they are read.
//!
//! [`Reader::read`] takes the bytes received so far and gives one operation that borrows from them, so that a payload is
//! never copied on its way in. Nothing is kept between calls: the caller keeps unread bytes and calls again.

use memchr::memchr;
use thiserror::Error;

use super::dag::wire as dag;
use super::spread;
use crate::lex::{is_blank, parse_size};

/// Bytes a control line may have on a route: 16 times what a client may send.
pub const MAX_CONTROL_LINE: usize = 16 * 4096;

/// Bytes a message (headers and payload) may have on a route. Servers of one cluster may allow their clients
/// different sizes; this is the highest that any of them can be configured to.
pub const MAX_MESSAGE: usize = 64 << 20;

/// Why a peer's bytes cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// A verb that routes do not know.
    #[error("unknown verb in the route protocol")]
    UnknownVerb,
    /// A known verb with arguments that cannot be right.
    #[error("malformed {0} line in the route protocol")]
    Malformed(&'static str),
    /// A line longer than [`MAX_CONTROL_LINE`].
    #[error("control line of a route is longer than {MAX_CONTROL_LINE} bytes")]
    LineTooLong,
    /// A message larger than [`MAX_MESSAGE`].
    #[error("message of {0} bytes on a route, more than {MAX_MESSAGE}")]
    MessageTooLarge(usize),
    /// A payload that is not followed by CR LF.
    #[error("payload on a route does not end in CR LF")]
    UnterminatedPayload,
}

impl WireError {
    /// What the peer is told in a `-ERR`; of malformed arguments it is told nothing.
    pub fn told(&self) -> Option<&'static str> {
        match self {
            Self::UnknownVerb | Self::UnterminatedPayload => Some("Unknown Protocol Operation"),
            Self::LineTooLong => Some("maximum control line exceeded"),
            Self::Malformed(_) | Self::MessageTooLarge(_) => None,
        }
    }
}

/// One operation of the peer.
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
    /// `RS+`, or `LS+` of leaf nodes: interest arose, or a queue group has a new weight.
    Subscribe(Interest<'a>),
    /// `RS-`, or `LS-` of leaf nodes: interest is gone.
    Unsubscribe(Interest<'a>),
    /// `RMSG`, `HMSG`, or `LMSG` from leaf nodes.
    Message(Message<'a>),
    /// What servers tell each other in a cluster that is a graph.
    Dag(dag::Op<'a>),
    /// What keeps messages in order that several connections share out.
    Spread(spread::Op),
    /// A line that is valid on a route and means nothing to this server.
    Ignored,
}

/// Interest of the peer's side in a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest<'a> {
    /// The cluster of the leaf nodes behind the peer whose interest it is.
    pub origin: Option<&'a [u8]>,
    /// `None` on a route dedicated to one account.
    pub account: Option<&'a [u8]>,
    /// The subject, with wildcards.
    pub subject: &'a [u8],
    /// Queue group, if it is one's interest.
    pub queue: Option<&'a [u8]>,
    /// Members of the queue group on the peer's side; 1 for plain interest, 0 in `RS-`.
    pub weight: u32,
}

/// A routed message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The cluster of the leaf nodes behind the peer that it came from.
    pub origin: Option<&'a [u8]>,
    /// `None` on a route dedicated to one account.
    pub account: Option<&'a [u8]>,
    /// What it was published to.
    pub subject: &'a [u8],
    /// Where an answer goes.
    pub reply: Option<&'a [u8]>,
    /// Queue groups of which the receiver serves one member each.
    pub queues: Tokens<'a>,
    /// Nobody but members of these groups gets it: the others had it from the server where it was published.
    pub queues_only: bool,
    /// Bytes of `body` that are headers.
    pub header_len: usize,
    /// Headers, then payload.
    pub body: &'a [u8],
}

/// What was found at the start of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// A whole operation and how many bytes it took.
    Op(T, usize),
    /// Not before this many bytes are there can it be told; always more than there were.
    Need(usize),
}

impl<T> Read<T> {
    pub(crate) fn map<U>(self, make: impl FnOnce(T) -> U) -> Read<U> {
        match self {
            Self::Op(op, len) => Read::Op(make(op), len),
            Self::Need(need) => Read::Need(need),
        }
    }
}

/// Reads the lines of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reader {
    dedicated: bool,
}

impl Reader {
    /// A reader for a route that carries every account, or one `dedicated` to a single account, where lines name none.
    pub fn new(dedicated: bool) -> Self {
        Self { dedicated }
    }

    /// Reads the operation at the start of `input`.
    pub fn read<'a>(&self, input: &'a [u8]) -> Result<Read<Op<'a>>, WireError> {
        let Some((line, after)) = first_line(input)? else { return Ok(Read::Need(input.len() + 1)) };
        // Nearly all lines of a busy route.
        if let Some(args) = line.strip_prefix(b"RMSG ") {
            return self.message("RMSG", args, false, input, after);
        }
        let (verb, args) = split_verb(line);
        if verb.eq_ignore_ascii_case(b"RMSG") {
            self.message("RMSG", args, false, input, after)
        } else if verb.eq_ignore_ascii_case(b"HMSG") {
            self.message("HMSG", args, true, input, after)
        } else if verb.eq_ignore_ascii_case(b"LMSG") {
            self.leaf_message(args, input, after)
        } else if let Some(read) = dag::read(verb, args, input, after)? {
            Ok(read.map(Op::Dag))
        } else if let Some(op) = spread::Op::read(verb, args) {
            op.map(|op| Read::Op(Op::Spread(op), after)).ok_or(WireError::Malformed("SEQ, ASK or GOT"))
        } else {
            Ok(Read::Op(self.control(verb, args)?, after))
        }
    }

    fn control<'a>(&self, verb: &'a [u8], args: &'a [u8]) -> Result<Op<'a>, WireError> {
        let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
        if is(b"RS+") {
            self.subscribe(None, Tokens(args)).map(Op::Subscribe).ok_or(WireError::Malformed("RS+"))
        } else if is(b"RS-") {
            self.unsubscribe(None, Tokens(args)).map(Op::Unsubscribe).ok_or(WireError::Malformed("RS-"))
        } else if is(b"LS+") {
            self.of_leafs(args, Self::subscribe).map(Op::Subscribe).ok_or(WireError::Malformed("LS+"))
        } else if is(b"LS-") {
            self.of_leafs(args, Self::unsubscribe).map(Op::Unsubscribe).ok_or(WireError::Malformed("LS-"))
        } else if is(b"PING") {
            Ok(Op::Ping)
        } else if is(b"PONG") {
            Ok(Op::Pong)
        } else if is(b"INFO") {
            Ok(Op::Info(args.trim_ascii()))
        } else if is(b"CONNECT") {
            Ok(Op::Connect(args.trim_ascii()))
        } else if is(b"-ERR") {
            Ok(Op::Error(unquote(args.trim_ascii())))
        } else if [&b"+OK"[..], b"SUB", b"UNSUB"].iter().any(|name| is(name)) {
            Ok(Op::Ignored)
        } else {
            Err(WireError::UnknownVerb)
        }
    }

    fn subscribe<'a>(&self, origin: Option<&'a [u8]>, mut args: Tokens<'a>) -> Option<Interest<'a>> {
        let account = self.account(&mut args)?;
        let (subject, queue, weight) = interest(args, Some(1))?;
        Some(Interest { origin, account, subject, queue, weight })
    }

    fn unsubscribe<'a>(&self, origin: Option<&'a [u8]>, mut args: Tokens<'a>) -> Option<Interest<'a>> {
        let account = self.account(&mut args)?;
        let (subject, queue) = no_interest(args)?;
        Some(Interest { origin, account, subject, queue, weight: 0 })
    }

    /// Reads what comes after the cluster of leaf nodes.
    fn of_leafs<'a>(
        &self,
        args: &'a [u8],
        read: impl FnOnce(&Self, Option<&'a [u8]>, Tokens<'a>) -> Option<Interest<'a>>,
    ) -> Option<Interest<'a>> {
        let mut args = Tokens(args);
        let origin = args.next()?;
        read(self, Some(origin), args)
    }

    /// `None` when the token is missing; `Some(None)` where lines carry none.
    #[allow(clippy::option_option)]
    fn account<'a>(&self, args: &mut Tokens<'a>) -> Option<Option<&'a [u8]>> {
        if self.dedicated { Some(None) } else { args.next().map(Some) }
    }

    fn message<'a>(
        &self,
        verb: &'static str,
        args: &'a [u8],
        headers: bool,
        input: &'a [u8],
        after: usize,
    ) -> Result<Read<Op<'a>>, WireError> {
        self.message_after(verb, None, Tokens(args), headers, input, after)
    }

    /// `LMSG`: what came from the leaf nodes of a cluster, always with the length of the headers.
    fn leaf_message<'a>(&self, args: &'a [u8], input: &'a [u8], after: usize) -> Result<Read<Op<'a>>, WireError> {
        let mut args = Tokens(args);
        let origin = args.next().ok_or(WireError::Malformed("LMSG"))?;
        self.message_after("LMSG", Some(origin), args, true, input, after)
    }

    fn message_after<'a>(
        &self,
        verb: &'static str,
        origin: Option<&'a [u8]>,
        mut args: Tokens<'a>,
        headers: bool,
        input: &'a [u8],
        after: usize,
    ) -> Result<Read<Op<'a>>, WireError> {
        let account = self.account(&mut args).ok_or(WireError::Malformed(verb))?;
        let Addressed { subject, reply, queues, queues_only, header_len, total } =
            Addressed::read(args, headers).ok_or(WireError::Malformed(verb))?;
        let message = |body| Message { origin, account, subject, reply, queues, queues_only, header_len, body };
        Ok(body(input, after, total)?.map(|body| Op::Message(message(body))))
    }
}

/// `subject [queue weight]`; `missing` is what a weight is that is left out, if it may be: nats-server does so on routes when a
/// reload lets interest in a group pass.
#[allow(clippy::type_complexity)]
pub(crate) fn interest(mut args: Tokens<'_>, missing: Option<u32>) -> Option<(&[u8], Option<&[u8]>, u32)> {
    let subject = args.next()?;
    let queue = args.next();
    let weight = match (queue, queue.and_then(|_| args.next())) {
        (Some(_), Some(weight)) => u32::try_from(parse_size(weight)?).ok().filter(|&weight| weight > 0)?,
        (Some(_), None) => missing?,
        (None, _) => 1,
    };
    args.next().is_none().then_some((subject, queue, weight))
}

/// `subject [queue]`.
pub(crate) fn no_interest(mut args: Tokens<'_>) -> Option<(&[u8], Option<&[u8]>)> {
    let subject = args.next()?;
    let queue = args.next();
    args.next().is_none().then_some((subject, queue))
}

/// What a line says of the message that follows it.
pub(crate) struct Addressed<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) reply: Option<&'a [u8]>,
    pub(crate) queues: Tokens<'a>,
    pub(crate) queues_only: bool,
    pub(crate) header_len: usize,
    /// Bytes of the message, headers included.
    pub(crate) total: usize,
}

impl<'a> Addressed<'a> {
    /// `subject [reply…] [header length] total`.
    pub(crate) fn read(mut args: Tokens<'a>, headers: bool) -> Option<Self> {
        let subject = args.next()?;
        let total = args.next_back().and_then(parse_size)?;
        let header_len = if headers { args.next_back().and_then(parse_size)? } else { 0 };
        if header_len > total {
            return None;
        }
        let queues_only = matches!(args.clone().next(), Some(b"||" | b"++"));
        let (reply, queues) = addressees(args)?;
        Some(Self { subject, reply, queues, queues_only, header_len, total })
    }
}

/// `[reply]`, `| queue…` or `+ reply queue…`; with the sign doubled, for these groups only.
fn addressees(mut args: Tokens<'_>) -> Option<(Option<&[u8]>, Tokens<'_>)> {
    match args.next() {
        None => Some((None, Tokens::default())),
        Some(b"|" | b"||") => Some((None, args)),
        Some(b"+" | b"++") => Some((Some(args.next()?), args)),
        Some(reply) => args.next().is_none().then_some((Some(reply), Tokens::default())),
    }
}

/// The line that `input` begins with, without its end, and where the next one begins; `None` while it is not whole.
pub(crate) fn first_line(input: &[u8]) -> Result<Option<(&[u8], usize)>, WireError> {
    let end = memchr(b'\n', input);
    if end.unwrap_or(input.len()) > MAX_CONTROL_LINE {
        return Err(WireError::LineTooLong);
    }
    Ok(end.map(|end| (input[..end].strip_suffix(b"\r").unwrap_or(&input[..end]), end + 1)))
}

/// The `total` bytes from `start`, which CR LF follows.
pub(crate) fn body(input: &[u8], start: usize, total: usize) -> Result<Read<&[u8]>, WireError> {
    if total > MAX_MESSAGE {
        return Err(WireError::MessageTooLarge(total));
    }
    let end = start + total;
    match input.get(end..end + 2) {
        Some(b"\r\n") => Ok(Read::Op(&input[start..end], end + 2)),
        Some(_) => Err(WireError::UnterminatedPayload),
        None => Ok(Read::Need(end + 2)),
    }
}

/// Tokens between runs of spaces and tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tokens<'a>(pub &'a [u8]);

impl<'a> Tokens<'a> {
    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&byte| is_blank(byte))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let bytes = self.0;
        let mut start = 0;
        while start < bytes.len() && is_blank(bytes[start]) {
            start += 1;
        }
        let mut end = start;
        while end < bytes.len() && !is_blank(bytes[end]) {
            end += 1;
        }
        self.0 = &bytes[end..];
        (end > start).then(|| &bytes[start..end])
    }
}

impl<'a> DoubleEndedIterator for Tokens<'a> {
    fn next_back(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().rposition(|&byte| !is_blank(byte))? + 1;
        let rest = &self.0[..end];
        let start = rest.iter().rposition(|&byte| is_blank(byte)).map_or(0, |blank| blank + 1);
        self.0 = &rest[..start];
        Some(&rest[start..])
    }
}

pub(crate) fn split_verb(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|&byte| is_blank(byte)).unwrap_or(line.len());
    line.split_at(end)
}

pub(crate) fn unquote(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text)
}

#[cfg(test)]
mod tests;
