//! Who may come in as a leaf node, into which account, and what it may do there.

use super::{Roles, Setup, publisher, subscriber, wait_for_log, with_roles};
use crate::harness::client::Client;
use crate::harness::tls::Authority;

with_roles!(
    users_have_accounts,
    keys_prove_who_one_is,
    wrong_passwords_are_refused,
    permissions_hold_on_both_sides,
    tls_is_spoken_when_the_hub_asks_for_it,
    tls_may_come_first,
    what_is_not_believed_is_not_connected,
);

const ACCOUNTS: &str = "accounts { A { users: [{ user: a, password: a }] }, B { users: [{ user: b, password: b }] } }\n\
                        no_auth_user: a";

fn users_have_accounts(roles: Roles) {
    let accepts =
        "authorization { users: [{ user: one, password: p, account: A }, { user: two, password: p, account: B }] }";
    let pair = Setup { hub: ACCOUNTS, accepts, user: "one:p@", ..Setup::default() }.start(roles);
    let mut listener = subscriber(&pair.hub, "foo");
    publisher(&pair.leaf, "foo").publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
}

fn keys_prove_who_one_is(roles: Roles) {
    let key = nkeys::KeyPair::new_user();
    let accepts = format!("authorization {{ nkey: {}, account: A }}", key.public_key());
    let remote = format!("nkey: {}", key.seed().expect("it has one"));
    let pair = Setup { hub: ACCOUNTS, accepts: &accepts, remote: &remote, ..Setup::default() }.start(roles);
    let mut listener = subscriber(&pair.leaf, "foo");
    publisher(&pair.hub, "foo").publish("foo", "hello");
    assert_eq!(listener.next().payload, "hello");
}

fn wrong_passwords_are_refused(roles: Roles) {
    let accepts = "authorization { user: one, password: p, account: A }";
    let setup = Setup { hub: ACCOUNTS, accepts, user: "one:wrong@", ..Setup::default() };
    let (mut pair, _) = setup.start_apart(roles);
    wait_for_log(&mut pair.hub, "authentication error");
    wait_for_log(&mut pair.leaf, "Leafnode Error 'Authorization Violation'");
}

/// What a client got of all that is published before `last`.
fn until(client: &mut Client, last: &str) -> Vec<String> {
    let mut subjects = Vec::new();
    loop {
        let got = client.next();
        if got.subject == last {
            return subjects;
        }
        subjects.push(got.subject);
    }
}

fn permissions_hold_on_both_sides(roles: Roles) {
    let hub = "accounts { A { users: [{ user: a, password: a }, { user: l, password: p, permissions: {\n\
               publish: { allow: [\"up.>\", \"end\"], deny: \"up.secret\" }, subscribe: [\"down.>\", \"end\"] } }] } }\n\
               no_auth_user: a";
    let pair = Setup { hub, user: "l:p@", ..Setup::default() }.start(roles);
    let mut at_hub = Client::connect(pair.hub.port);
    for (sid, subject) in ["up.>", "other", "end"].iter().enumerate() {
        at_hub.subscribe(subject, &sid.to_string());
    }
    at_hub.flush();
    let mut from_leaf = publisher(&pair.leaf, "end");
    from_leaf.wait_for_interest("up.a", true);
    for subject in ["other", "up.secret", "up.a", "end"] {
        from_leaf.publish(subject, "x");
    }
    assert_eq!(until(&mut at_hub, "end"), ["up.a"]);
    drop(at_hub);

    let mut at_leaf = Client::connect(pair.leaf.port);
    for (sid, subject) in ["down.*", "other", "end"].iter().enumerate() {
        at_leaf.subscribe(subject, &sid.to_string());
    }
    at_leaf.flush();
    let mut from_hub = publisher(&pair.hub, "end");
    from_hub.wait_for_interest("down.a", true);
    for subject in ["other", "down.a", "end"] {
        from_hub.publish(subject, "x");
    }
    assert_eq!(until(&mut at_leaf, "end"), ["down.a"]);
}

/// Whether messages flow with what `tls {}` of either side has beside its certificates.
fn speak_tls(roles: Roles, at_hub: &str, at_leaf: &str) {
    let authority = Authority::new();
    let (accepts, remote) = (authority.block(at_hub), authority.block(at_leaf));
    let pair = Setup { accepts: &accepts, remote: &remote, ..Setup::default() }.start(roles);
    let mut listener = subscriber(&pair.leaf, "foo");
    publisher(&pair.hub, "foo").publish("foo", &"x".repeat(100_000));
    assert_eq!(listener.next().payload.len(), 100_000);
}

fn tls_is_spoken_when_the_hub_asks_for_it(roles: Roles) {
    speak_tls(roles, "verify: true", "");
}

fn tls_may_come_first(roles: Roles) {
    speak_tls(roles, "handshake_first: true", "handshake_first: true");
}

fn what_is_not_believed_is_not_connected(roles: Roles) {
    let (authority, other) = (Authority::new(), Authority::new());
    let (accepts, remote) = (authority.block(""), other.block(""));
    let setup = Setup { accepts: &accepts, remote: &remote, ..Setup::default() };
    let (mut pair, _) = setup.start_apart(roles);
    wait_for_log(&mut pair.leaf, "TLS leafnode handshake error");
    let mut client = Client::connect(pair.leaf.port);
    let _listener = subscriber(&pair.hub, "foo");
    assert!(!client.sees_interest("foo"));
}
