//! Accounts that tools push into the system account and servers tell each other, with natsd, nats-server, and both.

use data_encoding::BASE64URL_NOPAD;
use natsd_auth::jwt::{Export, Import, ShareKind};
use nkeys::KeyPair;
use serde_json::{Value, json};

use crate::accounts::message;
use crate::harness::node::{Node, Setup};
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::operator::{Realm, Tenant, allowed, seconds, subjects, try_member};

const BOTH: [Program; 2] = [Program::Natsd, Program::Go];

impl Realm {
    /// A user of the system account.
    fn system_user(&self, port: u16) -> Raw {
        try_member(port, &self.system, |_| ()).expect("the system account is there from the start")
    }

    /// Asks that an account be deleted, as nsc does.
    fn deletion(&self, tenant: &Tenant, by: &KeyPair) -> String {
        let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
        let own = by.public_key();
        let claims = json!({
            "iss": own, "sub": own, "iat": seconds(), "jti": "x",
            "nats": { "accounts": [tenant.key()], "type": "generic", "version": 2 },
        });
        let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(claims.to_string().as_bytes()));
        let signature = by.sign(signed.as_bytes()).expect("a pair signs");
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

/// The answer to a request.
fn ask(raw: &mut Raw, subject: &str, payload: &str) -> String {
    raw.send(&format!("SUB _INBOX.q 9\r\nUNSUB 9 1\r\nPUB {subject} _INBOX.q {}\r\n{payload}\r\n", payload.len()));
    message(raw).2
}

fn asked(raw: &mut Raw, subject: &str, payload: &str) -> Value {
    serde_json::from_str(&ask(raw, subject, payload)).expect("JSON")
}

/// `config` of a server with a resolver of this kind, and nothing in it.
fn empty(realm: &Realm, resolver: &str) -> String {
    format!("operator: {}\nresolver {{ {resolver}, dir: '{{dir}}/jwt' }}\n", realm.token)
}

const PAIRS: [(Program, Program); 3] =
    [(Program::Natsd, Program::Natsd), (Program::Natsd, Program::Go), (Program::Go, Program::Natsd)];

const FULL: &str = "type: full, allow_delete: true, hard_delete: true, interval: '1s', timeout: '1s'";

#[test]
fn accounts_are_pushed_listed_told_and_deleted() {
    for program in BOTH {
        let realm = Realm::new();
        let server = TestServer::start(program, &empty(&realm, FULL));
        let mut sys = realm.system_user(server.port);
        let mut tenant = Tenant::new(|_| ());
        assert!(try_member(server.port, &tenant, |_| ()).is_none(), "{program:?}");
        let token = realm.signed(&tenant);
        for (pushed, token) in [(&realm.system, &realm.signed(&realm.system)), (&tenant, &token)] {
            let done = asked(&mut sys, "$SYS.REQ.CLAIMS.UPDATE", token);
            let expected = json!({ "account": pushed.key(), "code": 200, "message": "jwt updated" });
            assert_eq!(done["data"], expected, "{program:?}");
            assert_eq!(done["server"]["id"], sys.info["server_id"], "{program:?}");
        }
        // nats-server remembers for a second that the account was not there.
        let mut client = wait_for("the account", || try_member(server.port, &tenant, |_| ()));

        let list = asked(&mut sys, "$SYS.REQ.CLAIMS.LIST", "");
        let mut keys: Vec<&str> = list["data"].as_array().expect("keys").iter().filter_map(Value::as_str).collect();
        keys.sort_unstable();
        let mut expected = [realm.system.key(), tenant.key()];
        expected.sort();
        assert_eq!(keys, expected, "{program:?}");
        let lookup = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", tenant.key());
        assert_eq!(ask(&mut sys, &lookup, ""), token, "{program:?}");
        let unknown = Tenant::new(|_| ());
        assert_eq!(ask(&mut sys, &format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.LOOKUP", unknown.key()), ""), "", "{program:?}");

        tenant.claims.body.default_permissions.publish = subjects(&["b"], &[]);
        let update = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", tenant.key());
        assert_eq!(asked(&mut sys, &update, &realm.signed(&tenant))["data"]["code"], 200, "{program:?}");
        wait_for("the new default permissions", || {
            (allowed(&mut client, &[("PUB", "a"), ("PUB", "b")]) == [false, true]).then_some(())
        });
        for (wrong, text) in [(realm.signed(&unknown), "subject does not match"), ("x".to_owned(), "expected 3 chunks")]
        {
            let refused = asked(&mut sys, &update, &wrong);
            assert_eq!(refused["error"]["code"], 500, "{program:?}");
            let description = refused["error"]["description"].as_str().expect("a text");
            assert!(description.contains(text), "{program:?}: {description}");
        }

        let stranger = KeyPair::new_operator();
        let refused = asked(&mut sys, "$SYS.REQ.CLAIMS.DELETE", &realm.deletion(&tenant, &stranger));
        assert!(refused["error"]["description"].as_str().is_some_and(|text| text.contains("not trusted")), "{refused}");
        let done = asked(&mut sys, "$SYS.REQ.CLAIMS.DELETE", &realm.deletion(&tenant, &realm.operator));
        assert_eq!(done["data"]["message"], "deleted 1 accounts", "{program:?}: {done}");
        assert!(client.rest().contains("-ERR"), "{program:?}");
        assert!(try_member(server.port, &tenant, |_| ()).is_none(), "{program:?}");
        assert_eq!(asked(&mut sys, "$SYS.REQ.CLAIMS.LIST", "")["data"], json!([realm.system.key()]), "{program:?}");
    }
}

#[test]
fn what_tokens_say_is_told() {
    for program in BOTH {
        let realm = Realm::new();
        let revoked = KeyPair::new_user().public_key();
        let tenant = Tenant::new(|claims| {
            claims.registered.name = "Acme".to_owned();
            claims.tags = vec!["site:z".to_owned()];
            claims.body.revocations.insert(revoked.clone(), 1_700_000_000);
        });
        let config = format!("resolver: MEMORY\n{}", realm.preload(&[&tenant]));
        let server = TestServer::start(program, &config);
        let mut sys = realm.system_user(server.port);
        sys.send(&format!("SUB $SYS.ACCOUNT.{}.CONNECT 1\r\n", tenant.key()));
        sys.expect_pong();
        let mut client = try_member(server.port, &tenant, |claims| {
            claims.registered.name = "alice".to_owned();
            claims.registered.expires = seconds() + 1000;
            claims.tags = vec!["team:red".to_owned()];
        })
        .expect("it is preloaded");
        let event: Value = serde_json::from_str(&message(&mut sys).2).expect("JSON");
        let about = &event["client"];
        assert_eq!((&about["acc"], &about["name_tag"]), (&json!(tenant.key()), &json!("Acme")), "{program:?}");
        assert_eq!((&about["issuer_key"], &about["tags"]), (&json!(tenant.key()), &json!(["team:red"])), "{program:?}");
        let jwt = about["jwt"].as_str().expect("a token").to_owned();
        sys.send("UNSUB 1\r\n");

        let info = asked(&mut client, "$SYS.REQ.USER.INFO", "");
        let who = [&info["data"]["account"], &info["data"]["account_name"], &info["data"]["user_name"]];
        assert_eq!(who, [&json!(tenant.key()), &json!("Acme"), &json!("alice")], "{program:?}");
        let left = info["data"]["expires"].as_u64().expect("a number");
        assert!(
            (900_000_000_000..=1_000_000_000_000).contains(&left) && left.is_multiple_of(1_000_000_000),
            "{program:?}: {left}"
        );

        let query = format!("{{\"account\":\"{}\"}}", tenant.key());
        let answer = asked(&mut sys, "$SYS.REQ.SERVER.PING.ACCOUNTZ", &query);
        let detail = &answer["data"]["account_detail"];
        assert_eq!((&detail["name_tag"], &detail["tags"]), (&json!("Acme"), &json!(["site:z"])), "{program:?}");
        let issuer = json!(realm.operator.public_key());
        assert_eq!((&detail["issuer_key"], &detail["expired"]), (&issuer, &json!(false)), "{program:?}");
        let decoded = &detail["decoded_jwt"];
        assert_eq!((&decoded["sub"], &decoded["name"]), (&json!(tenant.key()), &json!("Acme")), "{program:?}");
        assert_eq!(decoded["nats"]["limits"]["conn"], -1, "{program:?}");
        assert_eq!(decoded["nats"]["revocations"][&revoked], 1_700_000_000, "{program:?}");
        let since = detail["revoked_user"][&revoked].as_str().expect("a time");
        assert!(since.starts_with("2023-11-14T22:13:20"), "{program:?}: {since}");
        assert!(config.contains(detail["jwt"].as_str().expect("a token")), "{program:?}");
        let connz =
            asked(&mut sys, "$SYS.REQ.SERVER.PING.CONNZ", &format!("{{\"auth\":true,\"acc\":\"{}\"}}", tenant.key()));
        let connection = &connz["data"]["connections"][0];
        assert_eq!((&connection["jwt"], &connection["name_tag"]), (&json!(jwt), &json!("Acme")), "{program:?}");
    }
}

#[test]
fn an_exporter_that_is_pushed_later_serves_who_imports_already() {
    let realm = Realm::new();
    let server = TestServer::natsd(&empty(&realm, FULL));
    let mut sys = realm.system_user(server.port);
    let (kind, subject) = (ShareKind::Stream, "news.>".to_owned());
    let export = Export { kind, subject: subject.clone(), ..Export::default() };
    let exporter = Tenant::new(|claims| claims.body.exports = vec![export]);
    let import = Import { kind, subject, account: exporter.key(), ..Import::default() };
    let importer = Tenant::new(|claims| claims.body.imports = vec![import]);
    asked(&mut sys, "$SYS.REQ.CLAIMS.UPDATE", &realm.signed(&importer));
    let mut reader = wait_for("the account", || try_member(server.port, &importer, |_| ()));
    reader.send("SUB news.* 1\r\n");
    reader.expect_pong();
    asked(&mut sys, "$SYS.REQ.CLAIMS.UPDATE", &realm.signed(&exporter));
    let mut writer = wait_for("the account", || try_member(server.port, &exporter, |_| ()));
    writer.send("PUB news.a 1\r\nx\r\n");
    reader.expect("MSG news.a 1 1\r\nx\r\n");
}

/// Two servers of one cluster; the second has what the first was told.
fn servers_tell_each_other(first: Program, second: Program, resolver: &str) {
    let realm = Realm::new();
    let (of_first, of_second) = (empty(&realm, FULL), empty(&realm, resolver));
    let one = Node::start(first, "one", Setup { more: &of_first, ..Setup::default() });
    let mut sys = realm.system_user(one.port);
    let tenant = Tenant::new(|_| ());
    for pushed in [&realm.system, &tenant] {
        let done = asked(&mut sys, "$SYS.REQ.CLAIMS.UPDATE", &realm.signed(pushed));
        assert_eq!(done["data"]["code"], 200, "{first:?}");
    }
    let two = Node::start(second, "two", Setup { routes: &[&one], more: &of_second, ..Setup::default() });
    let mut here = wait_for("the account at the second server", || try_member(two.port, &tenant, |_| ()));
    let mut there = wait_for("the account at the first server", || try_member(one.port, &tenant, |_| ()));
    here.send("SUB a 1\r\n");
    here.expect_pong();
    wait_for("a message across", || {
        there.send("PUB a 1\r\nx\r\n");
        there.expect_pong();
        here.try_message()
    });
}

#[test]
fn a_server_asks_others_for_accounts_that_it_lacks() {
    for (first, second) in PAIRS {
        servers_tell_each_other(first, second, FULL);
        servers_tell_each_other(first, second, "type: cache, timeout: '1s'");
    }
}

#[test]
fn directories_of_servers_become_the_same() {
    for (first, second) in PAIRS {
        let realm = Realm::new();
        let config = empty(&realm, FULL);
        let one = Node::start(first, "one", Setup { more: &config, ..Setup::default() });
        let mut sys = realm.system_user(one.port);
        let tenants = [Tenant::new(|_| ()), Tenant::new(|_| ()), Tenant::new(|_| ())];
        for pushed in tenants.iter().chain([&realm.system]) {
            asked(&mut sys, "$SYS.REQ.CLAIMS.UPDATE", &realm.signed(pushed));
        }
        let two = Node::start(second, "two", Setup { routes: &[&one], more: &config, ..Setup::default() });
        let mut expected: Vec<_> =
            tenants.iter().chain([&realm.system]).map(|tenant| format!("{}.jwt", tenant.key())).collect();
        expected.sort();
        let files = || {
            let entries = std::fs::read_dir(two.dir().join("jwt")).expect("the directory is there");
            let mut names: Vec<_> =
                entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
            names.sort();
            (names == expected).then_some(())
        };
        wait_for("all accounts at the second server", files);
    }
}

#[test]
fn other_resolvers_take_updates_of_accounts_in_use() {
    for program in BOTH {
        let realm = Realm::new();
        let (mut tenant, unused) = (Tenant::new(|_| ()), Tenant::new(|_| ()));
        let server = TestServer::start(program, &format!("resolver: MEMORY\n{}", realm.preload(&[&tenant])));
        let mut sys = realm.system_user(server.port);
        let mut client = try_member(server.port, &tenant, |_| ()).expect("it is preloaded");
        tenant.claims.body.default_permissions.publish = subjects(&["b"], &[]);
        let update = |tenant: &Tenant| format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", tenant.key());
        let done = asked(&mut sys, &update(&tenant), &realm.signed(&tenant));
        assert_eq!(done["data"]["message"], "jwt updated", "{program:?}: {done}");
        wait_for("the new default permissions", || {
            (allowed(&mut client, &[("PUB", "a"), ("PUB", "b")]) == [false, true]).then_some(())
        });
        let skipped = asked(&mut sys, &update(&unused), &realm.signed(&unused));
        assert_eq!(skipped["data"]["message"], "jwt update skipped", "{program:?}: {skipped}");
    }
}
