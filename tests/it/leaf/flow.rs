//! Messages between a hub and a leaf node.

use std::thread;

use super::{Roles, Setup, with_roles};
use crate::harness::POLL;
use crate::harness::client::Client;
use crate::harness::flow::{self, grouped, leave, publisher, subscriber};
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

/// A flow from each end to the other.
fn both_ways(roles: Roles, flow: impl Fn(&TestServer, &TestServer)) {
    let pair = Setup::default().start(roles);
    flow(&pair.hub, &pair.leaf);
    flow(&pair.leaf, &pair.hub);
}

fn messages_flow_both_ways(roles: Roles) {
    both_ways(roles, flow::messages_flow);
}

fn interest_comes_and_goes(roles: Roles) {
    both_ways(roles, flow::interest_comes_and_goes);
}

fn each_group_gets_one_copy(roles: Roles) {
    both_ways(roles, flow::each_group_gets_one_copy);
}

fn wildcards_and_plain_interest_are_one_copy(roles: Roles) {
    both_ways(roles, flow::wildcards_and_plain_interest_are_one_copy);
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
        leave(&mut service);
        client.wait_for_interest("help", false);
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

fn members_at_the_hub_come_first(roles: Roles) {
    let pair = Setup::default().start(roles);
    let mut far = grouped(&pair.leaf);
    publisher(&pair.hub, "work");
    let mut near = grouped(&pair.hub);
    let mut client = Client::connect(pair.hub.port);
    assert_eq!(shares(&mut client, 50, [&mut near, &mut far]), [50, 0]);
    leave(&mut near);
    assert_eq!(shares(&mut client, 50, [&mut near, &mut far]), [0, 50]);
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
    flow::accounts_stay_apart(&pair.leaf, &pair.hub);
}
