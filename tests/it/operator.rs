//! The tokens of operator mode, as nats-server takes them: what we write it reads, whom we admit it admits.

use std::time::{Duration, SystemTime};

use data_encoding::BASE64URL_NOPAD;
use natsd::accounts_store::{Policy, Store};
use natsd::config::options::Delete;
use natsd::zones::SystemZones;
use natsd_auth::jwt::{
    Account, Admission, Attempt, AuthorizationRequest, AuthorizationResponse, Claims, NatsLimits, Operator,
    PermissionClaims, SubjectClaims, TimeRange, Trust, User, UserLimits, UserScope, admit, user_of,
};
use natsd_auth::{ConnectionType, Permissions};
use nkeys::KeyPair;

use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer};

pub const VIOLATION: &str = "-ERR 'Authorization Violation'";

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock after 1970")
}

pub fn seconds() -> i64 {
    i64::try_from(since_1970().as_secs()).expect("before the end of time")
}

/// An account and who signs for it.
pub struct Tenant {
    pub pair: KeyPair,
    pub claims: Claims<Account>,
}

impl Tenant {
    pub fn new(change: impl FnOnce(&mut Claims<Account>)) -> Self {
        let pair = KeyPair::new_account();
        let mut claims = Claims::new(pair.public_key(), Account::unlimited());
        change(&mut claims);
        Self { pair, claims }
    }

    pub fn key(&self) -> String {
        self.pair.public_key()
    }
}

/// An operator whose accounts a server knows.
pub struct Realm {
    pub operator: KeyPair,
    pub token: String,
    pub system: Tenant,
}

impl Realm {
    pub fn new() -> Self {
        let (operator, system) = (KeyPair::new_operator(), Tenant::new(|_| ()));
        let body = Operator { system_account: system.key(), ..Operator::default() };
        let mut claims = Claims::new(operator.public_key(), body);
        claims.registered.name = "O".to_owned();
        let token = claims.encode(&operator, seconds()).expect("an operator signs itself");
        Self { operator, token, system }
    }

    fn trust(&self) -> Trust {
        Trust::new(&[Claims::decode(&self.token).expect("an operator")], &[]).expect("keys of operators")
    }

    pub fn signed(&self, tenant: &Tenant) -> String {
        tenant.claims.encode(&self.operator, seconds()).expect("operators sign accounts")
    }

    pub fn preload(&self, tenants: &[&Tenant]) -> String {
        let all = tenants.iter().copied().chain([&self.system]);
        let lines: Vec<_> = all.map(|tenant| format!("{}: {}", tenant.key(), self.signed(tenant))).collect();
        format!("operator: {}\nresolver_preload {{\n{}\n}}\n", self.token, lines.join("\n"))
    }

    pub fn user_of_system(&self) -> (KeyPair, String) {
        let pair = KeyPair::new_user();
        let token = user(&pair, |_| ()).encode(&self.system.pair, seconds()).expect("accounts sign users");
        (pair, token)
    }
}

pub fn user(pair: &KeyPair, change: impl FnOnce(&mut Claims<User>)) -> Claims<User> {
    let limits = UserLimits { nats: NatsLimits::UNLIMITED, ..UserLimits::default() };
    let mut claims = Claims::new(pair.public_key(), User { limits, issuer_account: String::new() });
    change(&mut claims);
    claims
}

/// Connects with a token; `signer` signs the nonce, if anybody does.
pub fn connect(server: &TestServer, token: &str, signer: Option<&KeyPair>) -> (Raw, String, String) {
    connect_to(server.port, token, signer)
}

pub fn connect_to(port: u16, token: &str, signer: Option<&KeyPair>) -> (Raw, String, String) {
    let mut client = Raw::connect(port);
    let nonce = client.info["nonce"].as_str().expect("a nonce").to_owned();
    let sign = |pair: &KeyPair| BASE64URL_NOPAD.encode(&pair.sign(nonce.as_bytes()).expect("a pair signs"));
    let signature = signer.map(sign).unwrap_or_default();
    client.send(&format!("CONNECT {{\"jwt\":\"{token}\",\"sig\":\"{signature}\",\"verbose\":false}}\r\nPING\r\n"));
    (client, nonce, signature)
}

/// A user of `tenant`, if that gets in.
pub fn try_member(port: u16, tenant: &Tenant, change: impl FnOnce(&mut Claims<User>)) -> Option<Raw> {
    let pair = KeyPair::new_user();
    let token = user(&pair, change).encode(&tenant.pair, seconds() - 5).expect("accounts sign users");
    let (mut client, ..) = connect_to(port, &token, Some(&pair));
    match client.line().as_str() {
        "PONG" => Some(client),
        VIOLATION => None,
        other => panic!("{other}"),
    }
}

/// What we make of the same.
fn judged(trust: &Trust, account: &str, token: &str, nonce: &str, signature: &str) -> Result<Admission, String> {
    let user = user_of(token, seconds()).map_err(|refusal| refusal.to_string())?;
    let account = trust.account(account, user.account(), seconds()).map_err(|error| error.to_string())?;
    let attempt = Attempt {
        signature,
        nonce,
        way: ConnectionType::Standard,
        host: Some([127, 0, 0, 1].into()),
        by_proxy: false,
        pinned: None,
        now: since_1970(),
        zones: &SystemZones,
    };
    admit(&user, &account, trust, &attempt).map_err(|refusal| refusal.to_string())
}

/// Somebody who connects.
struct Visitor<'a> {
    title: &'static str,
    tenant: &'a Tenant,
    token: String,
    signer: Option<KeyPair>,
    welcome: bool,
}

/// A user signed by `by`, who may have changed its claims.
fn visitor<'a>(
    title: &'static str,
    tenant: &'a Tenant,
    by: &KeyPair,
    welcome: bool,
    change: impl FnOnce(&mut Claims<User>),
) -> Visitor<'a> {
    let pair = KeyPair::new_user();
    let token = user(&pair, change).encode(by, seconds() - 10).expect("accounts sign users");
    Visitor { title, tenant, token, signer: Some(pair), welcome }
}

/// An hour of the day, so many from now, in UTC.
fn hour(from_now: i64) -> String {
    format!("{:02}:00:00", (seconds() / 3600 + from_now).rem_euclid(24))
}

fn range(start: String, end: String) -> TimeRange {
    TimeRange { start, end }
}

#[test]
fn whom_we_admit_nats_server_admits() {
    let realm = Realm::new();
    let signer = KeyPair::new_account();
    let plain = Tenant::new(|claims| drop(claims.body.signing_keys.0.insert(signer.public_key(), None)));
    let severe = Tenant::new(|claims| {
        claims.body.limits.account.disallow_bearer = true;
        claims.body.revocations.insert("*".to_owned(), seconds());
    });
    let expired = Tenant::new(|claims| claims.registered.expires = seconds() - 1);
    let stranger = KeyPair::new_account();
    let by = &plain.pair;
    let of_plain = |claims: &mut Claims<User>| claims.body.issuer_account = plain.key();
    let mut visitors = vec![
        visitor("a user", &plain, by, true, |_| ()),
        visitor("a user by a signing key", &plain, &signer, true, of_plain),
        visitor("a user by a stranger", &plain, &stranger, false, of_plain),
        visitor("a user by a signing key that does not say whose", &plain, &signer, false, |_| ()),
        visitor("a user who was revoked", &severe, &severe.pair, false, |_| ()),
        visitor("a user of an expired account", &expired, &expired.pair, false, |_| ()),
        visitor("expired", &plain, by, false, |claims| claims.registered.expires = seconds() - 1),
        visitor("not yet", &plain, by, false, |claims| claims.registered.not_before = seconds() + 1000),
        visitor("from here", &plain, by, true, |claims| claims.body.limits.src = vec!["127.0.0.0/8".to_owned()]),
        visitor("from elsewhere", &plain, by, false, |claims| claims.body.limits.src = vec!["10.0.0.0/8".to_owned()]),
        visitor("now", &plain, by, true, |claims| {
            claims.body.limits.times = vec![range(hour(-3), hour(3))];
            claims.body.limits.location = "UTC".to_owned();
        }),
        visitor("at another time", &plain, by, false, |claims| {
            claims.body.limits.times = vec![range(hour(5), hour(7))];
            claims.body.limits.location = "UTC".to_owned();
        }),
        visitor("nowhere", &plain, by, false, |claims| claims.body.limits.location = "No/Where".to_owned()),
        visitor("this way", &plain, by, true, |claims| {
            claims.body.limits.connection_types = vec!["standard".to_owned(), "ODD".to_owned()];
        }),
        visitor("another way", &plain, by, false, |claims| {
            claims.body.limits.connection_types = vec!["WEBSOCKET".to_owned()];
        }),
        visitor("no way", &plain, by, false, |claims| claims.body.limits.connection_types = vec!["ODD".to_owned()]),
        visitor("by proxy", &plain, by, false, |claims| claims.body.limits.proxy_required = true),
        visitor("a rule that is none", &plain, by, false, |claims| {
            claims.body.limits.permissions.publish.allow = vec!["a..b".to_owned()];
        }),
        Visitor { signer: None, ..visitor("a bearer", &plain, by, true, |claims| claims.body.limits.bearer = true) },
        Visitor { signer: None, ..visitor("no bearer", &plain, by, false, |_| ()) },
        Visitor { signer: Some(KeyPair::new_user()), ..visitor("a thief", &plain, by, false, |_| ()) },
        Visitor { token: realm.signed(&plain), ..visitor("an account", &plain, by, false, |_| ()) },
        Visitor { token: String::new(), ..visitor("nobody", &plain, by, false, |_| ()) },
    ];
    let token = visitors[0].token.clone();
    visitors.push(Visitor { token: token.replace(".eyJ", ".eyI"), ..visitor("a forger", &plain, by, false, |_| ()) });

    let config = format!("resolver: MEMORY\n{}", realm.preload(&[&plain, &severe, &expired]));
    for program in [Program::Natsd, Program::Go] {
        let server = TestServer::start(program, &config);
        for Visitor { title, tenant, token, signer, welcome } in &visitors {
            let (mut client, nonce, signature) = connect(&server, token, signer.as_ref());
            let answer = client.line();
            assert_eq!(answer, if *welcome { "PONG" } else { VIOLATION }, "{title}, {program:?}");
            let judged = judged(&realm.trust(), &realm.signed(tenant), token, &nonce, &signature);
            assert_eq!(judged.is_ok(), *welcome, "{title}: {judged:?}");
        }
    }
}

/// Whether the server lets the client do each of these.
pub fn allowed(client: &mut Raw, actions: &[(&str, &str)]) -> Vec<bool> {
    let act = |(n, (verb, subject)): (usize, &(&str, &str))| {
        client.send(&match *verb {
            "PUB" => format!("PUB {subject} 0\r\n\r\nPING\r\n"),
            _ => format!("SUB {subject} {n}\r\nPING\r\n"),
        });
        let answer = client.line();
        if answer == "PONG" {
            return true;
        }
        assert!(answer.starts_with("-ERR 'Permissions Violation for "), "{answer}");
        assert_eq!(client.line(), "PONG");
        false
    };
    actions.iter().enumerate().map(act).collect()
}

fn allowed_by(permissions: Option<&Permissions>, actions: &[(&str, &str)]) -> Vec<bool> {
    let may = |(verb, subject): &(&str, &str)| {
        permissions.is_none_or(|permissions| match (*verb, subject.split_once(' ')) {
            ("PUB", _) => permissions.may_publish(subject.as_bytes()),
            (_, Some((subject, queue))) => permissions.may_subscribe(subject.as_bytes(), Some(queue.as_bytes())),
            (_, None) => permissions.may_subscribe(subject.as_bytes(), None),
        })
    };
    actions.iter().map(may).collect()
}

pub fn subjects(allow: &[&str], deny: &[&str]) -> SubjectClaims {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    SubjectClaims { allow: owned(allow), deny: owned(deny) }
}

#[test]
fn templates_give_what_nats_server_gives() {
    let templates = [
        (subjects(&["u.{{name()}}.>"], &["u.{{ Name() }}.x"]), subjects(&["in.{{tag(team)}}.*", "q work"], &[])),
        (subjects(&["t.{{tag(team)}}.{{account-tag(site)}}"], &[]), subjects(&["a.{{account-name()}}"], &[])),
        (subjects(&["{{tag(none)}}.x"], &[]), subjects(&["{{tag(none)}}.x", "y"], &[])),
        (subjects(&[], &["{{tag(team)}}"]), subjects(&["q work", "r wo*"], &["q"])),
        (subjects(&[], &["{{tag(none)}}"]), SubjectClaims::default()),
        (subjects(&["{{odd()}}"], &[]), SubjectClaims::default()),
        (subjects(&["{{{name()}}}"], &[]), SubjectClaims::default()),
        (subjects(&["x.{{tag(wide)}}", "{{TAG(team)}}"], &[]), subjects(&["{{account-subject()}}", "{{}}"], &[])),
    ];
    let actions = [
        ("PUB", "u.alice.y"),
        ("PUB", "u.alice.x"),
        ("PUB", "u.bob.y"),
        ("SUB", "in.red.a"),
        ("SUB", "in.blue.*"),
        ("SUB", "in.green.a"),
        ("SUB", "q work"),
        ("SUB", "q"),
        ("SUB", "q rest"),
        ("PUB", "t.red.z"),
        ("PUB", "t.blue.b"),
        ("PUB", "t.red.red"),
        ("SUB", "a.Acme"),
        ("SUB", "a.x"),
        ("SUB", "y"),
        ("PUB", "red"),
        ("PUB", "green"),
        ("PUB", "x.any.thing"),
        ("SUB", "r work"),
        ("SUB", "{{}}"),
        ("PUB", "{name()}"),
        ("PUB", "{alice}"),
    ];
    let realm = Realm::new();
    let signers: Vec<_> = templates.iter().map(|_| KeyPair::new_account()).collect();
    let tenant = Tenant::new(|claims| {
        claims.registered.name = "Acme".to_owned();
        claims.tags = vec!["site:z".to_owned(), "site:b".to_owned()];
        for (signer, (publish, subscribe)) in signers.iter().zip(&templates) {
            let mut scope = UserScope::new("role");
            let (publish, subscribe) = (publish.clone(), subscribe.clone());
            scope.template.permissions = PermissionClaims { publish, subscribe, responses: None };
            claims.body.signing_keys.0.insert(signer.public_key(), Some(scope));
        }
        claims.body.default_permissions.publish = subjects(&["u.>"], &[]);
    });
    let server = TestServer::start(Program::Go, &format!("resolver: MEMORY\n{}", realm.preload(&[&tenant])));
    let trust = realm.trust();
    let mut admitted = 0;
    for (signer, template) in signers.iter().zip(&templates) {
        let pair = KeyPair::new_user();
        let token = user(&pair, |claims| {
            claims.body = User { limits: UserLimits::default(), issuer_account: tenant.key() };
            claims.registered.name = "alice".to_owned();
            claims.tags = ["team:red", "team:blue", "wide:>"].map(str::to_owned).to_vec();
        });
        let token = token.encode(signer, seconds()).expect("accounts sign users");
        let (mut client, nonce, signature) = connect(&server, &token, Some(&pair));
        match judged(&trust, &realm.signed(&tenant), &token, &nonce, &signature) {
            Err(refusal) => assert_eq!(client.line(), VIOLATION, "{template:?}: {refusal}"),
            Ok(admission) => {
                admitted += 1;
                assert_eq!(client.line(), "PONG", "{template:?}");
                let ours = allowed_by(admission.user.permissions.as_deref(), &actions);
                assert_eq!(allowed(&mut client, &actions), ours, "{template:?}: {actions:?}");
            }
        }
    }
    assert_eq!(admitted, 5, "the others name what there is not");
    let pair = KeyPair::new_user();
    let token = user(&pair, |_| ()).encode(&tenant.pair, seconds()).expect("accounts sign users");
    let (mut client, nonce, signature) = connect(&server, &token, Some(&pair));
    assert_eq!(client.line(), "PONG");
    let admission = judged(&trust, &realm.signed(&tenant), &token, &nonce, &signature).expect("it is admitted");
    assert!(admission.default_permissions);
    let ours = allowed_by(admission.user.permissions.as_deref(), &actions);
    assert_eq!(allowed(&mut client, &actions), ours, "by default");
}

/// The next message, its payload a text without line breaks.
fn message(client: &mut Raw) -> String {
    let line = client.line();
    assert!(line.starts_with("MSG "), "{line}");
    client.line()
}

/// Asks the servers, by the system account.
fn ask(client: &mut Raw, subject: &str, payload: &[u8]) -> String {
    publish(client, subject, payload);
    message(client)
}

fn publish(client: &mut Raw, subject: &str, payload: &[u8]) {
    client.send(&format!("PUB {subject} answers {}\r\n", payload.len()));
    client.send_bytes(payload);
    client.send("\r\n");
}

/// What comes until an empty message.
fn pack(client: &mut Raw, hash: [u8; 32]) -> Vec<String> {
    publish(client, "$SYS.REQ.CLAIMS.PACK", &hash);
    let mut lines = Vec::new();
    loop {
        match message(client) {
            end if end.is_empty() => return lines,
            line => lines.push(line),
        }
    }
}

const FULL: Policy = Policy { sharded: false, limit: None, evict: false, ttl: None, delete: Delete::Rename };

#[test]
fn directories_are_the_same_to_both() {
    let realm = Realm::new();
    let (first, second) = (Tenant::new(|_| ()), Tenant::new(|_| ()));
    let config = "resolver { type: full, dir: '{dir}/jwt', allow_delete: true }\n";
    let server = TestServer::start(Program::Go, &format!("{config}{}", realm.preload(&[&first])));
    let (pair, token) = realm.user_of_system();
    let (mut client, ..) = connect(&server, &token, Some(&pair));
    assert_eq!(client.line(), "PONG");
    client.send("SUB answers 1\r\n");
    let answer = ask(&mut client, "$SYS.REQ.CLAIMS.UPDATE", realm.signed(&second).as_bytes());
    assert!(answer.contains("\"code\":200"), "{answer}");

    let now = SystemTime::now();
    let theirs = Store::open(server.dir().join("jwt"), FULL, now).expect("a directory");
    assert_eq!(theirs.keys().count(), 3);
    assert_eq!(pack(&mut client, theirs.hash()), Vec::<String>::new(), "the hash is the same");
    let own = tempfile::tempdir().expect("a temporary directory");
    let mut ours = Store::open(own.path(), FULL, now).expect("a directory");
    for line in pack(&mut client, ours.hash()) {
        ours.merge(&line, now).expect("it is an account");
    }
    assert_eq!(ours.hash(), theirs.hash());

    let file = |key: &str| std::fs::read_to_string(server.dir().join("jwt").join(format!("{key}.jwt")));
    for key in [first.key(), second.key(), realm.system.key()] {
        assert_eq!(ours.load(&key, now).expect("it is there"), file(&key).ok());
    }

    // What we wrote, it serves.
    let third = Tenant::new(|_| ());
    ours.save(&third.key(), &realm.signed(&third), now).expect("there is room");
    let config = format!("resolver {{ type: full, dir: '{}', allow_delete: true }}\n", own.path().display());
    let server = TestServer::start(Program::Go, &format!("{config}operator: {}\n", realm.token));
    let pair = KeyPair::new_user();
    let token = user(&pair, |_| ()).encode(&third.pair, seconds()).expect("accounts sign users");
    let (mut client, ..) = connect(&server, &token, Some(&pair));
    assert_eq!(client.line(), "PONG");
}

#[test]
fn nats_server_asks_and_takes_our_answers() {
    let (issuer, pair) = (KeyPair::new_account(), KeyPair::new_user());
    let config = format!(
        "accounts {{ AUTH {{ users: [{{user: decider, password: p}}] }}, APP {{}} }}\n\
         authorization {{ auth_callout {{ issuer: {}, account: AUTH, auth_users: [decider] }} }}",
        issuer.public_key()
    );
    let server = TestServer::start(Program::Go, &config);
    let mut decider = server.connect();
    decider.send("CONNECT {\"user\":\"decider\",\"pass\":\"p\",\"verbose\":false}\r\nSUB $SYS.REQ.USER.AUTH 1\r\n");
    decider.expect_pong();
    for (name, welcome) in [("alice", true), ("mallory", false)] {
        let mut client = server.connect();
        client.send(&format!("CONNECT {{\"user\":\"{name}\",\"pass\":\"secret\",\"verbose\":false}}\r\nPING\r\n"));
        let line = decider.line();
        let reply = line.split(' ').nth(3).expect("a reply subject").to_owned();
        let request = Claims::<AuthorizationRequest>::decode(&decider.line()).expect("a request");
        assert!(!request.check(seconds()).is_blocking(), "{:?}", request.check(seconds()));
        assert_eq!((request.body.connect.user.as_str(), request.body.connect.password.as_str()), (name, "secret"));
        assert_eq!(request.body.client.host, "127.0.0.1");
        let mut body = AuthorizationResponse::default();
        if welcome {
            let mut token = user(&pair, |claims| claims.registered.audience = "APP".to_owned());
            token.registered.subject = request.body.user_nkey.clone();
            token.body.limits.permissions.publish = subjects(&["only.this"], &[]);
            body.jwt = token.encode(&issuer, seconds()).expect("accounts sign users");
        } else {
            body.error = "not you".to_owned();
        }
        let mut response = Claims::new(request.body.user_nkey.clone(), body);
        response.registered.audience = request.body.server.id.clone();
        let response = response.encode(&issuer, seconds()).expect("accounts sign answers");
        decider.send(&format!("PUB {reply} {}\r\n{response}\r\n", response.len()));
        assert_eq!(client.line(), if welcome { "PONG" } else { VIOLATION });
        if welcome {
            assert_eq!(allowed(&mut client, &[("PUB", "only.this"), ("PUB", "other")]), [true, false]);
        }
    }
}
