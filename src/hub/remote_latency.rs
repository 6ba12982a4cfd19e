//! Measurements of services that are asked at one server and answered at another: each of the two sees a half. The one where
//! the request was made marks the reply subject with its name, `_R_.….<server>.T`; the one that serves who answers tells it how long
//! that took, in the account of the servers; the first one puts both together.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use natsd_api::{RemoteLatency, ServiceLatency, Time, to_compact_json};
use natsd_core::encode::Message;
use natsd_core::gateway::reply::{HASH_LEN, Mapped};
use natsd_core::subject;

use super::account::Account;
use super::client_info;
use super::gateways::hash;
use super::latency::{nanos, tell};
use super::publish::{Publisher, publish_to};
use super::responses::RESERVED;
use crate::hub::Hub;
use crate::link::Link;
use crate::link::batch::Batch;

/// What the reply subjects of requests that are measured end with, after the name of the server.
const MARK: &[u8] = b".T";
/// Where servers tell each other of their half, before the name of the server that asked.
const TELLS: &str = "$SYS.LATENCY.M2.";
/// Longer names of servers are none.
const MAX_NAME: usize = 64;
/// Halves of one account that wait for the other one; beyond, the half that is there has to do.
const MAX_HALVES: usize = 16 * 1024;
/// How long they wait. A server that knows nothing of this never tells.
const PATIENCE: Duration = Duration::from_secs(2);
/// Requests that one client has got and not answered that are measured; beyond, the oldest are forgotten.
const MAX_ASKED: usize = 16 * 1024;
/// After this time nobody waits for an answer any more.
const FORGOTTEN: Duration = Duration::from_secs(120);

/// Where others tell this server of their half.
pub(crate) fn told_at(hub: &Hub) -> String {
    format!("{TELLS}{}", name_of(hub))
}

/// What this server is called in reply subjects.
fn name_of(hub: &Hub) -> String {
    String::from_utf8_lossy(&hash(&hub.identity.id)).into_owned()
}

/// Marks a reply subject, if the answer of another server could be heard of.
pub(super) fn mark(reply: &mut Vec<u8>, hub: &Hub) {
    if hub.options().system_account.is_some() {
        reply.push(b'.');
        reply.extend_from_slice(name_of(hub).as_bytes());
        reply.extend_from_slice(MARK);
    }
}

/// A reply subject of this server without its mark, if it has one.
pub(super) fn unmarked(reply: &[u8]) -> &[u8] {
    let rest = reply.strip_suffix(MARK).filter(|rest| rest.len() > HASH_LEN);
    let rest = rest.and_then(|rest| rest[..rest.len() - HASH_LEN].strip_suffix(b"."));
    rest.unwrap_or(reply)
}

/// The server that has marked a reply subject.
fn marked_by(reply: &[u8]) -> Option<&str> {
    let name = reply.strip_suffix(MARK)?.rsplit(|byte| *byte == b'.').next()?;
    std::str::from_utf8(name).ok().filter(|name| name.len() <= MAX_NAME && subject::is_valid_literal(name.as_bytes()))
}

/// Whether the answer at `reply` is measured.
pub(crate) fn is_marked(reply: &[u8]) -> bool {
    reply.starts_with(RESERVED) && reply.ends_with(MARK)
}

/// Requests that a client got and whose answers are measured. Free of IO: the time is a parameter.
#[derive(Default)]
pub(crate) struct Asked {
    since: HashMap<Box<[u8]>, Instant>,
    order: VecDeque<(Instant, Box<[u8]>)>,
}

impl Asked {
    /// A request came that is answered at `reply`.
    pub(crate) fn note(&mut self, reply: &[u8], now: Instant) {
        while self.order.len() >= MAX_ASKED
            || self.order.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) >= FORGOTTEN)
        {
            if let Some((at, oldest)) = self.order.pop_front()
                && self.since.get(&oldest) == Some(&at)
            {
                self.since.remove(&oldest);
            }
        }
        self.since.insert(reply.into(), now);
        self.order.push_back((now, reply.into()));
    }

    /// How long ago the request came that `subject` answers.
    pub(crate) fn answered(&mut self, subject: &[u8], now: Instant) -> Option<Duration> {
        let took = now.saturating_duration_since(self.since.remove(subject)?);
        if self.since.is_empty() {
            self.order.clear();
        }
        Some(took).filter(|took| *took < FORGOTTEN)
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.since.is_empty()
    }
}

/// A client answers a request of another server after it `took` so long: tells that server.
#[cold]
pub(crate) fn tell_half(
    (hub, link, account): (&Arc<Hub>, &Arc<Link>, &Arc<Account>),
    reply: &[u8],
    took: Duration,
    batch: &mut Batch,
) {
    let Some(server) = marked_by(reply).filter(|server| *server != name_of(hub)) else { return };
    let system = hub.options().system_account.as_ref().and_then(|name| hub.accounts.get(name.as_bytes()));
    let Some(system) = system else { return };
    let responder = client_info::detailed(hub, link);
    let rtt = responder.as_ref().map_or(0, |info| info.rtt);
    let m2 = ServiceLatency {
        status: 200,
        responder,
        start: Time(SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH)),
        service: nanos(took).saturating_sub(rtt),
        total: nanos(took).max(rtt),
        ..ServiceLatency::default()
    };
    let half = RemoteLatency { account: account.display_name(), req_id: String::from_utf8_lossy(reply).into(), m2 };
    let (subject, body) = (format!("{TELLS}{server}"), to_compact_json(&half));
    let message = Message { subject: subject.as_bytes(), reply: None, header_len: 0, body: body.as_bytes() };
    publish_to(&system, &message, &Publisher::server(hub), batch);
    batch.enter(account, hub);
}

/// Halves of measurements that wait for the other one, by reply subject.
#[derive(Default)]
pub(crate) struct Halves(HashMap<Box<[u8]>, Half>);

enum Half {
    /// What was seen here, to be published there.
    Own(Box<ServiceLatency>, String),
    /// What another server has told, before its answer was here.
    Told(Box<ServiceLatency>),
}

/// `own` with what the server knows that serves who answered.
fn merged(own: ServiceLatency, told: ServiceLatency) -> ServiceLatency {
    let rtt = told.responder.as_ref().map_or(0, |info| info.rtt);
    let system = own.service.saturating_sub(told.service.saturating_add(rtt));
    ServiceLatency { system, service: told.service, responder: told.responder, ..own }
}

/// The answer at `reply` came from another server: publishes `report` at `to` in `account` once that has told its half, or does
/// not.
pub(super) fn conclude(
    account: &Arc<Account>,
    reply: &[u8],
    (report, to): (ServiceLatency, &str),
    from: &Publisher<'_>,
    batch: &mut Batch,
) {
    let mut halves = account.halves.lock();
    let report = match halves.0.remove(reply) {
        Some(Half::Told(told)) => merged(report, *told),
        _ if is_marked(reply) && halves.0.len() < MAX_HALVES => {
            halves.0.insert(reply.into(), Half::Own(Box::new(report), to.to_owned()));
            drop(halves);
            tokio::spawn(give_up(account.clone(), from.hub.clone(), reply.into()));
            return;
        }
        _ => report,
    };
    drop(halves);
    tell(account, to, &report, from, batch);
}

/// Another server tells its half.
pub(crate) fn hear(hub: &Arc<Hub>, payload: &[u8]) {
    let Ok(half) = serde_json::from_slice::<RemoteLatency>(payload) else {
        return log::error!("Another server tells of a measurement that cannot be read");
    };
    let Some(account) = hub.accounts.get(half.account.as_bytes()) else { return };
    let id = half.req_id.as_bytes();
    let reply = Mapped::parse(id).map_or(id, |mapped| mapped.subject);
    let mut halves = account.halves.lock();
    match halves.0.remove(reply) {
        Some(Half::Own(own, to)) => {
            drop(halves);
            publish(hub, &account, &to, &merged(*own, half.m2));
        }
        _ if account.responses.lock().owes(reply) && halves.0.len() < MAX_HALVES => {
            halves.0.insert(reply.into(), Half::Told(Box::new(half.m2)));
            drop(halves);
            tokio::spawn(give_up(account, hub.clone(), reply.into()));
        }
        _ => {}
    }
}

/// Waits no longer for the other half.
async fn give_up(account: Arc<Account>, hub: Arc<Hub>, reply: Box<[u8]>) {
    tokio::time::sleep(PATIENCE).await;
    let half = account.halves.lock().0.remove(&reply);
    if let Some(Half::Own(report, to)) = half {
        publish(&hub, &account, &to, &report);
    }
}

fn publish(hub: &Arc<Hub>, account: &Arc<Account>, to: &str, report: &ServiceLatency) {
    let mut batch = Batch::default();
    tell(account, to, report, &Publisher::server(hub), &mut batch);
    batch.flush(hub);
}

#[cfg(test)]
mod tests {
    use natsd_api::ClientInfo;

    use super::*;

    #[test]
    fn marks_are_found_and_taken_off() {
        let plain = b"_R_.abcdef.0123456789A";
        let marked = b"_R_.abcdef.0123456789A.u4xB6R.T";
        assert_eq!((unmarked(marked), unmarked(plain)), (&plain[..], &plain[..]));
        assert_eq!((is_marked(marked), is_marked(plain), is_marked(b"_INBOX.x.T")), (true, false, false));
        assert_eq!(marked_by(marked), Some("u4xB6R"));
        assert_eq!(marked_by(b"_R_.abcdef.0123456789A.H2H3H4H5.T"), Some("H2H3H4H5"), "of nats-server");
        for none in [&b"_R_..T"[..], b".T", b"T", b"_R_.a.*.T", b"_R_.a.>.T", plain] {
            assert_eq!(marked_by(none), None, "{}", String::from_utf8_lossy(none));
        }
    }

    #[test]
    fn the_half_of_the_one_who_answers_tells_servers_from_services() {
        let responder = Some(ClientInfo { rtt: 10, ..ClientInfo::default() });
        let told = ServiceLatency { service: 100, responder, ..ServiceLatency::default() };
        let own = ServiceLatency { service: 150, total: 170, ..ServiceLatency::default() };
        let report = merged(own.clone(), told.clone());
        assert_eq!((report.service, report.system, report.total), (100, 40, 170));
        assert_eq!(report.responder.map(|info| info.rtt), Some(10));
        let odd = merged(ServiceLatency { service: 90, ..own }, told);
        assert_eq!(odd.system, 0, "round trips are estimated");
    }

    #[test]
    fn what_a_client_was_asked_is_bounded_in_number_and_time() {
        let (mut asked, start) = (Asked::default(), Instant::now());
        asked.note(b"first", start);
        assert_eq!(asked.answered(b"other", start), None);
        assert_eq!(asked.answered(b"first", start + Duration::from_millis(5)), Some(Duration::from_millis(5)));
        assert_eq!(asked.answered(b"first", start), None, "once");
        assert!(asked.is_empty() && asked.order.is_empty());
        for n in 0..MAX_ASKED + 10 {
            asked.note(n.to_string().as_bytes(), start);
        }
        assert_eq!((asked.since.len(), asked.order.len()), (MAX_ASKED, MAX_ASKED));
        asked.note(b"late", start + FORGOTTEN);
        assert_eq!((asked.since.len(), asked.order.len()), (1, 1));
        assert_eq!(asked.answered(b"late", start + FORGOTTEN * 2), None);
    }
}
