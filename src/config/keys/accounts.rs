//! `accounts {}`.

use std::sync::Arc;

use natsd_auth::account::{AccountLimits, AccountSpec, GLOBAL};
use natsd_auth::{Permissions, User, check_account_key};

use super::{authorization, mappings, msg_trace, permissions, sharing, unsupported};
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;

/// What `accounts` says.
#[derive(Default)]
pub(super) struct Accounts {
    pub(super) specs: Vec<AccountSpec>,
    pub(super) users: Vec<User>,
}

/// An account while its keys are read.
#[derive(Default)]
pub struct Draft {
    spec: AccountSpec,
    users: Vec<User>,
    permissions: Option<Arc<Permissions>>,
}

/// The keys of an account.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["users"],
        takes: "list of maps",
        default: "none",
        doc: "Its users, as those of `authorization`; no two accounts have one of the same name.",
        read: |draft, field| authorization::users(field).map(|users| draft.users = users),
    },
    Key {
        names: &["default_permissions"],
        takes: "map",
        default: "everything",
        doc: "What those of its users may do who have no permissions of their own.",
        read: |draft, field| {
            permissions::read(field).map(|permissions| draft.permissions = Some(Arc::new(permissions)))
        },
    },
    Key {
        names: &["exports"],
        takes: "list of maps",
        default: "none",
        doc: "What other accounts may import; see below.",
        read: |draft, field| sharing::exports(field).map(|exports| draft.spec.exports = exports),
    },
    Key {
        names: &["imports"],
        takes: "list of maps",
        default: "none",
        doc: "What it takes of other accounts; see below.",
        read: |draft, field| sharing::imports(field).map(|imports| draft.spec.imports = imports),
    },
    Key {
        names: &["mappings", "maps"],
        takes: "map of subjects to subjects, or to lists of destinations",
        default: "none",
        doc: "As at the top level, of what is published in this account.",
        read: |draft, field| mappings::read(field).map(|mappings| draft.spec.mappings = mappings.into()),
    },
    Key {
        names: &["msg_trace", "trace_dest"],
        takes: "subject, or { dest, sampling }",
        default: "none",
        doc: "Where messages are traced to that ask for it by a sampled `traceparent` and not by `Nats-Trace-Dest`; see below.",
        read: |draft, field| msg_trace::read(field).map(|target| draft.spec.trace = target),
    },
    Key {
        names: &["limits"],
        takes: "map",
        default: "none",
        doc: "See below.",
        read: |draft, field| field.map(LIMITS, &[], &mut draft.spec.limits).map(|_| ()),
    },
    Key {
        names: &["nkey"],
        takes: "string, A…",
        default: "none",
        doc: "Public key of the account.",
        read: |draft, field| {
            let nkey = field.text()?;
            check_account_key(nkey)?;
            draft.spec.nkey = Some(nkey.to_owned());
            Ok(())
        },
    },
];

/// The keys of `limits {}`.
pub const LIMITS: &[Key<AccountLimits>] = &[
    Key {
        names: &["max_connections", "max_conn"],
        takes: "integer",
        default: "-1, unlimited",
        doc: "Clients of the account at the same time, at all servers of the cluster together.",
        read: |limits, field| limit(field).map(|max| limits.connections = max),
    },
    Key {
        names: &["max_subscriptions", "max_subs"],
        takes: "integer",
        default: "-1, unlimited",
        doc: "Subscriptions of one of its clients.",
        read: |limits, field| limit(field).map(|max| limits.subscriptions = max),
    },
    Key {
        names: &["max_payload", "max_pay"],
        takes: "integer, bytes",
        default: "-1, that of the server",
        doc: "Largest message of one of its clients; it does not raise `max_payload` of the server.",
        read: |limits, field| limit(field).map(|max| limits.payload = max),
    },
    Key {
        names: &["max_leafnodes", "max_leafs"],
        takes: "integer",
        default: "-1, unlimited",
        doc: "Leaf connections of the account at the same time.",
        read: |limits, field| limit(field).map(|max| limits.leaf_nodes = max),
    },
];

/// -1 is none.
fn limit(field: &mut Field<'_>) -> Result<Option<u64>, ValueError> {
    let found: i64 = field.integer_in(-1..=i32::MAX.into())?;
    Ok(u64::try_from(found).ok())
}

/// The value of `accounts`: a map, or a list of names.
pub(super) fn read(field: &mut Field<'_>) -> Result<Accounts, ValueError> {
    let mut accounts = Accounts::default();
    match field.value() {
        Value::List(items) => {
            for name in field.items(items, |field| field.text().map(str::to_owned))? {
                accounts.add(AccountSpec::named(&name))?;
            }
        }
        _ => {
            for (spec, users) in field.entries(account)? {
                accounts.add(spec)?;
                accounts.users.extend(users);
            }
        }
    }
    Ok(accounts)
}

impl Accounts {
    fn add(&mut self, spec: AccountSpec) -> Result<(), ValueError> {
        if spec.name == GLOBAL {
            return Err(ValueError::ReservedAccount(spec.name));
        }
        if self.specs.iter().any(|known| known.name == spec.name) {
            return Err(ValueError::DuplicateAccount(spec.name));
        }
        self.specs.push(spec);
        Ok(())
    }
}

fn account(name: &str, field: &mut Field<'_>) -> Result<(AccountSpec, Vec<User>), ValueError> {
    let mut draft = Draft { spec: AccountSpec::named(name), ..Draft::default() };
    field.map(KEYS, unsupported::ACCOUNT, &mut draft)?;
    let account: Arc<str> = name.into();
    let users = draft.users.into_iter().map(|user| {
        let permissions = user.permissions.clone().or_else(|| draft.permissions.clone());
        User { account: account.clone(), permissions, ..user }
    });
    Ok((draft.spec, users.collect()))
}
