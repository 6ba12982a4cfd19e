//! What monitoring tells of other clusters.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, SystemTime};

use natsd_api::{
    AccountGatewayz, ConnInfo, DataStats, GatewayStat, GatewayVarz, Gatewayz, RemoteGatewayVarz, RemoteGatewayz,
    SubDetail, Time, rtt, uptime,
};
use natsd_core::gateway::interest::Mode;

use super::inspect::GatewayQuery;
use super::params::Subs;
use super::server::{last_activity, peer, traffic};
use crate::config::options::{DEFAULT_TIMEOUT, GatewayOptions, Listen};
use crate::gateway::SuperCluster;
use crate::hub::Hub;
use crate::hub::remote::RemoteInterest;
use crate::link::Link;

/// Subjects of no interest after which nats-server tells all that is.
const THRESHOLD: u64 = 1000;

/// The connections to other clusters, as far as they are `wanted`.
pub(super) fn gatewayz(hub: &Hub, gateways: Option<&SuperCluster>, wanted: &GatewayQuery) -> Gatewayz {
    let now = Time(SystemTime::now());
    let bare = Gatewayz { server_id: hub.identity.id.clone(), now, ..Gatewayz::default() };
    let (Some(own), Some(gateways)) = (hub.gateways.own(), gateways) else {
        return Gatewayz { outbound_gateways: Some(BTreeMap::new()), ..bare };
    };
    let is_wanted = |name: &str| wanted.name.is_empty() || wanted.name == name;
    let mut outbound = BTreeMap::new();
    let known = accounts_of(hub, wanted);
    for link in hub.gateways.outbound().iter() {
        let Some(peer) = link.gateway.get().filter(|peer| is_wanted(&peer.name)) else { continue };
        let interests = known.get(&link.id).map_or(&[][..], Vec::as_slice);
        let accounts = if wanted.accounts { outbound_accounts(link, interests, wanted) } else { Vec::new() };
        let configured = peer.configured;
        let connection = Some(Box::new(connection(link, interests.len() as u64, now)));
        outbound.insert(peer.name.clone(), RemoteGatewayz { configured, connection, accounts });
    }
    let mut inbound: BTreeMap<String, Vec<RemoteGatewayz>> = BTreeMap::new();
    for link in gateways.inbound() {
        let Some(peer) = link.gateway.get().filter(|peer| is_wanted(&peer.name)) else { continue };
        let accounts = if wanted.accounts { inbound_accounts(hub, &link, wanted) } else { Vec::new() };
        let connection = Some(Box::new(connection(&link, 0, now)));
        let one = RemoteGatewayz { configured: false, connection, accounts };
        inbound.entry(peer.name.clone()).or_default().push(one);
    }
    let (host, port) = gateways.place();
    let missing = !wanted.name.is_empty() && outbound.is_empty();
    Gatewayz {
        name: own.name.clone(),
        host,
        port,
        outbound_gateways: (!missing).then_some(outbound),
        inbound_gateways: inbound,
        ..bare
    }
}

type Interests = Vec<(String, Arc<RemoteInterest>)>;

/// What other clusters want, with its account, by the connection that it came over.
fn accounts_of(hub: &Hub, wanted: &GatewayQuery) -> HashMap<u64, Interests> {
    let mut known: HashMap<u64, Interests> = HashMap::new();
    for account in hub.accounts.with_strangers() {
        let name = account.display_name();
        if wanted.account.is_empty() || wanted.account == name {
            for interest in account.interest_of_clusters() {
                known.entry(interest.link.id).or_default().push((name.clone(), interest));
            }
        }
    }
    known
}

fn connection(link: &Link, subscriptions: u64, now: Time) -> ConnInfo {
    let (traffic, peer) = (traffic(link), peer(&link.peer()));
    let (start, last_activity) = (Time(link.started_at), Time(last_activity(link)));
    let measured = Duration::from_nanos(link.rtt.load(Relaxed));
    let tls = link.tls.get();
    ConnInfo {
        cid: link.id,
        kind: "Gateway".into(),
        ip: peer.ip.to_string(),
        port: peer.port,
        start,
        last_activity,
        rtt: if measured.is_zero() { String::new() } else { rtt(measured) },
        uptime: uptime(now.since(start)),
        idle: uptime(now.since(last_activity)),
        pending_bytes: traffic.pending,
        in_msgs: traffic.in_msgs,
        out_msgs: traffic.out_msgs,
        in_bytes: traffic.in_bytes,
        out_bytes: traffic.out_bytes,
        subscriptions,
        name: link.gateway.get().map(|peer| peer.server_id.clone()).unwrap_or_default(),
        tls_version: tls.map(|tls| tls.version.to_owned()).unwrap_or_default(),
        tls_cipher_suite: tls.map(|tls| tls.cipher.clone()).unwrap_or_default(),
        isd_as: peer.isd_as.map(|isd_as| isd_as.to_string()).unwrap_or_default(),
        ..ConnInfo::default()
    }
}

fn outbound_accounts(
    link: &Link,
    interests: &[(String, Arc<RemoteInterest>)],
    wanted: &GatewayQuery,
) -> Vec<AccountGatewayz> {
    let modes = link.gateway.get().map(|peer| peer.modes()).unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let named = modes.into_iter().map(|(name, mode, unwanted)| (text(&name), mode, unwanted));
    let mut accounts: Vec<_> = named
        .filter(|(name, ..)| wanted.account.is_empty() || wanted.account == *name)
        .map(|(name, mode, unwanted)| {
            let own: Vec<_> = interests.iter().filter(|(account, _)| *account == name).map(|(_, it)| it).collect();
            let detail = |interest: &&Arc<RemoteInterest>| SubDetail {
                subject: text(interest.subject()),
                qgroup: text(interest.queue().unwrap_or_default()),
                cid: link.id,
                ..SubDetail::default()
            };
            AccountGatewayz {
                name,
                interest_mode: mode.to_string(),
                no_interest_count: unwanted as u64,
                interest_only_threshold: THRESHOLD,
                total_subscriptions: own.len() as u64,
                queue_subscriptions: own.iter().filter(|interest| interest.queue().is_some()).count() as u64,
                subscriptions_list: match wanted.subs {
                    Subs::Subjects => own.iter().map(|interest| text(interest.subject())).collect(),
                    _ => Vec::new(),
                },
                subscriptions_list_detail: match wanted.subs {
                    Subs::Detail => own.iter().map(detail).collect(),
                    _ => Vec::new(),
                },
            }
        })
        .collect();
    accounts.sort_by(|one, other| one.name.cmp(&other.name));
    accounts
}

fn inbound_accounts(hub: &Hub, link: &Arc<Link>, wanted: &GatewayQuery) -> Vec<AccountGatewayz> {
    let desk = hub.gateways.desks().into_iter().find(|desk| Arc::ptr_eq(&desk.link, link));
    let told = desk.map(|desk| desk.accounts()).unwrap_or_default();
    let mut accounts: Vec<_> = told
        .into_iter()
        .map(|(name, all)| AccountGatewayz {
            name: String::from_utf8_lossy(&name).into_owned(),
            interest_mode: if all { Mode::InterestOnly } else { Mode::Optimistic }.to_string(),
            interest_only_threshold: THRESHOLD,
            ..AccountGatewayz::default()
        })
        .filter(|account| wanted.account.is_empty() || wanted.account == account.name)
        .collect();
    accounts.sort_by(|one, other| one.name.cmp(&other.name));
    accounts
}

/// What is configured, and where other clusters come in.
pub(super) fn varz(
    options: &GatewayOptions,
    gateways: Option<&SuperCluster>,
    certificate: Option<Time>,
) -> GatewayVarz {
    let (host, port) = match options.listen.first() {
        Some(Listen::Tcp { host, port }) => {
            let bound = gateways.and_then(|gateways| gateways.addresses().first()).map_or(*port, |bound| bound.port());
            (host.clone(), bound)
        }
        Some(Listen::Scion(address)) => (format!("{},{}", address.isd_as, address.host), address.port),
        Some(Listen::Udp(address)) => (address.first().ip().to_string(), address.port()),
        None => (String::new(), 0),
    };
    let remotes = options.gateways.iter().map(|remote| {
        let configured = || remote.urls.iter().map(|url| url.address.to_string()).collect();
        RemoteGatewayVarz {
            name: remote.name.clone(),
            tls_timeout: remote.tls.as_ref().map_or(0.0, |tls| tls.timeout.as_secs_f64()),
            urls: gateways.and_then(|gateways| gateways.urls_of(&remote.name)).unwrap_or_else(configured),
        }
    });
    GatewayVarz {
        name: options.name.clone(),
        host,
        port,
        auth_timeout: options.auth_timeout.as_secs_f64(),
        tls_timeout: options.tls.as_ref().map_or(DEFAULT_TIMEOUT, |tls| tls.timeout).as_secs_f64(),
        tls_required: options.tls.is_some(),
        // Whoever comes from another cluster shows a certificate.
        tls_verify: options.tls.is_some(),
        advertise: options.advertise.clone().unwrap_or_default(),
        connect_retries: options.connect_retries.into(),
        gateways: remotes.collect(),
        reject_unknown: options.reject_unknown,
        write_deadline: options.write_deadline.map_or(0, |deadline| deadline.as_nanos() as u64),
        tls_cert_not_after: certificate,
    }
}

/// What passed between this server and each cluster.
pub(super) fn stats(hub: &Hub, gateways: Option<&SuperCluster>) -> Vec<GatewayStat> {
    let Some(gateways) = gateways else { return Vec::new() };
    let data = |msgs, bytes| DataStats { msgs, bytes, ..DataStats::default() };
    let inbound = gateways.inbound();
    let stat = |link: &Arc<Link>| {
        let name = link.gateway.get()?.name.clone();
        let is_from_there = |link: &&Arc<Link>| link.gateway.get().is_some_and(|peer| peer.name == name);
        let theirs: Vec<_> = inbound.iter().filter(is_from_there).map(|link| traffic(link)).collect();
        let own = traffic(link);
        let (msgs, bytes) = (theirs.iter().map(|it| it.in_msgs).sum(), theirs.iter().map(|it| it.in_bytes).sum());
        Some(GatewayStat {
            gwid: link.id,
            sent: data(own.out_msgs, own.out_bytes),
            received: data(msgs, bytes),
            inbound_connections: theirs.len() as u64,
            name,
        })
    };
    hub.gateways.outbound().iter().filter_map(stat).collect()
}
