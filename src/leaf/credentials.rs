//! Who this server says it is to a hub: users of URLs, seeds, and files with the token of a user and the seed that proves whose it is.

use std::path::Path;

use data_encoding::BASE64URL_NOPAD;
use natsd_core::leaf::hello::LeafConnect;
use natsd_core::route::hello::Secret;
use nkeys::KeyPair;

use crate::config::options::{LeafRemote, LeafUrl};

/// Credentials that cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum CredentialsError {
    /// The file cannot be read.
    #[error("cannot read the credentials in {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is none of credentials.
    #[error("{0} holds no credentials: a JWT and a seed, each between lines of dashes")]
    Malformed(String),
    /// The seed is none.
    #[error("{0} holds no seed of a key")]
    Seed(String),
}

/// Says in `connect` what the remote is configured to say of who we are.
///
/// # Errors
///
/// When a file with credentials is missing or not what it should be.
pub(super) fn introduce(
    remote: &LeafRemote,
    url: &LeafUrl,
    nonce: &str,
    connect: &mut LeafConnect,
) -> Result<(), CredentialsError> {
    if let Some(path) = &remote.credentials {
        show(path, nonce, connect)?;
    } else if let Some(seed) = &remote.nkey {
        // It was looked at when the configuration was read.
        show_key(seed, nonce, connect);
    }
    if let Some(user) = &url.user {
        connect.user.clone_from(user);
        match &url.password {
            Some(password) => connect.password = Some(Secret(password.clone())),
            None => connect.token = Some(Secret(user.clone())),
        }
    }
    Ok(())
}

/// Says in `connect` who the user of the file at `path` is, and proves it by signing `nonce`.
///
/// # Errors
///
/// When the file is missing or not what it should be.
fn show(path: &Path, nonce: &str, connect: &mut LeafConnect) -> Result<(), CredentialsError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| CredentialsError::Read { path: name.clone(), source })?;
    let mut parts = sections(&text);
    let (Some(jwt), Some(seed)) = (parts.next(), parts.next()) else {
        return Err(CredentialsError::Malformed(name));
    };
    let key = KeyPair::from_seed(seed).map_err(|_| CredentialsError::Seed(name.clone()))?;
    connect.sig = sign(&key, nonce).ok_or(CredentialsError::Seed(name))?;
    connect.jwt = Some(Secret(jwt.to_owned()));
    Ok(())
}

/// Says in `connect` which key signs `nonce`. `false` if `seed` is none.
fn show_key(seed: &str, nonce: &str, connect: &mut LeafConnect) -> bool {
    let Ok(key) = KeyPair::from_seed(seed) else { return false };
    let Some(signature) = sign(&key, nonce) else { return false };
    (connect.nkey, connect.sig) = (key.public_key(), signature);
    true
}

fn sign(key: &KeyPair, nonce: &str) -> Option<String> {
    key.sign(nonce.as_bytes()).ok().map(|signature| BASE64URL_NOPAD.encode(&signature))
}

/// The lines between pairs of lines of dashes.
fn sections(text: &str) -> impl Iterator<Item = &str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let is_border = |line: &str| line.starts_with("---") && line.ends_with("---");
    std::iter::from_fn(move || {
        loop {
            lines.find(|line| is_border(line))?;
            let content = lines.next()?;
            if !is_border(content) && lines.next().is_some_and(is_border) {
                return Some(content);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn what_is_shown_holds() {
        let key = KeyPair::new_user();
        let seed = key.seed().expect("it has one");
        let file = file(&format!(
            "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\n*** KEEP IT SECRET ***\r\n\
             -----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"
        ));
        let mut connect = LeafConnect::default();
        show(file.path(), "nonce", &mut connect).expect("complete");
        assert_eq!(connect.jwt, Some(Secret("a.b.c".into())));
        let signature = BASE64URL_NOPAD.decode(connect.sig.as_bytes()).expect("base64");
        assert!(key.verify(b"nonce", &signature).is_ok());
        let mut connect = LeafConnect::default();
        assert!(show_key(&seed, "nonce", &mut connect));
        assert_eq!(connect.nkey, key.public_key());
        assert!(!show_key("SU", "nonce", &mut connect));
    }

    #[test]
    fn what_is_no_credentials_is_named_and_not_repeated() {
        let shown = |text: &str| {
            let file = file(text);
            show(file.path(), "", &mut LeafConnect::default()).expect_err("refused").to_string()
        };
        let bare = shown("-----BEGIN NATS USER JWT-----\nhidden\n------END NATS USER JWT------\n");
        assert!(bare.contains("holds no credentials") && !bare.contains("hidden"), "{bare}");
        let wrong = shown("---A---\nhidden\n---B---\n---C---\nhidden\n---D---\n");
        assert!(wrong.contains("no seed") && !wrong.contains("hidden"), "{wrong}");
        let missing = show(Path::new("/nowhere"), "", &mut LeafConnect::default()).expect_err("missing").to_string();
        assert!(missing.starts_with("cannot read the credentials in /nowhere"), "{missing}");
    }
}
