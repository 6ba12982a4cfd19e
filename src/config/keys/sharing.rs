//! `exports` and `imports` of accounts.

use std::num::NonZeroUsize;

use natsd_auth::account::{Access, Export, Import, ImportKind, Latency, ResponseType, Sampling, Service};
use natsd_core::subject;
use natsd_core::transform::Renaming;

use crate::config::duration;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

/// An export while its keys are read.
#[derive(Default)]
pub struct ExportDraft {
    stream: Option<String>,
    service: Option<String>,
    accounts: Option<Vec<String>>,
    token_position: Option<NonZeroUsize>,
    options: Service,
    /// The last key that only services have.
    of_services: Option<&'static str>,
}

/// The keys of an export.
pub const EXPORT_KEYS: &[Key<ExportDraft>] = &[
    Key {
        names: &["stream"],
        takes: "subject",
        default: "",
        doc: "Others get what is published to it here.",
        read: |draft, field| field.text().map(|subject| draft.stream = Some(subject.to_owned())),
    },
    Key {
        names: &["service"],
        takes: "subject",
        default: "",
        doc: "In place of `stream`: others may send requests to it here, and get the answers.",
        read: |draft, field| field.text().map(|subject| draft.service = Some(subject.to_owned())),
    },
    Key {
        names: &["accounts"],
        takes: "list of names",
        default: "all",
        doc: "Who may import it.",
        read: |draft, field| {
            let Value::List(items) = field.value() else { return Err(field.expected("a list of accounts")) };
            draft.accounts = Some(field.items(items, |field| field.text().map(str::to_owned))?);
            Ok(())
        },
    },
    Key {
        names: &["account_token_position"],
        takes: "integer",
        default: "none",
        doc: "Which token of the subject, 1 being the first, has to be the name of the account that imports it.",
        read: |draft, field| {
            draft.token_position = NonZeroUsize::new(field.integer_in(0..=i32::MAX.into())?);
            Ok(())
        },
    },
    Key {
        names: &["response_type", "response"],
        takes: "\"singleton\", \"stream\" or \"chunked\"",
        default: "\"singleton\"",
        doc: "Of services: how many answers there are to a request; of several, an empty one is the last.",
        read: |draft, field| {
            draft.of_services = Some("response_type");
            draft.options.response = match field.text()?.to_ascii_lowercase().as_str() {
                "single" | "singleton" => ResponseType::Singleton,
                "stream" => ResponseType::Stream,
                "chunk" | "chunked" => ResponseType::Chunked,
                found => {
                    let expected = "\"singleton\", \"stream\" or \"chunked\"";
                    return Err(ValueError::Word { found: found.to_owned(), expected });
                }
            };
            Ok(())
        },
    },
    Key {
        names: &["response_threshold", "threshold", "response_max_time", "response_time"],
        takes: "duration",
        default: "\"2m\"",
        doc: "Of services: how long an answer may take, or the next one.",
        read: |draft, field| {
            draft.of_services = Some("response_threshold");
            let threshold = duration::parse(field.text()?)?;
            draft.options.threshold = if threshold.is_zero() { Service::default().threshold } else { threshold };
            Ok(())
        },
    },
    Key {
        names: &["latency"],
        takes: "subject, or { sampling, subject }",
        default: "none",
        doc: "Of services: where it is published in this account how long an answer took. `sampling` is the percentage of \
              requests that are measured (100), or \"headers\" for those that have headers of a tracing system.",
        read: |draft, field| {
            draft.of_services = Some("latency");
            latency(field).map(|latency| draft.options.latency = Some(latency))
        },
    },
    Key {
        names: &["allow_trace"],
        takes: "boolean",
        default: "false",
        doc: "Of services: messages may be traced into this account.",
        read: |draft, field| {
            draft.of_services = Some("allow_trace");
            field.bool().map(|on| draft.options.allow_trace = on)
        },
    },
];

#[derive(Default)]
struct LatencyDraft {
    subject: Option<String>,
    sampling: Option<Sampling>,
}

const LATENCY_KEYS: &[Key<LatencyDraft>] = &[
    Key {
        names: &["subject"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|subject| draft.subject = Some(subject.to_owned())),
    },
    Key {
        names: &["sampling"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| sampling(field).map(|sampling| draft.sampling = Some(sampling)),
    },
];

fn latency(field: &mut Field<'_>) -> Result<Latency, ValueError> {
    let mut draft = LatencyDraft::default();
    match field.value() {
        Value::Text(subject) => draft.subject = Some(subject.clone()),
        Value::Map(_) => {
            field.map(LATENCY_KEYS, &[], &mut draft)?;
        }
        _ => return Err(field.expected("a subject, or { sampling, subject }")),
    }
    let subject = draft.subject.ok_or(ValueError::Missing("subject"))?;
    if !subject::is_valid_literal(subject.as_bytes()) {
        return Err(ValueError::Word { found: subject, expected: "a subject without wildcards" });
    }
    Ok(Latency { subject, sampling: draft.sampling.unwrap_or(Sampling::Percent(100)) })
}

fn sampling(field: &mut Field<'_>) -> Result<Sampling, ValueError> {
    let Value::Text(text) = field.value() else { return field.integer_in(1..=100).map(Sampling::Percent) };
    if text.trim().eq_ignore_ascii_case("headers") {
        return Ok(Sampling::Headers);
    }
    let percent = text.trim().trim_end_matches('%').parse().ok().filter(|percent| (1..=100).contains(percent));
    let expected = "a number from 1 to 100, such as 50 or \"50%\", or \"headers\"";
    percent.map(Sampling::Percent).ok_or_else(|| ValueError::Word { found: text.clone(), expected })
}

/// The value of `exports`.
pub(super) fn exports(field: &mut Field<'_>) -> Result<Vec<Export>, ValueError> {
    let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
    field.items(items, export)
}

fn export(field: &mut Field<'_>) -> Result<Export, ValueError> {
    let mut draft = ExportDraft::default();
    field.map(EXPORT_KEYS, &[], &mut draft)?;
    let (subject, service) = match (draft.stream, draft.service, draft.of_services) {
        (Some(_), None, Some(key)) => return Err(ValueError::OnlyForServices(key)),
        (Some(stream), None, None) => (stream, None),
        (None, Some(service), _) => (service, Some(draft.options)),
        _ => return Err(ValueError::StreamOrService),
    };
    if !subject::is_valid(subject.as_bytes()) || subject.contains(char::is_whitespace) {
        return Err(ValueError::Word { found: subject, expected: "a subject, with or without wildcards" });
    }
    let access = match (draft.accounts, draft.token_position) {
        (Some(_), Some(_)) => return Err(ValueError::TwoAccesses),
        (Some(accounts), None) => Access::Accounts(accounts),
        (None, Some(at)) if subject.split('.').nth(at.get() - 1) == Some("*") => Access::TokenPosition(at),
        (None, Some(at)) => return Err(ValueError::TokenPosition { at: at.get(), subject }),
        (None, None) => Access::Public,
    };
    Ok(Export { subject: subject.into(), service, access })
}

/// An import while its keys are read.
#[derive(Default)]
pub struct ImportDraft {
    stream: Option<Source>,
    service: Option<Source>,
    prefix: Option<String>,
    to: Option<String>,
    share: Option<bool>,
    allow_trace: Option<bool>,
}

/// What is imported, while its keys are read.
#[derive(Default)]
struct Source {
    account: Option<String>,
    subject: Option<String>,
}

/// The keys of an import.
pub const IMPORT_KEYS: &[Key<ImportDraft>] = &[
    Key {
        names: &["stream"],
        takes: "{ account, subject }",
        default: "",
        doc: "Which stream of which account; the subject may be a part of what that exports.",
        read: |draft, field| source(field).map(|source| draft.stream = Some(source)),
    },
    Key {
        names: &["service"],
        takes: "{ account, subject }",
        default: "",
        doc: "In place of `stream`: which service of which account.",
        read: |draft, field| source(field).map(|source| draft.service = Some(source)),
    },
    Key {
        names: &["to"],
        takes: "subject",
        default: "that of the other account",
        doc: "What it is called here. The wildcards of the other subject stand in it as `*` in the same order, or as `$1`, `$2` \
              in any.",
        read: |draft, field| field.text().map(|to| draft.to = Some(to.to_owned())),
    },
    Key {
        names: &["prefix"],
        takes: "subject",
        default: "none",
        doc: "Of streams, in place of `to`: what comes before the subject of the other account.",
        read: |draft, field| field.text().map(|prefix| draft.prefix = Some(prefix.to_owned())),
    },
    Key {
        names: &["share"],
        takes: "boolean",
        default: "false",
        doc: "Of services: they are told who asks, not only from which account.",
        read: |draft, field| field.bool().map(|on| draft.share = Some(on)),
    },
    Key {
        names: &["allow_trace"],
        takes: "boolean",
        default: "false",
        doc: "Of streams: messages may be traced into this account.",
        read: |draft, field| field.bool().map(|on| draft.allow_trace = Some(on)),
    },
];

const SOURCE_KEYS: &[Key<Source>] = &[
    Key {
        names: &["account"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|account| draft.account = Some(account.to_owned())),
    },
    Key {
        names: &["subject"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|subject| draft.subject = Some(subject.to_owned())),
    },
];

fn source(field: &mut Field<'_>) -> Result<Source, ValueError> {
    let mut source = Source::default();
    field.map(SOURCE_KEYS, &[], &mut source)?;
    Ok(source)
}

/// The value of `imports`.
pub(super) fn imports(field: &mut Field<'_>) -> Result<Vec<Import>, ValueError> {
    let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
    field.items(items, import)
}

fn import(field: &mut Field<'_>) -> Result<Import, ValueError> {
    let mut draft = ImportDraft::default();
    field.map(IMPORT_KEYS, &[], &mut draft)?;
    let (source, kind) = match (draft.stream, draft.service) {
        (Some(_), None) if draft.share.is_some() => return Err(ValueError::OnlyForServices("share")),
        (Some(source), None) => (source, ImportKind::Stream),
        (None, Some(_)) if draft.prefix.is_some() => return Err(ValueError::OnlyForStreams("prefix")),
        (None, Some(_)) if draft.allow_trace.is_some() => return Err(ValueError::OnlyForStreams("allow_trace")),
        (None, Some(source)) => (source, ImportKind::Service { share: draft.share.unwrap_or(false) }),
        _ => return Err(ValueError::StreamOrService),
    };
    let account = source.account.filter(|name| !name.is_empty()).ok_or(ValueError::Missing("account"))?;
    let subject = source.subject.filter(|name| !name.is_empty()).ok_or(ValueError::Missing("subject"))?;
    let local = match (draft.to, draft.prefix) {
        (Some(_), Some(_)) => return Err(ValueError::PrefixAndTo),
        (Some(to), None) => to,
        (None, Some(prefix)) => format!("{}.{subject}", prefix.trim_end_matches('.')),
        (None, None) => subject.clone(),
    };
    let renaming = Renaming::new(&subject, &local).map_err(|error| ValueError::Mapping(error.into()))?;
    let allow_trace = draft.allow_trace.unwrap_or(false);
    Ok(Import { kind, account, subject, renaming, activated: false, allow_trace })
}
