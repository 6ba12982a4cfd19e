//! What all connections share: accounts with their subscriptions, the connections themselves, and what they add up to.

pub(crate) mod account;
pub(crate) mod accounts;
pub(crate) mod cache;
pub(crate) mod client_info;
pub(crate) mod gateways;
pub(crate) mod imports;
mod latency;
pub(crate) mod leafs;
pub(crate) mod matches;
pub(crate) mod msg_trace;
pub(crate) mod publish;
pub(crate) mod remote;
pub(crate) mod remote_latency;
mod responses;
pub(crate) mod service;
mod shadow;
#[cfg(test)]
pub(crate) mod stage;
pub(crate) mod stats;
pub(crate) mod subscription;
mod surplus;
mod system_imports;
mod trace_headers;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::{ArcSwap, Guard};
use natsd_api::ServerInfo;
use natsd_core::error::CloseReason;
use natsd_core::gateway::reply::Hash;
use natsd_core::route::interest::Change;
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use crate::config::options::{Options, WriteTimeout};
use crate::journal::Journal;
use crate::link::outbound::OutboundLimits;
use crate::link::{Kind, Link};
use crate::operators::Operators;
use crate::server::identity::{COMPATIBLE_VERSION, Identity};
use crate::server::listener::News;
use crate::system::events::Events;
use account::Account;
use accounts::Accounts;
use gateways::Gateways;
use stats::{Closed, ClosedLinks, Stats};
use subscription::Subscription;

/// Hears of changes of what clients of this server subscribe to. Called under the lock of the account, so in order.
pub(crate) trait InterestObserver: Send + Sync {
    /// Interest in `account` changed.
    fn changed(&self, account: &[u8], change: Change<'_>);
    /// Interest of leaf nodes of the cluster `origin`, that this server is the hub of, changed.
    fn changed_behind(&self, account: &[u8], origin: &[u8], change: Change<'_>);
    /// The connection to the server of this cluster that is known by `server` in the subjects of answers, over which `account`
    /// goes.
    fn route_to(&self, _server: Hash, _account: &[u8]) -> Option<Arc<Link>> {
        None
    }
    /// Tells each other server of this cluster something, once.
    fn tell_servers(&self, _line: &[u8]) {}
    /// Whether messages to `subject` may go to other servers. What it says may be remembered until
    /// [`Accounts::forget_matches`].
    fn may_export(&self, _subject: &[u8]) -> bool {
        true
    }
}

/// See the [module](self).
pub(crate) struct Hub {
    options: ArcSwap<Options>,
    /// Raised whenever `options` change.
    epoch: AtomicU64,
    /// When they did, or when the server started.
    loaded: Mutex<SystemTime>,
    pub identity: Identity,
    pub stats: Stats,
    pub started: SystemTime,
    /// What the task of the route manager, if there is one, wants to hear.
    pub observer: Arc<OnceLock<Arc<dyn InterestObserver>>>,
    /// What clients are told when it changes.
    pub news: watch::Sender<News>,
    /// Turns for comparing a password with its bcrypt hash: half of the cores are left to clients that are in.
    pub slow_checks: Arc<Semaphore>,
    /// Notified when a link is gone.
    pub left: Notify,
    pub accounts: Accounts,
    /// The other clusters.
    pub gateways: Arc<Gateways>,
    pub names_at_hubs: client_info::NamesAtHubs,
    /// What those who listen in the system account are told.
    pub events: Events,
    /// What those who ask `/eventz` are told.
    pub journal: Arc<Journal>,
    /// Set at the start, in operator mode.
    pub operators: OnceLock<Operators>,
    links: Mutex<HashMap<u64, Arc<Link>>>,
    clients: AtomicU64,
    closed: Mutex<ClosedLinks>,
    next_id: AtomicU64,
    /// Counts what this server tells of itself.
    told: AtomicU64,
}

impl Hub {
    pub(crate) fn new(options: Options, identity: Identity) -> Self {
        let observer = Arc::new(OnceLock::new());
        let gateways = Arc::new(Gateways::new(options.gateway.as_ref(), &identity.id));
        let accounts = Accounts::new(observer.clone(), gateways.clone());
        accounts.configure(&options.accounts, options.system_account.as_deref());
        Self {
            closed: Mutex::new(ClosedLinks::new(options.max_closed_clients)),
            options: ArcSwap::from_pointee(options),
            epoch: AtomicU64::new(0),
            loaded: Mutex::new(SystemTime::now()),
            identity,
            stats: Stats::default(),
            started: SystemTime::now(),
            observer,
            news: watch::Sender::new(News::default()),
            slow_checks: Arc::new(Semaphore::new(slow_checks_at_a_time())),
            left: Notify::new(),
            accounts,
            gateways,
            names_at_hubs: client_info::NamesAtHubs::default(),
            events: Events::default(),
            journal: Arc::new(Journal::new(SystemTime::now())),
            operators: OnceLock::new(),
            links: Mutex::default(),
            clients: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            told: AtomicU64::new(0),
        }
    }

    /// The options that hold now. Not to be kept: a reload brings others.
    pub(crate) fn options(&self) -> Guard<Arc<Options>> {
        self.options.load()
    }

    /// From now on other options hold.
    pub(crate) fn adopt(&self, options: Options) {
        let options = Arc::new(options);
        self.options.store(options.clone());
        self.accounts.configure(&options.accounts, options.system_account.as_deref());
        *self.loaded.lock() = SystemTime::now();
        // After the options: who sees the new number sees them, too.
        self.epoch.fetch_add(1, Release);
    }

    /// Something else that clients look at changed.
    pub(crate) fn raise_epoch(&self) {
        self.epoch.fetch_add(1, Release);
    }

    /// Changes whenever the options do; cheap enough to be asked for each read.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Acquire)
    }

    /// Since when the options hold.
    pub(crate) fn loaded(&self) -> SystemTime {
        *self.loaded.lock()
    }

    /// Who this server is, for the next thing that it tells.
    pub(crate) fn server_info(&self) -> ServerInfo {
        let options = self.options.load();
        ServerInfo {
            name: self.identity.name.clone(),
            host: options.client_host().to_owned(),
            id: self.identity.id.clone(),
            cluster: self.news.borrow().cluster.clone(),
            ver: COMPATIBLE_VERSION.into(),
            tags: options.server_tags.clone(),
            metadata: options.server_metadata.clone(),
            feature_flags: options.feature_flags.clone(),
            jetstream: false,
            flags: 0,
            seq: self.told.fetch_add(1, Relaxed) + 1,
            time: SystemTime::now().into(),
        }
    }

    /// Whether `account` is the one of the servers themselves.
    pub(crate) fn is_system(&self, account: &Account) -> bool {
        self.options.load().system_account.as_ref().is_some_and(|name| *name.as_bytes() == *account.name)
    }

    /// An id for a new connection.
    pub(crate) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    /// How much may wait for a connection of this kind, and how long.
    pub(crate) fn outbound_limits(&self, kind: Kind) -> OutboundLimits {
        let options = self.options.load();
        let max_pending = options.max_pending;
        let own = match kind {
            Kind::Route => options.cluster.as_ref().map(|it| (it.write_deadline, it.write_timeout)),
            Kind::Leaf => options.leafnodes.as_ref().map(|it| (it.write_deadline, it.write_timeout)),
            Kind::Gateway => options.gateway.as_ref().map(|it| (it.write_deadline, it.write_timeout)),
            Kind::Client | Kind::System => None,
        };
        let (deadline, policy) = own.unwrap_or((None, options.write_timeout));
        // What leaf nodes do not say, the server does; not so of routes.
        let of_server = kind == Kind::Leaf && policy == WriteTimeout::Default;
        let policy = if of_server { options.write_timeout } else { policy };
        OutboundLimits {
            max_pending,
            stall_at: if options.no_fast_producer_stall { usize::MAX } else { max_pending / 4 * 3 },
            write_deadline: deadline.unwrap_or(options.write_deadline),
            retry: match policy {
                WriteTimeout::Default => matches!(kind, Kind::Route | Kind::Leaf | Kind::Gateway),
                WriteTimeout::Close => false,
                WriteTimeout::Retry => true,
            },
        }
    }

    /// A connection is too slow, and stays all the same.
    pub(crate) fn count_slow(&self, link: &Link) {
        self.stats.slow_consumers.add(link.kind);
        self.journal.slow(link);
        if let Some(account) = &*link.account.load() {
            account.traffic.slow_consumers.fetch_add(1, Relaxed);
        }
    }

    /// A new connection. `false` if there are as many clients as there may be; it is registered all the same.
    pub(crate) fn register(&self, link: &Arc<Link>) -> bool {
        self.links.lock().insert(link.id, link.clone());
        if link.kind != Kind::Client {
            return true;
        }
        self.stats.clients.fetch_add(1, Relaxed);
        let clients = self.clients.fetch_add(1, Relaxed) + 1;
        self.options.load().max_connections.is_none_or(|max| clients <= max as u64)
    }

    /// A connection is gone, with so many subscriptions. Returns why, the first time it is called.
    pub(crate) fn deregister(&self, link: &Link, subscriptions: usize) -> Option<CloseReason> {
        self.links.lock().remove(&link.id)?;
        if link.kind == Kind::Client {
            self.clients.fetch_sub(1, Relaxed);
        }
        let reason = link.outbound().closing().cloned().unwrap_or(CloseReason::ClientClosed);
        if self.stats.count_close(link.kind, &reason)
            && let Some(account) = &*link.account.load()
        {
            account.traffic.slow_consumers.fetch_add(1, Relaxed);
        }
        if link.kind == Kind::Client {
            self.closed.lock().push(Closed::new(link, reason.clone(), subscriptions));
        }
        self.journal.gone(link, &reason, self.servers(link.kind));
        self.left.notify_waiters();
        Some(reason)
    }

    /// It is known who is at the other end of a connection to another server.
    pub(crate) fn tell_joined(&self, link: &Link) {
        self.journal.server_joined(link, self.servers(link.kind));
    }

    /// Connections of this kind to other servers; none to clients.
    fn servers(&self, kind: Kind) -> impl Iterator<Item = Arc<Link>> {
        let links = if kind == Kind::Client { Vec::new() } else { self.links() };
        links.into_iter().filter(move |link| link.kind == kind)
    }

    /// All connections, oldest first.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        let mut links: Vec<_> = self.links.lock().values().cloned().collect();
        links.sort_unstable_by_key(|link| link.id);
        links
    }

    /// The connection of this id.
    pub(crate) fn link(&self, id: u64) -> Option<Arc<Link>> {
        self.links.lock().get(&id).cloned()
    }

    /// Number of clients.
    pub(crate) fn client_count(&self) -> usize {
        self.clients.load(Relaxed) as usize
    }

    /// Clients that are gone, oldest first.
    pub(crate) fn closed(&self) -> Vec<Arc<Closed>> {
        self.closed.lock().list()
    }

    /// Ends a subscription of a client.
    pub(crate) fn unsubscribe(&self, subscription: &Arc<Subscription>) {
        subscription.link.subscriptions.lock().remove(subscription);
        subscription.account.unsubscribe(std::slice::from_ref(subscription));
    }
}

fn slow_checks_at_a_time() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1))
}
