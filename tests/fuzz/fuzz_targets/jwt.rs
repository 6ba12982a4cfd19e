//! Tokens: as anybody may send them, and as JSON that somebody signed.
#![no_main]

use data_encoding::BASE64URL_NOPAD;
use libfuzzer_sys::fuzz_target;
use natsd_auth::jwt::{
    Account, Activation, AuthorizationRequest, AuthorizationResponse, Body, Claims, Generic, Operator, User, undecorated,
};
use nkeys::{KeyPair, KeyPairType};

fn read<T: Body>(token: &str) -> Option<Claims<T>> {
    let claims = Claims::<T>::decode(token).ok()?;
    let _ = claims.check(0).to_string();
    Some(claims)
}

fn read_all(token: &str) {
    read::<Operator>(token);
    read::<User>(token).map(|user| user.body.limits.permissions.rules().is_ok());
    read::<Account>(token).map(|account| account.body.mappings().is_ok());
    read::<Activation>(token);
    read::<AuthorizationRequest>(token);
    read::<AuthorizationResponse>(token);
    let _ = Generic::decode(token);
}

/// `{"iss":…}` and what is behind its first byte.
fn signed(json: &str) -> Option<String> {
    let pair = KeyPair::new_from_raw(KeyPairType::Account, [3; 32]).ok()?;
    let header = BASE64URL_NOPAD.encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let json = format!("{{\"iss\":\"{}\",{json}", pair.public_key());
    let signed = format!("{header}.{}", BASE64URL_NOPAD.encode(json.as_bytes()));
    let signature = BASE64URL_NOPAD.encode(&pair.sign(signed.as_bytes()).ok()?);
    Some(format!("{signed}.{signature}"))
}

fuzz_target!(|text: &str| {
    read_all(undecorated(text));
    if let Some(token) = signed(text) {
        read_all(&token);
    }
});
