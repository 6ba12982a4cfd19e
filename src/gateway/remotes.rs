//! The other clusters: those that are configured, and those that others tell of.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::address;
use crate::config::options::{GatewayOptions, GatewayRemote, PeerAddr, RouteUrl};
use crate::tls::{RouteTls, TlsError};

/// Clusters beyond which no more are taken that others tell of.
const MAX_REMOTES: usize = 1024;
/// Addresses of one cluster that are remembered.
const MAX_URLS: usize = 256;

/// Another cluster.
pub(super) struct Remote {
    pub(super) name: String,
    configured: Option<Vec<RouteUrl>>,
    pub(super) tls: Option<Arc<RouteTls>>,
    told: Mutex<Vec<RouteUrl>>,
}

impl Remote {
    /// Whether others told of it.
    pub(super) fn is_implicit(&self) -> bool {
        self.configured.is_none()
    }

    /// `explicit` or `implicit`, as the log says it.
    pub(super) fn kind(&self) -> &'static str {
        if self.is_implicit() { "implicit" } else { "explicit" }
    }

    /// All its addresses that are known, those that are configured first.
    pub(super) fn urls(&self) -> Vec<RouteUrl> {
        let configured = self.configured.iter().flatten();
        configured.chain(self.told.lock().iter()).cloned().collect()
    }

    /// Its addresses as others are told: over TCP and over SCION.
    pub(super) fn addresses(&self) -> (Vec<String>, Vec<String>) {
        let (mut tcp, mut scion) = (Vec::new(), Vec::new());
        for url in self.urls() {
            match url.address {
                PeerAddr::Tcp { .. } => tcp.push(url.address.to_string()),
                PeerAddr::Scion(address) => scion.push(address.to_string()),
                // Not between clusters.
                PeerAddr::Udp(_) => {}
            }
        }
        (tcp, scion)
    }

    /// What the certificate of a server at `host` should say: one that is known by its IP address has the first name that is
    /// known of its cluster, as in nats-server.
    pub(super) fn certified_name(&self, host: &str) -> String {
        let is_ip = |host: &str| host.parse::<IpAddr>().is_ok();
        if !is_ip(host) {
            return host.to_owned();
        }
        let named = self.urls().into_iter().find_map(|url| match url.address {
            PeerAddr::Tcp { host, .. } if !is_ip(&host) => Some(host),
            _ => None,
        });
        named.unwrap_or_else(|| host.to_owned())
    }

    /// One of its servers says where all of them are, if it does: this replaces what was told before.
    pub(super) fn replace(&self, told: &[String]) {
        if !told.is_empty() {
            self.told.lock().clear();
            self.add(told);
        }
    }

    /// Somebody tells of more of its servers.
    pub(super) fn add(&self, told: &[String]) {
        for url in told.iter().take(MAX_URLS).filter_map(|text| address::gateway(&format!("nats://{text}")).ok()) {
            let is_known = |known: &RouteUrl| known.address == url.address;
            let mut told = self.told.lock();
            if told.len() < MAX_URLS && !told.iter().chain(self.configured.iter().flatten()).any(is_known) {
                told.push(url);
            }
        }
    }
}

/// All of them, by name.
pub(super) struct Remotes {
    known: Mutex<HashMap<String, Arc<Remote>>>,
    tls: Option<Arc<RouteTls>>,
}

impl Remotes {
    /// Those that are configured.
    ///
    /// # Errors
    ///
    /// When TLS cannot be spoken as configured.
    pub(super) fn new(options: &GatewayOptions, tls: Option<Arc<RouteTls>>) -> Result<Self, TlsError> {
        let remote = |remote: &GatewayRemote| -> Result<(String, Arc<Remote>), TlsError> {
            let own = remote.tls.as_ref().map(RouteTls::new).transpose()?.map(Arc::new);
            let configured = Some(remote.urls.clone());
            let name = remote.name.clone();
            let tls = own.or_else(|| tls.clone());
            Ok((name.clone(), Arc::new(Remote { name, configured, tls, told: Mutex::default() })))
        };
        let known = options.others().map(remote).collect::<Result<_, _>>()?;
        Ok(Self { known: Mutex::new(known), tls })
    }

    /// All that are known now.
    pub(super) fn all(&self) -> Vec<Arc<Remote>> {
        let mut all: Vec<_> = self.known.lock().values().cloned().collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    pub(super) fn get(&self, name: &str) -> Option<Arc<Remote>> {
        self.known.lock().get(name).cloned()
    }

    /// Somebody tells where the cluster `name` is. Returns it if nobody knew of it.
    pub(super) fn hear(&self, name: &str, urls: &[String]) -> Option<Arc<Remote>> {
        let mut known = self.known.lock();
        if let Some(remote) = known.get(name) {
            remote.add(urls);
            return None;
        }
        let told = Mutex::default();
        let remote = Arc::new(Remote { name: name.to_owned(), configured: None, tls: self.tls.clone(), told });
        remote.add(urls);
        if remote.urls().is_empty() || known.len() >= MAX_REMOTES {
            return None;
        }
        known.insert(name.to_owned(), remote.clone());
        Some(remote)
    }

    /// A cluster that others told of cannot be reached.
    pub(super) fn forget(&self, remote: &Arc<Remote>) {
        let mut known = self.known.lock();
        if known.get(&remote.name).is_some_and(|it| Arc::ptr_eq(it, remote)) {
            known.remove(&remote.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remotes() -> Remotes {
        let url = |text: &str| address::gateway(text).expect(text);
        let west = GatewayRemote { name: "W".into(), urls: vec![url("nats://u:p@w:1"), url("nats://w:2")], tls: None };
        let own = GatewayRemote { name: "E".into(), urls: vec![url("nats://e:1")], tls: None };
        let options = GatewayOptions { name: "E".into(), gateways: vec![own, west], ..GatewayOptions::default() };
        Remotes::new(&options, None).expect("no TLS")
    }

    fn told(urls: &[&str]) -> Vec<String> {
        urls.iter().map(|url| (*url).to_owned()).collect()
    }

    #[test]
    fn addresses_add_up_and_are_replaced_by_those_who_should_know() {
        let remotes = remotes();
        assert_eq!(remotes.all().len(), 1, "we are no other cluster");
        let west = remotes.get("W").expect("configured");
        assert!(remotes.hear("W", &told(&["w:1", "10.0.0.1:3", "nonsense", "[1-ff00:0:110,10.0.0.1]:4"])).is_none());
        let addresses = || west.addresses();
        assert_eq!(addresses().0, ["w:1", "w:2", "10.0.0.1:3"]);
        assert_eq!(addresses().1, ["[1-ff00:0:110,10.0.0.1]:4"]);
        west.replace(&told(&["w:5"]));
        west.replace(&[]);
        assert_eq!(addresses().0, ["w:1", "w:2", "w:5"]);
        assert_eq!((west.certified_name("10.0.0.1"), west.certified_name("x")), ("w".into(), "x".into()));
        assert_eq!((west.kind(), west.urls()[0].user.as_deref()), ("explicit", Some("u")));
    }

    #[test]
    fn what_others_tell_is_taken_once_and_within_bounds() {
        let remotes = remotes();
        let north = remotes.hear("N", &told(&["n:1"])).expect("new");
        assert!(north.is_implicit() && remotes.hear("N", &told(&["n:2"])).is_none());
        assert_eq!(north.urls().len(), 2);
        assert!(remotes.hear("S", &[]).is_none() && remotes.get("S").is_none(), "nowhere to be dialled");
        remotes.forget(&north);
        assert!(remotes.get("N").is_none());
        for n in 0..2 * MAX_REMOTES {
            remotes.hear(&format!("C{n}"), &told(&["c:1"]));
        }
        assert_eq!(remotes.all().len(), MAX_REMOTES);
        let many: Vec<String> = (0..2 * MAX_URLS).map(|n| format!("h{n}:1")).collect();
        remotes.hear("C1", &many);
        remotes.hear("C1", &many);
        assert_eq!(remotes.get("C1").expect("heard of").urls().len(), MAX_URLS);
    }
}
