//! Where packets of QUIC go: over SCION, or over plain IP.

use std::io;
use std::sync::Arc;

use natsd_path::{ScionAddr, Wishes};
use natsd_scion::{Endpoint, Host, HostConfig, Identity, ListenError};

use super::super::StartError;
use super::lanes::Dialers;
use crate::config::options::{Listen, Options, QuicAddr, ScionOptions};

/// Those that there are. Clones are the same.
#[derive(Clone)]
pub(super) struct Hosts {
    pub(super) scion: Option<Host>,
    /// Without SCION.
    pub(super) plain: Option<Host>,
}

impl Hosts {
    /// Starts those that the options want.
    pub(super) fn start(options: &Options) -> Result<Self, StartError> {
        let scion = |scion: &ScionOptions| {
            let ScionOptions { daemon, topology, endhost_api, local, wishes, probe_budget, .. } = scion.clone();
            Host::start(HostConfig { daemon, topology, endhost_api, local, wishes, probe_budget }.or_env())
                .map_err(StartError::Scion)
        };
        let plain = options.multihomed().map(|addresses| Host::plain(&addresses, wishes(options)));
        Ok(Self { scion: options.scion_with_rules().as_ref().map(scion).transpose()?, plain })
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Host> {
        self.scion.iter().chain(&self.plain)
    }

    /// The one that listens there.
    pub(super) fn of(&self, address: &Listen) -> Option<&Host> {
        match address {
            Listen::Tcp { .. } => None,
            Listen::Scion(_) => self.scion.as_ref(),
            Listen::Udp(_) => self.plain.as_ref(),
        }
    }

    /// Listens at an address that is not one of TCP.
    pub(super) async fn listen(
        &self,
        address: &Listen,
        identity: Option<Arc<Identity>>,
    ) -> Result<Endpoint, ListenError> {
        let name = name(address);
        let (Some(host), Some(identity)) = (self.of(address), identity) else {
            return Err(ListenError::Identity(name));
        };
        match address {
            Listen::Udp(address) => host.listen_plain(address, &identity),
            Listen::Tcp { .. } | Listen::Scion(_) => host.listen(name, &identity).await,
        }
    }

    /// Who dials there, and from where: `dialers` are those for SCION and those for plain IP.
    pub(super) fn towards<'a>(
        &'a self,
        address: &QuicAddr,
        dialers: &'a [Dialers; 2],
    ) -> io::Result<(&'a Host, &'a Dialers)> {
        let [scion, plain] = dialers;
        let (host, dialers, off) = match address {
            QuicAddr::Scion(_) => (&self.scion, scion, "SCION is not switched on; add scion {} to the configuration"),
            QuicAddr::Udp(_) => {
                (&self.plain, plain, "nothing went over UDP when this server started; restart it to begin with that")
            }
        };
        let host = host.as_ref().ok_or_else(|| io::Error::other(format!("{address}: {off}")))?;
        Ok((host, dialers))
    }
}

/// What is wanted of paths over plain IP.
pub(super) fn wishes(options: &Options) -> Wishes {
    let policy = options.multihome.as_ref().map(|multihome| multihome.policy.clone()).unwrap_or_default();
    Wishes { policy, ..Wishes::default() }
}

fn name(address: &Listen) -> ScionAddr {
    match address {
        Listen::Scion(address) => *address,
        Listen::Udp(address) => {
            ScionAddr { isd_as: natsd_path::IsdAs(0), host: address.first().ip(), port: address.port() }
        }
        Listen::Tcp { port, .. } => {
            ScionAddr { isd_as: natsd_path::IsdAs(0), host: std::net::Ipv4Addr::UNSPECIFIED.into(), port: *port }
        }
    }
}
