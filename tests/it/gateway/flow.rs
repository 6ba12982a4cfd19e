//! Messages between clusters.

use super::{Roles, Setup, with_roles};
use crate::harness::client::Client;
use crate::harness::server::TestServer;
use crate::leaf::{publisher, subscriber};

with_roles!(
    messages_flow_both_ways,
    interest_comes_and_goes,
    what_was_wanted_before_is_known,
    members_of_the_own_cluster_come_first,
    each_group_gets_one_copy,
    wildcards_and_plain_interest_are_one_copy,
    accounts_stay_apart,
    passwords_are_asked_for,
);

fn messages_flow_both_ways(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (from, to) in pair.ways() {
        let mut listener = subscriber(to, "foo.*");
        let mut client = publisher(from, "foo.a");
        client.publish("foo.a", "hello");
        client.send("HPUB foo.b inbox 18 20\r\nNATS/1.0\r\nK: v\r\n\r\nhi\r\n");
        let got = listener.take(2);
        assert_eq!((got[0].subject.as_str(), got[0].payload.as_str(), &got[0].reply), ("foo.a", "hello", &None));
        assert_eq!((got[1].headers.as_str(), got[1].payload.as_str()), ("NATS/1.0\r\nK: v\r\n\r\n", "hi"));
        assert_eq!(got[1].reply.as_deref(), Some("inbox"));
        client.flush();
        assert!(listener.drain().is_empty());
    }
}

fn interest_comes_and_goes(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (from, to) in pair.ways() {
        let mut listener = subscriber(to, "bar");
        listener.subscribe_queue("bar", "q", "2");
        let mut client = publisher(from, "bar");
        listener.send("UNSUB 1\r\nUNSUB 2\r\n");
        listener.flush();
        client.wait_for_interest("bar", false);
    }
}

fn what_was_wanted_before_is_known(roles: Roles) {
    let mut pair = Setup::default().start_apart(roles);
    let mut early = [subscriber(&pair.a, "early"), subscriber(&pair.b, "early")];
    super::connected(&mut pair.a, "B");
    super::connected(&mut pair.b, "A");
    for listener in &mut early {
        listener.send("UNSUB 1\r\n");
        listener.flush();
    }
    let (a, b) = (&pair.a, &pair.b);
    for (from, to) in [(a, b), (b, a)] {
        let mut client = Client::connect(from.port);
        client.wait_for_interest("early", false);
        let _listener = subscriber(to, "early");
        client.wait_for_interest("early", true);
    }
}

fn grouped(server: &TestServer) -> Client {
    let mut client = Client::connect(server.port);
    client.subscribe_queue("work", "q", "1");
    client.flush();
    client
}

fn members_of_the_own_cluster_come_first(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (near, far) in pair.ways() {
        let mut away = grouped(far);
        let mut client = publisher(near, "work");
        let mut home = grouped(near);
        for n in 0..50 {
            client.publish("work", &n.to_string());
        }
        assert_eq!(home.take(50).len(), 50);
        home.send("UNSUB 1\r\n");
        home.flush();
        for n in 0..50 {
            client.publish("work", &n.to_string());
        }
        assert_eq!(away.take(50).len(), 50, "none of the first ones, and all of the others");
        client.flush();
        assert!(away.drain().is_empty() && home.drain().is_empty());
    }
}

fn each_group_gets_one_copy(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (from, to) in pair.ways() {
        let mut members = [grouped(to), grouped(to), grouped(to)];
        let mut plain = subscriber(to, "work");
        let mut client = publisher(from, "work");
        client.wait_for_interest("work", true);
        for n in 0..100 {
            client.publish("work", &n.to_string());
        }
        assert_eq!(plain.take(100).len(), 100);
        let shares = members.each_mut().map(|member| member.drain().len());
        assert_eq!(shares.iter().sum::<usize>(), 100, "{shares:?}");
        assert!(shares.iter().all(|share| *share > 5), "{shares:?}");
        drop((members, plain));
        client.wait_for_interest("work", false);
    }
}

fn wildcards_and_plain_interest_are_one_copy(roles: Roles) {
    let pair = Setup::default().start(roles);
    let mut listener = subscriber(&pair.b, "a.b");
    listener.subscribe("a.*", "2");
    listener.subscribe(">", "3");
    listener.flush();
    let mut client = publisher(&pair.a, "a.b");
    client.wait_for_interest("a.x", true);
    client.wait_for_interest("x", true);
    client.publish("a.b", "x");
    let mut sids: Vec<_> = listener.take(3).into_iter().map(|got| got.sid).collect();
    sids.sort();
    client.flush();
    assert_eq!(sids, ["1", "2", "3"]);
    assert!(listener.drain().iter().all(|got| got.subject != "a.b"), "once each");
}

fn accounts_stay_apart(roles: Roles) {
    let both = "accounts { ONE { users: [{ user: u, password: p }] }, OTHER { users: [{ user: o, password: p }] } }\n\
                no_auth_user: u";
    let pair = Setup { both, ..Setup::default() }.start(roles);
    for (from, to) in pair.ways() {
        let mut stranger = to.connect();
        stranger.send("CONNECT {\"verbose\":false,\"user\":\"o\",\"pass\":\"p\"}\r\nSUB foo 1\r\n");
        stranger.expect_pong();
        let mut listener = subscriber(to, "foo");
        let mut client = publisher(from, "foo");
        client.publish("foo", "hello");
        assert_eq!(listener.next().payload, "hello");
        stranger.expect_nothing();
    }
}

fn passwords_are_asked_for(roles: Roles) {
    let login = "authorization { user: g, password: secret, timeout: 5 }";
    // A shows what its URL says, B its own.
    let pair = Setup { a: login, b: login, user: "g:secret@", ..Setup::default() }.start(roles);
    let mut listener = subscriber(&pair.b, "foo");
    publisher(&pair.a, "foo").publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
    drop(pair);

    let mut pair = Setup { b: login, user: "g:wrong@", ..Setup::default() }.start_apart(roles);
    crate::leaf::wait_for_log(&mut pair.b, "authentication error");
    crate::leaf::wait_for_log(&mut pair.a, "Authorization Violation");
}
