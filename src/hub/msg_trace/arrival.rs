//! What a message asks for as it comes.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::SystemTime;

use natsd_api::{MsgTraceIngress, MsgTraceRequest};
use natsd_auth::Permissions;
use natsd_core::encode::Message;
use natsd_core::msg_trace::{ORIGIN_ACCOUNT, Request};

use super::{Notes, Trace, is_destination, kind, name, switch_off, text};
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::link::batch::Batch;
use crate::link::{Kind, Link};

/// Where a message comes in.
pub(crate) struct Arrival<'a> {
    pub hub: &'a Arc<Hub>,
    pub link: &'a Link,
    pub account: &'a Arc<Account>,
    /// What the one who publishes may do; `None` is everything.
    pub permissions: Option<&'a Permissions>,
}

/// What becomes of a message.
enum Begun {
    /// It goes on as any other.
    Not,
    /// It goes on, and no other server is to trace it either.
    SwitchedOff,
    /// It was to be traced only, and cannot be.
    Dropped,
    /// The one who published it may not publish to this subject, where the trace was to go. It goes no further.
    Refused(String),
    /// It goes on, and is traced.
    Traced(Box<Trace>),
}

impl Arrival<'_> {
    /// Lets `message` of another server go on, traced if it asks for that. The log tells where no trace may go; the message goes no
    /// further then.
    pub(crate) fn pass(
        &self,
        message: &Message<'_>,
        batch: &mut Batch,
        mut go_on: impl FnMut(&Message<'_>, Option<&Trace>, &mut Batch),
    ) {
        if message.header_len == 0 || !self.account.may_trace(message.headers()) {
            go_on(message, None, batch);
        } else if let Err(destination) = self.lead(message, batch, go_on) {
            log::error!("{} - Publish Violation - Subject {destination:?}", self.link.describe());
        }
    }

    /// Lets `message` go on as its headers ask for, traced or not, and tells what came of it if it is.
    ///
    /// # Errors
    ///
    /// Where the trace was to go, if the one who publishes may not publish there. The message goes no further.
    #[inline(never)]
    pub(crate) fn lead(
        &self,
        message: &Message<'_>,
        batch: &mut Batch,
        go_on: impl FnOnce(&Message<'_>, Option<&Trace>, &mut Batch),
    ) -> Result<(), String> {
        match self.begin(message, message.body.len(), batch) {
            Begun::Not => go_on(message, None, batch),
            Begun::SwitchedOff => go_on(&switch_off(message, &mut Vec::new()), None, batch),
            Begun::Dropped => {}
            Begun::Refused(destination) => return Err(destination),
            Begun::Traced(trace) => {
                go_on(message, Some(&trace), batch);
                trace.tell(self.hub, batch);
            }
        }
        Ok(())
    }

    /// Tells of a message that goes no further for this `error`, if its headers ask for a trace. It was to have `size` bytes,
    /// not all of which are there.
    ///
    /// # Errors
    ///
    /// As of [`lead`](Self::lead).
    pub(crate) fn refuse(
        &self,
        message: &Message<'_>,
        size: usize,
        error: &str,
        batch: &mut Batch,
    ) -> Result<(), String> {
        match self.begin(message, size, batch) {
            Begun::Refused(destination) => return Err(destination),
            Begun::Traced(trace) => {
                trace.refuse(error);
                trace.tell(self.hub, batch);
            }
            Begun::Not | Begun::SwitchedOff | Begun::Dropped => {}
        }
        Ok(())
    }

    fn begin(&self, message: &Message<'_>, size: usize, batch: &mut Batch) -> Begun {
        let Some(request) = Request::read(message.headers()) else { return Begun::Not };
        let untraced = if request.only() { Begun::Dropped } else { Begun::Not };
        if let Some(account) = request.origin_account() {
            let describe = self.link.describe();
            log::error!(
                "{describe} - Message tracing disabled because of header {ORIGIN_ACCOUNT:?} with value={account:?}"
            );
            return if request.only() { Begun::Dropped } else { Begun::SwitchedOff };
        }
        let destination = match request.destination() {
            Some(destination) => destination.to_owned(),
            None => match self.sample(batch) {
                Ok(destination) => destination,
                Err(begun) => return begun,
            },
        };
        if !is_destination(&destination) {
            let describe = self.link.describe();
            log::error!("{describe} - Destination {destination:?} is not valid, won't be able to trace events");
            return untraced;
        }
        if !self.may_publish(&destination) {
            return Begun::Refused(destination);
        }
        Begun::Traced(Box::new(self.trace(request, destination, message, size)))
    }

    /// The destination that the account has for messages that name none.
    fn sample(&self, batch: &mut Batch) -> Result<String, Begun> {
        let spec = self.account.spec();
        let Some(target) = &spec.trace else { return Err(Begun::Not) };
        // Whoever takes a message from its client decides for all servers.
        if self.link.kind == Kind::Client && batch.rng.u8(..100) >= target.sampling {
            return Err(Begun::SwitchedOff);
        }
        Ok(target.subject.clone())
    }

    fn may_publish(&self, destination: &str) -> bool {
        let reserved = ["_GR_.", "$GR."].iter().any(|name| destination.starts_with(name))
            || destination.starts_with("$NRG.") && !self.hub.is_system(self.account);
        !reserved && self.permissions.is_none_or(|permissions| permissions.may_publish(destination.as_bytes()))
    }

    fn trace(&self, request: Request, destination: String, message: &Message<'_>, size: usize) -> Trace {
        let ingress = MsgTraceIngress {
            ts: SystemTime::now().into(),
            kind: kind(self.link),
            cid: self.link.id,
            name: name(self.link),
            acc: self.account.display_name(),
            subj: text(message.subject),
            error: String::new(),
        };
        let notes = Notes {
            ingress,
            events: Vec::new(),
            size: 0,
            hops: 0,
            destination: destination.clone().into_bytes(),
            awaited: None,
        };
        Trace {
            account: self.account.clone(),
            only: request.only(),
            // What a client writes there means nothing.
            hop: request.hop().filter(|_| self.link.kind != Kind::Client).map(str::to_owned),
            encoding: request.encoding(),
            destination,
            request: MsgTraceRequest { header: request.headers, size },
            notes: RefCell::new(notes),
        }
    }
}
