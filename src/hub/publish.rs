//! Delivery of a message to all who get it.

use std::sync::Arc;

use natsd_core::encode::Message;
use natsd_core::route::dag::MAX_HOPS;

use super::account::Account;
use super::gateways::send;
use super::matches::{Choice, Matches, QueueGroup, RouteMatch};
use super::msg_trace::Trace;
use super::remote::RemoteInterest;
use super::responses::RESERVED;
use super::subscription::Subscription;
use super::{Hub, service};
use crate::link::batch::Batch;
use crate::link::{Errand, Kind, Link};
use crate::route::Copies;

/// Who publishes.
#[derive(Clone, Copy)]
pub(crate) struct Publisher<'a> {
    /// `None` if it is the server itself.
    pub link: Option<&'a Arc<Link>>,
    /// Whether it gets its own messages.
    pub echo: bool,
    /// Accounts that the message has passed through, as a request or an answer, before this one.
    pub depth: u8,
    pub hub: &'a Arc<Hub>,
    /// The cluster of the leaf nodes that it came from.
    pub origin: Option<&'a [u8]>,
    /// The message is traced.
    pub trace: Option<&'a Trace>,
    /// It is an answer that another cluster has sent to this one, where somebody asked for it.
    pub mapped: bool,
    /// How often servers may still pass it on, where they do.
    pub hops: u8,
}

impl<'a> Publisher<'a> {
    /// A client, which may not want its own messages, or another server.
    pub(crate) fn new(hub: &'a Arc<Hub>, link: &'a Arc<Link>, echo: bool) -> Self {
        Self { link: Some(link), echo, depth: 0, hub, origin: None, trace: None, mapped: false, hops: MAX_HOPS }
    }

    /// The server itself.
    pub(crate) fn server(hub: &'a Arc<Hub>) -> Self {
        Self { link: None, echo: true, depth: 0, hub, origin: None, trace: None, mapped: false, hops: MAX_HOPS }
    }

    pub(super) fn may_hear(&self, subscription: &Subscription) -> bool {
        !self.is_echo(subscription) && self.may_share(subscription)
    }

    /// Whether the one who publishes would get it back, and does not want to.
    pub(super) fn is_echo(&self, subscription: &Subscription) -> bool {
        !self.echo && self.link.is_some_and(|link| Arc::ptr_eq(link, &subscription.link))
    }

    /// Whether other servers of the cluster get it from this one. They have a connection to the hub of their own, or do
    /// not hear of what happens there; but what crosses accounts crosses them here alone.
    fn uses_routes(&self) -> bool {
        self.depth > 0
            || self.mapped
            || self.link.is_none_or(|link| match link.kind {
                Kind::Client | Kind::System | Kind::Gateway => true,
                Kind::Route => false,
                Kind::Leaf => link.leaf.get().is_some_and(|peer| !peer.spoke),
            })
    }

    /// Whether other clusters get it from this server.
    pub(super) fn uses_gateways(&self) -> bool {
        self.depth > 0 || self.mapped || self.link.is_none_or(|link| !matches!(link.kind, Kind::Route | Kind::Gateway))
    }

    /// Whether services of other accounts are asked: of what comes from other clusters they are asked there.
    fn asks_services(&self) -> bool {
        self.depth > 0 || self.link.is_none_or(|link| link.kind != Kind::Gateway)
    }

    /// Whether a message to `subject` goes to where this interest of leaf nodes, or of a hub, is.
    pub(super) fn reaches(&self, interest: &RemoteInterest, subject: &[u8]) -> bool {
        if self.depth > 0 && interest.imported().is_some() {
            return false;
        }
        let Some(link) = self.link.filter(|link| matches!(link.kind, Kind::Route | Kind::Leaf)) else { return true };
        let back = Arc::ptr_eq(link, &interest.link) || self.origin.is_some() && self.origin == interest.origin();
        let allowed = match (interest.link.leaf.get(), link.kind) {
            // A hub has heard of it from whoever sent it to us.
            (Some(to), Kind::Route) => !to.spoke || self.depth > 0 || subject.starts_with(RESERVED),
            (Some(_), _) => true,
            (None, _) => self.uses_routes(),
        };
        allowed && !back
    }

    /// What comes as a request or an answer of another account is no stream that could be imported.
    pub(super) fn may_share(&self, subscription: &Subscription) -> bool {
        self.depth == 0 || subscription.imported().is_none()
    }
}

/// As [`publish`], to whom it matches now. For what is too rare to be cached.
pub(crate) fn publish_to(
    account: &Arc<Account>,
    message: &Message<'_>,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    let mut matches = Matches::default();
    account.matches(message.subject, &mut matches);
    publish(account, message, &matches, from, batch)
}

/// Delivers a message of a client: to clients here, and to servers whose clients want it. Returns whether anybody got
/// it.
pub(crate) fn publish(
    account: &Arc<Account>,
    message: &Message<'_>,
    matches: &Matches,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    match from.trace {
        None => spread(account, message, matches, |_| true, from, batch),
        Some(_) => spread(account, message, &all_matches(account, message.subject), |_| true, from, batch),
    }
}

/// As [`publish`], of a message that came from a leaf node, a hub or another cluster: of queue groups, only those of which this side was chosen
/// to serve a member get it.
pub(crate) fn publish_from_leaf<'q>(
    account: &Arc<Account>,
    message: &Message<'_>,
    queues: impl Iterator<Item = &'q [u8]> + Clone,
    matches: &Matches,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    let all = from.trace.map(|_| all_matches(account, message.subject));
    let wanted = |group: &[u8]| queues.clone().any(|queue| *queue == *group);
    spread(account, message, all.as_ref().unwrap_or(matches), wanted, from, batch)
}

/// With those who may not get it: a trace tells of them.
#[cold]
fn all_matches(account: &Account, subject: &[u8]) -> Matches {
    let mut matches = Matches::default();
    account.matches_unfiltered(subject, &mut matches);
    matches
}

fn spread(
    account: &Arc<Account>,
    message: &Message<'_>,
    matches: &Matches,
    wanted: impl Fn(&[u8]) -> bool,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    if let Some(delivered) = send::to_origin(account, message, from, batch) {
        return delivered;
    }
    batch.enter(account, from.hub);
    let mut delivered = deliver_plain(message, matches, from, batch);
    for import in matches.services.iter().filter(|_| from.asks_services()) {
        delivered |= service::request(account, import, message, from, batch);
    }
    if matches.response {
        delivered |= service::answer(account, message, from, batch);
    }
    if matches.groups.is_empty() && matches.routes.is_empty() && matches.gateways.is_empty() {
        return delivered;
    }
    // What other accounts got meanwhile is theirs.
    batch.enter(account, from.hub);
    // Which group goes to which route; most messages go to none.
    let mut chosen: Vec<(usize, &[u8])> = Vec::new();
    let in_cluster = from.uses_routes();
    // Which groups need no other cluster.
    let mut served: Vec<&[u8]> = Vec::new();
    for group in matches.groups.iter().filter(|group| wanted(&group.name)) {
        let elsewhere = match group.choose(in_cluster, &mut batch.rng) {
            Some(Choice::Local(at)) if deliver_one(message, group, at, from, batch) => {
                delivered = true;
                served.push(&group.name);
                continue;
            }
            Some(Choice::Remote(route)) => Some(route),
            // Nobody here can take it: anybody elsewhere.
            Some(Choice::Local(_)) => group.remote.first().filter(|_| in_cluster).map(|(route, _)| *route),
            None => None,
        };
        let leaf = |interest: &RemoteInterest| from.reaches(interest, message.subject);
        let elsewhere = elsewhere.or_else(|| group.choose_leaf(leaf, &mut batch.rng));
        chosen.extend(elsewhere.map(|route| (route, &*group.name)));
    }
    let mut copies = Copies::default();
    for (at, route) in matches.routes.iter().enumerate() {
        let plain =
            route.plain && in_cluster || route.leafs.iter().any(|interest| from.reaches(interest, message.subject));
        if plain || queues_of(at, &chosen).next().is_some() {
            delivered |= pass_on(route, account, message, queues_of(at, &chosen), from, (&mut copies, batch));
        }
    }
    send_copies(copies, account, message, from, batch);
    if !matches.gateways.is_empty() && from.uses_gateways() && !(from.mapped && message.subject.starts_with(RESERVED)) {
        served.extend(chosen.iter().map(|(_, name)| *name));
        delivered |= send::to_clusters(account, message, matches, (wanted, &served), from, batch);
    }
    delivered
}

/// Delivers a message that came over a route: to clients and leaf nodes here, and to a member here of each group that this
/// server was chosen for. Where there is none any more, the last one left while the message was on its way: then another
/// server is to serve the group, but never the one that the message came from.
pub(crate) fn publish_routed<'q>(
    account: &Arc<Account>,
    message: &Message<'_>,
    (queues, queues_only): (impl Iterator<Item = &'q [u8]>, bool),
    matches: &Matches,
    from: &Publisher<'_>,
    batch: &mut Batch,
) {
    let all = from.trace.map(|_| all_matches(account, message.subject));
    let matches = all.as_ref().unwrap_or(matches);
    if !queues_only {
        deliver_plain(message, matches, from, batch);
        if matches.response {
            service::answer(account, message, from, batch);
            batch.enter(account, from.hub);
        }
    }
    let mut passed_on: Vec<(usize, &[u8])> = Vec::new();
    for queue in queues {
        let Some(group) = matches.groups.iter().find(|group| *group.name == *queue) else { continue };
        let members = group.local.len();
        let served = members > 0 && {
            let at = batch.rng.usize(..members);
            deliver_one(message, group, at, from, batch)
        };
        if served {
            continue;
        }
        let leaf = |interest: &RemoteInterest| from.reaches(interest, message.subject);
        if let Some(leaf) = group.choose_leaf(leaf, &mut batch.rng) {
            passed_on.push((leaf, &group.name));
            continue;
        }
        let other = |route: usize| from.link.is_none_or(|from| !matches.routes[route].link.shares_server(from));
        if let Some(route) = group.choose_elsewhere(other, &mut batch.rng) {
            passed_on.push((route, &group.name));
        }
    }
    let mut copies = Copies::default();
    for (at, route) in matches.routes.iter().enumerate() {
        let leafs = !queues_only && route.leafs.iter().any(|interest| from.reaches(interest, message.subject));
        if leafs || queues_of(at, &passed_on).next().is_some() {
            pass_on(route, account, message, queues_of(at, &passed_on), from, (&mut copies, batch));
        }
    }
    send_copies(copies, account, message, from, batch);
}

/// The groups that go to the route at `at`.
fn queues_of<'q>(at: usize, chosen: &[(usize, &'q [u8])]) -> impl Iterator<Item = &'q [u8]> + Clone {
    chosen.iter().filter(move |(route, _)| *route == at).map(|(_, name)| *name)
}

fn deliver_plain(message: &Message<'_>, matches: &Matches, from: &Publisher<'_>, batch: &mut Batch) -> bool {
    let mut delivered = false;
    for subscription in &matches.plain {
        delivered |= hand_over(subscription, message, from, batch);
    }
    delivered
}

/// Delivers to one who is subscribed here.
fn hand_over(subscription: &Arc<Subscription>, message: &Message<'_>, from: &Publisher<'_>, batch: &mut Batch) -> bool {
    match from.trace {
        None => from.may_hear(subscription) && subscription.link.deliver(subscription, message, batch),
        Some(trace) => trace.hand_over(subscription, message, from, batch),
    }
}

/// Delivers to another server; to one that is reached over others later, with the other `copies`.
pub(super) fn pass_on<'q>(
    route: &RouteMatch,
    account: &Account,
    message: &Message<'_>,
    queues: impl Iterator<Item = &'q [u8]> + Clone,
    from: &Publisher<'_>,
    (copies, batch): (&mut Copies, &mut Batch),
) -> bool {
    // What came over a route goes on over one for the sake of groups alone: all others there have it already.
    let from_route = from.link.is_some_and(|from| from.kind == Kind::Route);
    // An answer to this server is for all here.
    let queues_only = from_route && route.link.kind == Kind::Route && !from.mapped;
    if let (None, Some(far)) = (from.trace, route.link.far.get()) {
        let next = far.next.load_full();
        return next.map(|next| copies.add(next, far.node, !queues_only, queues)).is_some();
    }
    let errand = Errand { origin: from.origin, queues_only, hops: from.hops };
    let message = Message { subject: route.renamed.as_deref().unwrap_or(message.subject), ..*message };
    send_on(&route.link, account, &message, (errand, queues), from, batch)
}

/// Sends to another server.
pub(super) fn send_on<'q>(
    link: &Arc<Link>,
    account: &Account,
    message: &Message<'_>,
    (errand, queues): (Errand<'_>, impl Iterator<Item = &'q [u8]>),
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    let mut body = Vec::new();
    let may_tell = link.kind == Kind::Leaf && message.header_len > 0 && message.reply.is_some();
    let to_hub = may_tell && link.leaf.get().is_some_and(|peer| peer.solicited);
    let translated = if to_hub { from.hub.names_at_hubs.translate(message, &mut body) } else { None };
    let message = translated.as_ref().unwrap_or(message);
    match from.trace {
        None => link.route(&account.name, message, errand, queues, batch),
        Some(trace) => trace.pass_on(link, &account.name, message, (errand, queues), batch),
    }
}

/// Sends what [`pass_on`] left.
pub(super) fn send_copies(
    copies: Copies,
    account: &Account,
    message: &Message<'_>,
    from: &Publisher<'_>,
    batch: &mut Batch,
) {
    if !copies.is_empty() {
        let errand = Errand { origin: from.origin, queues_only: false, hops: from.hops };
        copies.send(&errand.over_hops(&account.name, message), batch);
    }
}

/// Delivers to the member at `at`, or to the next one that can take it.
fn deliver_one(message: &Message<'_>, group: &QueueGroup, at: usize, from: &Publisher<'_>, batch: &mut Batch) -> bool {
    let (before, after) = group.local.split_at(at);
    after.iter().chain(before).any(|subscription| hand_over(subscription, message, from, batch))
}

#[cfg(test)]
mod tests;
