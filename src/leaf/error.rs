//! Leaf nodes cannot be taken, or hubs not be dialled.

use std::io;

use crate::tls::TlsError;

/// See the [module](self).
#[derive(Debug, thiserror::Error)]
pub enum LeafError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen for leafnodes on {host}:{port}: {source}; choose another leafnodes.listen, or end what listens there"
    )]
    Listen {
        /// The address.
        host: String,
        /// The port.
        port: u16,
        /// What the system says.
        source: io::Error,
    },
    /// TLS cannot be spoken as configured.
    #[error("leafnodes tls: {0}")]
    Tls(#[from] TlsError),
}
