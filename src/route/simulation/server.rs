//! One server: its hub, its end of each connection, its clients.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Waker};
use std::time::Duration;

use natsd_core::compression::Mode;
use natsd_core::encode::Message;
use natsd_core::error::CloseReason;
use natsd_core::route::cluster::{Cluster, Config, Dial, LinkId};
use natsd_path::{Refinement, Wishes};

use super::super::dag::HopRoutes;
use super::super::gate::{Gate, Terms};
use super::super::interest::Announcer;
use super::super::link::RouteLink;
use super::super::protocol::RouteProtocol;
use super::super::registry::Registry;
use super::super::{Class, FIRST_PING, Surroundings, classes, dedicated, own_info, shared_accounts};
use crate::config::options::{ClusterOptions, Options, RouteType, ScionOptions};
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::hub::publish::{Publisher, publish_to};
use crate::hub::subscription::Subscription;
use crate::link::batch::Batch;
use crate::link::outbound::{Outbound, OutboundLimits, Sink};
use crate::link::task::Protocol;
use crate::link::{Kind, Link};
use crate::server::identity::Identity;
use crate::transport::Peer;
use natsd_core::route::session::Timing;

/// The accounts that all servers have. In a pool of three each has a connection of its own.
pub(super) static ACCOUNTS: [&str; 3] = ["A", "B", "C"];
/// Of the subjects with connections of their own, those with two of them.
pub(super) const SPREAD: &str = "b";
/// Where each server takes routes.
pub(super) const PORT: u16 = 6222;

const LIMITS: OutboundLimits = OutboundLimits {
    max_pending: 64 << 20,
    stall_at: usize::MAX,
    write_deadline: Duration::from_secs(3600),
    retry: false,
};
const TIMING: Timing = Timing {
    handshake: Duration::from_secs(5),
    first_ping: FIRST_PING,
    ping_interval: Duration::from_secs(30),
    ping_max: 2,
};

/// A client with one subscription.
pub(super) struct Subscriber {
    pub(super) subscription: Arc<Subscription>,
    link: Arc<Link>,
}

/// The server's end of a connection.
struct End {
    link: Arc<Link>,
    route: RouteLink,
    unread: Vec<u8>,
    needed: usize,
    batch: Batch,
}

/// What a server did to one of its connections.
pub(super) struct Output {
    pub(super) link: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) closed: bool,
}

pub(super) struct Server {
    pub(super) hub: Arc<Hub>,
    registry: Arc<Registry>,
    announcer: Arc<Announcer>,
    publisher: Arc<Link>,
    ends: BTreeMap<u64, End>,
    pub(super) subscribers: BTreeMap<u64, Subscriber>,
    batch: Batch,
    /// Time of the simulation at which it began.
    began: Duration,
}

/// How the connections to a server are shared out.
pub(super) struct Sharing<'a> {
    pub(super) pool_size: Option<u16>,
    /// Accounts with connections of their own.
    pub(super) accounts: &'a [&'a str],
    /// Subjects with connections of their own.
    pub(super) classes: &'a [&'a str],
    pub(super) route_type: RouteType,
}

impl Server {
    /// `clock` tells nanoseconds; no server had this `id` before. The configured `routes` are only counted here.
    pub(super) fn new(
        (name, id): (&str, &str),
        clock: &Arc<AtomicU64>,
        routes: usize,
        Sharing { pool_size, accounts, classes: subjects, route_type }: Sharing<'_>,
        seed: u64,
    ) -> Self {
        let own = accounts.iter().map(|account| (*account).to_owned()).collect();
        let class = |pattern: &&str| {
            let spread = 1 + u16::from(SPREAD == *pattern);
            ((*pattern).to_owned(), natsd_path::Class { wanted: Refinement::default(), spread })
        };
        let subjects = subjects.iter().map(class).collect();
        let wishes = Wishes { subjects, ..Wishes::default() };
        let name_of_all = Some("c".into());
        let cluster =
            ClusterOptions { name: name_of_all, pool_size, accounts: own, route_type, ..ClusterOptions::default() };
        let accounts = natsd_auth::account::AccountSpec::named;
        let options = Options {
            server_name: Some(name.into()),
            accounts: ACCOUNTS.map(accounts).into(),
            cluster: Some(cluster.clone()),
            scion: Some(ScionOptions { wishes, ..ScionOptions::default() }),
            ..Options::default()
        };
        let identity = Identity { id: id.into(), name: name.into(), ..some_identity().clone() };
        let hub = Arc::new(Hub::new(options, identity));
        let info = own_info(&hub, &cluster, Some((String::new(), PORT)), &Surroundings::default());
        let dedicated = dedicated(&hub, &cluster);
        let config = Config {
            info,
            routes,
            pool_size: cluster.pool(),
            dedicated: dedicated.clone(),
            classes: classes(&hub, &cluster).iter().map(Class::told).collect(),
            shared: shared_accounts(&hub),
            advertise: true,
            connect_retries: cluster.connect_retries,
            connect_backoff: cluster.connect_backoff,
            passive: false,
            dag: cluster.is_dag(),
            seed,
        };
        let began = Duration::from_nanos(clock.load(Relaxed));
        let clock_of = || {
            let clock = clock.clone();
            Arc::new(move || Duration::from_nanos(clock.load(Relaxed)) - began)
        };
        let hops = cluster.is_dag().then(|| Arc::new(HopRoutes::new(id, name, clock_of())));
        let gate = Gate::new(Terms::of(&cluster), hub.slow_checks.clone());
        let registry = Arc::new(Registry::new(gate, Mode::Off, clock_of(), |now| Cluster::new(config, now)));
        let announcer = Arc::new(Announcer::new(cluster.pool(), dedicated, None).over(hops));
        announcer.set_classes(classes(&hub, &cluster));
        let _ = hub.observer.set(announcer.clone());
        announcer.begin(&hub.accounts.with_strangers());
        let publisher = client(&hub);
        let (ends, subscribers) = Default::default();
        Self { hub, registry, announcer, publisher, ends, subscribers, batch: Batch::default(), began }
    }

    pub(super) fn account(&self, index: usize) -> Arc<Account> {
        self.hub.accounts.get(ACCOUNTS[index].as_bytes()).expect("it is configured")
    }

    /// The next connection that it wants, or when it will want one.
    pub(super) fn poll_dial(&self) -> Result<Dial, Option<Duration>> {
        self.registry.poll_dial().map_err(|due| due.map(|due| self.began + due))
    }

    /// A dial led nowhere.
    pub(super) fn fail_dial(&self, dial: &Dial) {
        self.registry.drive(None, |cluster, now| cluster.handle_dial_failed(dial.id, false, now));
    }

    /// A connection is there, to or from the server at `host`.
    pub(super) fn connect(&mut self, host: [u8; 4], dial: Option<Dial>) -> u64 {
        let peer = Peer::Tcp((host, PORT).into());
        let id = self.hub.next_id();
        let link = Arc::new(Link::new(id, Kind::Route, peer, None, Outbound::new(Sink::Task), LIMITS));
        self.hub.register(&link);
        let commands = self.registry.enrol(LinkId(id));
        let (registry, observed) = (self.registry.clone(), Some(peer.host()));
        let protocol = match dial {
            Some(dial) => RouteProtocol::dialer(registry, LinkId(id), TIMING, observed, dial, None),
            None => RouteProtocol::acceptor(registry, LinkId(id), TIMING, observed, false),
        };
        let route = RouteLink::new(protocol, commands, link.clone(), self.hub.clone(), self.announcer.clone(), None);
        let mut end = End { link, route, unread: Vec::new(), needed: 1, batch: Batch::default() };
        end.route.start(&mut end.batch);
        self.ends.insert(id, end);
        id
    }

    /// Bytes have come.
    pub(super) fn receive(&mut self, link: u64, bytes: &[u8]) {
        let Some(end) = self.ends.get_mut(&link) else { return };
        end.unread.extend_from_slice(bytes);
        if end.unread.len() >= end.needed {
            let (taken, needed) = end.route.handle_input(&end.unread, &mut end.batch);
            end.unread.drain(..taken);
            end.needed = needed;
        }
        end.batch.finish(&self.hub, &end.link);
    }

    /// A connection has ended.
    pub(super) fn hang_up(&mut self, link: u64) {
        if let Some(end) = self.ends.get(&link) {
            end.link.close(CloseReason::ClientClosed);
        }
    }

    /// When time alone does something to a connection.
    pub(super) fn next_timeout(&self) -> Option<Duration> {
        let timeouts = self.ends.values().filter_map(|end| end.route.timeout());
        timeouts.min().map(|due| self.began + self.registry.since_start(due))
    }

    /// Does what is due, and all that others want of the connections.
    pub(super) fn work(&mut self, now: Duration) -> Vec<Output> {
        let mut context = Context::from_waker(Waker::noop());
        if let Some(hops) = self.announcer.hops() {
            hops.forget_lost(&self.hub);
        }
        let now = self.registry.instant(now - self.began);
        for end in self.ends.values_mut() {
            if end.route.timeout().is_some_and(|due| due <= now) {
                end.route.handle_timeout(now, &mut end.batch);
            }
            end.batch.finish(&self.hub, &end.link);
        }
        let mut output = Vec::new();
        loop {
            for end in self.ends.values_mut() {
                end.route.poll_commands(&mut context, &mut end.batch);
                end.batch.finish(&self.hub, &end.link);
            }
            let before = output.len();
            for (&link, end) in &mut self.ends {
                let mut out = end.link.outbound();
                let (bytes, closed) = (std::mem::take(out.buffer()), out.is_closing());
                if !bytes.is_empty() || closed {
                    output.push(Output { link, bytes, closed });
                }
            }
            for gone in output[before..].iter().filter(|output| output.closed) {
                if let Some(mut end) = self.ends.remove(&gone.link) {
                    while !end.route.unwind() {}
                }
            }
            if output.len() == before {
                return output;
            }
        }
    }

    pub(super) fn subscribe(&mut self, id: u64, account: usize, subject: &str, queue: Option<&str>) {
        let (link, account) = (client(&self.hub), self.account(account));
        link.account.store(Some(account.clone()));
        let queue = queue.map(str::as_bytes);
        let sid = id.to_string();
        let subscription =
            Arc::new(Subscription::new(link.clone(), account.clone(), subject.as_bytes(), queue, sid.as_bytes()));
        account.subscribe(subscription.clone());
        self.subscribers.insert(id, Subscriber { subscription, link });
    }

    pub(super) fn unsubscribe(&mut self, id: u64) {
        if let Some(gone) = self.subscribers.remove(&id) {
            gone.subscription.account.unsubscribe(std::slice::from_ref(&gone.subscription));
        }
    }

    pub(super) fn publish(&mut self, account: usize, subject: &str, body: &str) {
        let account = self.account(account);
        let message = Message { subject: subject.as_bytes(), reply: None, header_len: 0, body: body.as_bytes() };
        publish_to(&account, &message, &Publisher::new(&self.hub, &self.publisher, true), &mut self.batch);
        self.batch.finish(&self.hub, &self.publisher);
    }

    /// What its clients have got since: the number of the subscription, and the message.
    pub(super) fn delivered(&mut self) -> Vec<(u64, u64)> {
        let mut delivered = Vec::new();
        for (&id, subscriber) in &self.subscribers {
            let bytes = std::mem::take(subscriber.link.outbound().buffer());
            let text = String::from_utf8(bytes).expect("the messages of this game are text");
            // A line says what it is, the next one holds the number of the message.
            let bodies = text.lines().skip(1).step_by(2);
            delivered.extend(bodies.map(|body| (id, body.parse().expect("a number"))));
        }
        delivered
    }

    /// The links that interest of other servers is known under.
    pub(super) fn sources(&self) -> Vec<Arc<Link>> {
        self.announcer.hops().map_or_else(|| self.routes(), |hops| hops.far_links())
    }

    /// Servers that it has all connections to.
    pub(super) fn routes(&self) -> Vec<Arc<Link>> {
        self.ends.values().map(|end| end.link.clone()).filter(|link| link.server.get().is_some()).collect()
    }
}

fn client(hub: &Hub) -> Arc<Link> {
    let peer = Peer::Tcp(([127, 0, 0, 1], 1).into());
    Arc::new(Link::new(hub.next_id(), Kind::Client, peer, None, Outbound::new(Sink::Task), LIMITS))
}

/// Its keys are of no interest, and take their time to be made.
fn some_identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| Identity::generate(&Options::default()))
}
