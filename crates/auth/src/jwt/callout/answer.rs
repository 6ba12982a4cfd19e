//! Whether an answer is believed, and who the client is then.

use std::sync::Arc;
use std::time::Duration;

use super::super::account::{Account, ExternalAuthorization};
use super::super::admission::{Attempt, Refusal, decided};
use super::super::claims::Claims;
use super::super::issues::Issues;
use super::super::token::TokenError;
use super::super::user::User;
use super::AuthorizationResponse;

/// What an answer has to be.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The public key of a user that was made for this question alone.
    pub user: &'a str,
    /// The public key of the server that asked.
    pub server: &'a str,
    /// Who signs answers; `None` if this one came encrypted, which nobody else can do.
    pub signer: Option<Signer<'a>>,
}

/// Who signs answers.
#[derive(Clone, Copy, Debug)]
pub enum Signer<'a> {
    /// This key, of an account.
    Key(&'a str),
    /// This account, or one of its signing keys.
    Account(&'a Claims<Account>),
}

impl Signer<'_> {
    fn check(&self, answer: &Claims<AuthorizationResponse>) -> Result<(), AnswerError> {
        let (issuer, of) = (&answer.registered.issuer, &answer.body.issuer_account);
        let known = match self {
            Self::Key(key) => issuer == key,
            Self::Account(account) if !of.is_empty() && *of != account.registered.subject => {
                return Err(AnswerError::OtherAccount(of.clone()));
            }
            Self::Account(account) => {
                *issuer == account.registered.subject || account.body.signing_keys.contains(issuer)
            }
        };
        if known { Ok(()) } else { Err(AnswerError::UnknownSigner) }
    }
}

/// Why an answer does not let a client in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is empty.
    #[error("Auth callout violation: no reason supplied")]
    Empty,
    /// Not the token of an answer, or of a user.
    #[error("Auth callout response not valid: {0}")]
    Token(#[from] TokenError),
    /// It says what cannot be.
    #[error("Authorization response had validation errors: {0}")]
    Invalid(Issues),
    /// An answer to another question.
    #[error("Auth callout violation: auth callout response is not for expected user")]
    OtherUser,
    /// An answer to another server.
    #[error("Auth callout violation: auth callout response is not for server")]
    OtherServer,
    /// The token of another user.
    #[error("Expected authorized user of {expected:?} but got {found:?}")]
    NotTheUser {
        /// As asked for.
        expected: String,
        /// As in the token.
        found: String,
    },
    /// Signed by somebody else.
    #[error("Auth callout signing key is unknown")]
    UnknownSigner,
    /// Signed on behalf of somebody else.
    #[error("Auth callout response issuer account {0:?} is not the callout account")]
    OtherAccount(String),
    /// The client is refused.
    #[error("Auth callout service returned an error: {0}")]
    Refused(String),
    /// The token of the user says what cannot be.
    #[error("Error validating user JWT: {0}")]
    InvalidUser(Issues),
    /// The token of the user names an account where there are no operators.
    #[error("Error non operator mode: attempted to use issuer_account")]
    IssuerAccount,
    /// The token of the user is signed by somebody else.
    #[error("Wrong issuer for auth callout response, expected {expected:?} got {found:?}")]
    WrongIssuer {
        /// As configured.
        expected: String,
        /// As in the token.
        found: String,
    },
    /// An account that others cannot be put into.
    #[error("Account {0:?} not permitted as valid account option for auth callout")]
    NotAllowed(String),
    /// The user may not connect like this.
    #[error(transparent)]
    User(#[from] Refusal),
}

/// Reads an answer that came at `now`, in seconds since 1970.
///
/// # Errors
///
/// If it is not to be believed, or refuses the client.
pub fn read_answer(answer: &str, expected: &Expected<'_>, now: i64) -> Result<Claims<User>, AnswerError> {
    if answer.is_empty() {
        return Err(AnswerError::Empty);
    }
    let answer = Claims::<AuthorizationResponse>::decode(answer)?;
    let issues = answer.check(now);
    if !issues.is_empty() {
        return Err(AnswerError::Invalid(issues));
    }
    if answer.registered.subject != expected.user {
        return Err(AnswerError::OtherUser);
    }
    if answer.registered.audience != expected.server {
        return Err(AnswerError::OtherServer);
    }
    if let Some(signer) = expected.signer {
        signer.check(&answer)?;
    }
    if !answer.body.error.is_empty() {
        return Err(AnswerError::Refused(answer.body.error));
    }
    let user = Claims::<User>::decode(&answer.body.jwt)?;
    let issues = user.check(now);
    if !issues.is_empty() {
        return Err(AnswerError::InvalidUser(issues));
    }
    if user.registered.subject != expected.user {
        let (expected, found) = (expected.user.to_owned(), user.registered.subject);
        return Err(AnswerError::NotTheUser { expected, found });
    }
    Ok(user)
}

/// What a client is held to that somebody decided on, without an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// It, in its account, under its public key.
    pub user: crate::User,
    /// What it is called from now on; may be empty.
    pub name: String,
    /// When the connection has to end, since 1970.
    pub ends: Option<Duration>,
}

/// What the token of a user says that `issuer` alone signs; the account is its audience.
///
/// # Errors
///
/// If somebody else signed it, or the user may not connect like this.
pub fn decide(user: &Claims<User>, issuer: &str, attempt: &Attempt<'_>) -> Result<Decision, AnswerError> {
    if !user.body.issuer_account.is_empty() {
        return Err(AnswerError::IssuerAccount);
    }
    if user.registered.issuer != issuer {
        let (expected, found) = (issuer.to_owned(), user.registered.issuer.clone());
        return Err(AnswerError::WrongIssuer { expected, found });
    }
    let (mut of_directory, ends) = decided(user, &user.body.limits, attempt)?;
    of_directory.account = user.registered.audience.as_str().into();
    of_directory.permissions = user.body.limits.permissions.rules().map_err(Refusal::from)?.map(Arc::new);
    Ok(Decision { user: of_directory, name: user.registered.name.clone(), ends })
}

impl ExternalAuthorization {
    /// Whether somebody decides on `user`, by its public key.
    pub fn decides_on(&self, user: &str) -> bool {
        !self.auth_users.is_empty() && !self.auth_users.iter().any(|own| own == user)
    }

    /// Whether who decides for the account `own` may put clients into `account`.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn check_placement(&self, own: &str, account: &str) -> Result<(), AnswerError> {
        let anywhere = self.allowed_accounts == ["*"];
        if anywhere || own == account || self.allowed_accounts.iter().any(|allowed| allowed == account) {
            Ok(())
        } else {
            Err(AnswerError::NotAllowed(account.to_owned()))
        }
    }
}
