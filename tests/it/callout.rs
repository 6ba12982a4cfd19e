//! Auth callout: who decides is asked the same by natsd and by nats-server, and its answers mean the same.

use natsd_auth::jwt::{
    AuthorizationRequest, AuthorizationResponse, Claims, ConnectDetails, User, UserLimits, UserScope,
};
use nkeys::{KeyPair, XKey};
use serde_json::{Value, json};

use crate::accounts::message;
use crate::harness::node::{Node, Setup};
use crate::harness::raw::Raw;
use crate::harness::server::{Program, TestServer, wait_for};
use crate::operator::{Realm, Tenant, VIOLATION, allowed, connect_to, seconds, subjects, user};

const BOTH: [Program; 2] = [Program::Natsd, Program::Go];
const SUBJECT: &str = "$SYS.REQ.USER.AUTH";

/// Who decides.
pub struct Decider {
    pub raw: Raw,
    issuer: KeyPair,
    curve: Option<XKey>,
}

/// A question, and where the answer goes.
pub struct Question {
    pub claims: Claims<AuthorizationRequest>,
    reply: String,
    /// The server's, of an encrypted one.
    xkey: Option<XKey>,
}

impl Question {
    fn connect(&self) -> &ConnectDetails {
        &self.claims.body.connect
    }

    /// The user that is asked for.
    pub fn user(&self, change: impl FnOnce(&mut Claims<User>)) -> Claims<User> {
        let mut claims = user(&KeyPair::new_user(), |_| ());
        claims.registered.subject.clone_from(&self.claims.body.user_nkey);
        claims.registered.audience = "APP".to_owned();
        change(&mut claims);
        claims
    }
}

impl Decider {
    pub fn new(raw: Raw, issuer: &KeyPair) -> Self {
        let mut decider = Self { raw, issuer: issuer.clone(), curve: None };
        decider.raw.send(&format!("SUB {SUBJECT} 1\r\n"));
        decider.raw.expect_pong();
        decider
    }

    /// In a server with [`config`].
    pub fn login(port: u16, issuer: &KeyPair) -> Self {
        let mut raw = Raw::connect(port);
        raw.send("CONNECT {\"user\":\"decider\",\"pass\":\"p\",\"verbose\":false,\"headers\":true}\r\n");
        raw.expect_pong();
        Self::new(raw, issuer)
    }

    pub fn asked(&mut self) -> Question {
        let line = self.raw.line();
        let words: Vec<&str> = line.split(' ').collect();
        let reply = words[3].to_owned();
        let len: usize = words[words.len() - 1].parse().expect("a length");
        let header: usize = if words[0] == "HMSG" { words[4].parse().expect("a length") } else { 0 };
        let header = self.raw.take(header);
        let payload = self.raw.take_bytes(len - header.len());
        self.raw.expect("\r\n");
        let theirs = header.lines().find_map(|line| line.strip_prefix("Nats-Server-Xkey: "));
        let xkey = theirs.map(|key| XKey::from_public_key(key.trim()).expect("a key"));
        let token = match (&self.curve, &xkey) {
            (Some(own), Some(theirs)) => own.open(&payload, theirs).expect("it is for us"),
            _ => payload,
        };
        let claims = Claims::decode(std::str::from_utf8(&token).expect("text")).expect("a question");
        Question { claims, reply, xkey }
    }

    fn say(&mut self, question: &Question, answer: &[u8]) {
        self.raw.send(&format!("PUB {} {}\r\n", question.reply, answer.len()));
        self.raw.send_bytes(answer);
        self.raw.send("\r\n");
    }

    fn answer(&mut self, question: &Question, change: impl FnOnce(&mut Claims<AuthorizationResponse>)) -> Vec<u8> {
        let mut answer = Claims::new(question.claims.body.user_nkey.clone(), AuthorizationResponse::default());
        answer.registered.audience.clone_from(&question.claims.body.server.id);
        change(&mut answer);
        let token = answer.encode(&self.issuer, seconds()).expect("accounts sign answers").into_bytes();
        match (&self.curve, &question.xkey) {
            (Some(own), Some(theirs)) => own.seal(&token, theirs).expect("it can be sealed"),
            _ => token,
        }
    }

    pub fn admit(&mut self, question: &Question, change: impl FnOnce(&mut Claims<User>)) {
        let jwt = question.user(change).encode(&self.issuer, seconds()).expect("accounts sign users");
        let answer = self.answer(question, |answer| answer.body.jwt = jwt);
        self.say(question, &answer);
    }

    pub fn refuse(&mut self, question: &Question) {
        let answer = self.answer(question, |answer| answer.body.error = "not you".to_owned());
        self.say(question, &answer);
    }
}

pub fn config(issuer: &KeyPair, more: &str) -> String {
    format!(
        "accounts {{\n\
           AUTH {{ users: [{{ user: decider, password: p }}] }}\n\
           APP {{ users: [{{ user: app, password: p }}] }}\n\
           OWN {{ users: [{{ user: own, password: p }}] }}\n\
         }}\n\
         authorization {{\n\
           timeout: 5\n\
           auth_callout {{ issuer: {}, account: AUTH, auth_users: [decider] {more} }}\n\
         }}\n",
        issuer.public_key()
    )
}

fn client(port: u16, name: &str) -> Raw {
    let mut raw = Raw::connect(port);
    raw.send(&format!(
        "CONNECT {{\"user\":\"{name}\",\"pass\":\"p\",\"name\":\"me\",\"lang\":\"rust\",\"version\":\"7\",\
         \"protocol\":0,\"verbose\":false}}\r\nPING\r\n"
    ));
    raw
}

#[test]
fn who_decides_is_asked_and_obeyed() {
    for program in BOTH {
        let issuer = KeyPair::new_account();
        let server =
            TestServer::start(program, &format!("server_name: north\nserver_tags: [\"a:b\"]\n{}", config(&issuer, "")));
        let mut decider = Decider::login(server.port, &issuer);
        let mut alice = client(server.port, "alice");
        let question = decider.asked();
        assert!(!question.claims.check(seconds()).is_blocking(), "{program:?}");
        let claims = &question.claims;
        assert_eq!(claims.registered.audience, "nats-authorization-request", "{program:?}");
        assert_eq!(claims.registered.subject, issuer.public_key(), "{program:?}");
        assert_eq!(claims.registered.issuer, alice.info["server_id"], "{program:?}");
        assert!((1..=6).contains(&(claims.registered.expires - claims.registered.issued_at)), "{program:?}");
        let asking = &claims.body.server;
        assert_eq!((asking.name.as_str(), asking.version.as_str(), asking.xkey.as_str()), ("north", "2.15.2", ""));
        assert_eq!(asking.tags, ["a:b"], "{program:?}");
        let (asked, said) = (&claims.body.client, question.connect());
        let expected = ("127.0.0.1", "alice", "me", "Client", "nats");
        let kinds = (asked.kind.as_str(), asked.way.as_str());
        assert_eq!((asked.host.as_str(), asked.user.as_str(), asked.name.as_str(), kinds.0, kinds.1), expected);
        assert_eq!(asked.id, alice.info["client_id"].as_u64().expect("a number"), "{program:?}");
        assert_eq!((said.user.as_str(), said.password.as_str(), said.protocol), ("alice", "p", 0), "{program:?}");
        assert_eq!((said.name.as_str(), said.lang.as_str(), said.version.as_str()), ("me", "rust", "7"), "{program:?}");
        decider.admit(&question, |user| user.body.limits.permissions.publish = subjects(&["only.this"], &[]));
        assert_eq!(alice.line(), "PONG", "{program:?}");
        assert_eq!(allowed(&mut alice, &[("PUB", "only.this"), ("PUB", "other")]), [true, false], "{program:?}");

        decider.raw.send("SUB $SYS.ACCOUNT.CLIENT.AUTH.ERR 2\r\n");
        let mut mallory = client(server.port, "mallory");
        let question = decider.asked();
        decider.refuse(&question);
        let event: Value = serde_json::from_str(&message(&mut decider.raw).2).expect("JSON");
        let told = (&event["client"]["acc"], &event["client"]["user"], &event["reason"]);
        let reason = json!("Auth callout service returned an error: not you");
        assert_eq!(told, (&json!("AUTH"), &json!("mallory"), &reason), "{program:?}");
        decider.raw.send("UNSUB 2\r\n");
        assert_eq!(mallory.line(), VIOLATION, "{program:?}");
        // Not even whom the server knows: a user of the configuration.
        let mut app = client(server.port, "app");
        let question = decider.asked();
        assert_eq!(question.connect().user, "app", "{program:?}");
        decider.refuse(&question);
        assert_eq!(app.line(), VIOLATION, "{program:?}");
        assert_eq!(allowed(&mut decider.raw, &[("PUB", SUBJECT), ("PUB", "x")]), [false, true], "{program:?}");
        let mut wrong = Raw::connect(server.port);
        wrong.send("CONNECT {\"user\":\"decider\",\"pass\":\"wrong\",\"verbose\":false}\r\nPING\r\n");
        assert_eq!(wrong.line(), VIOLATION, "{program:?}");
        decider.raw.expect_pong();
    }
}

#[test]
fn answers_that_cannot_be_believed_refuse() {
    for program in BOTH {
        let (issuer, stranger) = (KeyPair::new_account(), KeyPair::new_account());
        // Not as long as the others, as there is one that is not answered.
        let server = TestServer::start(program, &config(&issuer, "").replace("timeout: 5", "timeout: 1"));
        let mut decider = Decider::login(server.port, &issuer);
        let sign = |claims: Claims<User>, pair: &KeyPair| claims.encode(pair, seconds()).expect("accounts sign users");
        type Answer<'a> = &'a dyn Fn(&mut Decider, &Question) -> Vec<u8>;
        let of =
            |decider: &mut Decider, question: &Question, jwt: String| decider.answer(question, |a| a.body.jwt = jwt);
        let answers: [(&str, Answer<'_>); 9] = [
            ("nothing", &|_, _| Vec::new()),
            ("no token", &|_, _| b"yes".to_vec()),
            ("another signer", &|decider, question| {
                let jwt = sign(question.user(|_| ()), &issuer);
                let mut other = Decider { issuer: stranger.clone(), raw: Raw::connect(server.port), curve: None };
                let _ = decider;
                other.answer(question, |answer| answer.body.jwt = jwt)
            }),
            ("another signer of the user", &|decider, question| {
                of(decider, question, sign(question.user(|_| ()), &stranger))
            }),
            ("another user", &|decider, question| {
                let other = question.user(|user| user.registered.subject = KeyPair::new_user().public_key());
                of(decider, question, sign(other, &issuer))
            }),
            ("another server", &|decider, question| {
                let jwt = sign(question.user(|_| ()), &issuer);
                decider.answer(question, |answer| {
                    answer.body.jwt = jwt;
                    answer.registered.audience = KeyPair::new_server().public_key();
                })
            }),
            ("no such account", &|decider, question| {
                let lost = question.user(|user| user.registered.audience = "NONE".to_owned());
                of(decider, question, sign(lost, &issuer))
            }),
            ("another way", &|decider, question| {
                let other = question.user(|user| user.body.limits.connection_types = vec!["WEBSOCKET".to_owned()]);
                of(decider, question, sign(other, &issuer))
            }),
            ("an account that issues", &|decider, question| {
                let other = question.user(|user| user.body.issuer_account = stranger.public_key());
                of(decider, question, sign(other, &issuer))
            }),
        ];
        for (title, answer) in answers {
            let mut alice = client(server.port, "alice");
            let question = decider.asked();
            let answer = answer(&mut decider, &question);
            decider.say(&question, &answer);
            assert_eq!(alice.line(), VIOLATION, "{program:?}: {title}");
        }
        let mut late = client(server.port, "late");
        decider.asked();
        assert_eq!(late.line(), VIOLATION, "{program:?}: no answer");
        drop(decider);
        assert_eq!(client(server.port, "alone").line(), VIOLATION, "{program:?}: nobody there");
    }
}

#[test]
fn questions_and_answers_may_be_encrypted() {
    for program in BOTH {
        let (issuer, curve) = (KeyPair::new_account(), XKey::new());
        let server = TestServer::start(program, &config(&issuer, &format!(", xkey: {}", curve.public_key())));
        let mut decider = Decider { curve: Some(curve), ..Decider::login(server.port, &issuer) };
        let mut alice = client(server.port, "alice");
        let question = decider.asked();
        assert_eq!(question.claims.body.server.xkey, alice.info["xkey"], "{program:?}");
        assert!(question.xkey.is_some(), "{program:?}");
        decider.admit(&question, |_| ());
        assert_eq!(alice.line(), "PONG", "{program:?}");
        let mut bob = client(server.port, "bob");
        let question = Question { xkey: None, ..decider.asked() };
        decider.admit(&question, |_| ());
        assert_eq!(bob.line(), "PONG", "{program:?}: an answer in plain");
        let mut eve = client(server.port, "eve");
        let question = decider.asked();
        let sealed = XKey::new().seal(b"eyJ", question.xkey.as_ref().expect("a key")).expect("it can be sealed");
        decider.say(&question, &sealed);
        assert_eq!(eve.line(), VIOLATION, "{program:?}: sealed by a stranger");
    }
}

#[test]
fn accounts_may_keep_their_own_users() {
    for program in BOTH {
        let issuer = KeyPair::new_account();
        let server = TestServer::start(program, &config(&issuer, ", allowed_accounts: [APP]"));
        let mut decider = Decider::login(server.port, &issuer);
        assert_eq!(client(server.port, "own").line(), "PONG", "{program:?}");
        for name in ["app", "nobody"] {
            let mut asked = client(server.port, name);
            let question = decider.asked();
            assert_eq!(question.connect().user, name, "{program:?}");
            decider.admit(&question, |_| ());
            assert_eq!(asked.line(), "PONG", "{program:?}");
        }
    }
}

#[test]
fn who_was_let_in_goes_when_that_ends_and_stays_at_a_reload() {
    for program in BOTH {
        let issuer = KeyPair::new_account();
        let mut server = TestServer::start(program, &config(&issuer, ""));
        let mut decider = Decider::login(server.port, &issuer);
        let mut short = client(server.port, "short");
        let question = decider.asked();
        decider.admit(&question, |user| user.registered.expires = seconds() + 3);
        assert_eq!(short.line(), "PONG", "{program:?}");
        if program == Program::Natsd {
            let mut stays = client(server.port, "stays");
            let question = decider.asked();
            decider.admit(&question, |user| user.body.limits.permissions.publish = subjects(&["only.this"], &[]));
            assert_eq!(stays.line(), "PONG");
            // nats-server asks again about everybody.
            server.reconfigure(&format!("max_payload: 100\n{}", config(&issuer, "")));
            server.wait_for_line("Reloaded server configuration");
            assert_eq!(allowed(&mut stays, &[("PUB", "only.this"), ("PUB", "other")]), [true, false]);
        }
        let said = wait_for("the end", || Some(short.line()).filter(|line| line.starts_with("-ERR")));
        assert_eq!(said, "-ERR 'User Authentication Expired'", "{program:?}");
    }
}

#[test]
fn who_decides_may_be_at_another_server() {
    for (first, second) in
        [(Program::Natsd, Program::Natsd), (Program::Natsd, Program::Go), (Program::Go, Program::Natsd)]
    {
        let issuer = KeyPair::new_account();
        let config = config(&issuer, "");
        let one = Node::start(first, "one", Setup { more: &config, ..Setup::default() });
        let two = Node::start(second, "two", Setup { routes: &[&one], more: &config, ..Setup::default() });
        let mut decider = Decider::login(one.port, &issuer);
        // Until the servers know each other, nobody is asked.
        let mut names = (0..).map(|n| format!("alice{n}"));
        let mut alice = wait_for("a question from the other server", || {
            let name = names.next().expect("endless");
            let alice = client(two.port, &name);
            while decider.raw.has_line() {
                let question = decider.asked();
                decider.admit(&question, |_| ());
                if question.connect().user == name {
                    return Some(alice);
                }
            }
            None
        });
        assert_eq!(alice.line(), "PONG", "{first:?} {second:?}");
    }
}

#[test]
fn accounts_of_operators_may_have_others_decide() {
    for program in BOTH {
        let realm = Realm::new();
        let (decider_pair, scope) = (KeyPair::new_user(), KeyPair::new_account());
        let elsewhere = Tenant::new(|claims| {
            let mut role = UserScope::new("role");
            role.template.permissions.publish = subjects(&["scoped"], &[]);
            claims.body.signing_keys.0.insert(scope.public_key(), Some(role));
        });
        let forbidden = Tenant::new(|_| ());
        let auth = Tenant::new(|claims| {
            claims.body.authorization.auth_users = vec![decider_pair.public_key()];
            claims.body.authorization.allowed_accounts = vec![elsewhere.key()];
        });
        let all = realm.preload(&[&auth, &elsewhere, &forbidden]);
        let server = TestServer::start(program, &format!("resolver: MEMORY\n{all}"));
        let token = user(&decider_pair, |_| ()).encode(&auth.pair, seconds()).expect("accounts sign users");
        let (mut raw, ..) = connect_to(server.port, &token, Some(&decider_pair));
        assert_eq!(raw.line(), "PONG", "{program:?}");
        let mut decider = Decider::new(raw, &auth.pair);
        let bearer = user(&KeyPair::new_user(), |claims| {
            claims.body.limits.bearer = true;
            claims.body.limits.permissions.publish = subjects(&[], &[">"]);
        });
        let bearer = bearer.encode(&auth.pair, seconds()).expect("accounts sign users");
        let comes = || connect_to(server.port, &bearer, None).0;

        let mut stays = comes();
        let question = decider.asked();
        assert_eq!(question.claims.registered.subject, auth.key(), "{program:?}");
        assert_eq!(question.connect().jwt, bearer, "{program:?}");
        decider.admit(&question, |user| user.registered.audience.clear());
        assert_eq!(stays.line(), "PONG", "{program:?}");
        assert_eq!(allowed(&mut stays, &[("PUB", "x"), ("PUB", SUBJECT)]), [true, false], "{program:?}");

        for (tenant, signer, welcome) in [(&elsewhere, &elsewhere.pair, true), (&forbidden, &forbidden.pair, false)] {
            let mut moves = comes();
            let question = decider.asked();
            let jwt = question.user(|user| user.registered.audience.clear());
            let jwt = jwt.encode(signer, seconds()).expect("accounts sign users");
            let answer = decider.answer(&question, |answer| answer.body.jwt = jwt);
            decider.say(&question, &answer);
            assert_eq!(moves.line() == "PONG", welcome, "{program:?}: {}", tenant.key());
        }
        let mut scoped = comes();
        let question = decider.asked();
        let jwt = question.user(|user| {
            user.registered.audience.clear();
            user.body = User { limits: UserLimits::default(), issuer_account: elsewhere.key() };
        });
        let jwt = jwt.encode(&scope, seconds()).expect("accounts sign users");
        let answer = decider.answer(&question, |answer| answer.body.jwt = jwt);
        decider.say(&question, &answer);
        assert_eq!(scoped.line(), "PONG", "{program:?}");
        assert_eq!(allowed(&mut scoped, &[("PUB", "scoped"), ("PUB", "x")]), [true, false], "{program:?}");
    }
}
