use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why `tls {}` cannot be obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TlsError {
    /// No certificate.
    #[error("missing 'cert_file' in TLS configuration; add it (for clients, --tlscert does as well)")]
    NoCertificate,
    /// Two ways to name certificates.
    #[error("certs cannot stand beside cert_file and key_file; move these into the list")]
    CertsAndFile,
    /// What only routes can be asked for.
    #[error("verify_cert_and_check_known_urls is for tls of a cluster alone; remove it")]
    OnlyRoutes,
    /// No key.
    #[error("missing 'key_file' in TLS configuration; add it (for clients, --tlskey does as well)")]
    NoKey,
    /// Nobody to vouch for others.
    #[error("{0} needs somebody to believe, and the system has no certificates of authorities; add ca_file")]
    NoRoots(&'static str),
    /// A file that cannot be read or holds something else.
    #[error("{key} {path}: {problem}; name a file in PEM that holds {expected}", path = path.display())]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Files that do not go together.
    #[error("cert_file and key_file do not go together: {0}")]
    Pair(String),
    /// Cipher suites, curves and versions that do not go together.
    #[error("{0}; change cipher_suites, curve_preferences or min_version")]
    Settings(String),
}

/// Why a handshake came to nothing.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// Nothing came in time.
    #[error("no handshake within {0:?}")]
    TimedOut(Duration),
    /// What came is not TLS.
    #[error("first record does not look like a TLS handshake")]
    NotTls,
    /// The connection broke, or one side refused the other.
    #[error(transparent)]
    Failed(#[from] io::Error),
    /// Not one of `pinned_certs`.
    #[error("certificate not pinned")]
    NotPinned,
}

impl HandshakeError {
    /// Whether it says nothing of the certificates: those who speak something else and those who say nothing.
    pub(crate) fn is_noise(&self) -> bool {
        matches!(self, Self::TimedOut(_) | Self::NotTls)
    }
}
