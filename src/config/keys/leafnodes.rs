//! `leafnodes {}`.

pub mod proxy;
pub mod remotes;

use std::time::Duration;

use natsd_auth::{Directory, DirectoryBuilder, Nkey, Permissions, User};
use natsd_core::compression::{Mode, Thresholds};
use natsd_core::leaf::session::{is_at_least, numbers};

use super::authorization::{seconds_or_duration, user_of};
use super::compression::{self, Defaults};
use super::listening::listen_at;
use super::{paths, permissions, tls};
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;
use crate::config::options::LeafOptions;

/// The oldest leaf nodes that may be asked for: those before do not say how old they are.
const OLDEST: &str = "2.8.0";

/// `leafnodes {}` while its keys are read.
#[derive(Default)]
pub struct Draft {
    options: LeafOptions,
    host: Option<String>,
    port: Option<u16>,
}

/// The keys of `leafnodes {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["listen"],
        takes: "port, \"host:port\", SCION address, or a list of these",
        default: "none are taken",
        doc: "Where leaf nodes come in. SCION: `\"[ISD-AS,host]:port\"`. *Lists and SCION are extensions.*",
        read: |draft, field| field.listeners().map(|listen| draft.options.listen = listen),
    },
    Key {
        names: &["port"],
        takes: "integer",
        default: "none are taken",
        doc: "Port for leaf nodes, without `listen`; -1 takes a free one.",
        read: |draft, field| field.port().map(|port| draft.port = Some(port)),
    },
    Key {
        names: &["host", "net"],
        takes: "string",
        default: "0.0.0.0",
        doc: "Address to listen on, with `port`.",
        read: |draft, field| field.text().map(|host| draft.host = Some(host.to_owned())),
    },
    Key {
        names: &["advertise", "leafnode_advertise"],
        takes: "string \"host[:port]\"",
        default: "the address bound",
        doc: "Address told to leaf nodes.",
        read: |draft, field| field.advertised().map(|address| draft.options.advertise = Some(address)),
    },
    Key {
        names: &["no_advertise"],
        takes: "boolean",
        default: "false",
        doc: "Tells nobody where this server takes leaf nodes.",
        read: |draft, field| field.bool().map(|on| draft.options.no_advertise = on),
    },
    Key {
        names: &["authorization"],
        takes: "map",
        default: "as for clients",
        doc: "Who may come in, and into which account: `user` and `password`, or `nkey`, with `account`; or a list of `users`, each \
              with `user`, `password`, `account`, `proxy_required` and `permissions`; `account` alone is that of all, and `proxy_required` beside \
              them is for all. `timeout`, 2 s by default, is how long a leaf node may take to say who it is. *`permissions` are an \
              extension.*",
        read: |draft, field| authorization(&mut draft.options, field),
    },
    Key {
        names: &["tls"],
        takes: "map",
        default: "off",
        doc: "TLS of leaf nodes that come in; see below.",
        read: |draft, field| {
            tls::read(field, crate::tls::check_server).map(|options| draft.options.tls = Some(options))
        },
    },
    Key {
        names: &["min_version", "minimum_version"],
        takes: "string",
        default: "any",
        doc: "Leaf nodes older than this version of nats-server, at least 2.8.0, are sent away.",
        read: |draft, field| {
            let text = field.text()?;
            if numbers(text).is_none() || !is_at_least(text, OLDEST) {
                return Err(ValueError::MinVersion(text.to_owned()));
            }
            draft.options.min_version = Some(text.to_owned());
            Ok(())
        },
    },
    Key {
        names: &["reconnect", "reconnect_delay", "reconnect_interval"],
        takes: "duration",
        default: "\"1s\"",
        doc: "Time between two attempts to reach a hub, and up to as much again at random.",
        read: |draft, field| {
            let default = LeafOptions::default().reconnect;
            field.duration_or(default).map(|reconnect| draft.options.reconnect = reconnect)
        },
    },
    Key {
        names: &["dial_timeout"],
        takes: "duration",
        default: "\"1s\"",
        doc: "How long a hub may take to answer.",
        read: |draft, field| {
            let default = LeafOptions::default().dial_timeout;
            field.duration_or(default).map(|timeout| draft.options.dial_timeout = timeout)
        },
    },
    Key {
        names: &["isolate_leafnode_interest", "isolate"],
        takes: "boolean",
        default: "false",
        doc: "Leaf nodes are told nothing of each other's interest.",
        read: |draft, field| field.bool().map(|on| draft.options.isolate = on),
    },
    Key {
        names: &["write_deadline"],
        takes: "duration",
        default: "that of the server",
        doc: "How long a write to a leaf node or a hub may take before it is cut off.",
        read: |draft, field| field.duration_or_none().map(|deadline| draft.options.write_deadline = deadline),
    },
    Key {
        names: &["write_timeout"],
        takes: "default, close or retry",
        default: "that of the server",
        doc: "What becomes of a connection on which a write takes longer: with `close` it ends, with `retry` it stays if \
              something was written meanwhile.",
        read: |draft, field| field.write_timeout().map(|policy| draft.options.write_timeout = policy),
    },
    Key {
        names: &["compression"],
        takes: "off, accept, s2_auto, s2_fast, s2_better, s2_best, s2_uncompressed, boolean, or { mode, rtt_thresholds }",
        default: "s2_auto",
        doc: "What is sent to leaf nodes is compressed, if they agree; see below. `true` is `s2_auto`.",
        read: |draft, field| compression(field).map(|mode| draft.options.compression = mode),
    },
    Key {
        names: &["remotes"],
        takes: "list of maps",
        default: "none",
        doc: "The hubs that this server is a leaf node of; see below.",
        read: |draft, field| remotes::read(field).map(|remotes| draft.options.remotes = remotes),
    },
    Key {
        names: &["path_rules"],
        takes: "map of keys for paths",
        default: "none",
        doc: "What is wanted besides of the paths of connections that are accepted here over SCION; see [paths.md](paths.md). *Extension.*",
        read: |draft, field| paths::accepted(field).map(|rules| draft.options.path_rules = Some(rules)),
    },
];

/// Reads `leafnodes {}`.
pub(super) fn read(field: &mut Field<'_>) -> Result<LeafOptions, ValueError> {
    let mut draft = Draft::default();
    field.map(KEYS, &[], &mut draft)?;
    let Draft { mut options, host, port } = draft;
    listen_at(&mut options.listen, host, port)?;
    Ok(options)
}

fn compression(field: &mut Field<'_>) -> Result<Mode, ValueError> {
    let auto = Mode::Auto(Thresholds::default());
    compression::read(field, &Defaults { on: auto.clone(), unsaid: auto })
}

/// `authorization {}`, or a user of it, while its keys are read.
#[derive(Default)]
struct AuthorizationDraft {
    user: Option<String>,
    password: Option<String>,
    nkey: Option<Nkey>,
    account: Option<String>,
    timeout: Option<Duration>,
    users: Vec<User>,
    permissions: Option<Permissions>,
    proxy_required: bool,
}

const AUTHORIZATION_KEYS: &[Key<AuthorizationDraft>] = &[
    Key {
        names: &["user", "username"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|user| draft.user = Some(user.to_owned())),
    },
    Key {
        names: &["pass", "password"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|password| draft.password = Some(password.to_owned())),
    },
    Key {
        names: &["account"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.text().map(|account| draft.account = Some(account.to_owned())),
    },
    Key {
        names: &["permissions"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| permissions::read(field).map(|permissions| draft.permissions = Some(permissions)),
    },
    Key {
        names: &["proxy_required"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| field.bool().map(|on| draft.proxy_required = on),
    },
];

/// What only the block itself has.
const BLOCK_KEYS: &[Key<AuthorizationDraft>] = &[
    Key {
        names: &["nkey"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| {
            draft.nkey = Some(Nkey::new(field.text()?)?);
            Ok(())
        },
    },
    Key {
        names: &["timeout"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| seconds_or_duration(field).map(|timeout| draft.timeout = Some(timeout)),
    },
    Key {
        names: &["users"],
        takes: "",
        default: "",
        doc: "",
        read: |draft, field| {
            let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
            draft.users = field.items(items, |field| {
                let mut user = AuthorizationDraft::default();
                field.map(AUTHORIZATION_KEYS, &[], &mut user)?;
                user.into_user()?.ok_or(ValueError::NamelessUser)
            })?;
            Ok(())
        },
    },
];

impl AuthorizationDraft {
    /// The user that is described, if one is.
    fn into_user(self) -> Result<Option<User>, ValueError> {
        let Some(user) = user_of(self.nkey, self.user, self.password)? else { return Ok(None) };
        let account = self.account.map_or(user.account.clone(), Into::into);
        let (permissions, proxy_required) = (self.permissions.map(Into::into), self.proxy_required);
        Ok(Some(User { account, permissions, proxy_required, ..user }))
    }
}

fn authorization(options: &mut LeafOptions, field: &mut Field<'_>) -> Result<(), ValueError> {
    let mut draft = AuthorizationDraft::default();
    if !field.both(AUTHORIZATION_KEYS, BLOCK_KEYS, &[], &mut draft)? {
        return Ok(());
    }
    if let Some(timeout) = draft.timeout {
        options.auth_timeout = timeout;
    }
    let mut users = std::mem::take(&mut draft.users);
    let (account, all_by_proxy) = (draft.account.clone(), draft.proxy_required);
    users.iter_mut().for_each(|user| user.proxy_required |= all_by_proxy);
    match draft.into_user()? {
        Some(_) if !users.is_empty() => return Err(ValueError::LeafUserAndUsers),
        Some(user) => users.push(user),
        None => {}
    }
    options.directory = match (users.is_empty(), account) {
        (false, _) => Some(DirectoryBuilder { users, ..DirectoryBuilder::default() }.build()?),
        (true, Some(account)) => {
            let mut anybody = Directory::default();
            anybody.admit_anybody_into(&account, all_by_proxy);
            Some(anybody)
        }
        (true, None) if all_by_proxy => return Err(ValueError::ProxyRequiredOfNobody),
        (true, None) => None,
    };
    Ok(())
}
