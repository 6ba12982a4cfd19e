//! What a game knows of subscriptions, messages and outages, and what must have become of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use natsd_core::subject;

/// A subscription or a message is known everywhere after this long, if nothing is in the way.
pub(super) const SPREADS: Duration = Duration::from_millis(500);
/// Later than any game ends.
pub(super) const EVER: Duration = Duration::from_secs(1 << 32);
/// Servers have noticed that others are gone this long after nothing is in the way any more.
const NOTICED: Duration = Duration::from_secs(10);

pub(super) struct Subscription {
    pub(super) server: usize,
    pub(super) account: usize,
    pub(super) subject: String,
    pub(super) queue: Option<String>,
    pub(super) since: Duration,
    pub(super) until: Duration,
}

pub(super) struct Message {
    pub(super) server: usize,
    pub(super) account: usize,
    pub(super) subject: String,
    pub(super) at: Duration,
    /// The servers that had all connections to this one, for a while already.
    pub(super) reaches: BTreeSet<usize>,
}

/// Two servers do not reach each other, or one, twice the same, reaches nobody.
pub(super) struct Outage {
    pub(super) servers: (usize, usize),
    pub(super) from: Duration,
    /// When both have noticed.
    pub(super) noticed: Duration,
    /// When nothing is in the way any more, and both have noticed.
    pub(super) until: Duration,
}

#[derive(Default)]
pub(super) struct Checks {
    pub(super) subscriptions: BTreeMap<u64, Subscription>,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) outages: Vec<Outage>,
    /// Messages go over other servers, so that whatever happens anywhere may be in the way.
    over_hops: bool,
    /// When connections came and went.
    pub(super) changes: BTreeSet<Duration>,
    delivered: BTreeSet<(u64, u64)>,
    served: BTreeMap<(u64, String), u64>,
}

impl Checks {
    /// Of a game in which messages go `over_hops`, or go not.
    pub(super) fn new(over_hops: bool) -> Self {
        Self { over_hops, ..Self::default() }
    }

    /// A subscription got a message.
    pub(super) fn delivered(&mut self, subscription: u64, message: u64) {
        let to = &self.subscriptions[&subscription];
        assert!(self.matches(message, to), "message {message} is none for subscription {subscription}");
        assert!(
            self.delivered.insert((message, subscription)),
            "subscription {subscription} got message {message} twice"
        );
        if let Some(queue) = to.queue.clone() {
            let other = self.served.insert((message, queue.clone()), subscription);
            assert!(other.is_none(), "message {message} went to {subscription} and {other:?} of group {queue}");
        }
    }

    fn matches(&self, message: u64, to: &Subscription) -> bool {
        let message = &self.messages[&message];
        message.account == to.account && subject::matches(to.subject.as_bytes(), message.subject.as_bytes())
    }

    /// Whether a message was surely on its way to a subscription that surely was known where it began.
    fn is_certain(&self, message: &Message, to: &Subscription) -> bool {
        let known = to.since + SPREADS <= message.at && message.at + SPREADS <= to.until;
        let breaks = |outage: &Outage| message.at <= outage.until;
        let reaches = message.server == to.server || message.reaches.contains(&to.server);
        let around = message.at.saturating_sub(SPREADS)..=message.at + SPREADS;
        let steady = !self.over_hops || self.changes.range(around).next().is_none();
        known && reaches && steady && !self.outages(message, to).any(breaks)
    }

    /// Whether the server of the message may have taken the subscription for one that is there.
    fn is_possible(&self, message: &Message, to: &Subscription) -> bool {
        let lasts = message.at <= to.until + SPREADS;
        to.since <= message.at + SPREADS
            && (lasts || self.outages(message, to).any(|outage| outage.from <= to.until + SPREADS))
    }

    /// What was in the way when the message was published.
    fn outages(&self, message: &Message, to: &Subscription) -> impl Iterator<Item = &Outage> {
        let ends = [message.server, to.server];
        let at = message.at;
        self.outages.iter().filter(move |Outage { servers: (a, b), from, until, .. }| {
            let concerns =
                self.over_hops || if a == b { ends.contains(a) } else { ends.contains(a) && ends.contains(b) };
            concerns && *from <= at + SPREADS && at <= *until + NOTICED
        })
    }

    /// Nothing is under way any more: looks whether something is missing.
    pub(super) fn finish(&self) {
        for (&id, message) in &self.messages {
            let mut groups = BTreeMap::<&str, bool>::new();
            for (&subscription, to) in &self.subscriptions {
                if !self.matches(id, to) || !self.is_possible(message, to) {
                    continue;
                }
                let certain = self.is_certain(message, to);
                match &to.queue {
                    Some(queue) => *groups.entry(queue).or_insert(true) &= certain,
                    None => assert!(
                        !certain || self.delivered.contains(&(id, subscription)),
                        "subscription {subscription} to {} at server {} did not get message {id} of server {} at {:?}",
                        to.subject,
                        to.server,
                        message.server,
                        message.at
                    ),
                }
            }
            for (queue, certain) in groups {
                let served = self.served.contains_key(&(id, queue.to_owned()));
                assert!(
                    !certain || served,
                    "nobody of group {queue} got message {id} of server {} at {:?}",
                    message.server,
                    message.at
                );
            }
        }
    }

    /// What is subscribed to at `server`: the account, the subject, and the group with the number of its members.
    pub(super) fn interest(&self, server: usize) -> BTreeMap<(usize, String, Option<String>), u32> {
        let mut interest = BTreeMap::new();
        for to in self.subscriptions.values().filter(|to| to.server == server && to.until == EVER) {
            let members: &mut u32 = interest.entry((to.account, to.subject.clone(), to.queue.clone())).or_default();
            *members = if to.queue.is_some() { *members + 1 } else { 1 };
        }
        interest
    }
}
