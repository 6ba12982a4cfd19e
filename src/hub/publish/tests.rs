use std::sync::OnceLock;

use natsd_auth::account::AccountSpec;
use natsd_core::error::CloseReason;
use natsd_core::route::interest::Change;
use natsd_core::route::session::Slot;
use parking_lot::Mutex;

use super::*;
use crate::hub::InterestObserver;
use crate::hub::cache::MatchCache;
use crate::hub::remote::RemoteInterest;
use crate::hub::stage::{hub, link};
use crate::hub::subscription::Subscription;
use crate::link::{Kind, PeerServer};

const HELLO: Message<'static> = Message { subject: b"foo", reply: None, header_len: 0, body: b"hello" };

fn account() -> Arc<Account> {
    Arc::new(Account::new(AccountSpec::named("ACC"), Arc::default(), &Arc::default()))
}

fn subscribe(account: &Arc<Account>, link: &Arc<Link>, subject: &str, queue: Option<&str>, sid: &str) {
    let queue = queue.map(str::as_bytes);
    let subscription = Subscription::new(link.clone(), account.clone(), subject.as_bytes(), queue, sid.as_bytes());
    account.subscribe(Arc::new(subscription));
}

fn add_remote(account: &Account, link: &Arc<Link>, subject: &str, queue: Option<&str>, weight: u32) {
    let queue = queue.map(str::as_bytes);
    account.add_remote(Arc::new(RemoteInterest::new(link.clone(), subject.as_bytes(), queue, weight)));
}

/// What was sent to `link` since the last call.
fn sent(link: &Link) -> String {
    let mut out = link.outbound();
    String::from_utf8(std::mem::take(out.buffer())).unwrap()
}

fn publish_from(account: &Arc<Account>, from: &Arc<Link>, echo: bool) -> bool {
    publish_to(account, &HELLO, &Publisher::new(hub(), from, echo), &mut Batch::default())
}

#[test]
fn a_peer_gets_one_copy_whatever_it_subscribes_to() {
    let (account, publisher, route) = (account(), link(Kind::Client), link(Kind::Route));
    add_remote(&account, &route, "foo", None, 1);
    add_remote(&account, &route, "*", None, 1);
    add_remote(&account, &route, "foo", Some("q"), 1);
    add_remote(&account, &route, "foo", Some("r"), 2);
    assert!(publish_from(&account, &publisher, true));
    assert_eq!(sent(&route), "RMSG ACC foo | q r 5\r\nhello\r\n");
}

#[test]
fn a_peer_without_plain_interest_gets_it_only_if_it_serves_a_group() {
    let (account, publisher) = (account(), link(Kind::Client));
    let (first, second) = (link(Kind::Route), link(Kind::Route));
    add_remote(&account, &first, "foo", Some("q"), 1);
    add_remote(&account, &second, "foo", Some("q"), 0);
    assert!(publish_from(&account, &publisher, true));
    assert_eq!(sent(&first), "RMSG ACC foo | q 5\r\nhello\r\n");
    assert_eq!(sent(&second), "");
}

#[test]
fn members_of_a_group_share_evenly_wherever_they_are() {
    let (account, client, route) = (account(), link(Kind::Client), link(Kind::Route));
    subscribe(&account, &client, "foo", Some("q"), "1");
    add_remote(&account, &route, "foo", Some("q"), 3);
    for _ in 0..4000 {
        assert!(publish_from(&account, &client, true));
    }
    let here = sent(&client).matches("MSG").count();
    assert!((850..1150).contains(&here), "{here} of 4000, expected a quarter");
    assert_eq!(sent(&route).matches("RMSG").count(), 4000 - here);
}

/// One that is over is as if it were forgotten already.
#[test]
fn no_server_is_drawn_whose_connection_is_over() {
    let (account, client) = (account(), link(Kind::Client));
    let [over, other] = [(); 2].map(|()| link(Kind::Route));
    for route in [&over, &other] {
        add_remote(&account, route, "foo", Some("q"), 1);
    }
    over.close(CloseReason::ClientClosed);
    for _ in 0..100 {
        assert!(publish_from(&account, &client, true));
    }
    assert_eq!(sent(&other).matches("RMSG").count(), 100);
    other.close(CloseReason::ClientClosed);
    assert!(!publish_from(&account, &client, true), "nobody is there to answer");
}

#[test]
fn what_came_over_a_route_stays_here() {
    let (account, client, route) = (account(), link(Kind::Client), link(Kind::Route));
    subscribe(&account, &client, "foo", None, "1");
    subscribe(&account, &client, "foo", Some("q"), "2");
    subscribe(&account, &client, "foo", Some("r"), "3");
    add_remote(&account, &route, "foo", None, 1);
    let mut matches = Matches::default();
    account.matches(HELLO.subject, &mut matches);
    publish_routed(
        &account,
        &HELLO,
        ([&b"q"[..]].into_iter(), false),
        &matches,
        &Publisher::new(hub(), &route, true),
        &mut Batch::default(),
    );
    assert_eq!(sent(&client), "MSG foo 1 5\r\nhello\r\nMSG foo 2 5\r\nhello\r\n");
    assert_eq!(sent(&route), "");
}

#[test]
fn a_group_whose_last_member_here_has_left_is_served_by_another_server() {
    let (account, client) = (account(), link(Kind::Client));
    let [from, other, empty, plain] = [(); 4].map(|()| link(Kind::Route));
    subscribe(&account, &client, "foo", None, "1");
    subscribe(&account, &client, "foo", Some("here"), "2");
    add_remote(&account, &from, "foo", Some("q"), 9);
    add_remote(&account, &empty, "foo", Some("q"), 0);
    add_remote(&account, &other, "*", Some("q"), 2);
    add_remote(&account, &other, "foo", Some("r"), 1);
    add_remote(&account, &plain, "foo", None, 1);
    let mut matches = Matches::default();
    account.matches(HELLO.subject, &mut matches);
    let queues: [&[u8]; 4] = [b"q", b"here", b"r", b"nobody"];
    publish_routed(
        &account,
        &HELLO,
        (queues.into_iter(), false),
        &matches,
        &Publisher::new(hub(), &from, true),
        &mut Batch::default(),
    );
    assert_eq!(sent(&client), "MSG foo 1 5\r\nhello\r\nMSG foo 2 5\r\nhello\r\n");
    assert_eq!(sent(&other), "RMSG ACC foo | q r 5\r\nhello\r\n");
    assert_eq!([&from, &empty, &plain].map(|link| sent(link)), ["", "", ""]);
}

#[test]
fn what_goes_on_to_another_server_is_for_the_group_alone_if_that_server_knows_what_that_means() {
    let (account, client, from, other) = (account(), link(Kind::Client), link(Kind::Route), link(Kind::Route));
    let server = PeerServer {
        name: "other".into(),
        slot: Slot::Pool(0),
        traces: false,
        leaf_origins: false,
        queues_only: true,
        carriers: None,
    };
    other.server.set(Box::new(server)).expect("once");
    add_remote(&account, &other, "foo", Some("q"), 1);
    add_remote(&account, &other, "foo", None, 1);
    let mut matches = Matches::default();
    account.matches(HELLO.subject, &mut matches);
    let publisher = Publisher::new(hub(), &from, true);
    publish_routed(&account, &HELLO, ([&b"q"[..]].into_iter(), false), &matches, &publisher, &mut Batch::default());
    assert_eq!(sent(&other), "RMSG ACC foo || q 5\r\nhello\r\n");

    subscribe(&account, &client, "foo", None, "1");
    subscribe(&account, &client, "foo", Some("q"), "2");
    account.matches(HELLO.subject, &mut matches);
    publish_routed(&account, &HELLO, ([&b"q"[..]].into_iter(), true), &matches, &publisher, &mut Batch::default());
    assert_eq!(sent(&client), "MSG foo 2 5\r\nhello\r\n");
}

#[test]
fn servers_that_could_serve_a_group_share_evenly_by_members() {
    let (account, from, one, three) = (account(), link(Kind::Route), link(Kind::Route), link(Kind::Route));
    add_remote(&account, &one, "foo", Some("q"), 1);
    add_remote(&account, &three, "foo", Some("q"), 3);
    let mut matches = Matches::default();
    account.matches(HELLO.subject, &mut matches);
    let mut batch = Batch::default();
    for _ in 0..4000 {
        publish_routed(
            &account,
            &HELLO,
            ([&b"q"[..]].into_iter(), false),
            &matches,
            &Publisher::new(hub(), &from, true),
            &mut batch,
        );
    }
    let [at_one, at_three] = [&one, &three].map(|link| sent(link).matches("RMSG").count());
    assert!((850..1150).contains(&at_one), "{at_one} of 4000, expected a quarter");
    assert_eq!(at_three, 4000 - at_one);
}

#[test]
fn a_group_that_only_the_sender_serves_gets_nothing_back() {
    let (account, from) = (account(), link(Kind::Route));
    add_remote(&account, &from, "foo", Some("q"), 1);
    let mut matches = Matches::default();
    account.matches(HELLO.subject, &mut matches);
    publish_routed(
        &account,
        &HELLO,
        ([&b"q"[..]].into_iter(), false),
        &matches,
        &Publisher::new(hub(), &from, true),
        &mut Batch::default(),
    );
    assert_eq!(sent(&from), "");
}

#[test]
fn without_echo_another_member_of_the_group_gets_it() {
    let (account, own, other) = (account(), link(Kind::Client), link(Kind::Client));
    subscribe(&account, &own, "foo", Some("q"), "1");
    subscribe(&account, &other, "foo", Some("q"), "2");
    for _ in 0..20 {
        assert!(publish_from(&account, &own, false));
    }
    assert_eq!(sent(&own), "");
    assert_eq!(sent(&other).matches("MSG").count(), 20);
}

#[test]
fn a_cached_match_is_forgotten_when_subscriptions_change() {
    let (account, client) = (account(), link(Kind::Client));
    let (mut cache, mut scratch) = (MatchCache::default(), Matches::default());
    for subscribers in 0..3 {
        for _ in 0..3 {
            assert_eq!(cache.find(&account, b"foo", &mut scratch).plain.len(), subscribers);
        }
        subscribe(&account, &client, "foo", None, &subscribers.to_string());
    }
}

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

impl InterestObserver for Recorder {
    fn changed(&self, account: &[u8], change: Change<'_>) {
        let mut line = Vec::new();
        change.write(&mut line, Some(account));
        self.0.lock().push(String::from_utf8(line).unwrap());
    }

    fn changed_behind(&self, account: &[u8], origin: &[u8], change: Change<'_>) {
        let mut line = Vec::new();
        change.write_of_leafs(&mut line, (origin, true), Some(account));
        self.0.lock().push(String::from_utf8(line).unwrap());
    }
}

#[test]
fn peers_hear_of_the_first_and_the_last_and_of_each_member() {
    let recorder = Arc::new(Recorder::default());
    let observer: Arc<OnceLock<Arc<dyn InterestObserver>>> = Arc::default();
    assert!(observer.set(recorder.clone()).is_ok());
    let account = Arc::new(Account::new(AccountSpec::named("ACC"), observer, &Arc::default()));
    let client = link(Kind::Client);
    let queues = [None, None, Some("q"), Some("q")];
    let subscriptions: Vec<_> = queues
        .iter()
        .map(|queue| {
            let queue = queue.map(str::as_bytes);
            let subscription = Arc::new(Subscription::new(client.clone(), account.clone(), b"foo", queue, b"1"));
            account.subscribe(subscription.clone());
            subscription
        })
        .collect();
    account.unsubscribe(&subscriptions);
    let heard = recorder.0.lock().concat();
    assert_eq!(
        heard,
        "RS+ ACC foo\r\nRS+ ACC foo q 1\r\nRS+ ACC foo q 2\r\nRS- ACC foo\r\nRS+ ACC foo q 1\r\nRS- ACC foo q\r\n"
    );
}
