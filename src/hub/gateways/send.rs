//! Messages to other clusters.

use std::sync::Arc;

use natsd_core::encode::Message;
use natsd_core::gateway::reply::{Mapped, PREFIX};

use super::elsewhere::Listeners;
use super::{Elsewhere, Gateways};
use crate::hub::account::Account;
use crate::hub::matches::{GatewayMatch, Matches};
use crate::hub::publish::{Publisher, pass_on, send_copies, send_on};
use crate::link::Errand;
use crate::link::batch::Batch;
use crate::route::Copies;

/// Sends a message to the clusters that want it. Of queue groups those that are `wanted` go to the nearest that has members,
/// unless this cluster has `served` them.
pub(in crate::hub) fn to_clusters(
    account: &Arc<Account>,
    message: &Message<'_>,
    matches: &Matches,
    (wanted, served): (impl Fn(&[u8]) -> bool, &[&[u8]]),
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    let mut served = served.to_vec();
    let mut mapped = None;
    let mut delivered = false;
    for gateway in nearest_first(&matches.gateways) {
        let first = served.len();
        for queue in &gateway.queues {
            if wanted(queue) && !served.contains(&&**queue) {
                served.push(queue);
            }
        }
        if !gateway.plain && served.len() == first {
            continue;
        }
        let reply = message.reply.map(|reply| &**mapped.get_or_insert_with(|| account.way_back(reply)));
        let message = Message { reply, ..*message };
        let groups = (Errand::default(), served[first..].iter().copied());
        delivered |= send_on(&gateway.link, account, &message, groups, from, batch);
    }
    delivered
}

fn nearest_first(gateways: &[GatewayMatch]) -> Vec<&GatewayMatch> {
    let mut all: Vec<_> = gateways.iter().collect();
    if all.len() > 1 {
        all.sort_by_key(|gateway| gateway.link.rtt.load(std::sync::atomic::Ordering::Relaxed));
    }
    all
}

/// Sends an answer, whose subject says where, back to the one who asked: to its cluster, or to a hub or a leaf node that knows
/// the way. `None` if `message` is no such answer, or comes from one who does not send it any further.
pub(in crate::hub) fn to_origin(
    account: &Arc<Account>,
    message: &Message<'_>,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> Option<bool> {
    if !message.subject.starts_with(PREFIX) || !from.uses_gateways() {
        return None;
    }
    let mapped = Mapped::parse(message.subject)?;
    batch.enter(account, from.hub);
    let mut matches = Matches::default();
    account.matches(message.subject, &mut matches);
    let mut delivered = false;
    let mut copies = Copies::default();
    for route in &matches.routes {
        let knows = |interest: &crate::hub::remote::RemoteInterest| {
            interest.subject().starts_with(PREFIX) && from.reaches(interest, message.subject)
        };
        if route.leafs.iter().any(|interest| knows(interest)) {
            delivered |= pass_on(route, account, message, std::iter::empty(), from, (&mut copies, batch));
        }
    }
    send_copies(copies, account, message, from, batch);
    for link in from.hub.gateways.outbound().iter() {
        if link.gateway.get().is_some_and(|peer| peer.hash == mapped.cluster) {
            delivered |= send_on(link, account, message, (Errand::default(), std::iter::empty()), from, batch);
        }
    }
    Some(delivered)
}

impl Elsewhere {
    /// Where another cluster is to send answers that are asked for at `reply`.
    pub(in crate::hub) fn way_back(&self, reply: &[u8], listeners: Listeners<'_>) -> Vec<u8> {
        match self.shared().own() {
            Some(own) if !reply.starts_with(PREFIX) && self.is_recent(reply, listeners) => {
                [&own.prefix, reply].concat()
            }
            _ => reply.to_vec(),
        }
    }
}

impl Gateways {
    /// Whether an answer that another cluster sends, or a server of this one passes on, is for this cluster. `None` if it is no
    /// answer that says where it goes, or nobody here would know.
    pub(crate) fn is_ours(&self, mapped: &Mapped<'_>) -> Option<bool> {
        self.own().map(|own| own.cluster == mapped.cluster)
    }
}
