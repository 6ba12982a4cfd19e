//! How payloads, credentials and what is sent look in trace logs.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use natsd_core::encode::Message;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::Link;

/// Fields of `CONNECT` that let somebody else in under this name, or that prove who it is.
const SECRETS: [&str; 6] = ["pass", "auth_token", "jwt", "sig", "nkey", "proxy_sig"];
const REDACTED: &str = "[REDACTED]";

/// `max_traced_msg_len`.
static MAX_PAYLOAD: AtomicUsize = AtomicUsize::new(0);
/// `trace_headers`.
static HEADERS_ONLY: AtomicBool = AtomicBool::new(false);
/// What ends a header: an empty line.
const HEADER_END: usize = 4;

/// Whether there is anybody to trace for.
pub(crate) fn enabled() -> bool {
    log::log_enabled!(log::Level::Trace)
}

/// From now on shows at most so many bytes of a payload, 0 for all of them; of its header alone, if there is one, with
/// `headers_only`.
pub(crate) fn limit_payloads(max: usize, headers_only: bool) {
    MAX_PAYLOAD.store(max, Relaxed);
    HEADERS_ONLY.store(headers_only, Relaxed);
}

/// A message between servers, as its line looks: `words` up to the subject, then where answers go, queue groups, which may be
/// all who get it, and the length of the header, if that is said, and of all.
pub(crate) fn message_line<'a>(
    verb: &str,
    words: impl Iterator<Item = &'a [u8]>,
    reply: Option<&'a [u8]>,
    (queues, only): (impl Iterator<Item = &'a [u8]>, bool),
    (header, total): (Option<usize>, usize),
) -> String {
    let mut line = verb.to_owned();
    let mut add = |word: &str| {
        line.push(' ');
        line.push_str(word);
    };
    words.for_each(|word| add(&text(word)));
    let queues: Vec<_> = queues.map(text).collect();
    if !queues.is_empty() {
        add(match (reply.is_some(), only) {
            (true, false) => "+",
            (false, false) => "|",
            (true, true) => "++",
            (false, true) => "||",
        });
    }
    reply.iter().for_each(|reply| add(&text(reply)));
    queues.iter().for_each(|queue| add(queue));
    header.iter().for_each(|len| add(&len.to_string()));
    add(&total.to_string());
    line
}

/// What servers say, as text.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Link {
    /// Logs what was received.
    pub(crate) fn trace_in(&self, operation: &str) {
        log::trace!("{} - <<- [{}]", self.describe(), Visible(operation));
    }

    /// Logs the payload of what was received.
    pub(crate) fn trace_payload_in(&self, body: &[u8], header_len: usize) {
        if let Some(shown) = Payload::of(body, header_len) {
            log::trace!("{} - <<- MSG_PAYLOAD: [\"{shown}\"]", self.describe());
        }
    }

    /// Logs what is sent, if traces are wanted.
    pub(crate) fn trace_out(&self, operation: &str) {
        if enabled() {
            log::trace!("{} - ->> [{}]", self.describe(), Visible(operation));
        }
    }

    /// Logs that a subscription is gone, if traces are wanted.
    pub(crate) fn trace_unsubscribed(&self, sid: &[u8]) {
        if enabled() {
            log::trace!("{} - <-> [DELSUB {}]", self.describe(), Visible(&String::from_utf8_lossy(sid)));
        }
    }

    /// Logs the lines of what is sent to a server, but for those that introduce this one: they hold credentials.
    #[cold]
    pub(crate) fn trace_lines_out(&self, lines: &[u8]) {
        for line in lines.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty()) {
            if !line.starts_with(b"CONNECT") && !line.starts_with(b"INFO") {
                log::trace!("{} - ->> [{}]", self.describe(), Visible(&String::from_utf8_lossy(line)));
            }
        }
    }

    /// Logs a payload that is sent to a server.
    #[cold]
    pub(super) fn trace_payload_out(&self, body: &[u8], header_len: usize) {
        if let Some(shown) = Payload::of(body, header_len) {
            log::trace!("{} - ->> MSG_PAYLOAD: [\"{shown}\"]", self.describe());
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
        self.trace_out(&format!("{verb} {subject} {sid} {reply}{header}{size}"));
        self.trace_payload_out(message.body, message.header_len);
    }
}

/// What `CONNECT` says, as far as others may know it. Nothing of what is no JSON: who could tell a secret in it?
pub(crate) fn without_secrets(json: &[u8]) -> String {
    let Ok(Fields(fields)) = serde_json::from_slice(json) else { return REDACTED.to_owned() };
    let shown = fields.iter().map(|(name, value)| {
        let key = serde_json::Value::from(name.as_str());
        let secret = SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret));
        if secret { format!("{key}:\"{REDACTED}\"") } else { format!("{key}:{value}") }
    });
    format!("{{{}}}", shown.collect::<Vec<_>>().join(","))
}

/// The fields of an object, in order, those that come twice as well.
struct Fields(Vec<(String, serde_json::Value)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(InOrder)
    }
}

/// Bytes, quoted as Go does it: text stays text, and nothing can break the line.
struct Payload<'a>(&'a [u8]);

impl<'a> Payload<'a> {
    /// What is to be shown of a payload; `None` if nothing.
    fn of(body: &'a [u8], header_len: usize) -> Option<Self> {
        Self::part(body, header_len, HEADERS_ONLY.load(Relaxed))
    }

    fn part(body: &'a [u8], header_len: usize, header_only: bool) -> Option<Self> {
        let end = if header_only { header_len.saturating_sub(HEADER_END) } else { body.len() };
        body.get(..end).filter(|shown| !shown.is_empty()).map(Self)
    }
}

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

/// An operation as it is, but for what could move the cursor of a terminal.
struct Visible<'a>(&'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| if c.is_control() { write_char(f, c) } else { write!(f, "{c}") })
    }
}

/// Text within quotes that it cannot leave, as Go writes it.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| write_char(f, c))
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
    fn secrets_are_not_shown_however_they_are_written() {
        for (json, shown) in [
            (r#"{"verbose":false,"user":"u","pass":"p\"x"}"#, r#"{"verbose":false,"user":"u","pass":"[REDACTED]"}"#),
            (r#"{"Auth_Token" : 17, "name":"\u0041"}"#, r#"{"Auth_Token":"[REDACTED]","name":"A"}"#),
            (r#"{"\u0073ig":{"a":["s"]},"jwt":"j.w.t"}"#, r#"{"sig":"[REDACTED]","jwt":"[REDACTED]"}"#),
            (
                r#"{"pass":"one","pass":"two","nkey":"U"}"#,
                r#"{"pass":"[REDACTED]","pass":"[REDACTED]","nkey":"[REDACTED]"}"#,
            ),
            (r#"{"pass":"one""#, REDACTED),
            (r#"["pass","one"]"#, REDACTED),
            ("", REDACTED),
        ] {
            assert_eq!(without_secrets(json.as_bytes()), shown, "{json}");
        }
    }

    #[test]
    fn of_headers_only_the_header_is_shown() {
        let part = |body: &[u8], len, only| Payload::part(body, len, only).map(|shown| shown.to_string());
        let body = b"NATS/1.0\r\nA: b\r\n\r\nhi";
        assert_eq!(part(body, 18, true).as_deref(), Some(r"NATS/1.0\r\nA: b"));
        assert_eq!((part(b"hi", 0, true), part(b"", 0, false)), (None, None));
        assert_eq!(part(b"hi", 0, false).as_deref(), Some("hi"));
    }

    #[test]
    fn payloads_stay_on_their_line() {
        let shown = |bytes: &[u8]| Payload(bytes).to_string();
        assert_eq!(shown(b"NATS/1.0\r\n\r\nhi \"x\\\""), r#"NATS/1.0\r\n\r\nhi \"x\\\""#);
        assert_eq!(shown("täxt\u{1b}\u{85}\u{2028}".as_bytes()), r"täxt\x1b\u0085\u2028");
        assert_eq!(shown(b"a\xff\0"), r"a\xff\x00");
        assert_eq!(Visible("SUB a\rb\u{1b}[2J \"1\"").to_string(), r#"SUB a\rb\x1b[2J "1""#);
    }
}
