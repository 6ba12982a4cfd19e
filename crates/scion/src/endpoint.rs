//! A SCION address that accepts and makes connections.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use natsd_path::{IsdAs, Listener, ScionAddr};
use quinn::VarInt;

use crate::error::{AcceptError, DialError};
use crate::halves;
use crate::host::Host;
use crate::lane::Lane;
use crate::peers::{Live, Peer};
use crate::quic::{self, Datagrams, Identity};
use crate::socket::Socket;
use crate::stream::Stream;
use crate::template::{NO_AS, header_len};
use crate::terms;
use crate::tunnel::TcpFallback;

/// From the first datagram to the peer's first byte; for those who come, to the end of the handshake.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

/// See the module. Clones share the socket; it closes with the last one and its connections.
#[derive(Clone, Debug)]
pub struct Endpoint {
    quic: quinn::Endpoint,
    socket: Arc<Socket>,
    identity: Identity,
    host: Host,
    listener: Option<Listener>,
}

/// A connection that a peer wants. Await it to complete the handshake.
#[derive(Debug)]
pub struct Incoming {
    quic: quinn::Incoming,
    live: Live,
    endpoint: Endpoint,
}

impl Endpoint {
    pub(crate) fn new(
        host: Host,
        socket: Arc<Socket>,
        identity: Identity,
        server: Option<(ScionAddr, quinn::ServerConfig)>,
    ) -> std::io::Result<Self> {
        let mut config = quinn::EndpointConfig::default();
        // Nobody comes back to a port of the system's choice.
        if let Some((address, secret)) = server.as_ref().map(|(address, _)| *address).zip(identity.secret())
            && address.port != 0
        {
            secret.apply(address, &mut config);
        }
        // The fixed bit tells QUIC from probes: peers must not send random ones.
        config.grease_quic_bit(false);
        let runtime = Arc::new(quinn::TokioRuntime);
        let quic = quinn::Endpoint::new_with_abstract_socket(
            config,
            server.map(|(_, server)| server),
            Arc::clone(&socket) as _,
            runtime,
        )?;
        Ok(Self { quic, socket, identity, host, listener: None })
    }

    /// As which listener it accepts connections: what the operator wants of the paths of those counts for them.
    pub fn accepting(self, listener: Listener) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// The AS is 0-0 as long as the daemon has not told it; the host is unspecified when bound so.
    pub fn local_addr(&self) -> ScionAddr {
        let local = self.socket.underlay.local();
        ScionAddr { isd_as: self.socket.isd_as().unwrap_or(NO_AS), host: local.ip(), port: local.port() }
    }

    /// The next connection that a peer wants; `None` after [`close`](Self::close).
    pub async fn accept(&self) -> Option<Incoming> {
        loop {
            let quic = self.quic.accept().await?;
            // Gone already: the oldest of too many strangers.
            if let Some(peer) = self.socket.peers.by_synthetic(quic.remote_address()) {
                return Some(Incoming { quic, live: peer.live(), endpoint: self.clone() });
            }
        }
    }

    /// Connects. `tcp_fallback` is a NATS listener of the same server, for when no SCION path works.
    ///
    /// Completes with the peer's first byte: NATS servers speak first, so the acceptor opens the stream.
    ///
    /// # Errors
    ///
    /// Why there is no connection, after ten seconds at most.
    pub async fn dial(&self, to: ScionAddr, tcp_fallback: Option<TcpFallback>) -> Result<Stream, DialError> {
        self.dial_in(Lane::default(), to, tcp_fallback).await
    }

    /// As [`dial`](Self::dial), in this lane: that of all connections of this endpoint to one peer is the one named last.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn dial_in(
        &self,
        lane: Lane,
        to: ScionAddr,
        tcp_fallback: Option<TcpFallback>,
    ) -> Result<Stream, DialError> {
        let peer = self.enter(to)?;
        self.dial_peer(peer, lane, tcp_fallback).await
    }

    pub(crate) fn enter(&self, to: ScionAddr) -> Result<Arc<Peer>, DialError> {
        let too_many = || DialError::Unreachable { peer: to, reason: "too many peers".to_owned() };
        self.socket.peer(to).ok_or_else(too_many)
    }

    pub(crate) async fn dial_peer(
        &self,
        peer: Arc<Peer>,
        lane: Lane,
        tcp_fallback: Option<TcpFallback>,
    ) -> Result<Stream, DialError> {
        let to = peer.addr;
        if let Some(fallback) = tcp_fallback {
            peer.tunnel.set_fallback(fallback);
        }
        let live = peer.live();
        self.host.attach(&peer, lane);
        match tokio::time::timeout(DIAL_TIMEOUT, self.connect(&peer, live)).await {
            Ok(result) => result,
            Err(_) => Err(DialError::Timeout { peer: to, after: DIAL_TIMEOUT, hint: self.host.hint(to.isd_as) }),
        }
    }

    async fn connect(&self, peer: &Arc<Peer>, live: Live) -> Result<Stream, DialError> {
        self.routed(peer).await;
        let start = |reason: &dyn ToString| DialError::Start { peer: peer.addr, reason: reason.to_string() };
        let config = self
            .identity
            .client_config(self.datagrams(peer))
            .ok_or_else(|| start(&"there is no identity to dial with"))?;
        let failed = |source| DialError::handshake(peer.addr, source);
        let connecting = self.quic.connect_with(config, peer.synthetic, quic::SERVER_NAME).map_err(|e| start(&e))?;
        let connection = connecting.await.map_err(failed)?;
        self.identity.judge(&connection).map_err(|reason| DialError::NotAdmitted { peer: peer.addr, reason })?;
        terms::exchange(&self.host, &connection, peer, true);
        let stream = halves::dialled(&connection).await.map_err(failed)?;
        Ok(Stream::new(connection, stream, live))
    }

    /// Waits until there is a way to the peer.
    async fn routed(&self, peer: &Peer) {
        loop {
            let routed = peer.routed.notified();
            if peer.route().is_some() {
                return;
            }
            routed.await;
        }
    }

    /// Waits until there is a way to the peer.
    ///
    /// # Errors
    ///
    /// When there are paths and the rules exclude them all: in words.
    async fn allowed(&self, peer: &Peer) -> Result<(), String> {
        loop {
            let routed = peer.routed.notified();
            if peer.route().is_some() {
                return Ok(());
            }
            if let Some((paths, rule)) = peer.destination().as_ref().and_then(|known| known.barred()) {
                return Err(barred(peer.addr.isd_as, paths, &rule));
            }
            routed.await;
        }
    }

    /// How large datagrams may be on this peer's paths, if they are known.
    fn datagrams(&self, peer: &Peer) -> Option<Datagrams> {
        let local = self.host.local_as();
        if local.as_ref().is_some_and(|l| l.isd_as == peer.addr.isd_as) {
            let header = header_len(peer.addr.host, peer.addr.host, 0) as u16;
            return local.map(|l| Datagrams::of(l.mtu.saturating_sub(header)));
        }
        peer.destination().as_ref()?.datagrams(peer)
    }

    /// Ends all connections and takes no more.
    pub fn close(&self) {
        self.quic.close(VarInt::from_u32(0), b"closed");
    }

    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    pub(crate) fn socket(&self) -> &Arc<Socket> {
        &self.socket
    }
}

impl Incoming {
    /// Who it claims to be; proven to hold this address once the handshake is complete.
    pub fn peer(&self) -> ScionAddr {
        self.live.0.addr
    }

    /// Whether the peer has proven that packets to its address reach it.
    pub fn is_proven(&self) -> bool {
        self.quic.remote_address_validated()
    }

    /// Has the peer come again with a proof of its address, which costs it a round trip and us nothing. Not for a peer that
    /// [is proven](Self::is_proven).
    pub fn ask_for_proof(self) {
        // It refuses those that are proven, who then find that nobody answers.
        let _ = self.quic.retry();
    }

    /// Turns the peer away, which is told so.
    pub fn refuse(self) {
        self.quic.refuse();
    }

    async fn complete(self) -> Result<Stream, AcceptError> {
        let peer = self.peer();
        let timeout = AcceptError::Timeout { peer, after: DIAL_TIMEOUT };
        tokio::time::timeout(DIAL_TIMEOUT, self.handshake()).await.unwrap_or(Err(timeout))
    }

    async fn handshake(self) -> Result<Stream, AcceptError> {
        let Self { quic, live, endpoint } = self;
        let peer = live.0.addr;
        let failed = |source| AcceptError::Handshake { peer, source };
        live.0.set_listener(endpoint.listener);
        let began = endpoint.socket.peers.clock();
        let lane = || live.0.destination().as_ref().map(|known| known.heading.lane.clone()).unwrap_or_default();
        if endpoint.socket.is_strict() {
            endpoint.host.attach(&live.0, lane());
            if let Err(reason) = endpoint.allowed(&live.0).await {
                quic.ignore();
                return Err(AcceptError::NoPathAllowed { peer, reason });
            }
        }
        let config = endpoint.identity.server_config(endpoint.datagrams(&live.0)).ok_or(AcceptError::NoIdentity)?;
        let connection = quic.accept_with(Arc::new(config)).map_err(failed)?.await.map_err(failed)?;
        endpoint.identity.judge(&connection).map_err(|reason| AcceptError::NotAdmitted { peer, reason })?;
        live.0.learn_first_way();
        endpoint.host.attach(&live.0, lane());
        terms::exchange(&endpoint.host, &connection, &live.0, false);
        let wrong = |reason| AcceptError::WrongWay { peer, reason };
        terms::right_way(&connection, &live.0, began).await.map_err(wrong)?;
        let stream = halves::accepted(&connection).await.map_err(failed)?;
        Ok(Stream::new(connection, stream, live))
    }
}

/// What is said of an AS that the operator's rules leave no path to.
pub(crate) fn barred(isd_as: IsdAs, paths: usize, rule: &str) -> String {
    format!("the rules for paths exclude all of the {paths} paths to {isd_as}, the first of them by: {rule}")
}

impl IntoFuture for Incoming {
    type Output = Result<Stream, AcceptError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.complete())
    }
}
