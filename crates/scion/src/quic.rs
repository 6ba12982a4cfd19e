//! QUIC's settings: one connection with one bidirectional stream for each NATS connection.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{AckFrequencyConfig, ClientConfig, ServerConfig, TransportConfig, VarInt};
use rustls::DigitallySignedStruct;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};

/// Own protocol first; `qs` is that of Go's quicutil with its single stream.
const ALPN: [&[u8]; 2] = [b"natsd", b"qs"];

/// The name in certificates; peers are known by their SCION addresses.
pub(crate) const SERVER_NAME: &str = "natsd";

/// What QUIC demands of every path.
pub(crate) const MIN_MTU: u16 = 1200;

/// quinn's receive buffers hold datagrams up to this.
const MAX_MTU: u16 = 1472;

/// A link without any path survives this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long the peer shall hold back an acknowledgement at most: the silence of a path is told apart from a slow
/// answer that much sooner.
const ACK_DELAY: Duration = Duration::from_millis(5);

/// In probe timeouts. What an outage of one path took is no congestion of the next, which then would have to begin with
/// two packets a round trip.
const PERSISTENT_CONGESTION: u32 = 30;

/// Bounds the burst after a switch, and stays below what quinn's reassembly tolerates in gaps.
const STREAM_WINDOW: u32 = 2 << 20;

/// Handshakes that have begun and that nobody has accepted yet.
const MAX_INCOMING: usize = 256;

/// A certificate made at start. Nobody verifies it yet.
#[derive(Clone)]
pub(crate) struct Identity {
    server: Arc<QuicServerConfig>,
    client: Arc<QuicClientConfig>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// Makes a key and signs it with itself.
    pub(crate) fn new() -> Result<Self, String> {
        let text = |e: &dyn std::fmt::Display| e.to_string();
        let made = rcgen::generate_simple_self_signed(vec![SERVER_NAME.to_owned()]).map_err(|e| text(&e))?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = [&rustls::version::TLS13];
        let mut server = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|e| text(&e))?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .map_err(|e| text(&e))?;
        server.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        let mut client = rustls::ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&versions)
            .map_err(|e| text(&e))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
            .with_no_client_auth();
        client.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
        Ok(Self {
            server: Arc::new(QuicServerConfig::try_from(server).map_err(|e| text(&e))?),
            client: Arc::new(QuicClientConfig::try_from(client).map_err(|e| text(&e))?),
        })
    }

    /// For connections whose paths carry datagrams of `mtu` bytes.
    pub(crate) fn server_config(&self, mtu: Option<u16>) -> ServerConfig {
        let mut config = ServerConfig::with_crypto(Arc::clone(&self.server) as _);
        config.transport_config(transport(mtu)).max_incoming(MAX_INCOMING);
        config
    }

    /// For connections whose paths carry datagrams of `mtu` bytes.
    pub(crate) fn client_config(&self, mtu: Option<u16>) -> ClientConfig {
        let mut config = ClientConfig::new(Arc::clone(&self.client) as _);
        config.transport_config(transport(mtu));
        config
    }
}

fn transport(mtu: Option<u16>) -> Arc<TransportConfig> {
    let mut acknowledgements = AckFrequencyConfig::default();
    // An acknowledgement at the first gap: after a switch it tells what was lost.
    acknowledgements.max_ack_delay(Some(ACK_DELAY)).reordering_threshold(VarInt::from_u32(1));
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(STREAM_WINDOW))
        .send_window(u64::from(STREAM_WINDOW) * 2)
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("a minute is a valid idle timeout")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .ack_frequency_config(Some(acknowledgements))
        .persistent_congestion_threshold(PERSISTENT_CONGESTION)
        .initial_mtu(mtu.unwrap_or(MIN_MTU).clamp(MIN_MTU, MAX_MTU))
        .mtu_discovery_config(None);
    Arc::new(config)
}

/// Takes every certificate, but still checks that the peer holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
