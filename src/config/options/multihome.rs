//! `multihome {}`, and what goes over UDP without SCION.

use std::net::IpAddr;

use natsd_path::{PlainAddr, Policy};

use super::{ClusterOptions, Listen, Options, PeerAddr};

/// `multihome {}`: of hosts with several IP addresses, without SCION.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultihomeOptions {
    /// `addresses` that packets leave at, at most eight; those of the listeners when empty.
    pub addresses: Vec<IpAddr>,
    /// What is wanted of paths. There are no rules in it that name ASes.
    pub policy: Policy,
}

impl Options {
    /// The addresses that packets over UDP leave at, none if the system is to choose; `None` if nothing goes over UDP.
    #[cfg(feature = "scion")]
    pub(crate) fn multihomed(&self) -> Option<Vec<IpAddr>> {
        let cluster = self.cluster.as_ref().filter(|_| self.goes_over_udp())?;
        let configured = self.multihome.as_ref().map(|multihome| multihome.addresses.clone()).unwrap_or_default();
        if !configured.is_empty() {
            return Some(configured);
        }
        let mut hosts = Vec::new();
        for host in udp_listeners(&cluster.listen).flat_map(PlainAddr::hosts) {
            if hosts.len() < PlainAddr::MOST && !hosts.contains(host) {
                hosts.push(*host);
            }
        }
        Some(hosts)
    }

    /// Whether there is anything to do over QUIC.
    pub(crate) fn speaks_quic(&self) -> bool {
        self.scion.is_some() || self.goes_over_udp()
    }

    /// Whether routes go over UDP without SCION.
    pub(crate) fn goes_over_udp(&self) -> bool {
        let used = |cluster: &ClusterOptions| self.multihome.is_some() || cluster.udp_addresses().next().is_some();
        self.cluster.as_ref().is_some_and(used)
    }
}

impl ClusterOptions {
    /// Where routes come in or lead to over UDP.
    pub(crate) fn udp_addresses(&self) -> impl Iterator<Item = &PlainAddr> + '_ {
        let dialled = self.routes.iter().flat_map(|remote| &remote.urls).filter_map(|url| match &url.address {
            PeerAddr::Udp(address) => Some(address),
            PeerAddr::Tcp { .. } | PeerAddr::Scion(_) => None,
        });
        udp_listeners(&self.listen).chain(dialled)
    }
}

/// Those of a list that are for UDP.
fn udp_listeners(listen: &[Listen]) -> impl Iterator<Item = &PlainAddr> + '_ {
    listen.iter().filter_map(|listen| match listen {
        Listen::Udp(address) => Some(address),
        Listen::Tcp { .. } | Listen::Scion(_) => None,
    })
}
