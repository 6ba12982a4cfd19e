//! Public keys of users.

use std::fmt;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL, BASE64URL_NOPAD};
use nkeys::{KeyPair, KeyPairType};

/// The public key of a user: `U…`, 56 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Nkey(String);

/// Not the public key of what it should be of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not the public nkey of {whose}; such a key begins with {first} and has 56 characters")]
pub struct InvalidNkey {
    text: String,
    whose: &'static str,
    first: char,
}

impl InvalidNkey {
    /// A seed, which is secret, is not repeated.
    fn new(text: &str, whose: &'static str, first: char) -> Self {
        let text = if text.starts_with('S') { "S…" } else { text }.to_owned();
        Self { text, whose, first }
    }
}

/// Checks that `text` is the public key of an account: `A…`, 56 characters.
///
/// # Errors
///
/// If it is malformed, or of something else. A seed is not repeated in the error.
pub fn check_account_key(text: &str) -> Result<(), InvalidNkey> {
    match KeyPair::from_public_key(text) {
        Ok(key) if key.key_pair_type() == KeyPairType::Account => Ok(()),
        _ => Err(InvalidNkey::new(text, "an account", 'A')),
    }
}

impl Nkey {
    /// Checks a key.
    ///
    /// # Errors
    ///
    /// If it is malformed, or of something else than a user. A seed, which is secret, is not repeated in the error.
    pub fn new(text: &str) -> Result<Self, InvalidNkey> {
        match KeyPair::from_public_key(text) {
            Ok(key) if key.key_pair_type() == KeyPairType::User => Ok(Self(text.to_owned())),
            _ => Err(InvalidNkey::new(text, "a user", 'U')),
        }
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `signature`, in base64 of either alphabet, was made of `nonce` with the private key.
    pub fn verify(&self, nonce: &str, signature: &str) -> bool {
        let encodings = [BASE64URL_NOPAD, BASE64URL, BASE64, BASE64_NOPAD];
        let decoded = encodings.iter().find_map(|encoding| encoding.decode(signature.as_bytes()).ok());
        let key = KeyPair::from_public_key(&self.0);
        matches!((key, decoded), (Ok(key), Some(signature)) if key.verify(nonce.as_bytes(), &signature).is_ok())
    }
}

impl fmt::Display for Nkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_keys_of_users_are_taken() {
        let user = KeyPair::new_user();
        assert_eq!(Nkey::new(&user.public_key()).unwrap().as_str(), user.public_key());
        let seed = user.seed().unwrap();
        for wrong in ["", "U", "UXX", &KeyPair::new_account().public_key(), &seed] {
            let error = Nkey::new(wrong).unwrap_err().to_string();
            assert!(!error.contains(&seed), "{error}");
        }
        assert_eq!(check_account_key(&KeyPair::new_account().public_key()), Ok(()));
        let error = check_account_key(&user.public_key()).unwrap_err().to_string();
        assert!(error.contains("of an account; such a key begins with A"), "{error}");
    }

    #[test]
    fn a_signature_is_of_this_nonce_by_this_key() {
        let (user, other) = (KeyPair::new_user(), KeyPair::new_user());
        let nkey = Nkey::new(&user.public_key()).unwrap();
        let signed = user.sign(b"nonce").unwrap();
        assert!(nkey.verify("nonce", &BASE64URL_NOPAD.encode(&signed)));
        assert!(nkey.verify("nonce", &BASE64.encode(&signed)));
        assert!(!nkey.verify("other", &BASE64URL_NOPAD.encode(&signed)));
        assert!(!nkey.verify("nonce", &BASE64URL_NOPAD.encode(&other.sign(b"nonce").unwrap())));
        for malformed in ["", "!", "AAAA", &BASE64URL_NOPAD.encode(&signed[..63])] {
            assert!(!nkey.verify("nonce", malformed), "{malformed}");
        }
    }
}
