//! Lines between servers of a cluster that is a graph, as they are read and written. Servers are named by [`Node`], in 16
//! hexadecimal digits.
//!
//! | line | says |
//! |---|---|
//! | `DREC node version name neighbour…` | a server has these neighbours |
//! | `DSUB node number account subject members [queue]` | the change of this number to a server's interest; 0 members: it is gone |
//! | `DLSUB node number leafs account subject members [queue]` | the same, of leaf nodes of this cluster |
//! | `DALL node number count` | what comes is all that a server is interested in, after so many changes: `count` lines |
//! | `DHAS account subject members [queue]`, `DLHAS leafs account subject members [queue]` | one of these |
//! | `DASK node` | tell all that this server is interested in |
//! | `DMSG hops flags account subject [reply] [leafs] headers total stop…` | a message of `total` bytes follows, for these servers |
//!
//! `flags` are `r` if there is a reply subject, `l` if it came from leaf nodes of that cluster, and `.`. A stop is the server, `+`
//! if all get it there or `-` if only queue groups do, the number of those of which it serves a member, and then their names.

use super::{MAX_NEIGHBOURS, MAX_STOPS, Node};
use crate::encode::write_number;
use crate::lex::parse_size;
use crate::route::wire::{Interest, Read, Tokens, WireError, body};

/// Bytes that the name of a server may have.
pub const MAX_NAME: usize = 256;

/// One operation of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// What a server says of itself.
    Record(Record<'a>),
    /// Change `number` of the interest of a server; weight 0 if it is gone.
    Change {
        /// Whose interest.
        origin: Node,
        /// Which change.
        number: u64,
        /// Of what.
        interest: Interest<'a>,
    },
    /// So many [`Entry`](Self::Entry) follow, which is all.
    All {
        /// Whose interest.
        origin: Node,
        /// After so many changes.
        number: u64,
        /// How many interests.
        count: usize,
    },
    /// One of all interests.
    Entry(Interest<'a>),
    /// All that this server is interested in is wanted.
    Ask(Node),
    /// A message.
    Message(Message<'a>),
}

/// What a server says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Which server.
    pub node: Node,
    /// The higher one is newer.
    pub version: u64,
    /// Its name.
    pub name: &'a [u8],
    /// [`Node`]s, at most [`MAX_NEIGHBOURS`].
    neighbours: Tokens<'a>,
}

impl<'a> Record<'a> {
    /// The servers that it has connections to.
    pub fn neighbours(&self) -> impl Iterator<Item = Node> + use<'a> {
        self.neighbours.filter_map(node)
    }
}

/// A message on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Hops that it may still take.
    pub hops: u8,
    /// Its account.
    pub account: &'a [u8],
    /// What it was published to.
    pub subject: &'a [u8],
    /// Where an answer goes.
    pub reply: Option<&'a [u8]>,
    /// The cluster of the leaf nodes that it came from.
    pub leafs: Option<&'a [u8]>,
    /// Bytes of `body` that are headers.
    pub header_len: usize,
    /// Headers, then payload.
    pub body: &'a [u8],
    stops: Tokens<'a>,
}

impl<'a> Message<'a> {
    /// The servers that get it, at most [`MAX_STOPS`].
    pub fn stops(&self) -> Stops<'a> {
        Stops(self.stops)
    }
}

/// A server that gets a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop<'a> {
    /// Which server.
    pub node: Node,
    /// All subscribers there get it, not only members of the queue groups.
    pub plain: bool,
    /// Queue groups of which it serves one member each.
    pub queues: Tokens<'a>,
}

/// See [`Message::stops`].
#[derive(Clone, Copy, Debug)]
pub struct Stops<'a>(Tokens<'a>);

impl<'a> Iterator for Stops<'a> {
    type Item = Stop<'a>;

    fn next(&mut self) -> Option<Stop<'a>> {
        let mut tokens = self.0;
        let head = tokens.next()?;
        let (name, rest) = head.split_at_checked(16)?;
        let (sign, count) = rest.split_first()?;
        let plain = match sign {
            b'+' => true,
            b'-' => false,
            _ => return None,
        };
        let (node, count) = (node(name)?, parse_size(count)?);
        let after = tokens.0;
        for _ in 0..count {
            tokens.next()?;
        }
        let queues = Tokens(&after[..after.len() - tokens.0.len()]);
        self.0 = tokens;
        Some(Stop { node, plain, queues })
    }
}

/// 16 hexadecimal digits.
fn node(token: &[u8]) -> Option<Node> {
    let text = str::from_utf8(token).ok().filter(|text| text.len() == 16 && !text.starts_with('+'))?;
    u64::from_str_radix(text, 16).ok().map(Node)
}

/// What counts changes: 18 digits, enough for a billion a second for thirty years, and one more does not overflow.
fn number(token: Option<&[u8]>) -> Option<u64> {
    let digits = token.filter(|digits| (1..=18).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit))?;
    Some(digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Reads what a line says that begins with `verb`, if that is one of these; what else there is of `input` begins at `after`.
pub(crate) fn read<'a>(
    verb: &[u8],
    args: &'a [u8],
    input: &'a [u8],
    after: usize,
) -> Result<Option<Read<Op<'a>>>, WireError> {
    let is = |name: &[u8]| verb.eq_ignore_ascii_case(name);
    let whole = |op: Option<Op<'a>>, name| op.map(|op| Some(Read::Op(op, after))).ok_or(WireError::Malformed(name));
    if is(b"DMSG") {
        message(args, input, after).map(Some)
    } else if is(b"DSUB") {
        whole(change(args, false), "DSUB")
    } else if is(b"DLSUB") {
        whole(change(args, true), "DLSUB")
    } else if is(b"DHAS") {
        whole(interest(Tokens(args), false).filter(|it| it.weight > 0).map(Op::Entry), "DHAS")
    } else if is(b"DLHAS") {
        whole(interest(Tokens(args), true).filter(|it| it.weight > 0).map(Op::Entry), "DLHAS")
    } else if is(b"DREC") {
        whole(record(args).map(Op::Record), "DREC")
    } else if is(b"DALL") {
        whole(all(args), "DALL")
    } else if is(b"DASK") {
        let mut args = Tokens(args);
        let asked = args.next().and_then(node).filter(|_| args.is_empty());
        whole(asked.map(Op::Ask), "DASK")
    } else {
        Ok(None)
    }
}

fn record(args: &[u8]) -> Option<Record<'_>> {
    let mut args = Tokens(args);
    let (node_of, version) = (args.next().and_then(node)?, number(args.next())?);
    let name = args.next().filter(|name| name.len() <= MAX_NAME)?;
    let count = { args }.try_fold(0, |count, token| node(token).map(|_| count + 1))?;
    (count <= MAX_NEIGHBOURS).then_some(Record { node: node_of, version, name, neighbours: args })
}

fn change(args: &[u8], of_leafs: bool) -> Option<Op<'_>> {
    let mut args = Tokens(args);
    let (origin, number) = (args.next().and_then(node)?, number(args.next())?);
    interest(args, of_leafs).map(|interest| Op::Change { origin, number, interest })
}

fn interest(mut args: Tokens<'_>, of_leafs: bool) -> Option<Interest<'_>> {
    let origin = if of_leafs { Some(args.next()?) } else { None };
    let (account, subject) = (args.next()?, args.next()?);
    let weight = u32::try_from(parse_size(args.next()?)?).ok()?;
    let queue = args.next();
    args.is_empty().then_some(Interest { origin, account: Some(account), subject, queue, weight })
}

fn all(args: &[u8]) -> Option<Op<'_>> {
    let mut args = Tokens(args);
    let (origin, number) = (args.next().and_then(node)?, number(args.next())?);
    let count = args.next().and_then(parse_size)?;
    args.is_empty().then_some(Op::All { origin, number, count })
}

fn message<'a>(args: &'a [u8], input: &'a [u8], after: usize) -> Result<Read<Op<'a>>, WireError> {
    let (message, total) = head(args).ok_or(WireError::Malformed("DMSG"))?;
    Ok(body(input, after, total)?.map(|body| Op::Message(Message { body, ..message })))
}

/// A message that lacks its body, and how long that is.
fn head(args: &[u8]) -> Option<(Message<'_>, usize)> {
    let mut args = Tokens(args);
    let hops = u8::try_from(parse_size(args.next()?)?).ok()?;
    let (has_reply, has_leafs) = match args.next()? {
        b"." => (false, false),
        b"r" => (true, false),
        b"l" => (false, true),
        b"rl" => (true, true),
        _ => return None,
    };
    let (account, subject) = (args.next()?, args.next()?);
    let reply = if has_reply { Some(args.next()?) } else { None };
    let leafs = if has_leafs { Some(args.next()?) } else { None };
    let (header_len, total) = (args.next().and_then(parse_size)?, args.next().and_then(parse_size)?);
    let mut stops = Stops(args);
    let count = stops.by_ref().count();
    let sound = stops.0.is_empty() && (1..=MAX_STOPS).contains(&count) && header_len <= total;
    sound.then_some((Message { hops, account, subject, reply, leafs, header_len, body: &[], stops: args }, total))
}

fn push(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b' ');
    out.extend_from_slice(word);
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    out.push(b' ');
    write_number(out, number);
}

/// What may be more than a machine has room for.
fn push_count(out: &mut Vec<u8>, number: u64) {
    out.push(b' ');
    out.extend_from_slice(number.to_string().as_bytes());
}

fn push_node(out: &mut Vec<u8>, node: Node) {
    out.push(b' ');
    write_node(out, node);
}

fn write_node(out: &mut Vec<u8>, Node(hash): Node) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend((0..16).rev().map(|place| DIGITS[(hash >> (place * 4)) as usize & 15]));
}

/// Appends `DREC`.
pub fn write_record(out: &mut Vec<u8>, of: Node, record: &super::graph::Record) {
    out.extend_from_slice(b"DREC");
    push_node(out, of);
    push_count(out, record.version);
    push(out, record.name.as_bytes());
    record.neighbours.iter().for_each(|&neighbour| push_node(out, neighbour));
    out.extend_from_slice(b"\r\n");
}

/// Appends `DSUB` or `DLSUB`.
pub fn write_change(out: &mut Vec<u8>, origin: Node, number: u64, interest: &Interest<'_>) {
    out.extend_from_slice(if interest.origin.is_some() { b"DLSUB" } else { b"DSUB" });
    push_node(out, origin);
    push_count(out, number);
    push_interest(out, interest);
}

/// Appends `DALL`, to be followed by `count` entries.
pub fn write_all(out: &mut Vec<u8>, origin: Node, number: u64, count: usize) {
    out.extend_from_slice(b"DALL");
    push_node(out, origin);
    push_count(out, number);
    push_number(out, count);
    out.extend_from_slice(b"\r\n");
}

/// Appends `DHAS` or `DLHAS`.
pub fn write_entry(out: &mut Vec<u8>, interest: &Interest<'_>) {
    out.extend_from_slice(if interest.origin.is_some() { b"DLHAS" } else { b"DHAS" });
    push_interest(out, interest);
}

fn push_interest(out: &mut Vec<u8>, interest: &Interest<'_>) {
    interest.origin.iter().chain(&interest.account).for_each(|word| push(out, word));
    push(out, interest.subject);
    push_number(out, interest.weight as usize);
    interest.queue.iter().for_each(|queue| push(out, queue));
    out.extend_from_slice(b"\r\n");
}

/// Appends `DASK`.
pub fn write_ask(out: &mut Vec<u8>, node: Node) {
    out.extend_from_slice(b"DASK");
    push_node(out, node);
    out.extend_from_slice(b"\r\n");
}

impl Message<'_> {
    /// A message from here, without stops, which [`write`](Self::write) is given.
    pub fn new<'a>(
        account: &'a [u8],
        (subject, reply): (&'a [u8], Option<&'a [u8]>),
        leafs: Option<&'a [u8]>,
        (header_len, body): (usize, &'a [u8]),
        hops: u8,
    ) -> Message<'a> {
        Message { hops, account, subject, reply, leafs, header_len, body, stops: Tokens(b"") }
    }

    /// Appends `DMSG` with these stops, as [`write_stop`] wrote them, and the message.
    pub fn write(&self, out: &mut Vec<u8>, stops: &[u8]) {
        out.extend_from_slice(b"DMSG");
        push_number(out, self.hops.into());
        push(
            out,
            match (self.reply, self.leafs) {
                (None, None) => b".",
                (Some(_), None) => b"r",
                (None, Some(_)) => b"l",
                (Some(_), Some(_)) => b"rl",
            },
        );
        push(out, self.account);
        push(out, self.subject);
        self.reply.iter().chain(&self.leafs).for_each(|word| push(out, word));
        push_number(out, self.header_len);
        push_number(out, self.body.len());
        out.extend_from_slice(stops);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends a stop, for [`Message::write`].
pub fn write_stop<'q>(out: &mut Vec<u8>, node: Node, plain: bool, queues: impl Iterator<Item = &'q [u8]> + Clone) {
    push_node(out, node);
    out.push(if plain { b'+' } else { b'-' });
    write_number(out, queues.clone().count());
    queues.for_each(|queue| push(out, queue));
}

#[cfg(test)]
mod tests;
