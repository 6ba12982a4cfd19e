//! Traced messages that services lead into other accounts.

use std::sync::Arc;
use std::time::SystemTime;

use natsd_api::MsgTrace;
use natsd_auth::account::ResponseType;
use natsd_core::encode::Message;
use natsd_core::msg_trace::DEST;

use super::{Awaited, Trace, text, with_header};
use crate::hub::account::Account;
use crate::hub::imports::ServiceImport;
use crate::hub::publish::{Publisher, publish_to};
use crate::hub::responses::Response;
use crate::hub::service;
use crate::link::batch::Batch;

impl Trace {
    /// The message, so far `from`, comes to `account` as `to`.
    pub(in crate::hub) fn cross(&self, account: &Account, from: &[u8], to: &[u8]) {
        let (acc, from, to) = (account.display_name(), text(from), text(to));
        self.note(MsgTrace::ServiceImport { ts: SystemTime::now().into(), acc, from, to });
    }

    /// Publishes a `request` of `account` where the service is. Other servers, which know the message in that account alone,
    /// tell there what they do with it: it owes `account` an answer for that.
    pub(in crate::hub) fn request(
        &self,
        account: &Arc<Account>,
        service: &ServiceImport,
        request: &Message<'_>,
        from: &Publisher<'_>,
        batch: &mut Batch,
    ) -> bool {
        let (awaited, outer) = {
            let mut notes = self.notes.borrow_mut();
            let awaited = notes.awaited.get_or_insert_with(|| Arc::new(Awaited::new())).clone();
            (awaited, notes.destination.clone())
        };
        let exporter = &service.exporter;
        let response = Response {
            kind: ResponseType::Stream,
            traced: Some(awaited.clone()),
            ..Response::new(account, &outer, &service.export)
        };
        let destination = service::expect(exporter, response, from, batch);
        awaited.owe(exporter, &destination);
        self.notes.borrow_mut().destination.clone_from(&destination);
        let mut body = Vec::new();
        let request = with_header(request, DEST, &destination, &mut body);
        let delivered = publish_to(exporter, &request, from, batch);
        self.notes.borrow_mut().destination = outer;
        delivered
    }
}
