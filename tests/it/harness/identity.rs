//! Who somebody is over SCION that is no server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use natsd_scion::Identity;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, version::TLS13};

/// A dialer that believes the authority in this directory and shows nothing.
pub fn visitor(authority: &Path) -> Identity {
    dialer(&authority.join("ca.pem"), None)
}

/// A dialer that believes the certificates in one file and shows the one in another, with its key.
pub fn dialer(ca: &Path, own: Option<(PathBuf, PathBuf)>) -> Identity {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("an authority");
    let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
        .with_protocol_versions(&[&TLS13])
        .expect("a version")
        .with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_file(key).expect("a key");
            builder.with_client_auth_cert(chain, key).expect("they go together")
        }
    };
    Identity::new(None, Some(config), Arc::new(|_: &[_]| Ok(()))).expect("QUIC can be spoken")
}
