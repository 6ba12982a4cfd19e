use std::io;
use std::path::PathBuf;

use natsd_path::{PlainAddr, ScionAddr};
use thiserror::Error;

use super::scion::IdentityError;
use crate::gateway::GatewayError;
use crate::leaf::LeafError;
use crate::monitor::MonitorError;
use crate::operators::OperatorStartError;
use crate::route::RoutesError;
use crate::tls::TlsError;

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen for clients on {address}: {source}; choose another address with listen, or -a and -p")]
    Listen {
        /// `host:port` as configured.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// The address for WebSocket cannot be listened on.
    #[error("cannot listen for websocket clients on {address}: {source}; choose another address in websocket {{}}")]
    ListenWebsocket {
        /// `host:port` as configured.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// A SCION address is to be listened on, and SCION is off.
    #[error("cannot listen on {0}: SCION is off; add scion {{}} to the configuration, or --scion")]
    NoScion(ScionAddr),
    /// Clients do not come over UDP.
    #[error("cannot listen for clients on udp://{0}: that is for routes; choose another address with listen")]
    UdpClients(PlainAddr),
    /// SCION is to be used by a server that was built without it.
    #[cfg(not(feature = "scion"))]
    #[error(
        "this natsd was built without SCION; remove scion {{}}, multihome {{}} and udp:// from the configuration, or use one that has it"
    )]
    WithoutScion,
    /// The SCION host does not start.
    #[cfg(feature = "scion")]
    #[error("{option}: {0}", option = .0.option())]
    Scion(#[source] natsd_scion::DaemonError),
    /// A SCION address cannot be listened on.
    #[cfg(feature = "scion")]
    #[error("{option}: {source}")]
    ScionListen {
        /// The option that names the address.
        option: &'static str,
        /// What the SCION host says.
        source: natsd_scion::ListenError,
    },
    /// There is no certificate to show over SCION.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS cannot be spoken as configured.
    #[error("tls: {0}")]
    Tls(#[from] TlsError),
    /// Operator mode cannot begin.
    #[error(transparent)]
    Operators(#[from] OperatorStartError),
    /// Routes cannot be taken.
    #[error(transparent)]
    Routes(#[from] RoutesError),
    /// Other clusters cannot be taken.
    #[error(transparent)]
    Gateways(#[from] GatewayError),
    /// Leaf nodes cannot be taken, or hubs not be dialled.
    #[error(transparent)]
    Leafs(#[from] LeafError),
    /// Monitoring cannot be listened on.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The process id cannot be written.
    #[error("cannot write the pid file {path}: {source}; choose another with pid_file or -P")]
    PidFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Where the server listens cannot be written.
    #[error("cannot write the ports file {path}: {source}; choose another directory with ports_file_dir")]
    PortsFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
