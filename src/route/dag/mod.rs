//! Servers that are reached over others.
//!
//! [`natsd_core::route::dag`] knows the graph and everybody's interest. Here, each server that is reached, neighbours included, is a
//! [`Link`] without a connection ([`FarServer`]): the accounts have its interest under that link, so that matching and the weights of queue
//! groups are those of any cluster. A message for several such links leaves as one copy a neighbour ([`Copies`]).
//!
//! Locks, in this order: `far`, which keeps what is applied to accounts in order; then those of accounts, which call
//! [`HopRoutes::tell`] while they are held; then `state`, which is never held while an account is called.

mod copies;

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use natsd_core::route::cluster::LinkId;
use natsd_core::route::dag::graph::Record;
use natsd_core::route::dag::interest::Key;
use natsd_core::route::dag::{Dag, Event, Node, Violation, wire};
use natsd_core::route::interest::Change;
use natsd_core::route::session::Slot;
use natsd_core::route::wire::Interest;
use natsd_core::subject;
use parking_lot::Mutex;

use super::registry::Clock;
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::hub::remote::RemoteInterest;
use crate::link::outbound::{Outbound, Sink};
use crate::link::{Kind, Link, PeerServer};
use crate::transport::Peer;
pub(crate) use copies::Copies;

/// What makes a link that of a server that is reached over others.
pub(crate) struct FarServer {
    /// Which server.
    pub(crate) node: Node,
    /// The connection to the neighbour by which it is reached.
    pub(crate) next: ArcSwapOption<Link>,
}

/// The other servers of a cluster over several hops.
pub(crate) struct HopRoutes {
    own: Node,
    clock: Clock,
    far: Mutex<HashMap<Node, Far>>,
    state: Mutex<State>,
    /// The connection by which each server is reached.
    ways: ArcSwap<HashMap<Node, Arc<Link>>>,
    /// Names of the servers around a cycle.
    ring: ArcSwap<Vec<String>>,
}

struct State {
    dag: Dag,
    links: HashMap<LinkId, Arc<Link>>,
}

/// A server that is reached, and what accounts have of its interest.
struct Far {
    link: Arc<Link>,
    interests: HashMap<Arc<Key>, (Arc<Account>, Arc<RemoteInterest>)>,
}

/// What is left to do once `state` is free.
enum Effect {
    Way(Node, Option<(Arc<Link>, Box<str>)>),
    Interest(Node, Arc<Key>, u32),
    Ring(Vec<String>),
}

impl HopRoutes {
    /// Of the server of this id, which reaches nobody yet.
    pub(crate) fn new(server_id: &str, name: &str, clock: Clock) -> Self {
        let dag = Dag::new(server_id, name);
        Self {
            own: dag.own(),
            clock,
            far: Mutex::default(),
            state: Mutex::new(State { dag, links: HashMap::new() }),
            ways: ArcSwap::default(),
            ring: ArcSwap::default(),
        }
    }

    /// This server.
    pub(crate) fn own(&self) -> Node {
        self.own
    }

    /// Names of servers around a cycle, in order; empty if there is none.
    pub(crate) fn ring(&self) -> Arc<Vec<String>> {
        self.ring.load_full()
    }

    /// The connection by which a server is reached.
    pub(crate) fn way(&self, node: Node) -> Option<Arc<Link>> {
        self.ways.load().get(&node).cloned()
    }

    /// The links that stand for the servers that are reached.
    #[cfg(test)]
    pub(crate) fn far_links(&self) -> Vec<Arc<Link>> {
        self.far.lock().values().map(|far| far.link.clone()).collect()
    }

    /// There is a connection to the server of this id.
    pub(crate) fn link_up(&self, hub: &Hub, link: &Arc<Link>, server_id: &str) {
        let (id, now) = (LinkId(link.id), (self.clock)());
        let _ = self.drive(hub, |state| {
            state.links.insert(id, link.clone());
            state.dag.handle_link_up(id, server_id, now);
            Ok(())
        });
    }

    /// A connection is over.
    pub(crate) fn link_down(&self, hub: &Hub, link: &Link) {
        let (id, now) = (LinkId(link.id), (self.clock)());
        if !self.state.lock().links.contains_key(&id) {
            return;
        }
        let _ = self.drive(hub, |state| {
            state.links.remove(&id);
            state.dag.handle_link_down(id, now);
            Ok(())
        });
    }

    /// A neighbour tells something.
    ///
    /// # Errors
    ///
    /// What it did wrong.
    pub(crate) fn hear(&self, hub: &Hub, link: &Link, op: &wire::Op<'_>) -> Result<(), Violation> {
        let now = (self.clock)();
        self.drive(hub, |state| state.dag.handle(LinkId(link.id), op, now))
    }

    /// Interest here, or of leaf nodes of the cluster `leafs`, has changed. Called under the lock of the account.
    pub(crate) fn tell(&self, account: &[u8], leafs: Option<&[u8]>, change: Change<'_>) {
        let (subject, queue, weight) = match change {
            Change::Plain { subject, interested } => (subject, None, u32::from(interested)),
            Change::Queue { subject, queue, members } => (subject, Some(queue), members),
        };
        let interest = Interest { origin: leafs, account: Some(account), subject, queue, weight };
        let mut state = self.state.lock();
        state.dag.handle_own(&interest);
        // Nothing comes of it but lines for neighbours.
        state.carry_out();
    }

    /// Forgets servers that have not been reached for long.
    pub(crate) fn forget_lost(&self, hub: &Hub) {
        let now = (self.clock)();
        let _ = self.drive(hub, |state| {
            state.dag.handle_timeout(now);
            Ok(())
        });
    }

    fn drive(&self, hub: &Hub, know: impl FnOnce(&mut State) -> Result<(), Violation>) -> Result<(), Violation> {
        let mut far = self.far.lock();
        let mut state = self.state.lock();
        let result = know(&mut state);
        let effects = state.carry_out();
        drop(state);
        self.apply(&mut far, hub, effects);
        result
    }

    fn apply(&self, far: &mut HashMap<Node, Far>, hub: &Hub, effects: Vec<Effect>) {
        let mut ways = None;
        for effect in effects {
            match effect {
                Effect::Way(node, way) => {
                    let ways = ways.get_or_insert_with(|| (**self.ways.load()).clone());
                    if let Some((next, name)) = way {
                        ways.insert(node, next.clone());
                        let known = far.entry(node).or_insert_with(|| Far::new(hub, node, &name));
                        known.lead_by(Some(next));
                    } else {
                        ways.remove(&node);
                        if let Some(gone) = far.remove(&node) {
                            gone.withdraw();
                        }
                    }
                }
                Effect::Interest(node, key, members) => {
                    if let Some(far) = far.get_mut(&node) {
                        far.set(hub, key, members);
                    }
                }
                Effect::Ring(names) => self.report_ring(names),
            }
        }
        if let Some(ways) = ways {
            self.ways.store(Arc::new(ways));
        }
    }

    fn report_ring(&self, names: Vec<String>) {
        if names.is_empty() {
            log::info!("Routes form no ring any more");
        } else {
            let around: Vec<_> = names.iter().map(|name| name.escape_debug().to_string()).collect();
            log::warn!(
                "Routes form a ring: {}. Messages take the shortest way, and another one when that breaks; remove one of these \
                 routes if there is to be one way alone",
                around.join(", ")
            );
        }
        self.ring.store(Arc::new(names));
    }
}

impl State {
    /// Puts lines for neighbours in line, and gives what else there is to be done.
    fn carry_out(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(event) = self.dag.poll_event() {
            match event {
                Event::Send(link, lines) => {
                    if let Some(link) = self.links.get(&link) {
                        link.send_soon(|out| out.extend_from_slice(&lines));
                    }
                }
                Event::Way(node, link) => {
                    let next = link.and_then(|link| self.links.get(&link).cloned());
                    effects.push(Effect::Way(node, next.map(|next| (next, self.name(node)))));
                }
                Event::Interest(node, key, members) => effects.push(Effect::Interest(node, key, members)),
                Event::Ring(nodes) => {
                    effects.push(Effect::Ring(nodes.into_iter().map(|node| self.name(node).into()).collect()));
                }
            }
        }
        effects
    }

    fn name(&self, node: Node) -> Box<str> {
        self.dag.record(node).map(|Record { name, .. }| name.clone()).unwrap_or_default()
    }
}

impl Far {
    fn new(hub: &Hub, node: Node, name: &str) -> Self {
        let nowhere = Peer::Tcp(([0, 0, 0, 0], 0).into());
        let (out, limits) = (Outbound::new(Sink::Gone), hub.outbound_limits(Kind::Route));
        let link = Link::new(hub.next_id(), Kind::Route, nowhere, None, out, limits);
        let _ = link.far.set(Box::new(FarServer { node, next: ArcSwapOption::empty() }));
        let server = PeerServer {
            name: name.into(),
            slot: Slot::Pool(0),
            traces: true,
            leaf_origins: true,
            queues_only: true,
            carriers: None,
        };
        let _ = link.server.set(Box::new(server));
        Self { link: Arc::new(link), interests: HashMap::new() }
    }

    fn lead_by(&self, next: Option<Arc<Link>>) {
        if let Some(far) = self.link.far.get() {
            far.next.store(next);
        }
    }

    fn set(&mut self, hub: &Hub, key: Arc<Key>, members: u32) {
        if members == 0 {
            if let Some((account, gone)) = self.interests.remove(&key) {
                account.remove_remote(&gone);
            }
            return;
        }
        if let Some((account, known)) = self.interests.get(&key) {
            return account.reweigh(known, members);
        }
        let Some(account) = hub.accounts.of_peers(&key.account).filter(|_| subject::is_valid(&key.subject)) else {
            return;
        };
        let new = RemoteInterest::new(self.link.clone(), &key.subject, key.queue.as_deref(), members);
        let new = Arc::new(new.of_leafs(key.leafs.as_deref().map(Into::into)));
        account.add_remote(new.clone());
        self.interests.insert(key, (account, new));
    }

    /// The server is not reached any more.
    fn withdraw(self) {
        self.lead_by(None);
        for (account, gone) in self.interests.into_values() {
            account.remove_remote(&gone);
        }
    }
}
