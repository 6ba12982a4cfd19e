//! Where commands that speak SCION look for their AS and its paths.

use std::net::IpAddr;
use std::path::PathBuf;

use natsd_path::Wishes;
use natsd_scion::{DaemonError, Host, HostConfig};
use thiserror::Error;

use crate::config::options::Options;
use crate::config::{self, ConfigErrors};

/// The flags for that. What is not said is taken from the configuration file, if one is named.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SourceFlags {
    /// SCION daemon, host:port [default: $SCION_DAEMON, $SCION_DAEMON_ADDRESS, then 127.0.0.1:30255]
    #[arg(long, visible_alias = "sciond", value_name = "ADDR", conflicts_with = "topology")]
    pub daemon: Option<String>,
    /// The topology.json of the AS, to do without a daemon [default: /etc/scion/topology.json if no daemon answers]
    #[arg(long, value_name = "FILE")]
    pub topology: Option<PathBuf>,
    /// Address of this host inside its AS [default: $SCION_LOCAL_ADDR, then the system's choice]
    #[arg(short = 'l', long, value_name = "IP")]
    pub local: Option<IpAddr>,
    /// A configuration file of natsd, whose scion {} says the same; paths are listed by its preference and rules
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Why SCION cannot be spoken.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The configuration file is not valid.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// It does not say anything of SCION.
    #[error("{}: there is no scion {{}}; add it, or name the daemon with --daemon or the topology with --topology", .0.display())]
    NoScion(PathBuf),
    /// The daemon, or what there is in its place.
    #[error("{error}{}", advice(error))]
    Daemon {
        /// What is wrong with it.
        #[from]
        error: DaemonError,
    },
}

/// What can be done where the error does not say so itself.
fn advice(error: &DaemonError) -> &'static str {
    match error {
        DaemonError::Topology(_) | DaemonError::EndhostApi { .. } => "",
        DaemonError::Address { .. } => "; correct it",
        DaemonError::Control { .. } | DaemonError::Segments { .. } => {
            "; is the topology file that of this AS, and up to date?"
        }
        DaemonError::Call { .. } => {
            "; start the daemon, or say where it is with --daemon or $SCION_DAEMON, or name the AS's topology.json with --topology"
        }
    }
}

impl SourceFlags {
    /// A host for these flags. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When a file cannot be used, or an address cannot be one.
    pub fn host(&self, wishes: Wishes) -> Result<Host, SourceError> {
        let Self { mut daemon, mut topology, mut local, config } = self.clone();
        let mut endhost_api = None;
        if let Some(file) = config {
            let (options, _) = config::load(&file, Options::default())?;
            let scion = options.scion.ok_or(SourceError::NoScion(file))?;
            if daemon.is_none() && topology.is_none() {
                (daemon, topology, endhost_api) = (scion.daemon, scion.topology, scion.endhost_api);
            }
            local = local.or(scion.local);
        }
        let config = HostConfig { daemon, topology, endhost_api, local, wishes, ..HostConfig::default() };
        Ok(Host::start(config.or_env())?)
    }
}
