//! `SUB` and `UNSUB`.

use std::sync::Arc;

use natsd_core::error::ClientError;
use natsd_core::parser::Subscribe;
use natsd_core::subject;

use super::Client;
use crate::hub::subscription::Subscription;
use crate::link::batch::Batch;

/// The queue group that clients may not join.
const RESERVED_QUEUE: &[u8] = b"_sys_";

impl Client {
    pub(super) fn subscribe(&mut self, wanted: Subscribe<'_>, batch: &mut Batch) {
        batch.act();
        if let Some(error) = self.why_not(&wanted) {
            return self.refuse_subscription(&error, wanted.sid, batch);
        }
        let Subscribe { subject, queue, sid } = wanted;
        let mut known = self.link.subscriptions.lock();
        if known.get(sid).is_none() {
            let subscription =
                Arc::new(Subscription::new(self.link.clone(), self.account.clone(), subject, queue, sid));
            known.insert(subscription.clone());
            drop(known);
            self.account.subscribe(subscription);
        }
        self.acknowledge(batch);
    }

    fn why_not(&self, wanted: &Subscribe<'_>) -> Option<ClientError> {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let options = self.hub.options();
        if self.permissions.as_ref().is_some_and(|may| !may.may_subscribe(wanted.subject, wanted.queue)) {
            let subject = text(wanted.subject);
            return Some(match wanted.queue {
                Some(queue) => ClientError::SubscribeQueue { subject, queue: text(queue) },
                None => ClientError::Subscribe(subject),
            });
        }
        if !subject::is_valid(wanted.subject) {
            return Some(ClientError::InvalidSubject);
        }
        if let Some(queue) = wanted.queue.filter(|&queue| queue == RESERVED_QUEUE) {
            return Some(ClientError::SubscribeQueue { subject: text(wanted.subject), queue: text(queue) });
        }
        if options.max_sub_tokens.is_some_and(|max| subject::tokens(wanted.subject).count() > usize::from(max)) {
            return Some(ClientError::TooManyTokens(text(wanted.subject)));
        }
        let count = self.link.subscriptions.lock().len();
        let of_account = self.account.spec().limits.subscriptions;
        let full = options.max_subscriptions.is_some_and(|max| count >= max)
            || of_account.is_some_and(|max| count as u64 >= max)
            || self.granted.subscriptions.is_some_and(|max| count as u64 >= max);
        full.then_some(ClientError::MaxSubscriptions)
    }

    pub(super) fn unsubscribe(&mut self, sid: &[u8], max: Option<u64>, batch: &mut Batch) {
        batch.act();
        let known = self.link.subscriptions.lock().get(sid).cloned();
        if let Some(subscription) = known
            && subscription.end(max)
        {
            self.hub.unsubscribe(&subscription);
            self.link.trace_unsubscribed(sid);
        }
        self.acknowledge(batch);
    }
}
