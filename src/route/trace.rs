//! What trace logs show of the operations of other servers.

use natsd_core::route::dag::wire as dag;
use natsd_core::route::wire::{Interest, Op};

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
            let verb = if interest.origin.is_some() { "LS+" } else { "RS+" };
            format!("{verb} {}{weight}", describe_interest(interest))
        }
        Op::Unsubscribe(interest) => {
            let verb = if interest.origin.is_some() { "LS-" } else { "RS-" };
            format!("{verb} {}", describe_interest(interest))
        }
        Op::Dag(op) => dag_line(op),
        Op::Spread(op) => op.to_string(),
        Op::Message(message) => {
            let verb = match (message.origin, message.header_len) {
                (Some(_), _) => "LMSG",
                (None, 0) => "RMSG",
                (None, _) => "HMSG",
            };
            let words = message.origin.into_iter().chain(message.account).chain([message.subject]);
            let header = Some(message.header_len).filter(|len| *len > 0 || message.origin.is_some());
            let queues = (message.queues, message.queues_only);
            message_line(verb, words, message.reply, queues, (header, message.body.len()))
        }
    })
}

fn dag_line(op: &dag::Op<'_>) -> String {
    let of = |interest: &Interest<'_>| format!("{} {}", describe_interest(interest), interest.weight);
    match op {
        dag::Op::Record(record) => {
            let neighbours: Vec<_> = record.neighbours().map(|node| node.to_string()).collect();
            format!("DREC {} {} {} {}", record.node, record.version, text(record.name), neighbours.join(" "))
        }
        dag::Op::Change { origin, number, interest } => format!("DSUB {origin} {number} {}", of(interest)),
        dag::Op::All { origin, number, count } => format!("DALL {origin} {number} {count}"),
        dag::Op::Entry(interest) => format!("DHAS {}", of(interest)),
        dag::Op::Ask(node) => format!("DASK {node}"),
        dag::Op::Message(message) => {
            let stops: Vec<_> = message.stops().map(|stop| stop.node.to_string()).collect();
            let (account, subject) = (text(message.account), text(message.subject));
            let reply = message.reply.map(|reply| format!(" {}", text(reply))).unwrap_or_default();
            format!("DMSG {account} {subject}{reply} {} {}", message.body.len(), stops.join(" "))
        }
    }
}

fn describe_interest(interest: &Interest<'_>) -> String {
    let words = interest.origin.into_iter().chain(interest.account).chain([interest.subject]).chain(interest.queue);
    words.map(text).collect::<Vec<_>>().join(" ")
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
