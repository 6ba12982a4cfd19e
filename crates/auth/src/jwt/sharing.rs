//! What accounts offer each other.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::activation::Activation;
use super::claims::Claims;
use super::issues::Issues;
use super::json::is_zero;
use super::permissions::check_subject;

/// A stream of messages, or a service that answers requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ShareKind {
    /// Not said.
    #[default]
    Unknown,
    /// Messages.
    Stream,
    /// Requests.
    Service,
}

impl ShareKind {
    fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Stream => "stream",
            Self::Service => "service",
        }
    }
}

impl Serialize for ShareKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for ShareKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "stream" => Ok(Self::Stream),
            "service" => Ok(Self::Service),
            other => Err(D::Error::custom(format!("unknown export type {other:?}"))),
        }
    }
}

/// Which requests are measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampling {
    /// Those whose headers ask for it.
    #[default]
    Headers,
    /// This many of a hundred.
    Percent(i64),
}

impl Serialize for Sampling {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Headers => serializer.serialize_str("headers"),
            Self::Percent(percent) => serializer.serialize_i64(*percent),
        }
    }
}

impl<'de> Deserialize<'de> for Sampling {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) if text.eq_ignore_ascii_case("headers") => Ok(Self::Headers),
            value => match value.as_i64() {
                Some(0) => Ok(Self::Headers),
                Some(percent) => Ok(Self::Percent(percent)),
                None => Err(D::Error::custom("unknown sampling rate")),
            },
        }
    }
}

/// Where it is told how long a service takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ServiceLatency {
    /// Which requests.
    pub sampling: Sampling,
    /// The subject, without wildcards.
    pub results: String,
}

/// What an account offers others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Export {
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What is offered, with wildcards or without.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// As what.
    #[serde(rename = "type", skip_serializing_if = "is_zero")]
    pub kind: ShareKind,
    /// Whether who imports it needs an activation token.
    #[serde(skip_serializing_if = "is_zero")]
    pub token_req: bool,
    /// Until when the activations of which accounts no longer count, in seconds since 1970; `*` for all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub revocations: BTreeMap<String, i64>,
    /// Services: `Singleton`, which is the default, `Stream` or `Chunked`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub response_type: String,
    /// Services: nanoseconds until the first response, 0 for the default of the server.
    #[serde(skip_serializing_if = "is_zero")]
    pub response_threshold: i64,
    /// Services: whether it is measured.
    #[serde(rename = "service_latency", skip_serializing_if = "Option::is_none")]
    pub latency: Option<ServiceLatency>,
    /// Which token of the subject, from 1, is the key of who imports it; 0 for none.
    #[serde(skip_serializing_if = "is_zero")]
    pub account_token_position: u64,
    /// For tools.
    #[serde(skip_serializing_if = "is_zero")]
    pub advertise: bool,
    /// Services: whether message traces go on in this account.
    #[serde(skip_serializing_if = "is_zero")]
    pub allow_trace: bool,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub info_url: String,
}

/// What an account takes from another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Import {
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What is imported, as the publisher of the messages or requests sees it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The public key of who exports it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// An activation, if the export asks for one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub token: String,
    /// Deprecated: what it is called on the side of the subscriber.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// What it is called in this account, with `$1` for the first wildcard; empty for the same.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub local_subject: String,
    /// As what.
    #[serde(rename = "type", skip_serializing_if = "is_zero")]
    pub kind: ShareKind,
    /// Services: whether the exporter is told who asks.
    #[serde(skip_serializing_if = "is_zero")]
    pub share: bool,
    /// Streams: whether message traces go on in this account.
    #[serde(skip_serializing_if = "is_zero")]
    pub allow_trace: bool,
}

impl Export {
    fn check(&self, issues: &mut Issues) {
        let service = self.kind == ShareKind::Service;
        match (self.kind, self.response_type.as_str()) {
            (ShareKind::Unknown, _) => issues.error("invalid export type: \"unknown\""),
            (ShareKind::Service, "" | "Singleton" | "Chunked" | "Stream") | (ShareKind::Stream, "") => {}
            (kind, other) => issues.error(format!("invalid response type for {}: {other:?}", kind.name())),
        }
        if self.kind == ShareKind::Stream && self.allow_trace {
            issues.error("AllowTrace only valid for service export");
        }
        if let Some(latency) = &self.latency {
            if !service {
                issues.error("latency tracking only permitted for services");
            }
            if matches!(latency.sampling, Sampling::Percent(percent) if !(1..=100).contains(&percent)) {
                issues.error("sampling percentage needs to be between 1-100");
            }
            check_subject(&latency.results, issues);
            if has_wildcards(&latency.results) {
                issues.error("results subject can not contain wildcards");
            }
        }
        if self.response_threshold < 0 {
            issues.error("negative response threshold is invalid");
        }
        if self.response_threshold > 0 && !service {
            issues.error("response threshold only valid for services");
        }
        check_subject(&self.subject, issues);
        self.check_position(issues);
        check_info(&self.description, &self.info_url, issues);
    }

    fn check_position(&self, issues: &mut Issues) {
        let (position, subject) = (self.account_token_position, &self.subject);
        if position == 0 {
            return;
        }
        if !has_wildcards(subject) {
            return issues.error(format!("Account Token Position can only be used with wildcard subjects: {subject}"));
        }
        let index = usize::try_from(position - 1).unwrap_or(usize::MAX);
        match subject.split('.').nth(index) {
            Some("*") => {}
            Some(token) => issues
                .error(format!("Account Token Position {position} matches '{token}' but must match a * in: {subject}")),
            None => issues.error(format!("Account Token Position {position} exceeds length of subject '{subject}'")),
        }
    }
}

impl Import {
    /// Whether its [`token`](Self::token), if there is one, is one for it and for `account`. Whose key signed it, and
    /// whether it has expired, is not looked at.
    fn check_token(&self, account: &str, issues: &mut Issues) {
        if self.token.is_empty() {
            return;
        }
        let Ok(activation) = Claims::<Activation>::decode(&self.token) else {
            return issues.error(format!("import {:?} contains an invalid activation token", self.subject));
        };
        let body = &activation.body;
        if activation.registered.issuer != self.account && body.issuer_account != self.account {
            issues.error(format!("activation token doesn't match account for import {:?}", self.subject));
        }
        if activation.registered.subject != account {
            let text = format!("activation token doesn't match account it is being included in, {:?}", self.subject);
            issues.error(text);
        }
        if body.kind != self.kind {
            let (token, import) = (body.kind.name(), self.kind.name());
            issues.error(format!("mismatch between token import type {token} and type of import {import}"));
        }
        body.check_content(issues);
        let renamed = self.kind == ShareKind::Service && !self.to.is_empty();
        let subject = if renamed { &self.to } else { &self.subject };
        if !is_contained(subject, &body.subject) {
            issues.error(format!(
                "activation token import subject {:?} doesn't match import {:?}",
                body.subject, self.subject
            ));
        }
    }

    fn check(&self, account: &str, issues: &mut Issues) {
        if self.kind == ShareKind::Unknown {
            issues.error("invalid import type: \"unknown\"");
        }
        let service = self.kind == ShareKind::Service;
        if service && self.allow_trace {
            issues.error("AllowTrace only valid for stream import");
        }
        if self.account.is_empty() {
            issues.error("account to import from is not specified");
        }
        if !self.to.is_empty() {
            issues.warning("the field to has been deprecated (use LocalSubject instead)");
        }
        check_subject(&self.subject, issues);
        if !self.local_subject.is_empty() {
            check_renaming(&self.local_subject, &self.subject, issues);
            if !self.to.is_empty() {
                issues.error("Local Subject replaces To");
            }
        }
        if self.share && !service {
            issues.error(format!(
                "sharing information (for latency tracking) is only valid for services: {:?}",
                self.subject
            ));
        }
        self.check_token(account, issues);
    }

    /// What a service is called in the account that imports it, each `$1` as `*`.
    fn called(&self) -> String {
        if !self.to.is_empty() {
            return self.to.clone();
        }
        if self.local_subject.is_empty() {
            return self.subject.clone();
        }
        let token = |token| if reference(token).is_some() { "*" } else { token };
        self.local_subject.split('.').map(token).collect::<Vec<_>>().join(".")
    }
}

/// The number of `$1`.
fn reference(token: &str) -> Option<i64> {
    token.strip_prefix('$')?.parse().ok()
}

fn check_renaming(local: &str, from: &str, issues: &mut Issues) {
    check_subject(local, issues);
    if from.is_empty() {
        issues.error("subject cannot be empty");
    }
    let endless = |subject: &str| subject == ">" || subject.ends_with(".>");
    if endless(local) != endless(from) {
        issues.error("both, renaming subject and subject, need to end or not end in >");
    }
    let wildcards = |subject: &str| subject.split('.').filter(|token| *token == "*").count();
    let (available, mut used) = (wildcards(from), wildcards(local));
    for number in local.split('.').filter_map(reference) {
        if usize::try_from(number).is_ok_and(|number| number > available) {
            issues.error(format!("Reference ${number} in {local:?} reference * in {from:?} that do not exist"));
        } else {
            used += 1;
        }
    }
    if used != available {
        issues.error("subject does not contain enough * or reference wildcards $[0-9]");
    }
}

pub(super) fn has_wildcards(subject: &str) -> bool {
    subject.split('.').any(|token| token == "*") || subject == ">" || subject.ends_with(".>")
}

/// Whether all that `subject` gets is in what `other` gets.
pub(super) fn is_contained(subject: &str, other: &str) -> bool {
    let mut tokens = subject.split('.');
    let mut others = other.split('.').peekable();
    while let Some(other) = others.next() {
        let Some(token) = tokens.next() else { return false };
        if other == ">" && others.peek().is_none() {
            return true;
        }
        if other != token && other != "*" {
            return false;
        }
    }
    tokens.next().is_none()
}

pub(super) fn check_info(description: &str, url: &str, issues: &mut Issues) {
    const LONGEST: usize = 8 * 1024;
    if description.len() > LONGEST {
        issues.error("Description is too long");
    }
    if url.len() > LONGEST {
        issues.error("Info URL is too long");
    }
    let host = url.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
    if !url.is_empty() && host.is_none_or(str::is_empty) {
        issues.error("error parsing info url: no hostname or scheme");
    }
}

pub(super) fn check_exports(exports: &[Export], issues: &mut Issues) {
    for export in exports {
        export.check(issues);
    }
    for service in [true, false] {
        let kind = if service { ShareKind::Service } else { ShareKind::Stream };
        let subjects: Vec<&str> = exports
            .iter()
            .filter(|export| (export.kind == ShareKind::Service) == service)
            .map(|export| export.subject.as_str())
            .collect();
        let mut wider = BTreeMap::new();
        for (n, narrow) in subjects.iter().enumerate() {
            for (_, wide) in subjects.iter().enumerate().filter(|(m, wide)| *m != n && is_contained(narrow, wide)) {
                wider.entry(wide).or_insert(narrow);
            }
        }
        for (wide, narrow) in wider {
            issues.error(format!("{} export subject {wide:?} already exports {narrow:?}", kind.name()));
        }
    }
}

pub(super) fn check_imports(imports: &[Import], account: &str, issues: &mut Issues) {
    let mut called: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for import in imports {
        if import.kind == ShareKind::Service {
            let (subject, exporter) = (import.called(), import.account.as_str());
            let others = called.entry(exporter).or_default();
            for other in others.iter().filter(|other| is_contained(&subject, other) || is_contained(other, &subject)) {
                issues.error(format!(
                    "overlapping subject namespace for {subject:?} and {other:?} in same account {exporter:?}"
                ));
            }
            others.push(subject);
        }
        import.check(account, issues);
    }
}
