//! How long services take that other accounts ask, published where their export says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use natsd_api::{ClientInfo, ServiceLatency, Time, to_compact_json};
use natsd_auth::account::{Latency, Sampling};
use natsd_core::encode::Message;
use natsd_core::header;

use super::account::Account;
use super::client_info;
use super::publish::{Publisher, publish_to};
use super::{remote_latency, trace_headers};
use crate::link::batch::Batch;
use crate::link::{Kind, Link};
use crate::server::identity::unique_id;

/// The headers that asked for a measurement.
pub(super) type Headers = BTreeMap<String, Vec<String>>;

/// A measurement that has begun with a request.
pub(crate) struct Measurement {
    subject: String,
    requestor: Option<Arc<Link>>,
    /// The service is told who asks.
    share: bool,
    started: Instant,
    started_at: SystemTime,
    headers: Headers,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was answered, now.
    Answered,
    /// It wants no answer.
    BadRequest,
    /// Nobody takes requests.
    Unavailable,
    /// Nobody answered in time.
    Timeout,
}

impl Measurement {
    /// Begins, if `message` of `publisher` is one of the requests that are measured.
    pub(super) fn begin(
        latency: &Latency,
        message: &Message<'_>,
        publisher: &Publisher<'_>,
        share: bool,
        batch: &mut Batch,
    ) -> Option<Box<Self>> {
        let percent = match latency.sampling {
            Sampling::Percent(percent) => percent,
            Sampling::Headers => 0,
        };
        let headers = if percent > 0 && batch.rng.u8(..100) < percent {
            Headers::new()
        } else {
            trace_headers::sampled(header::fields(&message.body[..message.header_len]))?
        };
        Some(Box::new(Self {
            subject: latency.subject.clone(),
            requestor: publisher.link.cloned(),
            share,
            started: batch.now()?,
            started_at: SystemTime::now(),
            headers,
        }))
    }

    /// Publishes what came of it, in the account that exports the service.
    pub(super) fn end(&self, exporter: &Arc<Account>, outcome: Outcome, publisher: &Publisher<'_>, batch: &mut Batch) {
        let report = self.report(outcome, publisher, Instant::now());
        tell(exporter, &self.subject, &report, publisher, batch);
    }

    /// As [`end`](Self::end), of an answer that came at `reply`: what it looks like from another server may have to be waited for.
    pub(super) fn answered(&self, exporter: &Arc<Account>, reply: &[u8], publisher: &Publisher<'_>, batch: &mut Batch) {
        let elsewhere = publisher.link.is_some_and(|link| matches!(link.kind, Kind::Route | Kind::Gateway));
        if !elsewhere {
            return self.end(exporter, Outcome::Answered, publisher, batch);
        }
        let report = self.report(Outcome::Answered, publisher, Instant::now());
        remote_latency::conclude(exporter, reply, (report, &self.subject), publisher, batch);
    }

    fn report(&self, outcome: Outcome, publisher: &Publisher<'_>, now: Instant) -> ServiceLatency {
        let (status, error) = match outcome {
            Outcome::Answered => (200, ""),
            Outcome::BadRequest => (400, "Bad Request"),
            Outcome::Unavailable => (503, "Service Unavailable"),
            Outcome::Timeout => (504, "Service Timeout"),
        };
        let describe = |link: &Arc<Link>, share| {
            if share { client_info::detailed(publisher.hub, link) } else { client_info::public(link) }
        };
        let requestor = self.requestor.as_ref().and_then(|link| describe(link, self.share));
        let answered = outcome == Outcome::Answered;
        let responder = publisher.link.filter(|_| answered).and_then(|link| describe(link, true));
        let rtt = |of: &Option<ClientInfo>| of.as_ref().map_or(0, |info| info.rtt);
        let elapsed = nanos(now.saturating_duration_since(self.started));
        let asked_at = self.started_at - Duration::from_nanos(rtt(&requestor));
        let mut report = ServiceLatency {
            kind: ServiceLatency::TYPE.into(),
            id: unique_id(),
            timestamp: Time(SystemTime::now()),
            status,
            error: error.into(),
            header: self.headers.clone(),
            start: Time(asked_at),
            ..ServiceLatency::default()
        };
        if answered {
            report.service = elapsed.saturating_sub(rtt(&responder));
            report.total = rtt(&requestor) + elapsed;
        }
        ServiceLatency { requestor, responder, ..report }
    }
}

/// Publishes a report in the account that exports the service.
pub(super) fn tell(
    exporter: &Arc<Account>,
    subject: &str,
    report: &ServiceLatency,
    publisher: &Publisher<'_>,
    batch: &mut Batch,
) {
    let body = to_compact_json(report);
    let message = Message { subject: subject.as_bytes(), reply: None, header_len: 0, body: body.as_bytes() };
    let by_server = Publisher { link: None, echo: true, trace: None, ..*publisher };
    publish_to(exporter, &message, &by_server, batch);
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
