//! Replies by which a server with JetStream tells others under which subject clients get a message of a stream.
//!
//! Such a message is published to the subject that a consumer delivers to, or that a client has asked for it at. Who gets it sees
//! the subject that it has in the stream instead. Between servers that one follows the reply:
//! `$JS.ACK.<stream>.<consumer>.<five numbers>@<subject>`.

use crate::gateway::reply;

/// What subjects begin with that messages of streams are acknowledged at; clients may not make up such replies.
pub const PREFIX: &[u8] = b"$JS.ACK.";
/// Dots before the subject may follow; in front of them names may have an `@`.
const DOTS: usize = 8;

/// Reply and subject, as clients get them. The reply may still lead to another cluster, see [`reply::Mapped`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery<'a> {
    /// Where the message is acknowledged.
    pub reply: &'a [u8],
    /// What it was published to when the stream took it.
    pub subject: &'a [u8],
}

impl<'a> Delivery<'a> {
    /// Takes `reply` apart. `None` if it is a reply and no more.
    #[inline]
    pub fn parse(reply: &'a [u8]) -> Option<Self> {
        match reply.first()? {
            b'$' if reply.starts_with(PREFIX) => Self::split(reply, 0),
            b'_' if reply.starts_with(reply::PREFIX) => {
                let mapped = reply::Mapped::parse(reply)?.subject;
                mapped.starts_with(PREFIX).then(|| Self::split(reply, reply.len() - mapped.len()))?
            }
            _ => None,
        }
    }

    #[cold]
    fn split(reply: &'a [u8], start: usize) -> Option<Self> {
        let mut dots = 0;
        let at = reply[start..].iter().position(|byte| {
            dots += usize::from(*byte == b'.');
            *byte == b'@' && dots >= DOTS
        })?;
        let (reply, rest) = reply.split_at(start + at);
        Some(&rest[1..]).filter(|subject| !subject.is_empty()).map(|subject| Self { reply, subject })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ACK: &str = "$JS.ACK.S.C.1.2.3.1712345678901234567.0";

    fn parse(text: &str) -> Option<(&str, &str)> {
        let text_of = |bytes| std::str::from_utf8(bytes).expect("a part of a text");
        Delivery::parse(text.as_bytes()).map(|it| (text_of(it.reply), text_of(it.subject)))
    }

    #[test]
    fn the_subject_follows_the_reply() {
        assert_eq!(parse(&format!("{ACK}@orders.1")), Some((ACK, "orders.1")));
        assert_eq!(parse(&format!("{ACK}@mail.a@b")), Some((ACK, "mail.a@b")));
        let named = "$JS.ACK.at@home.c@d.1.2.3.4.5";
        assert_eq!(parse(&format!("{named}@x")), Some((named, "x")));
        let other_domain = "$JS.ACK.hub.hash.S.C.1.2.3.4.5";
        assert_eq!(parse(&format!("{other_domain}@x.y")), Some((other_domain, "x.y")));
        let elsewhere = format!("_GR_.u4xB6R.IL3XjM.{ACK}");
        assert_eq!(parse(&format!("{elsewhere}@x.y")), Some((&*elsewhere, "x.y")));
    }

    #[test]
    fn other_replies_stay_as_they_are() {
        let unfinished = format!("{ACK}@");
        let of_others = format!("_INBOX.{ACK}@x");
        let inbox = "_GR_.u4xB6R.IL3XjM._INBOX.1.2.3.4.5.6.7.8@x";
        for reply in [ACK, &unfinished, &of_others, inbox, "$JS.ACK.S.C.1.2.3.4@x", "$JS.ACK.", "_GR_.", "$", ""] {
            assert_eq!(parse(reply), None, "{reply}");
        }
    }

    proptest! {
        #[test]
        fn parts_are_never_taken_apart_again(tail in proptest::collection::vec(any::<u8>(), 0..60), mapped in any::<bool>()) {
            let head = if mapped { &b"_GR_.u4xB6R.IL3XjM.$JS.ACK."[..] } else { PREFIX };
            let reply = [head, &tail].concat();
            if let Some(delivery) = Delivery::parse(&reply) {
                prop_assert_eq!([delivery.reply, b"@", delivery.subject].concat(), &*reply);
                prop_assert_eq!(Delivery::parse(delivery.reply), None);
            }
        }
    }
}
