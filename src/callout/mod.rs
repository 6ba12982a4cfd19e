//! Auth callout: somebody who listens in an account decides, in place of the server, who a client or a leaf node is and what
//! it may do.
//!
//! [`ask`] sends the question and reads the answer; what is believed of it is in `natsd_auth::jwt`, and who is asked about, in
//! `client::callout` and
//! `leaf::admission`.

mod inquiry;
mod question;

use std::sync::Arc;
use std::time::Duration;

use natsd_auth::jwt::{AnswerError, CALLOUT_SUBJECT, Claims, Expected, Signer, User, read_answer};
use nkeys::{KeyPair, XKey};
use tokio::time::{Instant, timeout_at};

use crate::hub::Hub;
use crate::operators::{Known, seconds};
use crate::post::{Post, deliveries};
use crate::server::identity::unique_id;
pub(crate) use inquiry::{Decided, Inquiry};
pub(crate) use question::Question;

/// Names the key that an encrypted question was encrypted with.
const XKEY_HEADER: &str = "Nats-Server-Xkey";
/// Bytes that may come in answer to a question.
const MAX_ANSWERS: usize = 1 << 20;
/// Every token begins like this; what does not is encrypted.
const TOKEN_START: &[u8] = b"eyJ";

/// Whom a server asks.
#[derive(Clone)]
pub(crate) struct Decider {
    /// The account in which it listens.
    pub account: String,
    /// Its key for encrypted questions.
    pub xkey: Option<String>,
    pub signer: SignedBy,
}

/// Who signs its answers.
#[derive(Clone)]
pub(crate) enum SignedBy {
    /// A key of the configuration.
    Key(String),
    /// The account, which an operator vouches for, or one of its keys.
    Account(Arc<Known>),
}

impl SignedBy {
    fn signer(&self) -> Signer<'_> {
        match self {
            Self::Key(key) => Signer::Key(key),
            Self::Account(known) => Signer::Account(&known.claims),
        }
    }

    /// Whom a question is about, by name.
    fn name(&self) -> &str {
        match self {
            Self::Key(key) => key,
            Self::Account(known) => known.key(),
        }
    }
}

/// Why somebody is not let in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CalloutError {
    #[error("No valid account {0:?} for auth callout request")]
    Account(String),
    #[error("Nobody listens to {CALLOUT_SUBJECT} in account {0:?}: start the auth service, or remove auth_callout")]
    Nobody(String),
    #[error("Error encrypting auth callout request for {0:?}")]
    Encrypt(String),
    #[error("Error encoding auth request claim: {0}")]
    Encode(#[from] natsd_auth::jwt::EncodeError),
    #[error("Authorization callout response not received in time on account {0:?}")]
    Late(String),
    #[error("Error decrypting auth callout response on account {0:?}")]
    Decrypt(String),
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

/// Asks who a client is, until `deadline`.
///
/// # Errors
///
/// If nobody answers, or the client is refused.
pub(crate) async fn ask(
    hub: &Arc<Hub>,
    decider: &Decider,
    question: &Question,
    deadline: Instant,
) -> Result<Claims<User>, CalloutError> {
    let account = || decider.account.clone();
    let found = hub.accounts.get(decider.account.as_bytes()).ok_or_else(|| CalloutError::Account(account()))?;
    let user = KeyPair::new_user().public_key();
    let inbox = format!("$SYS._INBOX.{}.{}", &hub.identity.id[1..9], unique_id());
    let mut post = Post::open(hub.clone(), found, MAX_ANSWERS);
    post.subscribe(&inbox);
    if !post.has_audience(CALLOUT_SUBJECT) {
        return Err(CalloutError::Nobody(account()));
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let token = question.token(hub, decider, &user, seconds() + whole_seconds(left))?;
    send(hub, &post, decider, &inbox, &token)?;
    let answer = timeout_at(deadline, post.next()).await.ok().flatten();
    let answer = answer.ok_or_else(|| CalloutError::Late(account()))?;
    let first = deliveries(&answer).next().map(|delivery| delivery.payload).unwrap_or_default();
    let (answer, encrypted) = opened(hub, decider, first)?;
    let signer = Some(decider.signer.signer()).filter(|_| !encrypted);
    let expected = Expected { user: &user, server: &hub.identity.id, signer };
    Ok(read_answer(&String::from_utf8_lossy(&answer), &expected, seconds())?)
}

fn whole_seconds(left: Duration) -> i64 {
    i64::try_from(left.as_secs()).unwrap_or(i64::MAX / 2) + 1
}

fn send(hub: &Hub, post: &Post, decider: &Decider, inbox: &str, token: &str) -> Result<(), CalloutError> {
    let Some(xkey) = &decider.xkey else {
        post.publish(CALLOUT_SUBJECT, Some(inbox), token);
        return Ok(());
    };
    let refused = |_| CalloutError::Encrypt(xkey.clone());
    let theirs = XKey::from_public_key(xkey).map_err(refused)?;
    let sealed = hub.identity.keys.curve.seal(token.as_bytes(), &theirs).map_err(refused)?;
    let header = format!("NATS/1.0\r\n{XKEY_HEADER}: {}\r\n\r\n", hub.identity.xkey);
    post.publish_bytes(CALLOUT_SUBJECT, Some(inbox), header.as_bytes(), &sealed);
    Ok(())
}

/// An answer in plain, and whether it came encrypted.
fn opened(hub: &Hub, decider: &Decider, answer: &[u8]) -> Result<(Vec<u8>, bool), CalloutError> {
    let xkey = decider.xkey.as_ref().filter(|_| !answer.is_empty() && !answer.starts_with(TOKEN_START));
    let Some(xkey) = xkey else { return Ok((answer.to_vec(), false)) };
    let refused = |_| CalloutError::Decrypt(decider.account.clone());
    let theirs = XKey::from_public_key(xkey).map_err(refused)?;
    Ok((hub.identity.keys.curve.open(answer, &theirs).map_err(refused)?, true))
}
