//! `{{name()}}` and the like in the subjects of a signing key.

use natsd_core::subject;

use super::account::Account;
use super::claims::Claims;
use super::user::{User, UserLimits};

/// The most subjects that a list may become.
const MAX_SUBJECTS: usize = 4096;

/// Why there are no permissions for a user; in the words of nats-server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// No such function.
    #[error("template operation in {subject:?}: {operation:?} is not defined")]
    Operation {
        /// The subject.
        subject: String,
        /// What it asks for.
        operation: String,
    },
    /// What is to be denied names a tag that nobody has.
    #[error("generated invalid subject {subject:?}: {tag:?} is not defined")]
    Tag {
        /// The subject.
        subject: String,
        /// The tag.
        tag: String,
    },
    /// What is to be denied is no subject.
    #[error("generated invalid subject")]
    Subject,
    /// Too many tags.
    #[error("template expansion exceeds limit: {MAX_SUBJECTS}")]
    Limit,
}

/// The `{{…}}` of `text`, from left to right.
fn templates(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        let inner = &rest[start + 2..];
        match inner.find('}') {
            Some(end) if end > 0 && inner[end..].starts_with("}}") => {
                found.push(&rest[start..start + end + 4]);
                rest = &inner[end + 2..];
            }
            _ => rest = &rest[start + 1..],
        }
    }
    found
}

/// Whether nats-server takes it as a subject to subscribe to.
fn is_subject(text: &str) -> bool {
    subject::is_valid(text.as_bytes()) && !text.contains([' ', '\t', '\n', '\r', '\u{c}'])
}

/// What stands for a template, and whether it comes of tags, of which there may be several.
struct Values {
    values: Vec<String>,
    tags: bool,
}

/// Whom templates are about.
struct About<'a> {
    user: &'a Claims<User>,
    account: &'a Claims<Account>,
}

/// `X` of `name(X)`. The name counts in either case, but only in lower case is it cut off.
fn argument<'a>(operation: &'a str, name: &str) -> Option<&'a str> {
    let head = operation.get(..name.len())?;
    let inner = operation.strip_suffix(')').filter(|_| head.eq_ignore_ascii_case(name))?;
    Some(inner.strip_prefix(name).unwrap_or(inner))
}

impl About<'_> {
    /// The values of `template`; of a tag that nobody has, none.
    fn values(&self, subject: &str, template: &str) -> Result<(Values, Option<String>), TemplateError> {
        let operation = template[2..template.len() - 2].trim();
        let single = |value: &str| Ok((Values { values: vec![value.to_owned()], tags: false }, None));
        match operation.to_ascii_lowercase().as_str() {
            "name()" => return single(&self.user.registered.name),
            "subject()" => return single(&self.user.registered.subject),
            "account-name()" => return single(&self.account.registered.name),
            "account-subject()" => return single(&self.user.body.issuer_account),
            _ => {}
        }
        let (name, tags) = match (argument(operation, "tag("), argument(operation, "account-tag(")) {
            (Some(name), _) => (name, &self.user.tags),
            (None, Some(name)) => (name, &self.account.tags),
            (None, None) => {
                return Err(TemplateError::Operation { subject: subject.to_owned(), operation: operation.to_owned() });
            }
        };
        let prefix = format!("{}:", name.to_lowercase());
        let values: Vec<String> = tags.iter().filter_map(|tag| tag.strip_prefix(&prefix)).map(str::to_owned).collect();
        let missing = values.is_empty().then(|| name.to_owned());
        Ok((Values { values, tags: true }, missing))
    }

    /// The subjects that one subject becomes, valid or not.
    fn expand(&self, subject: &str, deny: bool, room: usize) -> Result<Vec<String>, TemplateError> {
        let templates = templates(subject);
        let mut all = Vec::with_capacity(templates.len());
        for template in &templates {
            let (mut values, missing) = self.values(subject, template)?;
            match missing {
                Some(tag) if deny => return Err(TemplateError::Tag { subject: subject.to_owned(), tag }),
                Some(_) => values.values.push(" ".to_owned()),
                None => {}
            }
            all.push(values);
        }
        let count = all.iter().try_fold(1_usize, |count, values| count.checked_mul(values.values.len()));
        if all.iter().any(|values| values.tags) && count.is_none_or(|count| count > room) {
            return Err(TemplateError::Limit);
        }
        let mut subjects = vec![subject.to_owned()];
        // Each value takes the place of its template wherever that stands, before the next is looked at.
        for (template, Values { values, .. }) in templates.iter().zip(&all) {
            subjects = subjects
                .iter()
                .flat_map(|subject| values.iter().map(|value| subject.replace(template, value)))
                .collect();
        }
        Ok(subjects)
    }

    /// The subjects that `list` becomes. What is no subject cannot be allowed, and is an error if it is to be denied.
    fn apply(&self, list: &[String], deny: bool) -> Result<Vec<String>, TemplateError> {
        if list.iter().all(|subject| templates(subject).is_empty()) {
            return Ok(list.to_vec());
        }
        let mut applied: Vec<String> = Vec::new();
        for subject in list {
            for expanded in self.expand(subject, deny, MAX_SUBJECTS.saturating_sub(applied.len()))? {
                if is_subject(&expanded) {
                    applied.push(expanded);
                } else if deny {
                    return Err(TemplateError::Subject);
                }
            }
        }
        Ok(applied)
    }
}

/// What the `template` of a signing key of `account` gives `user`.
///
/// # Errors
///
/// If it asks for what there is not, or for too much.
pub(super) fn apply(
    template: &UserLimits,
    user: &Claims<User>,
    account: &Claims<Account>,
) -> Result<UserLimits, TemplateError> {
    let about = About { user, account };
    let mut limits = template.clone();
    for subjects in [&mut limits.permissions.subscribe, &mut limits.permissions.publish] {
        let restricted = !subjects.allow.is_empty();
        subjects.allow = about.apply(&subjects.allow, false)?;
        subjects.deny = about.apply(&subjects.deny, true)?;
        // Nothing left to allow is not everything.
        if restricted && subjects.allow.is_empty() && !subjects.deny.iter().any(|subject| subject == ">") {
            subjects.deny.push(">".to_owned());
        }
    }
    Ok(limits)
}
