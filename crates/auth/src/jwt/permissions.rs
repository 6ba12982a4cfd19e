//! What a user may, as tokens say it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::issues::Issues;
use crate::{Permissions, ReplyPolicy, Rule, RuleError, Rules};

/// Subjects that are allowed and denied; without any, all are allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubjectClaims {
    /// What is allowed; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
    /// What, of that, is denied.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// How a user may answer; 0 is the default of the server, less is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResponseClaims {
    /// Messages to one reply subject.
    pub max: i64,
    /// Nanoseconds since the request.
    pub ttl: i64,
}

/// What a user may publish and subscribe to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PermissionClaims {
    /// To publish.
    #[serde(rename = "pub")]
    pub publish: SubjectClaims,
    /// To subscribe.
    #[serde(rename = "sub")]
    pub subscribe: SubjectClaims,
    /// To answer requests.
    #[serde(rename = "resp", skip_serializing_if = "Option::is_none")]
    pub responses: Option<ResponseClaims>,
}

impl SubjectClaims {
    fn check(&self, with_queues: bool, issues: &mut Issues) {
        for text in self.allow.iter().chain(&self.deny) {
            let words: Vec<&str> = text.split(' ').collect();
            match words[..] {
                [subject] => check_subject(subject, issues),
                [subject, queue] => {
                    check_subject(subject, issues);
                    check_subject(queue, issues);
                    if !with_queues {
                        issues.error(format!("Permission Subject \"{text}\" is not allowed to contain queue"));
                    }
                }
                _ => issues.error(format!("Permission Subject \"{text}\" contains too many spaces")),
            }
        }
    }

    fn rules(&self, parse: fn(&str) -> Result<Rule, RuleError>) -> Result<Rules, RuleError> {
        let rules = |texts: &[String]| texts.iter().map(|text| parse(text)).collect::<Result<_, _>>();
        Ok(Rules { allow: rules(&self.allow)?, deny: rules(&self.deny)? })
    }
}

impl ResponseClaims {
    fn policy(&self) -> ReplyPolicy {
        let default = ReplyPolicy::default();
        ReplyPolicy {
            max: if self.max == 0 { default.max } else { u64::try_from(self.max).ok() },
            expires: if self.ttl == 0 {
                default.expires
            } else {
                u64::try_from(self.ttl).ok().map(Duration::from_nanos)
            },
        }
    }
}

impl PermissionClaims {
    pub(super) fn check(&self, issues: &mut Issues) {
        self.subscribe.check(true, issues);
        self.publish.check(false, issues);
    }

    /// What a client is held to; `None` if nothing is said.
    ///
    /// # Errors
    ///
    /// If a rule has a subject that cannot be, such as `a.>.b`. nats-server takes it, and obeys the other rules.
    pub fn rules(&self) -> Result<Option<Permissions>, RuleError> {
        if *self == Self::default() {
            return Ok(None);
        }
        Ok(Some(Permissions {
            publish: self.publish.rules(Rule::to_publish)?,
            subscribe: self.subscribe.rules(str::parse)?,
            replies: self.responses.as_ref().map(ResponseClaims::policy),
        }))
    }
}

/// Whether `subject` has the form of one; in the words of nats-server.
pub(super) fn check_subject(subject: &str, issues: &mut Issues) {
    if subject.is_empty() {
        return issues.error("subject cannot be empty");
    }
    if subject.contains(' ') {
        issues.error(format!("subject {subject:?} cannot have spaces"));
    }
    if subject.starts_with('.') || subject.ends_with('.') {
        issues.error(format!("subject {subject:?} cannot start or end with a `.`"));
    }
    if subject.contains("..") {
        issues.error(format!("subject {subject:?} cannot contain consecutive `.`"));
    }
}
