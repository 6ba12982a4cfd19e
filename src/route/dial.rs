//! Connections to peers: the addresses of a route, those over SCION and those over TCP/IP racing each other.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use natsd_core::route::cluster::Place;
use natsd_core::route::hello::{RouteInfo, Secret};
use natsd_core::route::session::Slot;
use natsd_core::route::wire::MAX_CONTROL_LINE;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::accept::QUESTION;
use super::race::{Rival, race};
use crate::config::options::{PeerAddr, QuicAddr, Remote, RouteUrl};
use crate::link::Link;
use crate::tls::{HandshakeError, RouteTls};
use crate::transport::{Connection, Peer, Stream, tcp};

/// How long one TCP address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the kind of address that a route lists first, SCION or TCP, is tried alone before the other kind is tried
/// as well. A SCION handshake takes two round trips and, the first time, a lookup of paths.
pub(super) const HEAD_START: Duration = Duration::from_secs(1);

/// Between two looks at an `INFO` that is not there as a whole.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Makes a connection over SCION or UDP. The second argument is where the same peer takes TCP, if it does, the third what the
/// connection is for.
pub(crate) type ScionDial = Arc<
    dyn Fn(QuicAddr, Option<(String, u16)>, &Slot) -> Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>
        + Send
        + Sync,
>;

/// One address of a peer led to no connection.
#[derive(Debug, Error)]
pub(crate) enum DialError {
    /// The peer, or the network, says no.
    #[error("{address}: {source}")]
    Failed {
        /// Where to.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// As above; the text names the peer.
    #[error(transparent)]
    Scion(io::Error),
    /// The peer and we do not come to terms over TLS.
    #[error("{address}: TLS route handshake error: {source}")]
    Tls {
        /// Where to.
        address: String,
        /// Why not.
        source: HandshakeError,
    },
    /// Nobody answers.
    #[error("{0}: no answer within {CONNECT_TIMEOUT:?}")]
    TimedOut(String),
    /// A SCION address and no SCION.
    #[error("{0}: SCION is not switched on; add `scion {{}}` to the configuration")]
    NoScion(QuicAddr),
    /// A server heard of, with addresses that say nothing here.
    #[error("none of the addresses told by a peer is one: {0:?}")]
    NoAddress(Vec<String>),
}

/// A connection, and the user and password that belong to its address.
pub(crate) type Dialled = (Connection, Option<(String, Secret)>);

/// Dials peers.
pub(super) struct Dialler {
    /// The configured routes under the numbers of [`Place::Configured`], which are never used again.
    configured: Mutex<BTreeMap<usize, Remote>>,
    scion: Option<ScionDial>,
    /// Whether that is for UDP without SCION as well.
    udp: bool,
    tls: Option<Arc<RouteTls>>,
    /// Connections over TCP to peers that list SCION first and did not answer there.
    detours: Mutex<Vec<(Place, Weak<Link>)>>,
}

impl Dialler {
    /// `configured` are the routes that [`Place::Configured`] counts.
    pub(super) fn new(
        configured: Vec<Remote>,
        (scion, udp): (Option<ScionDial>, bool),
        tls: Option<Arc<RouteTls>>,
    ) -> Self {
        let configured = Mutex::new(configured.into_iter().enumerate().collect());
        Self { configured, scion, udp, tls, detours: Mutex::default() }
    }

    /// From now on `wanted` are the configured routes. Returns the numbers of those that are gone and of those that are new.
    pub(super) fn reconfigure(&self, wanted: &[Remote], next: &mut usize) -> (Vec<usize>, Vec<usize>) {
        let mut configured = self.configured.lock();
        let mut new = wanted.to_vec();
        let mut gone = Vec::new();
        configured.retain(|number, remote| {
            let stays = new.iter().position(|wanted| wanted == remote).map(|at| new.swap_remove(at)).is_some();
            if !stays {
                gone.push(*number);
            }
            stays
        });
        let first = *next;
        *next += new.len();
        configured.extend((first..).zip(new));
        (gone, (first..*next).collect())
    }

    /// Connects to `place`. Addresses of one kind are tried in order; see [`HEAD_START`] for the two kinds.
    ///
    /// # Errors
    ///
    /// Those of all its addresses.
    pub(super) async fn connect(&self, place: &Place, slot: &Slot) -> Result<Dialled, Vec<DialError>> {
        let urls = self.with_untold(place, self.urls(place)?).await;
        let (mut scion, mut tcp) = (Vec::new(), Vec::new());
        for url in &urls {
            match (url.address.quic(), &url.address) {
                (Some(address), _) => scion.push((url, address)),
                (None, PeerAddr::Tcp { host, port }) => tcp.push((url, (host.as_str(), *port))),
                (None, _) => {}
            }
        }
        let fallback = tcp.first().map(|(_, (host, port))| ((*host).to_owned(), *port));
        let over_scion = || in_order(&scion, |address| self.dial_scion(address, fallback.clone(), slot));
        let over_tcp = |rival| {
            let rivals = if rival == Rival::Runs { scion.as_slice() } else { &[] };
            in_order(&tcp, move |address| async move {
                let connection = dial_tcp(address, rivals, self.tls.is_some()).await?;
                self.begin_tls(connection, address).await
            })
        };
        let scion_first = urls.first().is_some_and(|url| url.address.quic().is_some());
        match (scion.is_empty(), tcp.is_empty()) {
            (true, _) => over_tcp(Rival::Failed).await,
            (_, true) => over_scion().await,
            _ if scion_first && !self.takes_detour(place) => race(HEAD_START, over_scion(), over_tcp).await,
            _ => race(HEAD_START, over_tcp(Rival::Failed), |_| over_scion()).await,
        }
    }

    /// Other implementations tell of servers without their SCION addresses. The servers themselves do not: asks one that
    /// only TCP addresses are told of.
    async fn with_untold(&self, place: &Place, told: Vec<RouteUrl>) -> Vec<RouteUrl> {
        let is_told = matches!(place, Place::Told(_)) && self.scion.is_some();
        let Some(RouteUrl { address: PeerAddr::Tcp { host, port }, .. }) = told.first().filter(|_| is_told) else {
            return told;
        };
        let answer = timeout(CONNECT_TIMEOUT, ask_for_info((host, *port), self.tls.is_some())).await;
        let info = answer.ok().and_then(Result::ok).filter(|info| info.scion_tunnel);
        let own = info.map(|info| info.scion_urls).unwrap_or_default();
        own.iter().filter_map(|url| parse_told(url)).chain(told).collect()
    }

    fn urls(&self, place: &Place) -> Result<Vec<RouteUrl>, Vec<DialError>> {
        match place {
            Place::Configured(route) => {
                Ok(self.configured.lock().get(route).map(|r| r.urls.clone()).unwrap_or_default())
            }
            Place::Told(urls) => {
                let parsed = urls.iter().filter_map(|url| parse_told(url));
                let parsed: Vec<_> =
                    parsed.filter(|url| self.udp || !matches!(url.address, PeerAddr::Udp(_))).collect();
                if parsed.is_empty() { Err(vec![DialError::NoAddress(urls.clone())]) } else { Ok(parsed) }
            }
        }
    }

    /// `link` is what [`connect`](Self::connect) led to: while it lives, further connections to a peer that did not
    /// answer over SCION begin with TCP.
    pub(super) fn note(&self, place: &Place, link: &Arc<Link>) {
        let urls = self.urls(place).unwrap_or_default();
        let Some(silent) = urls.first().and_then(|url| url.address.quic()) else { return };
        let (Some(_), Peer::Tcp(address)) = (&self.scion, link.peer()) else { return };
        if !self.takes_detour(place) {
            let over = if matches!(silent, QuicAddr::Scion(_)) { " over SCION" } else { "" };
            log::info!("{silent} did not answer{over}: the route goes over TCP/IP, to {address}");
        }
        let mut detours = self.detours.lock();
        detours.retain(|(_, link)| is_open(link));
        detours.push((place.clone(), Arc::downgrade(link)));
    }

    fn takes_detour(&self, place: &Place) -> bool {
        self.detours.lock().iter().any(|(known, link)| known == place && is_open(link))
    }

    /// Begins TLS with a peer that was reached at this host and port, if routes use it.
    async fn begin_tls(&self, connection: Connection, (host, port): (&str, u16)) -> Result<Connection, DialError> {
        let (tls, peer) = match &self.tls {
            Some(tls) => (tls, connection.peer),
            None => return Ok(connection),
        };
        let Stream::Tcp(stream) = connection.stream else { return Ok(connection) };
        let failed = |source| DialError::Tls { address: format!("{host}:{port}"), source };
        let stream = tls.connect(stream, &self.certified_name(host)).await.map_err(failed)?;
        Ok(Connection::new(stream, peer))
    }

    /// What the certificate of a peer at `host` should say. A server heard of is known by its IP address: like
    /// nats-server, we expect the name there that the first configured route with a name has.
    fn certified_name(&self, host: &str) -> String {
        let is_ip = |host: &str| host.parse::<IpAddr>().is_ok();
        if !is_ip(host) {
            return host.to_owned();
        }
        let configured = self.configured.lock();
        let mut urls = configured.values().flat_map(|remote| &remote.urls);
        let named = urls.find_map(|url| match &url.address {
            PeerAddr::Tcp { host, .. } if !is_ip(host) => Some(host.clone()),
            _ => None,
        });
        named.unwrap_or_else(|| host.to_owned())
    }

    async fn dial_scion(
        &self,
        address: QuicAddr,
        tcp: Option<(String, u16)>,
        slot: &Slot,
    ) -> Result<Connection, DialError> {
        let Some(dial) = &self.scion else { return Err(DialError::NoScion(address)) };
        dial(address, tcp, slot).await.map_err(DialError::Scion)
    }
}

fn is_open(link: &Weak<Link>) -> bool {
    link.upgrade().is_some_and(|link| !link.is_closing())
}

/// The first of `urls` that answers.
async fn in_order<A: Clone, F: Future<Output = Result<Connection, DialError>>>(
    urls: &[(&RouteUrl, A)],
    dial: impl Fn(A) -> F,
) -> Result<Dialled, Vec<DialError>> {
    let mut errors = Vec::new();
    for (url, address) in urls {
        match dial(address.clone()).await {
            Ok(connection) => {
                let password = Secret(url.password.clone().unwrap_or_default());
                return Ok((connection, url.user.clone().map(|user| (user, password))));
            }
            Err(error) => errors.push(error),
        }
    }
    Err(errors)
}

/// Connects over TCP. Beside dials to `rivals`, only to a peer that says who it is and that takes SCION at none of them:
/// if it does, that dial goes on inside a TCP connection of its own, and so can return to SCION later without a new route.
async fn dial_tcp(
    (host, port): (&str, u16),
    rivals: &[(&RouteUrl, QuicAddr)],
    tls: bool,
) -> Result<Connection, DialError> {
    let address = || format!("{host}:{port}");
    let connecting = async {
        if tls
            && !rivals.is_empty()
            && ask_for_info((host, port), tls).await.is_ok_and(|info| takes_scion(&info, rivals))
        {
            return Ok(None);
        }
        let stream = TcpStream::connect((host, port)).await?;
        if !tls && !rivals.is_empty() {
            let info = peek_info(&stream).await?;
            if takes_scion(&info, rivals) {
                return Ok(None);
            }
        }
        tcp::connection(stream).map(Some)
    };
    match timeout(CONNECT_TIMEOUT, connecting).await {
        Ok(Ok(Some(connection))) => Ok(connection),
        Ok(Ok(None)) => pending().await,
        Ok(Err(source)) => Err(DialError::Failed { address: address(), source }),
        Err(_) => Err(DialError::TimedOut(address())),
    }
}

/// What a server says of tunnels. One that waits for TLS has to be asked; if it knows none, it ends the connection.
async fn ask_for_info(address: (&str, u16), tls: bool) -> io::Result<RouteInfo> {
    let mut stream = TcpStream::connect(address).await?;
    if tls {
        stream.write_all(QUESTION).await?;
    }
    peek_info(&stream).await
}

fn takes_scion(info: &RouteInfo, rivals: &[(&RouteUrl, QuicAddr)]) -> bool {
    rivals.iter().any(|(_, address)| takes_scion_at(info, address))
}

/// Whether the server takes packets to `address` inside TCP: it looks at port and host, as it may not know its AS yet.
fn takes_scion_at(info: &RouteInfo, address: &QuicAddr) -> bool {
    let is_it = |url: &String| match (parse_told(url).map(|url| url.address), address) {
        (Some(PeerAddr::Scion(own)), QuicAddr::Scion(address)) => {
            own.port == address.port && (own.host.is_unspecified() || own.host == address.host)
        }
        (Some(PeerAddr::Udp(own)), QuicAddr::Udp(address)) => {
            own.port() == address.port() && own.hosts().iter().any(|host| address.hosts().contains(host))
        }
        _ => false,
    };
    info.scion_tunnel && info.scion_urls.iter().any(is_it)
}

/// The `INFO` that an acceptor begins with. It stays where it is.
async fn peek_info(stream: &TcpStream) -> io::Result<RouteInfo> {
    let mut seen = vec![0; MAX_CONTROL_LINE];
    let mut before = 0;
    loop {
        let len = stream.peek(&mut seen).await?;
        if let Some(end) = memchr::memchr(b'\n', &seen[..len]) {
            let json = seen[..end].strip_prefix(b"INFO ").unwrap_or_default();
            return serde_json::from_slice(json).map_err(io::Error::from);
        }
        match len {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            MAX_CONTROL_LINE => return Err(io::ErrorKind::InvalidData.into()),
            _ => {}
        }
        // Bytes that stay keep the socket readable: asking at once again would be a busy loop.
        if len == before {
            sleep(LOOK_AGAIN).await;
        }
        before = len;
    }
}

/// An address heard of from a peer: `nats-route://host:port/`, `[ISD-AS,host]:port` or `udp://[host,host]:port`.
fn parse_told(url: &str) -> Option<RouteUrl> {
    if let Some(address) = url.strip_prefix("udp://") {
        return Some(RouteUrl { user: None, password: None, address: PeerAddr::Udp(address.parse().ok()?) });
    }
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let address = match authority.parse() {
        Ok(scion) => PeerAddr::Scion(scion),
        Err(_) => {
            let (host, port) = authority.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            PeerAddr::Tcp { host, port: port.parse().ok()? }
        }
    };
    Some(RouteUrl { user: None, password: None, address })
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use natsd_core::error::CloseReason;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::link::Kind;
    use crate::link::outbound::{Outbound, OutboundLimits, Sink};

    #[test]
    fn addresses_heard_of_are_understood() {
        let told = |url: &str| parse_told(url).map(|url| url.address);
        let tcp = |host: &str| Some(PeerAddr::Tcp { host: host.into(), port: 6222 });
        assert_eq!(told("nats-route://10.0.0.1:6222/"), tcp("10.0.0.1"));
        assert_eq!(told("nats-route://[::1]:6222/"), tcp("::1"));
        assert_eq!(told("nats-route://u:p@host:6222"), tcp("host"));
        assert!(matches!(told("[1-ff00:0:110,10.0.0.1]:6222"), Some(PeerAddr::Scion(_))));
        assert_eq!(told("nats-route://host"), None);
        assert_eq!(told(""), None);
    }

    #[tokio::test]
    async fn every_address_is_tried_and_every_failure_told() {
        let closed =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
        let place =
            Place::Told(vec!["[1-ff00:0:110,10.0.0.1]:6222".into(), format!("nats-route://127.0.0.1:{closed}/")]);
        let Err(errors) = Dialler::new(Vec::new(), (None, false), None).connect(&place, &SLOT).await else {
            panic!("nobody is there")
        };
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(errors.join("\n").replace(&closed.to_string(), "PORT"));
    }

    const SLOT: Slot = Slot::Pool(0);
    const SCION: &str = "[1-ff00:0:112,10.0.0.2]:4248";

    /// A route port at which one connection is told `info`; then tells whether that was closed by the dialler.
    async fn acceptor(info: &'static str) -> (Place, tokio::task::JoinHandle<bool>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let tcp = format!("nats-route://{}/", listener.local_addr().expect("bound"));
        let accepted = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("it is dialled");
            // In two parts, as a network may deliver it.
            for part in [&info[..10], &info[10..]] {
                stream.write_all(part.as_bytes()).await.expect("writable");
                tokio::task::yield_now().await;
            }
            // What was not read makes it a reset.
            !matches!(stream.read(&mut [0; 8]).await, Ok(1..))
        });
        (Place::Told(vec![SCION.into(), tcp]), accepted)
    }

    fn scion_dial<F>(answer: impl Fn() -> F + Send + Sync + 'static) -> Option<ScionDial>
    where
        F: Future<Output = io::Result<Connection>> + Send + 'static,
    {
        Some(Arc::new(move |_, _, _| Box::pin(answer())))
    }

    #[tokio::test]
    async fn tcp_takes_over_from_scion_that_does_not_answer_and_the_scion_dial_is_dropped() {
        let (place, _accepted) = acceptor(
            "INFO {\"scion_tunnel\":true,\"scion_urls\":[\"nats-route://[1-ff00:0:112,10.0.0.2]:4249\"]} \r\n",
        )
        .await;
        let dials = Arc::new(());
        let kept = dials.clone();
        let dial = scion_dial(move || {
            let kept = kept.clone();
            async move {
                let _kept = kept;
                pending().await
            }
        });
        let dialler = Dialler::new(Vec::new(), (dial, false), None);
        let (connection, _) = dialler.connect(&place, &SLOT).await.expect("connected");
        assert!(matches!(connection.peer, Peer::Tcp(_)), "{}", connection.peer);
        drop(dialler);
        assert_eq!(Arc::strong_count(&dials), 1);
    }

    #[tokio::test]
    async fn a_peer_that_takes_scion_inside_tcp_is_left_to_scion() {
        let (place, accepted) =
            acceptor("INFO {\"scion_tunnel\":true,\"scion_urls\":[\"nats-route://[1-ff00:0:112,0.0.0.0]:4248\"]} \r\n")
                .await;
        let accepted = Arc::new(Mutex::new(Some(accepted)));
        let dial = scion_dial(move || {
            let accepted = accepted.lock().take().expect("dialled once");
            async move {
                assert!(accepted.await.expect("the acceptor lives"), "the TCP connection is closed");
                let (stream, _) = tokio::io::duplex(1);
                let peer = Peer::Scion(SCION.parse().expect("an address"));
                Ok(Connection::new(Stream::Other(Box::new(stream)), peer))
            }
        });
        let (connection, _) =
            Dialler::new(Vec::new(), (dial, false), None).connect(&place, &SLOT).await.expect("connected");
        assert!(matches!(connection.peer, Peer::Scion(_)), "{}", connection.peer);
    }

    #[tokio::test]
    async fn a_server_told_of_without_its_scion_address_is_asked_for_it() {
        let (place, accepted) = acceptor(
            "INFO {\"scion_tunnel\":true,\"scion_urls\":[\"nats-route://[1-ff00:0:112,10.0.0.2]:4248\"]} \r\n",
        )
        .await;
        let Place::Told(urls) = place else { panic!("it is told of") };
        let dial = scion_dial(|| {
            let (stream, _) = tokio::io::duplex(1);
            let peer = Peer::Scion(SCION.parse().expect("an address"));
            ready(Ok(Connection::new(Stream::Other(Box::new(stream)), peer)))
        });
        let dialler = Dialler::new(Vec::new(), (dial, false), None);
        let (connection, _) = dialler.connect(&Place::Told(urls[1..].to_vec()), &SLOT).await.expect("connected");
        assert!(matches!(connection.peer, Peer::Scion(_)), "{}", connection.peer);
        assert!(accepted.await.expect("the acceptor lives"), "the connection that asked is closed");
    }

    #[tokio::test]
    async fn while_a_route_over_tcp_lives_the_rest_of_its_pool_begins_with_tcp() {
        let (place, _accepted) = acceptor("INFO {\"server_id\":\"N\"} \r\n").await;
        let dial = scion_dial(|| {
            let (stream, _) = tokio::io::duplex(1);
            let peer = Peer::Scion(SCION.parse().expect("an address"));
            ready(Ok(Connection::new(Stream::Other(Box::new(stream)), peer)))
        });
        let dialler = Dialler::new(Vec::new(), (dial, false), None);
        let limits = OutboundLimits { max_pending: 1, stall_at: 1, write_deadline: CONNECT_TIMEOUT, retry: false };
        let peer = Peer::Tcp(([127, 0, 0, 1], 1).into());
        let link = Arc::new(Link::new(1, Kind::Route, peer, None, Outbound::new(Sink::Task), limits));
        dialler.note(&place, &link);
        let (rest, _) = dialler.connect(&place, &SLOT).await.expect("connected");
        assert!(matches!(rest.peer, Peer::Tcp(_)), "{}", rest.peer);
        link.close(CloseReason::ClientClosed);
        let (again, _) = dialler.connect(&place, &SLOT).await.expect("connected");
        assert!(matches!(again.peer, Peer::Scion(_)), "{}", again.peer);
    }
}
