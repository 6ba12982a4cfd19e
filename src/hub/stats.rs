//! What monitoring counts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use natsd_core::connect::Settings;
use natsd_core::error::CloseReason;

use crate::link::batch::Tally;
use crate::link::{Kind, Link};
use crate::operators::Pass;
use crate::tls::Facts;
use crate::transport::Peer;

/// Sums over the life of the server.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    /// Clients that ever connected.
    pub clients: AtomicU64,
    pub received: Totals,
    pub sent: Totals,
    pub slow_consumers: ByKind,
    pub stale_connections: ByKind,
    pub stalled: AtomicU64,
}

/// Messages and bytes in one direction; those of clients, of leaf connections and of other clusters also apart.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub msgs: AtomicU64,
    pub bytes: AtomicU64,
    pub client_msgs: AtomicU64,
    pub client_bytes: AtomicU64,
    pub leaf_msgs: AtomicU64,
    pub leaf_bytes: AtomicU64,
    pub gateway_msgs: AtomicU64,
    pub gateway_bytes: AtomicU64,
}

impl Totals {
    pub(crate) fn add(&self, tally: &Tally) {
        self.msgs.fetch_add(tally.msgs, Relaxed);
        self.bytes.fetch_add(tally.bytes, Relaxed);
        if tally.client_msgs > 0 {
            self.client_msgs.fetch_add(tally.client_msgs, Relaxed);
            self.client_bytes.fetch_add(tally.client_bytes, Relaxed);
        }
        if tally.leaf_msgs > 0 {
            self.leaf_msgs.fetch_add(tally.leaf_msgs, Relaxed);
            self.leaf_bytes.fetch_add(tally.leaf_bytes, Relaxed);
        }
        if tally.gateway_msgs > 0 {
            self.gateway_msgs.fetch_add(tally.gateway_msgs, Relaxed);
            self.gateway_bytes.fetch_add(tally.gateway_bytes, Relaxed);
        }
    }
}

impl Stats {
    /// A connection of this kind ended. Returns whether it was too slow.
    pub(crate) fn count_close(&self, kind: Kind, reason: &CloseReason) -> bool {
        match reason {
            CloseReason::SlowConsumerPendingBytes | CloseReason::SlowConsumerWriteDeadline => {
                self.slow_consumers.add(kind);
                true
            }
            CloseReason::Stale => {
                self.stale_connections.add(kind);
                false
            }
            _ => false,
        }
    }
}

/// A count for each kind of connection.
#[derive(Debug, Default)]
pub(crate) struct ByKind {
    clients: AtomicU64,
    routes: AtomicU64,
    leafs: AtomicU64,
    gateways: AtomicU64,
}

impl ByKind {
    pub(crate) fn of(&self, kind: Kind) -> u64 {
        self.counter(kind).map_or(0, |counter| counter.load(Relaxed))
    }

    pub(crate) fn total(&self) -> u64 {
        [Kind::Client, Kind::Route, Kind::Leaf, Kind::Gateway].into_iter().map(|kind| self.of(kind)).sum()
    }

    pub(super) fn add(&self, kind: Kind) {
        if let Some(counter) = self.counter(kind) {
            counter.fetch_add(1, Relaxed);
        }
    }

    fn counter(&self, kind: Kind) -> Option<&AtomicU64> {
        match kind {
            Kind::Client => Some(&self.clients),
            Kind::Route => Some(&self.routes),
            Kind::Leaf => Some(&self.leafs),
            Kind::Gateway => Some(&self.gateways),
            Kind::System => None,
        }
    }
}

/// A client that is gone.
pub(crate) struct Closed {
    pub id: u64,
    pub peer: Peer,
    /// It came over WebSocket.
    pub websocket: bool,
    pub started_at: SystemTime,
    pub ended_at: SystemTime,
    /// From its start to its last message.
    pub active: Duration,
    pub rtt: Duration,
    pub reason: CloseReason,
    pub settings: Option<Box<Settings>>,
    /// Name of its account; empty if it never said who it was.
    pub account: String,
    /// Name of the user, or empty.
    pub user: String,
    /// What its token granted it, if it came with one.
    pub pass: Option<Arc<Pass>>,
    /// Key of the trusted proxy that vouched for it.
    pub proxy: Option<Box<str>>,
    pub tls: Option<Box<Facts>>,
    pub received: (u64, u64),
    pub sent: (u64, u64),
    pub stalls: u64,
    /// How many there were at the end.
    pub subscriptions: usize,
}

impl Closed {
    pub(crate) fn new(link: &Link, reason: CloseReason, subscriptions: usize) -> Self {
        let (sent, last) = {
            let out = link.outbound();
            ((out.msgs, out.bytes), out.active.map(|at| at.saturating_duration_since(link.started)))
        };
        Self {
            id: link.id,
            peer: link.peer(),
            websocket: link.is_websocket(),
            started_at: link.started_at,
            ended_at: SystemTime::now(),
            active: Duration::from_nanos(link.active.load(Relaxed)).max(last.unwrap_or_default()),
            rtt: Duration::from_nanos(link.rtt.load(Relaxed)),
            reason,
            settings: link.settings.lock().clone(),
            account: link.account_name(),
            proxy: link.proxy.lock().clone(),
            user: link.user.load().as_ref().map(|user| user.name.clone()).unwrap_or_default(),
            pass: link.pass.load_full(),
            tls: link.tls.get().cloned(),
            received: (link.received.msgs.load(Relaxed), link.received.bytes.load(Relaxed)),
            sent,
            stalls: link.stalls.load(Relaxed),
            subscriptions,
        }
    }
}

/// The last clients that are gone.
pub(crate) struct ClosedLinks {
    max: usize,
    links: VecDeque<Arc<Closed>>,
}

impl ClosedLinks {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, links: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, closed: Closed) {
        if self.links.len() >= self.max {
            self.links.pop_front();
        }
        if self.max > 0 {
            self.links.push_back(Arc::new(closed));
        }
    }

    pub(crate) fn list(&self) -> Vec<Arc<Closed>> {
        self.links.iter().cloned().collect()
    }
}

/// What passed in an account since the start.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub received: Totals,
    pub sent: Totals,
    pub slow_consumers: AtomicU64,
}

/// What monitoring tells of the subscriptions of an account.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub inserts: AtomicU64,
    pub removes: AtomicU64,
    /// Subjects looked up; those that a connection remembers are not.
    pub matches: AtomicU64,
}
