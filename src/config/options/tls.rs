//! `tls {}`.

use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a handshake may take unless told otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// `handshake_first`: who speaks first on a connection of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakeFirst {
    /// The server, with a plain `INFO`.
    #[default]
    Never,
    /// The client, with the handshake.
    Always,
    /// The client, and the server if the client says nothing for so long.
    Within(Duration),
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertFiles {
    /// `cert_file`: the server's certificate first.
    pub cert_file: PathBuf,
    /// `key_file`: the key of that certificate.
    pub key_file: PathBuf,
}

/// `tls {}`: what a listener or a dialer shows of itself, and asks of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// `cert_file`: PEM, the server's certificate first; required without `certs`.
    pub cert_file: Option<PathBuf>,
    /// `key_file`: PEM, the key of that certificate.
    pub key_file: Option<PathBuf>,
    /// `certs`: several of these, of which the first is shown that is for the name that a client asks for; if none is, the
    /// first.
    pub certs: Vec<CertFiles>,
    /// `ca_file`: PEM, whose certificates are believed; those of the system when unset.
    pub ca_file: Option<PathBuf>,
    /// `verify`: only takes those who show a certificate that `ca_file` vouches for. Routes always do.
    pub verify: bool,
    /// `verify_and_map`: that, and the certificate says who a client is.
    pub verify_and_map: bool,
    /// `verify_cert_and_check_known_urls`: the certificate of a peer is for the host of one of the `routes`. Routes alone.
    pub check_known_urls: bool,
    /// `insecure`: believes whomever a route leads to. Routes alone.
    pub insecure: bool,
    /// `timeout` of a handshake.
    pub timeout: Duration,
    /// `min_version` is 1.3, not 1.2.
    pub only_tls13: bool,
    /// `cipher_suites` of TLS 1.2 by their names; all when empty. Those of TLS 1.3 are always on.
    pub cipher_suites: Vec<String>,
    /// `curve_preferences` by their names, most wanted first; all when empty.
    pub curve_preferences: Vec<String>,
    /// `handshake_first`.
    pub handshake_first: HandshakeFirst,
    /// `connection_rate_limit`: handshakes a second.
    pub connection_rate_limit: Option<u32>,
    /// `pinned_certs`: SHA-256 of the public keys that peers may have; any when empty.
    pub pinned_certs: Vec<[u8; 32]>,
}

impl TlsOptions {
    /// Whether the names in certificates decide.
    pub(crate) fn maps(&self) -> bool {
        self.verify_and_map || self.check_known_urls
    }

    /// The file of the certificate, or of the first of several.
    pub fn first_certificate(&self) -> Option<&Path> {
        self.cert_file.as_deref().or_else(|| self.certs.first().map(|files| files.cert_file.as_path()))
    }
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            cert_file: None,
            key_file: None,
            certs: Vec::new(),
            ca_file: None,
            verify: false,
            verify_and_map: false,
            check_known_urls: false,
            insecure: false,
            timeout: DEFAULT_TIMEOUT,
            only_tls13: false,
            cipher_suites: Vec::new(),
            curve_preferences: Vec::new(),
            handshake_first: HandshakeFirst::Never,
            connection_rate_limit: None,
            pinned_certs: Vec::new(),
        }
    }
}
