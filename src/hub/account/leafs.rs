//! What leaf connections have to do with an account.

use std::sync::Arc;

use natsd_core::gateway::reply::PREFIX;
use natsd_core::route::interest::Change;
use natsd_core::sublist::Sublist;

use super::Account;
use crate::hub::leafs::{LeafDesk, See, Whose, list_interest};
use crate::hub::remote::RemoteInterest;
use crate::link::Link;

impl Account {
    /// From now on the other end of a leaf connection is told of all interest on this side. No change is missed.
    pub(crate) fn open_leaf(&self, desk: Arc<LeafDesk>) {
        let (local, remote) = (self.local.read(), self.remote.read());
        let elsewhere = self.clusters.as_ref().map(|clusters| clusters.wanted());
        let list = |see: &mut See<'_>| {
            list_interest(&local, &remote, see);
            list_elsewhere(elsewhere.as_deref(), see);
        };
        self.leafs.open(desk, list, || self.standing());
    }

    /// A leaf connection is over.
    pub(crate) fn close_leaf(&self, link: &Arc<Link>) {
        self.leafs.close(link);
    }

    /// What may be sent over a leaf connection, or asked for, has changed: what was matched is forgotten, and the other end
    /// told what it may know now and might not before, and the other way round.
    pub(crate) fn leaf_rules_changed(&self, link: &Arc<Link>) {
        let (local, remote) = (self.local.read(), self.remote.read());
        let elsewhere = self.clusters.as_ref().map(|clusters| clusters.wanted());
        let list = |see: &mut See<'_>| {
            list_interest(&local, &remote, see);
            list_elsewhere(elsewhere.as_deref(), see);
        };
        self.leafs.retell(link, list, || self.standing());
        self.changed();
    }

    /// One more leaf connection. `false` if that is more than there may be; it counts all the same.
    pub(crate) fn enter_leaf(&self) -> bool {
        self.leafs.enter(self.spec.load().limits.leaf_nodes)
    }

    /// One leaf connection less.
    pub(crate) fn leave_leaf(&self) {
        self.leafs.leave();
    }

    /// Leaf connections of this account.
    pub(crate) fn leaf_count(&self) -> u64 {
        self.leafs.connections()
    }

    /// Whether `subject` is that by which this server would know that its own interest comes back to it.
    pub(crate) fn is_loop(&self, subject: &[u8]) -> bool {
        self.leafs.is_loop(subject)
    }

    /// Shows `see` all interest of leaf nodes that this server is the hub of, and their cluster. No change comes in between.
    pub(crate) fn interest_behind_leafs(&self, see: impl FnMut(&[u8], Change<'_>)) {
        self.leafs.behind(see);
    }

    /// What the account listens to without anybody who is subscribed.
    fn standing(&self) -> Vec<Box<[u8]>> {
        let services = self.imports.services();
        let services =
            services.iter().filter(|import| import.is_told_to_leafs()).map(|import| import.renaming.local().into());
        let spec = self.spec.load();
        let mapped = spec.mappings.iter().map(|(source, _)| source.into());
        let answers = self.reply_prefix.get().map(|prefix| [prefix, &b">"[..]].concat().into());
        let own = Some(self.leafs.loop_subject().into());
        // Answers to other clusters find their way by us.
        let ways = self.clusters.as_ref().map(|_| [PREFIX, b">"].concat().into());
        services.chain(mapped).chain(answers).chain(own).chain(ways).collect()
    }

    /// Leaf connections are told if that is something else now.
    pub(in crate::hub) fn stand_for_leafs(&self) {
        if self.leafs.has_desks() {
            self.leafs.stand(&self.standing());
        }
    }
}

/// Shows `see` what other clusters want.
fn list_elsewhere(elsewhere: Option<&Sublist<RemoteInterest>>, see: &mut See<'_>) {
    if let Some(elsewhere) = elsewhere {
        elsewhere.for_each(|subject, queue, members| {
            members.iter().for_each(|member| see(subject, queue, 1, Whose::Elsewhere(member)));
        });
    }
}
