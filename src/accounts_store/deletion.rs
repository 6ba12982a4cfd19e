//! An operator's wish that accounts be deleted.

use natsd_auth::jwt::{Generic, KeyKind, TokenError, Trust};
use serde_json::Value;

/// Why nothing is deleted; in the words of nats-server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeletionError {
    /// Not a token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Signed for somebody else.
    #[error("not self signed")]
    NotSelfSigned,
    /// By nobody who may.
    #[error("not trusted")]
    NotTrusted,
    /// No list of accounts.
    #[error("malformed request")]
    Malformed,
    /// The servers could not speak with each other.
    #[error("not allowed to delete system account")]
    SystemAccount,
}

/// The accounts that `message`, a token that an operator's key signed about itself, asks to delete.
///
/// # Errors
///
/// If it is no such token, or one of them is `system_account`.
pub fn deletions(message: &str, trust: &Trust, system_account: &str) -> Result<Vec<String>, DeletionError> {
    let request = Generic::decode(message)?;
    if request.registered.subject != request.registered.issuer {
        return Err(DeletionError::NotSelfSigned);
    }
    if !trust.believes(&request.registered.issuer) {
        return Err(DeletionError::NotTrusted);
    }
    let accounts = request.data.get("accounts").and_then(Value::as_array).ok_or(DeletionError::Malformed)?;
    let account = |entry: &Value| match entry.as_str().filter(|key| KeyKind::Account.is(key)) {
        None => Err(DeletionError::Malformed),
        Some(key) if key == system_account => Err(DeletionError::SystemAccount),
        Some(key) => Ok(key.to_owned()),
    };
    accounts.iter().map(account).collect()
}
