//! Keys that sign for an account.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::issues::Issues;
use super::key::KeyKind;
use super::limits::{NO_LIMIT, NatsLimits};
use super::user::UserLimits;

/// What all users have that a signing key signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserScope {
    /// For people.
    pub role: String,
    /// What they may, with `{{name()}}` and the like in its subjects.
    pub template: UserLimits,
    /// For people.
    pub description: String,
}

impl UserScope {
    /// One without restrictions.
    pub fn new(role: &str) -> Self {
        let template = UserLimits { nats: NatsLimits::UNLIMITED, ..UserLimits::default() };
        Self { role: role.to_owned(), template, description: String::new() }
    }
}

/// Public keys that sign for an account, and what they are restricted to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SigningKeys(pub BTreeMap<String, Option<UserScope>>);

impl SigningKeys {
    /// Whether it is one of them.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(super) fn check(&self, issues: &mut Issues) {
        for (key, scope) in self.0.iter().filter(|(key, _)| !KeyKind::Account.is(key)) {
            issues.error(match scope {
                Some(_) => format!("{key} is not an account public key"),
                None => format!("{key:?} is not a valid account signing key"),
            });
        }
    }
}

impl Serialize for SigningKeys {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Scope<'a> {
            kind: &'static str,
            key: &'a str,
            #[serde(flatten)]
            scope: &'a UserScope,
        }
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Entry<'a> {
            Plain(&'a str),
            Scoped(Scope<'a>),
        }
        serializer.collect_seq(self.0.iter().map(|(key, scope)| match scope {
            None => Entry::Plain(key),
            Some(scope) => Entry::Scoped(Scope { kind: "user_scope", key, scope }),
        }))
    }
}

impl<'de> Deserialize<'de> for SigningKeys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = BTreeMap::new();
        for entry in Vec::<Value>::deserialize(deserializer)? {
            let (key, scope) = match entry {
                Value::String(key) => (key, None),
                mut entry => {
                    if entry.get("kind").and_then(Value::as_str) != Some("user_scope") {
                        return Err(D::Error::custom("unknown signing key scope"));
                    }
                    without_limits(&mut entry);
                    let key = entry.get("key").and_then(Value::as_str).unwrap_or_default().to_owned();
                    (key, Some(UserScope::deserialize(entry).map_err(D::Error::custom)?))
                }
            };
            keys.insert(key, scope);
        }
        Ok(Self(keys))
    }
}

/// Whatever limit a template does not name is none.
fn without_limits(scope: &mut Value) {
    let Some(scope) = scope.as_object_mut() else { return };
    let template = scope.entry("template").or_insert_with(|| Value::Object(serde_json::Map::new()));
    let Some(template) = template.as_object_mut() else { return };
    for limit in ["subs", "data", "payload"] {
        template.entry(limit).or_insert_with(|| NO_LIMIT.into());
    }
}
