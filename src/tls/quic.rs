//! What QUIC shows and believes over SCION.

use std::sync::Arc;

use natsd_scion::{Admits, Identity, IdentityError};
use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;

use super::certificate::key_digest;
use super::{HandshakeError, TlsError, load};
use crate::config::options::TlsOptions;

/// For both ends of routes. Peers have to show a certificate that `ca_file` vouches for.
///
/// # Errors
///
/// When a file is missing or not what it should be.
pub(crate) fn routes(options: &TlsOptions) -> Result<Identity, TlsError> {
    let client = load::scion_client(options)?;
    let identity = Identity::new(Some(server(options, true)?), Some(client), pinned(options));
    listener(identity, options).map(Identity::between_servers)
}

/// For those who take clients, of whom certificates are wanted with `verify` alone.
///
/// # Errors
///
/// As [`routes`].
pub(crate) fn clients(options: &TlsOptions) -> Result<Identity, TlsError> {
    let identity = Identity::new(Some(server(options, options.verify)?), None, pinned(options));
    listener(identity, options)
}

/// For those who dial a server as clients, with a certificate only if there is one.
///
/// # Errors
///
/// As [`routes`].
pub(crate) fn dialer(options: &TlsOptions) -> Result<Identity, TlsError> {
    let identity = Identity::new(None, Some(load::scion_client(options)?), pinned(options));
    identity.map_err(|error| TlsError::Settings(error.to_string()))
}

fn listener(identity: Result<Identity, IdentityError>, options: &TlsOptions) -> Result<Identity, TlsError> {
    let identity = identity.map_err(|error| TlsError::Settings(error.to_string()))?;
    Ok(identity.with_private_key(load::private_key(options)?.secret_der()))
}

fn server(options: &TlsOptions, verify: bool) -> Result<ServerConfig, TlsError> {
    let options = TlsOptions { only_tls13: true, ..options.clone() };
    load::server(&options, verify).map(Arc::unwrap_or_clone)
}

fn pinned(options: &TlsOptions) -> Admits {
    let pinned = options.pinned_certs.clone();
    Arc::new(move |shown: &[CertificateDer<'static>]| {
        let key = shown.first().and_then(key_digest);
        if pinned.is_empty() || key.is_some_and(|key| pinned.contains(&key)) {
            Ok(())
        } else {
            Err(HandshakeError::NotPinned.to_string())
        }
    })
}
