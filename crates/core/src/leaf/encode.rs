//! Lines between a hub and a leaf node, as they are written; messages are [`Head::write_to_leaf`].
//!
//! [`Head::write_to_leaf`]: crate::route::encode::Head::write_to_leaf

use crate::encode::write_number;

/// Appends `LS+`. `queue` is a group and the number of its members on this side.
pub fn write_subscribe(out: &mut Vec<u8>, subject: &[u8], queue: Option<(&[u8], u32)>) {
    out.extend_from_slice(b"LS+ ");
    out.extend_from_slice(subject);
    if let Some((name, weight)) = queue {
        out.push(b' ');
        out.extend_from_slice(name);
        out.push(b' ');
        write_number(out, weight as usize);
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends `LS-`.
pub fn write_unsubscribe(out: &mut Vec<u8>, subject: &[u8], queue: Option<&[u8]>) {
    out.extend_from_slice(b"LS- ");
    out.extend_from_slice(subject);
    if let Some(name) = queue {
        out.push(b' ');
        out.extend_from_slice(name);
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::wire::{Message, Op, Read, read};
    use crate::route::encode::Head;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_interest() {
        let mut out = Vec::new();
        write_subscribe(&mut out, b"foo.>", None);
        write_subscribe(&mut out, b"foo", Some((b"q", 12)));
        write_unsubscribe(&mut out, b"foo", Some(b"q"));
        write_unsubscribe(&mut out, b"foo.>", None);
        assert_eq!(out, b"LS+ foo.>\r\nLS+ foo q 12\r\nLS- foo q\r\nLS- foo.>\r\n");
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
            let reply_bytes = reply.as_deref().map(str::as_bytes);
            let head = Head { account: None, subject: subject.as_bytes(), reply: reply_bytes, queues_only: false };
            let mut out = Vec::new();
            head.write_to_leaf(&mut out, queues.iter().map(|queue| queue.as_bytes()), header_len, body.len());
            out.extend_from_slice(&body);
            out.extend_from_slice(b"\r\n");
            let Ok(Read::Op(Op::Message(message), len)) = read(&out) else {
                return Err(TestCaseError::fail("not a message"));
            };
            let Message { subject, reply, queues: read_queues, header_len: read_header, body: read_body } = message;
            prop_assert_eq!(len, out.len());
            prop_assert_eq!((subject, reply), (head.subject, head.reply));
            prop_assert!(read_queues.eq(queues.iter().map(|queue| queue.as_bytes())));
            prop_assert_eq!((read_header, read_body), (header_len, &body[..]));
        }
    }
}
