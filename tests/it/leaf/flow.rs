//! Messages between a hub and a leaf node.

use std::thread;

use super::{Roles, Setup, publisher, subscriber, with_roles};
use crate::harness::POLL;
use crate::harness::client::Client;
use crate::harness::server::TestServer;

with_roles!(
    messages_flow_both_ways,
    requests_are_answered,
    interest_comes_and_goes,
    members_at_the_hub_come_first,
    each_group_gets_one_copy,
    wildcards_and_plain_interest_are_one_copy,
    what_is_denied_stays,
    accounts_stay_apart,
);

fn messages_flow_both_ways(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (from, to) in [(&pair.hub, &pair.leaf), (&pair.leaf, &pair.hub)] {
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

fn requests_are_answered(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (asks, answers) in [(&pair.hub, &pair.leaf), (&pair.leaf, &pair.hub)] {
        let mut service = subscriber(answers, "help");
        let mut client = publisher(asks, "help");
        client.subscribe("answers.*", "7");
        client.request("help", "answers.1", "?");
        let request = service.next();
        let reply = request.reply.expect("a reply is wanted");
        service.wait_for_interest(&reply, true);
        service.publish(&reply, "!");
        assert_eq!(client.next().payload, "!");
    }
}

fn interest_comes_and_goes(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (from, to) in [(&pair.hub, &pair.leaf), (&pair.leaf, &pair.hub)] {
        let mut listener = subscriber(to, "bar");
        listener.subscribe_queue("bar", "q", "2");
        let mut client = publisher(from, "bar");
        listener.send("UNSUB 1\r\nUNSUB 2\r\n");
        listener.flush();
        client.wait_for_interest("bar", false);
    }
}

/// Publishes until both sides have had enough, and says how many each got.
fn shares(client: &mut Client, count: usize, takers: [&mut Client; 2]) -> [usize; 2] {
    for n in 0..count {
        client.publish("work", &n.to_string());
    }
    client.flush();
    let mut got = [0; 2];
    let [one, other] = takers;
    loop {
        got[0] += one.drain().len();
        got[1] += other.drain().len();
        if got[0] + got[1] >= count {
            return got;
        }
        thread::sleep(POLL);
    }
}

fn grouped(server: &TestServer) -> Client {
    let mut client = Client::connect(server.port);
    client.subscribe_queue("work", "q", "1");
    client.flush();
    client
}

fn members_at_the_hub_come_first(roles: Roles) {
    let pair = Setup::default().start(roles);
    let mut far = grouped(&pair.leaf);
    publisher(&pair.hub, "work");
    let mut near = grouped(&pair.hub);
    let mut client = Client::connect(pair.hub.port);
    assert_eq!(shares(&mut client, 50, [&mut near, &mut far]), [50, 0]);
    near.send("UNSUB 1\r\n");
    near.flush();
    assert_eq!(shares(&mut client, 50, [&mut near, &mut far]), [0, 50]);
}

fn each_group_gets_one_copy(roles: Roles) {
    let pair = Setup::default().start(roles);
    for (from, to) in [(&pair.hub, &pair.leaf), (&pair.leaf, &pair.hub)] {
        let mut members = [grouped(to), grouped(to), grouped(to)];
        let mut plain = subscriber(to, "work");
        let mut client = publisher(from, "work");
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
    let mut listener = subscriber(&pair.leaf, "a.b");
    listener.subscribe("a.*", "2");
    listener.subscribe(">", "3");
    listener.flush();
    let mut client = publisher(&pair.hub, "a.b");
    client.wait_for_interest("a.x", true);
    client.wait_for_interest("x", true);
    client.publish("a.b", "x");
    let mut sids: Vec<_> = listener.take(3).into_iter().map(|got| got.sid).collect();
    sids.sort();
    client.flush();
    assert_eq!(sids, ["1", "2", "3"]);
    assert!(listener.drain().iter().all(|got| got.subject != "a.b"), "once each");
}

fn what_is_denied_stays(roles: Roles) {
    let remote = "deny_imports: [\"in.>\"], deny_exports: \"out.>\"";
    let pair = Setup { remote, ..Setup::default() }.start(roles);
    for (from, to, denied) in [(&pair.hub, &pair.leaf, "in.x"), (&pair.leaf, &pair.hub, "out.x")] {
        let mut listener = subscriber(to, ">");
        let mut client = publisher(from, "end");
        client.publish(denied, "denied");
        client.publish("end", "allowed");
        let mut got = listener.next();
        // A subscription to all hears of the servers' own messages as well.
        while got.subject != "end" {
            assert_ne!(got.subject, denied);
            got = listener.next();
        }
        drop(listener);
        client.wait_for_interest("end", false);
    }
}

fn accounts_stay_apart(roles: Roles) {
    let users = |account: &str| {
        format!(
            "accounts {{ {account} {{ users: [{{ user: u, password: p }}] }}, OTHER {{ users: [{{ user: o, password: p }}] }} }}\n\
             no_auth_user: u"
        )
    };
    let (hub, leaf) = (users("HUB"), users("LEAF"));
    let setup = Setup { hub: &hub, leaf: &leaf, remote: "account: LEAF", user: "u:p@", ..Setup::default() };
    let pair = setup.start(roles);
    let mut stranger = pair.hub.connect();
    stranger.send("CONNECT {\"verbose\":false,\"user\":\"o\",\"pass\":\"p\"}\r\nSUB foo 1\r\n");
    stranger.expect_pong();
    let mut listener = subscriber(&pair.hub, "foo");
    let mut client = publisher(&pair.leaf, "foo");
    client.publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
    stranger.expect_nothing();
}
