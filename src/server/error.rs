use std::io;
use std::path::PathBuf;

use natsd_path::ScionAddr;
use thiserror::Error;

use crate::monitor::MonitorError;

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
    /// A SCION address is to be listened on by a natsd that has no SCION in it.
    #[error("cannot listen for clients on {0}: this natsd was built without SCION; remove the address from listen")]
    NoScion(ScionAddr),
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
}
