//! One connection: what the rest of the server holds of it.
//!
//! A [`Link`] is shared by all who deliver to it. Its task, in [`task`], reads, and writes what could not be written at
//! once; what the bytes mean is up to a [`Protocol`](task::Protocol).

pub(crate) mod batch;
mod delivery;
mod label;
pub(crate) mod outbound;
mod packing;
pub(crate) mod task;
pub(crate) mod trace;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;
use natsd_auth::{Permissions, User};
use natsd_core::compression::{Agreement, Change, Mode, Status};
use natsd_core::connect::Settings;
use natsd_core::encode::Message;
use natsd_core::error::CloseReason;
use natsd_core::route::dag::{MAX_HOPS, wire as dag};
use natsd_core::route::encode::Head;
use natsd_core::route::session::Slot;
use parking_lot::{Mutex, MutexGuard};

use crate::gateway::GatewayPeer;
use crate::hub::account::Account;
use crate::hub::subscription::Subscriptions;
use crate::leaf::LeafPeer;
use crate::operators::Pass;
use crate::route::{Carrier, Carriers, Copies, FarServer, Spread};
use crate::server::listener::Listener;
use crate::tls::Facts;
use crate::transport::Peer;
use batch::Batch;
use outbound::{Flushed, Outbound, OutboundLimits};

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A client.
    Client,
    /// Another server of the cluster.
    Route,
    /// A leaf node, or a hub that we are a leaf node of.
    Leaf,
    /// A server of another cluster.
    Gateway,
    /// This server itself, in the system account.
    System,
}

/// One connection.
pub(crate) struct Link {
    /// Unique in the life of the server.
    pub id: u64,
    pub kind: Kind,
    /// The other end of the connection; see [`peer`](Self::peer).
    peer: Peer,
    /// What a proxy says of where it comes from.
    pub origin: OnceLock<Box<Origin>>,
    pub started: Instant,
    pub started_at: SystemTime,
    /// Where a client came in.
    pub listener: Option<Arc<Listener>>,
    /// A client that may be sent `INFO` at any time from now on.
    pub welcomed: AtomicBool,
    /// What comes in is counted by the task of this link alone.
    pub received: Counters,
    /// Nanoseconds; 0 before it was measured.
    pub rtt: AtomicU64,
    /// Nanoseconds from `started` to the last message or change of subscriptions.
    pub active: AtomicU64,
    /// How often it was slowed down for the sake of a slow receiver.
    pub stalls: AtomicU64,
    /// What `CONNECT` said, once there was one.
    pub settings: Mutex<Option<Box<Settings>>>,
    /// Who the client is, where clients have to say it.
    pub user: ArcSwapOption<User>,
    /// What its token grants it, if it came with one.
    pub pass: ArcSwapOption<Pass>,
    /// Somebody decided, in place of the server, who the client is.
    pub decided: AtomicBool,
    /// The client came without credentials.
    pub anonymous: AtomicBool,
    /// Who the client has become by a reload, until its task knows.
    pub renewed: Mutex<Option<Option<Arc<User>>>>,
    /// The account that the client is in, once it has said who it is.
    pub account: ArcSwapOption<Account>,
    /// The server at the other end of a route, once it is known.
    pub server: OnceLock<Box<PeerServer>>,
    /// There is no connection: it stands for a server that is reached over others.
    pub far: OnceLock<Box<FarServer>>,
    /// There is no connection: it stands for several to the same server, which share out the messages.
    pub spread: OnceLock<Arc<Spread>>,
    /// The server at the other end of a leaf connection, once it is known.
    pub leaf: OnceLock<Box<LeafPeer>>,
    /// The server of another cluster at the other end, once it is known.
    pub gateway: OnceLock<Box<GatewayPeer>>,
    /// Answers of the client may go to other clusters by ways that it does not know.
    pub maps_replies: AtomicBool,
    /// It is measured how long some answers of the client take.
    pub is_measured: AtomicBool,
    /// The key of the trusted proxy that vouches for the client.
    pub proxy: Mutex<Option<Box<str>>>,
    /// What came of the handshake of a client over TLS.
    pub tls: OnceLock<Box<Facts>>,
    /// What the server at the other end of a route is interested in.
    pub interests: AtomicU64,
    /// Of a client.
    pub subscriptions: Mutex<Subscriptions>,
    out: Mutex<Outbound>,
    limits: OutboundLimits,
}

/// Another server.
#[derive(Debug)]
pub(crate) struct PeerServer {
    pub name: String,
    /// Which of the connections to it this is.
    pub slot: Slot,
    /// It tells its part of the trace of a message.
    pub traces: bool,
    /// What is of leaf nodes may name their cluster.
    pub leaf_origins: bool,
    /// It takes messages for queue groups only.
    pub queues_only: bool,
    /// Where messages go to instead that have connections of their own, by their subjects.
    pub carriers: Option<Arc<Carriers>>,
}

/// What another server is told of a message besides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand<'a> {
    /// The cluster of leaf nodes that it came from.
    pub origin: Option<&'a [u8]>,
    /// Only the queue groups that are named get it.
    pub queues_only: bool,
    /// How often other servers may pass it on.
    pub hops: u8,
}

impl Default for Errand<'_> {
    fn default() -> Self {
        Self { origin: None, queues_only: false, hops: MAX_HOPS }
    }
}

impl<'a> Errand<'a> {
    /// The message as it goes to servers that are reached over others.
    pub(crate) fn over_hops(&self, account: &'a [u8], message: &Message<'a>) -> dag::Message<'a> {
        let Message { subject, reply, header_len, body } = *message;
        dag::Message::new(account, (subject, reply), self.origin, (header_len, body), self.hops)
    }
}

/// What a proxy says of where a client is.
#[derive(Debug)]
pub(crate) enum Origin {
    /// By the PROXY protocol: believed, as the operator says so.
    Proxied(SocketAddr),
    /// In a header of a request that anybody can write.
    Forwarded(IpAddr),
}

/// Messages and bytes.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub msgs: AtomicU64,
    pub bytes: AtomicU64,
}

impl Counters {
    /// Adds. For counters with several writers.
    pub(crate) fn add(&self, msgs: u64, bytes: u64) {
        self.msgs.fetch_add(msgs, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
    }
}

impl Link {
    pub(crate) fn new(
        id: u64,
        kind: Kind,
        peer: Peer,
        listener: Option<Arc<Listener>>,
        out: Outbound,
        limits: OutboundLimits,
    ) -> Self {
        Self {
            id,
            kind,
            peer,
            origin: OnceLock::new(),
            started: Instant::now(),
            started_at: SystemTime::now(),
            listener,
            welcomed: AtomicBool::new(false),
            received: Counters::default(),
            rtt: AtomicU64::new(0),
            active: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            settings: Mutex::new(None),
            user: ArcSwapOption::empty(),
            pass: ArcSwapOption::empty(),
            decided: AtomicBool::new(false),
            anonymous: AtomicBool::new(true),
            renewed: Mutex::new(None),
            account: ArcSwapOption::empty(),
            server: OnceLock::new(),
            far: OnceLock::new(),
            spread: OnceLock::new(),
            leaf: OnceLock::new(),
            gateway: OnceLock::new(),
            maps_replies: AtomicBool::new(false),
            is_measured: AtomicBool::new(false),
            proxy: Mutex::new(None),
            tls: OnceLock::new(),
            interests: AtomicU64::new(0),
            subscriptions: Mutex::new(Subscriptions::default()),
            out: Mutex::new(out),
            limits,
        }
    }

    /// `127.0.0.1:4222 - cid:5`, as log lines begin; see [`label`].
    pub(crate) fn describe(&self) -> String {
        label::describe(self)
    }

    /// Name of the account that the client is in.
    pub(crate) fn account_name(&self) -> String {
        self.account.load().as_ref().map(|account| account.display_name()).unwrap_or_default()
    }

    /// Who is at the other end: the client, if it comes by a proxy that is believed.
    pub(crate) fn peer(&self) -> Peer {
        match self.origin.get().map(|origin| &**origin) {
            Some(Origin::Proxied(address)) => Peer::Tcp(*address),
            _ => self.peer,
        }
    }

    /// A client that speaks WebSocket.
    pub(crate) fn is_websocket(&self) -> bool {
        self.listener.as_ref().is_some_and(|listener| listener.is_websocket())
    }

    /// What the client may do; `None` is everything.
    pub(crate) fn permissions(&self) -> Option<Arc<Permissions>> {
        self.user.load().as_ref().and_then(|user| user.permissions.clone())
    }

    /// The task of this link and tests of it only.
    pub(crate) fn outbound(&self) -> MutexGuard<'_, Outbound> {
        self.out.lock()
    }

    /// Lets `write` append to what is sent; it goes out at the end of `batch`. Does nothing once the link is closing.
    pub(crate) fn send(self: &Arc<Self>, batch: &mut Batch, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = self.out.lock();
        if !out.is_closing() {
            write(out.buffer());
            self.appended(out, batch);
        }
    }

    /// Sends from outside of any batch: the task of this link writes it.
    pub(crate) fn send_now(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = self.out.lock();
        if !out.is_closing() {
            write(out.buffer());
            out.flush(&self.limits);
        }
    }

    /// As [`send_now`](Self::send_now), for many small pieces: the task of this link writes them together.
    pub(crate) fn send_soon(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = self.out.lock();
        if !out.is_closing() {
            let before = out.buffer().len();
            write(out.buffer());
            if trace::enabled() {
                self.trace_lines_out(&out.buffer()[before..]);
            }
            out.flush_by_task(&self.limits);
        }
    }

    /// Delivers to the server at the other end of a route or a leaf connection. `false` if the link is ending.
    pub(crate) fn route<'q>(
        self: &Arc<Self>,
        account: &[u8],
        message: &Message<'_>,
        errand: Errand<'_>,
        queues: impl Iterator<Item = &'q [u8]>,
        batch: &mut Batch,
    ) -> bool {
        if let Some(far) = self.far.get() {
            let mut copies = Copies::default();
            let queues: Vec<_> = queues.collect();
            let next = far.next.load_full();
            next.into_iter().for_each(|next| copies.add(next, far.node, !errand.queues_only, queues.iter().copied()));
            let reached = !copies.is_empty();
            copies.send(&errand.over_hops(account, message), batch);
            return reached;
        }
        if let Some(spread) = self.spread.get() {
            return spread.route(account, message, errand, queues, batch);
        }
        let mut out = self.out.lock();
        if out.is_closing() {
            return false;
        }
        self.append(&mut out, account, message, errand, queues, batch);
        self.appended(out, batch);
        true
    }

    /// Appends a message for the server at the other end of a route or a leaf connection.
    pub(crate) fn append<'q>(
        &self,
        out: &mut Outbound,
        account: &[u8],
        message: &Message<'_>,
        errand: Errand<'_>,
        queues: impl Iterator<Item = &'q [u8]>,
        batch: &mut Batch,
    ) {
        let is_leaf = self.kind == Kind::Leaf;
        let bare = (is_leaf || self.kind == Kind::Gateway) && message.header_len > 0 && !out.takes_headers;
        let message = if bare { message.without_headers() } else { *message };
        if let (true, Some(replies), Some(reply)) = (is_leaf, &mut out.replies, message.reply) {
            replies.requested(reply, batch.now());
        }
        let account = (!out.dedicated && !is_leaf).then_some(account);
        let server = self.server.get();
        let queues_only = errand.queues_only && server.is_some_and(|server| server.queues_only);
        let head = Head { account, subject: message.subject, reply: message.reply, queues_only };
        let buffer = out.buffer();
        let before = buffer.len();
        let (header_len, total) = (message.header_len, message.body.len());
        let origin = errand.origin.filter(|_| server.is_some_and(|server| server.leaf_origins));
        match origin {
            _ if is_leaf => head.write_to_leaf(buffer, queues, header_len, total),
            Some(origin) => head.write_from_leaf(buffer, origin, queues, header_len, total),
            None => head.write(buffer, queues, header_len, total),
        }
        if trace::enabled() {
            self.trace_lines_out(&buffer[before..]);
            self.trace_payload_out(message.body, message.header_len);
        }
        buffer.extend_from_slice(message.body);
        buffer.extend_from_slice(b"\r\n");
        out.count(message.body.len());
        batch.count_sent(self.kind, message.body.len());
    }

    /// Sends a copy of a message to a neighbour, for the servers named in `stops`.
    pub(crate) fn forward(self: &Arc<Self>, message: &dag::Message<'_>, stops: &[u8], batch: &mut Batch) {
        let mut out = self.out.lock();
        if out.is_closing() {
            return;
        }
        let buffer = out.buffer();
        let before = buffer.len();
        message.write(buffer, stops);
        if trace::enabled() {
            let line = buffer.len() - message.body.len() - b"\r\n".len();
            self.trace_lines_out(&buffer[before..line]);
            self.trace_payload_out(message.body, message.header_len);
        }
        out.count(message.body.len());
        batch.count_sent(self.kind, message.body.len());
        self.appended(out, batch);
    }

    /// Something was appended: sees to it that it is written, and that it does not become too much.
    pub(crate) fn appended(self: &Arc<Self>, mut out: MutexGuard<'_, Outbound>, batch: &mut Batch) {
        out.active = batch.now();
        if out.flush_due() && out.flush(&self.limits) == Flushed::TooSlow {
            return;
        }
        if out.pending() > self.limits.stall_at {
            batch.stall();
        }
        if !std::mem::replace(&mut out.flush_owed, true) {
            batch.touch(self);
        }
    }

    /// Writes what was appended, as far as that is possible without waiting.
    pub(crate) fn flush(&self) {
        let mut out = self.out.lock();
        out.flush_owed = false;
        out.flush(&self.limits);
    }

    /// Ends the connection, after what waits to be sent if `reason` allows. The first reason counts.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.out.lock().close(reason);
    }

    /// Lets the task of the link look at what is new.
    pub(crate) fn wake(&self) {
        self.out.lock().wake();
    }

    /// This was agreed on with the server at the other end: what is appended from now on is compressed, or is not.
    pub(crate) fn agree_on_compression(&self, agreement: Agreement, mode: &Mode) {
        let status = match agreement {
            Agreement::Plain(status) => status,
            // Nobody has pinged yet; one round trip it took to come this far.
            _ => mode.level(agreement, self.started.elapsed()).map_or(Status::Off, Status::On),
        };
        self.out.lock().set_compression(status);
    }

    /// What is compressed of what is sent.
    pub(crate) fn compression(&self) -> Status {
        self.out.lock().compression()
    }

    /// The configuration says something else of compression. `true` if the connection has to be made anew for that.
    pub(crate) fn change_compression(&self, mode: &Mode) -> bool {
        let rtt = Duration::from_nanos(self.rtt.load(Relaxed));
        let mut out = self.out.lock();
        match mode.change(out.compression(), rtt) {
            Change::None => false,
            Change::Renegotiate => true,
            Change::Level(level) => {
                out.set_level(level);
                false
            }
        }
    }

    /// The connection to the same server that takes messages to `subject`. `None` if none may at the moment.
    pub(crate) fn carrier(self: &Arc<Self>, subject: &[u8]) -> Option<Arc<Self>> {
        let carriers = self.server.get().and_then(|server| server.carriers.as_ref());
        match carriers.map_or(Carrier::Usual, |carriers| carriers.of(subject)) {
            Carrier::Usual => Some(self.clone()),
            Carrier::Own(link) => Some(link),
            Carrier::Missing => None,
        }
    }

    /// Whether both are routes to the same server, or the same one.
    pub(crate) fn shares_server(&self, other: &Self) -> bool {
        let server = self.server.get().zip(other.server.get());
        std::ptr::eq(self, other) || server.is_some_and(|(this, other)| this.name == other.name)
    }

    /// Whether the connection ends or has ended.
    pub(crate) fn is_closing(&self) -> bool {
        self.out.lock().is_closing()
    }

    /// Now there was a message or a change of subscriptions.
    pub(crate) fn touch(&self, now: Instant) {
        self.active.store(now.saturating_duration_since(self.started).as_nanos() as u64, Relaxed);
    }
}
