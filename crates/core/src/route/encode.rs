//! Lines of the route protocol, as they are written.
//!
//! Nothing here formats: message lines are on the hot path.

use crate::encode::write_number;

/// Where a routed message goes.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// `None` on a route dedicated to one account.
    pub account: Option<&'a [u8]>,
    /// What it was published to.
    pub subject: &'a [u8],
    /// Where an answer goes.
    pub reply: Option<&'a [u8]>,
    /// For the queue groups only that are named; of servers that understand it, [`RouteInfo::queues_only`] says so.
    ///
    /// [`RouteInfo::queues_only`]: super::hello::RouteInfo::queues_only
    pub queues_only: bool,
}

impl Head<'_> {
    /// Appends the `RMSG` line (`HMSG` when `header_len` is not 0) of a message of `total` bytes, to be followed by
    /// its bytes and CR LF. `queues` are the groups of which the receiver serves one member each.
    pub fn write<'q>(
        &self,
        out: &mut Vec<u8>,
        queues: impl Iterator<Item = &'q [u8]>,
        header_len: usize,
        total: usize,
    ) {
        out.extend_from_slice(if header_len > 0 { b"HMSG " } else { b"RMSG " });
        let header = (header_len > 0).then_some(header_len);
        self.write_rest(out, queues, header, total);
    }

    /// As [`write`](Self::write), of a message that came from the leaf nodes of the cluster `origin`: `LMSG`, always with
    /// the length of the headers.
    pub fn write_from_leaf<'q>(
        &self,
        out: &mut Vec<u8>,
        origin: &[u8],
        queues: impl Iterator<Item = &'q [u8]>,
        header_len: usize,
        total: usize,
    ) {
        push_words(out, [&b"LMSG"[..], origin]);
        self.write_rest(out, queues, Some(header_len), total);
    }

    /// As [`write`](Self::write), between a hub and a leaf node: `LMSG` in place of `RMSG`.
    pub fn write_to_leaf<'q>(
        &self,
        out: &mut Vec<u8>,
        queues: impl Iterator<Item = &'q [u8]>,
        header_len: usize,
        total: usize,
    ) {
        out.extend_from_slice(if header_len > 0 { b"HMSG " } else { b"LMSG " });
        let header = (header_len > 0).then_some(header_len);
        self.write_rest(out, queues, header, total);
    }

    fn write_rest<'q>(
        &self,
        out: &mut Vec<u8>,
        queues: impl Iterator<Item = &'q [u8]>,
        header: Option<usize>,
        total: usize,
    ) {
        push_account(out, self.account);
        out.extend_from_slice(self.subject);
        out.push(b' ');
        let mut queues = queues.peekable();
        let (asks, names): (&[u8], &[u8]) = if self.queues_only { (b"++", b"||") } else { (b"+", b"|") };
        match (self.reply, queues.peek().is_some()) {
            (Some(reply), true) => push_words(out, [asks, reply]),
            (Some(reply), false) => push_words(out, [reply]),
            (None, true) => push_words(out, [names]),
            (None, false) => {}
        }
        push_words(out, queues);
        if let Some(header_len) = header {
            write_number(out, header_len);
            out.push(b' ');
        }
        write_number(out, total);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends `RS+`. `queue` is a group and the number of its members here.
pub fn write_subscribe(out: &mut Vec<u8>, account: Option<&[u8]>, subject: &[u8], queue: Option<(&[u8], u32)>) {
    out.extend_from_slice(b"RS+ ");
    push_interest(out, account, subject, queue);
}

/// Appends `LS+`: interest of the leaf nodes of the cluster `origin`.
pub fn write_leaf_subscribe(
    out: &mut Vec<u8>,
    origin: &[u8],
    account: Option<&[u8]>,
    subject: &[u8],
    queue: Option<(&[u8], u32)>,
) {
    push_words(out, [&b"LS+"[..], origin]);
    push_interest(out, account, subject, queue);
}

/// Appends `LS-`; without `origin` to a peer that does not understand it there.
pub fn write_leaf_unsubscribe(
    out: &mut Vec<u8>,
    origin: Option<&[u8]>,
    account: Option<&[u8]>,
    subject: &[u8],
    queue: Option<&[u8]>,
) {
    push_words(out, [&b"LS-"[..]]);
    push_words(out, origin);
    push_no_interest(out, account, subject, queue);
}

fn push_interest(out: &mut Vec<u8>, account: Option<&[u8]>, subject: &[u8], queue: Option<(&[u8], u32)>) {
    push_account(out, account);
    out.extend_from_slice(subject);
    if let Some((name, weight)) = queue {
        out.push(b' ');
        out.extend_from_slice(name);
        out.push(b' ');
        write_number(out, weight as usize);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends `RS-`.
pub fn write_unsubscribe(out: &mut Vec<u8>, account: Option<&[u8]>, subject: &[u8], queue: Option<&[u8]>) {
    out.extend_from_slice(b"RS- ");
    push_no_interest(out, account, subject, queue);
}

fn push_no_interest(out: &mut Vec<u8>, account: Option<&[u8]>, subject: &[u8], queue: Option<&[u8]>) {
    push_account(out, account);
    out.extend_from_slice(subject);
    if let Some(name) = queue {
        out.push(b' ');
        out.extend_from_slice(name);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_account(out: &mut Vec<u8>, account: Option<&[u8]>) {
    push_words(out, account);
}

/// Each word and a space.
fn push_words<'a>(out: &mut Vec<u8>, words: impl IntoIterator<Item = &'a [u8]>) {
    for word in words {
        out.extend_from_slice(word);
        out.push(b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::wire::{Message, Op, Read, Reader};
    use proptest::prelude::*;

    fn line(head: Head<'_>, queues: &[&str], header_len: usize, total: usize) -> String {
        let mut out = Vec::new();
        head.write(&mut out, queues.iter().map(|queue| queue.as_bytes()), header_len, total);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn every_form_of_a_message_line() {
        let head = Head { account: Some(b"ACC"), subject: b"foo", reply: None, queues_only: false };
        let asking = Head { reply: Some(b"inbox"), ..head };
        assert_eq!(line(head, &[], 0, 5), "RMSG ACC foo 5\r\n");
        assert_eq!(line(asking, &[], 0, 0), "RMSG ACC foo inbox 0\r\n");
        assert_eq!(line(head, &["q", "w"], 0, 1234567890), "RMSG ACC foo | q w 1234567890\r\n");
        assert_eq!(line(asking, &["q"], 12, 14), "HMSG ACC foo + inbox q 12 14\r\n");
        assert_eq!(line(Head { queues_only: true, ..head }, &["q"], 0, 1), "RMSG ACC foo || q 1\r\n");
        assert_eq!(line(Head { queues_only: true, ..asking }, &["q"], 0, 1), "RMSG ACC foo ++ inbox q 1\r\n");
        assert_eq!(line(Head { account: None, ..asking }, &["q"], 0, 1), "RMSG foo + inbox q 1\r\n");
    }

    #[test]
    fn every_form_of_interest() {
        let mut out = Vec::new();
        write_subscribe(&mut out, Some(b"ACC"), b"foo.>", None);
        write_subscribe(&mut out, Some(b"ACC"), b"foo", Some((b"q", 12)));
        write_unsubscribe(&mut out, Some(b"ACC"), b"foo", Some(b"q"));
        write_unsubscribe(&mut out, None, b"foo.>", None);
        assert_eq!(out, b"RS+ ACC foo.>\r\nRS+ ACC foo q 12\r\nRS- ACC foo q\r\nRS- foo.>\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            subject in "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}",
            reply in proptest::option::of("[a-z]{1,9}"),
            queues in proptest::collection::vec("[a-z]{1,4}", 0..4),
            body in proptest::collection::vec(any::<u8>(), 0..300),
            header_share in 0.0f64..1.0,
            dedicated: bool,
            queues_only: bool,
        ) {
            let account = (!dedicated).then_some(&b"$G"[..]);
            let header_len = (body.len() as f64 * header_share) as usize;
            let mut out = Vec::new();
            let reply = reply.as_deref().map(str::as_bytes);
            let head = Head { account, subject: subject.as_bytes(), reply, queues_only };
            head.write(&mut out, queues.iter().map(|queue| queue.as_bytes()), header_len, body.len());
            out.extend_from_slice(&body);
            out.extend_from_slice(b"\r\n");
            let first = out.clone();
            let Ok(Read::Op(Op::Message(read), len)) = Reader::new(dedicated).read(&first) else {
                return Err(TestCaseError::fail("not a message"));
            };
            prop_assert_eq!(len, out.len());
            prop_assert_eq!((read.account, read.subject, read.reply), (head.account, head.subject, head.reply));
            prop_assert!(read.queues.eq(queues.iter().map(|queue| queue.as_bytes())));
            prop_assert_eq!(read.queues_only, queues_only && !queues.is_empty());
            prop_assert_eq!((read.header_len, read.body), (header_len, &body[..]));
            prop_assert_eq!(read.origin, None);

            out.clear();
            head.write_from_leaf(&mut out, b"leafs", queues.iter().map(|queue| queue.as_bytes()), header_len, body.len());
            out.extend_from_slice(&body);
            out.extend_from_slice(b"\r\n");
            let again = Message { origin: Some(b"leafs"), ..read };
            prop_assert_eq!(Reader::new(dedicated).read(&out), Ok(Read::Op(Op::Message(again), out.len())));
        }
    }
}
