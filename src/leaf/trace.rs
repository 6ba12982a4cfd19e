//! What trace logs show of the operations of the other end.

use natsd_core::leaf::wire::{Interest, Op};

use crate::link::trace::{message_line, text, without_secrets};

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
            format!("LS+ {}{weight}", names(interest))
        }
        Op::Unsubscribe(interest) => format!("LS- {}", names(interest)),
        Op::Message(message) => {
            let verb = if message.header_len > 0 { "HMSG" } else { "LMSG" };
            let words = [message.subject].into_iter();
            let header = Some(message.header_len).filter(|len| *len > 0);
            message_line(verb, words, message.reply, (message.queues, false), (header, message.body.len()))
        }
    })
}

fn names(interest: &Interest<'_>) -> String {
    let words = [interest.subject].into_iter().chain(interest.queue);
    words.map(text).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use natsd_core::leaf::wire::{Read, read};

    use super::*;

    #[test]
    fn operations_look_like_their_lines() {
        let described = |input: &str| match read(input.as_bytes()) {
            Ok(Read::Op(op, _)) => describe(&op),
            other => panic!("{input:?}: {other:?}"),
        };
        for line in ["LS+ foo", "LS+ bar q 3", "LS- bar q", "PING", "PONG"] {
            assert_eq!(described(&format!("{line}\r\n")).as_deref(), Some(line));
        }
        for line in ["LMSG foo 2", "LMSG foo re 2", "LMSG foo + re q r 2", "HMSG foo | q 1 2"] {
            assert_eq!(described(&format!("{line}\r\nhi\r\n")).as_deref(), Some(line));
        }
        let connect = described("CONNECT {\"user\":\"u\",\"pass\":\"hidden\"}\r\n");
        assert_eq!(connect.as_deref(), Some("CONNECT {\"user\":\"u\",\"pass\":\"[REDACTED]\"}"));
    }
}
