//! `msg_trace` of an account.

use natsd_auth::account::TraceTarget;
use natsd_core::subject;

use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

/// The value while its keys are read.
#[derive(Default)]
pub struct Draft {
    subject: Option<String>,
    sampling: Option<u8>,
}

/// The keys of `msg_trace {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["dest"],
        takes: "subject",
        default: "",
        doc: "Where traces are told.",
        read: |draft, field| destination(field).map(|subject| draft.subject = Some(subject)),
    },
    Key {
        names: &["sampling"],
        takes: "integer or \"30%\"",
        default: "100",
        doc: "Percents of the messages that are traced.",
        read: |draft, field| sampling(field).map(|sampling| draft.sampling = Some(sampling)),
    },
];

/// The value of `msg_trace`; `None` if keys in it are wrong, which has been reported.
pub(super) fn read(field: &mut Field<'_>) -> Result<Option<TraceTarget>, ValueError> {
    let mut draft = Draft::default();
    match field.value() {
        Value::Text(_) => draft.subject = Some(destination(field)?),
        Value::Map(_) => {
            if !field.map(KEYS, &[], &mut draft)? {
                return Ok(None);
            }
        }
        _ => return Err(field.expected("a subject, or { dest, sampling }")),
    }
    let subject = draft.subject.ok_or(ValueError::Missing("dest"))?;
    Ok(Some(TraceTarget { subject, sampling: draft.sampling.unwrap_or(100) }))
}

fn destination(field: &mut Field<'_>) -> Result<String, ValueError> {
    let subject = field.text()?;
    if !subject::is_valid_literal(subject.as_bytes()) || subject.contains(char::is_whitespace) {
        return Err(ValueError::Word { found: subject.to_owned(), expected: "a subject without wildcards" });
    }
    Ok(subject.to_owned())
}

fn sampling(field: &mut Field<'_>) -> Result<u8, ValueError> {
    let Value::Text(text) = field.value() else { return field.integer_in(1..=100) };
    let percent = text.trim().trim_end_matches('%').parse().ok().filter(|percent| (1..=100).contains(percent));
    let expected = "a number from 1 to 100, such as 50 or \"50%\"";
    percent.ok_or_else(|| ValueError::Word { found: text.clone(), expected })
}
