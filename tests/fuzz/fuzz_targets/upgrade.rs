//! What a client sends that wants WebSocket.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::websocket::origin::Origin;
use natsd_core::websocket::upgrade::{CookieNames, Rules, upgrade};

fuzz_target!(|input: &[u8]| {
    let cookies = CookieNames { jwt: "j".into(), user: "u".into(), password: "p".into(), token: "t".into() };
    let allowed_origins: Vec<_> = Origin::parse_web("http://a.example").into_iter().collect();
    let all =
        Rules { compression: true, same_origin: true, allowed_origins, cookies, leafnodes: true, ..Rules::default() };
    for rules in [Rules::default(), all] {
        match upgrade(input, &rules) {
            Ok(Some(upgrade)) => assert!(upgrade.response.ends_with(b"\r\n\r\n")),
            Ok(None) => {}
            Err(refusal) => assert!(refusal.response().starts_with(b"HTTP/1.1 4")),
        }
    }
});
