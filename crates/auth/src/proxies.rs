//! Proxies that vouch for clients behind them.

use data_encoding::BASE64URL_NOPAD;
use nkeys::KeyPair;

/// The public nkeys of proxies that are trusted. Without any, what proxies say counts for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<String>);

/// Not the public key of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the public nkey of a proxy; write one of 56 characters")]
pub struct InvalidProxyKey(String);

impl Proxies {
    /// # Errors
    ///
    /// If one is no public key. A seed, which is secret, is not repeated in the error.
    pub fn new(keys: Vec<String>) -> Result<Self, InvalidProxyKey> {
        let wrong = keys.iter().find(|key| KeyPair::from_public_key(key).is_err());
        match wrong {
            Some(key) if key.starts_with('S') => Err(InvalidProxyKey("S…".into())),
            Some(key) => Err(InvalidProxyKey(key.clone())),
            None => Ok(Self(keys)),
        }
    }

    /// Whether none is trusted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As written.
    pub fn keys(&self) -> &[String] {
        &self.0
    }

    /// The key that made `signature`, in base64 for URLs without padding, of `nonce`. `None` if it was nobody's here.
    pub fn signer(&self, nonce: &str, signature: &str) -> Option<&str> {
        let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok().filter(|_| !nonce.is_empty())?;
        let signed = |key: &&String| {
            KeyPair::from_public_key(key).is_ok_and(|key| key.verify(nonce.as_bytes(), &signature).is_ok())
        };
        self.0.iter().find(signed).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_keys_sign() {
        let (one, two, stranger) = (KeyPair::new_user(), KeyPair::new_server(), KeyPair::new_user());
        let proxies = Proxies::new(vec![one.public_key(), two.public_key()]).unwrap();
        let signed = |key: &KeyPair, nonce: &str| BASE64URL_NOPAD.encode(&key.sign(nonce.as_bytes()).unwrap());
        for key in [&one, &two] {
            assert_eq!(proxies.signer("nonce", &signed(key, "nonce")), Some(key.public_key().as_str()));
            assert_eq!(proxies.signer("other", &signed(key, "nonce")), None);
        }
        assert_eq!(proxies.signer("", &signed(&one, "")), None, "who was given no nonce cannot sign it");
        for wrong in [&signed(&stranger, "nonce"), "", "!", "AAAA"] {
            assert_eq!(proxies.signer("nonce", wrong), None, "{wrong}");
        }
        assert_eq!(Proxies::default().signer("nonce", &signed(&one, "nonce")), None);
    }

    #[test]
    fn only_public_keys_are_taken() {
        let seed = KeyPair::new_user().seed().unwrap();
        for wrong in ["", "UXX", &seed] {
            let error = Proxies::new(vec![wrong.to_owned()]).unwrap_err().to_string();
            assert!(!error.contains(&seed), "{error}");
        }
    }
}
