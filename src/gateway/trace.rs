//! What trace logs show of the operations of another cluster.

use natsd_core::gateway::wire::{Interest, Op};

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
            let weight = if interest.queue.is_some() { " 1" } else { "" };
            format!("RS+ {}{weight}", names(interest))
        }
        Op::Unsubscribe(interest) => format!("RS- {}", names(interest)),
        Op::Account(account) => format!("A+ {}", text(account)),
        Op::NoAccount(account) => format!("A- {}", text(account)),
        Op::Message(message) => {
            let verb = if message.header_len > 0 { "HMSG" } else { "RMSG" };
            let mut words = vec![verb.to_owned(), text(message.account), text(message.subject)];
            let queues: Vec<_> = message.queues.map(text).collect();
            if !queues.is_empty() {
                words.push(if message.reply.is_some() { "+" } else { "|" }.into());
            }
            words.extend(message.reply.map(text));
            words.extend(queues);
            if message.header_len > 0 {
                words.push(message.header_len.to_string());
            }
            words.push(message.body.len().to_string());
            words.join(" ")
        }
    })
}

fn names(interest: &Interest<'_>) -> String {
    let words = [interest.account, interest.subject].into_iter().chain(interest.queue);
    words.map(text).collect::<Vec<_>>().join(" ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use natsd_core::gateway::wire::{Read, read};

    use super::*;

    #[test]
    fn operations_look_like_their_lines() {
        let described = |input: &str| match read(input.as_bytes()) {
            Ok(Read::Op(op, _)) => describe(&op),
            other => panic!("{input:?}: {other:?}"),
        };
        for line in ["RS+ A foo", "RS+ A bar q 1", "RS- A bar q", "A+ A", "A- A", "PING", "PONG"] {
            assert_eq!(described(&format!("{line}\r\n")).as_deref(), Some(line));
        }
        for line in ["RMSG A foo 2", "RMSG A foo re 2", "RMSG A foo + re q r 2", "HMSG A foo | q 1 2"] {
            assert_eq!(described(&format!("{line}\r\nhi\r\n")).as_deref(), Some(line));
        }
        let connect = described("CONNECT {\"user\":\"u\",\"pass\":\"hidden\"}\r\n");
        assert_eq!(connect.as_deref(), Some("CONNECT {\"user\":\"u\",\"pass\":\"[REDACTED]\"}"));
    }
}
