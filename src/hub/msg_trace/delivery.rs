//! What happens to a traced message on its way out, to the letter as nats-server says it.

use std::sync::Arc;
use std::time::SystemTime;

use natsd_api::MsgTrace;
use natsd_core::encode::Message;
use natsd_core::msg_trace::HOP;

use super::{Trace, text, with_header};
use crate::hub::publish::Publisher;
use crate::hub::responses::RESERVED;
use crate::hub::subscription::{Imported, Subscription};
use crate::link::batch::Batch;
use crate::link::{Errand, Kind, Link};

const NO_ECHO: &str = "Not delivered because of no echo";
const DENIED: &str = "Not delivered because subscription denies this subject";
const SUBSCRIPTION_CLOSED: &str = "Not delivered because subscription is closed";
const CLIENT_CLOSED: &str = "Not delivered because client is closed";
const HAD_ALL: &str = "Not delivered because auto-unsubscribe exceeded";
const ONLY_UNSUPPORTED: &str = "Not delivered because remote does not support message tracing";
const UNSUPPORTED: &str =
    "Message delivered but remote does not support message tracing so no trace event generated from there";

impl Trace {
    /// Delivers to one who is subscribed here, unless the message is only traced. Returns whether it gets it, or would.
    pub(crate) fn hand_over(
        &self,
        subscription: &Arc<Subscription>,
        message: &Message<'_>,
        from: &Publisher<'_>,
        batch: &mut Batch,
    ) -> bool {
        if !from.may_share(subscription) {
            return false;
        }
        if let Some(imported) = subscription.imported() {
            self.note_stream(imported, message.subject);
            if !imported.import.allow_trace {
                let may = !from.is_echo(subscription) && subscription.may_get(message.subject);
                return self.only || may && subscription.link.deliver(subscription, message, batch);
            }
        }
        // The server is no receiver of its own that a trace would tell of.
        if subscription.link.kind == Kind::System {
            return from.may_hear(subscription) && subscription.link.deliver(subscription, message, batch);
        }
        let error = self.try_deliver(subscription, message, from, batch);
        self.note_egress(&subscription.link, error, |egress| {
            egress.subscription = text(subscription.subject());
            egress.queue = subscription.queue().map(text).unwrap_or_default();
            let account = subscription.link.account_name();
            if account != self.notes.borrow().ingress.acc {
                egress.acc = account;
            }
        });
        error.is_empty()
    }

    fn note_stream(&self, Imported { original, import }: &Imported, foreign: &[u8]) {
        let mut local = Vec::new();
        if import.renaming.to_local(foreign, &mut local) {
            let acc = original.account.display_name();
            self.note(MsgTrace::StreamExport { ts: SystemTime::now().into(), acc, to: text(&local) });
        }
    }

    /// Returns why it is not delivered; empty if it is.
    fn try_deliver(
        &self,
        subscription: &Arc<Subscription>,
        message: &Message<'_>,
        from: &Publisher<'_>,
        batch: &mut Batch,
    ) -> &'static str {
        let link = &subscription.link;
        let target = subscription.imported().map_or(subscription, |imported| &imported.original);
        if from.is_echo(subscription) {
            NO_ECHO
        } else if !subscription.may_get(message.subject) {
            DENIED
        } else if self.only {
            if target.has_ended() { SUBSCRIPTION_CLOSED } else { "" }
        } else if link.deliver(subscription, message, batch) {
            ""
        } else if link.is_closing() {
            CLIENT_CLOSED
        } else {
            let (delivered, max) = target.progress();
            if max > 0 && delivered >= max { HAD_ALL } else { SUBSCRIPTION_CLOSED }
        }
    }

    /// Sends on to another server, which tells the next part. That is sent a message that is only traced as well.
    pub(crate) fn pass_on<'q>(
        &self,
        route: &Arc<Link>,
        account: &[u8],
        message: &Message<'_>,
        (errand, queues): (Errand<'_>, impl Iterator<Item = &'q [u8]>),
        batch: &mut Batch,
    ) -> bool {
        let hop = self.next_hop();
        let traces = route.server.get().is_some_and(|server| server.traces)
            || route.leaf.get().is_some_and(|peer| peer.traces)
            || route.gateway.get().is_some_and(|peer| peer.traces);
        let error = if !traces && self.only {
            ONLY_UNSUPPORTED
        } else {
            if traces {
                self.await_part();
            }
            let mut body = Vec::new();
            let message = with_header(message, HOP, hop.as_bytes(), &mut body);
            match (route.route(account, &message, errand, queues, batch), traces) {
                (false, _) => CLIENT_CLOSED,
                (true, false) => UNSUPPORTED,
                (true, true) => "",
            }
        };
        self.note_egress(route, error, |egress| egress.hop = hop);
        error.is_empty() || error == UNSUPPORTED
    }

    /// The part of the trace that the next server tells.
    fn next_hop(&self) -> String {
        let mut notes = self.notes.borrow_mut();
        notes.hops += 1;
        match &self.hop {
            Some(hop) => format!("{hop}.{}", notes.hops),
            None => notes.hops.to_string(),
        }
    }

    /// What the next server tells may come by way of other accounts.
    fn await_part(&self) {
        let notes = self.notes.borrow();
        if let Some(awaited) = &notes.awaited
            && notes.destination.starts_with(RESERVED)
        {
            awaited.expect_part();
        }
    }
}
