use super::*;

fn credentials(user: &str, password: &str, token: &str) -> Credentials {
    Credentials { user: user.into(), password: password.into(), token: token.into(), ..Credentials::default() }
}

fn judge(directory: &Directory, user: &str, password: &str, token: &str) -> Option<String> {
    match directory.judge(&credentials(user, password, token), ConnectionType::Standard, "", Certificate::NotAsked) {
        Verdict::Admitted(user) => Some(user.name.clone()),
        Verdict::Refused => None,
        Verdict::Slow(check) => check.run().map(|user| user.name.clone()),
    }
}

fn users(users: Vec<User>) -> Directory {
    DirectoryBuilder { users, ..DirectoryBuilder::default() }.build().unwrap()
}

#[test]
fn each_user_has_its_own_password() {
    let hashed = User::with_secret("h", &bcrypt::hash("x", 4).unwrap());
    let directory = users(vec![User::with_secret("a", "p"), User::with_secret("b", "q"), hashed]);
    for (user, password, admitted) in [
        ("a", "p", true),
        ("b", "q", true),
        ("h", "x", true),
        ("a", "q", false),
        ("h", "p", false),
        ("a", "", false),
        ("", "p", false),
        ("", "", false),
        ("c", "p", false),
    ] {
        assert_eq!(judge(&directory, user, password, "").is_some(), admitted, "{user} {password}");
    }
    assert_eq!(judge(&directory, "a", "p", "ignored").as_deref(), Some("a"));
    assert!(directory.has_plain_passwords());
}

#[test]
fn a_token_is_no_password() {
    let directory = DirectoryBuilder { token: Some("t".into()), ..DirectoryBuilder::default() }.build().unwrap();
    assert!(judge(&directory, "", "", "t").is_some());
    for (user, password, token) in [("t", "", ""), ("", "t", ""), ("x", "t", ""), ("", "", ""), ("", "", "T")] {
        assert_eq!(judge(&directory, user, password, token), None);
    }
}

#[test]
fn only_who_gives_nothing_is_anonymous() {
    let mut directory = users(vec![User::with_secret("a", "p")]);
    assert!(directory.set_anonymous("b").is_err());
    directory.set_anonymous("a").unwrap();
    assert_eq!(judge(&directory, "", "", "").as_deref(), Some("a"));
    for (user, password, token) in [("a", "", ""), ("", "x", ""), ("", "", "x"), ("b", "p", "")] {
        assert_eq!(judge(&directory, user, password, token), None);
    }
}

#[test]
fn a_user_comes_only_by_the_ways_it_may() {
    let restricted = User { connection_types: Some(vec![ConnectionType::Mqtt]), ..User::with_secret("a", "p") };
    let directory = users(vec![restricted]);
    let given = credentials("a", "p", "");
    assert!(matches!(directory.judge(&given, ConnectionType::Standard, "", Certificate::NotAsked), Verdict::Refused));
    assert!(matches!(directory.judge(&given, ConnectionType::Mqtt, "", Certificate::NotAsked), Verdict::Admitted(_)));
}

#[test]
fn a_key_signs_the_nonce_of_the_connection() {
    let pair = nkeys::KeyPair::new_user();
    let nkey = Nkey::new(&pair.public_key()).unwrap();
    let directory = users(vec![User::with_nkey(&nkey), User::with_secret("a", "p")]);
    assert!(directory.needs_nonce());
    let signature = data_encoding::BASE64URL_NOPAD.encode(&pair.sign(b"one").unwrap());
    let given = Credentials { nkey: pair.public_key(), signature, ..Credentials::default() };
    assert!(matches!(
        directory.judge(&given, ConnectionType::Standard, "one", Certificate::NotAsked),
        Verdict::Admitted(_)
    ));
    assert!(matches!(
        directory.judge(&given, ConnectionType::Standard, "two", Certificate::NotAsked),
        Verdict::Refused
    ));
    let stranger = Credentials { nkey: nkeys::KeyPair::new_user().public_key(), ..given };
    assert!(matches!(
        directory.judge(&stranger, ConnectionType::Standard, "one", Certificate::NotAsked),
        Verdict::Refused
    ));
    assert_eq!(judge(&directory, "a", "p", "").as_deref(), Some("a"));
}

#[test]
fn what_does_not_go_together_is_refused() {
    let build = |user: &str, password: &str, token: Option<&str>, users: &[&str]| {
        let users = users.iter().map(|name| User::with_secret(name, "p")).collect();
        let (user, password) = (Some(user.to_owned()), Some(password.to_owned()));
        DirectoryBuilder { user, password, token: token.map(str::to_owned), users }.build().map(|_| ())
    };
    assert_eq!(build("u", "p", Some("t"), &[]), Err(DirectoryError::UserAndToken));
    assert_eq!(build("u", "p", None, &["a"]), Err(DirectoryError::UserAndUsers));
    assert_eq!(build("", "", Some("t"), &["a"]), Err(DirectoryError::TokenAndUsers));
    assert_eq!(build("", "", None, &["a", "a"]), Err(DirectoryError::Duplicate("a".into())));
    assert_eq!(build("", "p", None, &[]), Err(DirectoryError::PasswordWithoutUser));
    assert_eq!(build("", "", Some(""), &[]), Err(DirectoryError::EmptyToken));
    assert_eq!(build("", "", None, &[]), Ok(()));
}

#[test]
fn a_certificate_says_who_one_is() {
    let mut directory = users(vec![
        User::with_secret("me@example.org", ""),
        User::with_secret("OU=unit,CN=name", ""),
        User::with_secret("with.password", "p"),
    ]);
    directory.expect_certificates();
    let subject = |text: &str| DistinguishedName::parse(text).unwrap();
    let mail = CertificateNames { emails: vec!["me@example.org".into()], ..CertificateNames::default() };
    let dns = CertificateNames { dns: vec!["with.password".into()], ..CertificateNames::default() };
    let by_subject = CertificateNames { subject: subject("CN=name,OU=unit"), ..CertificateNames::default() };
    let stranger = CertificateNames { subject: subject("CN=other"), ..CertificateNames::default() };
    for (names, user, password, admitted) in [
        (Some(&mail), "", "", Some("me@example.org")),
        (Some(&mail), "with.password", "p", None),
        (Some(&by_subject), "", "", Some("OU=unit,CN=name")),
        (Some(&dns), "", "p", Some("with.password")),
        (Some(&dns), "", "", None),
        (Some(&stranger), "with.password", "p", None),
        (None, "with.password", "p", None),
    ] {
        let given = credentials(user, password, "");
        let verdict = directory.judge(&given, ConnectionType::Standard, "", Certificate::Decides(names));
        let name = if let Verdict::Admitted(user) = &verdict { Some(user.name.as_str()) } else { None };
        assert_eq!(name, admitted, "{names:?} {user}");
    }
    assert_eq!(judge(&directory, "me@example.org", "", ""), None, "only by certificate");
    assert_eq!(judge(&directory, "with.password", "p", "").as_deref(), Some("with.password"));
}

#[test]
fn the_time_of_a_refusal_does_not_tell_who_exists() {
    let hash = bcrypt::hash("right", 4).unwrap();
    let directory = users(vec![User::with_secret("hashed", &hash), User::with_secret("plain", "open")]);
    for (user, password) in [("hashed", "wrong"), ("plain", "wrong"), ("nobody", "wrong"), ("nobody", "right")] {
        let verdict =
            directory.judge(&credentials(user, password, ""), ConnectionType::Standard, "", Certificate::NotAsked);
        let Verdict::Slow(check) = verdict else { panic!("{user}: {verdict:?}") };
        assert!(check.run().is_none(), "{user} {password}");
    }
    assert_eq!(judge(&directory, "plain", "open", "").as_deref(), Some("plain"));
    assert_eq!(judge(&directory, "hashed", "right", "").as_deref(), Some("hashed"));
}
