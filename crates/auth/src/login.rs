//! A name and a password where there is only one of each.

use data_encoding::BASE64;
use subtle::ConstantTimeEq;

use crate::Secret;

/// Who may see something over HTTP, or make a route. Prints without the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    user: String,
    password: Secret,
}

impl Login {
    /// The password in plain, or as a bcrypt hash.
    pub fn new(user: &str, password: &str) -> Self {
        Self { user: user.to_owned(), password: Secret::new(password) }
    }

    /// Whether these are the name and the password. A wrong name takes the same time as a wrong password; with a hash
    /// that may be seconds.
    pub fn verify(&self, user: &str, password: &str) -> bool {
        let right_user: bool = self.user.as_bytes().ct_eq(user.as_bytes()).into();
        right_user & self.password.verify(password)
    }

    /// Whether the value of a header `Authorization` is that of Basic authentication with this name and password.
    /// As slow as [`verify`](Self::verify).
    pub fn admits(&self, authorization: &str) -> bool {
        const NOBODY: (String, String) = (String::new(), String::new());
        let (user, password) = credentials(authorization).unwrap_or(NOBODY);
        // An empty pair may be what is wanted, but not what nothing means.
        self.verify(&user, &password) & !authorization.is_empty()
    }

    /// Whether [`verify`](Self::verify) takes long.
    pub fn is_hashed(&self) -> bool {
        self.password.is_hashed()
    }
}

/// Name and password of `Basic dXNlcjpwYXNz`.
fn credentials(authorization: &str) -> Option<(String, String)> {
    let (scheme, encoded) = authorization.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64.decode(encoded.trim_start().as_bytes()).ok()?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(text: &str) -> String {
        format!("Basic {}", BASE64.encode(text.as_bytes()))
    }

    #[test]
    fn only_name_and_password_are_let_in() {
        let login = Login::new("me", "a:b");
        for right in [basic("me:a:b"), basic("me:a:b").replace("Basic ", "bASIC   ")] {
            assert!(login.admits(&right), "{right}");
        }
        let none = String::new();
        for wrong in [basic("me:a"), basic("m:a:b"), basic("me"), basic(":"), none, "Basic".into(), "Basic !".into()] {
            assert!(!login.admits(&wrong), "{wrong}");
        }
        assert!(!login.admits(&basic("me:a:b").replace("Basic", "Bearer")));
    }

    #[test]
    fn name_and_password_both_have_to_be_right() {
        let login = Login::new("me", "p");
        assert!(login.verify("me", "p"));
        assert!(!login.verify("me", "q") && !login.verify("m", "p") && !login.verify("", ""));
    }

    #[test]
    fn empty_credentials_are_still_credentials() {
        let login = Login::new("", "");
        assert!(login.admits(&basic(":")) && !login.admits(""));
    }

    #[test]
    fn hashes_hold_and_nothing_shows() {
        let login = Login::new("me", &bcrypt::hash("s3cret", 4).unwrap());
        assert!(login.is_hashed() && login.admits(&basic("me:s3cret")) && !login.admits(&basic("me:other")));
        assert!(!format!("{:?}", Login::new("me", "s3cret")).contains("s3cret"));
    }
}
