//! What monitoring tells of leaf nodes and hubs.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use natsd_api::{DenyRules, LeafInfo, LeafVarz, RemoteLeafVarz, Time, rtt};
use natsd_auth::Rules;

use super::server::{peer, traffic};
use crate::config::options::{DEFAULT_TIMEOUT, LeafOptions, LeafRemote, Listen};
use crate::leaf::Leafs;
use crate::link::Link;

/// One connection, with what the other end wants if `subjects` are asked for. `None` if it is not known yet.
pub(super) fn info(link: &Arc<Link>, subjects: bool) -> Option<LeafInfo> {
    let leaf = link.leaf.get()?;
    let account = link.account.load_full()?;
    let wanted = account.interest_behind(link.id);
    let list = wanted.iter().filter(|_| subjects).map(|wanted| String::from_utf8_lossy(wanted.subject()).into_owned());
    let (traffic, peer) = (traffic(link), peer(&link.peer()));
    Some(LeafInfo {
        id: link.id,
        name: leaf.name.clone(),
        is_spoke: leaf.spoke,
        is_isolated: leaf.isolated,
        account: account.display_name(),
        ip: peer.ip.to_string(),
        port: peer.port,
        rtt: rtt(Duration::from_nanos(link.rtt.load(Relaxed))),
        in_msgs: traffic.in_msgs,
        out_msgs: traffic.out_msgs,
        in_bytes: traffic.in_bytes,
        out_bytes: traffic.out_bytes,
        subscriptions: wanted.len() as u64,
        subscriptions_list: list.collect(),
        compression: link.compression().name().into(),
        websocket: leaf.websocket,
        isd_as: peer.isd_as.map(|isd_as| isd_as.to_string()).unwrap_or_default(),
    })
}

/// What is configured, and where leaf nodes come in.
pub(super) fn varz(options: &LeafOptions, leafs: Option<&Leafs>, certificate: Option<Time>) -> LeafVarz {
    let remotes = options.remotes.iter().map(remote).collect();
    let write_deadline = options.write_deadline.map_or(0, |deadline| deadline.as_nanos() as u64);
    let (host, port) = match options.listen.first() {
        Some(Listen::Tcp { host, port }) => {
            let bound = leafs.and_then(|leafs| leafs.addresses().first()).map_or(*port, std::net::SocketAddr::port);
            (host.clone(), bound)
        }
        Some(Listen::Scion(address)) => (format!("{},{}", address.isd_as, address.host), address.port),
        Some(Listen::Udp(address)) => (address.first().ip().to_string(), address.port()),
        None => return LeafVarz { remotes, write_deadline, ..LeafVarz::default() },
    };
    LeafVarz {
        host,
        port,
        auth_timeout: options.auth_timeout.as_secs_f64(),
        tls_timeout: options.tls.as_ref().map_or(DEFAULT_TIMEOUT, |tls| tls.timeout).as_secs_f64(),
        tls_required: options.tls.is_some(),
        tls_verify: options.tls.as_ref().is_some_and(|tls| tls.verify),
        remotes,
        write_deadline,
        tls_cert_not_after: certificate,
    }
}

fn remote(remote: &LeafRemote) -> RemoteLeafVarz {
    let texts = |rules: &Rules| rules.deny.iter().map(ToString::to_string).collect();
    let deny = DenyRules { exports: texts(&remote.denied.publish), imports: texts(&remote.denied.subscribe) };
    RemoteLeafVarz {
        local_account: remote.account_name().to_owned(),
        tls_timeout: remote.tls.as_ref().map_or(0.0, |tls| tls.timeout.as_secs_f64()),
        urls: remote.urls.iter().map(|url| url.address.to_string()).collect(),
        deny: Some(deny).filter(|deny| *deny != DenyRules::default()),
    }
}
