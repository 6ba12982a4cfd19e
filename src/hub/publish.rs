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
            Some(Choice::Remote(route)) => chosen.push((route, &group.name)),
            // Nobody here can take it: anybody elsewhere.
            Some(Choice::Local(_)) => chosen.extend(group.remote.first().map(|(route, _)| (*route, &*group.name))),
            None => {}
        }
    }
    for (at, route) in matches.routes.iter().enumerate() {
        if route.plain || queues_of(at, &chosen).next().is_some() {
            delivered |= route.link.route(&account.name, message, queues_of(at, &chosen), batch);
        }
    }
    delivered
}

/// Delivers a message that came from another server: to clients here, and to a member here of each group that this
/// server was chosen for. Where there is none any more, the last one left while the message was on its way: then another
/// server is to serve the group, but never the one that the message came from.
pub(crate) fn publish_routed<'q>(
    account: &Account,
    message: &Message<'_>,
    queues: impl Iterator<Item = &'q [u8]>,
    matches: &Matches,
    from: &Arc<Link>,
    batch: &mut Batch,
) {
    let from = Publisher { link: from, echo: true };
    deliver_plain(message, matches, &from, batch);
    let mut passed_on: Vec<(usize, &[u8])> = Vec::new();
    for queue in queues {
        let Some(group) = matches.groups.iter().find(|group| *group.name == *queue) else { continue };
        let members = group.local.len();
        let served = members > 0 && {
            let at = batch.rng.usize(..members);
            deliver_one(message, group, at, &from, batch)
        };
        let other = |route: usize| !Arc::ptr_eq(&matches.routes[route].link, from.link);
        if !served && let Some(route) = group.choose_elsewhere(other, &mut batch.rng) {
            passed_on.push((route, &group.name));
        }
    }
    for (at, route) in matches.routes.iter().enumerate() {
        if queues_of(at, &passed_on).next().is_some() {
            route.link.route(&account.name, message, queues_of(at, &passed_on), batch);
        }
    }
}

/// The groups that go to the route at `at`.
fn queues_of<'q>(at: usize, chosen: &[(usize, &'q [u8])]) -> impl Iterator<Item = &'q [u8]> {
    chosen.iter().filter(move |(route, _)| *route == at).map(|(_, name)| *name)
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
