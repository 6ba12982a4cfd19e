//! From files and names to what a handshake needs.

use std::path::Path;
use std::sync::Arc;

use rustls::client::{WantsClientCert, verify_server_name};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite};
use rustls::{SupportedProtocolVersion, version};

use super::error::TlsError;
use super::verifier::Nameless;
use crate::config::options::TlsOptions;

/// What those who accept show; with `verify`, they ask for a certificate as well.
pub(super) fn server(options: &TlsOptions, verify: bool) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(provider(options));
    let of_keys = provider.clone();
    let identities = identities(options)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(options))
        .map_err(|error| TlsError::Settings(error.to_string()))?;
    let builder = if verify {
        let roots = Arc::new(roots(options, "verify")?);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
        // All authorities of the system would be a long list, and no help to who chooses a certificate.
        let verifier = if options.ca_file.is_none() { verifier.clear_root_hint_subjects() } else { verifier };
        let verifier = verifier.build();
        builder.with_client_cert_verifier(verifier.map_err(|error| TlsError::Settings(error.to_string()))?)
    } else {
        builder.with_no_client_auth()
    };
    let certified = identities.into_iter().map(|identity| certified(identity, &of_keys)).collect::<Result<_, _>>()?;
    Ok(Arc::new(builder.with_cert_resolver(Arc::new(ByName(certified)))))
}

/// What those who dial show and ask for.
pub(super) fn client(options: &TlsOptions) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(provider(options));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(options))
        .map_err(|error| TlsError::Settings(error.to_string()))?;
    let builder = if options.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Nameless::anybody(provider)))
    } else {
        builder.with_root_certificates(roots(options, "dialling a route")?)
    };
    own(builder, options).map(Arc::new)
}

/// What those who dial over SCION show, if anything, and ask for: a certificate that `ca_file` vouches for, whatever the names in it, as a
/// SCION address is none.
#[cfg(feature = "scion")]
pub(super) fn scion_client(options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(provider(options));
    let verifier = Nameless::vouched_for(provider.clone(), roots(options, "dialling a route")?);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| TlsError::Settings(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    own_if_any(builder, options)
}

/// What those who ask a web server show, if anything, and ask for: without `ca_file`, what this machine trusts.
pub(super) fn web_client(options: Option<&TlsOptions>) -> Result<Arc<ClientConfig>, TlsError> {
    let default = TlsOptions::default();
    let options = options.unwrap_or(&default);
    let provider = Arc::new(provider(options));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions(options))
        .map_err(|error| TlsError::Settings(error.to_string()))?;
    let builder = if options.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Nameless::anybody(provider)))
    } else {
        builder.with_root_certificates(roots(options, "a web server")?)
    };
    own_if_any(builder, options).map(Arc::new)
}

type Dialler = rustls::ConfigBuilder<ClientConfig, WantsClientCert>;

/// Shows the certificate that is configured, if one is.
fn own_if_any(builder: Dialler, options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    if options.certs.is_empty() && options.cert_file.is_none() {
        return Ok(builder.with_no_client_auth());
    }
    own(builder, options)
}

/// Shows the first certificate that is configured.
fn own(builder: Dialler, options: &TlsOptions) -> Result<ClientConfig, TlsError> {
    let (chain, key) = identities(options)?.swap_remove(0);
    builder.with_client_auth_cert(chain, key).map_err(|error| TlsError::Pair(error.to_string()))
}

type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// That of the first certificate.
#[cfg(feature = "scion")]
pub(super) fn private_key(options: &TlsOptions) -> Result<PrivateKeyDer<'static>, TlsError> {
    identities(options)?.into_iter().next().map(|(_, key)| key).ok_or(TlsError::NoCertificate)
}

/// At least one.
fn identities(options: &TlsOptions) -> Result<Vec<Identity>, TlsError> {
    if options.certs.is_empty() {
        let cert_file = options.cert_file.as_deref().ok_or(TlsError::NoCertificate)?;
        return Ok(vec![identity(cert_file, options.key_file.as_deref().ok_or(TlsError::NoKey)?)?]);
    }
    if options.cert_file.is_some() || options.key_file.is_some() {
        return Err(TlsError::CertsAndFile);
    }
    options.certs.iter().map(|files| identity(&files.cert_file, &files.key_file)).collect()
}

fn identity(cert_file: &Path, key_file: &Path) -> Result<Identity, TlsError> {
    let chain = certificates("cert_file", cert_file)?;
    let key = PrivateKeyDer::from_pem_file(key_file)
        .map_err(|error| wrong_file("key_file", key_file, "a private key", &error))?;
    Ok((chain, key))
}

/// What is shown to a client, by the name that it asks for.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let is_for = |certified: &&Arc<CertifiedKey>| {
            let parsed = certified.end_entity_cert().ok().and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
            parsed.zip(name.as_ref()).is_some_and(|(parsed, name)| verify_server_name(&parsed, name).is_ok())
        };
        let usable = |certified: &&Arc<CertifiedKey>| certified.key.choose_scheme(hello.signature_schemes()).is_some();
        let mut usable = self.0.iter().filter(usable);
        let first = usable.clone().next();
        usable.find(is_for).or(first).cloned()
    }
}

fn certified(identity: Identity, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    let (chain, key) = identity;
    let certified = CertifiedKey::from_der(chain, key, provider);
    certified.map(Arc::new).map_err(|error| TlsError::Pair(error.to_string()))
}

/// At least one.
pub(super) fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const EXPECTED: &str = "a certificate";
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|error| wrong_file(key, path, EXPECTED, &error))?;
    if chain.is_empty() { Err(wrong_file(key, path, EXPECTED, &"there is none in it")) } else { Ok(chain) }
}

/// Those of `ca_file`; without one, those of the system.
fn roots(options: &TlsOptions, what: &'static str) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = options.ca_file.as_deref() else {
        let system = rustls_native_certs::load_native_certs();
        // A system may have certificates that are too old or odd to be read; the others count.
        roots.add_parsable_certificates(system.certs);
        return if roots.is_empty() { Err(TlsError::NoRoots(what)) } else { Ok(roots) };
    };
    for certificate in certificates("ca_file", path)? {
        roots.add(certificate).map_err(|error| wrong_file("ca_file", path, "certificates", &error))?;
    }
    Ok(roots)
}

fn wrong_file(key: &'static str, path: &Path, expected: &'static str, problem: &impl ToString) -> TlsError {
    TlsError::File { key, path: path.into(), problem: problem.to_string(), expected }
}

fn versions(options: &TlsOptions) -> &'static [&'static SupportedProtocolVersion] {
    static BOTH: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
    if options.only_tls13 { &BOTH[..1] } else { BOTH }
}

fn provider(options: &TlsOptions) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !options.cipher_suites.is_empty() {
        let is_wanted = |suite: &SupportedCipherSuite| options.cipher_suites.contains(&suite_name(suite.suite()));
        provider.cipher_suites.retain(|suite| suite.tls13().is_some() || is_wanted(suite));
    }
    if !options.curve_preferences.is_empty() {
        provider.kx_groups = options.curve_preferences.iter().filter_map(|name| curve(name)).collect();
    }
    provider
}

/// As nats-server and the registry of IANA call it.
pub(super) fn suite_name(suite: rustls::CipherSuite) -> String {
    suite.as_str().map_or_else(|| format!("{suite:?}"), |name| name.replacen("TLS13_", "TLS_", 1))
}

/// Whether there is a cipher suite of this name.
pub(crate) fn is_cipher_suite(name: &str) -> bool {
    ring::ALL_CIPHER_SUITES.iter().any(|suite| suite_name(suite.suite()) == name)
}

/// Whether there is a curve of this name.
pub(crate) fn is_curve(name: &str) -> bool {
    curve(name).is_some()
}

fn curve(name: &str) -> Option<&'static dyn SupportedKxGroup> {
    match name {
        "X25519" => Some(ring::kx_group::X25519),
        "CurveP256" => Some(ring::kx_group::SECP256R1),
        "CurveP384" => Some(ring::kx_group::SECP384R1),
        _ => None,
    }
}
