//! TLS: certificates and settings ([`load`]), handshakes ([`handshake`]), and the records of an open connection
//! ([`session`]), which whoever has something to send seals and writes himself.

mod certificate;
mod error;
mod handshake;
mod load;
mod rate;
mod session;

use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig};

use crate::config::options::{HandshakeFirst, TlsOptions};
pub(crate) use certificate::file_ends;
pub use error::{HandshakeError, TlsError};
pub(crate) use handshake::Arrival;
pub use handshake::Facts;
pub(crate) use load::{is_cipher_suite, is_curve};
use rate::Rate;
pub(crate) use session::{TlsSink, TlsSource};

/// How a listener for clients speaks TLS.
pub(crate) struct ClientTls {
    pub(crate) acceptor: Acceptor,
    pub(crate) first: HandshakeFirst,
    /// `tls { verify }`.
    pub(crate) verify: bool,
    pub(crate) allow_non_tls: bool,
    rate: Option<Rate>,
}

impl ClientTls {
    /// # Errors
    ///
    /// When a file is missing or not what it should be.
    pub(crate) fn new(options: &TlsOptions, allow_non_tls: bool) -> Result<Self, TlsError> {
        Ok(Self {
            acceptor: Acceptor::new(load::server(options, options.verify)?, options),
            first: options.handshake_first,
            verify: options.verify,
            allow_non_tls,
            rate: options.connection_rate_limit.map(Rate::new),
        })
    }

    /// Whether one more handshake may begin now.
    pub(crate) fn admits(&self) -> bool {
        self.rate.as_ref().is_none_or(Rate::admits)
    }
}

/// Takes handshakes.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    pub(crate) timeout: Duration,
    pinned: Arc<[[u8; 32]]>,
}

impl Acceptor {
    fn new(config: Arc<ServerConfig>, options: &TlsOptions) -> Self {
        Self { config, timeout: options.timeout, pinned: options.pinned_certs.as_slice().into() }
    }
}

/// Both ends of routes.
pub(crate) struct RouteTls {
    pub(crate) acceptor: Acceptor,
    connector: Arc<ClientConfig>,
}

impl RouteTls {
    /// # Errors
    ///
    /// When a file is missing or not what it should be.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let acceptor = Acceptor::new(load::server(options, true)?, options);
        Ok(Self { acceptor, connector: load::client(options)? })
    }
}

/// The certificate of `tls {}` for monitoring, which asks for none.
///
/// # Errors
///
/// As [`ClientTls::new`].
pub(crate) fn monitoring(options: &TlsOptions) -> Result<Acceptor, TlsError> {
    Ok(Acceptor { pinned: Arc::new([]), ..Acceptor::new(load::server(options, false)?, options) })
}

/// Whether clients can be served with these options.
///
/// # Errors
///
/// As [`ClientTls::new`].
pub(crate) fn check_server(options: &TlsOptions) -> Result<(), TlsError> {
    load::server(options, options.verify).map(|_| ())
}

/// Whether routes can be made with these options.
///
/// # Errors
///
/// As [`RouteTls::new`].
pub(crate) fn check_routes(options: &TlsOptions) -> Result<(), TlsError> {
    RouteTls::new(options).map(|_| ())
}
