//! Requests and answers between clusters.

use std::collections::BTreeSet;

use super::{Roles, Setup, with_roles};
use crate::harness::client::Client;
use crate::harness::server::wait_for;
use crate::leaf::{publisher, subscriber};

with_roles!(
    requests_are_answered,
    answers_to_who_has_just_come_find_their_way,
    nobody_answers_where_nobody_listens,
    services_of_other_accounts_are_asked_across,
    streams_of_other_accounts_come_across,
    all_servers_answer_in_the_system_account,
    what_answers_use_is_not_for_clients,
);

fn requests_are_answered(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (asks, answers) in pair.ways() {
        let mut service = subscriber(answers, "help");
        let mut client = publisher(asks, "help");
        client.subscribe("answers.*", "7");
        client.flush();
        service.wait_for_interest("answers.1", true);
        client.request("help", "answers.1", "?");
        let request = service.next();
        assert_eq!(request.reply.as_deref(), Some("answers.1"));
        service.publish("answers.1", "!");
        assert_eq!(client.next().payload, "!");
    }
}

/// The other cluster does not know yet where the answer goes, and answers several times.
fn answers_to_who_has_just_come_find_their_way(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (asks, answers) in pair.ways() {
        let mut service = subscriber(answers, "help");
        publisher(asks, "help");
        for n in 0..20 {
            let mut client = Client::connect(asks.port);
            let inbox = format!("_INBOX.{n}.x");
            client.send(&format!("SUB {inbox} 9\r\nPUB help {inbox} 1\r\n?\r\n"));
            let request = service.next();
            assert_eq!(request.reply.as_deref(), Some(inbox.as_str()), "the way is not for clients to see");
            service.publish(&inbox, "one");
            service.publish(&inbox, "two");
            let got = client.take(2);
            assert_eq!(got.iter().map(|it| it.payload.as_str()).collect::<Vec<_>>(), ["one", "two"]);
            assert!(got.iter().all(|it| it.subject == inbox));
            client.flush();
            assert!(client.drain().is_empty(), "once each");
        }
    }
}

fn nobody_answers_where_nobody_listens(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (asks, _) in pair.ways() {
        let mut client = Client::connect(asks.port);
        client.send("SUB r 2\r\nPUB nobody r 0\r\n\r\n");
        let answer = client.next();
        assert!(answer.headers.starts_with("NATS/1.0 503\r\n"), "{answer:?}");
    }
}

pub const SHARING: &str = "accounts { \
    GIVES { users: [{ user: g, password: g }], exports: [{ service: \"help.>\" }, { stream: \"news.>\" }] }, \
    TAKES { users: [{ user: t, password: t }], imports: [\
        { service: { account: GIVES, subject: \"help.me\" }, to: \"please\" }, \
        { stream: { account: GIVES, subject: \"news.>\" }, prefix: \"in\" }] } }";

fn services_of_other_accounts_are_asked_across(roles: Roles) {
    let pair = Setup { both: SHARING, ..Setup::default() }.start(roles);
    for (asks, answers) in pair.ways() {
        let mut service = Client::connect_as(answers.port, "g");
        service.subscribe("help.me", "1");
        service.flush();
        let mut client = Client::connect_as(asks.port, "t");
        client.wait_for_interest("please", true);
        client.send("SUB r 5\r\nPUB please r 1\r\n?\r\n");
        let request = service.next();
        assert_eq!((request.subject.as_str(), request.payload.as_str()), ("help.me", "?"));
        service.publish(&request.reply.expect("a reply is wanted"), "!");
        assert_eq!(client.next().payload, "!");
        drop(service);
        client.wait_for_interest("please", false);
    }
}

fn streams_of_other_accounts_come_across(roles: Roles) {
    let pair = Setup { both: SHARING, ..Setup::default() }.start(roles);
    for (from, to) in pair.ways() {
        let mut listener = Client::connect_as(to.port, "t");
        listener.subscribe("in.news.>", "1");
        listener.flush();
        let mut source = Client::connect_as(from.port, "g");
        source.wait_for_interest("news.today", true);
        source.publish("news.today", "hi");
        let got = listener.next();
        assert_eq!((got.subject.as_str(), got.payload.as_str()), ("in.news.today", "hi"));
        drop(listener);
        source.wait_for_interest("news.today", false);
    }
}

fn all_servers_answer_in_the_system_account(roles: Roles) {
    let both = "accounts { S { users: [{ user: s, password: s }] } }\nsystem_account: S";
    let pair = Setup { both, ..Setup::default() }.start(roles);
    for (asks, _) in pair.ways() {
        let mut admin = Client::connect_as(asks.port, "s");
        let mut seen = BTreeSet::new();
        let mut round = 0;
        // Until each knows what the other listens to.
        wait_for("answers of both", || {
            round += 1;
            admin.send(&format!("SUB got.{round} {round}\r\nPUB $SYS.REQ.SERVER.PING got.{round} 0\r\n\r\n"));
            for answer in admin.drain() {
                let json: serde_json::Value = serde_json::from_str(&answer.payload).expect("JSON");
                seen.insert(json["server"]["name"].as_str().expect("a name").to_owned());
            }
            (seen.len() == 2).then_some(())
        });
        assert!(seen.iter().eq(["a", "b"]), "{seen:?}");
    }
}

fn what_answers_use_is_not_for_clients(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (server, _) in pair.ways() {
        let mut client = server.client();
        client.send("PUB _GR_.abcdef.abcdef.x 1\r\nx\r\n");
        client.expect("-ERR 'Permissions Violation for Publish to \"_GR_.abcdef.abcdef.x\"'\r\n");
    }
}
