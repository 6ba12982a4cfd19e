//! Messages whose headers may ask for a trace.

use natsd_core::encode::Message;
use natsd_core::error::ClientError;
use natsd_core::parser;

use super::Client;
use crate::hub::msg_trace::{Arrival, Trace};
use crate::link::batch::Batch;

/// What a trace says of a message that is too large.
const TOO_LARGE: &str = "maximum payload exceeded";

impl Client {
    /// Publishes `message`, traced if it asks for that.
    pub(super) fn publish_traced(&mut self, message: &Message<'_>, batch: &mut Batch) {
        self.arrive(|client, arrival| {
            let go_on = |message: &Message<'_>, trace: Option<&Trace>, batch: &mut Batch| {
                client.accept(*message, trace, batch);
            };
            let refused = arrival.lead(message, batch, go_on).err();
            client.refuse_destination(refused, batch);
        });
    }

    /// Tells of the message at the start of `input`, which is larger than it may be, if it asks for a trace.
    pub(super) fn trace_too_large(&mut self, input: &[u8], batch: &mut Batch) {
        let Some((message, size)) = parser::read_refused(input) else { return };
        if !self.limits.headers || !self.account.may_trace(message.headers()) {
            return;
        }
        self.arrive(|client, arrival| {
            let refused = arrival.refuse(&message, size, TOO_LARGE, batch).err();
            client.refuse_destination(refused, batch);
        });
    }

    fn arrive(&mut self, act: impl FnOnce(&mut Self, Arrival<'_>)) {
        let (hub, link, account) = (self.hub.clone(), self.link.clone(), self.account.clone());
        let permissions = self.permissions.clone();
        act(self, Arrival { hub: &hub, link: &link, account: &account, permissions: permissions.as_deref() });
    }

    fn refuse_destination(&self, destination: Option<String>, batch: &mut Batch) {
        if let Some(destination) = destination {
            self.refuse(&ClientError::Publish(destination), batch);
        }
    }
}
