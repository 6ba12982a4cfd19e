//! Users.

use serde::{Deserialize, Deserializer, Serialize};

use super::claims::{Body, Registered};
use super::issues::Issues;
use super::json::is_zero;
use super::key::KeyKind;
use super::limits::NatsLimits;
use super::permissions::PermissionClaims;
use super::times::{self, TimeRange};

/// What a user may, and how it may come; also the template that a signing key has for its users.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UserLimits {
    /// What it may publish and subscribe to.
    #[serde(flatten)]
    pub permissions: PermissionClaims,
    /// Networks it may come from, such as `10.0.0.0/8`; empty for any.
    #[serde(deserialize_with = "networks", skip_serializing_if = "Vec::is_empty")]
    pub src: Vec<String>,
    /// When it may be connected; empty for any time.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub times: Vec<TimeRange>,
    /// Where these times are meant, such as `Europe/Zurich`; empty for where the server is.
    #[serde(rename = "times_location", skip_serializing_if = "String::is_empty")]
    pub location: String,
    /// How much it may.
    #[serde(flatten)]
    pub nats: NatsLimits,
    /// Whether the token alone lets it in, without a signature.
    #[serde(rename = "bearer_token", skip_serializing_if = "is_zero")]
    pub bearer: bool,
    /// Whether it has to come by a proxy that the server trusts.
    #[serde(skip_serializing_if = "is_zero")]
    pub proxy_required: bool,
    /// What it may connect by; empty for anything.
    #[serde(rename = "allowed_connection_types", skip_serializing_if = "Vec::is_empty")]
    pub connection_types: Vec<String>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct User {
    /// What it may; nothing at all if a signing key says it.
    #[serde(flatten)]
    pub limits: UserLimits,
    /// The account, if one of its signing keys is the issuer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer_account: String,
}

/// A list, or a text with commas.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Networks {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Networks::deserialize(deserializer)? {
        Networks::List(list) => list,
        Networks::Text(text) => {
            text.split(',').map(|part| part.trim().to_lowercase()).filter(|part| !part.is_empty()).collect()
        }
    })
}

impl UserLimits {
    fn check(&self, issues: &mut Issues) {
        self.permissions.check(issues);
        for network in self.src.iter().filter(|network| super::admission::parse_network(network).is_none()) {
            issues.error(format!("invalid cidr {network:?} in user src limits"));
        }
        for range in &self.times {
            for (what, missing, time) in [
                ("start", "time ranges start must contain a start", &range.start),
                ("end", "time ranges end must contain an end", &range.end),
            ] {
                if time.is_empty() {
                    issues.error(missing);
                } else if times::parse(time).is_none() {
                    issues.error(format!("{what} in time range is invalid {time:?}"));
                }
            }
        }
    }
}

impl Body for User {
    const KIND: &'static str = "user";
    const NAMED: &'static str = "user claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account];
    const SUBJECT: Option<KeyKind> = Some(KeyKind::User);

    fn check(&self, _: &Registered, issues: &mut Issues) {
        self.limits.check(issues);
        if !self.issuer_account.is_empty() && !KeyKind::Account.is(&self.issuer_account) {
            issues.error("account_id is not an account public key");
        }
    }
}
