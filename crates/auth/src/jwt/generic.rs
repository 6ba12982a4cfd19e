//! Claims of no particular kind.

use serde_json::{Map, Value};

use super::claims::Registered;
use super::token::{Envelope, TokenError};

/// A token of any kind, or of none.
#[derive(Clone, Debug, PartialEq)]
pub struct Generic {
    /// What all claims have.
    pub registered: Registered,
    /// The rest, as written.
    pub data: Map<String, Value>,
}

impl Generic {
    /// Reads a token and checks its signature; its algorithm tells what was signed.
    ///
    /// # Errors
    ///
    /// If it is malformed, or not signed by its issuer.
    pub fn decode(token: &str) -> Result<Self, TokenError> {
        let envelope = Envelope::open(token, false)?;
        envelope.verify(envelope.old_algorithm)?;
        let data = match envelope.json.get("nats") {
            Some(Value::Object(data)) => data.clone(),
            None | Some(Value::Null) => Map::new(),
            Some(_) => return Err(TokenError::Json("nats is no JSON object".to_owned())),
        };
        Ok(Self { registered: envelope.registered, data })
    }
}
