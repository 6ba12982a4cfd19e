//! TLS: certificates and settings ([`load`]), handshakes ([`handshake`]), and the records of an open connection
//! ([`session`]), which whoever has something to send seals and writes himself. Over SCION QUIC does all that ([`quic`]).

mod certificate;
mod error;
mod handshake;
mod load;
#[cfg(feature = "scion")]
pub(crate) mod quic;
mod rate;
mod session;
mod verifier;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use rustls::{ClientConfig, ServerConfig};

use crate::config::options::{HandshakeFirst, TlsOptions};
pub(crate) use certificate::{certificate_names, file_ends, file_validity, public_key, subject_and_issuer};
pub use error::{HandshakeError, TlsError};
pub(crate) use handshake::Arrival;
pub use handshake::Facts;
pub(crate) use load::{is_cipher_suite, is_curve};
use rate::Rate;
pub(crate) use session::{TlsSink, TlsSource};

/// How a listener for clients speaks TLS.
pub(crate) struct ClientTls {
    pub(crate) acceptor: Acceptor,
    terms: ArcSwap<Terms>,
}

/// What clients have to do.
pub(crate) struct Terms {
    pub(crate) first: HandshakeFirst,
    /// `tls { verify }`.
    pub(crate) verify: bool,
    /// `tls { verify_and_map }`: the certificate says who the client is.
    pub(crate) maps: bool,
    pub(crate) allow_non_tls: bool,
    rate: Option<Rate>,
}

impl ClientTls {
    /// # Errors
    ///
    /// When a file is missing or not what it should be.
    pub(crate) fn new(options: &TlsOptions, allow_non_tls: bool) -> Result<Self, TlsError> {
        let terms = Terms {
            first: options.handshake_first,
            verify: options.verify,
            maps: options.verify_and_map,
            allow_non_tls,
            rate: options.connection_rate_limit.map(Rate::new),
        };
        let acceptor = Acceptor::new(load::server(options, options.verify)?, options);
        Ok(Self { acceptor, terms: ArcSwap::from_pointee(terms) })
    }

    /// What holds now.
    pub(crate) fn terms(&self) -> Guard<Arc<Terms>> {
        self.terms.load()
    }

    /// Is as `other` from the next handshake on.
    pub(crate) fn become_like(&self, other: &Self) {
        self.acceptor.become_like(&other.acceptor);
        self.terms.store(other.terms.load_full());
    }
}

impl Terms {
    /// Whether one more handshake may begin now.
    pub(crate) fn admits(&self) -> bool {
        self.rate.as_ref().is_none_or(Rate::admits)
    }
}

/// Takes handshakes. Clones are one and the same.
#[derive(Clone)]
pub struct Acceptor(Arc<ArcSwap<Settings>>);

struct Settings {
    config: Arc<ServerConfig>,
    timeout: Duration,
    pinned: Arc<[[u8; 32]]>,
    /// Whether the names in certificates are of interest.
    maps: bool,
}

impl Acceptor {
    fn new(config: Arc<ServerConfig>, options: &TlsOptions) -> Self {
        let pinned = options.pinned_certs.as_slice().into();
        Self::with(Settings { config, timeout: options.timeout, pinned, maps: options.maps() })
    }

    fn with(settings: Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    fn settings(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    /// How long a handshake may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.0.load().timeout
    }

    /// Is as `other` from the next handshake on.
    pub(crate) fn become_like(&self, other: &Self) {
        self.0.store(other.settings());
    }
}

/// Both ends of routes.
pub(crate) struct RouteTls {
    pub(crate) acceptor: Acceptor,
    connector: ArcSwap<ClientConfig>,
}

impl RouteTls {
    /// # Errors
    ///
    /// When a file is missing or not what it should be.
    pub(crate) fn new(options: &TlsOptions) -> Result<Self, TlsError> {
        let acceptor = Acceptor::new(load::server(options, true)?, options);
        Ok(Self { acceptor, connector: ArcSwap::from(load::client(options)?) })
    }

    /// Is as `other` from the next handshake on.
    pub(crate) fn become_like(&self, other: &Self) {
        self.acceptor.become_like(&other.acceptor);
        self.connector.store(other.connector.load_full());
    }
}

/// How this server speaks TLS where it dials as a leaf node.
#[derive(Clone)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    timeout: Duration,
    pinned: Arc<[[u8; 32]]>,
}

impl Connector {
    /// Without options, this server shows no certificate and believes those that this machine believes.
    ///
    /// # Errors
    ///
    /// When a file is missing or not what it should be.
    pub(crate) fn new(options: Option<&TlsOptions>) -> Result<Self, TlsError> {
        let default = TlsOptions::default();
        let given = options.unwrap_or(&default);
        let pinned = given.pinned_certs.as_slice().into();
        Ok(Self { config: load::web_client(options)?, timeout: given.timeout, pinned })
    }
}

/// The certificate of `tls {}` for monitoring, which asks for none.
///
/// # Errors
///
/// As [`ClientTls::new`].
pub(crate) fn monitoring(options: &TlsOptions) -> Result<Acceptor, TlsError> {
    let config = load::server(options, false)?;
    Ok(Acceptor::with(Settings { config, timeout: options.timeout, pinned: Arc::new([]), maps: false }))
}

/// What a client of a web server needs: of `options` the roots and, if there is one, the certificate that it shows.
///
/// # Errors
///
/// When a file is missing or not what it should be.
pub(crate) fn web_client(options: Option<&TlsOptions>) -> Result<Arc<ClientConfig>, TlsError> {
    load::web_client(options)
}

/// Whether a web server can be asked with these options.
///
/// # Errors
///
/// As [`web_client`].
pub(crate) fn check_web(options: &TlsOptions) -> Result<(), TlsError> {
    web_client(Some(options)).map(|_| ())
}

/// Whether clients can be served with these options.
///
/// # Errors
///
/// As [`ClientTls::new`].
pub(crate) fn check_server(options: &TlsOptions) -> Result<(), TlsError> {
    if options.check_known_urls {
        return Err(TlsError::OnlyRoutes);
    }
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
