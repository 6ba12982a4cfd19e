//! Leaf nodes on whom somebody else decides.

use nkeys::KeyPair;

use super::tokens::{answered, file_of, hear_of_nobody};
use super::{Roles, Setup, wait_for_log, with_roles};
use crate::callout::{Decider, config};
use crate::harness::client::Client;
use crate::harness::node::free_port;
use crate::harness::raw::Raw;
use crate::harness::server::{TestServer, wait_for};
use crate::operator::{Realm, Tenant, connect_to, seconds, subjects, user};

with_roles!(
    somebody_decides_and_is_obeyed,
    those_who_decide_may_be_leaf_nodes,
    accounts_of_operators_may_have_others_decide
);

fn leaf(roles: Roles, port: u16, user: &str, remote: &str) -> TestServer {
    TestServer::start(roles.leaf, &Setup { user, remote, ..Setup::default() }.leaf_config(port))
}

fn somebody_decides_and_is_obeyed(roles: Roles) {
    let issuer = KeyPair::new_account();
    let hub = config(&issuer, "");
    // Who is asked about a leaf node has as long as that may take to come in.
    let accepts = "authorization { timeout: 5 }";
    let setup = Setup { hub: &hub, accepts, ..Setup::default() };
    let port = free_port();
    let hub = TestServer::start(roles.hub, &setup.hub_config(port));
    let mut decider = Decider::login(hub.port, &issuer);

    let mut stranger = leaf(roles, port, "mallory:p@", "");
    let question = decider.asked();
    decider.refuse(&question);
    wait_for_log(&mut stranger, "Leafnode Error 'Authorization Violation'");
    drop(stranger);

    let leaf = leaf(roles, port, "alice:p@", "");
    let question = wait_for("a question about alice", || {
        let question = decider.asked();
        let alice = question.claims.body.connect.user == "alice";
        if !alice {
            decider.refuse(&question);
        }
        alice.then_some(question)
    });
    let (asked, said) = (&question.claims.body.client, &question.claims.body.connect);
    assert_eq!((asked.kind.as_str(), asked.way.as_str(), asked.host.as_str()), ("Leafnode", "", "127.0.0.1"));
    assert_eq!((asked.user.as_str(), asked.name.as_str()), ("alice", "leaf"));
    assert_eq!((said.user.as_str(), said.password.as_str(), said.name.as_str()), ("alice", "p", "leaf"));
    assert!(!said.version.is_empty());
    decider.admit(&question, |user| user.body.limits.permissions.subscribe = subjects(&["down.>"], &[]));
    let mut listener = Client::connect(leaf.port);
    for (sid, subject) in ["down.x", "other"].iter().enumerate() {
        listener.subscribe(subject, &sid.to_string());
    }
    listener.flush();
    let mut app = Raw::connect(hub.port);
    app.send("CONNECT {\"user\":\"app\",\"pass\":\"p\",\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nPING\r\n");
    let question = decider.asked();
    decider.admit(&question, |_| ());
    assert_eq!(app.line(), "PONG");
    wait_for("the interest of the leaf node", || answered(&mut app, "down.x").then_some(()));
    assert!(!answered(&mut app, "other"));
}

fn those_who_decide_may_be_leaf_nodes(roles: Roles) {
    let hub = config(&KeyPair::new_account(), "");
    let setup = Setup { hub: &hub, user: "decider:p@", ..Setup::default() };
    let (mut pair, _) = setup.start_apart(roles);
    wait_for_log(&mut pair.leaf, "Leafnode connection created");
    let mut at_leaf = Client::connect(pair.leaf.port);
    at_leaf.subscribe("foo", "1");
    at_leaf.flush();
    let mut at_hub = Client::connect_with(pair.hub.port, "decider", "p");
    at_hub.wait_for_interest("foo", true);
}

fn accounts_of_operators_may_have_others_decide(roles: Roles) {
    let (realm, decider_pair) = (Realm::new(), KeyPair::new_user());
    let auth = Tenant::new(|claims| claims.body.authorization.auth_users = vec![decider_pair.public_key()]);
    let hub = format!("resolver: MEMORY\n{}", realm.preload(&[&auth]));
    let accepts = "authorization { timeout: 5 }";
    let port = free_port();
    let hub = TestServer::start(roles.hub, &Setup { hub: &hub, accepts, ..Setup::default() }.hub_config(port));
    let token = user(&decider_pair, |_| ()).encode(&auth.pair, seconds()).expect("accounts sign users");
    let (mut raw, ..) = connect_to(hub.port, &token, Some(&decider_pair));
    assert_eq!(raw.line(), "PONG");
    hear_of_nobody(&mut raw);
    let mut decider = Decider::new(raw, &auth.pair);
    let file = file_of(&auth, &KeyPair::new_user(), |_| ());
    let leaf = leaf(roles, port, "", &format!("credentials: \"{}\"", file.path().display()));
    let question = decider.asked();
    assert_eq!(question.claims.registered.subject, auth.key());
    assert_eq!(question.claims.body.client.kind, "Leafnode");
    decider.admit(&question, |user| user.registered.audience.clear());
    let mut at_leaf = Client::connect(leaf.port);
    at_leaf.subscribe("foo", "1");
    at_leaf.flush();
    wait_for("the interest of the leaf node", || answered(&mut decider.raw, "foo").then_some(()));
}
