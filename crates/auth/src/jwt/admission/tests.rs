use std::collections::HashSet;

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;

use super::*;
use crate::jwt::{Operator, PermissionClaims, ResponseClaims, SubjectClaims, TimeRange, UserScope};

const NOW: i64 = 1_795_276_800;

struct Utc;

impl Zones for Utc {
    fn offset(&self, location: &str, _: i64) -> Option<i32> {
        ["", "UTC"].contains(&location).then_some(0)
    }
}

/// An operator, an account of it and a user of that.
struct World {
    operator: KeyPair,
    key: KeyPair,
    user_key: KeyPair,
    account: Claims<Account>,
    user: Claims<User>,
}

const NONCE: &str = "nonce";

impl World {
    fn new() -> Self {
        let (operator, key, user_key) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
        let limits = UserLimits { nats: NatsLimits::UNLIMITED, ..UserLimits::default() };
        let account = Claims::new(key.public_key(), Account::unlimited());
        let user = Claims::new(user_key.public_key(), User { limits, issuer_account: String::new() });
        Self { operator, key, user_key, account, user }
    }

    /// Its user is signed by a key of the account with this template.
    fn scoped(template: UserLimits) -> (Self, KeyPair) {
        let mut world = Self::new();
        let signer = KeyPair::new_account();
        let scope = UserScope { template, ..UserScope::new("role") };
        world.account.body.signing_keys.0.insert(signer.public_key(), Some(scope));
        world.user.body = User { limits: UserLimits::default(), issuer_account: world.key.public_key() };
        world.user.registered.name = "alice".to_owned();
        (world, signer)
    }

    fn trust(&self) -> Trust {
        Trust::new(&[], &[self.operator.public_key()]).unwrap()
    }

    fn admitted_by(&self, signer: &KeyPair, change: impl FnOnce(&mut Attempt<'_>)) -> Result<Admission, Refusal> {
        let account = self.account.encode(&self.operator, NOW).unwrap();
        let account = self.trust().account(&account, &self.key.public_key(), NOW).unwrap();
        let user = user_of(&self.user.encode(signer, NOW - 10).unwrap(), NOW)?;
        let signature = BASE64URL_NOPAD.encode(&self.user_key.sign(NONCE.as_bytes()).unwrap());
        let mut attempt = Attempt {
            signature: &signature,
            nonce: NONCE,
            way: ConnectionType::Standard,
            host: Some([10, 1, 2, 3].into()),
            by_proxy: false,
            pinned: None,
            now: Duration::from_secs(NOW.unsigned_abs()),
            zones: &Utc,
        };
        change(&mut attempt);
        admit(&user, &account, &self.trust(), &attempt)
    }

    fn admitted(&self) -> Result<Admission, Refusal> {
        self.admitted_by(&self.key, |_| {})
    }
}

fn subjects(allow: &[&str], deny: &[&str]) -> SubjectClaims {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    SubjectClaims { allow: owned(allow), deny: owned(deny) }
}

#[test]
fn a_user_is_held_to_its_token_and_its_account() {
    let mut world = World::new();
    world.account.body.limits.nats = NatsLimits { subs: 5, data: -1, payload: 100 };
    world.user.body.limits.nats = NatsLimits { subs: 3, data: -1, payload: 200 };
    world.user.body.limits.permissions.publish = subjects(&["a.*"], &[]);
    world.user.registered.expires = NOW + 60;
    let admission = world.admitted().unwrap();
    assert_eq!((admission.max_subscriptions, admission.max_payload), (Some(3), Some(100)));
    assert_eq!(admission.user.name, world.user_key.public_key());
    assert_eq!(admission.account, world.key.public_key());
    assert_eq!(admission.ends, Some(Duration::from_secs((NOW + 60).unsigned_abs())));
    assert_eq!((admission.issued_at, admission.signing_key), (NOW - 10, None));
    let permissions = admission.user.permissions.unwrap();
    assert!(permissions.may_publish(b"a.b") && !permissions.may_publish(b"b") && !admission.default_permissions);
}

#[test]
fn nothing_said_is_what_the_account_says() {
    let mut world = World::new();
    assert_eq!(world.admitted().unwrap().user.permissions, None);
    world.account.body.default_permissions.subscribe = subjects(&[], &["secret.>"]);
    let admission = world.admitted().unwrap();
    assert!(admission.default_permissions && !admission.user.permissions.unwrap().may_subscribe(b"secret.x", None));
    world.user.body.limits.permissions.responses = Some(ResponseClaims { max: 0, ttl: -1 });
    let admission = world.admitted().unwrap();
    let permissions = admission.user.permissions.unwrap();
    assert!(permissions.may_subscribe(b"secret.x", None) && !permissions.may_publish(b"x"));
    let policy = permissions.replies.unwrap();
    assert_eq!((policy.max, policy.expires), (Some(1), None));
}

#[test]
fn who_is_not_signed_for_does_not_come_in() {
    let world = World::new();
    let stranger = KeyPair::new_account();
    assert!(
        matches!(world.admitted_by(&stranger, |_| {}), Err(Refusal::OtherAccount(key)) if key == stranger.public_key())
    );
    let mut signed = World::new();
    signed.user.body.issuer_account = signed.key.public_key();
    assert_eq!(signed.admitted_by(&stranger, |_| {}), Err(Refusal::UnknownIssuer));
    signed.account.body.signing_keys.0.insert(stranger.public_key(), None);
    let admission = signed.admitted_by(&stranger, |_| {}).unwrap();
    assert_eq!(admission.signing_key, Some(stranger.public_key()));

    assert_eq!(world.admitted_by(&world.key, |attempt| attempt.signature = ""), Err(Refusal::NoSignature));
    assert_eq!(world.admitted_by(&world.key, |attempt| attempt.nonce = "other"), Err(Refusal::Signature));
    assert_eq!(world.admitted_by(&world.key, |attempt| attempt.signature = "!"), Err(Refusal::Signature));
    static NOBODY: std::sync::LazyLock<HashSet<String>> = std::sync::LazyLock::new(HashSet::new);
    let pinned = world.admitted_by(&world.key, |attempt| attempt.pinned = Some(&NOBODY));
    assert_eq!(pinned, Err(Refusal::NotPinned(world.key.public_key())));
    let account = Claims::<Account>::decode(&world.account.encode(&world.key, NOW).unwrap()).unwrap();
    let user = user_of(&world.user.encode(&world.key, NOW).unwrap(), NOW).unwrap();
    let now = Duration::from_secs(NOW.unsigned_abs());
    let attempt = Attempt {
        signature: "",
        nonce: "",
        way: ConnectionType::Standard,
        host: None,
        by_proxy: false,
        pinned: None,
        now,
        zones: &Utc,
    };
    assert_eq!(admit(&user, &account, &world.trust(), &attempt), Err(Refusal::UntrustedAccount));
    assert_eq!(user_of("", NOW), Err(Refusal::NoToken));
    assert!(matches!(user_of(&world.account.encode(&world.key, NOW).unwrap(), NOW), Err(Refusal::Token(_))));
}

#[test]
fn bearers_need_no_signature_if_the_account_lets_them() {
    let mut world = World::new();
    world.user.body.limits.bearer = true;
    assert!(world.admitted_by(&world.key, |attempt| attempt.signature = "").is_ok());
    world.account.body.limits.account.disallow_bearer = true;
    assert_eq!(world.admitted(), Err(Refusal::NoBearers));
}

#[test]
fn times_and_revocations_count_from_when_a_token_was_signed() {
    let mut world = World::new();
    let user = world.user_key.public_key();
    for (key, until, revoked) in
        [(user.as_str(), NOW - 11, false), (&user, NOW - 10, true), ("*", NOW - 10, true), ("UX", NOW, false)]
    {
        world.account.body.revocations = [(key.to_owned(), until)].into();
        assert_eq!(world.admitted() == Err(Refusal::Revoked), revoked, "{key} {until}");
    }
    world.account.body.revocations.clear();
    world.account.registered.expires = NOW;
    assert_eq!(world.admitted(), Err(Refusal::AccountExpired));
    world.account.registered.expires = 0;
    for (expires, not_before) in [(NOW - 1, 0), (0, NOW + 1)] {
        (world.user.registered.expires, world.user.registered.not_before) = (expires, not_before);
        assert!(matches!(world.admitted(), Err(Refusal::Invalid(_))), "{expires} {not_before}");
    }
}

#[test]
fn users_come_from_where_when_and_how_they_may() {
    let mut world = World::new();
    for (networks, inside) in [
        (&["10.0.0.0/8"][..], true),
        (&["10.1.2.3/32"], true),
        (&["10.1.2.4/32", "10.1.2.0/24"], true),
        (&["0.0.0.0/0"], true),
        (&["11.0.0.0/8"], false),
        (&["::/0"], false),
        (&["::ffff:10.0.0.0/104"], true),
    ] {
        world.user.body.limits.src = networks.iter().map(|&network| network.to_owned()).collect();
        assert_eq!(world.admitted().is_ok(), inside, "{networks:?}");
    }
    world.user.body.limits.src = vec!["2001:db8::/32".to_owned()];
    assert!(world.admitted_by(&world.key, |attempt| attempt.host = "2001:db8::1".parse().ok()).is_ok());
    let nowhere = world.admitted_by(&world.key, |attempt| attempt.host = None);
    assert_eq!(nowhere, Err(Refusal::Source(String::new())));
    world.user.body.limits.src.clear();

    for (types, allowed) in [(&["WEBSOCKET"][..], false), (&["mqtt", "Standard"], true), (&["STANDARD", "odd"], true)] {
        world.user.body.limits.connection_types = types.iter().map(|&name| name.to_owned()).collect();
        assert_eq!(world.admitted().err(), (!allowed).then_some(Refusal::ConnectionType), "{types:?}");
    }
    world.user.body.limits.connection_types = vec!["odd".to_owned()];
    assert_eq!(world.admitted(), Err(Refusal::UnknownConnectionTypes(vec!["odd".to_owned()])));
    world.user.body.limits.connection_types.clear();

    let night = TimeRange { start: "23:00:00".to_owned(), end: "01:00:00".to_owned() };
    world.user.body.limits.times = vec![night];
    let midnight = NOW.unsigned_abs() - NOW.unsigned_abs() % 86_400;
    let at = |seconds: u64| world.admitted_by(&world.key, |attempt| attempt.now = Duration::from_secs(seconds));
    assert_eq!(at(midnight + 600).unwrap().ends, Some(Duration::from_secs(midnight + 3600)));
    assert_eq!(at(midnight + 7200), Err(Refusal::Time));
    world.user.body.limits.location = "Nowhere".to_owned();
    assert_eq!(world.admitted(), Err(Refusal::Location("Nowhere".to_owned())));
}

#[test]
fn who_needs_a_proxy_comes_by_one() {
    let mut world = World::new();
    world.user.body.limits.proxy_required = true;
    assert_eq!(world.admitted(), Err(Refusal::ProxyRequired));
    assert!(world.admitted_by(&world.key, |attempt| attempt.by_proxy = true).is_ok());
    let (scoped, signer) = World::scoped(UserLimits { proxy_required: true, ..UserLimits::default() });
    assert_eq!(scoped.admitted_by(&signer, |_| {}), Err(Refusal::ProxyRequired));
}

#[test]
fn a_scoped_user_has_what_its_signing_key_has() {
    let template = UserLimits { nats: NatsLimits { subs: 2, data: -1, payload: -1 }, ..UserLimits::default() };
    let (mut world, signer) = World::scoped(template);
    let admission = world.admitted_by(&signer, |_| {}).unwrap();
    assert_eq!((admission.max_subscriptions, admission.max_payload), (Some(2), None));
    assert_eq!(admission.signing_key, Some(signer.public_key()));
    world.user.body.limits.bearer = true;
    assert_eq!(world.admitted_by(&signer, |_| {}), Err(Refusal::Scoped));
}

/// What the subjects of a template become for a user `alice` with some tags.
fn expanded(publish: SubjectClaims) -> Result<SubjectClaims, TemplateError> {
    let template = UserLimits {
        permissions: PermissionClaims { publish, ..PermissionClaims::default() },
        ..UserLimits::default()
    };
    let (mut world, _) = World::scoped(template.clone());
    world.account.registered.name = "Acme".to_owned();
    world.account.tags = vec!["site:z".to_owned(), "site:b".to_owned()];
    world.user.tags = ["team:red", "team:blue", "dept:x.y", "empty:", "wide:>"].map(str::to_owned).to_vec();
    template::apply(&template, &world.user, &world.account).map(|limits| limits.permissions.publish)
}

#[test]
fn templates_become_subjects() {
    for (template, expected) in [
        ("plain.>", &["plain.>"][..]),
        ("u.{{name()}}.{{ NAME() }}", &["u.alice.alice"]),
        ("a.{{account-name()}}", &["a.Acme"]),
        ("t.{{tag(team)}}.{{account-tag(site)}}", &["t.red.z", "t.red.b", "t.blue.z", "t.blue.b"]),
        ("t.{{tag(Dept)}}", &["t.x.y"]),
        ("{{tag(team)}}.{{tag(team)}}", &["red.red", "red.red", "blue.blue", "blue.blue"]),
        ("w.{{tag(wide)}}", &["w.>"]),
        ("{name()}", &["{name()}"]),
        ("{{}}.x", &["{{}}.x"]),
    ] {
        let allow = expanded(subjects(&[template], &[])).map(|subjects| subjects.allow);
        assert_eq!(allow, Ok(expected.iter().map(|&text| text.to_owned()).collect()), "{template}");
    }
    let (world, _) = World::scoped(UserLimits::default());
    let ids = UserLimits {
        permissions: PermissionClaims {
            subscribe: subjects(&["{{subject()}}.{{account-subject()}}"], &[]),
            ..PermissionClaims::default()
        },
        ..UserLimits::default()
    };
    let allow = template::apply(&ids, &world.user, &world.account).unwrap().permissions.subscribe.allow;
    assert_eq!(allow, [format!("{}.{}", world.user_key.public_key(), world.key.public_key())]);
}

#[test]
fn what_a_template_cannot_name_is_not_allowed_and_denied_altogether() {
    for (allow, left) in [
        (&["t.{{tag(none)}}", "x"][..], subjects(&["x"], &[])),
        (&["t.{{tag(none)}}"], subjects(&[], &[">"])),
        (&["t.{{tag(empty)}}"], subjects(&[], &[">"])),
        (&["{{name()}} q", "y z", "x"], subjects(&["x"], &[])),
    ] {
        assert_eq!(expanded(subjects(allow, &[])), Ok(left), "{allow:?}");
    }
    let error = |subject: &str| expanded(subjects(&[], &[subject])).unwrap_err().to_string();
    assert_eq!(error("t.{{tag(none)}}"), "generated invalid subject \"t.{{tag(none)}}\": \"none\" is not defined");
    assert_eq!(error("t.{{tag(empty)}}"), "generated invalid subject");
    assert_eq!(error("t.{{odd()}}"), "template operation in \"t.{{odd()}}\": \"odd()\" is not defined");
    assert_eq!(error("t.{{{name()}}}"), "template operation in \"t.{{{name()}}}\": \"{name()\" is not defined");
    let many = "{{tag(team)}}.".repeat(13) + "x";
    assert_eq!(error(&many), "template expansion exceeds limit: 4096");
    assert_eq!(expanded(subjects(&[&many[14..]], &[])).unwrap().allow.len(), 4096);
}

#[test]
fn strict_operators_and_their_accounts_sign_with_signing_keys() {
    let world = World::new();
    let signer = KeyPair::new_operator();
    let mut operator = Claims::new(world.operator.public_key(), Operator::default());
    operator.body.signing_keys.push(signer.public_key());
    let lenient = Trust::new(std::slice::from_ref(&operator), &[]).unwrap();
    operator.body.strict_signing_key_usage = true;
    let strict = Trust::new(&[operator.clone()], &[]).unwrap();
    assert!(lenient.believes(&world.operator.public_key()) && !strict.believes(&world.operator.public_key()));
    let key = world.key.public_key();
    let token = world.account.encode(&signer, NOW).unwrap();
    let account = strict.account(&token, &key, NOW).unwrap();
    assert!(strict.is_strict(&account) && !lenient.is_strict(&account));
    assert_eq!(account.issuer(&key, true), None);
    assert_eq!(account.issuer(&key, false), Some(None));
    assert!(strict.account(&world.account.encode(&world.operator, NOW).unwrap(), &key, NOW).is_err());
    assert!(lenient.account(&token, &world.user_key.public_key(), NOW).is_err());
    operator.body.signing_keys.push(key);
    assert!(Trust::new(&[operator], &[]).is_err());
}

#[test]
fn activations_are_of_the_exporter_and_not_called_back() {
    use crate::jwt::{Activation, Export, ShareKind};

    let world = World::new();
    let signer = KeyPair::new_account();
    let importer = KeyPair::new_account().public_key();
    let body = Activation { subject: "a.>".into(), kind: ShareKind::Stream, issuer_account: String::new() };
    let mut claims = Claims::new(importer.clone(), body);
    let mut account = world.account.clone();
    let mut export = Export::default();
    let read = |claims: &Claims<Activation>, by: &KeyPair| {
        Claims::<Activation>::decode(&claims.encode(by, NOW - 5).unwrap()).unwrap()
    };
    assert!(account.activates(&read(&claims, &world.key), &export, NOW, false));
    assert!(!account.activates(&read(&claims, &signer), &export, NOW, false));
    claims.body.issuer_account = world.key.public_key();
    assert!(!account.activates(&read(&claims, &signer), &export, NOW, false));
    account.body.signing_keys.0.insert(signer.public_key(), None);
    assert!(account.activates(&read(&claims, &signer), &export, NOW, true));
    assert!(!account.activates(&read(&claims, &world.key), &export, NOW, true));
    export.revocations.insert(importer, NOW - 5);
    assert!(!account.activates(&read(&claims, &signer), &export, NOW, false));
    export.revocations.clear();
    claims.registered.expires = NOW;
    assert!(!account.activates(&read(&claims, &signer), &export, NOW, false));
}
