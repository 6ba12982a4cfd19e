use nkeys::KeyPair;

use super::*;
use crate::ConnectionType;
use crate::jwt::{Account, Attempt, Claims, ExternalAuthorization, NatsLimits, Refusal, User, UserLimits, Zones};

const NOW: i64 = 1_795_276_800;

struct Nowhere;

impl Zones for Nowhere {
    fn offset(&self, _: &str, _: i64) -> Option<i32> {
        None
    }
}

/// A server that asks, and who answers.
struct Desk {
    server: KeyPair,
    decider: KeyPair,
    user: KeyPair,
}

impl Desk {
    fn new() -> Self {
        Self { server: KeyPair::new_server(), decider: KeyPair::new_account(), user: KeyPair::new_user() }
    }

    fn user(&self, change: impl FnOnce(&mut Claims<User>)) -> String {
        let limits = UserLimits { nats: NatsLimits::UNLIMITED, ..UserLimits::default() };
        let mut user = Claims::new(self.user.public_key(), User { limits, issuer_account: String::new() });
        user.registered.audience = "APP".to_owned();
        change(&mut user);
        user.encode(&self.decider, NOW).unwrap()
    }

    fn answer(&self, jwt: String, change: impl FnOnce(&mut Claims<AuthorizationResponse>)) -> String {
        let body = AuthorizationResponse { jwt, ..AuthorizationResponse::default() };
        let mut answer = Claims::new(self.user.public_key(), body);
        answer.registered.audience = self.server.public_key();
        change(&mut answer);
        answer.encode(&self.decider, NOW).unwrap()
    }

    fn read(&self, answer: &str, signer: Option<Signer<'_>>) -> Result<Claims<User>, AnswerError> {
        let (user, server) = (self.user.public_key(), self.server.public_key());
        read_answer(answer, &Expected { user: &user, server: &server, signer }, NOW)
    }

    /// What comes of an answer by the configured key.
    fn told(&self, answer: &str) -> Result<Claims<User>, AnswerError> {
        self.read(answer, Some(Signer::Key(&self.decider.public_key())))
    }
}

#[test]
fn an_answer_is_for_this_question_and_by_whom_was_asked() {
    let desk = Desk::new();
    assert_eq!(desk.told(""), Err(AnswerError::Empty));
    assert!(matches!(desk.told("x.y"), Err(AnswerError::Token(_))));
    let good = desk.answer(desk.user(|_| ()), |_| ());
    assert_eq!(desk.told(&good).unwrap().registered.audience, "APP");

    let other = |change: &dyn Fn(&mut Claims<AuthorizationResponse>)| {
        desk.told(&desk.answer(desk.user(|_| ()), change)).unwrap_err()
    };
    let stranger = KeyPair::new_user().public_key();
    assert_eq!(other(&|claims| claims.registered.subject.clone_from(&stranger)), AnswerError::OtherUser);
    let server = KeyPair::new_server().public_key();
    assert_eq!(other(&|claims| claims.registered.audience.clone_from(&server)), AnswerError::OtherServer);
    assert!(matches!(other(&|claims| claims.registered.audience.clear()), AnswerError::Invalid(_)));
    assert!(matches!(other(&|claims| claims.registered.expires = NOW - 1), AnswerError::Invalid(_)));
    let refused = desk.answer(String::new(), |claims| claims.body.error = "not you".to_owned());
    assert_eq!(desk.told(&refused), Err(AnswerError::Refused("not you".to_owned())));

    let elsewhere = Desk { user: KeyPair::new_user(), ..Desk::new() };
    let of_another = desk.answer(elsewhere.user(|_| ()), |_| ());
    assert!(matches!(desk.told(&of_another), Err(AnswerError::NotTheUser { .. })));
    let expired = desk.answer(desk.user(|user| user.registered.expires = NOW - 1), |_| ());
    assert!(matches!(desk.told(&expired), Err(AnswerError::InvalidUser(_))));
}

#[test]
fn only_who_was_asked_signs_unless_it_is_encrypted() {
    let desk = Desk::new();
    let (own, other) = (desk.decider.public_key(), KeyPair::new_account().public_key());
    let answer = desk.answer(desk.user(|_| ()), |_| ());
    assert_eq!(desk.read(&answer, Some(Signer::Key(&other))), Err(AnswerError::UnknownSigner));
    assert!(desk.read(&answer, None).is_ok());
    let mut account = Claims::new(other.clone(), Account::unlimited());
    assert_eq!(desk.read(&answer, Some(Signer::Account(&account))), Err(AnswerError::UnknownSigner));
    account.body.signing_keys.0.insert(own.clone(), None);
    assert!(desk.read(&answer, Some(Signer::Account(&account))).is_ok());
    let on_behalf = desk.answer(desk.user(|_| ()), |claims| claims.body.issuer_account.clone_from(&own));
    assert_eq!(desk.read(&on_behalf, Some(Signer::Account(&account))), Err(AnswerError::OtherAccount(own)));
}

#[test]
fn a_decision_says_the_account_and_what_the_user_may() {
    let desk = Desk::new();
    let attempt = Attempt {
        signature: "",
        nonce: "",
        way: ConnectionType::Standard,
        host: Some([10, 1, 2, 3].into()),
        by_proxy: false,
        pinned: None,
        now: std::time::Duration::from_secs(NOW.unsigned_abs()),
        zones: &Nowhere,
    };
    let issuer = desk.decider.public_key();
    let decided = |change: &dyn Fn(&mut Claims<User>)| {
        let user = Claims::decode(&desk.user(change)).unwrap();
        decide(&user, &issuer, &attempt)
    };
    let decision = decided(&|user| {
        user.registered.name = "alice".to_owned();
        user.registered.expires = NOW + 60;
        user.body.limits.permissions.publish.allow = vec!["only.this".to_owned()];
    })
    .unwrap();
    assert_eq!((decision.name.as_str(), &*decision.user.account), ("alice", "APP"));
    assert_eq!(decision.ends.map(|ends| ends.as_secs()), Some(NOW.unsigned_abs() + 60));
    let permissions = decision.user.permissions.unwrap();
    assert!(permissions.may_publish(b"only.this") && !permissions.may_publish(b"other"));

    let refused = |change: &dyn Fn(&mut Claims<User>)| decided(change).unwrap_err();
    let account = refused(&|user| user.body.issuer_account = KeyPair::new_account().public_key());
    assert_eq!(account, AnswerError::IssuerAccount);
    let proxy = refused(&|user| user.body.limits.proxy_required = true);
    assert_eq!(proxy, AnswerError::User(Refusal::ProxyRequired));
    let way = refused(&|user| user.body.limits.connection_types = vec!["WEBSOCKET".to_owned()]);
    assert_eq!(way, AnswerError::User(Refusal::ConnectionType));
    let source = refused(&|user| user.body.limits.src = vec!["192.168.0.0/16".to_owned()]);
    assert!(matches!(source, AnswerError::User(Refusal::Source(_))));
    let stranger = Desk::new().decider.public_key();
    let user = Claims::decode(&desk.user(|_| ())).unwrap();
    assert!(matches!(decide(&user, &stranger, &attempt), Err(AnswerError::WrongIssuer { .. })));
}

#[test]
fn an_account_says_on_whom_and_for_which_accounts_others_decide() {
    let mut rules = ExternalAuthorization::default();
    assert!(!rules.decides_on("U"));
    rules.auth_users = vec!["D".to_owned()];
    assert!(rules.decides_on("U") && !rules.decides_on("D"));
    assert!(rules.check_placement("A", "A").is_ok());
    assert_eq!(rules.check_placement("A", "B"), Err(AnswerError::NotAllowed("B".to_owned())));
    rules.allowed_accounts = vec!["B".to_owned()];
    assert!(rules.check_placement("A", "B").is_ok() && rules.check_placement("A", "C").is_err());
    rules.allowed_accounts = vec!["*".to_owned()];
    assert!(rules.check_placement("A", "C").is_ok());
}
