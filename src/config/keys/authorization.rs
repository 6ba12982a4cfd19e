//! `authorization {}` and `no_auth_user`.

use std::time::Duration;

use std::sync::Arc;

use natsd_auth::{ConnectionType, DirectoryBuilder, Nkey, Permissions, User};

use super::{callout, permissions};
use crate::config::error::{ConfigError, ValueError};
use crate::config::field::{Field, Key, Report};
use crate::config::language::{Position, Value};
use crate::config::options::{Authorization, CalloutOptions};

/// `authorization {}` while its keys are read.
#[derive(Default)]
pub struct Draft {
    builder: DirectoryBuilder,
    timeout: Option<Duration>,
    proxy_required: bool,
    permissions: Option<Permissions>,
    callout: Option<CalloutOptions>,
}

/// The keys of `authorization {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["user", "username"],
        takes: "string",
        default: "none",
        doc: "The only user, without `users`.",
        read: |draft, field| field.text().map(|user| draft.builder.user = Some(user.to_owned())),
    },
    Key {
        names: &["password", "pass"],
        takes: "string",
        default: "none",
        doc: "Its password, in plain or as a bcrypt hash (`$2a$…`, `$2b$…`, `$2y$…`).",
        read: |draft, field| field.text().map(|password| draft.builder.password = Some(password.to_owned())),
    },
    Key {
        names: &["token"],
        takes: "string",
        default: "none",
        doc: "What all clients show instead, in plain or as a bcrypt hash.",
        read: |draft, field| field.text().map(|token| draft.builder.token = Some(token.to_owned())),
    },
    Key {
        names: &["timeout"],
        takes: "seconds or duration",
        default: "\"2s\"",
        doc: "How long a client may take to say who it is, the comparison with a bcrypt hash included.",
        read: |draft, field| seconds_or_duration(field).map(|timeout| draft.timeout = Some(timeout)),
    },
    Key {
        names: &["users"],
        takes: "list of maps",
        default: "none",
        doc: "All users; see below.",
        read: |draft, field| users(field).map(|users| draft.builder.users = users),
    },
    Key {
        names: &["default_permissions", "default_permission", "permissions"],
        takes: "map",
        default: "everything",
        doc: "What those of `users` may do who have no permissions of their own; see below.",
        read: |draft, field| permissions::read(field).map(|permissions| draft.permissions = Some(permissions)),
    },
    Key {
        names: &["auth_callout", "auth_hook"],
        takes: "map",
        default: "none",
        doc: "Who decides, in place of the server, who a client is and what it may do; see below.",
        read: |draft, field| callout::read(field).map(|callout| draft.callout = Some(callout)),
    },
    Key {
        names: &["proxy_required"],
        takes: "boolean",
        default: "false",
        doc: "The user, or who has the token, has to come by one of `proxies`, and so have all of `users`.",
        read: |draft, field| field.bool().map(|on| draft.proxy_required = on),
    },
];

/// A user while its keys are read.
#[derive(Default)]
pub struct UserDraft {
    name: Option<String>,
    password: Option<String>,
    nkey: Option<Nkey>,
    connection_types: Option<Vec<ConnectionType>>,
    proxy_required: bool,
    permissions: Option<Permissions>,
}

/// The keys of a user.
pub const USER_KEYS: &[Key<UserDraft>] = &[
    Key {
        names: &["user", "username"],
        takes: "string",
        default: "",
        doc: "Name of the user.",
        read: |draft, field| field.text().map(|name| draft.name = Some(name.to_owned())),
    },
    Key {
        names: &["password", "pass"],
        takes: "string",
        default: "the empty one",
        doc: "Its password, in plain or as a bcrypt hash.",
        read: |draft, field| field.text().map(|password| draft.password = Some(password.to_owned())),
    },
    Key {
        names: &["nkey"],
        takes: "string, U…",
        default: "",
        doc: "In place of name and password: the public key with whose private key the client signs.",
        read: |draft, field| {
            draft.nkey = Some(Nkey::new(field.text()?)?);
            Ok(())
        },
    },
    Key {
        names: &["permissions", "permission", "authorization"],
        takes: "map",
        default: "those of `default_permissions`",
        doc: "What the user may do; see below.",
        read: |draft, field| permissions::read(field).map(|permissions| draft.permissions = Some(permissions)),
    },
    Key {
        names: &["allowed_connection_types", "connection_types", "clients"],
        takes: "STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS, MQTT, MQTT_WS, IN_PROCESS, or a list of these",
        default: "any",
        doc: "What the user may connect by; clients over TCP and SCION are STANDARD.",
        read: |draft, field| {
            draft.connection_types = Some(field.each(|field| Ok(field.text()?.parse()?))?);
            Ok(())
        },
    },
    Key {
        names: &["proxy_required"],
        takes: "boolean",
        default: "false",
        doc: "The user has to come by one of `proxies`.",
        read: |draft, field| field.bool().map(|on| draft.proxy_required = on),
    },
];

/// A list of users.
pub(super) fn users(field: &mut Field<'_>) -> Result<Vec<User>, ValueError> {
    let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
    field.items(items, user)
}

fn user(field: &mut Field<'_>) -> Result<User, ValueError> {
    let mut draft = UserDraft::default();
    field.map(USER_KEYS, &[], &mut draft)?;
    let user = user_of(draft.nkey, draft.name, draft.password)?.ok_or(ValueError::NamelessUser)?;
    let permissions = draft.permissions.map(Arc::new);
    let (connection_types, proxy_required) = (draft.connection_types, draft.proxy_required);
    Ok(User { connection_types, permissions, proxy_required, ..user })
}

/// Who comes by an nkey, or by a name and a password; `None` where nobody is named.
pub(super) fn user_of(
    nkey: Option<Nkey>,
    name: Option<String>,
    password: Option<String>,
) -> Result<Option<User>, ValueError> {
    match (nkey, name.filter(|name| !name.is_empty())) {
        (Some(_), Some(_)) => Err(ValueError::NkeyWithPassword),
        (Some(_), None) if password.is_some() => Err(ValueError::NkeyWithPassword),
        (Some(nkey), None) => Ok(Some(User::with_nkey(&nkey))),
        (None, Some(name)) => Ok(Some(User::with_secret(&name, &password.unwrap_or_default()))),
        (None, None) if password.is_some() => Err(ValueError::NamelessUser),
        (None, None) => Ok(None),
    }
}

/// 0 stands for the default.
pub(super) fn seconds_or_duration(field: &mut Field<'_>) -> Result<Duration, ValueError> {
    let default = Authorization::default().timeout;
    let timeout = match field.value() {
        Value::Text(_) => field.quoted_duration(Duration::ZERO)?,
        Value::Int(_) => Duration::from_secs(field.integer_in(0..=i32::MAX.into())?),
        Value::Float(seconds) => {
            Duration::try_from_secs_f64(*seconds).map_err(|_| field.expected("seconds, not negative"))?
        }
        _ => return Err(field.expected("seconds, or a duration in quotes such as \"2s\"")),
    };
    Ok(if timeout.is_zero() { default } else { timeout })
}

/// Reads the block.
pub(super) fn read(field: &mut Field<'_>) -> Result<Draft, ValueError> {
    let mut draft = Draft::default();
    field.map(KEYS, &[], &mut draft)?;
    for user in &mut draft.builder.users {
        user.proxy_required |= draft.proxy_required;
    }
    if let Some(default) = draft.permissions.take().map(Arc::new) {
        for user in &mut draft.builder.users {
            user.permissions.get_or_insert_with(|| default.clone());
        }
    }
    Ok(draft)
}

impl Draft {
    /// Whether somebody else decides.
    pub(super) fn has_callout(&self) -> bool {
        self.callout.is_some()
    }

    /// Whether it names no users.
    pub(super) fn is_empty(&self) -> bool {
        let DirectoryBuilder { user, password, token, users } = &self.builder;
        user.is_none() && password.is_none() && token.is_none() && users.is_empty()
    }

    /// Who may connect, once the users of accounts are known as well.
    pub(super) fn finish(mut self, of_accounts: Vec<User>) -> Result<Authorization, ValueError> {
        self.builder.users.extend(of_accounts);
        let timeout = self.timeout.unwrap_or_else(|| Authorization::default().timeout);
        let callout = self.callout.map(Arc::new);
        if let Some(callout) = &callout {
            let deciders = self.builder.users.iter_mut().filter(|user| *user.account == callout.account);
            // Who decides asks nobody himself.
            deciders.for_each(User::deny_questions);
        }
        Ok(Authorization { directory: self.builder.build()?, timeout, callout, proxy_required: self.proxy_required })
    }
}

/// Names who comes without credentials, once all users are known.
pub(super) fn set_anonymous(options: &mut Authorization, named: Option<(Position, String)>, report: &mut Report) {
    if let Some((at, name)) = named
        && let Err(problem) = options.directory.set_anonymous(&name)
    {
        report.errors.push(ConfigError::Value { at, key: "no_auth_user".into(), problem: problem.into() });
    }
}
