//! The keys at the top level.

mod finish;
mod labels;
mod proxies;
mod users;
mod writing;

pub(in crate::config) use finish::read;

use std::path::PathBuf;
use std::time::Duration;

use natsd_core::transform::Mappings;

use super::{
    accounts, authorization, cluster, gateway, leafnodes, mappings, monitoring, multihome, paths, scion, tls, websocket,
};
use crate::config::address;
use crate::config::error::ValueError;
use crate::config::field::{Field, Key};
use crate::config::language::{Position, Value};
use crate::config::options::{DEFAULT_PORT, Listen, Options};

/// The options while their keys are read: some are only known when all keys are.
#[derive(Default)]
pub struct Draft {
    options: Options,
    listen: Option<Vec<Listen>>,
    host: Option<String>,
    port: Option<u16>,
    /// Where the last of `host` and `port` stands.
    host_port_at: Option<Position>,
    /// Host, if one was given, and port of monitoring.
    http: Option<monitoring::Place>,
    /// `authorization`, and where it or, without it, `accounts` stands.
    authorization: Option<authorization::Draft>,
    users_at: Option<Position>,
    /// `mappings`, which are those of the global account.
    mappings: Option<Mappings>,
    /// `accounts`, and where it stands.
    accounts: Option<(Position, accounts::Accounts)>,
    /// `system_account`, and where it stands.
    system_account: Option<(Position, String)>,
    no_system_account: bool,
    /// `no_auth_user`, and where it stands.
    anonymous: Option<(Position, String)>,
    /// The same of monitoring over TLS.
    https: Option<monitoring::Place>,
}

/// The shortest time in which a server may send its clients away.
const MIN_LAME_DUCK: Duration = Duration::from_secs(30);

/// A number of bytes that nats-server can hold as well.
const MAX_SIZE: i64 = i32::MAX as i64;

/// The keys at the top level.
pub const KEYS: &[Key<Draft>] = &[
    Key {
        names: &["listen"],
        takes: "port, \"host:port\", SCION address, or a list of these",
        default: "0.0.0.0:4222",
        doc: "Where clients come in. SCION: `\"nats://ISD-AS,host:port\"` or `\"[ISD-AS,host]:port\"`. *Lists and SCION are \
              extensions.*",
        read: |draft, field| field.listeners().map(|listen| draft.listen = Some(listen)),
    },
    Key {
        names: &["port"],
        takes: "integer",
        default: "4222",
        doc: "Port for clients, without `listen`; -1 takes a free one.",
        read: |draft, field| {
            let default = matches!(field.value(), Value::Int(0));
            draft.port = Some(if default { DEFAULT_PORT } else { field.port()? });
            draft.host_port_at = Some(field.at().clone());
            Ok(())
        },
    },
    Key {
        names: &["host", "net"],
        takes: "string",
        default: "0.0.0.0",
        doc: "Address to listen on, without `listen`.",
        read: |draft, field| {
            draft.host = Some(field.text()?.to_owned());
            draft.host_port_at = Some(field.at().clone());
            Ok(())
        },
    },
    Key {
        names: &["client_advertise"],
        takes: "string \"host[:port]\"",
        default: "the address bound",
        doc: "Address told to clients and, for their clients, to peers.",
        read: |draft, field| field.advertised().map(|address| draft.options.client_advertise = Some(address)),
    },
    Key {
        names: &["client_path_rules"],
        takes: "map of keys for paths",
        default: "none",
        doc: "What is wanted besides of the paths of clients that are accepted over SCION; see [paths.md](paths.md). *Extension.*",
        read: |draft, field| paths::accepted(field).map(|rules| draft.options.client_path_rules = Some(rules)),
    },
    Key {
        names: &["server_name"],
        takes: "string without white space",
        default: "the server id",
        doc: "Name of the server, unique in its cluster.",
        read: |draft, field| field.name().map(|name| draft.options.server_name = Some(name)),
    },
    labels::TAGS,
    labels::METADATA,
    labels::FEATURE_FLAGS,
    Key {
        names: &["authorization"],
        takes: "map",
        default: "everybody may connect",
        doc: "Who may connect; see below.",
        read: |draft, field| {
            draft.users_at = Some(field.at().clone());
            authorization::read(field).map(|authorization| draft.authorization = Some(authorization))
        },
    },
    Key {
        names: &["accounts"],
        takes: "map of names to accounts, or list of names",
        default: "none",
        doc: "Subjects mean something only within an account; see below. Who is not in one of these is in `$G`.",
        read: |draft, field| {
            let at = field.at().clone();
            accounts::read(field).map(|accounts| draft.accounts = Some((at, accounts)))
        },
    },
    Key {
        names: &["system_account", "system"],
        takes: "string",
        default: "\"$SYS\"",
        doc: "The account of the servers themselves, one of `accounts`; in operator mode its public key.",
        read: |draft, field| {
            draft.system_account = Some((field.at().clone(), field.text()?.to_owned()));
            Ok(())
        },
    },
    Key {
        names: &["no_system_account", "no_system", "no_sys_acc"],
        takes: "boolean",
        default: "false",
        doc: "There is no such account.",
        read: |draft, field| field.bool().map(|on| draft.no_system_account = on),
    },
    Key {
        names: &["no_auth_user"],
        takes: "string",
        default: "none",
        doc: "User, by name or nkey, of `users` that a client is without credentials.",
        read: |draft, field| {
            draft.anonymous = Some((field.at().clone(), field.text()?.to_owned()));
            Ok(())
        },
    },
    Key {
        names: &["tls"],
        takes: "map",
        default: "off",
        doc: "TLS of clients, and the certificate of `https`; see below.",
        read: |draft, field| {
            tls::read(field, crate::tls::check_server).map(|options| draft.options.tls = Some(options))
        },
    },
    Key {
        names: &["allow_non_tls"],
        takes: "boolean",
        default: "false",
        doc: "Takes clients without TLS beside those with it, on the same port.",
        read: |draft, field| field.bool().map(|on| draft.options.allow_non_tls = on),
    },
    Key {
        names: &["cluster"],
        takes: "map",
        default: "off",
        doc: "See below.",
        read: |draft, field| cluster::read(field).map(|options| draft.options.cluster = Some(options)),
    },
    Key {
        names: &["gateway"],
        takes: "map",
        default: "off",
        doc: "Connects this cluster to others; see below.",
        read: |draft, field| gateway::read(field).map(|options| draft.options.gateway = options),
    },
    Key {
        names: &["leafnodes", "leaf"],
        takes: "map",
        default: "off",
        doc: "Takes leaf nodes, and is one of other servers; see below.",
        read: |draft, field| leafnodes::read(field).map(|options| draft.options.leafnodes = Some(options)),
    },
    Key {
        names: &["websocket", "ws"],
        takes: "map",
        default: "off",
        doc: "Takes clients over WebSocket; see below.",
        read: |draft, field| websocket::read(field).map(|options| draft.options.websocket = Some(options)),
    },
    Key {
        names: &["proxy_protocol"],
        takes: "boolean",
        default: "false",
        doc: "Clients over TCP come by a proxy, whose header (PROXY protocol, version 1 or 2) tells where they are. Who sends \
              no header is taken as well: keep others than the proxy out.",
        read: |draft, field| field.bool().map(|on| draft.options.proxy_protocol = on),
    },
    proxies::PROXIES,
    Key {
        names: &["mappings", "maps"],
        takes: "map of subjects to subjects, or to lists of destinations",
        default: "none",
        doc: "What published subjects become, the first match in the file; see below.",
        read: |draft, field| mappings::read(field).map(|mappings| draft.mappings = Some(mappings)),
    },
    Key {
        names: &["scion"],
        takes: "boolean, \"enabled\", \"disabled\" or map",
        default: "off",
        doc: "Turns SCION on; see below. *Extension.*",
        read: |draft, field| scion::read(&mut draft.options.scion, field),
    },
    Key {
        names: &["multihome"],
        takes: "map",
        default: "none",
        doc: "Hosts with several IP addresses, without SCION; see below. *Extension.*",
        read: |draft, field| multihome::read(field).map(|multihome| draft.options.multihome = Some(multihome)),
    },
    Key {
        names: &["http"],
        takes: "port, \"host:port\" or map",
        default: "off",
        doc: "Where monitoring listens; the host is that of the clients if only a port is given. A map can also say who may \
              ask; see below. *Maps are an extension.*",
        read: |draft, field| monitoring::read(field, &mut draft.options.http_login).map(|at| draft.http = at),
    },
    Key {
        names: &["http_port", "monitor_port"],
        takes: "integer",
        default: "0, off",
        doc: "Port for monitoring on the host of the clients; -1 takes a free one.",
        read: |draft, field| monitoring::port(field).map(|at| draft.http = at),
    },
    Key {
        names: &["https"],
        takes: "port, \"host:port\" or map",
        default: "off",
        doc: "Where monitoring listens with the certificate of `tls`; those who ask need none. In place of `http`.",
        read: |draft, field| monitoring::read(field, &mut draft.options.http_login).map(|at| draft.https = at),
    },
    Key {
        names: &["https_port"],
        takes: "integer",
        default: "0, off",
        doc: "Port for monitoring over TLS on the host of the clients; -1 takes a free one.",
        read: |draft, field| monitoring::port(field).map(|at| draft.https = at),
    },
    Key {
        names: &["http_base_path"],
        takes: "string",
        default: "/",
        doc: "What all paths of monitoring start with.",
        read: |draft, field| {
            let path = field.text()?.trim_matches('/');
            draft.options.http_base_path = if path.is_empty() { String::new() } else { format!("/{path}") };
            Ok(())
        },
    },
    Key {
        names: &["max_control_line"],
        takes: "integer, bytes",
        default: "4096",
        doc: "Longest line of a client, payload not counted.",
        read: |draft, field| field.or_default(4096, MAX_SIZE).map(|n| draft.options.max_control_line = n),
    },
    Key {
        names: &["max_payload"],
        takes: "integer, bytes",
        default: "1048576",
        doc: "Largest message, its header included; at most `max_pending`.",
        read: |draft, field| field.or_default(1 << 20, MAX_SIZE).map(|n| draft.options.max_payload = n),
    },
    Key {
        names: &["max_pending"],
        takes: "integer, bytes",
        default: "67108864",
        doc: "What may wait for a client before it is cut off as a slow consumer.",
        read: |draft, field| field.or_default(64 << 20, i64::MAX).map(|n| draft.options.max_pending = n),
    },
    Key {
        names: &["max_connections", "max_conn"],
        takes: "integer",
        default: "65536",
        doc: "Clients at the same time; 0 is unlimited.",
        read: |draft, field| field.limit(i64::MAX).map(|n| draft.options.max_connections = n),
    },
    Key {
        names: &["max_subscriptions", "max_subs"],
        takes: "integer",
        default: "0, unlimited",
        doc: "Subscriptions of one connection.",
        read: |draft, field| field.limit(i64::MAX).map(|n| draft.options.max_subscriptions = n),
    },
    Key {
        names: &["max_sub_tokens", "max_subscription_tokens"],
        takes: "integer, up to 255",
        default: "0, unlimited",
        doc: "Tokens in the subject of a subscription.",
        read: |draft, field| field.limit(255).map(|n| draft.options.max_sub_tokens = n),
    },
    Key {
        names: &["max_closed_clients"],
        takes: "integer",
        default: "10000",
        doc: "Closed connections that monitoring remembers.",
        read: |draft, field| field.or_default(10_000, 10_000_000).map(|n| draft.options.max_closed_clients = n),
    },
    Key {
        names: &["ping_interval"],
        takes: "duration",
        default: "\"2m\"",
        doc: "Time between two pings to a client.",
        read: |draft, field| {
            field.duration_or(Duration::from_secs(120)).map(|interval| draft.options.ping_interval = interval)
        },
    },
    Key {
        names: &["ping_max"],
        takes: "integer",
        default: "2",
        doc: "Pings without an answer before a connection counts as stale.",
        read: |draft, field| field.or_default(2, i32::MAX.into()).map(|n| draft.options.ping_max = n),
    },
    Key {
        names: &["write_deadline"],
        takes: "duration",
        default: "\"10s\"",
        doc: "How long a write to a connection may take before it is cut off as a slow consumer.",
        read: |draft, field| {
            field.duration_or(Duration::from_secs(10)).map(|deadline| draft.options.write_deadline = deadline)
        },
    },
    writing::WRITE_TIMEOUT,
    Key {
        names: &["no_fast_producer_stall"],
        takes: "boolean",
        default: "false",
        doc: "Does not slow down a client that publishes faster than another one reads.",
        read: |draft, field| field.bool().map(|on| draft.options.no_fast_producer_stall = on),
    },
    writing::NO_SUBLIST_CACHE,
    Key {
        names: &["no_header_support"],
        takes: "boolean",
        default: "false",
        doc: "Does without message headers.",
        read: |draft, field| field.bool().map(|on| draft.options.no_header_support = on),
    },
    Key {
        names: &["lame_duck_duration"],
        takes: "duration in quotes, at least 30 s",
        default: "\"2m\"",
        doc: "Time over which clients are sent away before the server ends.",
        read: |draft, field| {
            field.quoted_duration(MIN_LAME_DUCK).map(|duration| draft.options.lame_duck_duration = duration)
        },
    },
    Key {
        names: &["lame_duck_grace_period"],
        takes: "duration in quotes",
        default: "\"10s\"",
        doc: "Time before the first client is sent away; less than `lame_duck_duration`.",
        read: |draft, field| {
            field.quoted_duration(Duration::ZERO).map(|grace| draft.options.lame_duck_grace_period = grace)
        },
    },
    Key {
        names: &["connect_error_reports"],
        takes: "integer",
        default: "3600",
        doc: "Logs every n-th failure to reach a peer for the first time.",
        read: |draft, field| field.or_default(3600, i32::MAX.into()).map(|n| draft.options.connect_error_reports = n),
    },
    Key {
        names: &["reconnect_error_reports"],
        takes: "integer",
        default: "1",
        doc: "Logs every n-th failure to reach a peer again.",
        read: |draft, field| field.or_default(1, i32::MAX.into()).map(|n| draft.options.reconnect_error_reports = n),
    },
    Key {
        names: &["debug"],
        takes: "boolean",
        default: "false",
        doc: "Logs what the server does.",
        read: |draft, field| field.bool().map(|on| draft.options.debug = on),
    },
    Key {
        names: &["trace"],
        takes: "boolean",
        default: "false",
        doc: "Logs every protocol line.",
        read: |draft, field| field.bool().map(|on| draft.options.trace = on),
    },
    Key {
        names: &["trace_verbose"],
        takes: "boolean",
        default: "false",
        doc: "With `trace`, logs what the server itself says in the system account, too.",
        read: |draft, field| field.bool().map(|on| draft.options.trace_verbose = on),
    },
    Key {
        names: &["trace_headers"],
        takes: "boolean",
        default: "false",
        doc: "With `trace`, logs the headers of messages and not what follows.",
        read: |draft, field| field.bool().map(|on| draft.options.trace_headers = on),
    },
    Key {
        names: &["max_traced_msg_len"],
        takes: "integer, bytes",
        default: "0, unlimited",
        doc: "How much of a payload is logged.",
        read: |draft, field| field.integer_in(0..=MAX_SIZE).map(|n| draft.options.max_traced_msg_len = n),
    },
    Key {
        names: &["logtime"],
        takes: "boolean",
        default: "true",
        doc: "Starts log lines with the time.",
        read: |draft, field| field.bool().map(|on| draft.options.logtime = on),
    },
    Key {
        names: &["logtime_utc"],
        takes: "boolean",
        default: "false",
        doc: "Logs the time in UTC.",
        read: |draft, field| field.bool().map(|on| draft.options.logtime_utc = on),
    },
    Key {
        names: &["log_file", "logfile"],
        takes: "string, path",
        default: "standard error",
        doc: "Where the log goes.",
        read: |draft, field| path(field).map(|file| draft.options.log_file = Some(file)),
    },
    Key {
        names: &["logfile_size_limit", "log_size_limit"],
        takes: "integer, bytes",
        default: "0, unlimited",
        doc: "Size at which the log file gets the time as a suffix and a new one is begun.",
        read: |draft, field| {
            field.integer_in::<i64>(0..=i64::MAX).map(|n| draft.options.log_size_limit = n.unsigned_abs())
        },
    },
    Key {
        names: &["logfile_max_num", "log_max_num"],
        takes: "integer",
        default: "0, unlimited",
        doc: "How many log files are kept, the current one included.",
        read: |draft, field| field.integer_in(0..=MAX_SIZE).map(|n| draft.options.log_max_num = n),
    },
    Key {
        names: &["syslog"],
        takes: "boolean",
        default: "false",
        doc: "Logs to the syslog of this machine, without `log_file`.",
        read: |draft, field| field.bool().map(|on| draft.options.syslog = on),
    },
    Key {
        names: &["remote_syslog"],
        takes: "string \"udp://host:port\", \"tcp://host:port\" or \"unix:///path\"",
        default: "none",
        doc: "Logs to this syslog, without `log_file`.",
        read: |draft, field| {
            draft.options.remote_syslog = Some(address::syslog(field.text()?)?);
            Ok(())
        },
    },
    Key {
        names: &["pid_file", "pidfile"],
        takes: "string, path",
        default: "none",
        doc: "Where the process id is written.",
        read: |draft, field| path(field).map(|file| draft.options.pid_file = Some(file)),
    },
    Key {
        names: &["ports_file_dir"],
        takes: "string, path",
        default: "none",
        doc: "Directory in which `natsd_PID.ports` says, in JSON, where the server takes TCP connections.",
        read: |draft, field| path(field).map(|directory| draft.options.ports_file_dir = Some(directory)),
    },
    Key {
        names: &["store_dir", "storedir"],
        takes: "string, path",
        default: "none",
        doc: "Changes nothing: it means something beside `jetstream` only, which is refused.",
        read: |_, field| path(field).map(|_| ()),
    },
];

pub(super) fn path(field: &mut Field<'_>) -> Result<PathBuf, ValueError> {
    let text = field.text()?;
    if text.is_empty() { Err(ValueError::Word { found: String::new(), expected: "a path" }) } else { Ok(text.into()) }
}
