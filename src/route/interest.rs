//! Tells peers what clients of this server subscribe to.

use std::sync::Arc;

use natsd_core::route::interest::{Change, pool_slot};
use natsd_core::route::session::{Introduction, Slot};
use parking_lot::RwLock;

use super::status::RouteStatus;
use crate::hub::InterestObserver;
use crate::hub::account::Account;
use crate::link::Link;

/// The open routes, and which accounts each carries.
pub(crate) struct Announcer {
    pool_size: u16,
    /// Accounts that other implementations expect on a connection of their own.
    dedicated: Vec<String>,
    routes: RwLock<Vec<OpenRoute>>,
}

struct OpenRoute {
    link: Arc<Link>,
    peer: Introduction,
    configured: bool,
}

impl Announcer {
    /// `pool_size` is our own; it decides where our interest goes, whatever the size that the peer uses for its own.
    pub(crate) fn new(pool_size: Option<u16>, dedicated: Vec<String>) -> Self {
        Self { pool_size: pool_size.unwrap_or(0), dedicated, routes: RwLock::default() }
    }

    /// From now on `link` is told of changes, and of all there is: changes may arrive twice, but none is missed.
    pub(crate) fn open(&self, link: &Arc<Link>, peer: &Introduction, configured: bool, accounts: &[Arc<Account>]) {
        self.routes.write().push(OpenRoute { link: link.clone(), peer: peer.clone(), configured });
        for account in accounts.iter().filter(|account| self.carries(peer, &account.name)) {
            let name = named(&peer.slot, &account.name);
            account.local_interest(|change| link.send_soon(|out| change.write(out, name)));
        }
    }

    /// `link` is over.
    pub(crate) fn close(&self, link: &Arc<Link>) {
        self.routes.write().retain(|route| !Arc::ptr_eq(&route.link, link));
    }

    /// The open routes, oldest first.
    pub(crate) fn status(&self) -> Vec<RouteStatus> {
        let status = |route: &OpenRoute| RouteStatus {
            link: route.link.clone(),
            remote_id: route.peer.info.server_id.clone(),
            remote_name: route.peer.info.server_name.clone(),
            did_solicit: route.peer.solicited,
            is_configured: route.configured,
            account: match &route.peer.slot {
                Slot::Pool(_) => None,
                Slot::Account(account) => Some(account.clone()),
            },
        };
        self.routes.read().iter().map(status).collect()
    }

    fn carries(&self, peer: &Introduction, account: &[u8]) -> bool {
        match &peer.slot {
            Slot::Pool(_) if peer.info.route_pool_size > 0 && !peer.info.is_natsd() && self.is_dedicated(account) => {
                false
            }
            Slot::Pool(index) if peer.info.route_pool_size > 0 => *index == pool_slot(account, self.pool_size),
            // The peer has one connection for all.
            Slot::Pool(_) => true,
            Slot::Account(name) => name.as_bytes() == account,
        }
    }
}

impl Announcer {
    fn is_dedicated(&self, account: &[u8]) -> bool {
        self.dedicated.iter().any(|name| name.as_bytes() == account)
    }
}

impl InterestObserver for Announcer {
    fn changed(&self, account: &[u8], change: Change<'_>) {
        for route in self.routes.read().iter().filter(|route| self.carries(&route.peer, account)) {
            route.link.send_soon(|out| change.write(out, named(&route.peer.slot, account)));
        }
    }
}

/// The account as lines on a route name it.
fn named<'a>(slot: &Slot, account: &'a [u8]) -> Option<&'a [u8]> {
    match slot {
        Slot::Pool(_) => Some(account),
        Slot::Account(_) => None,
    }
}
