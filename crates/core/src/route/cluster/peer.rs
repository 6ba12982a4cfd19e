//! A connected server.

use std::collections::BTreeMap;
use std::time::Duration;

use super::LinkId;
use super::dial::TargetId;
use crate::route::hello::RouteInfo;
use crate::route::session::Slot;

/// A server that at least one connection leads to.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) info: RouteInfo,
    pub(super) links: BTreeMap<Slot, Link>,
    /// How often it was reminded of another server.
    pub(super) reminders: usize,
}

impl Peer {
    pub(super) fn new(info: RouteInfo) -> Self {
        let info = RouteInfo {
            route_account: String::new(),
            route_class: String::new(),
            route_pool_idx: 0,
            gossip_mode: 0,
            ..info
        };
        Self { info, links: BTreeMap::new(), reminders: 0 }
    }

    /// The connection for what concerns the peer as a whole.
    pub(super) fn main_link(&self) -> Option<LinkId> {
        self.links.values().next().map(|link| link.id)
    }
}

/// One connection to it.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) since: Duration,
    /// What made us dial it.
    pub(super) target: Option<TargetId>,
}
