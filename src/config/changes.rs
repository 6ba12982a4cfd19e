//! What differs between two configurations, and which of it a running server can take over.

mod paths;

use std::collections::BTreeMap;
use std::fmt::Display;

use natsd_api::go_duration;
use natsd_auth::account::{AccountSpec, GLOBAL};
use natsd_auth::{RoutePermissions, Rule, Rules};
use natsd_core::compression::Mode;

use natsd_path::Refinement;

use super::options::{
    ClusterOptions, GatewayOptions, GatewayRemote, LeafOptions, LeafRemote, OperatorOptions, Options, Remote,
    TlsOptions, WebsocketOptions,
};

/// An option that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its key in the file.
    pub key: &'static str,
    /// What it was.
    pub old: String,
    /// What it is now.
    pub new: String,
}

/// Why a server cannot go on with other options: these are fixed while it runs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}; nothing is changed, restart natsd for that", list(.0, |c| format!("config reload not supported for {}: old={}, new={}", c.key, c.old, c.new), "; "))]
pub struct Fixed(pub Vec<Change>);

/// What changes from `old` to `new`.
///
/// # Errors
///
/// When something does that cannot change while a server runs.
pub fn changes(old: &Options, new: &Options) -> Result<Vec<Change>, Fixed> {
    let pairs = entries(old).into_iter().zip(entries(new));
    let changed = pairs.filter(|(old, new)| old.value != new.value || old.secret != new.secret);
    // Certificates can be others, but TLS cannot come or go.
    let can_change = |old: &Entry, new: &Entry| old.live || (old.only_secrets && old.value == new.value);
    let (live, fixed): (Vec<_>, Vec<_>) = changed.partition(|(old, new)| can_change(old, new));
    let change = |(old, new): (Entry, Entry)| Change { key: old.key, old: old.value, new: new.value };
    let mut fixed: Vec<Change> = fixed.into_iter().map(change).collect();
    let mut live: Vec<Change> = live.into_iter().map(change).collect();
    if old.authorization != new.authorization {
        // Who may connect is nobody's business.
        let state = |options: &Options| if options.auth_required() { "required" } else { "open" }.to_owned();
        live.push(Change { key: "authorization", old: state(old), new: state(new) });
    }
    let own = |options: &Options| options.websocket.as_ref().and_then(|websocket| websocket.directory.clone());
    if own(old) != own(new) {
        let state = |options: &Options| if own(options).is_some() { "its own" } else { "of the server" }.to_owned();
        fixed.push(Change { key: "websocket.authorization", old: state(old), new: state(new) });
    }
    if old.http_login != new.http_login {
        let state = |options: &Options| if options.http_login.is_some() { "required" } else { "open" }.to_owned();
        fixed.push(Change { key: "http.user", old: state(old), new: state(new) });
    }
    if fixed.is_empty() { Ok(live) } else { Err(Fixed(fixed)) }
}

struct Entry {
    key: &'static str,
    value: String,
    /// What also matters and must not be shown.
    secret: Vec<String>,
    live: bool,
    /// What does not show can change.
    only_secrets: bool,
}

fn entry(key: &'static str, value: impl Display, live: bool) -> Entry {
    Entry { key, value: value.to_string(), secret: Vec::new(), live, only_secrets: false }
}

fn live(key: &'static str, value: impl Display) -> Entry {
    entry(key, value, true)
}

fn fixed(key: &'static str, value: impl Display) -> Entry {
    entry(key, value, false)
}

/// Empty for none.
fn some<T: Display>(value: &Option<T>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String, between: &str) -> String {
    items.iter().map(show).collect::<Vec<_>>().join(between)
}

/// All options in the order of the documentation. An option that is not here does not compile.
fn entries(options: &Options) -> Vec<Entry> {
    let Options {
        config_file: _,
        config_digest: _,
        server_name,
        server_tags,
        server_metadata,
        feature_flags,
        listen,
        client_advertise,
        http,
        https,
        http_base_path,
        // Compared as a whole, too.
        http_login: _,
        tls,
        allow_non_tls,
        // Compared as a whole.
        authorization: _,
        proxies,
        operator,
        cluster,
        gateway,
        leafnodes,
        websocket,
        proxy_protocol,
        scion,
        client_path_rules,
        multihome,
        accounts,
        system_account,
        max_control_line,
        max_payload,
        max_pending,
        max_connections,
        max_subscriptions,
        max_sub_tokens,
        max_closed_clients,
        ping_interval,
        ping_max,
        write_deadline,
        write_timeout,
        no_fast_producer_stall,
        no_header_support,
        lame_duck_duration,
        lame_duck_grace_period,
        connect_error_reports,
        reconnect_error_reports,
        debug,
        trace,
        trace_verbose,
        trace_headers,
        logtime,
        logtime_utc,
        log_file,
        log_size_limit,
        log_max_num,
        syslog,
        remote_syslog,
        pid_file,
        ports_file_dir,
        max_traced_msg_len,
    } = options;
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|p| p.display().to_string()).unwrap_or_default();
    let mut entries = vec![
        fixed("listen", list(listen, ToString::to_string, ", ")),
        live("client_advertise", some(client_advertise)),
        live("client_path_rules", some(client_path_rules)),
        fixed("server_name", some(server_name)),
        live("server_tags", server_tags.join(", ")),
        live("server_metadata", metadata(server_metadata)),
        fixed("feature_flags", metadata(feature_flags)),
        fixed("http", some(&http.as_ref().map(|(host, port)| format!("{host}:{port}")))),
        fixed("https", some(&https.as_ref().map(|(host, port)| format!("{host}:{port}")))),
        fixed("http_base_path", http_base_path),
        live("proxies.trusted", proxies.keys().join(", ")),
        tls_entry("tls", tls.as_ref()),
        fixed("allow_non_tls", allow_non_tls),
        fixed("proxy_protocol", proxy_protocol),
        live("mappings", global_mappings(accounts)),
        Entry { secret: vec![format!("{accounts:?}")], ..live("accounts", list(accounts, |a| a.name.clone(), ", ")) },
        fixed("system_account", some(system_account)),
    ];
    entries.extend(operator_entries(operator.as_ref()));
    entries.extend([
        live("max_control_line", max_control_line),
        live("max_payload", max_payload),
        fixed("max_pending", max_pending),
        live("max_connections", max_connections.unwrap_or(0)),
        live("max_subscriptions", max_subscriptions.unwrap_or(0)),
        live("max_sub_tokens", max_sub_tokens.unwrap_or(0)),
        fixed("max_closed_clients", max_closed_clients),
        live("ping_interval", go_duration(*ping_interval)),
        live("ping_max", ping_max),
        live("write_deadline", go_duration(*write_deadline)),
        live("write_timeout", write_timeout),
        live("no_fast_producer_stall", no_fast_producer_stall),
        fixed("no_header_support", no_header_support),
        live("lame_duck_duration", go_duration(*lame_duck_duration)),
        live("lame_duck_grace_period", go_duration(*lame_duck_grace_period)),
        live("connect_error_reports", connect_error_reports),
        live("reconnect_error_reports", reconnect_error_reports),
        live("debug", debug),
        live("trace", trace),
        live("trace_verbose", trace_verbose),
        live("trace_headers", trace_headers),
        live("max_traced_msg_len", max_traced_msg_len),
        live("logtime", logtime),
        live("logtime_utc", logtime_utc),
        live("log_file", path(log_file)),
        live("logfile_size_limit", log_size_limit),
        live("logfile_max_num", log_max_num),
        live("syslog", syslog),
        live("remote_syslog", some(remote_syslog)),
        live("pid_file", path(pid_file)),
        live("ports_file_dir", path(ports_file_dir)),
    ]);
    entries.extend(cluster_entries(cluster.as_ref()));
    entries.extend(gateway_entries(gateway.as_ref()));
    entries.extend(leafnode_entries(leafnodes.as_ref()));
    entries.extend(websocket_entries(websocket.as_ref()));
    entries.extend(paths::scion_entries(scion.as_ref()));
    entries.extend(paths::multihome_entries(multihome.as_ref()));
    entries
}

fn metadata(metadata: &BTreeMap<String, impl Display>) -> String {
    metadata.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

fn global_mappings(accounts: &[AccountSpec]) -> String {
    accounts.iter().find(|spec| spec.name == GLOBAL).map(|spec| spec.mappings.to_string()).unwrap_or_default()
}

fn cluster_entries(cluster: Option<&ClusterOptions>) -> Vec<Entry> {
    let default = ClusterOptions::default();
    let ClusterOptions {
        name,
        listen,
        routes,
        login,
        auth_timeout,
        permissions,
        no_advertise,
        advertise,
        connect_retries,
        connect_backoff,
        route_type,
        passive,
        pool_size,
        accounts,
        ping_interval,
        ping_max,
        write_deadline,
        write_timeout,
        compression,
        tls,
        authority,
        path_rules,
    } = cluster.unwrap_or(&default);
    let passwords =
        routes.iter().flat_map(|remote| &remote.urls).map(|url| format!("{:?}", (&url.user, &url.password)));
    let routes = Entry { secret: passwords.collect(), ..live("cluster.routes", list(routes, show_route, ", ")) };
    vec![
        fixed("cluster", if cluster.is_some() { "on" } else { "off" }),
        fixed("cluster.name", some(name)),
        fixed("cluster.listen", list(listen, ToString::to_string, ", ")),
        routes,
        // Which user it is is nobody's business.
        Entry {
            secret: login.iter().map(|login| format!("{:?}", (&login.user, &login.password.0))).collect(),
            ..live("cluster.authorization", if login.is_some() { "required" } else { "open" })
        },
        live("cluster.authorization.timeout", go_duration(*auth_timeout)),
        live("cluster.permissions", shown_permissions(permissions.as_ref())),
        live("cluster.advertise", some(advertise)),
        live("cluster.no_advertise", no_advertise),
        live("cluster.connect_retries", connect_retries),
        live("cluster.connect_backoff", connect_backoff),
        tls_entry("cluster.tls", tls.as_ref()),
        fixed("cluster.authority", authority.as_ref().map(|dir| dir.display().to_string()).unwrap_or_default()),
        live("cluster.pool_size", pool_size.map_or(-1, i32::from)),
        live("cluster.accounts", list(accounts, Clone::clone, ", ")),
        fixed("cluster.route_type", route_type),
        fixed("cluster.passive", passive),
        live("cluster.ping_interval", go_duration(*ping_interval)),
        live("cluster.ping_max", ping_max),
        live("cluster.write_deadline", some(&write_deadline.map(go_duration))),
        live("cluster.write_timeout", write_timeout),
        live("cluster.compression", shown_compression(compression)),
        live("cluster.path_rules", some(path_rules)),
    ]
}

/// As in nats-server, nothing of it changes while the server runs but its certificates; and how writes are taken and paths chosen.
fn gateway_entries(gateway: Option<&GatewayOptions>) -> Vec<Entry> {
    let default = GatewayOptions::default();
    let GatewayOptions {
        name,
        listen,
        advertise,
        login,
        auth_timeout,
        tls,
        connect_retries,
        connect_backoff,
        reject_unknown,
        write_deadline,
        write_timeout,
        gateways,
        path_rules,
    } = gateway.unwrap_or(&default);
    let users = gateways.iter().flat_map(|remote| &remote.urls).map(|url| format!("{:?}", (&url.user, &url.password)));
    let certificates = gateways.iter().map(|remote| format!("{:?}", remote.tls)).collect();
    vec![
        fixed("gateway", if gateway.is_some() { "on" } else { "off" }),
        fixed("gateway.name", name),
        fixed("gateway.listen", list(listen, ToString::to_string, ", ")),
        fixed("gateway.advertise", some(advertise)),
        Entry {
            secret: login.iter().map(|login| format!("{:?}", (&login.user, &login.password.0))).collect(),
            ..fixed("gateway.authorization", if login.is_some() { "required" } else { "open" })
        },
        fixed("gateway.authorization.timeout", go_duration(*auth_timeout)),
        tls_entry("gateway.tls", tls.as_ref()),
        fixed("gateway.connect_retries", connect_retries),
        fixed("gateway.connect_backoff", connect_backoff),
        fixed("gateway.reject_unknown_cluster", reject_unknown),
        live("gateway.write_deadline", some(&write_deadline.map(go_duration))),
        live("gateway.write_timeout", write_timeout),
        live("gateway.path_rules", some(path_rules)),
        Entry { secret: users.collect(), ..fixed("gateway.gateways", list(gateways, GatewayRemote::to_string, ", ")) },
        Entry { secret: certificates, only_secrets: true, ..fixed("gateway.gateways.tls", "") },
    ]
}

fn leafnode_entries(leafnodes: Option<&LeafOptions>) -> Vec<Entry> {
    let default = LeafOptions::default();
    let LeafOptions {
        listen,
        advertise,
        no_advertise,
        directory,
        auth_timeout,
        tls,
        min_version,
        reconnect,
        dial_timeout,
        isolate,
        write_deadline,
        write_timeout,
        compression,
        remotes,
        path_rules,
    } = leafnodes.unwrap_or(&default);
    let users = Entry { secret: vec![format!("{directory:?}")], ..live("leafnodes.authorization", "") };
    let users = Entry { value: if directory.is_some() { "its own" } else { "of the server" }.into(), ..users };
    let secrets = remotes.iter().map(|remote| remote.secrets()).collect();
    let remotes = Entry { secret: secrets, ..live("leafnodes.remotes", list(remotes, LeafRemote::to_string, ", ")) };
    vec![
        fixed("leafnodes", if leafnodes.is_some() { "on" } else { "off" }),
        fixed("leafnodes.listen", list(listen, ToString::to_string, ", ")),
        fixed("leafnodes.advertise", some(advertise)),
        fixed("leafnodes.no_advertise", no_advertise),
        users,
        live("leafnodes.authorization.timeout", go_duration(*auth_timeout)),
        tls_entry("leafnodes.tls", tls.as_ref()),
        live("leafnodes.min_version", some(min_version)),
        live("leafnodes.reconnect", go_duration(*reconnect)),
        live("leafnodes.dial_timeout", go_duration(*dial_timeout)),
        fixed("leafnodes.isolate_leafnode_interest", isolate),
        live("leafnodes.write_deadline", some(&write_deadline.map(go_duration))),
        live("leafnodes.write_timeout", write_timeout),
        live("leafnodes.compression", shown_compression(compression)),
        live("leafnodes.path_rules", some(path_rules)),
        remotes,
    ]
}

/// `s2_fast`, or `s2_auto 10ms, 50ms`.
fn shown_compression(mode: &Mode) -> String {
    match mode {
        Mode::Unsupported => "not supported".into(),
        Mode::Auto(thresholds) => {
            format!("{} {}", mode.name(), list(thresholds.times(), |time| go_duration(*time), ", "))
        }
        _ => mode.name().into(),
    }
}

/// `import allow a, b deny c; export deny d`; empty for everything.
fn shown_permissions(permissions: Option<&RoutePermissions>) -> String {
    let some = |what: &str, rules: &[Rule]| match rules {
        [] => String::new(),
        rules => format!(" {what} {}", list(rules, ToString::to_string, ", ")),
    };
    let shown = |what: &str, rules: &Rules| match some("allow", &rules.allow) + &some("deny", &rules.deny) {
        rules if rules.is_empty() => None,
        rules => Some(format!("{what}{rules}")),
    };
    let Some(RoutePermissions { import, export }) = permissions else { return String::new() };
    let both = [shown("import", import), shown("export", export)];
    both.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// As in nats-server, nothing of it changes while the server runs but its certificates.
fn websocket_entries(websocket: Option<&WebsocketOptions>) -> Vec<Entry> {
    let default = WebsocketOptions::default();
    let WebsocketOptions {
        host,
        port,
        advertise,
        no_tls,
        tls,
        same_origin,
        allowed_origins,
        handshake_timeout,
        compression,
        // Compared as a whole.
        directory: _,
        auth_timeout,
        no_auth_user,
        cookies,
        headers,
        ping_interval,
    } = websocket.unwrap_or(&default);
    let duration = |duration: &Option<std::time::Duration>| some(&duration.map(go_duration));
    vec![
        fixed("websocket", if websocket.is_some() { "on" } else { "off" }),
        fixed("websocket.listen", format!("{host}:{port}")),
        fixed("websocket.advertise", some(advertise)),
        fixed("websocket.no_tls", no_tls),
        tls_entry("websocket.tls", tls.as_ref()),
        fixed("websocket.same_origin", same_origin),
        fixed("websocket.allowed_origins", list(allowed_origins, |(text, _)| text.clone(), ", ")),
        fixed("websocket.handshake_timeout", duration(handshake_timeout)),
        fixed("websocket.compression", compression),
        fixed("websocket.authorization.timeout", duration(auth_timeout)),
        fixed("websocket.no_auth_user", some(no_auth_user)),
        fixed("websocket.jwt_cookie", &cookies.jwt),
        fixed("websocket.user_cookie", &cookies.user),
        fixed("websocket.pass_cookie", &cookies.password),
        fixed("websocket.token_cookie", &cookies.token),
        fixed("websocket.headers", list(headers, |(name, value)| format!("{name}: {value}"), ", ")),
        fixed("websocket.ping_interval", duration(ping_interval)),
    ]
}

fn operator_entries(operator: Option<&OperatorOptions>) -> Vec<Entry> {
    let default = OperatorOptions::default();
    let OperatorOptions {
        tokens,
        // As the tokens.
        operators: _,
        trusted_keys,
        resolver,
        resolver_tls,
        preload,
        pinned_accounts,
        // As that of the server.
        system_account: _,
        default_sentinel,
    } = operator.unwrap_or(&default);
    let sorted = |mut keys: Vec<&String>| {
        keys.sort();
        list(&keys, |key| (*key).clone(), ", ")
    };
    let tokens_of_preload = preload.values().cloned().collect();
    vec![
        fixed("operator", list(tokens, Clone::clone, ", ")),
        fixed("trusted_keys", list(trusted_keys, Clone::clone, ", ")),
        fixed("resolver", some(resolver)),
        tls_entry("resolver_tls", resolver_tls.as_ref()),
        Entry { secret: tokens_of_preload, ..live("resolver_preload", sorted(preload.keys().collect())) },
        live("resolver_pinned_accounts", sorted(pinned_accounts.iter().flatten().collect())),
        live("default_sentinel", some(default_sentinel)),
    ]
}

/// TLS as a whole: which of its files and settings are others is not told.
fn tls_entry(key: &'static str, tls: Option<&TlsOptions>) -> Entry {
    let what = tls.map(|tls| format!("{tls:?}"));
    let entry = Entry { secret: what.into_iter().collect(), only_secrets: true, ..fixed(key, "") };
    Entry { value: if tls.is_some() { "on" } else { "off" }.into(), ..entry }
}

fn show_route(remote: &Remote) -> String {
    match &remote.urls[..] {
        [url] => url.to_string(),
        urls => format!("[{}]", list(urls, ToString::to_string, ", ")),
    }
}

fn refinements<T: Display>(more: &BTreeMap<T, Refinement>) -> String {
    more.iter().map(|(name, more)| format!("{name} {{ {more} }}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
