//! `CONNECT`: what a client says of itself.

use std::fmt;

use serde::Deserialize;
use thiserror::Error;

use crate::error::ClientError;

/// The settings of a connection. Each `CONNECT` changes only the fields it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `+OK` is sent for each operation.
    pub verbose: bool,
    /// Odd subjects to publish to are told.
    pub pedantic: bool,
    /// The client gets what it publishes itself.
    pub echo: bool,
    /// The client understands headers.
    pub headers: bool,
    /// The client wants to hear when nobody takes a request.
    pub no_responders: bool,
    /// 1 if `INFO` may come at any time.
    pub protocol: i64,
    /// Name of the client.
    pub name: String,
    /// Language of its library.
    pub lang: String,
    /// Version of its library.
    pub version: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            verbose: true,
            pedantic: true,
            echo: true,
            headers: false,
            no_responders: false,
            protocol: 0,
            name: String::new(),
            lang: String::new(),
            version: String::new(),
        }
    }
}

/// What a client proves with who it is. Never prints its secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// `user`.
    pub user: String,
    /// `pass`.
    pub password: String,
    /// `auth_token`.
    pub token: String,
    /// `nkey`, a public key.
    pub nkey: String,
    /// `sig`, of the nonce with that key.
    pub signature: String,
    /// `jwt`, that says who a user is.
    pub jwt: String,
    /// `proxy_sig`, of the nonce with the key of a proxy.
    pub proxy_signature: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("nkey", &self.nkey).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Fields {
    verbose: Option<bool>,
    pedantic: Option<bool>,
    echo: Option<bool>,
    headers: Option<bool>,
    no_responders: Option<bool>,
    protocol: Option<i64>,
    name: Option<String>,
    lang: Option<String>,
    version: Option<String>,
    account: Option<String>,
    new_account: Option<bool>,
    user: Option<String>,
    pass: Option<String>,
    auth_token: Option<String>,
    nkey: Option<String>,
    sig: Option<String>,
    jwt: Option<String>,
    proxy_sig: Option<String>,
}

/// Why a `CONNECT` ends the connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It is not JSON, or a field has another type than it should. What is there may be a secret and is not repeated.
    #[error("CONNECT of a client is malformed at column {}: {:?} error", .0.column(), .0.classify())]
    Malformed(serde_json::Error),
    /// It asks for what it cannot have.
    #[error("CONNECT of a client is refused: {0}")]
    Refused(ClientError),
}

impl Settings {
    /// Changes what the JSON of a `CONNECT` names, and gives the credentials in it, which are not kept. Whether all that is
    /// possible [`check`](Self::check) tells, after the credentials were found to be good.
    ///
    /// # Errors
    ///
    /// The connection must then be closed.
    pub fn apply(&mut self, json: &[u8]) -> Result<Credentials, ConnectError> {
        let fields: Fields = serde_json::from_slice(json).map_err(ConnectError::Malformed)?;
        let set = |to: &mut bool, from: Option<bool>| *to = from.unwrap_or(*to);
        set(&mut self.verbose, fields.verbose);
        set(&mut self.pedantic, fields.pedantic);
        set(&mut self.echo, fields.echo);
        set(&mut self.headers, fields.headers);
        set(&mut self.no_responders, fields.no_responders);
        self.protocol = fields.protocol.unwrap_or(self.protocol);
        for (to, from) in
            [(&mut self.name, fields.name), (&mut self.lang, fields.lang), (&mut self.version, fields.version)]
        {
            if let Some(from) = from {
                *to = from;
            }
        }
        if fields.account.is_some_and(|account| !account.is_empty()) || fields.new_account == Some(true) {
            return Err(ConnectError::Refused(ClientError::Authorization));
        }
        Ok(Credentials {
            user: fields.user.unwrap_or_default(),
            password: fields.pass.unwrap_or_default(),
            token: fields.auth_token.unwrap_or_default(),
            nkey: fields.nkey.unwrap_or_default(),
            signature: fields.sig.unwrap_or_default(),
            jwt: fields.jwt.unwrap_or_default(),
            proxy_signature: fields.proxy_sig.unwrap_or_default(),
        })
    }

    /// Checks that the server can do what the client wants. `server_headers` is whether this server has headers at all.
    ///
    /// # Errors
    ///
    /// The connection must then be closed, after `-ERR`.
    pub fn check(&mut self, server_headers: bool) -> Result<(), ClientError> {
        if !(0..=1).contains(&self.protocol) {
            return Err(ClientError::InvalidProtocol);
        }
        self.headers &= server_headers;
        if self.no_responders && !self.headers {
            return Err(ClientError::NoRespondersWithoutHeaders);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(json: &str) -> Result<Settings, ConnectError> {
        let mut settings = Settings::default();
        settings.apply(json.as_bytes())?;
        settings.check(true).map_err(ConnectError::Refused)?;
        Ok(settings)
    }

    #[test]
    fn credentials_are_read_and_do_not_print_their_secrets() {
        let json = r#"{"user":"u","pass":"secret1","auth_token":"secret2","nkey":"U","sig":"S"}"#;
        let given = Settings::default().apply(json.as_bytes()).unwrap();
        assert_eq!((&*given.user, &*given.password, &*given.token), ("u", "secret1", "secret2"));
        assert_eq!((&*given.nkey, &*given.signature), ("U", "S"));
        assert!(!format!("{given:?}").contains("secret"));
        let wrong = Settings::default().apply(br#"{"pass":20260101}"#).unwrap_err().to_string();
        assert!(!wrong.contains("2026"), "{wrong}");
    }

    #[test]
    fn only_what_is_named_changes() {
        let settings = apply(r#"{"verbose":false,"lang":"go","unknown":[1]}"#).unwrap();
        assert_eq!(settings, Settings { verbose: false, lang: "go".into(), ..Settings::default() });
        assert_eq!(apply("{}").unwrap(), Settings::default());
    }

    #[test]
    fn the_impossible_is_refused() {
        let refusal = |json| match apply(json) {
            Err(ConnectError::Refused(error)) => error,
            other => panic!("{other:?}"),
        };
        assert_eq!(refusal(r#"{"protocol":2}"#), ClientError::InvalidProtocol);
        assert_eq!(refusal(r#"{"protocol":-1}"#), ClientError::InvalidProtocol);
        assert_eq!(refusal(r#"{"account":"X"}"#), ClientError::Authorization);
        assert_eq!(refusal(r#"{"no_responders":true}"#), ClientError::NoRespondersWithoutHeaders);
        assert!(matches!(apply("{bad"), Err(ConnectError::Malformed(_))));
        assert!(matches!(apply(""), Err(ConnectError::Malformed(_))));
    }
}
