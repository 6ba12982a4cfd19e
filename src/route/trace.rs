//! What trace logs show of the operations of other servers.

use natsd_core::route::wire::{Interest, Op};

use crate::link::trace::without_secrets;

/// `op` in one line, its payload left out; `None` for what is not worth one.
pub(super) fn describe(op: &Op<'_>) -> Option<String> {
    Some(match op {
        Op::Info(_) | Op::Ignored => return None,
        Op::Connect(json) => format!("CONNECT {}", without_secrets(json)),
        Op::Ping => "PING".into(),
        Op::Pong => "PONG".into(),
        Op::Error(error) => format!("-ERR {}", text(error)),
        Op::Subscribe(interest) => {
            let weight = interest.queue.map(|_| format!(" {}", interest.weight)).unwrap_or_default();
            let verb = if interest.origin.is_some() { "LS+" } else { "RS+" };
            format!("{verb} {}{weight}", describe_interest(interest))
        }
        Op::Unsubscribe(interest) => {
            let verb = if interest.origin.is_some() { "LS-" } else { "RS-" };
            format!("{verb} {}", describe_interest(interest))
        }
        Op::Message(message) => {
            let mut line = String::from(match (message.origin, message.header_len) {
                (Some(_), _) => "LMSG",
                (None, 0) => "RMSG",
                (None, _) => "HMSG",
            });
            let mut add = |word: &str| {
                line.push(' ');
                line.push_str(word);
            };
            message.origin.iter().chain(&message.account).for_each(|word| add(&text(word)));
            add(&text(message.subject));
            let queues: Vec<_> = message.queues.map(text).collect();
            if !queues.is_empty() {
                add(match (message.reply.is_some(), message.queues_only) {
                    (true, false) => "+",
                    (false, false) => "|",
                    (true, true) => "++",
                    (false, true) => "||",
                });
            }
            message.reply.iter().for_each(|reply| add(&text(reply)));
            queues.iter().for_each(|queue| add(queue));
            if message.header_len > 0 || message.origin.is_some() {
                add(&message.header_len.to_string());
            }
            add(&message.body.len().to_string());
            line
        }
    })
}

fn describe_interest(interest: &Interest<'_>) -> String {
    let words = interest.origin.into_iter().chain(interest.account).chain([interest.subject]).chain(interest.queue);
    words.map(text).collect::<Vec<_>>().join(" ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use natsd_core::route::wire::{Read, Reader};

    use super::*;

    #[test]
    fn operations_look_like_their_lines() {
        let described = |input: &str| match Reader::default().read(input.as_bytes()) {
            Ok(Read::Op(op, _)) => describe(&op),
            other => panic!("{input:?}: {other:?}"),
        };
        for line in ["RS+ $G foo", "RS+ $G bar q 3", "RS- $G bar q", "LS+ L $G bar q 3", "LS- L $G bar", "PING", "PONG"]
        {
            assert_eq!(described(&format!("{line}\r\n")).as_deref(), Some(line));
        }
        for line in [
            "RMSG $G foo 2",
            "RMSG $G foo re 2",
            "RMSG $G foo + re q r 2",
            "HMSG $G foo | q 1 2",
            "LMSG L $G foo re 0 2",
        ] {
            assert_eq!(described(&format!("{line}\r\nhi\r\n")).as_deref(), Some(line));
        }
        let connect = described("CONNECT {\"user\":\"u\",\"pass\":\"hidden\"}\r\n");
        assert_eq!(connect.as_deref(), Some("CONNECT {\"user\":\"u\",\"pass\":\"[REDACTED]\"}"));
        assert_eq!(described("INFO {}\r\n"), None);
    }
}
