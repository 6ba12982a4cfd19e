//! `PUB` and `HPUB`.

use std::sync::Arc;

use natsd_core::encode::Message;
use natsd_core::error::ClientError;
use natsd_core::{header, subject};

use super::Client;
use crate::hub::account::map;
use crate::hub::msg_trace::Trace;
use crate::hub::publish::{Publisher, publish, publish_to};
use crate::hub::remote_latency;
use crate::link::batch::Batch;
use crate::link::{Kind, Link};

impl Client {
    pub(super) fn publish(&mut self, message: Message<'_>, batch: &mut Batch) {
        batch.enter(&self.account, &self.hub);
        batch.count_received(Kind::Client, message.body.len());
        if self.flags.pedantic && !subject::is_valid_literal(message.subject) {
            self.refuse(&ClientError::InvalidPublishSubject, batch);
        }
        if message.header_len > 0 && self.account.may_trace(message.headers()) {
            self.publish_traced(&message, batch);
        } else {
            self.accept(message, None, batch);
        }
    }

    /// Delivers what is no more than a message of its publisher, under the subject that it is mapped to.
    pub(super) fn accept(&mut self, message: Message<'_>, trace: Option<&Trace>, batch: &mut Batch) {
        if let Some(error) = reserved(&message) {
            return self.refuse_message(&error, trace, batch);
        }
        let Some(mappings) = self.mappings.clone() else { return self.deliver(message, trace, batch) };
        let mut subject = std::mem::take(&mut batch.mapped);
        subject.clear();
        if map(&mappings, &self.hub, message.subject, batch, &mut subject) {
            if let Some(trace) = trace {
                trace.mapped(&subject);
            }
            self.deliver(Message { subject: &subject, ..message }, trace, batch);
        } else {
            self.deliver(message, trace, batch);
        }
        batch.mapped = subject;
    }

    fn refuse_message(&self, error: &ClientError, trace: Option<&Trace>, batch: &mut Batch) {
        if let Some(trace) = trace {
            trace.refuse(&error.to_string());
        }
        self.refuse(error, batch);
    }

    /// Delivers what a client may publish; that a mapping made the subject makes no difference, as in nats-server.
    fn deliver(&mut self, message: Message<'_>, trace: Option<&Trace>, batch: &mut Batch) {
        let mut scratch = std::mem::take(&mut batch.matches);
        let permissions = &self.permissions;
        let may = || permissions.as_ref().is_none_or(|permissions| permissions.may_publish(message.subject));
        let matches = match self.cache.find_permitted(&self.account, message.subject, &mut scratch, may) {
            Some(matches) => matches,
            None if answers(&self.link, message.subject, batch) => {
                self.account.matches(message.subject, &mut scratch);
                &scratch
            }
            None => {
                batch.matches = scratch;
                let error = ClientError::Publish(String::from_utf8_lossy(message.subject).into());
                return self.refuse_message(&error, trace, batch);
            }
        };
        if self.flags.verbose {
            self.link.send(batch, |out| out.extend_from_slice(b"+OK\r\n"));
        }
        if let Some(took) = self.link.took(message.subject, batch) {
            remote_latency::tell_half((&self.hub, &self.link, &self.account), message.subject, took, batch);
        }
        let from = Publisher { trace, ..Publisher::new(&self.hub, &self.link, self.flags.echo) };
        if let Some(way) = self.link.way_of_answer(message.subject, batch) {
            publish_to(&self.account, &Message { subject: &way, ..message }, &from, batch);
            batch.matches = scratch;
            return;
        }
        let delivered = publish(&self.account, &message, matches, &from, batch);
        batch.matches = scratch;
        batch.settle(&self.hub);
        if let (false, true, Some(reply)) = (delivered, self.flags.no_responders, message.reply) {
            self.answer_no_responders(message.subject, reply, batch);
        }
    }

    /// Tells the client that nobody takes its request, if it listens for the answer itself.
    fn answer_no_responders(&mut self, subject: &[u8], reply: &[u8], batch: &mut Batch) {
        let mut scratch = std::mem::take(&mut batch.matches);
        self.account.matches(reply, &mut scratch);
        let own = scratch.plain.iter().find(|subscription| Arc::ptr_eq(&subscription.link, &self.link));
        if let Some(own) = own {
            let mut body = Vec::with_capacity(64);
            header::write_no_responders(&mut body, subject);
            let answer = Message { subject: reply, reply: None, header_len: body.len(), body: &body };
            // It does not count for UNSUB: the client may still hear from somebody later.
            self.link.send(batch, |out| answer.write(out, own.sid()));
        }
        scratch.clear();
        batch.matches = scratch;
    }
}

/// Whether what `link` publishes to `subject`, which it may not at will, is an answer to a request that it got.
fn answers(link: &Link, subject: &[u8], batch: &mut Batch) -> bool {
    let now = batch.now();
    link.outbound().replies.as_mut().is_some_and(|replies| replies.take(subject, now))
}

/// What clients may not publish to, or ask for replies to.
fn reserved(message: &Message<'_>) -> Option<ClientError> {
    let begins = |subject: &[u8], reserved: &[&str]| reserved.iter().any(|name| subject.starts_with(name.as_bytes()));
    let text = |subject| String::from_utf8_lossy(subject).into_owned();
    let special = |subject: &[u8]| matches!(subject.first(), Some(b'$' | b'_'));
    if special(message.subject) && begins(message.subject, &["$NRG.", "_GR_.", "$GR."]) {
        return Some(ClientError::Publish(text(message.subject)));
    }
    let reply = message.reply.filter(|reply| special(reply))?;
    begins(reply, &["_R_.", "_GR_.", "$GR.", "$JS.ACK."]).then(|| ClientError::Reply(text(reply)))
}
