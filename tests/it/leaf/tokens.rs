//! Leaf nodes of an operator's accounts, with credentials in a file.

use nkeys::KeyPair;

use super::{Roles, Setup, publisher, subscriber, wait_for_log, with_roles};
use crate::harness::raw::Raw;
use crate::operator::{Realm, Tenant, connect, seconds, user};

with_roles!(credentials_lead_into_an_account, a_stranger_is_refused);

fn credentials(token: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         ************************* IMPORTANT *************************\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// A file with the credentials of a user whom `tenant` vouches for.
fn file(tenant: &Tenant) -> tempfile::NamedTempFile {
    let pair = KeyPair::new_user();
    let token = user(&pair, |_| ()).encode(&tenant.pair, seconds() - 5).expect("accounts sign users");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), credentials(&token, &pair.seed().expect("it has one"))).expect("written");
    file
}

fn member(server: &crate::harness::server::TestServer, tenant: &Tenant) -> Raw {
    let pair = KeyPair::new_user();
    let token = user(&pair, |_| ()).encode(&tenant.pair, seconds() - 5).expect("accounts sign users");
    let (mut client, ..) = connect(server, &token, Some(&pair));
    assert_eq!(client.line(), "PONG");
    client
}

fn credentials_lead_into_an_account(roles: Roles) {
    let (realm, tenant) = (Realm::new(), Tenant::new(|_| ()));
    let hub = format!("resolver: MEMORY\n{}", realm.preload(&[&tenant]));
    let file = file(&tenant);
    let remote = format!("credentials: \"{}\"", file.path().display());
    let pair = Setup { hub: &hub, remote: &remote, ..Setup::default() }.start(roles);
    let mut at_hub = member(&pair.hub, &tenant);
    at_hub.send("SUB up 1\r\n");
    at_hub.expect_pong();
    publisher(&pair.leaf, "up").publish("up", "hello");
    // Whoever publishes there has asked before whether anybody is here.
    while at_hub.line() != "MSG up 1 5" {}
    at_hub.expect("hello\r\n");
    let mut at_leaf = subscriber(&pair.leaf, "down");
    crate::harness::server::wait_for("the interest of the leaf node", || {
        at_hub.send("PUB down 2\r\nhi\r\n");
        at_hub.expect_pong();
        let got = at_leaf.drain();
        got.first().map(|got| assert_eq!(got.payload, "hi"))
    });
}

fn a_stranger_is_refused(roles: Roles) {
    let (realm, tenant) = (Realm::new(), Tenant::new(|_| ()));
    let hub = format!("resolver: MEMORY\n{}", realm.preload(&[&tenant]));
    let file = file(&Tenant::new(|_| ()));
    let remote = format!("credentials: \"{}\"", file.path().display());
    let (mut pair, _) = Setup { hub: &hub, remote: &remote, ..Setup::default() }.start_apart(roles);
    wait_for_log(&mut pair.hub, "authentication error");
    wait_for_log(&mut pair.leaf, "Leafnode Error 'Authorization Violation'");
}
