//! A hub that this server is a leaf node of: where it can be reached, and when it is tried again.

use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use natsd_auth::{Permissions, Rule};
use natsd_core::error::CloseReason;
use natsd_core::leaf::hello::LeafInfo;
use natsd_core::route::hello::SubjectRules;
use parking_lot::Mutex;

use crate::config::address;
use crate::config::options::{DEFAULT_LEAF_PORT, LeafRemote, LeafUrl, PeerAddr};
use crate::link::Link;
use crate::tls::{Connector, TlsError};

/// Addresses of a hub that are remembered; who tells of more tells no truth.
const MAX_DISCOVERED: usize = 256;

/// See the [module](self).
pub(super) struct Remote {
    pub(super) options: LeafRemote,
    /// `None` if it cannot be spoken.
    tls: ArcSwapOption<Connector>,
    /// The same with the proxy.
    proxy_tls: ArcSwapOption<Connector>,
    /// Whom TLS is spoken with where only an IP address is known.
    name: Option<String>,
    urls: Mutex<Urls>,
    connection: Mutex<Connected>,
}

#[derive(Default)]
struct Connected {
    link: Weak<Link>,
    /// The hub is none of ours any more.
    retired: bool,
}

struct Urls {
    configured: Vec<LeafUrl>,
    discovered: Vec<LeafUrl>,
    next: usize,
}

impl Remote {
    /// # Errors
    ///
    /// When TLS cannot be spoken as configured.
    pub(super) fn new(options: &LeafRemote) -> Result<Self, TlsError> {
        let mut configured = options.urls.clone();
        if !options.no_randomize {
            fastrand::shuffle(&mut configured);
        }
        let name = configured.iter().find_map(|url| match &url.address {
            PeerAddr::Tcp { host, .. } if !is_ip(host) => Some(host.clone()),
            _ => None,
        });
        let tls = match &options.tls {
            Some(tls) => Some(Connector::new(Some(tls))?),
            // It is not known yet whether the hub asks for it, and a machine may believe nobody.
            None => Connector::new(None).ok(),
        };
        let urls = Mutex::new(Urls { configured, discovered: Vec::new(), next: 0 });
        let proxy_tls = match options.proxy.as_ref().filter(|proxy| proxy.https) {
            Some(proxy) => Some(Connector::new(proxy.tls.as_ref())?),
            None => None,
        };
        let [tls, proxy_tls] = [tls, proxy_tls].map(ArcSwapOption::from_pointee);
        Ok(Self { options: options.clone(), tls, proxy_tls, name, urls, connection: Mutex::default() })
    }

    /// The next address to try.
    pub(super) fn next_url(&self) -> Option<LeafUrl> {
        let mut urls = self.urls.lock();
        let all = urls.configured.len() + urls.discovered.len();
        let at = urls.next % all.max(1);
        urls.next = at + 1;
        urls.configured.iter().chain(&urls.discovered).nth(at).cloned()
    }

    /// How TLS is spoken with it.
    ///
    /// # Errors
    ///
    /// When there is no `tls {}` and nobody whom this machine believes.
    pub(super) fn connector(&self) -> Result<Arc<Connector>, TlsError> {
        self.tls.load_full().ok_or(TlsError::NoRoots("dialling a hub"))
    }

    /// How TLS is spoken with the proxy.
    ///
    /// # Errors
    ///
    /// When it is not.
    pub(super) fn proxy_connector(&self) -> Result<Arc<Connector>, TlsError> {
        self.proxy_tls.load_full().ok_or(TlsError::NoRoots("dialling a proxy"))
    }

    /// From now on TLS begins with what `other` has read.
    pub(super) fn become_like(&self, other: &Self) {
        self.tls.store(other.tls.load_full());
        self.proxy_tls.store(other.proxy_tls.load_full());
    }

    /// This is the connection to the hub; it ends at once if it comes too late.
    pub(super) fn connected(&self, link: &Arc<Link>) {
        let mut connection = self.connection.lock();
        connection.link = Arc::downgrade(link);
        if connection.retired {
            link.close(CloseReason::ClientClosed);
        }
    }

    /// The hub is none of ours any more: the connection to it ends.
    pub(super) fn retire(&self) {
        let mut connection = self.connection.lock();
        connection.retired = true;
        if let Some(link) = connection.link.upgrade() {
            link.close(CloseReason::ClientClosed);
        }
    }

    /// What the server at this host is called in its certificate.
    pub(super) fn certified_name(&self, host: &str) -> String {
        if is_ip(host) { self.name.clone().unwrap_or_else(|| host.to_owned()) } else { host.to_owned() }
    }

    /// The hub says where the servers of its cluster are. They are told in place of those told before.
    pub(super) fn discover(&self, info: &LeafInfo) {
        let mut urls = self.urls.lock();
        let like = urls.configured.first().cloned();
        let over_websocket = like.as_ref().is_some_and(|like| like.websocket);
        let told = if over_websocket { &info.ws_connect_urls } else { &info.leafnode_urls };
        if self.options.ignore_discovered || told.is_empty() {
            return;
        }
        let parsed = told.iter().take(MAX_DISCOVERED).filter_map(|text| {
            let url = address::leaf(&format!("nats-leaf://{text}"), DEFAULT_LEAF_PORT).ok()?;
            // Users are those of the first one, as in nats-server.
            like.as_ref().map(|like| LeafUrl { address: url.address, ..like.clone() })
        });
        let fresh: Vec<_> = parsed.collect();
        let known = |url: &LeafUrl| urls.configured.iter().any(|known| known.address == url.address);
        let fresh = fresh.into_iter().filter(|url| !known(url)).collect();
        urls.discovered = fresh;
    }

    /// What this side may send and ask for: what the hub says, and what is denied here.
    pub(super) fn rules(&self, info: &LeafInfo) -> Option<Permissions> {
        if info.import.is_none() && info.export.is_none() {
            return self.options.rules();
        }
        let mut rules = self.options.rules().unwrap_or_default();
        add(&mut rules.subscribe, info.import.as_ref());
        add(&mut rules.publish, info.export.as_ref());
        Some(rules)
    }
}

fn add(rules: &mut natsd_auth::Rules, told: Option<&SubjectRules>) {
    let parse = |texts: &[String]| texts.iter().filter_map(|text| text.parse::<Rule>().ok()).collect::<Vec<_>>();
    if let Some(told) = told {
        rules.allow.extend(parse(&told.allow));
        rules.deny.extend(parse(&told.deny));
    }
}

fn is_ip(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(urls: &[&str]) -> Remote {
        let urls = urls.iter().map(|url| address::leaf(url, DEFAULT_LEAF_PORT).expect(url)).collect();
        let tls = crate::config::options::TlsOptions { insecure: true, ..Default::default() };
        let options = LeafRemote { urls, no_randomize: true, tls: Some(tls), ..LeafRemote::default() };
        Remote::new(&options).expect("valid")
    }

    #[test]
    fn addresses_are_tried_in_turn_and_so_are_those_that_the_hub_tells_of() {
        let remote = remote(&["nats-leaf://u:p@hub.example", "nats-leaf://127.0.0.1:2"]);
        let next = || remote.next_url().expect("there are some").to_string();
        assert_eq!([next(), next(), next()].map(|url| url.len()), [28, 23, 28]);
        let told = |urls: &[&str]| {
            let leafnode_urls = urls.iter().map(|url| (*url).to_owned()).collect();
            remote.discover(&LeafInfo { leafnode_urls, ..LeafInfo::default() });
        };
        told(&["127.0.0.1:2", "127.0.0.1:3", "nonsense:-1"]);
        assert_eq!(next(), "nats-leaf://127.0.0.1:2");
        let found = remote.next_url().expect("found");
        assert_eq!((found.to_string().as_str(), found.user.as_deref()), ("nats-leaf://127.0.0.1:3", Some("u")));
        assert_eq!(next(), "nats-leaf://hub.example:7422");
        assert_eq!(
            (remote.certified_name("127.0.0.1"), remote.certified_name("h")),
            ("hub.example".into(), "h".into())
        );
    }

    #[test]
    fn what_is_denied_here_stays_denied_whatever_the_hub_says() {
        let mut remote = remote(&["nats-leaf://hub"]);
        remote.options.denied.publish.deny = vec!["secret.>".parse().expect("a subject")];
        let export = SubjectRules { allow: vec![">".into()], deny: vec!["a".into()] };
        let rules = remote.rules(&LeafInfo { export: Some(export), ..LeafInfo::default() }).expect("some");
        assert!(rules.may_publish(b"b") && !rules.may_publish(b"a") && !rules.may_publish(b"secret.x"));
        assert!(rules.may_subscribe(b"anything", None));
        assert!(!remote.rules(&LeafInfo::default()).expect("some").may_publish(b"secret.x"));
    }
}
