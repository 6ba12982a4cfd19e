//! A route among the other connections: what the hub does for it, and it for the hub.

mod in_order;

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use natsd_core::compression::{Agreement, Level, Mode};
use natsd_core::encode;
use natsd_core::error;
use natsd_core::gateway::command::GOSSIP;
use natsd_core::gateway::reply::Mapped;
use natsd_core::route::CloseReason;
use natsd_core::route::dag::{MAX_HOPS, wire as dag};
use natsd_core::route::hello::RouteInfo;
use natsd_core::route::session::{Introduction, Slot};
use natsd_core::route::spread;
use natsd_core::route::wire::{Interest, Message, Op};
use natsd_core::subject;
use tokio::sync::mpsc;

use super::dag::{Copies, HopRoutes};
use super::interest::Announcer;
use super::protocol::{Broker, RouteProtocol};
use super::registry::{Clock, Command};
use super::spread::Spread;
use super::trace;
use crate::hub::account::Account;
use crate::hub::cache::MatchCache;
use crate::hub::msg_trace::{Arrival, Trace};
use crate::hub::publish::{Publisher, publish_routed, publish_to};
use crate::hub::remote::RemoteInterest;
use crate::hub::{Hub, InterestObserver};
use crate::link::batch::Batch;
use crate::link::{self, Kind, Link, PeerServer, task};
use crate::transport::Steering;

/// Interests of one peer beyond which it is taken for broken.
const MAX_INTERESTS: usize = 16 << 20;
/// Interests removed at a time when a route ends.
const UNWIND: usize = 1024;

/// What the task of a route runs.
pub(crate) struct RouteLink {
    protocol: RouteProtocol,
    commands: mpsc::Receiver<Command>,
    side: HubSide,
}

impl RouteLink {
    pub(crate) fn new(
        protocol: RouteProtocol,
        commands: mpsc::Receiver<Command>,
        link: Arc<Link>,
        hub: Arc<Hub>,
        announcer: Arc<Announcer>,
        steering: Option<Steering>,
    ) -> Self {
        let side = HubSide {
            link,
            hub,
            announcer,
            clock: protocol.clock(),
            steering,
            dedicated: None,
            spread: None,
            accounts: Vec::new(),
            remote: HashTable::new(),
            hasher: RandomState::default(),
        };
        Self { protocol, commands, side }
    }
}

impl task::Protocol for RouteLink {
    fn start(&mut self, batch: &mut Batch) {
        self.protocol.start(&mut self.side.with(batch));
    }

    fn handle_input(&mut self, input: &[u8], batch: &mut Batch) -> (usize, usize) {
        self.protocol.handle_input(input, &mut self.side.with(batch))
    }

    fn timeout(&self) -> Option<Instant> {
        self.protocol.timeout()
    }

    fn handle_timeout(&mut self, _now: Instant, batch: &mut Batch) {
        self.protocol.handle_timeout(&mut self.side.with(batch));
    }

    fn holds_input(&self) -> bool {
        self.protocol.is_checking()
    }

    fn begins_compression(&mut self) -> bool {
        self.protocol.begins_compression()
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, batch: &mut Batch) {
        self.protocol.poll_check(cx, &mut self.side.with(batch));
        while let Poll::Ready(command) = self.commands.poll_recv(cx) {
            let mut broker = self.side.with(batch);
            match command {
                Some(command) => {
                    self.protocol.handle_command(command, &mut broker);
                    // A comparison that has just begun is to wake this task.
                    self.protocol.poll_check(cx, &mut broker);
                }
                None => return broker.close(CloseReason::Stale),
            }
        }
    }

    fn unwind(&mut self) -> bool {
        self.side.unwind()
    }
}

/// The hub as seen from one route.
struct HubSide {
    link: Arc<Link>,
    hub: Arc<Hub>,
    announcer: Arc<Announcer>,
    clock: Clock,
    /// Until its place among the connections to the peer is known.
    steering: Option<Steering>,
    /// The account that the route is dedicated to.
    dedicated: Option<Box<[u8]>>,
    /// What it has in common with others that share out the same messages.
    spread: Option<Arc<Spread>>,
    /// Accounts that messages came for, the last one first.
    accounts: Vec<(Arc<Account>, MatchCache)>,
    remote: HashTable<(Arc<Account>, Arc<RemoteInterest>)>,
    hasher: RandomState,
}

impl HubSide {
    fn with<'a>(&'a mut self, batch: &'a mut Batch) -> InBatch<'a> {
        InBatch { side: self, batch }
    }

    fn account(&self, named: Option<&[u8]>) -> Option<Arc<Account>> {
        self.hub.accounts.of_peers(named.or(self.dedicated.as_deref())?)
    }

    fn hash(&self, account: &[u8], interest: Names<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        let (origin, subject, queue) = interest;
        for part in [account, origin.unwrap_or_default(), subject, queue.unwrap_or_default()] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
        hasher.finish()
    }

    fn hash_of(&self, (account, interest): &(Arc<Account>, Arc<RemoteInterest>)) -> u64 {
        self.hash(&account.name, (interest.origin(), interest.subject(), interest.queue()))
    }

    fn subscribe(&mut self, account: Arc<Account>, interest: &Interest<'_>) -> Result<(), CloseReason> {
        let hash = self.hash(&account.name, names(interest));
        if let Some((_, known)) = self.remote.find(hash, is(&account, interest)) {
            account.reweigh(known, interest.weight);
            return Ok(());
        }
        if self.remote.len() >= MAX_INTERESTS {
            log::error!("{} - more than {MAX_INTERESTS} interests", self.link.describe());
            return Err(CloseReason::ProtocolViolation);
        }
        let new = RemoteInterest::new(self.link.clone(), interest.subject, interest.queue, interest.weight);
        let new = Arc::new(new.of_leafs(interest.origin.map(Into::into)));
        account.add_remote(new.clone());
        let mut remote = std::mem::take(&mut self.remote);
        remote.insert_unique(hash, (account, new), |entry| self.hash_of(entry));
        self.remote = remote;
        self.count_interests();
        Ok(())
    }

    fn unsubscribe(&mut self, account: &Arc<Account>, interest: &Interest<'_>) {
        let hash = self.hash(&account.name, names(interest));
        if let Ok(entry) = self.remote.find_entry(hash, is(account, interest)) {
            let ((account, gone), _) = entry.remove();
            account.remove_remote(&gone);
            self.count_interests();
        }
    }

    fn count_interests(&self) {
        self.link.interests.store(self.remote.len() as u64, Relaxed);
    }

    fn unwind(&mut self) -> bool {
        self.announcer.close(&self.link);
        self.leave_class();
        if let Some(hops) = self.announcer.hops() {
            hops.link_down(&self.hub, &self.link);
        }
        for (account, gone) in self.remote.extract_if(|_| true).take(UNWIND) {
            account.remove_remote(&gone);
        }
        if self.remote.is_empty()
            && let Some(reason) = self.hub.deregister(&self.link, 0)
        {
            let remote = self.link.server.get().map(|server| format!(" - Remote: {}", server.name)).unwrap_or_default();
            log::info!("{} - Router connection closed: {reason}{remote}", self.link.describe());
        }
        self.remote.is_empty()
    }

    /// `hops` is how often it may be passed on, where servers do that.
    fn deliver(&mut self, message: &Message<'_>, hops: u8, batch: &mut Batch) {
        let is_known = self.enter(message, batch);
        batch.count_received(Kind::Route, message.body.len());
        if is_known {
            self.hand_out(message, hops, batch);
        }
    }

    /// What is done from now on is for the account of `message`. `false` if there is none of that name: accounts that are
    /// not here have nobody who listens.
    fn enter(&mut self, message: &Message<'_>, batch: &mut Batch) -> bool {
        let name = message.account.or(self.dedicated.as_deref());
        match self.accounts.iter().position(|(account, _)| Some(&*account.name) == name) {
            Some(0) => {}
            Some(at) => self.accounts.swap(0, at),
            None => match name.and_then(|name| self.hub.accounts.get(name)) {
                Some(account) => self.accounts.insert(0, (account, MatchCache::default())),
                None => {
                    batch.enter_none(&self.hub);
                    return false;
                }
            },
        }
        batch.enter(&self.accounts[0].0, &self.hub);
        true
    }

    /// Gives a message to all who are to get it in the account that was entered.
    fn hand_out(&mut self, message: &Message<'_>, hops: u8, batch: &mut Batch) {
        let (account, cache) = &mut self.accounts[0];
        let to_clients = encode::Message {
            subject: message.subject,
            reply: message.reply,
            header_len: message.header_len,
            body: message.body,
        };
        let (hub, link, announcer) = (&self.hub, &self.link, &self.announcer);
        if let Some(mapped) = Mapped::parse(message.subject)
            && let Some(ours) = hub.gateways.is_ours(&mapped)
        {
            if ours {
                let answer = encode::Message { subject: mapped.subject, ..to_clients };
                let from = Publisher { mapped: true, ..Publisher::new(hub, link, true) };
                publish_to(account, &answer, &from, batch);
                batch.settle(hub);
            }
            return;
        }
        let (queues, origin) = ((message.queues, message.queues_only), message.origin);
        let publish = |message: &encode::Message<'_>, trace: Option<&Trace>, batch: &mut Batch| {
            let mut scratch = std::mem::take(&mut batch.matches);
            let may = || announcer.may_import(message.subject);
            if let Some(matches) = cache.find_permitted(account, message.subject, &mut scratch, may) {
                let from = Publisher { trace, origin, hops, ..Publisher::new(hub, link, true) };
                publish_routed(account, message, queues, matches, &from, batch);
            }
            batch.matches = scratch;
        };
        Arrival { hub, link, account, permissions: None }.pass(&to_clients, batch, publish);
        batch.settle(hub);
    }
}

impl HubSide {
    /// A message came for servers of which this may be one.
    fn pass_on(&mut self, hops: &HopRoutes, message: &dag::Message<'_>, batch: &mut Batch) {
        let (mut copies, mut here) = (Copies::default(), None);
        for stop in message.stops() {
            if stop.node == hops.own() {
                here = Some(stop);
            } else if let Some(next) = hops.way(stop.node) {
                copies.add(next, stop.node, stop.plain, stop.queues);
            }
        }
        match here {
            Some(dag::Stop { plain, queues, .. }) => {
                let dag::Message { account, subject, reply, leafs: origin, header_len, body, .. } = *message;
                let (account, queues_only) = (Some(account), !plain);
                let own = Message { origin, account, subject, reply, queues, queues_only, header_len, body };
                self.deliver(&own, message.hops, batch);
            }
            None => self.count_stray(message.body.len(), batch),
        }
        copies.send(message, batch);
    }

    /// A message came for nobody who could be here.
    fn count_stray(&self, len: usize, batch: &mut Batch) {
        batch.enter_none(&self.hub);
        batch.count_received(Kind::Route, len);
    }
}

impl Drop for HubSide {
    /// The runtime may drop the task at shutdown: the connection is gone all the same.
    fn drop(&mut self) {
        self.link.close(error::CloseReason::ServerShutdown);
        self.link.outbound().hang_up();
        while !self.unwind() {}
    }
}

/// Whose interest it is, if that of leaf nodes, in what, and in which queue group.
type Names<'a> = (Option<&'a [u8]>, &'a [u8], Option<&'a [u8]>);

fn names<'a>(interest: &Interest<'a>) -> Names<'a> {
    (interest.origin, interest.subject, interest.queue)
}

fn is<'a>(
    account: &'a Arc<Account>,
    interest: &'a Interest<'_>,
) -> impl FnMut(&(Arc<Account>, Arc<RemoteInterest>)) -> bool + 'a {
    move |(known_account, known)| {
        let known = (known.origin(), known.subject(), known.queue());
        Arc::ptr_eq(known_account, account) && known == names(interest)
    }
}

/// The hub during a batch of the route.
struct InBatch<'a> {
    side: &'a mut HubSide,
    batch: &'a mut Batch,
}

impl Broker for InBatch<'_> {
    fn trace(&self, op: &Op<'_>) {
        if !link::trace::enabled() {
            return;
        }
        if let Some(operation) = trace::describe(op) {
            self.side.link.trace_in(&operation);
        }
        if let Op::Message(message) = op {
            self.side.link.trace_payload_in(message.body, message.header_len);
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        if link::trace::enabled() {
            self.side.link.trace_lines_out(bytes);
        }
        self.side.link.send(self.batch, |out| out.extend_from_slice(bytes));
    }

    fn open(&mut self, peer: &Introduction, configured: bool) {
        let side = &mut *self.side;
        if let Some(steer) = side.steering.take() {
            steer(&peer.slot);
        }
        if let Slot::Account(account) = &peer.slot {
            side.dedicated = Some(account.as_bytes().into());
            side.link.outbound().dedicated = true;
        }
        let server = PeerServer {
            name: peer.info.server_name.clone(),
            slot: peer.slot.clone(),
            traces: peer.info.traces_messages(),
            leaf_origins: peer.info.leaf_origins,
            queues_only: peer.info.queues_only,
            carriers: side.announcer.carriers(peer),
        };
        // A route is opened once.
        let _ = side.link.server.set(Box::new(server));
        side.hub.tell_joined(&side.link);
        log::info!("{} - Route connection created - Remote: {}", side.link.describe(), peer.info.server_name);
        side.announcer.open(&side.link, peer, configured, &side.hub.accounts.with_strangers());
        if let (Some(directory), Slot::Pool(0)) = (side.hub.gateways.directory(), &peer.slot) {
            directory.introduce(&side.link);
        }
        side.join_class(peer);
        if let Some(hops) = side.announcer.hops() {
            hops.link_up(&side.hub, &side.link, &peer.info.server_id);
        }
    }

    fn subscribe(&mut self, interest: Interest<'_>) -> Result<(), CloseReason> {
        if self.side.announcer.hops().is_some() {
            return Err(CloseReason::ProtocolViolation);
        }
        match self.side.account(interest.account) {
            Some(account)
                if subject::is_valid(interest.subject) && self.side.announcer.may_export(interest.subject) =>
            {
                self.side.subscribe(account, &interest)
            }
            _ => Ok(()),
        }
    }

    fn unsubscribe(&mut self, interest: Interest<'_>) {
        if let Some(account) = self.side.account(interest.account) {
            self.side.unsubscribe(&account, &interest);
        }
    }

    fn deliver(&mut self, message: Message<'_>) {
        if self.side.announcer.hops().is_some() {
            return self.close(CloseReason::ProtocolViolation);
        }
        match self.side.spread.clone() {
            None => self.side.deliver(&message, MAX_HOPS, self.batch),
            Some(spread) => self.side.deliver_in_order(&spread, &message, self.batch),
        }
    }

    fn hear_of_order(&mut self, op: spread::Op) -> Result<(), CloseReason> {
        self.side.hear_of_order(op, self.batch)
    }

    fn hear(&mut self, op: dag::Op<'_>) -> Result<(), CloseReason> {
        let Some(hops) = self.side.announcer.hops().cloned() else { return Err(CloseReason::ProtocolViolation) };
        if let dag::Op::Message(message) = op {
            self.side.pass_on(&hops, &message, self.batch);
            return Ok(());
        }
        hops.hear(&self.side.hub, &self.side.link, &op).map_err(|violation| {
            log::error!("{} - closed: {violation}", self.side.link.describe());
            CloseReason::ProtocolViolation
        })
    }

    fn retell(&mut self, peer: &Introduction) {
        let side = &*self.side;
        side.announcer.retell(&side.link, peer, &side.hub.accounts.with_strangers());
    }

    fn renew(&mut self) {
        let announcer = self.side.announcer.clone();
        for (account, gone) in self.side.remote.extract_if(|(_, known)| !announcer.may_export(known.subject())) {
            account.remove_remote(&gone);
        }
        self.side.count_interests();
    }

    fn hear_of_cluster(&mut self, info: &RouteInfo) {
        let side = &*self.side;
        match side.hub.gateways.own() {
            Some(_) if info.gateway_cmd == GOSSIP => {
                let urls: Vec<_> = info.gateway_urls.iter().chain(&info.scion_urls).cloned().collect();
                side.hub.gateways.hear_of(&info.gateway, &urls);
            }
            Some(_) => log::error!("{} - Unknown command {} about a gateway", side.link.describe(), info.gateway_cmd),
            None => log::error!(
                "{} - Received information about gateway {:?}, but gateway is not configured",
                side.link.describe(),
                info.gateway
            ),
        }
    }

    fn measured(&mut self, rtt: Duration) {
        self.side.link.rtt.store(rtt.as_nanos() as u64, Relaxed);
    }

    fn agreed(&mut self, agreement: Agreement, mode: &Mode) {
        self.side.link.agree_on_compression(agreement, mode);
    }

    fn set_level(&mut self, level: Level) {
        self.side.link.outbound().set_level(level);
    }

    fn close(&mut self, reason: CloseReason) {
        self.side.link.close(error::CloseReason::Route(reason));
    }
}
