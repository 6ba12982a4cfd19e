//! Lines between clusters, as they are written; messages are [`Head::write`], interest is that of routes.
//!
//! [`Head::write`]: crate::route::encode::Head::write

use crate::route::encode::{write_subscribe, write_unsubscribe};

/// Appends `RS+` or `RS-`: this cluster wants `subject`, or nobody in it does any more. Groups have no weight here.
pub fn write_interest(out: &mut Vec<u8>, account: &[u8], subject: &[u8], queue: Option<&[u8]>, wanted: bool) {
    if wanted {
        write_subscribe(out, Some(account), subject, queue.map(|queue| (queue, 1)));
    } else {
        write_unsubscribe(out, Some(account), subject, queue);
    }
}

/// Appends `A+` or `A-`: whether anybody here knows the account.
pub fn write_account(out: &mut Vec<u8>, account: &[u8], known: bool) {
    out.extend_from_slice(if known { b"A+ " } else { b"A- " });
    out.extend_from_slice(account);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::wire::{Interest, Message, Op, Read, read};
    use crate::route::encode::Head;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_interest() {
        let mut out = Vec::new();
        write_interest(&mut out, b"$G", b"foo.>", None, true);
        write_interest(&mut out, b"$G", b"foo", Some(b"q"), true);
        write_interest(&mut out, b"$G", b"foo", Some(b"q"), false);
        write_interest(&mut out, b"$G", b"foo.>", None, false);
        write_account(&mut out, b"A", false);
        write_account(&mut out, b"A", true);
        assert_eq!(out, b"RS+ $G foo.>\r\nRS+ $G foo q 1\r\nRS- $G foo q\r\nRS- $G foo.>\r\nA- A\r\nA+ A\r\n");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            subject in "[a-z]{1,5}(\\.[a-z]{1,5}){0,3}",
            reply in proptest::option::of("[a-z]{1,9}"),
            queues in proptest::collection::vec("[a-z]{1,4}", 0..4),
            body in proptest::collection::vec(any::<u8>(), 0..300),
            header_share in 0.0f64..1.0,
        ) {
            let header_len = (body.len() as f64 * header_share) as usize;
            let (subject, account) = (subject.as_bytes(), &b"ACC"[..]);
            let reply = reply.as_deref().map(str::as_bytes);
            let head = Head { account: Some(account), subject, reply, queues_only: false };
            let mut out = Vec::new();
            head.write(&mut out, queues.iter().map(|queue| queue.as_bytes()), header_len, body.len());
            out.extend_from_slice(&body);
            out.extend_from_slice(b"\r\n");
            let Ok(Read::Op(Op::Message(message), len)) = read(&out) else {
                return Err(TestCaseError::fail("not a message"));
            };
            let Message { account: read_account, subject: read_subject, queues: read_queues, .. } = message;
            prop_assert_eq!(len, out.len());
            prop_assert_eq!((read_account, read_subject, message.reply), (account, subject, reply));
            prop_assert!(read_queues.eq(queues.iter().map(|queue| queue.as_bytes())));
            prop_assert_eq!((message.header_len, message.body), (header_len, &body[..]));

            let queue = queues.first().map(|queue| queue.as_bytes());
            let interest = Interest { account, subject, queue };
            for wanted in [true, false] {
                out.clear();
                write_interest(&mut out, account, subject, queue, wanted);
                let op = if wanted { Op::Subscribe(interest) } else { Op::Unsubscribe(interest) };
                prop_assert_eq!(read(&out), Ok(Read::Op(op, out.len())));
            }
        }
    }
}
