//! What monitoring and the system account tell of accounts.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use natsd_api::{
    AccountExport, AccountImport, AccountInfo, AccountStat, DataStats, LatencySampling, MapDest, MsgBytes,
    SamplingRate, SublistStats,
};
use natsd_auth::account::{Access, AccountSpec, Export, ResponseType, Sampling};
use natsd_auth::jwt::Claims;

use crate::hub::Hub;
use crate::hub::account::Account;
use crate::hub::imports::ServiceImport;
use crate::hub::stats::Totals;
use crate::operators::seconds;

/// What passes in `account`.
pub(crate) fn stat(account: &Account) -> AccountStat {
    let (local, remote) = account.subscriptions();
    let name = account.display_name();
    let (conns, leafnodes) = (account.client_count(), account.leaf_count());
    AccountStat {
        account: name,
        name: account.title(),
        conns,
        leafnodes,
        total_conns: conns + leafnodes,
        num_subscriptions: (local + remote) as u64,
        sent: passed(&account.traffic.sent),
        received: passed(&account.traffic.received),
        slow_consumers: account.traffic.slow_consumers.load(Relaxed),
    }
}

fn passed(totals: &Totals) -> DataStats {
    let (msgs, bytes) = (totals.msgs.load(Relaxed), totals.bytes.load(Relaxed));
    let (of_clients, bytes_of_clients) = (totals.client_msgs.load(Relaxed), totals.client_bytes.load(Relaxed));
    let (of_leafs, bytes_of_leafs) = (totals.leaf_msgs.load(Relaxed), totals.leaf_bytes.load(Relaxed));
    let (of_gateways, bytes_of_gateways) = (totals.gateway_msgs.load(Relaxed), totals.gateway_bytes.load(Relaxed));
    // What is counted between two readings is not there yet, never too much.
    let routes = MsgBytes {
        msgs: msgs.saturating_sub(of_clients + of_leafs + of_gateways),
        bytes: bytes.saturating_sub(bytes_of_clients + bytes_of_leafs + bytes_of_gateways),
    };
    let leafs = MsgBytes { msgs: of_leafs, bytes: bytes_of_leafs };
    let gateways = MsgBytes { msgs: of_gateways, bytes: bytes_of_gateways };
    DataStats { msgs, bytes, gateways: Some(gateways), routes: Some(routes), leafs: Some(leafs) }
}

/// All that is known of `account`.
pub(super) fn info(hub: &Hub, account: &Account) -> AccountInfo {
    let name = account.display_name();
    let known = hub.operators.get().and_then(|operators| operators.known(&name));
    let info = configured(hub, account);
    let Some(known) = known else { return info };
    let Claims { registered, tags, body, .. } = &known.claims;
    let time = |(user, seconds): (&String, &i64)| {
        let since_1970 = Duration::from_secs(u64::try_from(*seconds).unwrap_or_default());
        (user.clone(), SystemTime::UNIX_EPOCH.checked_add(since_1970).unwrap_or(known.since).into())
    };
    AccountInfo {
        update_time: known.since.into(),
        expired: known.claims.has_expired(seconds()),
        jwt: known.token.clone(),
        issuer_key: registered.issuer.clone(),
        tags: tags.clone(),
        decoded_jwt: Some(known.claims.to_json()),
        revoked_user: body.revocations.iter().map(time).collect(),
        ..info
    }
}

/// What does not come by a token.
fn configured(hub: &Hub, account: &Account) -> AccountInfo {
    let spec = account.spec();
    let (local, remote) = account.subscriptions();
    let counts = &account.counts;
    AccountInfo {
        account_name: account.display_name(),
        update_time: hub.loaded().into(),
        is_system: hub.is_system(account),
        complete: true,
        client_connections: account.client_count(),
        leafnode_connections: account.leaf_count(),
        subscriptions: (local + remote) as u64,
        mappings: spec.mappings.iter().map(|(source, destinations)| (text(source), to(destinations))).collect(),
        exports: spec.exports.iter().map(export).collect(),
        imports: imports(&spec, &account.imports.services()),
        name_tag: account.title(),
        sublist_stats: Some(SublistStats {
            num_subscriptions: (local + remote) as u64,
            num_inserts: counts.inserts.load(Relaxed),
            num_removes: counts.removes.load(Relaxed),
            num_matches: counts.matches.load(Relaxed),
            ..SublistStats::default()
        }),
        ..AccountInfo::default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn to(destinations: &[natsd_core::transform::Destination]) -> Vec<MapDest> {
    let dest = |destination: &natsd_core::transform::Destination| MapDest {
        subject: text(destination.transform.destination()),
        weight: destination.weight,
        cluster: destination.cluster.clone().unwrap_or_default(),
    };
    destinations.iter().map(dest).collect()
}

fn export(export: &Export) -> AccountExport {
    let approved_accounts = match &export.access {
        Access::Accounts(accounts) => accounts.clone(),
        _ => Vec::new(),
    };
    let mut told = AccountExport {
        subject: export.subject.to_string(),
        kind: "stream".into(),
        token_req: !matches!(export.access, Access::Public),
        approved_accounts,
        ..AccountExport::default()
    };
    if let Some(service) = &export.service {
        told.kind = "service".into();
        told.response_type = response_type(service.response).into();
        told.service_latency = service.latency.as_ref().map(|latency| LatencySampling {
            sampling: match latency.sampling {
                Sampling::Percent(percent) => SamplingRate::Percent(percent),
                Sampling::Headers => SamplingRate::Word("headers".into()),
            },
            results: latency.subject.clone(),
        });
    }
    told
}

fn response_type(response: ResponseType) -> &'static str {
    match response {
        ResponseType::Singleton => "Singleton",
        ResponseType::Stream => "Stream",
        ResponseType::Chunked => "Chunked",
    }
}

/// Streams as they are configured, and services as they are bound: some are not configured.
fn imports(spec: &AccountSpec, services: &[Arc<ServiceImport>]) -> Vec<AccountImport> {
    let streams = spec.imports.iter().filter(|import| import.is_stream()).map(|import| AccountImport {
        subject: import.subject.clone(),
        account: import.account.clone(),
        local_subject: text(import.local()),
        kind: "stream".into(),
        ..AccountImport::default()
    });
    let services = services.iter().map(|import| AccountImport {
        subject: text(import.renaming.foreign()),
        account: import.exporter.display_name(),
        to: text(import.renaming.local()),
        local_subject: text(import.renaming.local()),
        kind: "service".into(),
        share: import.share,
        ..AccountImport::default()
    });
    streams.chain(services).collect()
}
