use proptest::prelude::*;

use super::*;

const LINES: [&str; 6] = [
    "GET / HTTP/1.1",
    "Host: example.com",
    "Upgrade: WebSocket",
    "Connection: keep-alive, Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A good request, with these lines in addition or in place of those of the same name.
fn request(changes: &[&str]) -> String {
    let name = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
    let kept = LINES[1..].iter().filter(|line| !changes.iter().any(|change| name(change) == name(line)));
    let first = changes.iter().find(|change| change.ends_with("HTTP/1.1")).unwrap_or(&LINES[0]);
    let added = changes.iter().filter(|change| !change.ends_with("HTTP/1.1") && !change.ends_with(": -"));
    let lines: Vec<&str> = [first].into_iter().chain(kept).chain(added).copied().collect();
    format!("{}\r\n\r\n", lines.join("\r\n"))
}

fn granted(rules: &Rules, changes: &[&str]) -> Upgrade {
    upgrade(request(changes).as_bytes(), rules).expect("granted").expect("whole")
}

fn refused(rules: &Rules, changes: &[&str]) -> String {
    let refusal = upgrade(request(changes).as_bytes(), rules).expect_err("refused");
    let response = String::from_utf8(refusal.response()).expect("text");
    format!("{}: {}", &response[9..12], refusal.reason)
}

#[test]
fn the_sample_of_the_standard_is_granted() {
    let upgrade = granted(&Rules::default(), &[]);
    let response = String::from_utf8(upgrade.response.clone()).expect("text");
    assert!(response.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{response}");
    assert!(response.ends_with("\r\n\r\n") && !response.contains("Extensions"), "{response}");
    assert!(upgrade.masked && upgrade.framing == Framing::default() && upgrade.cookies == Cookies::default());
}

#[test]
fn what_is_missing_or_wrong_is_refused() {
    for (change, expected) in [
        ("POST / HTTP/1.1", "405: request method must be GET"),
        ("GET /mqtt HTTP/1.1", "404: mqtt websocket endpoint not enabled"),
        ("GET /a/leafnode?x HTTP/1.1", "404: leafnode websocket endpoint not enabled"),
        ("Host: -", "400: 'Host' missing in request"),
        ("Upgrade: -", "400: invalid value for header 'Upgrade'"),
        ("Upgrade: h2c", "400: invalid value for header 'Upgrade'"),
        ("Connection: keep-alive", "400: invalid value for header 'Connection'"),
        ("Sec-WebSocket-Key: -", "400: key missing"),
        ("Sec-WebSocket-Key: dGhl", "400: invalid websocket key"),
        ("Sec-WebSocket-Key: ???", "400: invalid websocket key"),
        ("Sec-WebSocket-Version: 8", "400: invalid version"),
    ] {
        assert_eq!(refused(&Rules::default(), &[change]), expected);
    }
    let early = upgrade(format!("{}x", request(&[])).as_bytes(), &Rules::default()).expect_err("early");
    assert_eq!(early.reason, "client sent data before handshake is complete");
    let large = format!("GET / HTTP/1.1\r\nCookie: {}", "x".repeat(MAX_REQUEST));
    assert_eq!(upgrade(large.as_bytes(), &Rules::default()).map_err(|refusal| refusal.status), Err(Status::TooLarge));
}

#[test]
fn a_request_that_has_not_ended_is_waited_for() {
    let whole = request(&[]);
    for end in 0..whole.len() {
        assert_eq!(upgrade(&whole.as_bytes()[..end], &Rules::default()), Ok(None), "{end}");
    }
}

#[test]
fn what_is_asked_for_is_agreed_on() {
    let rules = Rules { compression: true, headers: "X-A: b\r\n".into(), ..Rules::default() };
    let wanted = "Sec-WebSocket-Extensions: foo, permessage-deflate; client_max_window_bits";
    let upgrade = granted(&rules, &[wanted, "Nats-No-Masking: true", "X-Forwarded-For: 192.0.2.1"]);
    let response = String::from_utf8(upgrade.response).expect("text");
    assert!(response.contains("permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"));
    assert!(response.contains("\r\nNats-No-Masking: true\r\n") && response.contains("\r\nX-A: b\r\n"));
    assert!(upgrade.framing.compression && !upgrade.masked);
    assert_eq!(upgrade.forwarded_for, Some(IpAddr::from([192, 0, 2, 1])));
    assert!(!granted(&Rules::default(), &[wanted]).framing.compression);
    assert!(!granted(&rules, &["Sec-WebSocket-Extensions: x"]).framing.compression);
    assert!(granted(&rules, &["Nats-No-Masking: yes", "X-Forwarded-For: me"]).forwarded_for.is_none());
}

#[test]
fn browsers_are_known_by_their_names() {
    let rules = Rules { compression: true, ..Rules::default() };
    let framing = |agent: &str| {
        let agent = format!("User-Agent: {agent}");
        let framing = granted(&rules, &[&agent, "Sec-WebSocket-Extensions: permessage-deflate"]).framing;
        (framing.browser, framing.whole)
    };
    assert_eq!(framing("Mozilla/5.0 (Macintosh) Chrome/1 Safari/5"), (true, false));
    assert_eq!(framing("Mozilla/5.0 (Macintosh) Version/1 Safari/5"), (true, true));
    assert_eq!(framing("nats.py Version/1 Safari/5"), (false, false));
}

#[test]
fn origins_are_checked_if_there_are_rules() {
    let origin = |text: &str| format!("Origin: {text}");
    let same = Rules { same_origin: true, ..Rules::default() };
    let tls = Rules { tls: true, ..same.clone() };
    let listed = ["https://a.example", "http://b.example:81"].map(|text| Origin::parse_web(text).expect("an origin"));
    let listed = Rules { allowed_origins: listed.into(), ..Rules::default() };
    for (rules, text, allowed) in [
        (&Rules::default(), "null", true),
        (&same, "http://EXAMPLE.com:80", true),
        (&same, "https://example.com", false),
        (&same, "http://example.com:81", false),
        (&same, "null", false),
        (&tls, "https://example.com", true),
        (&tls, "http://example.com", false),
        (&listed, "https://a.example:443", true),
        (&listed, "http://a.example", false),
        (&listed, "http://b.example:81", true),
        (&listed, "http://b.example", false),
    ] {
        let granted = upgrade(request(&[&origin(text)]).as_bytes(), rules).is_ok();
        assert_eq!(granted, allowed, "{text}");
    }
    granted(&same, &[]);
    assert_eq!(refused(&same, &["Sec-WebSocket-Origin: http://c"]), "403: origin not allowed: not same origin");
}

#[test]
fn cookies_say_who_the_client_is() {
    let names = CookieNames { jwt: "j".into(), user: "u".into(), password: "p".into(), token: String::new() };
    let rules = Rules { cookies: names, ..Rules::default() };
    let cookies = granted(&rules, &["Cookie: a=b; u=me; =x", "Cookie: p=\"s=3\"; j=e.y.J"]).cookies;
    assert_eq!(cookies.jwt, "e.y.J");
    assert_eq!((cookies.user.as_str(), cookies.password.as_str(), cookies.token.as_str()), ("me", "s=3", ""));
}

proptest! {
    #[test]
    fn nothing_that_comes_makes_it_panic(
        line in 0..LINES.len(),
        at in 0usize..60,
        bytes in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let mut lines: Vec<Vec<u8>> = LINES.iter().map(|line| line.as_bytes().to_vec()).collect();
        let at = at.min(lines[line].len());
        lines[line].splice(at..at, bytes);
        let rules = Rules { same_origin: true, compression: true, ..Rules::default() };
        let _ = upgrade(&[lines.join(&b"\r\n"[..]), b"\r\n\r\n".to_vec()].concat(), &rules);
    }
}
