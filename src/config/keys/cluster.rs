//! `cluster {}`.

use std::time::Duration;

mod authorization;

use super::compression::{self, Defaults};
use super::{paths, tls, unsupported};
use natsd_auth::RoutePermissions;
use natsd_core::compression::{Level, Mode};

use super::listening::listen_at;
use crate::config::address;
use crate::config::error::{ValueError, Warning};
use crate::config::field::{Field, Key};
use crate::config::language::Value;
use crate::config::options::{ClusterOptions, PeerAddr, Remote, RouteType, RouteUrl};

/// The longest time between two pings on a route.
const MAX_PING_INTERVAL: Duration = Duration::from_secs(30);

/// `cluster {}` while its keys are read.
#[derive(Default)]
pub struct Draft {
    options: ClusterOptions,
    host: Option<String>,
    port: Option<u16>,
    /// `permissions` in `authorization`, which those beside it outdo.
    inner_permissions: Option<RoutePermissions>,
}

/// The keys of `cluster {}`.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["name"],
        takes: "string without white space",
        default: "random, agreed with the peers",
        doc: "Name of the cluster, the same on all of its servers.",
        read: |draft, field| field.name().map(|name| draft.options.name = Some(name)),
    },
    Key {
        names: &["listen"],
        takes: "port, \"host:port\", SCION address, udp:// address, or a list of these",
        default: "routes are only dialled",
        doc: "Where routes come in. SCION: `\"nats://ISD-AS,host:port\"` or `\"[ISD-AS,host]:port\"`. UDP, at each of up to 8 IP \
              addresses: `\"udp://[host,host]:port\"`. *Lists, SCION and UDP are extensions.*",
        read: |draft, field| field.route_listeners().map(|listen| draft.options.listen = listen),
    },
    Key {
        names: &["host", "net"],
        takes: "string",
        default: "0.0.0.0",
        doc: "Address to listen on, with `port`.",
        read: |draft, field| field.text().map(|host| draft.host = Some(host.to_owned())),
    },
    Key {
        names: &["port"],
        takes: "integer",
        default: "",
        doc: "Port to listen on; -1 takes a free one.",
        read: |draft, field| field.port().map(|port| draft.port = Some(port)),
    },
    Key {
        names: &["routes"],
        takes: "list of URLs",
        default: "none",
        doc: "Servers to connect to: `nats-route://host:port`, `nats-route://[ISD-AS,host]:port`, `udp://[host,host]:port`. An entry that is itself a \
              list names one server by several addresses, most wanted first; the first has a head \
              start of 1 s over those of the other kind, TCP or not. *Lists, SCION and UDP are extensions.*",
        read: |draft, field| {
            let Value::List(items) = field.value() else { return Err(field.expected("a list of URLs, [ … ]")) };
            draft.options.routes = field.items(items, |entry| Ok(Remote { urls: entry.each(route)? }))?;
            Ok(())
        },
    },
    Key {
        names: &["authorization"],
        takes: "{ user, password, timeout } or { token, timeout }",
        default: "everybody may make routes",
        doc: "The one user that servers have to be to make a route here: dialled are those of `routes` with user and password \
              in the URL, `nats-route://user:password@host:port`, and those heard of from peers as this user. Or the token \
              that they have to show, in URLs `nats-route://token@host:port`. `timeout` is how long they may take to say so \
              (\"2s\"). *`token` is an extension.*",
        read: authorization::read,
    },
    Key {
        names: &["permissions"],
        takes: "{ import, export }, each a subject, list of subjects, or { allow, deny }",
        default: "everything",
        doc: "What passes between this server and its peers: with `import`, what they hear of the subscriptions here, and \
              what is taken of their messages; with `export`, what is heeded of their subscriptions, and what they get.",
        read: authorization::permissions,
    },
    Key {
        names: &["advertise", "cluster_advertise"],
        takes: "string \"host[:port]\"",
        default: "the address bound",
        doc: "Address told to the peers.",
        read: |draft, field| field.advertised().map(|address| draft.options.advertise = Some(address)),
    },
    Key {
        names: &["no_advertise"],
        takes: "boolean",
        default: "false",
        doc: "Tells clients nothing of the other servers.",
        read: |draft, field| field.bool().map(|on| draft.options.no_advertise = on),
    },
    Key {
        names: &["connect_retries"],
        takes: "integer",
        default: "0",
        doc: "How often a server learnt by gossip is dialled again at once; after that ever more rarely, for an hour. Those in `routes` are dialled for ever.",
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
        names: &["route_type"],
        takes: "mesh or dag",
        default: "mesh",
        doc: "With `dag`, connections are those of `routes` alone, one between two servers, and servers pass on what is for \
              others, by the shortest way; see below. The same at all servers. *Extension.*",
        read: |draft, field| {
            let text = field.text()?;
            let types = [RouteType::Mesh, RouteType::Dag];
            let known = types.into_iter().find(|known| known.to_string() == text);
            draft.options.route_type = known.ok_or_else(|| field.expected("mesh or dag"))?;
            Ok(())
        },
    },
    Key {
        names: &["passive"],
        takes: "boolean",
        default: "false",
        doc: "Never dials another server, also none learnt by gossip: the others dial this one, at `listen`. It has no \
              `routes`. *Extension.*",
        read: |draft, field| field.bool().map(|on| draft.options.passive = on),
    },
    Key {
        names: &["pool_size"],
        takes: "integer",
        default: "3",
        doc: "Connections between two servers; -1 turns pooling off.",
        read: |draft, field| {
            let size: i64 = field.integer_in(-1..=u16::MAX.into())?;
            draft.options.pool_size = match size {
                0 => ClusterOptions::default().pool_size,
                _ => u16::try_from(size).ok(),
            };
            Ok(())
        },
    },
    Key {
        names: &["accounts"],
        takes: "string, or list of strings",
        default: "none",
        doc: "Accounts that have a connection between two servers to themselves. All servers of the cluster list the same ones.",
        read: |draft, field| {
            draft.options.accounts = match field.value() {
                Value::List(items) => field.items(items, |field| field.text().map(str::to_owned))?,
                _ => vec![field.text()?.to_owned()],
            };
            Ok(())
        },
    },
    Key {
        names: &["ping_interval"],
        takes: "duration",
        default: "\"30s\"",
        doc: "Time between two pings on a route, at most 30 s.",
        read: |draft, field| {
            let interval = field.duration_or(MAX_PING_INTERVAL)?;
            if interval > MAX_PING_INTERVAL {
                let at = field.at().clone();
                field.warn(Warning::RoutePingInterval { at });
            }
            draft.options.ping_interval = interval.min(MAX_PING_INTERVAL);
            Ok(())
        },
    },
    Key {
        names: &["ping_max"],
        takes: "integer",
        default: "2",
        doc: "Pings without an answer before a route counts as dead.",
        read: |draft, field| {
            let default = ClusterOptions::default().ping_max;
            field.or_default(default, i32::MAX.into()).map(|n| draft.options.ping_max = n)
        },
    },
    Key {
        names: &["write_deadline"],
        takes: "duration",
        default: "that of the server",
        doc: "How long a write to another server may take.",
        read: |draft, field| field.duration_or_none().map(|deadline| draft.options.write_deadline = deadline),
    },
    Key {
        names: &["write_timeout"],
        takes: "default, close or retry",
        default: "default, which is retry",
        doc: "What becomes of a route on which a write takes longer: with `close` it ends, with `retry` it stays if something \
              was written meanwhile.",
        read: |draft, field| field.write_timeout().map(|policy| draft.options.write_timeout = policy),
    },
    Key {
        names: &["compression"],
        takes: "off, accept, s2_auto, s2_fast, s2_better, s2_best, s2_uncompressed, boolean, or { mode, rtt_thresholds }",
        default: "accept",
        doc: "What is sent to other servers is compressed, if they agree; see below. `true` is `s2_fast`.",
        read: |draft, field| {
            let defaults = Defaults { on: Mode::Always(Level::Fast), unsaid: Mode::Accept };
            compression::read(field, &defaults).map(|mode| draft.options.compression = mode)
        },
    },
    Key {
        names: &["tls"],
        takes: "map",
        default: "off",
        doc: "TLS of routes, both ways, over TCP and SCION; see below.",
        read: |draft, field| {
            tls::read(field, crate::tls::check_routes).map(|options| draft.options.tls = Some(options))
        },
    },
    Key {
        names: &["authority"],
        takes: "string, path",
        default: "`$STATE_DIRECTORY/authority`, `$XDG_STATE_HOME/natsd/authority`, `~/.local/state/natsd/authority`",
        doc: "Without `tls`: the directory of the authority that vouches for peers over SCION, see below. *Extension.*",
        read: |draft, field| tls::path(field).map(|dir| draft.options.authority = Some(dir)),
    },
    Key {
        names: &["path_rules"],
        takes: "map of keys for paths",
        default: "none",
        doc: "What is wanted besides of the paths of connections that are accepted here over SCION; see [paths.md](paths.md). *Extension.*",
        read: |draft, field| paths::accepted(field).map(|rules| draft.options.path_rules = Some(rules)),
    },
];

/// Reads `cluster {}`.
pub(super) fn read(field: &mut Field<'_>) -> Result<ClusterOptions, ValueError> {
    let mut draft = Draft::default();
    field.map(KEYS, unsupported::CLUSTER, &mut draft)?;
    let Draft { mut options, host, port, inner_permissions } = draft;
    options.permissions = options.permissions.or(inner_permissions);
    listen_at(&mut options.listen, host, port)?;
    Ok(options)
}

fn route(field: &mut Field<'_>) -> Result<RouteUrl, ValueError> {
    let text = field.text()?;
    let url = address::route(text)?;
    if let PeerAddr::Scion(address) = url.address {
        field.asks_for_scion(&address.to_string());
    }
    Ok(url)
}
