//! What another cluster says of what it wants.

use std::collections::HashMap;
use std::sync::Arc;

use natsd_core::gateway::interest::Accounts;
use natsd_core::gateway::wire::Interest;
use natsd_core::subject;

use super::Shared;
use crate::hub::account::Account;
use crate::hub::remote::RemoteInterest;
use crate::link::Link;

/// Interests of one cluster beyond which it is taken for broken.
const MAX_INTERESTS: usize = 16 << 20;
/// Interests removed at a time when a connection ends.
const UNWIND: usize = 1024;

/// In which account what is wanted.
type Wanted = (Arc<Account>, Arc<RemoteInterest>);

/// A connection that messages of this cluster go over.
pub(super) struct Outbound {
    shared: Arc<Shared>,
    link: Arc<Link>,
    interests: HashMap<Box<[u8]>, Wanted>,
    open: bool,
}

impl Outbound {
    /// From now on messages go there. `None` if they go to its cluster already.
    pub(super) fn open(shared: &Arc<Shared>, link: &Arc<Link>) -> Option<Self> {
        if !shared.hub.gateways.open_outbound(link) {
            return None;
        }
        let this = Self { shared: shared.clone(), link: link.clone(), interests: HashMap::new(), open: true };
        this.forget_if_optimistic();
        Some(this)
    }

    /// Who is optimistic is found by no interest of its own.
    fn forget_if_optimistic(&self) {
        if self.link.gateway.get().is_some_and(|peer| peer.is_optimistic()) {
            self.shared.hub.accounts.forget_matches();
        }
    }

    /// Somebody there wants something. `false` if that is more than anybody could want.
    pub(super) fn subscribe(&mut self, interest: &Interest<'_>) -> bool {
        if !subject::is_valid(interest.subject) {
            return true;
        }
        let listed = self.say(interest.account, |accounts| {
            accounts.subscribe(interest.account, interest.subject, interest.queue.is_some())
        });
        let key = key(interest);
        if !listed || self.interests.contains_key(&*key) {
            return true;
        }
        if self.interests.len() >= MAX_INTERESTS {
            log::error!("{} - more than {MAX_INTERESTS} interests", self.link.describe());
            return false;
        }
        if let Some(account) = self.shared.hub.accounts.of_peers(interest.account) {
            let new = Arc::new(RemoteInterest::new(self.link.clone(), interest.subject, interest.queue, 1));
            self.interests.insert(key, (account.clone(), new.clone()));
            account.add_of_cluster(new);
        }
        true
    }

    /// Nobody there wants it any more.
    pub(super) fn unsubscribe(&mut self, interest: &Interest<'_>) {
        let gone = self.interests.remove(&*key(interest));
        if let Some((account, interest)) = &gone {
            account.remove_of_cluster(interest);
        }
        // A group that was never listed does not count.
        if gone.is_some() || interest.queue.is_none() {
            self.say(interest.account, |accounts| {
                accounts.unsubscribe(interest.account, interest.subject, interest.queue.is_some());
            });
        }
    }

    /// It says something of an account as a whole.
    pub(super) fn say<R>(&self, account: &[u8], what: impl FnOnce(&mut Accounts) -> R) -> R
    where
        R: Default,
    {
        let Some(peer) = self.link.gateway.get() else { return R::default() };
        let result = peer.say(what);
        if peer.is_optimistic()
            && let Some(account) = self.shared.hub.accounts.known(account)
        {
            account.cluster_changed();
        }
        result
    }

    /// The connection is over: removes a part of what it left behind. Returns whether that was all.
    pub(super) fn unwind(&mut self) -> bool {
        if std::mem::take(&mut self.open) {
            self.shared.hub.gateways.close_outbound(&self.link);
            self.forget_if_optimistic();
        }
        let some: Vec<_> = self.interests.keys().take(UNWIND).cloned().collect();
        for key in &some {
            if let Some((account, gone)) = self.interests.remove(key) {
                account.remove_of_cluster(&gone);
            }
        }
        self.interests.is_empty()
    }
}

/// Names have no spaces.
fn key(interest: &Interest<'_>) -> Box<[u8]> {
    [interest.account, b" ", interest.subject, b" ", interest.queue.unwrap_or_default()].concat().into()
}
