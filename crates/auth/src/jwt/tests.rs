//! Tokens as the library of nats-server writes, reads and judges them, and tokens that nobody would write.

use nkeys::{KeyPair, KeyPairType};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::token::seal;
use super::*;

/// Seconds since 1970, when the vectors were made.
const NOW: i64 = 1_795_276_800;

/// Written by github.com/nats-io/jwt/v2 v2.8.2: each token with what that reads in it and finds wrong with it.
fn vectors() -> Vec<Value> {
    let text = include_str!("../../tests/jwt-2.8.2/vectors.json");
    serde_json::from_str(text).expect("vectors.json")
}

fn pair(kind: KeyPairType, n: u8) -> KeyPair {
    KeyPair::new_from_raw(kind, [n; 32]).unwrap()
}

/// Claims as JSON with all that says nothing left out, however it was written.
fn essence(value: &Value) -> Value {
    let says_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(on) => !on,
        Value::Number(n) => n.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    };
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), essence(value)));
            fields.filter(|(_, value)| !says_nothing(value)).collect()
        }
        Value::Array(items) => items.iter().map(essence).collect(),
        other => other.clone(),
    }
}

fn as_json<T: Body>(claims: &Claims<T>) -> Value {
    let mut all = serde_json::to_value(&claims.registered).unwrap();
    all["nats"] = serde_json::to_value(&claims.body).unwrap();
    all["nats"]["tags"] = claims.tags.clone().into();
    all["nats"]["type"] = T::KIND.into();
    all["nats"]["version"] = claims.version.into();
    all
}

type Read = Result<(Value, Vec<String>), TokenError>;

fn read_as<T: Body>(token: &str) -> Read {
    Claims::<T>::decode(token).map(|claims| {
        let issues = claims.check(NOW).0.into_iter().map(|issue| issue.text).collect();
        (as_json(&claims), issues)
    })
}

fn read(kind: &str, token: &str) -> Read {
    match kind {
        "operator" => read_as::<Operator>(token),
        "account" => read_as::<Account>(token),
        "user" => read_as::<User>(token),
        "activation" => read_as::<Activation>(token),
        "authorization_request" => read_as::<AuthorizationRequest>(token),
        "authorization_response" => read_as::<AuthorizationResponse>(token),
        other => panic!("{other}"),
    }
}

#[test]
fn tokens_are_read_and_judged_as_by_nats_server() {
    for vector in vectors() {
        let text = |field: &str| vector[field].as_str().unwrap_or_default();
        let name = text("name");
        match read(text("kind"), text("token")) {
            Ok((claims, mut issues)) => {
                assert_eq!(text("error"), "", "{name}");
                assert_eq!(essence(&claims), essence(&vector["claims"]), "{name}");
                let mut expected: Vec<String> = serde_json::from_value(vector["issues"].clone()).unwrap_or_default();
                issues.sort();
                issues.dedup();
                expected.sort();
                expected.dedup();
                assert_eq!(issues, expected, "{name}");
            }
            Err(error) => assert_eq!(error.to_string(), text("error"), "{name}"),
        }
    }
}

#[test]
fn any_valid_token_can_be_read_without_knowing_its_kind() {
    for vector in vectors().iter().filter(|vector| vector.get("claims").is_some_and(|claims| claims["iat"] != 0)) {
        let (name, token) = (vector["name"].as_str().unwrap(), vector["token"].as_str().unwrap());
        // The algorithm tells the version here, and in these it tells the wrong one.
        if name == "version 1 under the new algorithm" || name == "a request without a version" || name == "spellings" {
            continue;
        }
        let generic = Generic::decode(token).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(generic.registered.subject, vector["claims"]["sub"], "{name}");
        assert_eq!(generic.registered.issuer, vector["claims"]["iss"], "{name}");
    }
}

#[test]
fn what_is_written_again_says_the_same() {
    fn again<T: Body + Clone + PartialEq + std::fmt::Debug>(token: &str, issuers: &[KeyPair]) -> bool {
        let Ok(claims) = Claims::<T>::decode(token) else { return false };
        let issuer = issuers.iter().find(|pair| pair.public_key() == claims.registered.issuer).unwrap();
        let written = claims.encode(issuer, claims.registered.issued_at).unwrap();
        let read = Claims::<T>::decode(&written).unwrap();
        assert_eq!(read, Claims { version: 2, registered: read.registered.clone(), ..claims.clone() });
        // Go escapes the characters of HTML in what it hashes.
        if claims.version == 2 && !claims.registered.name.contains('<') && !claims.registered.id.is_empty() {
            assert_eq!(read.registered, claims.registered);
        }
        true
    }
    let operators = (1..=2).map(|n| pair(KeyPairType::Operator, n));
    let accounts = (3..=7).map(|n| pair(KeyPairType::Account, n));
    let issuers: Vec<_> = operators.chain(accounts).chain([pair(KeyPairType::Server, 10)]).collect();
    let mut written = 0;
    for vector in vectors() {
        let token = vector["token"].as_str().unwrap();
        written += usize::from(match vector["kind"].as_str().unwrap() {
            "operator" => again::<Operator>(token, &issuers),
            "account" => again::<Account>(token, &issuers),
            "user" => again::<User>(token, &issuers),
            "activation" => again::<Activation>(token, &issuers),
            "authorization_request" => again::<AuthorizationRequest>(token, &issuers),
            _ => again::<AuthorizationResponse>(token, &issuers),
        });
    }
    assert!(written > 40, "{written}");
}

#[test]
fn only_who_may_issues_a_token() {
    let (operator, account, user) = (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_user());
    let claims = Claims::new(user.public_key(), User::default());
    assert!(claims.encode(&account, NOW).is_ok());
    assert!(matches!(claims.encode(&operator, NOW), Err(EncodeError::Issuer(_))));
    let public = KeyPair::from_public_key(&account.public_key()).unwrap();
    assert_eq!(claims.encode(&public, NOW), Err(EncodeError::NoSeed));
    let about_account = Claims::new(account.public_key(), User::default());
    assert_eq!(about_account.encode(&account, NOW), Err(EncodeError::Subject("user")));
    assert_eq!(Claims::new("", User::default()).encode(&account, NOW), Err(EncodeError::NoSubject));
}

#[test]
fn tokens_are_not_read_beyond_a_size() {
    let token = "x".repeat(MAX_SIZE + 1);
    let expected = format!("token size {} exceeds maximum of {MAX_SIZE} bytes: token too large", token.len());
    assert_eq!(Claims::<User>::decode(&token).unwrap_err().to_string(), expected);
    let deep = "[".repeat(100_000);
    let header = data_encoding::BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let nested = format!("{header}.{}.AA", data_encoding::BASE64URL_NOPAD.encode(deep.as_bytes()));
    assert!(matches!(Claims::<User>::decode(&nested), Err(TokenError::Json(_))));
}

const KINDS: [&str; 6] =
    ["operator", "account", "user", "activation", "authorization_request", "authorization_response"];

/// Names of fields, so that random JSON gets past the first of them.
const FIELDS: &[&str] = &[
    "imports",
    "exports",
    "limits",
    "signing_keys",
    "revocations",
    "default_permissions",
    "mappings",
    "authorization",
    "trace",
    "subject",
    "type",
    "kind",
    "key",
    "template",
    "pub",
    "sub",
    "resp",
    "allow",
    "deny",
    "src",
    "times",
    "start",
    "end",
    "account",
    "token",
    "to",
    "local_subject",
    "weight",
    "cluster",
    "service_latency",
    "sampling",
    "results",
    "account_token_position",
    "tiered_limits",
    "dest",
    "assert_server_version",
    "operator_service_urls",
    "account_server_url",
    "info_url",
    "issuer_account",
    "tags",
    "version",
    "max",
    "ttl",
    "subs",
    "jwt",
    "error",
];

fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("user_scope".to_owned()),
        Just("service".to_owned()),
        Just("stream".to_owned()),
        "[a-z.*>$ ]{0,8}",
        "\\PC{0,6}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    let key = prop_oneof![proptest::sample::select(FIELDS).prop_map(str::to_owned), "[A-Za-z.*]{0,6}"];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..6).prop_map(Value::from_iter),
        ]
    })
}

fn any_limits() -> impl Strategy<Value = UserLimits> {
    let texts = || prop::collection::vec("\\PC{1,8}", 0..4);
    let subjects = move || (texts(), texts()).prop_map(|(allow, deny)| SubjectClaims { allow, deny });
    let responses = prop::option::of((any::<i64>(), any::<i64>()).prop_map(|(max, ttl)| ResponseClaims { max, ttl }));
    let times = prop::collection::vec(("\\PC{0,8}", "\\PC{0,8}"), 0..3);
    let numbers = (any::<i64>(), any::<i64>(), any::<i64>());
    let flags = (any::<bool>(), any::<bool>());
    (subjects(), subjects(), responses, texts(), times, "\\PC{0,9}", numbers, flags, texts()).prop_map(
        |(publish, subscribe, responses, src, times, location, (subs, data, payload), flags, connection_types)| {
            UserLimits {
                permissions: PermissionClaims { publish, subscribe, responses },
                src,
                times: times.into_iter().map(|(start, end)| TimeRange { start, end }).collect(),
                location,
                nats: NatsLimits { subs, data, payload },
                bearer: flags.0,
                proxy_required: flags.1,
                connection_types,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_is_too_odd(text in "\\PC{0,80}(\\.\\PC{0,80}){0,4}") {
        for kind in KINDS {
            prop_assert!(read(kind, &text).is_err());
        }
        prop_assert!(Generic::decode(&text).is_err());
    }

    #[test]
    fn a_changed_token_is_no_token(at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f) {
        let account = pair(KeyPairType::Account, 3);
        let claims = Claims::new(pair(KeyPairType::User, 8).public_key(), User::default());
        let mut token = claims.encode(&account, NOW).unwrap().into_bytes();
        let at = at.index(token.len());
        prop_assume!(token[at] != byte);
        token[at] = byte;
        prop_assert!(read("user", &String::from_utf8(token).unwrap()).is_err());
    }

    #[test]
    fn whatever_is_signed_is_read_or_refused(nats in any_json(), kind in proptest::sample::select(&KINDS), version in 0_i64..3) {
        let issuer = match kind {
            "operator" => pair(KeyPairType::Operator, 1),
            "authorization_request" => pair(KeyPairType::Server, 10),
            _ => pair(KeyPairType::Account, 3),
        };
        let mut nats = nats;
        if let Some(nats) = nats.as_object_mut() {
            nats.insert("type".to_owned(), kind.into());
            nats.insert("version".to_owned(), version.into());
        }
        let subject = pair(KeyPairType::Account, 4).public_key();
        let claims = json!({"iss": issuer.public_key(), "sub": subject, "nats": nats});
        let token = seal(&claims, &issuer).unwrap();
        let _ = read(kind, &token);
        if let Ok(account) = Claims::<Account>::decode(&token) {
            let _ = account.body.mappings();
        }
    }

    #[test]
    fn limits_survive_being_written(limits in any_limits(), name in "\\PC{0,20}", tags in prop::collection::vec("\\PC{1,8}", 0..3)) {
        let (account, user) = (pair(KeyPairType::Account, 3), pair(KeyPairType::User, 8));
        let mut claims = Claims::new(user.public_key(), User { limits: limits.clone(), issuer_account: String::new() });
        claims.registered.name = name;
        claims.tags = tags;
        let read = Claims::<User>::decode(&claims.encode(&account, NOW).unwrap()).unwrap();
        prop_assert_eq!(&read.registered.name, &claims.registered.name);
        prop_assert_eq!((&read.body, &read.tags), (&claims.body, &claims.tags));
        let scope = UserScope { role: "r".into(), template: limits, description: "d".into() };
        let keys = SigningKeys([(account.public_key(), Some(scope)), (user.public_key(), None)].into());
        let written = serde_json::to_value(&keys).unwrap();
        let mut expected = keys;
        // A limit of 0 is not written, and none is read in its place.
        let template = &mut expected.0.get_mut(&account.public_key()).unwrap().as_mut().unwrap().template.nats;
        for limit in [&mut template.subs, &mut template.data, &mut template.payload] {
            *limit = if *limit == 0 { NO_LIMIT } else { *limit };
        }
        prop_assert_eq!(serde_json::from_value::<SigningKeys>(written).unwrap(), expected);
    }
}
