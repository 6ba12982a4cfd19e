//! Certificates made for one test, and clients that show and check them.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};

/// An authority, with its certificates in a directory of its own: `ca.pem`, `server.pem`, `client.pem` and their keys.
pub struct Authority {
    dir: tempfile::TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let authority = Self { dir: tempfile::tempdir().expect("a directory"), issuer };
        std::fs::write(authority.file("ca.pem"), authority.issuer.pem()).expect("ca.pem");
        authority.issue("server");
        authority.issue("client");
        authority
    }

    /// Makes a certificate for this machine, in place of any that was called so.
    pub fn issue(&self, name: &str) {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        self.sign(name, CertificateParams::new(names).expect("names"));
    }

    /// Makes a certificate with these names.
    pub fn sign(&self, name: &str, mut params: CertificateParams) {
        let key = KeyPair::generate().expect("a key");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).expect("signed");
        std::fs::write(self.file(&format!("{name}.pem")), certificate.pem()).expect("a certificate");
        std::fs::write(self.file(&format!("{name}.key")), key.serialize_pem()).expect("a key");
    }

    /// Makes a certificate that nobody vouches for.
    #[cfg(feature = "lab")]
    pub fn self_sign(&self, name: &str) {
        let made = rcgen::generate_simple_self_signed(vec!["natsd".to_owned()]).expect("a certificate");
        std::fs::write(self.file(&format!("{name}.pem")), made.cert.pem()).expect("a certificate");
        std::fs::write(self.file(&format!("{name}.key")), made.signing_key.serialize_pem()).expect("a key");
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `tls {}` with the server's certificate and `more`.
    pub fn block(&self, more: &str) -> String {
        let file = |name| self.file(name).display().to_string();
        let (cert, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        format!("tls {{ cert_file: \"{cert}\", key_file: \"{key}\", ca_file: \"{ca}\"\n{more} }}")
    }

    /// As [`block`](Self::block), without saying whose certificates are believed.
    pub fn block_without_ca(&self, more: &str) -> String {
        let ca = format!(", ca_file: \"{}\"", self.file("ca.pem").display());
        self.block(more).replace(&ca, "")
    }

    /// A key that a certificate may have, as `pinned_certs` takes it.
    pub fn pin(&self, name: &str) -> String {
        use sha2::{Digest, Sha256};
        let certificate = CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).expect("a certificate");
        let parsed = rustls::server::ParsedCertificate::try_from(&certificate).expect("a certificate");
        let digest = Sha256::digest(&*parsed.subject_public_key_info());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A client that believes this authority and shows no certificate.
    pub fn stranger(&self) -> Arc<ClientConfig> {
        self.config(None, &[&version::TLS13, &version::TLS12])
    }

    /// A client that also shows the certificate `name`.
    pub fn member(&self, name: &str) -> Arc<ClientConfig> {
        self.config(Some(name), &[&version::TLS13, &version::TLS12])
    }

    /// A client that speaks this version only.
    pub fn only(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        self.config(None, &[version])
    }

    fn config(&self, name: Option<&str>, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).expect("an authority");
        let builder = ClientConfig::builder_with_provider(ring::default_provider().into())
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        Arc::new(match name {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = CertificateDer::from_pem_file(self.file(&format!("{name}.pem"))).expect("a certificate");
                let key = PrivateKeyDer::from_pem_file(self.file(&format!("{name}.key"))).expect("a key");
                builder.with_client_auth_cert(vec![chain], key).expect("they go together")
            }
        })
    }
}
