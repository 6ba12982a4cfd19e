//! QUIC's settings: one connection with one bidirectional stream for each NATS connection.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, Connection, ConnectionError, MtuDiscoveryConfig, ServerConfig, TransportConfig,
    VarInt,
};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;

use crate::error::IdentityError;
use crate::halves;
use crate::meter::Metering;
use crate::reset::Secret;

/// Own protocol first; `qs` is that of Go's quicutil with its single stream.
const ALPN: [&[u8]; 2] = [b"natsd", b"qs"];

/// The name that dialers ask for; peers are known by their SCION addresses.
pub(crate) const SERVER_NAME: &str = "natsd";

/// What QUIC demands of every path.
pub(crate) const MIN_MTU: u16 = 1200;

/// quinn's receive buffers hold datagrams up to this.
const MAX_MTU: u16 = 1472;

/// A connection goes down to 1200 bytes at once when four bursts of larger datagrams were lost and smaller ones passed. It asks for
/// more when so much time has passed since, and then from time to time; what is asked for is not missed when it is lost.
const LARGER_AFTER_HOLE: Duration = Duration::from_secs(60);
const LARGER_AGAIN: Duration = Duration::from_secs(300);

/// What a connection is closed with whose peer is not let in although its certificate is valid.
const NOT_ADMITTED: VarInt = VarInt::from_u32(1);

/// What a connection is closed with whose peer seems to be in another AS than it was.
const MOVED: VarInt = VarInt::from_u32(2);

/// A link without any path survives this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Between servers, which are few: one that died and came back resets what a packet comes for.
const KEEP_ALIVE_OF_SERVERS: Duration = Duration::from_secs(1);

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

/// Whether a peer with these verified certificates, its own first, is let in; if not, why.
pub type Admits = Arc<dyn Fn(&[CertificateDer<'static>]) -> Result<(), String> + Send + Sync>;

/// How large the datagrams of a connection may be, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Datagrams {
    /// Those that it begins with.
    pub(crate) first: u16,
    /// Those that it may come to, if they pass.
    pub(crate) most: u16,
}

impl Datagrams {
    /// All of this size.
    pub(crate) fn of(size: u16) -> Self {
        Self { first: size, most: size }
    }
}

/// What this end of connections shows of itself and whom it believes. Clones are one and the same.
#[derive(Clone)]
pub struct Identity(Arc<ArcSwap<Crypto>>);

#[derive(Clone)]
struct Crypto {
    server: Option<Arc<QuicServerConfig>>,
    client: Option<Arc<QuicClientConfig>>,
    admits: Admits,
    secret: Option<Arc<Secret>>,
    keep_alive: Duration,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

impl Identity {
    /// For those who listen, with `server`, and those who dial, with `client`: both must speak TLS 1.3 and know
    /// `TLS13_AES_128_GCM_SHA256`. The certificate of whom is dialled is verified for the name `natsd`: peers are known by
    /// SCION addresses, so that `client` needs a verifier that does not mind.
    ///
    /// # Errors
    ///
    /// When QUIC cannot be spoken with these settings.
    pub fn new(
        server: Option<rustls::ServerConfig>,
        client: Option<rustls::ClientConfig>,
        admits: Admits,
    ) -> Result<Self, IdentityError> {
        Self::speaking(&ALPN, server, client, admits)
    }

    /// As [`new`](Self::new), with these protocols, the best first.
    pub(crate) fn speaking(
        protocols: &[&[u8]],
        server: Option<rustls::ServerConfig>,
        client: Option<rustls::ClientConfig>,
        admits: Admits,
    ) -> Result<Self, IdentityError> {
        let protocols: Vec<_> = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let server = server.map(|mut server| {
            server.alpn_protocols.clone_from(&protocols);
            // Whoever comes again proves itself again.
            server.send_tls13_tickets = 0;
            QuicServerConfig::try_from(server).map(Arc::new)
        });
        let client = client.map(|mut client| {
            client.alpn_protocols = protocols;
            client.resumption = Resumption::disabled();
            QuicClientConfig::try_from(client).map(Arc::new)
        });
        let (server, client) = (server.transpose()?, client.transpose()?);
        Ok(Self(Arc::new(ArcSwap::from_pointee(Crypto {
            server,
            client,
            admits,
            secret: None,
            keep_alive: KEEP_ALIVE,
        }))))
    }

    /// Those who listen with it end what a process with the same private key left open at their address when it died.
    pub fn with_private_key(self, private_key: &[u8]) -> Self {
        let secret = Some(Arc::new(Secret::of(private_key)));
        Self(Arc::new(ArcSwap::from_pointee(Crypto { secret, ..self.0.load().as_ref().clone() })))
    }

    /// For connections between servers: each end lets the other hear of it once a second, otherwise every five seconds.
    pub fn between_servers(self) -> Self {
        let keep_alive = KEEP_ALIVE_OF_SERVERS;
        Self(Arc::new(ArcSwap::from_pointee(Crypto { keep_alive, ..self.0.load().as_ref().clone() })))
    }

    /// Is as `other` from the next handshake on.
    pub fn become_like(&self, other: &Self) {
        self.0.store(other.0.load_full());
    }

    /// For connections whose paths carry such `datagrams`; `None` if it cannot listen.
    pub(crate) fn server_config(&self, datagrams: Option<Datagrams>) -> Option<ServerConfig> {
        let crypto = self.0.load();
        let mut config = ServerConfig::with_crypto(crypto.server.clone()?);
        config.transport_config(transport(datagrams, crypto.keep_alive)).max_incoming(MAX_INCOMING);
        Some(config)
    }

    /// For connections whose paths carry such `datagrams`; `None` if it cannot dial.
    pub(crate) fn client_config(&self, datagrams: Option<Datagrams>) -> Option<ClientConfig> {
        let crypto = self.0.load();
        let mut config = ClientConfig::new(crypto.client.clone()?);
        config.transport_config(transport(datagrams, crypto.keep_alive));
        Some(config)
    }

    /// What those who listen with it know of connections of earlier processes.
    pub(crate) fn secret(&self) -> Option<Arc<Secret>> {
        self.0.load().secret.clone()
    }

    /// Closes a connection whose peer is not let in, and says why.
    pub(crate) fn judge(&self, connection: &Connection) -> Result<(), String> {
        let refused = (self.0.load().admits)(&certificates(connection));
        if let Err(reason) = &refused {
            connection.close(NOT_ADMITTED, reason.as_bytes());
        }
        refused
    }
}

/// What the peer of an open connection has shown, its own certificate first. Empty if it has none.
pub(crate) fn certificates(connection: &Connection) -> Vec<CertificateDer<'static>> {
    let shown = connection.peer_identity().and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    shown.map(|shown| *shown).unwrap_or_default()
}

/// Whether a connection came to nothing because one end did not believe the other.
pub(crate) fn is_disbelief(error: &ConnectionError) -> bool {
    const CRYPTO: std::ops::Range<u64> = 0x100..0x200;
    match error {
        ConnectionError::TransportError(error) => CRYPTO.contains(&error.code.into()),
        ConnectionError::ConnectionClosed(close) => CRYPTO.contains(&close.error_code.into()),
        ConnectionError::ApplicationClosed(close) => close.error_code == NOT_ADMITTED,
        _ => false,
    }
}

fn transport(datagrams: Option<Datagrams>, keep_alive: Duration) -> Arc<TransportConfig> {
    let mut acknowledgements = AckFrequencyConfig::default();
    // An acknowledgement at the first gap: after a switch it tells what was lost.
    acknowledgements.max_ack_delay(Some(ACK_DELAY)).reordering_threshold(VarInt::from_u32(1));
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        // Peers that speak `qs` open theirs at once, others one after the other to tell their rules. Of strangers none is read, and takes
        // room of the windows.
        .max_concurrent_uni_streams(halves::SINGLE_STREAMS)
        .datagram_receive_buffer_size(None)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(STREAM_WINDOW))
        .send_window(u64::from(STREAM_WINDOW) * 2)
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("a minute is a valid idle timeout")))
        .keep_alive_interval(Some(keep_alive))
        .ack_frequency_config(Some(acknowledgements))
        .congestion_controller_factory(Arc::new(Metering))
        .persistent_congestion_threshold(PERSISTENT_CONGESTION)
        .initial_mtu(size(datagrams.map_or(MIN_MTU, |datagrams| datagrams.first)))
        .mtu_discovery_config(datagrams.map(|datagrams| larger(size(datagrams.most))));
    Arc::new(config)
}

/// See [`MOVED`].
pub(crate) fn close_moved(connection: &Connection) {
    connection.close(MOVED, b"the peer goes on from another AS");
}

/// When datagrams are to become larger again.
fn larger(most: u16) -> MtuDiscoveryConfig {
    let mut config = MtuDiscoveryConfig::default();
    config.upper_bound(most).black_hole_cooldown(LARGER_AFTER_HOLE).interval(LARGER_AGAIN);
    config
}

fn size(datagram: u16) -> u16 {
    datagram.clamp(MIN_MTU, MAX_MTU)
}
