//! `CONNECT`: what a client says of itself.

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
}

/// Why a `CONNECT` ends the connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It is not JSON, or a field has another type than it should.
    #[error("CONNECT of a client is malformed: {0}")]
    Malformed(#[from] serde_json::Error),
    /// It asks for what it cannot have.
    #[error("CONNECT of a client is refused: {0}")]
    Refused(ClientError),
}

impl Settings {
    /// Changes what the JSON of a `CONNECT` names. `server_headers` is whether this server has headers at all.
    ///
    /// # Errors
    ///
    /// The connection must then be closed, after `-ERR` if the error carries one.
    pub fn apply(&mut self, json: &[u8], server_headers: bool) -> Result<(), ConnectError> {
        let fields: Fields = serde_json::from_slice(json)?;
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
        if !(0..=1).contains(&self.protocol) {
            return Err(ConnectError::Refused(ClientError::InvalidProtocol));
        }
        if fields.account.is_some_and(|account| !account.is_empty()) || fields.new_account == Some(true) {
            return Err(ConnectError::Refused(ClientError::Authorization));
        }
        self.headers &= server_headers;
        if self.no_responders && !self.headers {
            return Err(ConnectError::Refused(ClientError::NoRespondersWithoutHeaders));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(json: &str) -> Result<Settings, ConnectError> {
        let mut settings = Settings::default();
        settings.apply(json.as_bytes(), true).map(|()| settings)
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
