//! Messages of another cluster.

use std::sync::Arc;

use natsd_core::encode;
use natsd_core::gateway::reply::Mapped;
use natsd_core::gateway::wire::Message;

use super::Shared;
use crate::hub::account::Account;
use crate::hub::cache::MatchCache;
use crate::hub::gateways::GatewayDesk;
use crate::hub::msg_trace::{Arrival, Trace};
use crate::hub::publish::{Publisher, publish_from_leaf, publish_to};
use crate::link::batch::Batch;
use crate::link::{Errand, Kind, Link};

/// A connection that messages of another cluster come over, and that it is told over what this cluster wants.
pub(super) struct Inbound {
    shared: Arc<Shared>,
    link: Arc<Link>,
    desk: Arc<GatewayDesk>,
    /// Accounts that messages came for, the last one first.
    accounts: Vec<(Arc<Account>, MatchCache)>,
}

impl Inbound {
    /// From now on the other end is told what is wanted here.
    pub(super) fn open(shared: &Arc<Shared>, link: &Arc<Link>) -> Self {
        shared.inbound.lock().insert(link.id, link.clone());
        let desk = shared.hub.gateways.open_desk(link);
        for account in shared.hub.accounts.with_strangers() {
            account.open_for_cluster(&desk);
        }
        Self { shared: shared.clone(), link: link.clone(), desk, accounts: Vec::new() }
    }

    /// A message came.
    pub(super) fn deliver(&mut self, message: &Message<'_>, batch: &mut Batch) {
        let len = message.body.len();
        if !self.enter(message.account) {
            self.desk.refuse(message.account);
            batch.enter_none(&self.shared.hub);
            return batch.count_received(Kind::Gateway, len);
        }
        let (account, cache) = &mut self.accounts[0];
        let (hub, link) = (&self.shared.hub, &self.link);
        batch.enter(account, hub);
        batch.count_received(Kind::Gateway, len);
        let mut here = encode::Message {
            subject: message.subject,
            reply: message.reply,
            header_len: message.header_len,
            body: message.body,
        };
        let mapped = Mapped::parse(message.subject);
        if let Some(mapped) = &mapped {
            // An answer that went astray is nobody's.
            if hub.gateways.is_ours(mapped) != Some(true) || self.shared.pass_on(mapped, account, &here, batch) {
                return;
            }
            here.subject = mapped.subject;
        }
        let queues = message.queues;
        let publish = |message: &encode::Message<'_>, trace: Option<&Trace>, batch: &mut Batch| {
            let from = Publisher { trace, mapped: mapped.is_some(), ..Publisher::new(hub, link, true) };
            if from.mapped {
                publish_to(account, message, &from, batch);
                return;
            }
            let mut scratch = std::mem::take(&mut batch.matches);
            if let Some(matches) = cache.find_permitted(account, message.subject, &mut scratch, || true) {
                publish_from_leaf(account, message, queues, matches, &from, batch);
            }
            batch.matches = scratch;
        };
        Arrival { hub, link, account, permissions: None }.pass(&here, batch, publish);
        batch.settle(hub);
    }

    /// Puts the account of this name first. `false` if nobody has heard of it.
    fn enter(&mut self, name: &[u8]) -> bool {
        match self.accounts.iter().position(|(account, _)| *account.name == *name) {
            Some(at) => self.accounts.swap(0, at),
            None => match self.shared.hub.accounts.known(name) {
                Some(account) => self.accounts.insert(0, (account, MatchCache::default())),
                None => return false,
            },
        }
        true
    }

    /// The connection is over.
    pub(super) fn unwind(&self) {
        self.shared.inbound.lock().remove(&self.link.id);
        self.shared.hub.gateways.close_desk(&self.link);
    }
}

impl Shared {
    /// Sends an answer to the server of this cluster where somebody asked for it. `false` if that is this one, or is not
    /// connected: then somebody here may be waiting for it all the same.
    fn pass_on(
        &self,
        mapped: &Mapped<'_>,
        account: &Arc<Account>,
        message: &encode::Message<'_>,
        batch: &mut Batch,
    ) -> bool {
        if self.hub.gateways.own().is_some_and(|own| own.server == mapped.server) {
            return false;
        }
        let route = self.hub.observer.get().and_then(|observer| observer.route_to(mapped.server, &account.name));
        route.is_some_and(|route| route.route(&account.name, message, Errand::default(), std::iter::empty(), batch))
    }
}
