//! Other clusters cannot be taken.

use std::io;

use crate::tls::TlsError;

/// See the [module](self).
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen for gateways on {host}:{port}: {source}; choose another gateway.listen, or end what listens there"
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
    #[error("gateway.tls: {0}")]
    Tls(#[from] TlsError),
}
