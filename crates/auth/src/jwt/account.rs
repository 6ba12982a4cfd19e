//! Accounts.

use std::collections::BTreeMap;

use natsd_core::transform::{Destination, Mapping, MappingError, Transform};
use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::claims::{Body, Claims, Registered};
use super::issues::Issues;
use super::json::is_zero;
use super::key::KeyKind;
use super::limits::{JetStreamLimits, NO_LIMIT, OperatorLimits};
use super::permissions::{PermissionClaims, check_subject};
use super::sharing::{Export, Import, check_exports, check_imports, check_info, has_wildcards};
use super::signing_keys::SigningKeys;

/// Where a share of the messages to a subject goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WeightedDestination {
    /// To.
    pub subject: String,
    /// How many of a hundred; 0 is all.
    #[serde(skip_serializing_if = "is_zero")]
    pub weight: u8,
    /// Only in this cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
}

impl WeightedDestination {
    /// How many of a hundred.
    pub fn percent(&self) -> u8 {
        if self.weight == 0 { 100 } else { self.weight }
    }
}

/// Who decides about users in place of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExternalAuthorization {
    /// Users that the server lets in by itself: those who decide. Without any, nobody else decides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub auth_users: Vec<String>,
    /// Accounts that others may be put into, or `*` alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_accounts: Vec<String>,
    /// With which requests are encrypted.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub xkey: String,
}

/// Where traces go of messages that ask for one by `traceparent`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MessageTrace {
    /// The subject.
    #[serde(rename = "dest", skip_serializing_if = "String::is_empty")]
    pub destination: String,
    /// How many of a hundred; 0 is all.
    #[serde(skip_serializing_if = "is_zero")]
    pub sampling: i64,
}

/// Whose connections between servers a stream of the account uses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterTraffic(pub String);

/// An account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// What it takes from others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<Import>,
    /// What it offers others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<Export>,
    /// What the operator grants it.
    pub limits: OperatorLimits,
    /// Keys that sign for it.
    #[serde(skip_serializing_if = "is_zero")]
    pub signing_keys: SigningKeys,
    /// Until when users who were given a token no longer count, in seconds since 1970; `*` for all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub revocations: BTreeMap<String, i64>,
    /// What those users may for whom nothing is said.
    pub default_permissions: PermissionClaims,
    /// What published subjects become.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mappings: BTreeMap<String, Vec<WeightedDestination>>,
    /// Whether somebody else decides about its users.
    pub authorization: ExternalAuthorization,
    /// Where traces go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<MessageTrace>,
    /// `system`, `owner`, or empty.
    #[serde(skip_serializing_if = "is_zero")]
    pub cluster_traffic: ClusterTraffic,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub info_url: String,
}

/// Whether `revocations` are of what was issued to `subject` at `issued_at`.
pub(super) fn is_revoked(revocations: &BTreeMap<String, i64>, subject: &str, issued_at: i64) -> bool {
    [subject, "*"].iter().filter_map(|key| revocations.get(*key)).any(|until| *until >= issued_at)
}

impl Account {
    /// Without limits, exports and imports; JetStream is off.
    pub fn unlimited() -> Self {
        Self { limits: OperatorLimits::unlimited(), ..Self::default() }
    }

    /// Whether what was issued to the user `subject` at `issued_at`, in seconds since 1970, no longer counts.
    pub fn has_revoked(&self, subject: &str, issued_at: i64) -> bool {
        is_revoked(&self.revocations, subject, issued_at)
    }

    fn check_mappings(&self, issues: &mut Issues) {
        for (from, to) in &self.mappings {
            check_subject(from, issues);
            let mut totals: BTreeMap<&str, u32> = BTreeMap::new();
            for destination in to {
                check_subject(&destination.subject, issues);
                let percent = destination.percent();
                if percent > 100 {
                    issues.error(format!("Mapping {from:?} has a weight {percent} that exceeds 100"));
                }
                let total = totals.entry(&destination.cluster).or_default();
                *total += u32::from(percent);
                if *total > 100 && !destination.cluster.is_empty() {
                    issues.error(format!(
                        "Mapping {from:?} in cluster {:?} exceeds 100% among all of it's weighted to mappings",
                        destination.cluster
                    ));
                }
            }
            if totals.get("").is_some_and(|total| *total > 100) {
                issues.error(format!("Mapping {from:?} exceeds 100% among all of it's weighted to mappings"));
            }
        }
    }

    fn check_authorization(&self, issues: &mut Issues) {
        let ExternalAuthorization { auth_users, allowed_accounts, xkey } = &self.authorization;
        if !allowed_accounts.is_empty() && auth_users.is_empty() {
            issues.error("External authorization cannot have accounts without users specified");
        }
        for user in auth_users.iter().filter(|user| !KeyKind::User.is(user)) {
            issues.error(format!("AuthUser {user:?} is not a valid user public key"));
        }
        for account in allowed_accounts {
            if account == "*" {
                if allowed_accounts.len() > 1 {
                    issues.error("AllowedAccounts can only be a list of accounts or \"*\"");
                }
            } else if !KeyKind::Account.is(account) {
                issues.error(format!("Account {account:?} is not a valid account public key"));
            }
        }
        if !xkey.is_empty() && !KeyKind::Curve.is(xkey) {
            issues.error(format!("XKey {xkey:?} is not a valid public xkey"));
        }
    }

    fn check_trace(&self, issues: &mut Issues) {
        let Some(MessageTrace { destination, sampling }) = &self.trace else { return };
        let mut own = Issues::default();
        check_subject(destination, &mut own);
        if let Some(issue) = own.0.first() {
            issues.error(format!("the account Trace.Destination {}", issue.text));
        }
        if has_wildcards(destination) {
            issues
                .error(format!("the account Trace.Destination subject {destination:?} is not a valid publish subject"));
        }
        if !(0..=100).contains(sampling) {
            issues.error(format!(
                "the account Trace.Sampling value '{sampling}' is not valid, should be in the range [1..100]"
            ));
        }
    }

    fn check_counts(&self, issues: &mut Issues) {
        let exceeds = |count: usize, limit: i64| limit != NO_LIMIT && i64::try_from(count).is_ok_and(|n| n > limit);
        let limits = &self.limits.account;
        if exceeds(self.imports.len(), limits.imports) {
            issues.error("the account contains more imports than allowed by the operator");
        }
        if exceeds(self.exports.len(), limits.exports) {
            issues.error("the account contains more exports than allowed by the operator");
        }
        let wildcards = self.exports.iter().any(|export| has_wildcards(&export.subject));
        if limits.exports != NO_LIMIT && !limits.wildcards && wildcards {
            issues.error("the account contains wildcard exports that are not allowed by the operator");
        }
    }

    /// The mappings as the server applies them, by subject.
    ///
    /// # Errors
    ///
    /// If one cannot be, which names it.
    pub fn mappings(&self) -> Result<Vec<Mapping>, String> {
        let destination = |from: &str, to: &WeightedDestination| {
            let transform = Transform::new(from, &to.subject)?;
            let cluster = Some(to.cluster.clone()).filter(|cluster| !cluster.is_empty());
            Ok(Destination { transform, weight: to.percent(), cluster })
        };
        let mapping = |(from, to): (&String, &Vec<WeightedDestination>)| {
            let destinations = to.iter().map(|to| destination(from, to)).collect::<Result<_, MappingError>>();
            let mapping = destinations.and_then(|destinations| Mapping::new(from, destinations));
            mapping.map_err(|problem| format!("mapping {from:?}: {problem}"))
        };
        self.mappings.iter().map(mapping).collect()
    }
}

impl Body for Account {
    const KIND: &'static str = "account";
    const NAMED: &'static str = "account claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account, KeyKind::Operator];
    const SUBJECT: Option<KeyKind> = Some(KeyKind::Account);

    fn settle(&mut self) {
        if !self.limits.tiers.is_empty() {
            self.limits.jetstream = JetStreamLimits::default();
        }
    }

    fn check(&self, registered: &Registered, issues: &mut Issues) {
        check_imports(&self.imports, &registered.subject, issues);
        check_exports(&self.exports, issues);
        self.limits.check(issues);
        self.default_permissions.check(issues);
        self.check_mappings(issues);
        self.check_authorization(issues);
        self.check_trace(issues);
        self.check_counts(issues);
        self.signing_keys.check(issues);
        check_info(&self.description, &self.info_url, issues);
        if !["", "system", "owner"].contains(&self.cluster_traffic.0.as_str()) {
            issues.error(format!("unknown cluster traffic option: {:?}", self.cluster_traffic.0));
        }
        if KeyKind::Account.is(&registered.issuer) && self.limits != OperatorLimits::default() {
            issues.warning("self-signed account JWTs shouldn't contain operator limits");
        }
    }
}

impl Claims<Account> {
    /// Whether `activation`, which was taken from an import of the account `importer`, lets that use an export of this
    /// account at `now`, in seconds since 1970. `strict` as in [`crate::jwt::Trust::is_strict`].
    pub fn activates(&self, activation: &Claims<Activation>, export: &Export, now: i64, strict: bool) -> bool {
        let (registered, body) = (&activation.registered, &activation.body);
        let own = &self.registered.subject;
        let signed = if body.issuer_account.is_empty() {
            registered.issuer == *own
        } else {
            body.issuer_account == *own && self.issuer(&registered.issuer, strict).is_some()
        };
        let expired = registered.expires != 0 && registered.expires <= now;
        signed
            && !expired
            && !activation.check(now).is_blocking()
            && !is_revoked(&export.revocations, &registered.subject, registered.issued_at)
    }
}
