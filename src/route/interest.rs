//! Tells peers what clients of this server subscribe to.

use std::sync::Arc;

use arc_swap::ArcSwap;
use natsd_auth::RoutePermissions;
use natsd_core::gateway::reply::Hash;
use natsd_core::route::dedicated::Dedicated;
use natsd_core::route::interest::{Change, pool_slot};
use natsd_core::route::session::{Introduction, Slot};
use parking_lot::RwLock;

use super::classes::{Carriers, Class, Classes};
use super::dag::HopRoutes;
use super::status::RouteStatus;
use crate::hub::InterestObserver;
use crate::hub::account::Account;
use crate::hub::gateways::hash;
use crate::link::Link;

/// The open routes, and which accounts each carries.
pub(crate) struct Announcer {
    pool: ArcSwap<Pool>,
    classes: ArcSwap<Classes>,
    routes: RwLock<Vec<OpenRoute>>,
    rules: ArcSwap<Rules>,
    /// Where all servers hear of it, over whatever hops.
    hops: Option<Arc<HopRoutes>>,
}

/// How accounts are shared out over the connections to a peer.
struct Pool {
    size: u16,
    dedicated: Dedicated,
}

/// Which subjects may pass.
#[derive(Default)]
struct Rules {
    now: Option<RoutePermissions>,
    /// Those that held before, until peers know all that these change.
    before: Option<Option<RoutePermissions>>,
}

fn may_import(permissions: &Option<RoutePermissions>, subject: &[u8]) -> bool {
    permissions.as_ref().is_none_or(|permissions| permissions.may_import(subject))
}

impl Rules {
    /// Whether peers are to hear of `change`: of an end also if they may still know of the beginning.
    fn let_pass(&self, change: Change<'_>) -> bool {
        let gone = matches!(change, Change::Plain { interested: false, .. } | Change::Queue { members: 0, .. });
        let known = || self.before.as_ref().is_some_and(|before| may_import(before, change.subject()));
        may_import(&self.now, change.subject()) || (gone && known())
    }
}

struct OpenRoute {
    link: Arc<Link>,
    peer: Introduction,
    /// What the peer is known by in the subjects of answers.
    known_by: Hash,
    configured: bool,
}

impl OpenRoute {
    fn status(&self) -> RouteStatus {
        RouteStatus {
            link: self.link.clone(),
            remote_id: self.peer.info.server_id.clone(),
            remote_name: self.peer.info.server_name.clone(),
            did_solicit: self.peer.solicited,
            is_configured: self.configured,
            import: self.peer.info.import.clone(),
            export: self.peer.info.export.clone(),
            slot: self.peer.slot.clone(),
        }
    }
}

impl Announcer {
    /// `pool_size` is our own; it decides where our interest goes, whatever the size that the peer uses for its own.
    pub(crate) fn new(pool_size: Option<u16>, dedicated: Dedicated, permissions: Option<RoutePermissions>) -> Self {
        let rules = ArcSwap::from_pointee(Rules { now: permissions, before: None });
        let pool = ArcSwap::from_pointee(Pool { size: pool_size.unwrap_or(0), dedicated });
        let classes = ArcSwap::from_pointee(Classes::new(Vec::new()));
        Self { pool, classes, routes: RwLock::default(), rules, hops: None }
    }

    /// From now on these messages have connections of their own, where peers agree. To be
    /// said before the connections are made anew for it. Returns whether there were others before.
    pub(crate) fn set_classes(&self, classes: Vec<Class>) -> bool {
        let new = Classes::new(classes);
        let differ = !self.classes.load().are_those_of(&new);
        if differ {
            self.classes.store(Arc::new(new));
        }
        differ
    }

    /// The connections to this peer that subjects have to themselves.
    pub(crate) fn carriers(&self, peer: &Introduction) -> Option<Arc<Carriers>> {
        self.classes.load().carriers(&peer.info.server_id)
    }

    /// From now on all servers hear of it that are reached, over whatever hops; first of all that there is, which comes with
    /// [`begin`](Self::begin).
    pub(crate) fn over(self, hops: Option<Arc<HopRoutes>>) -> Self {
        Self { hops, ..self }
    }

    /// The servers that are reached over others, if any are.
    pub(crate) fn hops(&self) -> Option<&Arc<HopRoutes>> {
        self.hops.as_ref()
    }

    /// All servers hear of what there is already. To be called when changes are heard of; those may come twice.
    pub(crate) fn begin(&self, accounts: &[Arc<Account>]) {
        if self.hops.is_some() {
            for account in accounts {
                account.local_interest(|change| self.changed(&account.name, change));
                account.interest_behind_leafs(|origin, change| self.changed_behind(&account.name, origin, change));
            }
        }
    }

    /// From now on accounts are shared out so. To be said before the connections are made anew for it.
    pub(crate) fn set_pool(&self, pool_size: Option<u16>, dedicated: Dedicated) {
        self.pool.store(Arc::new(Pool { size: pool_size.unwrap_or(0), dedicated }));
    }

    /// Whether messages to `subject` are taken from other servers.
    pub(crate) fn may_import(&self, subject: &[u8]) -> bool {
        may_import(&self.rules.load().now, subject)
    }

    /// From now on only what these `permissions` allow may pass. Peers are told of what they may know of local interest
    /// now and might not before, and the other way round.
    pub(crate) fn set_permissions(&self, permissions: Option<RoutePermissions>, accounts: &[Arc<Account>]) {
        let before = self.rules.load().now.clone();
        self.rules.store(Arc::new(Rules { now: permissions.clone(), before: Some(before.clone()) }));
        for account in accounts {
            account.local_interest(|change| {
                let was = may_import(&before, change.subject());
                match (was, may_import(&permissions, change.subject())) {
                    (false, true) => self.tell(&account.name, change),
                    (true, false) => self.tell(&account.name, change.ended()),
                    _ => {}
                }
            });
        }
        self.rules.store(Arc::new(Rules { now: permissions, before: None }));
    }

    fn tell(&self, account: &[u8], change: Change<'_>) {
        if let Some(hops) = &self.hops {
            return hops.tell(account, None, change);
        }
        for route in self.routes.read().iter().filter(|route| self.carries(&route.peer, account)) {
            route.link.send_soon(|out| change.write(out, named(&route.peer.slot, account)));
        }
    }

    /// From now on `link` is told of changes, and of all there is: changes may arrive twice, but none is missed.
    pub(crate) fn open(&self, link: &Arc<Link>, peer: &Introduction, configured: bool, accounts: &[Arc<Account>]) {
        let known_by = hash(&peer.info.server_id);
        self.routes.write().push(OpenRoute { link: link.clone(), peer: peer.clone(), known_by, configured });
        self.tell_all(link, peer, accounts);
    }

    /// `link`, which is open, has a peer that heeds other interest than before: tells it all there is.
    pub(crate) fn retell(&self, link: &Arc<Link>, peer: &Introduction, accounts: &[Arc<Account>]) {
        if let Some(route) = self.routes.write().iter_mut().find(|route| Arc::ptr_eq(&route.link, link)) {
            route.peer = peer.clone();
        }
        self.tell_all(link, peer, accounts);
    }

    fn tell_all(&self, link: &Arc<Link>, peer: &Introduction, accounts: &[Arc<Account>]) {
        if self.hops.is_some() {
            return;
        }
        for account in accounts.iter().filter(|account| self.carries(peer, &account.name)) {
            let name = named(&peer.slot, &account.name);
            account.local_interest(|change| {
                if self.rules.load().let_pass(change) {
                    link.send_soon(|out| change.write(out, name));
                }
            });
            if let Some(leafs) = LeafOrigins::of(peer) {
                account.interest_behind_leafs(|origin, change| {
                    if self.rules.load().let_pass(change) {
                        link.send_soon(|out| change.write_of_leafs(out, (origin, leafs.gone), name));
                    }
                });
            }
        }
    }

    /// `link` is over.
    pub(crate) fn close(&self, link: &Arc<Link>) {
        self.routes.write().retain(|route| !Arc::ptr_eq(&route.link, link));
    }

    /// The open routes, oldest first.
    pub(crate) fn status(&self) -> Vec<RouteStatus> {
        self.routes.read().iter().map(OpenRoute::status).collect()
    }

    /// One of the open routes.
    pub(crate) fn status_of(&self, rid: u64) -> Option<RouteStatus> {
        self.routes.read().iter().find(|route| route.link.id == rid).map(OpenRoute::status)
    }

    fn carries(&self, peer: &Introduction, account: &[u8]) -> bool {
        let pool = self.pool.load();
        match &peer.slot {
            Slot::Pool(_) if pool.dedicated.has_own(&peer.info, account) => false,
            Slot::Pool(index) if peer.info.route_pool_size > 0 => *index == pool_slot(account, pool.size),
            // The peer has one connection for all.
            Slot::Pool(_) => true,
            Slot::Account(name) => name.as_bytes() == account && pool.dedicated.has_own(&peer.info, account),
            // What is wanted is said on the connection of the account.
            Slot::Class(..) => false,
        }
    }
}

impl InterestObserver for Announcer {
    fn changed(&self, account: &[u8], change: Change<'_>) {
        if self.rules.load().let_pass(change) {
            self.tell(account, change);
        }
    }

    fn may_export(&self, subject: &[u8]) -> bool {
        self.rules.load().now.as_ref().is_none_or(|permissions| permissions.may_export(subject))
    }

    fn route_to(&self, server: Hash, account: &[u8]) -> Option<Arc<Link>> {
        let routes = self.routes.read();
        let is_there = |route: &&OpenRoute| route.known_by == server;
        routes.iter().filter(is_there).find(|route| self.carries(&route.peer, account)).map(|route| route.link.clone())
    }

    fn tell_servers(&self, line: &[u8]) {
        for route in self.routes.read().iter().filter(|route| route.peer.slot == Slot::Pool(0)) {
            route.link.send_soon(|out| out.extend_from_slice(line));
        }
    }

    fn changed_behind(&self, account: &[u8], origin: &[u8], change: Change<'_>) {
        let routes = self.routes.read();
        if !self.rules.load().let_pass(change) {
            return;
        }
        if let Some(hops) = &self.hops {
            return hops.tell(account, Some(origin), change);
        }
        for route in routes.iter().filter(|route| self.carries(&route.peer, account)) {
            if let Some(leafs) = LeafOrigins::of(&route.peer) {
                let name = named(&route.peer.slot, account);
                route.link.send_soon(|out| change.write_of_leafs(out, (origin, leafs.gone), name));
            }
        }
    }
}

/// How a peer takes interest of leaf nodes. One that does not understand whose it is would send what came from them back.
struct LeafOrigins {
    /// It understands whose interest is gone as well.
    gone: bool,
}

impl LeafOrigins {
    fn of(peer: &Introduction) -> Option<Self> {
        peer.info.leaf_origins.then_some(Self { gone: peer.info.leaf_origins_gone })
    }
}

/// The account as lines on a route name it.
fn named<'a>(slot: &Slot, account: &'a [u8]) -> Option<&'a [u8]> {
    match slot {
        Slot::Pool(_) | Slot::Class(..) => Some(account),
        Slot::Account(_) => None,
    }
}
