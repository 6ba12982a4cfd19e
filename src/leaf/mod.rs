//! Leaf nodes: servers that share one account with this one, or this one with them.
//!
//! `natsd_core::leaf` says what is said and when. Here [`accept`] takes leaf nodes and [`admission`] decides who they are;
//! [`dial`] and [`remote`] keep a connection to each hub; [`link`] is one end of either, [`broker`] what it does with interest
//! and messages. What the other end is told of interest here is up to the account (`crate::hub::leafs`).

mod accept;
mod admission;
mod broker;
mod credentials;
mod dial;
mod error;
mod info;
mod link;
mod peer;
mod proxy;
mod remote;
mod remotes;
mod trace;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use natsd_core::compression::Mode;
use natsd_core::encode::write_error;
use natsd_core::error::{ClientError, CloseReason};
use natsd_core::leaf::session::Timing;
use natsd_core::websocket::max_message;
use natsd_core::websocket::upgrade::Upgrade;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::options::{HostPort, LeafOptions, Listen};
use crate::hub::Hub;
use crate::link::{Kind, Link};
use crate::route::ScionDial;
use crate::server::listener::Listener;
use crate::tls::{ClientTls, Facts};
#[cfg(feature = "scion")]
use crate::transport::Connection;
use crate::transport::{Peer, Stream, tcp};
use crate::websocket;
pub use error::LeafError;
use link::Ends;
pub(crate) use peer::LeafPeer;
pub(crate) use remotes::NewRemotes;
use remotes::Remotes;

/// Until the first ping.
const FIRST_PING: Duration = Duration::from_secs(1);

/// Where leaf nodes will come in: bound before other servers are told of it.
pub(crate) struct Bound {
    sockets: Vec<(String, TcpListener)>,
    addresses: Vec<SocketAddr>,
}

/// The leaf connections of a server.
pub(crate) struct Leafs {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    tasks: Mutex<JoinSet<()>>,
    remotes: Mutex<Remotes>,
}

struct Shared {
    hub: Arc<Hub>,
    options: ArcSwap<LeafOptions>,
    tls: Option<ClientTls>,
    /// Host and port as told to leaf nodes; `None` if none are taken over TCP.
    place: Option<(String, u16)>,
    scion_dial: Option<ScionDial>,
    /// Connections over which messages flow.
    open: Mutex<HashMap<u64, Arc<Link>>>,
    /// The moment that times of sessions count from.
    started: Instant,
}

impl Bound {
    /// Binds the TCP listeners.
    ///
    /// # Errors
    ///
    /// When an address cannot be listened on.
    pub(crate) async fn bind(options: &LeafOptions) -> Result<Self, LeafError> {
        let mut bound = Self { sockets: Vec::new(), addresses: Vec::new() };
        for listen in &options.listen {
            let Listen::Tcp { host, port } = listen else { continue };
            let failed = |source| LeafError::Listen { host: host.clone(), port: *port, source };
            let socket = tcp::listen(host, *port).await.map_err(failed)?;
            bound.addresses.push(socket.local_addr().map_err(failed)?);
            bound.sockets.push((host.clone(), socket));
        }
        Ok(bound)
    }

    /// Where others reach them: what is advertised, or the first address bound.
    pub(crate) fn urls(&self, options: &LeafOptions) -> Vec<String> {
        let first = self.addresses.first().filter(|_| !options.no_advertise);
        first.map(|address| info::advertised(options, *address)).into_iter().collect()
    }
}

impl Leafs {
    /// Takes leaf nodes and dials hubs, until it is stopped or dropped.
    ///
    /// # Errors
    ///
    /// When TLS cannot be spoken as configured.
    pub(crate) fn start(
        hub: &Arc<Hub>,
        options: &LeafOptions,
        bound: Bound,
        scion_dial: Option<ScionDial>,
    ) -> Result<Self, LeafError> {
        let tls = options.tls.as_ref().map(|tls| ClientTls::new(tls, false)).transpose()?;
        let place = bound.sockets.first().map(|(host, _)| host.clone());
        let place = place.zip(bound.addresses.first().map(SocketAddr::port));
        let shared = Arc::new(Shared {
            hub: hub.clone(),
            options: ArcSwap::from_pointee(options.clone()),
            tls,
            place,
            scion_dial,
            open: Mutex::default(),
            started: Instant::now(),
        });
        let mut tasks = JoinSet::new();
        for (host, socket) in bound.sockets {
            if let Ok(address) = socket.local_addr() {
                log::info!("Listening for leafnode connections on {}", HostPort(&host, address.port()));
            }
            tasks.spawn(accept::accept(shared.clone(), socket));
        }
        tasks.spawn(info::tell_news(shared.clone()));
        let mut remotes = Remotes::default();
        remotes.become_like(NewRemotes::read(options)?, &shared, &mut tasks);
        Ok(Self { shared, addresses: bound.addresses, tasks: Mutex::new(tasks), remotes: Mutex::new(remotes) })
    }

    /// Where leaf nodes come in over TCP, as bound.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// How they speak TLS, if they do.
    pub(crate) fn tls(&self) -> Option<&ClientTls> {
        self.shared.tls.as_ref()
    }

    /// Takes a leaf node that was accepted elsewhere: over SCION.
    #[cfg(feature = "scion")]
    pub(crate) fn serve(&self, connection: Connection) {
        accept::serve(&self.shared, connection);
    }

    /// Takes a leaf node that asked for it where clients come in over WebSocket.
    pub(crate) fn serve_websocket(
        &self,
        listener: &Arc<Listener>,
        peer: Peer,
        stream: Stream,
        facts: Option<Facts>,
        upgrade: &Upgrade,
    ) {
        let max = max_message(self.shared.hub.options().max_payload);
        if let Some((source, sink)) = websocket::split(stream, upgrade, max) {
            let ends = Ends { source, sink, peer, listener: Some(listener.clone()) };
            accept::serve_websocket(&self.shared, ends, facts);
        }
    }

    /// Takes over what can change of `options`: other hubs are dialled, and who came in by other users goes, or may do what
    /// they may now.
    pub(crate) fn reload(&self, options: &LeafOptions, remotes: NewRemotes, same_callout: bool) {
        let before = self.shared.options.swap(Arc::new(options.clone()));
        if before.compression != options.compression {
            self.compress_otherwise(&options.compression);
        }
        self.remotes.lock().become_like(remotes, &self.shared, &mut self.tasks.lock());
        if !same_callout {
            self.ask_again();
        }
        // After the options: who looks for them finds these.
        self.shared.hub.raise_epoch();
        self.shared.hub.wake_or_shed(&[Kind::Leaf], |_| true);
    }

    /// Those who came to us and cannot change what is agreed come again.
    fn compress_otherwise(&self, mode: &Mode) {
        for link in self.open().iter().filter(|link| link.leaf.get().is_some_and(|peer| !peer.solicited)) {
            if link.change_compression(mode) {
                link.close(CloseReason::CompressionChanged);
            }
        }
    }

    /// Leaf nodes on whom somebody decided come again, and somebody else decides.
    fn ask_again(&self) {
        for link in self.open().iter().filter(|link| link.decided.load(Relaxed)) {
            log::error!("{} - {}", link.describe(), ClientError::Authorization);
            link.send_now(|out| write_error(out, &ClientError::Authorization.to_string()));
            link.close(CloseReason::AuthenticationFailure);
        }
    }

    /// The connections over which messages flow, oldest first.
    pub(crate) fn open(&self) -> Vec<Arc<Link>> {
        let mut links: Vec<_> = self.shared.open.lock().values().cloned().collect();
        links.sort_unstable_by_key(|link| link.id);
        links
    }

    /// Takes no more leaf nodes and dials no more; those connections that there are end with the server's others.
    pub(crate) fn stop(&self) {
        self.remotes.lock().stop();
        self.tasks.lock().abort_all();
    }
}

impl Shared {
    /// Time on which sessions measure all others.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Time, and a number from 0 to 1 to spread the first ping with.
    fn now_and_jitter(&self) -> (Duration, f64) {
        (self.now(), fastrand::f64())
    }

    fn timing(&self, handshake: Duration) -> Timing {
        let options = self.hub.options();
        let (ping_interval, ping_max) = (options.ping_interval, options.ping_max);
        Timing { handshake, first_ping: FIRST_PING, ping_interval, ping_max }
    }

    /// The name of the cluster that this server is in; its own name if it is in none and a leaf node of others.
    fn cluster(&self) -> String {
        let cluster = self.hub.news.borrow().cluster.clone();
        let alone = cluster.is_empty() && !self.options.load().remotes.is_empty();
        if alone { self.hub.identity.name.clone() } else { cluster }
    }
}
