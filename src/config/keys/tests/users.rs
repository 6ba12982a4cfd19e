//! Who may connect.

use super::*;

#[test]
fn users_come_by_password_or_key() {
    let nkey = nkeys::KeyPair::new_user().public_key();
    for (text, list, required) in [
        ("authorization {}".into(), false, false),
        ("authorization { user: u, pass: p }".into(), false, true),
        ("authorization { token: t, timeout: \"0.5s\" }".into(), false, true),
        ("authorization { users: [ {username: a, password: b}, {user: c, clients: [standard]} ] }".into(), true, true),
        (format!("authorization {{ users: [ {{nkey: {nkey}}} ] }}"), true, true),
        (format!("no_auth_user: {nkey}\nauthorization {{ users: [ {{nkey: {nkey}}} ] }}"), true, false),
    ] {
        let set = options(&text).authorization;
        assert_eq!((set.directory.is_list(), set.is_required()), (list, required), "{text}");
    }
    assert_eq!(options("authorization { timeout: 0.5 }").authorization.timeout, Duration::from_millis(500));
    assert_eq!(options("authorization { timeout: 0 }").authorization.timeout, Duration::from_secs(2));
}

#[test]
fn users_that_cannot_be_are_refused_without_their_secrets() {
    let nkey = nkeys::KeyPair::new_user();
    let seed = nkey.seed().expect("a pair has one");
    let account = nkeys::KeyPair::new_account().public_key();
    let callout = |rest: &str| {
        let users = "users: [{user: a, password: hidden}]";
        format!("authorization {{ {users}, auth_callout {{ issuer: {account}, {rest} }} }}")
    };
    for (text, reason) in [
        ("authorization { user: u, token: hidden }", "user and token cannot both"),
        ("authorization { user: u, password: hidden, users: [{user: a}] }", "user and users cannot both"),
        ("authorization { token: hidden, users: [{user: a}] }", "token and users cannot both"),
        ("authorization { password: hidden }", "a password without a user"),
        ("authorization { token: \"\" }", "an empty token"),
        ("authorization { users: [{pass: hidden}] }", "no name"),
        ("authorization { users: {user: a} }", "expected a list of maps, found a map"),
        ("authorization { users: [a] }", "expected a map"),
        (&format!("authorization {{ users: [{{nkey: {seed}}}] }}"), "is not the public nkey of a user"),
        (&format!("authorization {{ users: [{{nkey: {}, user: a}}] }}", nkey.public_key()), "no name and no password"),
        ("authorization { users: [{user: a, allowed_connection_types: [bogus]}] }", "\"bogus\" is no connection type"),
        ("authorization { users: [{user: a, permissions: {publish: \"a b\"}}] }", "only rules for subscriptions can"),
        ("authorization { users: [{user: a, permissions: {publish: \"a..b\"}}] }", "\"a..b\" is not a subject"),
        ("authorization { users: [{user: a, permissions: {subscribe: {allow: \"a b..c\"}}}] }", "is not a queue group"),
        ("authorization { users: [{user: a, permissions: {publish: {allows: a}}}] }", "unknown field \"allows\""),
        ("authorization { users: [{user: a, permissions: {publish: 5}}] }", "expected a subject, a list of"),
        ("authorization { users: [{user: a, permissions: {allow_responses: 5}}] }", "expected a boolean or a map"),
        ("authorization { users: [{user: a, permissions: {allow_responses: {max: -2}}}] }", "-2 is out of range"),
        ("authorization { auth_callout {} }", "auth_callout: issuer is missing"),
        ("authorization { auth_callout { issuer: A } }", "\"A\" is not the public nkey of an account"),
        (&format!("authorization {{ auth_callout {{ issuer: {account} }} }}"), "auth_callout: auth_users is missing"),
        ("authorization { auth_callout { xkey: x } }", "use the public key of a curve, X…"),
        (&callout("auth_users: [u]"), "auth_callout: there is no user \"u\""),
        (&callout("auth_users: [a], account: B"), "auth_callout: there is no account \"B\""),
        (&callout("auth_users: [a], allowed_accounts: [C]"), "auth_callout: there is no account \"C\""),
        ("no_auth_user: u\nauthorization { user: u }", "there is no user \"u\" in the users"),
    ] {
        let errors = loaded(text).expect_err(text).to_string();
        assert!(errors.contains(reason) && !errors.contains("hidden") && !errors.contains(&seed), "{text}: {errors}");
    }
}

#[test]
fn proxies_vouch_for_users_that_need_them() {
    let key = nkeys::KeyPair::new_user();
    let public = key.public_key();
    let set = options(&format!("proxies {{ trusted: [ {{ key: {public} }}, {{ public_key: {public} }} ] }}"));
    assert_eq!(set.proxies.keys(), [public.clone(), public]);
    let set = options("authorization { proxy_required: true, users: [{user: a}] }").authorization;
    assert!(set.directory.get("a").is_some_and(|user| user.proxy_required));
    let set = options("authorization { users: [{user: a, proxy_required: true}, {user: b}] }");
    let needs = |name| set.needs_proxy(set.authorization.directory.get(name).expect(name), false);
    assert!(needs("a") && !needs("b"));
    let set = options("authorization { user: u, password: p, proxy_required: true }");
    assert!(set.needs_proxy(set.authorization.directory.get("u").expect("u"), false));
    let seed = key.seed().expect("a pair has one");
    for (text, reason) in [
        (
            format!("proxies {{ trusted: [ {{ key: {seed} }} ] }}"),
            ":1:22: trusted: \"S…\" is not the public nkey of a proxy",
        ),
        ("proxies { trusted: [ {} ] }".to_owned(), "trusted: key is missing"),
        ("proxies { trusted: [ UAAA ] }".to_owned(), "expected a map"),
        ("proxies { trusted: {} }".to_owned(), "expected a list of maps"),
        ("proxies { key: a }".to_owned(), "unknown field \"key\""),
    ] {
        let errors = loaded(&text).expect_err(&text).to_string();
        assert!(errors.contains(reason) && !errors.contains(&seed), "{text}: {errors}");
    }
}
