//! Delivery of a message to all who get it.

use std::sync::Arc;

use natsd_core::encode::Message;

use super::account::Account;
use super::matches::{Choice, Matches, QueueGroup};
use crate::link::Link;
use crate::link::batch::Batch;

/// Who publishes.
pub(crate) struct Publisher<'a> {
    pub link: &'a Arc<Link>,
    /// Whether it gets its own messages.
    pub echo: bool,
}

impl Publisher<'_> {
    fn may_hear(&self, link: &Arc<Link>) -> bool {
        self.echo || !Arc::ptr_eq(self.link, link)
    }
}

/// Delivers a message of a client: to clients here, and to servers whose clients want it. Returns whether anybody got
/// it.
pub(crate) fn publish(
    account: &Account,
    message: &Message<'_>,
    matches: &Matches,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    let mut delivered = deliver_plain(message, matches, from, batch);
    if matches.groups.is_empty() && matches.routes.is_empty() {
        return delivered;
    }
    // Which group goes to which route; most messages go to none.
    let mut chosen: Vec<(usize, &[u8])> = Vec::new();
    for group in &matches.groups {
        match group.choose(&mut batch.rng) {
            Some(Choice::Local(at)) if deliver_one(message, group, at, from, batch) => delivered = true,
            Some(Choice::Remote((route, _))) => chosen.push((*route, &group.name)),
            // Nobody here can take it: anybody elsewhere.
            Some(Choice::Local(_)) => chosen.extend(group.remote.first().map(|(route, _)| (*route, &*group.name))),
            None => {}
        }
    }
    for (at, route) in matches.routes.iter().enumerate() {
        let queues = || chosen.iter().filter(|(route, _)| *route == at).map(|(_, name)| *name);
        if route.plain || queues().next().is_some() {
            delivered |= route.link.route(&account.name, message, queues(), batch);
        }
    }
    delivered
}

/// Delivers a message that came from another server: to clients here only, and to members of those groups that were
/// chosen there.
pub(crate) fn publish_routed<'q>(
    message: &Message<'_>,
    queues: impl Iterator<Item = &'q [u8]>,
    matches: &Matches,
    from: &Arc<Link>,
    batch: &mut Batch,
) {
    let from = Publisher { link: from, echo: true };
    deliver_plain(message, matches, &from, batch);
    for queue in queues {
        if let Some(group) = matches.groups.iter().find(|group| *group.name == *queue && !group.local.is_empty()) {
            let at = batch.rng.usize(..group.local.len());
            deliver_one(message, group, at, &from, batch);
        }
    }
}

fn deliver_plain(message: &Message<'_>, matches: &Matches, from: &Publisher<'_>, batch: &mut Batch) -> bool {
    let mut delivered = false;
    for subscription in &matches.plain {
        if from.may_hear(&subscription.link) {
            delivered |= subscription.link.deliver(subscription, message, batch);
        }
    }
    delivered
}

/// Delivers to the member at `at`, or to the next one that can take it.
fn deliver_one(message: &Message<'_>, group: &QueueGroup, at: usize, from: &Publisher<'_>, batch: &mut Batch) -> bool {
    let (before, after) = group.local.split_at(at);
    after.iter().chain(before).any(|subscription| {
        from.may_hear(&subscription.link) && subscription.link.deliver(subscription, message, batch)
    })
}

#[cfg(test)]
mod tests;
