//! What the log says of those who overstep their permissions.

use natsd_core::error::ClientError;

use crate::link::trace::Quoted;

/// The line for `error`, where it is about permissions. `sid` is that of the subscription it is about.
pub(super) fn describe(error: &ClientError, sid: &[u8]) -> Option<String> {
    let quoted = |text: &str| format!("\"{}\"", Quoted(text));
    let sid = String::from_utf8_lossy(sid);
    Some(match error {
        ClientError::Publish(subject) => format!("Publish Violation - Subject {}", quoted(subject)),
        ClientError::Reply(reply) => format!("Publish Violation - Reply {}", quoted(reply)),
        ClientError::Subscribe(subject) => {
            format!("Subscription Violation - Subject {}, SID {}", quoted(subject), Quoted(&sid))
        }
        ClientError::SubscribeQueue { subject, queue } => {
            let (subject, queue) = (quoted(subject), quoted(queue));
            format!("Subscription Violation - Subject {subject}, Queue: {queue}, SID {}", Quoted(&sid))
        }
        ClientError::TooManyTokens(subject) => {
            format!("Subscription Violation Too Many Tokens - Subject {}, SID {}", quoted(subject), Quoted(&sid))
        }
        _ => return None,
    })
}
