//! What trace logs show of the operations of clients.

use natsd_core::parser::Op;

use crate::link::trace::without_secrets;

/// `op` in one line, its payload left out.
pub(super) fn describe(op: &Op<'_>) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    match op {
        Op::Connect(json) => format!("CONNECT {}", without_secrets(json)),
        Op::Publish(message) => {
            let reply = message.reply.map(|reply| text(reply) + " ").unwrap_or_default();
            let (verb, header) = match message.header_len {
                0 => ("PUB", String::new()),
                len => ("HPUB", format!("{len} ")),
            };
            format!("{verb} {} {reply}{header}{}", text(message.subject), message.body.len())
        }
        Op::Subscribe(subscribe) => {
            let queue = subscribe.queue.map(|queue| text(queue) + " ").unwrap_or_default();
            format!("SUB {} {queue}{}", text(subscribe.subject), text(subscribe.sid))
        }
        Op::Unsubscribe { sid, max } => {
            let max = max.map(|max| format!(" {max}")).unwrap_or_default();
            format!("UNSUB {}{max}", text(sid))
        }
        Op::Ping => "PING".into(),
        Op::Pong => "PONG".into(),
        Op::Ignored => "INFO".into(),
        Op::Error(error) => format!("-ERR {}", text(error)),
    }
}
