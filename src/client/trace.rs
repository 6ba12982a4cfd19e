//! What trace logs show of a connection: operations, payloads, and no secrets.

use std::fmt;

use natsd_core::parser::Op;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// Fields of `CONNECT` that let somebody else in as this client, or that prove who it is.
const SECRETS: [&str; 5] = ["pass", "auth_token", "jwt", "sig", "nkey"];
const REDACTED: &str = "[REDACTED]";

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

/// What `CONNECT` says, as far as others may know it. Nothing of what is no JSON: who could tell a secret in it?
fn without_secrets(json: &[u8]) -> String {
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
}
