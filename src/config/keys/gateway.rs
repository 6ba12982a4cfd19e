//! `gateway {}`.

use std::time::Duration;

use natsd_core::route::hello::Secret;

use super::listening::listen_at;
use super::{authorization, paths, tls};
use crate::config::address;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::Value;
use crate::config::options::{GatewayOptions, GatewayRemote, PeerAddr, RouteLogin, RouteUrl};

/// `gateway {}` while its keys are read.
#[derive(Default)]
pub struct Draft {
    options: GatewayOptions,
    host: Option<String>,
    port: Option<u16>,
}

/// The keys of `gateway {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["name"],
        takes: "string without white space",
        default: "required",
        doc: "Name of this cluster, which is that of `cluster {}` as well.",
        read: |draft, field| name(field).map(|name| draft.options.name = name),
    },
    Key {
        names: &["listen"],
        takes: "port, \"host:port\", SCION address, or a list of these",
        default: "this or `port` is required",
        doc: "Where other clusters come in. SCION: `\"[ISD-AS,host]:port\"`. *Lists and SCION are extensions.*",
        read: |draft, field| field.listeners().map(|listen| draft.options.listen = listen),
    },
    Key {
        names: &["port"],
        takes: "integer",
        default: "",
        doc: "Port for other clusters, without `listen`; -1 takes a free one.",
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
        names: &["advertise"],
        takes: "string \"host[:port]\"",
        default: "the address bound",
        doc: "Address told to other clusters.",
        read: |draft, field| field.advertised().map(|address| draft.options.advertise = Some(address)),
    },
    Key {
        names: &["authorization"],
        takes: "{ user, password, timeout }",
        default: "every cluster may come in",
        doc: "The one user that servers of other clusters have to be. Dialled are clusters whose URLs have no user as this one. \
              `timeout` is how long a server may take to say so (\"2s\").",
        read: |draft, field| login(&mut draft.options, field),
    },
    Key {
        names: &["tls"],
        takes: "map",
        default: "off",
        doc: "TLS between clusters, both ways over TCP, as on routes; see below.",
        read: |draft, field| {
            tls::read(field, crate::tls::check_routes).map(|options| draft.options.tls = Some(options))
        },
    },
    Key {
        names: &["connect_retries"],
        takes: "integer",
        default: "0",
        doc: "How often a cluster that others tell of is dialled again. Those in `gateways` are dialled for ever.",
        read: |draft, field| field.integer_in(0..=u32::MAX.into()).map(|n| draft.options.connect_retries = n),
    },
    Key {
        names: &["connect_backoff"],
        takes: "boolean",
        default: "false",
        doc: "Waits 1 s, doubling to 30 s, between two attempts, instead of 1 s.",
        read: |draft, field| field.bool().map(|on| draft.options.connect_backoff = on),
    },
    Key {
        names: &["reject_unknown_cluster", "reject_unknown"],
        takes: "boolean",
        default: "false",
        doc: "Takes and dials only the clusters in `gateways`.",
        read: |draft, field| field.bool().map(|on| draft.options.reject_unknown = on),
    },
    Key {
        names: &["write_deadline"],
        takes: "duration",
        default: "that of the server",
        doc: "How long a write to another cluster may take.",
        read: |draft, field| field.duration_or_none().map(|deadline| draft.options.write_deadline = deadline),
    },
    Key {
        names: &["write_timeout"],
        takes: "default, close or retry",
        default: "default, which is retry",
        doc: "What becomes of a connection on which a write takes longer: with `close` it ends, with `retry` it stays if \
              something was written meanwhile.",
        read: |draft, field| field.write_timeout().map(|policy| draft.options.write_timeout = policy),
    },
    Key {
        names: &["path_rules"],
        takes: "map of keys for paths",
        default: "none",
        doc: "What is wanted besides of the paths of connections that are accepted here over SCION; see [paths.md](paths.md). *Extension.*",
        read: |draft, field| paths::accepted(field).map(|rules| draft.options.path_rules = Some(rules)),
    },
    Key {
        names: &["gateways"],
        takes: "list of { name, url or urls, tls }",
        default: "none",
        doc: "The other clusters: what they are called and the URLs of some of their servers, `nats://[user:password@]host:port`, or \
              `nats://[ISD-AS,host]:port` over SCION; `tls` in place of that above. An entry of this cluster's own name is not \
              dialled, so that all servers can share one list. *SCION is an extension.*",
        read: |draft, field| {
            let Value::List(items) = field.value() else { return Err(field.expected("a list of maps")) };
            let mut known = Vec::new();
            draft.options.gateways = field.items(items, |field| {
                let remote = remote(field)?;
                if known.contains(&remote.name) {
                    return Err(ValueError::DuplicateRemote(format!("the cluster {:?}", remote.name)));
                }
                known.push(remote.name.clone());
                Ok(remote)
            })?;
            Ok(())
        },
    },
];

/// Reads `gateway {}`.
pub(super) fn read(field: &mut Field<'_>) -> Result<Option<GatewayOptions>, ValueError> {
    let mut draft = Draft::default();
    if !field.map(KEYS, &[], &mut draft)? {
        return Ok(None);
    }
    let Draft { mut options, host, port } = draft;
    listen_at(&mut options.listen, host, port)?;
    if options.name.is_empty() {
        return Err(ValueError::Missing("name"));
    }
    if options.listen.is_empty() {
        return Err(ValueError::PortMissing);
    }
    Ok(Some(options))
}

/// One word, and not the one that stands for no cluster.
fn name(field: &mut Field<'_>) -> Result<String, ValueError> {
    let name = field.name()?;
    if name == natsd_core::leaf::NO_CLUSTER { Err(ValueError::ReservedCluster(name)) } else { Ok(name) }
}

#[derive(Default)]
struct Login {
    user: Option<String>,
    password: Option<String>,
    timeout: Option<Duration>,
}

const LOGIN_KEYS: &[Key<Login>] = &[
    Key {
        names: &["user", "username"],
        takes: "",
        default: "",
        doc: "",
        read: |login, field| field.text().map(|user| login.user = Some(user.to_owned())),
    },
    Key {
        names: &["password", "pass"],
        takes: "",
        default: "",
        doc: "",
        read: |login, field| field.text().map(|password| login.password = Some(password.to_owned())),
    },
    Key {
        names: &["timeout"],
        takes: "",
        default: "",
        doc: "",
        read: |login, field| authorization::seconds_or_duration(field).map(|timeout| login.timeout = Some(timeout)),
    },
    Key {
        names: &[
            "users",
            "token",
            "auth_callout",
            "auth_hook",
            "proxy_required",
            "permissions",
            "default_permissions",
            "default_permission",
        ],
        takes: "",
        default: "",
        doc: "",
        read: |_, _| Err(ValueError::GatewayLogin),
    },
];

fn login(options: &mut GatewayOptions, field: &mut Field<'_>) -> Result<(), ValueError> {
    let mut login = Login::default();
    field.map(LOGIN_KEYS, &[], &mut login)?;
    options.login = match (login.user.filter(|user| !user.is_empty()), login.password) {
        (Some(user), password) => Some(RouteLogin { user, password: Secret(password.unwrap_or_default()) }),
        (None, None) => None,
        (None, Some(_)) => return Err(ValueError::Missing("user")),
    };
    options.auth_timeout = login.timeout.unwrap_or(options.auth_timeout);
    Ok(())
}

const REMOTE_KEYS: &[Key<GatewayRemote>] = &[
    Key {
        names: &["name"],
        takes: "",
        default: "",
        doc: "",
        read: |remote, field| name(field).map(|name| remote.name = name),
    },
    Key {
        names: &["url", "urls"],
        takes: "",
        default: "",
        doc: "",
        read: |remote, field| {
            remote.urls.extend(field.each(url)?);
            Ok(())
        },
    },
    Key {
        names: &["tls"],
        takes: "",
        default: "",
        doc: "",
        read: |remote, field| tls::read(field, crate::tls::check_routes).map(|options| remote.tls = Some(options)),
    },
];

fn remote(field: &mut Field<'_>) -> Result<GatewayRemote, ValueError> {
    let mut remote = GatewayRemote::default();
    let whole = field.map(REMOTE_KEYS, &[], &mut remote)?;
    if whole && remote.name.is_empty() {
        return Err(ValueError::Missing("name"));
    }
    if whole && remote.urls.is_empty() {
        return Err(ValueError::Missing("urls"));
    }
    Ok(remote)
}

fn url(field: &mut Field<'_>) -> Result<RouteUrl, ValueError> {
    let url = address::gateway(field.text()?)?;
    if let PeerAddr::Scion(address) = url.address {
        field.asks_for_scion(&address.to_string());
    }
    Ok(url)
}
