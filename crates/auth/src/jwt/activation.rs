//! Leave to import what is not for everybody.

use serde::{Deserialize, Serialize};

use super::claims::{Body, Registered};
use super::issues::Issues;
use super::json::is_zero;
use super::key::KeyKind;
use super::permissions::check_subject;
use super::sharing::ShareKind;

/// What an account lets another import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Activation {
    /// What may be imported.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// As what.
    #[serde(skip_serializing_if = "is_zero")]
    pub kind: ShareKind,
    /// The account, if one of its signing keys is the issuer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub issuer_account: String,
}

impl Activation {
    pub(super) fn check_content(&self, issues: &mut Issues) {
        if self.kind == ShareKind::Unknown {
            issues.error("invalid import type: \"unknown\"");
        }
        check_subject(&self.subject, issues);
        if !self.issuer_account.is_empty() && !KeyKind::Account.is(&self.issuer_account) {
            issues.error("account_id is not an account public key");
        }
    }
}

impl Body for Activation {
    const KIND: &'static str = "activation";
    const NAMED: &'static str = "activation claim";
    const ISSUERS: &'static [KeyKind] = &[KeyKind::Account, KeyKind::Operator];
    const SUBJECT: Option<KeyKind> = Some(KeyKind::Account);

    fn check(&self, _: &Registered, issues: &mut Issues) {
        self.check_content(issues);
    }
}
