use std::path::Path;

use natsd_auth::jwt::{Account, Body, Claims, Operator, User};
use nkeys::{KeyPair, KeyPairType};

use super::*;
use crate::config::error::ConfigErrors;
use crate::config::field::read_both;
use crate::config::language;

fn pair(kind: KeyPairType, n: u8) -> KeyPair {
    KeyPair::new_from_raw(kind, [n; 32]).unwrap()
}

fn operator_pair() -> KeyPair {
    pair(KeyPairType::Operator, 1)
}

fn account(n: u8) -> String {
    pair(KeyPairType::Account, n).public_key()
}

fn signed<T: Body>(subject: &str, body: T, by: &KeyPair) -> String {
    Claims::new(subject, body).encode(by, 1_700_000_000).unwrap()
}

fn operator_token(change: impl FnOnce(&mut Operator)) -> String {
    let mut body = Operator { system_account: account(9), ..Operator::default() };
    change(&mut body);
    signed(&operator_pair().public_key(), body, &operator_pair())
}

const SYSTEM_ACCOUNT: &[Key<Option<(Position, String)>>] = &[Key {
    names: &["system_account", "system"],
    takes: "",
    default: "",
    doc: "",
    read: |named, field| {
        *named = Some((field.at().clone(), field.text()?.to_owned()));
        Ok(())
    },
}];

fn read_beside(text: &str, beside: Beside) -> Result<Option<OperatorOptions>, String> {
    let map = language::parse(text, Path::new("test.conf"), &|_| None).expect(text);
    let (mut draft, mut named, mut report) = (Draft::default(), None, Report::default());
    read_both(&map, (KEYS, &mut draft), (SYSTEM_ACCOUNT, &mut named), &[], &mut report);
    let options = draft.finish(named.as_ref(), beside, &mut report);
    if report.errors.is_empty() { Ok(options) } else { Err(ConfigErrors(report.errors).to_string()) }
}

fn options(text: &str) -> OperatorOptions {
    read_beside(text, Beside::default()).unwrap().expect(text)
}

fn error(text: &str) -> String {
    let error = read_beside(text, Beside::default()).expect_err(text);
    error.split_once(": ").unwrap().1.to_owned()
}

#[test]
fn without_its_keys_there_is_no_operator_mode() {
    assert_eq!(read_beside("", Beside::default()), Ok(None));
    let trusted = options(&format!("trusted_keys: [{}]", operator_pair().public_key()));
    assert!(trusted.is_on() && trusted.trust().unwrap().believes(&operator_pair().public_key()));
}

#[test]
fn an_operator_is_a_file_or_a_token() {
    let token = operator_token(|_| ());
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain.jwt");
    std::fs::write(&plain, format!("{token}\n")).unwrap();
    let decorated = dir.path().join("decorated.jwt");
    std::fs::write(
        &decorated,
        format!("-----BEGIN NATS OPERATOR JWT-----\n{token}\n------END NATS OPERATOR JWT------\n"),
    )
    .unwrap();
    for given in [token.clone(), plain.display().to_string(), decorated.display().to_string()] {
        for key in ["operator", "Operators", "root", "roots", "root_operator", "root_operators"] {
            let options = options(&format!("{key}: \"{given}\", resolver: MEM"));
            assert_eq!((options.tokens, options.operators.len()), (vec![token.clone()], 1));
            assert_eq!(options.system_account, Some(account(9)));
        }
    }
    let both = options(&format!("operator: [\"{token}\", \"{}\"], resolver: MEMORY", plain.display()));
    assert_eq!((both.operators.len(), both.system_account), (2, None));
}

#[test]
fn accounts_come_from_where_the_operator_says_or_the_configuration() {
    let served = operator_token(|body| body.account_server_url = "http://h:9090/jwt/v1".to_owned());
    let of = |rest: &str| options(&format!("operator: \"{served}\"\n{rest}")).resolver;
    assert_eq!(of(""), Some(Resolver::Url("http://h:9090/jwt/v1/accounts/".to_owned())));
    for written in ["MEM", "memory", "\" Memory \""] {
        assert_eq!(of(&format!("resolver: {written}")), Some(Resolver::Memory), "{written}");
    }
    let url = Some(Resolver::Url("https://h/a/".to_owned()));
    for written in ["URL(https://h/a)", "url(\"https://h/a/\")", "\"URL( https://h/a )\""] {
        assert_eq!(of(&format!("account_resolver: {written}")), url, "{written}");
    }
}

#[test]
fn a_directory_is_full_or_a_cache() {
    let token = operator_token(|_| ());
    let of = |text: &str| options(&format!("operator: \"{token}\"\nresolver: {{ {text} }}")).resolver.unwrap();
    let full = |limit, interval, timeout, delete| Resolver::Full {
        directory: "no/such/jwt".into(),
        limit,
        interval: Duration::from_secs(interval),
        timeout: Duration::from_millis(timeout),
        delete,
    };
    assert_eq!(of("type: full, dir: 'no/such/jwt'"), full(None, 60, 1900, Delete::Never));
    assert_eq!(
        of("type: FULL, dir: 'no/such/jwt', allow_delete: true, limit: 7"),
        full(Some(7), 60, 1900, Delete::Rename)
    );
    assert_eq!(
        of("type: full, dir: 'no/such/jwt', allow_delete: on, hard_delete: on, interval: \"2m\", timeout: \"3s\""),
        full(None, 120, 3000, Delete::Remove)
    );
    let cache = |limit, ttl| Resolver::Cache { directory: "d".into(), limit, ttl, timeout: FETCH_TIMEOUT };
    assert_eq!(of("type: cache, dir: d"), cache(1000, None));
    assert_eq!(of("type: cache, dir: d, limit: 5, ttl: \"1h\""), cache(5, Some(Duration::from_secs(3600))));
    assert_eq!(of("type: mem"), Resolver::Memory);
}

#[test]
fn accounts_are_preloaded_and_pinned() {
    let token = signed(&account(3), Account::unlimited(), &operator_pair());
    let text = format!(
        "operator: \"{}\", resolver: MEMORY, resolver_preload {{ {}: \"{token}\" }}, resolver_pinned_accounts: {}",
        operator_token(|_| ()),
        account(3),
        account(3)
    );
    let options = options(&text);
    assert_eq!(options.preload, [(account(3), token)].into());
    assert_eq!(options.pinned_accounts, Some([account(3), account(9)].into()), "the system account is always one");
}

#[test]
fn values_that_cannot_be_are_named() {
    let user = signed(&pair(KeyPairType::User, 4).public_key(), User::default(), &pair(KeyPairType::Account, 3));
    let other = signed(&account(4), Account::unlimited(), &operator_pair());
    let a = account(3);
    let cases = [
        ("operator: 1".to_owned(), "operator: expected a string, found an integer"),
        ("operator: []".to_owned(), "operator: the list is empty"),
        ("operator: no/such.jwt".to_owned(), "operator: cannot read the operator file \"no/such.jwt\": "),
        (format!("operator: \"{user}\""), "operator: this is not the JWT of an operator: not operator claim"),
        ("operator: eyJx".to_owned(), "operator: this is not the JWT of an operator: expected 3 chunks"),
        ("trusted_keys: [x]".to_owned(), "trusted_keys: \"x\" is not the public key of an operator"),
        (format!("trusted: {a}"), "is not the public key of an operator"),
        ("resolver: nowhere".to_owned(), "resolver: \"nowhere\" is not known; use MEMORY, URL("),
        ("resolver: URL(ftp://h)".to_owned(), "resolver: \"URL(ftp://h)\" is not known"),
        ("resolver: URL(http://)".to_owned(), "resolver: \"URL(http://)\" is not known"),
        ("resolver: 1".to_owned(), "resolver: expected a map, { … }, found an integer"),
        ("resolver { dir: d }".to_owned(), "resolver: type is missing"),
        ("resolver { type: full }".to_owned(), "resolver: dir is missing"),
        ("resolver { type: odd, dir: d }".to_owned(), "type: \"odd\" is not known; use full, cache or memory"),
        (
            "resolver { type: full, dir: '/dev/null' }".to_owned(),
            "dir: \"/dev/null\" is not known; use the path of a directory",
        ),
        (
            "resolver { type: full, dir: d, ttl: '1s' }".to_owned(),
            "resolver: ttl means nothing for type full; remove it",
        ),
        ("resolver { type: cache, dir: d, interval: '1s' }".to_owned(), "interval means nothing for type cache"),
        (
            "resolver { type: cache, dir: d, allow_delete: true }".to_owned(),
            "allow_delete means nothing for type cache",
        ),
        ("resolver { type: cache, dir: d, hard_delete: false }".to_owned(), "hard_delete means nothing for type cache"),
        ("resolver { type: full, dir: d, hard_delete: true }".to_owned(), "without which hard_delete does nothing"),
        ("resolver { type: full, dir: d, timeout: '0s' }".to_owned(), "timeout: 0ns is too short"),
        ("resolver { type: full, dir: d, odd: 1 }".to_owned(), "unknown field \"odd\""),
        ("resolver_preload: 1".to_owned(), "resolver_preload: expected a map"),
        (format!("resolver_preload {{ {a}: 1 }}"), "expected a string, found an integer"),
        (format!("resolver_preload {{ {a}: x }}"), "is not that of an account: expected 3 chunks"),
        (format!("resolver_preload {{ {a}: \"{other}\" }}"), "put it under that key"),
        (format!("resolver_preload {{ x: \"{other}\" }}"), "\"x\" is not the public key of an account"),
        ("resolver_pinned_accounts: [x]".to_owned(), "\"x\" is not the public key of an account"),
        ("default_sentinel: 1".to_owned(), "default_sentinel: expected a string"),
    ];
    for (text, expected) in cases {
        let error = error(&text);
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let operator = operator_token(|_| ());
    let with = |rest: &str| format!("operator: \"{operator}\"\n{rest}");
    let without_system = operator_token(|body| body.system_account.clear());
    let newer = operator_token(|body| body.assert_server_version = "2.16.0".to_owned());
    let broken = operator_token(|body| body.signing_keys.push("x".to_owned()));
    let (a, user) = (account(3), pair(KeyPairType::User, 4).public_key());
    let no_bearer = signed(&user, User::default(), &pair(KeyPairType::Account, 3));
    let preload = signed(&a, Account::unlimited(), &operator_pair());
    let cases = [
        (with(""), "operator: operators need accounts; add resolver"),
        (with(&format!("resolver: MEM, trusted_keys: {}", operator_pair().public_key())), "cannot both be given"),
        (with(&format!("resolver: MEM, system_account: {a}")), "but that of the operator is another"),
        (with("resolver: MEM, system_account: SYS"), "\"SYS\" is not the public key of an account"),
        (with("resolver: MEM, default_sentinel: x"), "default_sentinel: expected 3 chunks; it has to be"),
        (with(&format!("resolver: MEM, default_sentinel: \"{no_bearer}\"")), "default_sentinel: the user has to sign"),
        (
            with(&format!("resolver: URL(http://h), resolver_preload {{ {a}: \"{preload}\" }}")),
            "resolver that can be written",
        ),
        (format!("resolver_preload {{ {a}: \"{preload}\" }}"), "resolver that can be written"),
        ("default_sentinel: x".to_owned(), "default_sentinel needs operators"),
        ("resolver { type: full, dir: d }".to_owned(), "needs an operator"),
        (format!("operator: \"{without_system}\", resolver {{ type: cache, dir: d }}"), "needs a system account"),
        (format!("operator: \"{newer}\", resolver: MEM"), "expected minor version 16 > server minor version 15"),
        (format!("operator: \"{broken}\", resolver: MEM"), "trusted Keys \"x\" are required to be"),
    ];
    for (text, expected) in cases {
        let error = error(&text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    for (beside, expected) in [
        (Beside { accounts: true, ..Beside::default() }, "remove accounts {}"),
        (Beside { users: true, ..Beside::default() }, "remove the users"),
        (Beside { callout: true, ..Beside::default() }, "remove auth_callout"),
        (Beside { no_auth_user: true, ..Beside::default() }, "write default_sentinel"),
    ] {
        let error = read_beside(&with("resolver: MEM"), beside).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_sentinel_is_a_bearer_or_may_become_one_by_its_signing_key() {
    let user = pair(KeyPairType::User, 4).public_key();
    let mut bearer = User::default();
    bearer.limits.bearer = true;
    let scoped = User { issuer_account: account(3), ..User::default() };
    for body in [bearer, scoped] {
        let token = signed(&user, body, &pair(KeyPairType::Account, 5));
        let text = format!("operator: \"{}\", resolver: MEM, default_sentinel: \"{token}\"", operator_token(|_| ()));
        assert_eq!(options(&text).default_sentinel, Some(token));
    }
}
