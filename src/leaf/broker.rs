//! The account as seen from one leaf connection: interest and messages of the other end.

use std::collections::HashMap;
use std::sync::Arc;

use natsd_auth::{Permissions, Rule, User};
use natsd_core::compression::Mode;
use natsd_core::encode;
use natsd_core::error::CloseReason;
use natsd_core::leaf::LOOP_PREFIX;
use natsd_core::leaf::hello::{LeafConnect, LeafInfo};
use natsd_core::leaf::wire::{Interest, Message};
use natsd_core::subject;

use super::admission::Admitted;
use super::remote::Remote;
use super::{LeafPeer, Shared};
use crate::hub::account::Account;
use crate::hub::cache::MatchCache;
use crate::hub::leafs::LeafDesk;
use crate::hub::msg_trace::{Arrival, Trace};
use crate::hub::publish::{Publisher, publish_from_leaf};
use crate::hub::remote::RemoteInterest;
use crate::link::batch::Batch;
use crate::link::outbound::AllowedReplies;
use crate::link::{Kind, Link};

/// Interests of one server beyond which it is taken for broken.
const MAX_INTERESTS: usize = 16 << 20;
/// Interests removed at a time when a connection ends.
const UNWIND: usize = 1024;

/// What the other end may not do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Tell us what we told it.
    Loop,
    /// Send a message to this subject.
    Publish(String),
    /// Ask for messages to this subject.
    Subscribe(String),
    /// Be interested in even more.
    TooMany,
}

/// See the [module](self).
pub(super) struct Broker {
    shared: Arc<Shared>,
    link: Arc<Link>,
    pub(super) account: Arc<Account>,
    /// What the user of a leaf node may do; `None` is everything.
    permissions: Option<Arc<Permissions>>,
    /// What the leaf node does not want to be sent.
    denied: Vec<String>,
    peer: Option<LeafPeer>,
    interests: HashMap<Box<[u8]>, Arc<RemoteInterest>>,
    cache: MatchCache,
    /// It is counted in its account.
    entered: bool,
}

impl Broker {
    /// For a leaf node that may come in. Whether there is room for it is said as well.
    pub(super) fn hub(
        shared: &Arc<Shared>,
        link: &Arc<Link>,
        admitted: Admitted,
        connect: &LeafConnect,
    ) -> (Self, bool) {
        let Admitted { account, user, pass, decided: _ } = admitted;
        let permissions = user.as_ref().and_then(|user| user.permissions.clone());
        link.user.store(user);
        link.pass.store(pass);
        let headers = connect.headers && !shared.hub.options().no_header_support;
        let mut out = link.outbound();
        out.takes_headers = headers;
        out.replies = permissions.as_ref().and_then(AllowedReplies::new);
        drop(out);
        let peer = LeafPeer {
            name: connect.name.clone(),
            cluster: cluster(&connect.cluster, &connect.name, link),
            account: connect.remote_account.clone(),
            spoke: connect.hub,
            solicited: false,
            websocket: link.is_websocket(),
            isolated: shared.options.load().isolate || connect.isolate,
            traces: connect.proto >= 3,
            rules: reversed(permissions.as_deref(), &connect.deny_pub).map(Arc::new).into(),
        };
        let (broker, room) = Self::new(shared, link, account, permissions, peer);
        (Self { denied: connect.deny_pub.clone(), ..broker }, room)
    }

    /// For a hub that has let us in. `None` if the account here is gone.
    pub(super) fn leaf(
        shared: &Arc<Shared>,
        link: &Arc<Link>,
        remote: &Remote,
        hub: &LeafInfo,
    ) -> Option<(Self, bool)> {
        let account = shared.hub.accounts.get(remote.options.account_name().as_bytes())?;
        link.outbound().takes_headers = hub.headers && !shared.hub.options().no_header_support;
        shared.hub.names_at_hubs.learn(account.display_name(), &hub.remote_account);
        let name = if hub.server_name.is_empty() { &hub.server_id } else { &hub.server_name };
        let peer = LeafPeer {
            name: name.clone(),
            cluster: cluster(&hub.cluster, name, link),
            account: hub.remote_account.clone(),
            spoke: !remote.options.hub,
            solicited: true,
            websocket: remote.options.urls.first().is_some_and(|url| url.websocket),
            isolated: shared.options.load().isolate || remote.options.isolate,
            traces: hub.proto >= 3,
            rules: remote.rules(hub).map(Arc::new).into(),
        };
        Some(Self::new(shared, link, account, None, peer))
    }

    fn new(
        shared: &Arc<Shared>,
        link: &Arc<Link>,
        account: Arc<Account>,
        permissions: Option<Arc<Permissions>>,
        peer: LeafPeer,
    ) -> (Self, bool) {
        link.account.store(Some(account.clone()));
        let room = account.enter_leaf();
        let broker = Self {
            shared: shared.clone(),
            link: link.clone(),
            account,
            permissions,
            denied: Vec::new(),
            peer: Some(peer),
            interests: HashMap::new(),
            cache: MatchCache::default(),
            entered: true,
        };
        (broker, room)
    }

    /// From now on the other end is told of interest on this side.
    ///
    /// # Errors
    ///
    /// The connection that leads there already: on a second way all would come twice.
    pub(super) fn open(&mut self) -> Result<(), Arc<Link>> {
        let Some(peer) = self.peer.take() else { return Ok(()) };
        if !peer.solicited {
            self.replace_double(&peer);
        }
        let _ = self.link.leaf.set(Box::new(peer));
        let mut open = self.shared.open.lock();
        if let Some(first) = open.values().find(|other| self.leads_as(other)) {
            return Err(first.clone());
        }
        open.insert(self.link.id, self.link.clone());
        drop(open);
        self.account.open_leaf(Arc::new(LeafDesk::new(self.link.clone())));
        self.shared.hub.tell_joined(&self.link);
        Ok(())
    }

    /// Whether we are a leaf node of the same cluster on `other`, with the same accounts.
    fn leads_as(&self, other: &Arc<Link>) -> bool {
        let Some((ours, its)) = self.link.leaf.get().zip(other.leaf.get()) else { return false };
        let same_account = other.account.load().as_ref().is_some_and(|its| Arc::ptr_eq(its, &self.account));
        let both = |is: fn(&LeafPeer) -> bool| is(ours) && is(its);
        same_account
            && both(|peer| peer.solicited && peer.spoke && !peer.account.is_empty())
            && (&ours.cluster, &ours.account) == (&its.cluster, &its.account)
            && !other.is_closing()
    }

    /// Whether the cluster of the hub is one of our leaf nodes as well: what we tell it would come back.
    pub(super) fn is_hub_of_hub(&self) -> bool {
        let Some(hub) = self.peer.as_ref().filter(|peer| peer.solicited) else { return false };
        let open = self.shared.open.lock();
        open.values().any(|link| {
            link.account.load().as_ref().is_some_and(|its| Arc::ptr_eq(its, &self.account))
                && link.leaf.get().is_some_and(|leaf| !leaf.solicited && !leaf.spoke && leaf.cluster == hub.cluster)
        })
    }

    /// A leaf node that connects again was cut off without our knowing.
    fn replace_double(&self, new: &LeafPeer) {
        let open: Vec<_> = self.shared.open.lock().values().cloned().collect();
        let is_double = |link: &&Arc<Link>| {
            let same_account = link.account.load().as_ref().is_some_and(|its| Arc::ptr_eq(its, &self.account));
            same_account
                && link.leaf.get().is_some_and(|old| {
                    let same = |a: &LeafPeer| (a.name.clone(), a.cluster.clone(), a.account.clone());
                    !old.solicited && !old.name.is_empty() && !old.account.is_empty() && same(old) == same(new)
                })
        };
        for old in open.iter().filter(is_double) {
            let text = CloseReason::DuplicateLeaf.to_string();
            log::error!("{} - {text}", old.describe());
            old.send_now(|out| encode::write_error(out, &text));
            old.close(CloseReason::DuplicateLeaf);
            log::warn!("{} - Replacing connection from same server", self.link.describe());
        }
    }

    /// The hub says anew what we may do.
    pub(super) fn adopt_rules(&self, rules: Option<Permissions>) {
        if let Some(peer) = self.link.leaf.get() {
            peer.rules.store(rules.map(Arc::new));
            self.account.leaf_rules_changed(&self.link);
        }
    }

    /// What the user of a leaf node may do; `None` is everything.
    pub(super) fn permissions(&self) -> Option<&Permissions> {
        self.permissions.as_deref()
    }

    /// The leaf node is this user from now on.
    pub(super) fn become_user(&mut self, user: Option<Arc<User>>) {
        let permissions = user.as_ref().and_then(|user| user.permissions.clone());
        self.link.user.store(user);
        if permissions != self.permissions {
            self.link.outbound().replies = permissions.as_ref().and_then(AllowedReplies::new);
            self.adopt_rules(reversed(permissions.as_deref(), &self.denied));
            self.permissions = permissions;
        }
    }

    /// The other end is interested in something.
    pub(super) fn subscribe(&mut self, interest: &Interest<'_>) -> Result<(), Refused> {
        let Some(peer) = self.link.leaf.get() else { return Ok(()) };
        if !subject::is_valid(interest.subject) {
            return Ok(());
        }
        let of_loop = interest.subject.starts_with(LOOP_PREFIX);
        if of_loop && self.account.is_loop(interest.subject) {
            return Err(Refused::Loop);
        }
        let literal = subject::is_valid_literal(interest.subject);
        if literal && !of_loop && !peer.may_send(interest.subject) {
            // A hub has told us what it may ask for: there is nobody to blame.
            return if peer.spoke { Ok(()) } else { Err(Refused::Subscribe(text(interest.subject))) };
        }
        let key = key(interest);
        if let Some(known) = self.interests.get(&*key) {
            self.account.reweigh(known, interest.weight);
            return Ok(());
        }
        if self.is_full() {
            return Err(Refused::TooMany);
        }
        let new = RemoteInterest::new(self.link.clone(), interest.subject, interest.queue, interest.weight);
        let new = Arc::new(new.of_leafs(Some(peer.cluster.clone())));
        self.interests.insert(key, new.clone());
        self.account.add_remote(new);
        Ok(())
    }

    fn is_full(&self) -> bool {
        let count = self.interests.len();
        let of_account = self.account.spec().limits.subscriptions;
        self.shared.hub.options().max_subscriptions.is_some_and(|max| count >= max)
            || of_account.is_some_and(|max| count as u64 >= max)
            || count >= MAX_INTERESTS
    }

    /// The other end is not interested any more.
    pub(super) fn unsubscribe(&mut self, interest: &Interest<'_>) {
        if let Some(gone) = self.interests.remove(&*key(interest)) {
            self.account.remove_remote(&gone);
        }
    }

    /// A message of the other end.
    pub(super) fn deliver(&mut self, message: &Message<'_>, batch: &mut Batch) -> Result<(), Refused> {
        let account = self.account.clone();
        batch.enter(&account, &self.shared.hub);
        batch.count_received(Kind::Leaf, message.body.len());
        let Some(peer) = self.link.leaf.get() else { return Ok(()) };
        if !self.may_come(peer, message.subject, batch) {
            // As in nats-server: it has asked nobody, and may have been told late what we do not want.
            return if peer.spoke { Ok(()) } else { Err(Refused::Publish(text(message.subject))) };
        }
        let mut mapped = std::mem::take(&mut batch.mapped);
        mapped.clear();
        let renamed = account.map(&self.shared.hub, message.subject, batch, &mut mapped);
        let message_here = encode::Message {
            subject: if renamed { &mapped } else { message.subject },
            reply: message.reply,
            header_len: message.header_len,
            body: message.body,
        };
        let (hub, link, cache) = (&self.shared.hub, &self.link, &mut self.cache);
        let queues = message.queues;
        let publish = |message: &encode::Message<'_>, trace: Option<&Trace>, batch: &mut Batch| {
            let mut scratch = std::mem::take(&mut batch.matches);
            if let Some(matches) = cache.find_permitted(&account, message.subject, &mut scratch, || true) {
                let origin = Some(&*peer.cluster);
                let from = Publisher { trace, origin, ..Publisher::new(hub, link, true) };
                publish_from_leaf(&account, message, queues, matches, &from, batch);
            }
            batch.matches = scratch;
        };
        let permissions = self.permissions.as_deref();
        Arrival { hub, link, account: &account, permissions }.pass(&message_here, batch, publish);
        batch.mapped = mapped;
        batch.settle(hub);
        Ok(())
    }

    fn may_come(&self, peer: &LeafPeer, subject: &[u8], batch: &mut Batch) -> bool {
        let Some(permissions) = self.permissions.as_ref().filter(|_| !peer.solicited) else {
            return peer.may_come(subject);
        };
        if permissions.may_publish(subject) || super::peer::is_internal(subject) {
            return true;
        }
        let now = batch.now();
        self.link.outbound().replies.as_mut().is_some_and(|replies| replies.take(subject, now))
    }

    /// The connection is over: removes a part of what it left behind. Returns whether that was all.
    pub(super) fn unwind(&mut self) -> bool {
        self.shared.open.lock().remove(&self.link.id);
        self.account.close_leaf(&self.link);
        let some: Vec<_> = self.interests.keys().take(UNWIND).cloned().collect();
        for key in &some {
            if let Some(gone) = self.interests.remove(key) {
                self.account.remove_remote(&gone);
            }
        }
        if self.interests.is_empty() && std::mem::take(&mut self.entered) {
            self.account.leave_leaf();
        }
        self.interests.is_empty()
    }
}

impl Shared {
    /// `INFO` with which a connection begins.
    pub(super) fn first_info(&self, id: u64, nonce: &str, compression: &Mode) -> LeafInfo {
        LeafInfo { nonce: nonce.to_owned(), compression: compression.name().into(), ..self.info(id) }
    }

    /// `CONNECT` to a hub, without what says who the user is.
    pub(super) fn introduction(&self, remote: &Remote, hub: &LeafInfo) -> LeafConnect {
        let options = &remote.options;
        LeafConnect {
            version: crate::server::identity::COMPATIBLE_VERSION.into(),
            server_id: self.hub.identity.id.clone(),
            name: self.hub.identity.name.clone(),
            hub: options.hub,
            cluster: self.cluster(),
            headers: hub.headers && !self.hub.options().no_header_support,
            deny_pub: options.denied.subscribe.deny.iter().map(ToString::to_string).collect(),
            isolate: options.request_isolation,
            remote_account: options.account_name().to_owned(),
            proto: natsd_core::route::hello::PROTOCOL,
            ..LeafConnect::default()
        }
    }
}

/// What is of this server's leaf nodes is known by the name of their cluster, which has to be one word.
fn cluster(cluster: &str, name: &str, link: &Link) -> Arc<[u8]> {
    let is_word = |text: &&str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    let known = [cluster, name].into_iter().find(is_word).map(str::to_owned);
    known.unwrap_or_else(|| format!("leaf-{}", link.id)).into_bytes().into()
}

/// What may be sent to a leaf node, and asked of it: what its user may subscribe to, and publish.
fn reversed(permissions: Option<&Permissions>, denied: &[String]) -> Option<Permissions> {
    let denied: Vec<Rule> = denied.iter().filter_map(|text| text.parse().ok()).collect();
    if permissions.is_none() && denied.is_empty() {
        return None;
    }
    let mut rules = permissions.map_or_else(Permissions::default, |may| Permissions {
        publish: may.subscribe.clone(),
        subscribe: may.publish.clone(),
        replies: None,
    });
    rules.publish.deny.extend(denied);
    Some(rules)
}

/// Subjects and groups have no spaces.
fn key(interest: &Interest<'_>) -> Box<[u8]> {
    [interest.subject, b" ", interest.queue.unwrap_or_default()].concat().into()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
