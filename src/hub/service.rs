//! Requests to services of other accounts, and their answers.

use std::sync::Arc;
use std::time::Instant;

use natsd_api::{ClientInfo, to_compact_json};
use natsd_auth::account::ResponseType;
use natsd_core::encode::Message;
use natsd_core::{ack, header};

use super::account::Account;
use super::client_info;
use super::imports::ServiceImport;
use super::latency::{Measurement, Outcome};
use super::msg_trace::{Trace, switch_off};
use super::publish::{Publisher, publish_to};
use super::remote_latency;
use super::responses::{RESERVED, Response};
use crate::hub::Hub;
use crate::link::batch::Batch;

/// Accounts that a request may pass through.
const MAX_DEPTH: u8 = 16;
/// The header that tells a service who asks.
pub(crate) const REQUEST_INFO: &str = "Nats-Request-Info";

/// Hands a request in `account` to the account that exports the service. Returns whether anybody there got it.
pub(super) fn request(
    account: &Arc<Account>,
    service: &ServiceImport,
    message: &Message<'_>,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    let mut subject = Vec::new();
    if from.depth >= MAX_DEPTH
        || service.leaves_out(message.subject)
        || !service.renaming.to_foreign(message.subject, &mut subject)
    {
        return false;
    }
    let exporter = &service.exporter;
    let mut mapped = Vec::new();
    if exporter.map(from.hub, &subject, batch, &mut mapped) {
        subject = mapped;
    }
    let allowed = service.export.allow_trace;
    let only = from.trace.is_some_and(Trace::only);
    if let Some(trace) = from.trace {
        trace.cross(exporter, message.subject, &subject);
        if only && !allowed {
            return false;
        }
    }
    // What is only traced is not answered.
    let reply = if only { None } else { expect_answer(account, service, message, from, batch) };
    let (header_len, body) = introduce(account, service, message, from);
    let request = Message { subject: &subject, reply: reply.as_deref(), header_len, body: &body };
    let on_behalf = Publisher { depth: from.depth + 1, trace: from.trace.filter(|_| allowed), ..*from };
    let delivered = match from.trace {
        None => publish_to(exporter, &request, &on_behalf, batch),
        Some(trace) if allowed => trace.request(account, service, &request, &on_behalf, batch),
        Some(_) => publish_to(exporter, &switch_off(&request, &mut Vec::new()), &on_behalf, batch),
    };
    if let Some(reply) = reply.filter(|_| !delivered) {
        let lost = exporter.responses.lock().cancel(&reply);
        give_up(exporter, lost.into_iter().collect(), Outcome::Unavailable, from, batch);
    }
    delivered
}

/// A reply subject where the service is, if an answer is wanted; or at least it is measured.
fn expect_answer(
    account: &Arc<Account>,
    service: &ServiceImport,
    message: &Message<'_>,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> Option<Vec<u8>> {
    if let Some(ack) = message.reply.filter(|reply| reply.starts_with(ack::PREFIX)) {
        return Some(ack.to_vec());
    }
    let exporter = &service.exporter;
    let latency = service.export.latency.as_ref();
    let measurement = latency.and_then(|latency| Measurement::begin(latency, message, from, service.share, batch));
    match (message.reply, measurement) {
        (Some(reply), measurement) => {
            let response = Response { measurement, ..Response::new(account, reply, &service.export) };
            Some(expect(exporter, response, from, batch))
        }
        (None, Some(measurement)) => {
            measurement.end(exporter, Outcome::BadRequest, from, batch);
            None
        }
        (None, None) => None,
    }
}

/// Hands an answer that was published in `account` back to the account that asked. Returns whether anybody there got it.
pub(super) fn answer(account: &Arc<Account>, message: &Message<'_>, from: &Publisher<'_>, batch: &mut Batch) -> bool {
    let Some(now) = batch.now().filter(|_| from.depth < MAX_DEPTH) else { return false };
    let last = message.body.is_empty();
    let owed = account.responses.lock().take(message.subject, last, now);
    let Some(response) = owed else { return false };
    let Some(trace) = from.trace else { return hand_back(account, &response, message, from, batch) };
    trace.cross(&response.importer, message.subject, &response.reply);
    if trace.only() {
        account.responses.lock().cancel(message.subject);
        return false;
    }
    // Nobody has allowed to trace answers.
    let from = Publisher { trace: None, ..*from };
    hand_back(account, &response, &switch_off(message, &mut Vec::new()), &from, batch)
}

fn hand_back(
    account: &Arc<Account>,
    response: &Response,
    message: &Message<'_>,
    from: &Publisher<'_>,
    batch: &mut Batch,
) -> bool {
    // The one who asked may answer in turn. What acknowledges a message of a stream tells of it as well, and stays what it is.
    let reply = message.reply.map(|reply| {
        if reply.starts_with(ack::PREFIX) {
            return reply.to_vec();
        }
        let service = natsd_auth::account::Service {
            response: response.kind,
            threshold: response.threshold,
            ..Default::default()
        };
        expect(&response.importer, Response::new(account, reply, &service), from, batch)
    });
    let answer = Message { subject: &response.reply, reply: reply.as_deref(), ..*message };
    let on_behalf = Publisher { depth: from.depth + 1, echo: true, ..*from };
    let delivered = publish_to(&response.importer, &answer, &on_behalf, batch);
    if let Some(measurement) = &response.measurement {
        measurement.answered(account, message.subject, from, batch);
    }
    if let Some(awaited) = &response.traced {
        // On the way through several accounts it is heard once.
        if !response.reply.starts_with(RESERVED) {
            awaited.hear(message);
        }
        return delivered;
    }
    if !delivered {
        account.responses.lock().cancel(message.subject);
        if let Some(reply) = reply {
            response.importer.responses.lock().cancel(&reply);
        }
    }
    delivered
}

/// A reply subject in `exporter` for an answer that it owes from now on.
pub(super) fn expect(exporter: &Arc<Account>, response: Response, from: &Publisher<'_>, batch: &mut Batch) -> Vec<u8> {
    let mut subject = exporter.reply_prefix().to_vec();
    let now = batch.now().unwrap_or_else(Instant::now);
    let mut responses = exporter.responses.lock();
    let first = responses.is_empty();
    let measured = response.measurement.is_some() && response.kind == ResponseType::Singleton;
    let lost = responses.add(response, now, &mut subject);
    drop(responses);
    if measured {
        remote_latency::mark(&mut subject, from.hub);
    }
    if first {
        tokio::spawn(sweep(exporter.clone(), from.hub.clone()));
    }
    give_up(exporter, lost, Outcome::Timeout, from, batch);
    subject
}

/// Gives up answers that take too long, as long as any is owed.
async fn sweep(exporter: Arc<Account>, hub: Arc<Hub>) {
    loop {
        let Some(due) = exporter.responses.lock().next_due() else { return };
        tokio::time::sleep_until(due.into()).await;
        let lost = exporter.responses.lock().expire(Instant::now());
        let mut batch = Batch::default();
        let by_server = Publisher::server(&hub);
        give_up(&exporter, lost, Outcome::Timeout, &by_server, &mut batch);
        batch.flush(&hub);
    }
}

fn give_up(
    exporter: &Arc<Account>,
    lost: Vec<Arc<Response>>,
    outcome: Outcome,
    from: &Publisher<'_>,
    batch: &mut Batch,
) {
    for response in lost {
        if let Some(measurement) = &response.measurement {
            measurement.end(exporter, outcome, from, batch);
        }
    }
}

/// The body of `message`, and the length of its header, with a header that tells who asks.
fn introduce(
    account: &Account,
    service: &ServiceImport,
    message: &Message<'_>,
    from: &Publisher<'_>,
) -> (usize, Vec<u8>) {
    let header = message.headers();
    let info = requestor(account, service, header, from);
    let mut body = Vec::with_capacity(message.body.len() + 256);
    let header_len = match info {
        Some(info) => {
            header::write_with(&mut body, header, REQUEST_INFO, to_compact_json(&info).as_bytes());
            body.len()
        }
        None => {
            body.extend_from_slice(header);
            message.header_len
        }
    };
    body.extend_from_slice(message.payload());
    (header_len, body)
}

/// Who asks. The account that a request has passed through already vouches for what it says.
fn requestor(account: &Account, service: &ServiceImport, header: &[u8], from: &Publisher<'_>) -> Option<ClientInfo> {
    let link = from.link?;
    let to_system = from.hub.is_system(&service.exporter);
    let passed_on = header::get(header, REQUEST_INFO).filter(|_| from.depth > 0);
    let mut info = match passed_on.and_then(|json| serde_json::from_slice::<ClientInfo>(json).ok()) {
        Some(info) => ClientInfo { service: String::from_utf8_lossy(&account.name).into(), ..info },
        None if service.share => client_info::detailed(from.hub, link)?,
        None => client_info::public(link)?,
    };
    if service.share || to_system {
        client_info::locate(from.hub, &mut info);
    }
    Some(info)
}
