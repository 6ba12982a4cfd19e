//! How payloads and what is sent look in trace logs.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use natsd_core::encode::Message;

use super::Link;

/// `max_traced_msg_len`.
static MAX_PAYLOAD: AtomicUsize = AtomicUsize::new(0);

/// Whether there is anybody to trace for.
pub(crate) fn enabled() -> bool {
    log::log_enabled!(log::Level::Trace)
}

/// From now on shows at most so many bytes of a payload; 0 for all of them.
pub(crate) fn limit_payloads(max: usize) {
    MAX_PAYLOAD.store(max, Relaxed);
}

impl Link {
    /// Logs what was received.
    pub(crate) fn trace_in(&self, operation: &str) {
        log::trace!("{} - <<- [{operation}]", self.describe());
    }

    /// Logs the payload of what was received.
    pub(crate) fn trace_payload_in(&self, body: &[u8]) {
        log::trace!("{} - <<- MSG_PAYLOAD: [\"{}\"]", self.describe(), Payload(body));
    }

    /// Logs what is sent, if traces are wanted.
    pub(crate) fn trace_out(&self, operation: &str) {
        if enabled() {
            log::trace!("{} - ->> [{operation}]", self.describe());
        }
    }

    /// Logs a message that is sent to the subscription `sid`.
    #[cold]
    pub(super) fn trace_delivery(&self, sid: &[u8], message: &Message<'_>) {
        let text = |bytes| String::from_utf8_lossy(bytes);
        let reply = message.reply.map(|reply| text(reply) + " ").unwrap_or_default();
        let (verb, header) = match message.header_len {
            0 => ("MSG", String::new()),
            len => ("HMSG", format!("{len} ")),
        };
        let (subject, sid, size) = (text(message.subject), text(sid), message.body.len());
        log::trace!("{} - ->> [{verb} {subject} {sid} {reply}{header}{size}]", self.describe());
        log::trace!("{} - ->> MSG_PAYLOAD: [\"{}\"]", self.describe(), Payload(message.body));
    }
}

/// Bytes, quoted as Go does it: text stays text, and nothing can break the line.
struct Payload<'a>(&'a [u8]);

impl fmt::Display for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let max = MAX_PAYLOAD.load(Relaxed);
        let shown = if max == 0 { self.0 } else { &self.0[..max.min(self.0.len())] };
        for chunk in shown.utf8_chunks() {
            chunk.valid().chars().try_for_each(|c| write_char(f, c))?;
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        if shown.len() < self.0.len() { f.write_str("...") } else { Ok(()) }
    }
}

fn write_char(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    match c {
        '"' | '\\' => write!(f, "\\{c}"),
        '\n' => f.write_str("\\n"),
        '\r' => f.write_str("\\r"),
        '\t' => f.write_str("\\t"),
        '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(c)),
        _ if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => write!(f, "\\u{:04x}", u32::from(c)),
        _ => write!(f, "{c}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_stay_on_their_line() {
        let shown = |bytes: &[u8]| Payload(bytes).to_string();
        assert_eq!(shown(b"NATS/1.0\r\n\r\nhi \"x\\\""), r#"NATS/1.0\r\n\r\nhi \"x\\\""#);
        assert_eq!(shown("täxt\u{1b}\u{85}\u{2028}".as_bytes()), r"täxt\x1b\u0085\u2028");
        assert_eq!(shown(b"a\xff\0"), r"a\xff\x00");
    }
}
