//! Leaf nodes of an operator's accounts, with credentials in a file.

use natsd_auth::jwt::{Claims, User};
use nkeys::KeyPair;

use super::{Pair, Roles, Setup, publisher, subscriber, wait_for_log, with_roles};
use crate::harness::raw::Raw;
use crate::harness::server::wait_for;
use crate::operator::{Realm, Tenant, connect, seconds, subjects, user};

with_roles!(credentials_lead_into_an_account, a_stranger_is_refused, who_is_called_back_goes, tokens_end,);

fn credentials(token: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         ************************* IMPORTANT *************************\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}

/// A file with the credentials of a user whom `tenant` vouches for.
fn file(tenant: &Tenant) -> tempfile::NamedTempFile {
    file_of(tenant, &KeyPair::new_user(), |_| ())
}

pub fn file_of(tenant: &Tenant, pair: &KeyPair, change: impl FnOnce(&mut Claims<User>)) -> tempfile::NamedTempFile {
    let token = user(pair, change).encode(&tenant.pair, seconds() - 5).expect("accounts sign users");
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), credentials(&token, &pair.seed().expect("it has one"))).expect("written");
    file
}

fn member(server: &crate::harness::server::TestServer, tenant: &Tenant) -> Raw {
    let pair = KeyPair::new_user();
    let token = user(&pair, |_| ()).encode(&tenant.pair, seconds() - 5).expect("accounts sign users");
    let (mut client, ..) = connect(server, &token, Some(&pair));
    assert_eq!(client.line(), "PONG");
    hear_of_nobody(&mut client);
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

/// A hub with these accounts, and a leaf node with the credentials in `file`.
struct Bench {
    realm: Realm,
    pair: Pair,
    port: u16,
}

impl Bench {
    fn start(roles: Roles, tenant: &Tenant, file: &tempfile::NamedTempFile) -> Self {
        let realm = Realm::new();
        let remote = format!("credentials: \"{}\"", file.path().display());
        let hub = memory(&realm, tenant);
        let (mut pair, port) = Setup { hub: &hub, remote: &remote, ..Setup::default() }.start_apart(roles);
        wait_for_log(&mut pair.leaf, "Leafnode connection created");
        Self { realm, pair, port }
    }

    /// The account is this one from now on.
    fn reload(&self, tenant: &Tenant) {
        let hub = memory(&self.realm, tenant);
        self.pair.hub.reconfigure(&Setup { hub: &hub, ..Setup::default() }.hub_config(self.port));
    }
}

fn memory(realm: &Realm, tenant: &Tenant) -> String {
    format!("resolver: MEMORY\n{}", realm.preload(&[tenant]))
}

fn who_is_called_back_goes(roles: Roles) {
    let (mut tenant, pair) = (Tenant::new(|_| ()), KeyPair::new_user());
    let file = file_of(&tenant, &pair, |_| ());
    let mut bench = Bench::start(roles, &tenant, &file);
    let _listener = subscriber(&bench.pair.leaf, "foo");
    let mut at_hub = member(&bench.pair.hub, &tenant);
    wait_for("the interest of the leaf node", || answered(&mut at_hub, "foo").then_some(()));
    tenant.claims.body.revocations.insert(pair.public_key(), seconds());
    bench.reload(&tenant);
    bench.pair.leaf.wait_for_line("Leafnode Error 'User Authentication Revoked'");
    wait_for("the interest to go", || (!answered(&mut at_hub, "foo")).then_some(()));
}

/// From now on the client hears when nobody takes a request; who it is has been said.
pub fn hear_of_nobody(client: &mut Raw) {
    client.send("CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
    client.expect_pong();
}

/// Whether anybody takes a request to `subject`.
pub fn answered(client: &mut Raw, subject: &str) -> bool {
    client.send(&format!("SUB nobody 99\r\nPUB {subject} nobody 0\r\n\r\nUNSUB 99\r\nPING\r\n"));
    let mut found = true;
    loop {
        match client.line() {
            line if line == "PONG" => return found,
            line if line.contains("nobody 99") => found = false,
            _ => {}
        }
    }
}

fn tokens_end(roles: Roles) {
    let tenant = Tenant::new(|_| ());
    let file = file_of(&tenant, &KeyPair::new_user(), |claims| claims.registered.expires = seconds() + 3);
    let mut bench = Bench::start(roles, &tenant, &file);
    bench.pair.leaf.wait_for_line("Leafnode Error 'User Authentication Expired'");
}

/// What nats-server does not do for leaf nodes.
mod at_natsd {
    use super::*;

    #[test]
    fn default_permissions_of_an_account_change() {
        let mut tenant = Tenant::new(|claims| claims.body.default_permissions.publish = subjects(&["up.>"], &[]));
        let file = file_of(&tenant, &KeyPair::new_user(), |_| ());
        let bench = Bench::start(Roles::NATSD, &tenant, &file);
        let mut at_hub = member(&bench.pair.hub, &tenant);
        at_hub.send("SUB up.x 1\r\nSUB rise.x 2\r\n");
        at_hub.expect_pong();
        let mut at_leaf = publisher(&bench.pair.leaf, "up.x");
        assert!(!at_leaf.sees_interest("rise.x"));
        tenant.claims.body.default_permissions.publish = subjects(&["rise.>"], &[]);
        bench.reload(&tenant);
        at_leaf.wait_for_interest("rise.x", true);
        at_leaf.wait_for_interest("up.x", false);
    }

    #[test]
    fn an_account_may_have_fewer_leaf_nodes_or_be_gone() {
        let mut tenant = Tenant::new(|_| ());
        let file = file_of(&tenant, &KeyPair::new_user(), |_| ());
        let mut bench = Bench::start(Roles::NATSD, &tenant, &file);
        tenant.claims.body.limits.account.leaf = 0;
        bench.reload(&tenant);
        bench.pair.leaf.wait_for_line("maximum account active connections exceeded");
        tenant.claims.body.limits.account.leaf = 1;
        bench.reload(&tenant);
        let _listener = subscriber(&bench.pair.leaf, "foo");
        let mut at_hub = member(&bench.pair.hub, &tenant);
        wait_for("the interest of the leaf node", || answered(&mut at_hub, "foo").then_some(()));
        bench.reload(&Tenant::new(|_| ()));
        bench.pair.leaf.wait_for_line("Leafnode Error 'Authorization Violation'");
    }
}
