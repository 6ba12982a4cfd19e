//! Who may make routes, and what passes over them.

use std::time::Duration;

use natsd_auth::{Permissions, RoutePermissions, Rules};
use natsd_core::route::hello::Secret;

use super::super::{authorization, permissions};
use super::Draft;
use crate::config::error::{ValueError, Warning};
use crate::config::field::{Field, Key};
use crate::config::options::RouteLogin;

/// `authorization {}` while its keys are read.
#[derive(Default)]
struct Block {
    user: Option<String>,
    password: Option<String>,
    token: Option<String>,
    timeout: Option<Duration>,
    permissions: Option<RoutePermissions>,
}

const KEYS: &[Key<Block>] = &[
    Key {
        names: &["user", "username"],
        takes: "string",
        default: "",
        doc: "",
        read: |block, field| field.text().map(|user| block.user = Some(user.to_owned())),
    },
    Key {
        names: &["password", "pass"],
        takes: "string",
        default: "",
        doc: "",
        read: |block, field| field.text().map(|password| block.password = Some(password.to_owned())),
    },
    Key {
        names: &["timeout"],
        takes: "seconds or duration",
        default: "",
        doc: "",
        read: |block, field| authorization::seconds_or_duration(field).map(|timeout| block.timeout = Some(timeout)),
    },
    Key {
        names: &["permissions", "default_permissions", "default_permission"],
        takes: "map",
        default: "",
        doc: "",
        read: |block, field| {
            field.warn(Warning::InnerClusterPermissions { at: field.at().clone() });
            both_ways(field).map(|permissions| block.permissions = Some(permissions))
        },
    },
    Key {
        names: &["token"],
        takes: "string",
        default: "",
        doc: "",
        read: |block, field| field.text().map(|token| block.token = Some(token.to_owned())),
    },
    Key {
        names: &["users", "auth_callout", "auth_hook", "proxy_required"],
        takes: "",
        default: "",
        doc: "",
        read: |_, _| Err(ValueError::ClusterLogin),
    },
];

/// `authorization {}` of a cluster.
pub(super) fn read(draft: &mut Draft, field: &mut Field<'_>) -> Result<(), ValueError> {
    let mut block = Block::default();
    field.map(KEYS, &[], &mut block)?;
    let Block { user, password, token, timeout, permissions } = block;
    let token = token.filter(|token| !token.is_empty());
    draft.options.login = match (user.filter(|user| !user.is_empty()), password) {
        (None, None) if token.is_some() => {
            token.map(|token| RouteLogin { user: String::new(), password: Secret(token) })
        }
        _ if token.is_some() => return Err(ValueError::ClusterTokenAndUser),
        (Some(user), password) => Some(RouteLogin { user, password: Secret(password.unwrap_or_default()) }),
        (None, None) => None,
        (None, Some(_)) => return Err(ValueError::Missing("user")),
    };
    draft.options.auth_timeout = timeout.unwrap_or(draft.options.auth_timeout);
    draft.inner_permissions = permissions;
    Ok(())
}

/// `permissions {}` of a cluster.
pub(super) fn permissions(draft: &mut Draft, field: &mut Field<'_>) -> Result<(), ValueError> {
    both_ways(field).map(|permissions| draft.options.permissions = Some(permissions))
}

/// They are written as those of users, but for what only users can have.
fn both_ways(field: &mut Field<'_>) -> Result<RoutePermissions, ValueError> {
    let Permissions { publish, subscribe, replies } = permissions::read(field)?;
    if replies.is_some() {
        return Err(ValueError::ClusterReplies);
    }
    let Rules { allow, deny } = &subscribe;
    match allow.iter().chain(deny).find(|rule| rule.names_queue()) {
        Some(rule) => Err(ValueError::ClusterQueue(rule.to_string())),
        None => Ok(RoutePermissions { import: publish, export: subscribe }),
    }
}
