//! What has to hold between two servers, however they are connected: from a client at the one to a client at the other.
//! Nobody listens any more when one of these is over, so that the next may use the same subjects.

use super::client::Client;
use super::server::{TestServer, wait_for};

/// A client that has subscribed, before anybody else goes on.
pub fn subscriber(server: &TestServer, subject: &str) -> Client {
    let mut client = Client::connect(server.port);
    client.subscribe(subject, "1");
    client.flush();
    client
}

/// A client that knows of somebody who listens to `subject`.
pub fn publisher(server: &TestServer, subject: &str) -> Client {
    let mut client = Client::connect(server.port);
    client.wait_for_interest(subject, true);
    client
}

/// A member of the group `q` that has subscribed to `work`.
pub fn grouped(server: &TestServer) -> Client {
    let mut client = Client::connect(server.port);
    client.subscribe_queue("work", "q", "1");
    client.flush();
    client
}

/// Ends the first subscription. The end of a connection would be noticed some time later.
pub fn leave(client: &mut Client) {
    client.send("UNSUB 1\r\n");
    client.flush();
}

pub fn messages_flow(from: &TestServer, to: &TestServer) {
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
    leave(&mut listener);
    client.wait_for_interest("foo.a", false);
}

pub fn interest_comes_and_goes(from: &TestServer, to: &TestServer) {
    let mut listener = subscriber(to, "bar");
    listener.subscribe_queue("bar", "q", "2");
    let mut client = publisher(from, "bar");
    listener.send("UNSUB 1\r\nUNSUB 2\r\n");
    listener.flush();
    client.wait_for_interest("bar", false);
}

/// Beside a plain subscriber, the members of a group share what comes.
pub fn each_group_gets_one_copy(from: &TestServer, to: &TestServer) {
    const COUNT: usize = 100;
    let mut members = [grouped(to), grouped(to), grouped(to)];
    let mut plain = subscriber(to, "work");
    // What is wanted last is known last.
    plain.subscribe("known", "2");
    plain.flush();
    let mut client = publisher(from, "known");
    for n in 0..COUNT {
        client.publish("work", &n.to_string());
    }
    assert_eq!(plain.take(COUNT).len(), COUNT);
    let mut shares = [0; 3];
    wait_for("all work to be done", || {
        for (member, share) in members.iter_mut().zip(&mut shares) {
            *share += member.drain().len();
        }
        (shares.iter().sum::<usize>() >= COUNT).then_some(())
    });
    assert_eq!(shares.iter().sum::<usize>(), COUNT, "{shares:?}");
    assert!(shares.iter().all(|share| *share > 5), "{shares:?}");
    assert_eq!(plain.drain(), []);
    drop((members, plain));
    client.wait_for_interest("work", false);
}

pub fn wildcards_and_plain_interest_are_one_copy(from: &TestServer, to: &TestServer) {
    let mut listener = subscriber(to, "a.b");
    listener.subscribe("a.*", "2");
    listener.subscribe(">", "3");
    listener.flush();
    let mut client = publisher(from, "a.b");
    client.wait_for_interest("a.x", true);
    client.wait_for_interest("x", true);
    client.publish("a.b", "x");
    client.publish("end", "x");
    let mut got = Vec::new();
    // Who listens to everything hears of the servers' own messages as well.
    while got.last().is_none_or(|(subject, _)| subject != "end") {
        let delivery = listener.next();
        got.push((delivery.subject, delivery.sid));
    }
    let mut sids: Vec<_> = got.iter().filter(|(subject, _)| subject == "a.b").map(|(_, sid)| &**sid).collect();
    sids.sort_unstable();
    assert_eq!(sids, ["1", "2", "3"], "once each");
    assert!(listener.drain().iter().all(|got| got.subject != "a.b"), "once each");
    drop(listener);
    client.wait_for_interest("a.b", false);
}

/// Whoever publishes is in the account of a listener, and not in that of a stranger, who is called `o`.
pub fn accounts_stay_apart(from: &TestServer, to: &TestServer) {
    let mut stranger = to.connect();
    stranger.send("CONNECT {\"verbose\":false,\"user\":\"o\",\"pass\":\"p\"}\r\nSUB foo 1\r\n");
    stranger.expect_pong();
    let mut listener = subscriber(to, "foo");
    let mut client = publisher(from, "foo");
    client.publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
    stranger.expect_nothing();
    leave(&mut listener);
    client.wait_for_interest("foo", false);
}
