//! Messages to those who are subscribed here, as they see them.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use natsd_core::ack;
use natsd_core::encode::Message;
use natsd_core::gateway::reply::{Mapped, PREFIX};
use natsd_core::subject;

use super::batch::Batch;
use super::outbound::Outbound;
use super::{Kind, Link, trace};
use crate::hub::remote_latency;
use crate::hub::subscription::{Imported, Subscription};

impl Link {
    /// Delivers to a subscription of this link. `false` if it has ended, or had all the messages it asked for.
    pub(crate) fn deliver(self: &Arc<Self>, to: &Arc<Subscription>, message: &Message<'_>, batch: &mut Batch) -> bool {
        if let Some(imported) = to.imported() {
            return self.deliver_imported(imported, message, batch);
        }
        if let Some(delivery) = message.reply.and_then(ack::Delivery::parse) {
            return self.deliver_of_stream(to, message, &delivery, batch);
        }
        let mut out = self.out.lock();
        if out.is_closing() || !to.count(batch) {
            return false;
        }
        let message = &self.unmapped(message, &mut out, batch);
        if let (Some(replies), Some(reply)) = (&mut out.replies, message.reply) {
            replies.requested(reply, batch.now());
        }
        if let Some(reply) = message.reply.filter(|reply| self.kind == Kind::Client && remote_latency::is_marked(reply))
        {
            self.note_asked(reply, &mut out, batch);
        }
        let message = if message.header_len > 0 && !out.takes_headers { message.without_headers() } else { *message };
        if trace::enabled() {
            self.trace_delivery(to.sid(), &message);
        }
        message.write(out.buffer(), to.sid());
        out.count(message.body.len());
        if self.kind != Kind::System {
            batch.count_sent(self.kind, message.body.len());
        }
        self.appended(out, batch);
        true
    }

    /// Delivers a message of a stream, under the subject that it has there.
    #[cold]
    fn deliver_of_stream(
        self: &Arc<Self>,
        to: &Arc<Subscription>,
        message: &Message<'_>,
        &ack::Delivery { reply, subject }: &ack::Delivery<'_>,
        batch: &mut Batch,
    ) -> bool {
        // What a subscription may not get by its name it does not get by another one.
        let denied = subject::matches(to.subject(), subject) && !to.may_get(subject);
        !denied && self.deliver(to, &Message { subject, reply: Some(reply), ..*message }, batch)
    }

    /// `message` as the client gets it: what leads its answer to another cluster is kept here.
    fn unmapped<'a>(&self, message: &Message<'a>, out: &mut Outbound, batch: &mut Batch) -> Message<'a> {
        let way = message.reply.filter(|reply| self.kind == Kind::Client && reply.starts_with(PREFIX));
        let Some((way, mapped)) = way.and_then(|way| Some((way, Mapped::parse(way)?))) else { return *message };
        if let Some(now) = batch.now() {
            out.mapped_replies.get_or_insert_default().note(way, &mapped, now);
            self.maps_replies.store(true, Relaxed);
        }
        Message { reply: Some(mapped.subject), ..*message }
    }

    #[cold]
    fn note_asked(&self, reply: &[u8], out: &mut Outbound, batch: &mut Batch) {
        if let Some(now) = batch.now() {
            out.asked.get_or_insert_default().note(reply, now);
            self.is_measured.store(true, Relaxed);
        }
    }

    /// How long the client took, if what it publishes to `subject` is an answer that is measured.
    pub(crate) fn took(&self, subject: &[u8], batch: &mut Batch) -> Option<Duration> {
        if !self.is_measured.load(Relaxed) {
            return None;
        }
        let now = batch.now()?;
        let mut out = self.out.lock();
        let asked = out.asked.as_mut()?;
        let took = asked.answered(subject, now);
        if asked.is_empty() {
            out.asked = None;
            self.is_measured.store(false, Relaxed);
        }
        took
    }

    /// The way to another cluster of what the client publishes to `subject` as an answer.
    pub(crate) fn way_of_answer(&self, subject: &[u8], batch: &mut Batch) -> Option<Box<[u8]>> {
        if !self.maps_replies.load(Relaxed) {
            return None;
        }
        let now = batch.now()?;
        let mut out = self.out.lock();
        let replies = out.mapped_replies.as_mut()?;
        let way = replies.way(subject, now);
        if replies.is_empty() {
            out.mapped_replies = None;
            self.maps_replies.store(false, Relaxed);
        }
        way
    }

    /// Delivers what another account exports, under the name that it has in the account of this link.
    fn deliver_imported(self: &Arc<Self>, to: &Imported, message: &Message<'_>, batch: &mut Batch) -> bool {
        let mut subject = std::mem::take(&mut batch.imported);
        subject.clear();
        let delivered = to.import.renaming.to_local(message.subject, &mut subject)
            && self.deliver(&to.original, &Message { subject: &subject, ..*message }, batch);
        batch.imported = subject;
        delivered
    }
}
