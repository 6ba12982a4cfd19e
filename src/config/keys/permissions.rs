//! `permissions {}` of users.

use std::time::Duration;

use natsd_auth::{Permissions, ReplyPolicy, Rule, Rules};

use crate::config::duration;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

/// The keys of `permissions {}`.
pub const KEYS: &[Key<Permissions>] = &[
    Key {
        names: &["publish", "pub", "import"],
        takes: "subject, list of subjects, or { allow, deny }",
        default: "everything",
        doc: "What the user may publish to.",
        read: |permissions, field| {
            permissions.publish = rules(field, PUBLISH)?;
            Ok(())
        },
    },
    Key {
        names: &["subscribe", "sub", "export"],
        takes: "subject, list of subjects, or { allow, deny }",
        default: "everything",
        doc: "What the user may subscribe to. `\"subject group\"` is about members of that queue group only, which may have \
              wildcards. A subscription that is wider than what is denied is allowed, and gets the rest.",
        read: |permissions, field| {
            permissions.subscribe = rules(field, SUBSCRIBE)?;
            Ok(())
        },
    },
    Key {
        names: &["allow_responses", "publish_allow_responses"],
        takes: "boolean or { max, expires }",
        default: "false",
        doc: "The user may publish to the reply subjects of requests that it gets, `max` times each (1 by default) and until \
              `expires` later (\"2m\"); -1 is without limit. Without `publish` it may publish to nothing else.",
        read: |permissions, field| {
            permissions.replies = match field.value() {
                Value::Bool(on) => on.then(ReplyPolicy::default),
                Value::Map(_) => {
                    let mut policy = ReplyPolicy::default();
                    field.map(REPLIES, &[], &mut policy)?;
                    Some(policy)
                }
                _ => return Err(field.expected("a boolean or a map")),
            };
            Ok(())
        },
    },
];

const REPLIES: &[Key<ReplyPolicy>] = &[
    Key {
        names: &["max", "max_msgs", "max_messages", "max_responses"],
        takes: "integer",
        default: "1",
        doc: "",
        read: |policy, field| {
            policy.max = match field.integer_in::<i64>(-1..=i64::MAX)? {
                -1 => None,
                0 => ReplyPolicy::default().max,
                max => Some(max.unsigned_abs()),
            };
            Ok(())
        },
    },
    Key {
        names: &["expires", "expiration", "ttl"],
        takes: "duration in quotes",
        default: "\"2m\"",
        doc: "",
        read: |policy, field| {
            let text = field.text()?;
            policy.expires = match text.strip_prefix('-') {
                Some(unlimited) => duration::parse(unlimited).map(|_| None)?,
                None => match duration::parse(text)? {
                    Duration::ZERO => ReplyPolicy::default().expires,
                    expires => Some(expires),
                },
            };
            Ok(())
        },
    },
];

/// Rules while their keys are read, with what reads one.
struct Draft {
    rules: Rules,
    parse: Parse,
}

type Parse = fn(&str) -> Result<Rule, natsd_auth::RuleError>;

const PUBLISH: Parse = Rule::to_publish;
const SUBSCRIBE: Parse = |text| text.parse();

const RULES: &[Key<Draft>] = &[
    Key {
        names: &["allow"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| {
            draft.rules.allow = subjects(field, draft.parse)?;
            Ok(())
        },
    },
    Key {
        names: &["deny"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| {
            draft.rules.deny = subjects(field, draft.parse)?;
            Ok(())
        },
    },
];

/// A list of what is allowed, or a map of what is allowed and denied.
fn rules(field: &mut Field<'_>, parse: Parse) -> Result<Rules, ValueError> {
    let mut draft = Draft { rules: Rules::default(), parse };
    match field.value() {
        Value::Map(_) => {
            field.map(RULES, &[], &mut draft)?;
        }
        _ => draft.rules.allow = subjects(field, parse)?,
    }
    Ok(draft.rules)
}

/// An empty list is as none.
fn subjects(field: &mut Field<'_>, parse: Parse) -> Result<Vec<Rule>, ValueError> {
    match field.value() {
        Value::List(items) if items.is_empty() => Ok(Vec::new()),
        Value::List(_) | Value::Text(_) => field.each(|field| Ok(parse(field.text()?)?)),
        _ => Err(field.expected("a subject, a list of subjects, or { allow, deny }")),
    }
}

/// Reads the block.
pub(super) fn read(field: &mut Field<'_>) -> Result<Permissions, ValueError> {
    let mut permissions = Permissions::default();
    field.map(KEYS, &[], &mut permissions)?;
    Ok(permissions)
}
