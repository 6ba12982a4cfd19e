//! Messages between clusters.

use super::{Roles, Setup, with_roles};
use crate::harness::client::Client;
use crate::harness::flow::{self, grouped, leave, publisher, subscriber};
use crate::harness::server::TestServer;

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

/// A flow from each cluster to the other.
fn both_ways(roles: Roles, both: &str, flow: impl Fn(&TestServer, &TestServer)) {
    let pair = Setup { both, ..Setup::default() }.start(roles);
    for (from, to) in pair.ways() {
        flow(from, to);
    }
}

fn messages_flow_both_ways(roles: Roles) {
    both_ways(roles, "", flow::messages_flow);
}

fn interest_comes_and_goes(roles: Roles) {
    both_ways(roles, "", flow::interest_comes_and_goes);
}

fn each_group_gets_one_copy(roles: Roles) {
    both_ways(roles, "", flow::each_group_gets_one_copy);
}

fn wildcards_and_plain_interest_are_one_copy(roles: Roles) {
    both_ways(roles, "", flow::wildcards_and_plain_interest_are_one_copy);
}

fn accounts_stay_apart(roles: Roles) {
    let both = "accounts { ONE { users: [{ user: u, password: p }] }, OTHER { users: [{ user: o, password: p }] } }\n\
                no_auth_user: u";
    both_ways(roles, both, flow::accounts_stay_apart);
}

fn what_was_wanted_before_is_known(roles: Roles) {
    let mut pair = Setup::default().start_apart(roles);
    let mut early = [subscriber(&pair.a, "early"), subscriber(&pair.b, "early")];
    super::connected(&mut pair.a, "B");
    super::connected(&mut pair.b, "A");
    for listener in &mut early {
        leave(listener);
    }
    let (a, b) = (&pair.a, &pair.b);
    for (from, to) in [(a, b), (b, a)] {
        let mut client = Client::connect(from.port);
        client.wait_for_interest("early", false);
        let _listener = subscriber(to, "early");
        client.wait_for_interest("early", true);
    }
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
        leave(&mut home);
        for n in 0..50 {
            client.publish("work", &n.to_string());
        }
        assert_eq!(away.take(50).len(), 50, "none of the first ones, and all of the others");
        client.flush();
        assert!(away.drain().is_empty() && home.drain().is_empty());
        leave(&mut away);
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
