use std::sync::atomic::Ordering::Relaxed;

use natsd_auth::account::AccountSpec;
use natsd_core::encode::Message;

use super::*;
use crate::gateway::GatewayPeer;
use crate::hub::account::Account;
use crate::hub::publish::{Publisher, publish_to};
use crate::hub::remote::RemoteInterest;
use crate::hub::stage::{hub, link};
use crate::hub::subscription::Subscription;
use crate::link::Kind;
use crate::link::batch::Batch;

fn gateways() -> Arc<Gateways> {
    let options = GatewayOptions { name: "GB".into(), ..GatewayOptions::default() };
    Arc::new(Gateways::new(Some(&options), "NDLRJTPN5POMBBMPHUJ23BEG226S6WYH6VWJRPCDLUTXDEECFDPYO2CY"))
}

fn account(gateways: &Arc<Gateways>) -> Arc<Account> {
    Arc::new(Account::new(AccountSpec::named("ACC"), Arc::default(), gateways))
}

/// A connection to this cluster, so far away.
fn cluster(gateways: &Gateways, name: &str, rtt: u64) -> Arc<Link> {
    let link = link(Kind::Gateway);
    let info = GatewayInfo { gateway: name.into(), gateway_iom: true, ..GatewayInfo::default() };
    link.rtt.store(rtt, Relaxed);
    let _ = link.gateway.set(Box::new(GatewayPeer::new(&info, true, true)));
    assert!(gateways.open_outbound(&link));
    link
}

fn wants(account: &Account, link: &Arc<Link>, subject: &str, queue: Option<&str>) {
    let queue = queue.map(str::as_bytes);
    account.add_of_cluster(Arc::new(RemoteInterest::new(link.clone(), subject.as_bytes(), queue, 1)));
}

fn subscribe(account: &Arc<Account>, link: &Arc<Link>, subject: &str, queue: Option<&str>) {
    let queue = queue.map(str::as_bytes);
    let subscription = Subscription::new(link.clone(), account.clone(), subject.as_bytes(), queue, b"1");
    account.subscribe(Arc::new(subscription));
}

fn publish(account: &Arc<Account>, from: &Arc<Link>, subject: &str, reply: Option<&str>) -> bool {
    let message = Message { subject: subject.as_bytes(), reply: reply.map(str::as_bytes), header_len: 0, body: b"x" };
    publish_to(account, &message, &Publisher::new(hub(), from, true), &mut Batch::default())
}

/// What was sent to `link` since the last call.
fn sent(link: &Link) -> String {
    String::from_utf8(std::mem::take(link.outbound().buffer())).expect("text")
}

#[test]
fn the_nearest_cluster_that_has_members_serves_a_group() {
    let gateways = gateways();
    let (account, client) = (account(&gateways), link(Kind::Client));
    let (far, near) = (cluster(&gateways, "FAR", 9), cluster(&gateways, "NEAR", 1));
    assert_eq!(gateways.outbound()[0].rtt.load(Relaxed), 1);
    for queue in ["q", "r"] {
        wants(&account, &far, "foo", Some(queue));
    }
    wants(&account, &near, "foo", Some("q"));
    assert!(publish(&account, &client, "foo", None));
    assert_eq!((sent(&near), sent(&far)), ("RMSG ACC foo | q 1\r\nx\r\n".into(), "RMSG ACC foo | r 1\r\nx\r\n".into()));
    near.rtt.store(99, Relaxed);
    gateways.measured();
    assert!(publish(&account, &client, "foo", None));
    assert_eq!((sent(&near), sent(&far)), (String::new(), "RMSG ACC foo | q r 1\r\nx\r\n".into()));
    // One here goes before all of them.
    let member = link(Kind::Client);
    subscribe(&account, &member, "foo", Some("q"));
    wants(&account, &near, "*", None);
    assert!(publish(&account, &client, "foo", None));
    assert_eq!(sent(&member), "MSG foo 1 1\r\nx\r\n");
    assert_eq!((sent(&near), sent(&far)), ("RMSG ACC foo 1\r\nx\r\n".into(), "RMSG ACC foo | r 1\r\nx\r\n".into()));
}

#[test]
fn what_came_from_another_cluster_or_server_goes_to_no_cluster() {
    let gateways = gateways();
    let account = account(&gateways);
    let other = cluster(&gateways, "A", 1);
    wants(&account, &other, ">", None);
    for kind in [Kind::Route, Kind::Gateway] {
        assert!(!publish(&account, &link(kind), "foo", None));
    }
    assert_eq!(sent(&other), "");
    assert!(publish(&account, &link(Kind::Client), "foo", None));
    account.interest_of_clusters().iter().for_each(|gone| account.remove_of_cluster(gone));
    assert!(!publish(&account, &link(Kind::Client), "foo", None));
}

#[test]
fn answers_to_who_has_just_subscribed_are_led_back() {
    let gateways = gateways();
    let (account, client) = (account(&gateways), link(Kind::Client));
    let other = cluster(&gateways, "A", 1);
    wants(&account, &other, "help", None);
    publish(&account, &client, "help", Some("nobody"));
    assert_eq!(sent(&other), "RMSG ACC help nobody 1\r\nx\r\n");
    subscribe(&account, &client, "inbox.*", None);
    publish(&account, &client, "help", Some("inbox.1"));
    assert_eq!(sent(&other), "RMSG ACC help _GR_.u4xB6R.IL3XjM.inbox.1 1\r\nx\r\n");
    publish(&account, &client, "help", Some("other.1"));
    assert_eq!(sent(&other), "RMSG ACC help other.1 1\r\nx\r\n");
    // One behind a leaf connection of ours is as unknown to others.
    let leaf = link(Kind::Leaf);
    account.add_remote(Arc::new(RemoteInterest::new(leaf, b"leafs.*", None, 1)));
    publish(&account, &client, "help", Some("leafs.1"));
    assert_eq!(sent(&other), "RMSG ACC help _GR_.u4xB6R.IL3XjM.leafs.1 1\r\nx\r\n");
}

#[test]
fn clients_do_not_see_the_way_that_their_answers_take() {
    let gateways = gateways();
    let (account, client) = (account(&gateways), link(Kind::Client));
    subscribe(&account, &client, "help", None);
    let way = "_GR_.abcdef.123456.inbox.1";
    assert!(publish(&account, &link(Kind::Gateway), "help", Some(way)));
    assert_eq!(sent(&client), "MSG help 1 inbox.1 1\r\nx\r\n");
    let mut batch = Batch::default();
    assert_eq!(client.way_of_answer(b"inbox.1", &mut batch).as_deref(), Some(way.as_bytes()));
    assert_eq!(client.way_of_answer(b"inbox.2", &mut batch), None);
}

#[test]
fn all_that_is_wanted_is_told_once_and_then_each_change() {
    let gateways = gateways();
    let (account, client, route) = (account(&gateways), link(Kind::Client), link(Kind::Route));
    subscribe(&account, &client, "foo", None);
    account.add_remote(Arc::new(RemoteInterest::new(route.clone(), b"foo", None, 1)));
    let peer = link(Kind::Gateway);
    let desk = gateways.open_desk(&peer);
    desk.refuse(b"ACC");
    desk.refuse(b"ACC");
    account.open_for_cluster(&desk);
    account.open_for_cluster(&desk);
    let told = sent(&peer);
    let lines: Vec<_> = told.lines().map(|line| line.split(" {").next().unwrap_or_default()).collect();
    assert_eq!(lines, ["A- ACC", "A+ ACC", "INFO", "RS+ ACC foo", "INFO"]);
    let second = Arc::new(RemoteInterest::new(route.clone(), b"foo", Some(b"q"), 3));
    account.add_remote(second.clone());
    account.reweigh(&second, 2);
    subscribe(&account, &client, "foo", Some("q"));
    assert_eq!(sent(&peer), "RS+ ACC foo q 1\r\n");
    account.remove_remote(&second);
    assert_eq!(sent(&peer), "", "there is one here");
    gateways.close_desk(&peer);
    subscribe(&account, &client, "bar", None);
    assert_eq!(sent(&peer), "");
}

/// Remembers what it hears of.
#[derive(Default)]
struct Listener(Mutex<Vec<String>>);

impl Directory for Listener {
    fn hear_of(&self, gateway: &str, _: &[String]) {
        self.0.lock().push(gateway.to_owned());
    }

    fn introduce(&self, _: &Arc<Link>) {}
}

#[test]
fn what_routes_tell_before_there_are_gateways_is_not_lost() {
    let gateways = gateways();
    gateways.hear_of("A", &["a:1".to_owned()]);
    let listener = Arc::new(Listener::default());
    let weak: Weak<Listener> = Arc::downgrade(&listener);
    gateways.lead_by(weak);
    gateways.hear_of("C", &["c:1".to_owned()]);
    assert_eq!(*listener.0.lock(), ["A", "C"]);
}
