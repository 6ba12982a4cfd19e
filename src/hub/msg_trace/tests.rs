use natsd_auth::account::AccountSpec;
use natsd_core::error::CloseReason;
use natsd_core::route::session::Slot;

use super::*;
use crate::hub::remote::RemoteInterest;
use crate::hub::stage::{hub, link};
use crate::hub::subscription::Subscription;
use crate::link::PeerServer;

const ASKS: &[u8] = b"NATS/1.0\r\nNats-Trace-Dest: trace\r\n\r\n";
const ASKS_ONLY: &[u8] = b"NATS/1.0\r\nNats-Trace-Dest: trace\r\nNats-Trace-Only: 1\r\n\r\n";

/// An account, a publisher, and somebody who listens to `trace`.
struct Stage {
    account: Arc<Account>,
    publisher: Arc<Link>,
    observer: Arc<Link>,
}

impl Stage {
    fn new() -> Self {
        let account = Arc::new(Account::new(AccountSpec::named("A"), Arc::default(), &Arc::default()));
        let stage = Self { account, publisher: link(Kind::Client), observer: link(Kind::Client) };
        stage.subscribe(&stage.observer, "trace");
        stage
    }

    fn subscribe(&self, link: &Arc<Link>, subject: &str) -> Arc<Subscription> {
        link.account.store(Some(self.account.clone()));
        let subscription = Subscription::new(link.clone(), self.account.clone(), subject.as_bytes(), None, b"1");
        let subscription = Arc::new(subscription);
        self.account.subscribe(subscription.clone());
        subscription
    }

    /// The events of a message to `foo` with this header.
    fn events(&self, header: &[u8]) -> Vec<MsgTrace> {
        let message = Message { subject: b"foo", reply: None, header_len: header.len(), body: header };
        let arrival = Arrival { hub: hub(), link: &self.publisher, account: &self.account, permissions: None };
        let go_on = |message: &Message<'_>, trace: Option<&Trace>, batch: &mut Batch| {
            let from = Publisher { trace, ..Publisher::new(hub(), &self.publisher, true) };
            publish_to(&self.account, message, &from, batch);
        };
        let mut batch = Batch::default();
        arrival.lead(&message, &mut batch, go_on).expect("everybody may publish everywhere");
        batch.settle(hub());
        let told = std::mem::take(self.observer.outbound().buffer());
        let start = told.iter().position(|byte| *byte == b'{').expect("JSON");
        let event: MsgTraceEvent = serde_json::from_slice(told[start..].trim_ascii_end()).expect("an event");
        event.events
    }

    fn errors(&self, header: &[u8]) -> Vec<String> {
        let error = |event| match event {
            MsgTrace::Egress(egress) => Some(egress.error),
            _ => None,
        };
        self.events(header).into_iter().filter_map(error).collect()
    }
}

#[test]
fn who_is_gone_gets_nothing() {
    let (stage, receiver) = (Stage::new(), link(Kind::Client));
    let subscription = stage.subscribe(&receiver, "foo");
    assert!(!subscription.end(Some(1)));
    assert_eq!(stage.errors(ASKS_ONLY), [""], "what is only traced does not count");
    assert_eq!(stage.errors(ASKS), [""]);
    let subscription = stage.subscribe(&receiver, "foo");
    assert!(subscription.end(None));
    let closed = "Not delivered because subscription is closed";
    assert_eq!(stage.errors(ASKS_ONLY), [closed]);
    assert_eq!(stage.errors(ASKS), [closed]);
    stage.account.unsubscribe(&[subscription]);
    stage.subscribe(&receiver, "foo");
    receiver.close(CloseReason::Kicked);
    assert_eq!(stage.errors(ASKS), ["Not delivered because client is closed"]);
}

#[test]
fn who_had_all_gets_no_more() {
    let (stage, receiver) = (Stage::new(), link(Kind::Client));
    let subscription = stage.subscribe(&receiver, "foo");
    assert!(!subscription.end(Some(1)));
    let mut batch = Batch::default();
    let message = Message { subject: b"foo", reply: None, header_len: 0, body: b"hello" };
    // As long as the batch lasts, the subscription is still found.
    publish_to(&stage.account, &message, &Publisher::new(hub(), &stage.publisher, true), &mut batch);
    assert_eq!(stage.errors(ASKS), ["Not delivered because auto-unsubscribe exceeded"]);
}

#[test]
fn a_route_that_ends_is_closed() {
    let (stage, route) = (Stage::new(), link(Kind::Route));
    route
        .server
        .set(Box::new(PeerServer {
            name: "b".into(),
            slot: Slot::Pool(0),
            traces: true,
            leaf_origins: false,
            queues_only: true,
            carriers: None,
        }))
        .expect("once");
    stage.account.add_remote(Arc::new(RemoteInterest::new(route.clone(), b"foo", None, 1)));
    assert_eq!(stage.errors(ASKS), [""]);
    route.close(CloseReason::ServerShutdown);
    assert_eq!(stage.errors(ASKS), ["Not delivered because client is closed"]);
}

#[test]
fn there_is_a_bound_to_what_is_told() {
    let (stage, receiver) = (Stage::new(), link(Kind::Client));
    let name = "n".repeat(1 << 20);
    let settings = natsd_core::connect::Settings { name, ..Default::default() };
    *receiver.settings.lock() = Some(Box::new(settings));
    for _ in 0..20 {
        stage.subscribe(&receiver, "foo");
    }
    let events = stage.events(ASKS_ONLY);
    assert_eq!(events.len(), 1 + (MAX_TOLD >> 20));
}
