use std::cmp::Reverse;
use std::time::SystemTime;

use natsd_api::{ConnInfo, Connz, ProxyInfo, Time, rtt, to_json, uptime};
use natsd_auth::account::GLOBAL;
use natsd_core::subject;

use super::inspect::Client;
use super::params::{ParamError, Subs};
use super::subsz::detail;
use super::{Answer, Context, Params};

/// Which connections are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Any,
}

/// The orders of connections.
const SORTS: &[&str] = &[
    "cid",
    "start",
    "subs",
    "pending",
    "msgs_to",
    "msgs_from",
    "bytes_to",
    "bytes_from",
    "last",
    "idle",
    "uptime",
    "stop",
    "reason",
    "rtt",
];

/// `/connz`: the clients. Parameters: `sort`, `auth`, `subs`, `offset`, `limit`, `cid`, `state`, `user`, `acc`,
/// `mqtt_client`, `filter_subject`.
pub(super) fn connz(context: &Context, params: &Params) -> Answer {
    Answer::json_or_refusal(answer(context, params).map(|connz| to_json(&connz)))
}

fn answer(context: &Context, params: &Params) -> Result<Connz, ParamError> {
    let auth = params.bool("auth")?;
    let subs = params.subs()?;
    let mut page = params.page()?;
    let cid = params.unsigned("cid")?;
    let state = state(params.get("state"))?;
    let sort = sort(params.get("sort"), state)?;
    if cid > 0 {
        page.limit = 1;
    }

    let now = Time(SystemTime::now());
    let mut clients = Vec::new();
    if state != State::Closed {
        clients.extend(context.inspect.open_clients());
    }
    if state != State::Open {
        clients.extend(context.inspect.closed_clients());
    }
    let (account, user, subject) = (params.get("acc"), params.get("user"), params.get("filter_subject"));
    if account.is_empty() && !matches!(subject, "" | ">") {
        return Err(ParamError::SubjectWithoutAccount);
    }
    clients.retain(|client| account.is_empty() || client.account == account);
    let total = clients.len() as u64;
    clients.retain(|client| cid == 0 || client.cid == cid);
    clients.retain(|client| user.is_empty() || client.user == user);
    // Of closed clients it is not known.
    clients
        .retain(|client| matches!(subject, "" | ">") || client.closed.is_some() || wants(context, client.cid, subject));
    // No client speaks MQTT.
    clients.retain(|_| params.get("mqtt_client").is_empty());
    sort_clients(&mut clients, sort, now);

    let connections: Vec<_> = page
        .of(clients)
        .map(|client| {
            let who = if auth { who(&client) } else { ConnInfo::default() };
            let ConnInfo { authorized_user, account, jwt, issuer_key, name_tag, tags, .. } = who;
            let tls_peer_certs = client.tls.as_ref().filter(|_| auth).map(|tls| tls.certificates.to_vec());
            let tls_peer_certs = tls_peer_certs.unwrap_or_default();
            let info = info(client, now);
            let mut info =
                ConnInfo { authorized_user, account, jwt, issuer_key, name_tag, tags, tls_peer_certs, ..info };
            let list = |cid| context.inspect.subscriptions_of(cid);
            match subs {
                Subs::Number => {}
                Subs::Subjects => info.subscriptions_list = list(info.cid).into_iter().map(|sub| sub.subject).collect(),
                Subs::Detail => info.subscriptions_list_detail = list(info.cid).into_iter().map(detail).collect(),
            }
            info
        })
        .collect();
    Ok(Connz {
        server_id: context.inspect.server_id(),
        now,
        num_connections: connections.len() as u64,
        total,
        offset: page.offset,
        limit: page.limit,
        connections,
    })
}

/// Whether a client subscribes to any of the subjects that `subject`, a pattern, matches.
fn wants(context: &Context, cid: u64, subject: &str) -> bool {
    let subscriptions = context.inspect.subscriptions_of(cid);
    subscriptions.iter().any(|sub| subject::intersection(sub.subject.as_bytes(), subject.as_bytes()).is_some())
}

/// Who a client is, and whose; all else is left out.
fn who(client: &Client) -> ConnInfo {
    let global = client.account == GLOBAL;
    let account = if global { String::new() } else { client.account.clone() };
    let name_tag = match &client.token {
        Some(token) => token.account_name.clone(),
        None if global && client.closed.is_some() => String::new(),
        None => client.account.clone(),
    };
    let token = client.token.clone().unwrap_or_default();
    ConnInfo {
        authorized_user: client.user.clone(),
        account,
        jwt: token.jwt,
        issuer_key: token.issuer,
        name_tag,
        tags: token.tags,
        ..ConnInfo::default()
    }
}

fn state(text: &str) -> Result<State, ParamError> {
    match text.to_ascii_lowercase().as_str() {
        "" | "open" => Ok(State::Open),
        "closed" => Ok(State::Closed),
        "any" | "all" => Ok(State::Any),
        _ => Err(ParamError::State(text.into())),
    }
}

fn sort(text: &str, state: State) -> Result<&'static str, ParamError> {
    if text.is_empty() {
        return Ok("cid");
    }
    match SORTS.iter().find(|sort| **sort == text) {
        Some(sort @ (&"stop" | &"reason")) if state != State::Closed => Err(ParamError::SortOfClosed(sort)),
        Some(sort) => Ok(sort),
        None => Err(ParamError::Sort(text.into())),
    }
}

/// Orders by `sort`, and by cid where that is equal. Counts come largest first.
fn sort_clients(clients: &mut [Client], sort: &str, now: Time) {
    clients.sort_by_key(|client| client.cid);
    match sort {
        "subs" => clients.sort_by_key(|client| Reverse(client.subscriptions)),
        "pending" => clients.sort_by_key(|client| Reverse(client.traffic.pending)),
        "msgs_to" => clients.sort_by_key(|client| Reverse(client.traffic.out_msgs)),
        "msgs_from" => clients.sort_by_key(|client| Reverse(client.traffic.in_msgs)),
        "bytes_to" => clients.sort_by_key(|client| Reverse(client.traffic.out_bytes)),
        "bytes_from" => clients.sort_by_key(|client| Reverse(client.traffic.in_bytes)),
        "last" => clients.sort_by_key(|client| Reverse(client.last_activity)),
        "idle" => clients.sort_by_key(|client| client.last_activity),
        "uptime" => clients.sort_by_key(|client| end(client, now).since(client.start.into())),
        "stop" => clients.sort_by_key(|client| Reverse(end(client, now))),
        "reason" => clients.sort_by(|a, b| reason(a).cmp(reason(b))),
        "rtt" => clients.sort_by_key(|client| Reverse(client.rtt)),
        _ => {}
    }
}

/// When it was closed, or `now`.
fn end(client: &Client, now: Time) -> Time {
    client.closed.as_ref().map_or(now, |closed| closed.at.into())
}

fn reason(client: &Client) -> &str {
    client.closed.as_ref().map_or("", |closed| &closed.reason)
}

fn info(client: Client, now: Time) -> ConnInfo {
    let end = end(&client, now);
    let (start, last_activity) = (Time(client.start), Time(client.last_activity));
    ConnInfo {
        cid: client.cid,
        kind: "Client".into(),
        client_type: if client.websocket { "websocket" } else { "nats" }.into(),
        ip: client.peer.ip.to_string(),
        port: client.peer.port,
        start,
        last_activity,
        stop: client.closed.as_ref().map(|closed| closed.at.into()),
        rtt: client.rtt.map(rtt).unwrap_or_default(),
        uptime: uptime(end.since(start)),
        idle: uptime(end.since(last_activity)),
        pending_bytes: client.traffic.pending,
        in_msgs: client.traffic.in_msgs,
        out_msgs: client.traffic.out_msgs,
        in_bytes: client.traffic.in_bytes,
        out_bytes: client.traffic.out_bytes,
        stalls: client.stalls,
        subscriptions: client.subscriptions,
        name: client.name,
        lang: client.lang,
        version: client.version,
        isd_as: client.peer.isd_as.map(|isd_as| isd_as.to_string()).unwrap_or_default(),
        tls_version: client.tls.as_ref().map(|tls| tls.version.to_owned()).unwrap_or_default(),
        tls_cipher_suite: client.tls.as_ref().map(|tls| tls.cipher.clone()).unwrap_or_default(),
        proxy: client.proxy.map(|key| ProxyInfo { key }),
        tls_first: client.tls.is_some_and(|tls| tls.first),
        reason: client.closed.map(|closed| closed.reason).unwrap_or_default(),
        ..ConnInfo::default()
    }
}
