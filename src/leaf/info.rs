//! What leaf nodes are told of this server.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use natsd_auth::Permissions;
use natsd_core::advertised::with_port;
use natsd_core::leaf::hello::LeafInfo;
use natsd_core::route::hello::PROTOCOL;

use super::Shared;
use crate::config::options::LeafOptions;
use crate::hub::account::Account;
use crate::route::subject_rules;
use crate::server::cluster::reachable;
use crate::server::identity::{COMPATIBLE_VERSION, COMPILER, VERSION};

/// The address that is told in place of the one bound.
pub(super) fn advertised(options: &LeafOptions, bound: SocketAddr) -> String {
    match &options.advertise {
        Some(advertised) => with_port(advertised, bound.port()),
        None => reachable(bound).to_string(),
    }
}

impl Shared {
    /// `INFO` of the connection with this id.
    pub(super) fn info(&self, id: u64) -> LeafInfo {
        let hub = &self.hub;
        let options = self.options.load();
        let news = hub.news.borrow().clone();
        let (host, port) = self.place.clone().unwrap_or_default();
        let bound = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        let ip = bound.map_or_else(|| format!("{host}:{port}"), |bound| advertised(&options, bound));
        let own = Some(ip.clone()).filter(|_| !options.no_advertise && self.place.is_some());
        let terms = self.tls.as_ref().map(|tls| tls.terms());
        LeafInfo {
            server_id: hub.identity.id.clone(),
            server_name: hub.identity.name.clone(),
            version: COMPATIBLE_VERSION.into(),
            proto: PROTOCOL,
            go: COMPILER.into(),
            host,
            port,
            headers: !hub.options().no_header_support,
            auth_required: true,
            tls_required: terms.is_some(),
            tls_verify: terms.is_some_and(|terms| terms.verify),
            max_payload: hub.options().max_payload as i64,
            ip: if self.place.is_some() { ip } else { String::new() },
            client_id: id,
            cluster: self.cluster(),
            ws_connect_urls: news.ws_connect_urls,
            info_on_connect: true,
            leafnode_urls: own.into_iter().chain(news.leafnode_urls).collect(),
            natsd: VERSION.into(),
            ..LeafInfo::default()
        }
    }

    /// `INFO` that answers `CONNECT`.
    pub(super) fn welcome(&self, id: u64, account: &Account, permissions: Option<&Permissions>) -> LeafInfo {
        LeafInfo {
            connect_info: true,
            remote_account: account.display_name(),
            is_system_account: self.hub.is_system(account),
            import: permissions.map(|may| subject_rules(&may.subscribe)),
            export: permissions.map(|may| subject_rules(&may.publish)),
            ..self.info(id)
        }
    }
}

/// Tells all leaf nodes where the servers of the cluster are, whenever that changes.
pub(super) async fn tell_news(shared: Arc<Shared>) {
    let mut news = shared.hub.news.subscribe();
    let urls = |news: &crate::server::listener::News| (news.leafnode_urls.clone(), news.ws_connect_urls.clone());
    let mut known = urls(&news.borrow_and_update());
    while news.changed().await.is_ok() {
        let now = urls(&news.borrow_and_update());
        if std::mem::replace(&mut known, now.clone()) == now {
            continue;
        }
        let links: Vec<_> = shared.open.lock().values().cloned().collect();
        for link in links.iter().filter(|link| link.leaf.get().is_some_and(|peer| !peer.solicited)) {
            let line = shared.info(link.id).to_line();
            link.send_now(|out| out.extend_from_slice(&line));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaf_nodes_hear_of_an_address_that_they_can_reach() {
        let told = |advertise: Option<&str>, bound: &str| {
            let options = LeafOptions { advertise: advertise.map(Into::into), ..LeafOptions::default() };
            advertised(&options, bound.parse().expect("an address"))
        };
        assert_eq!(told(None, "127.0.0.1:7422"), "127.0.0.1:7422");
        assert_eq!(told(Some("hub.example"), "127.0.0.1:7422"), "hub.example:7422");
    }
}
