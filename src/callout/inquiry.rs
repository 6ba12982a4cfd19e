//! One client, or leaf node, on whom somebody else decides.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use natsd_auth::jwt::{AnswerError, Attempt, Claims, User as UserClaims, admit_decided, decide};
use natsd_auth::{ConnectionType, User};
use tokio::time::Instant;

use super::{CalloutError, Decider, Question, SignedBy, ask};
use crate::config::options::CalloutOptions;
use crate::hub::Hub;
use crate::operators::{Known, Pass, look_up, since_1970};
use crate::zones::SystemZones;

/// Somebody, and whom to ask about it.
pub(crate) struct Inquiry {
    pub hub: Arc<Hub>,
    pub decider: Decider,
    pub question: Question,
    /// Until when is waited for an answer.
    pub deadline: Instant,
    pub way: ConnectionType,
    pub host: Option<IpAddr>,
    /// A trusted proxy vouches for it.
    pub by_proxy: bool,
    /// Who it says it is.
    pub claimed: String,
}

/// Who somebody is, as somebody else decided.
pub(crate) struct Decided {
    pub user: Arc<User>,
    /// When the connection ends, in time since 1970, if `pass` does not say.
    pub ends: Option<Duration>,
    /// In operator mode.
    pub pass: Option<Arc<Pass>>,
}

impl Decider {
    /// Whom the configuration names.
    pub(crate) fn configured(options: &CalloutOptions) -> Self {
        let signer = SignedBy::Key(options.issuer.clone());
        Self { account: options.account.clone(), xkey: options.xkey.clone(), signer }
    }

    /// Whom an operator's account wants to be asked.
    pub(crate) fn of_account(account: &Arc<Known>) -> Self {
        let xkey = Some(account.claims.body.authorization.xkey.clone()).filter(|xkey| !xkey.is_empty());
        Self { account: account.key().to_owned(), xkey, signer: SignedBy::Account(account.clone()) }
    }
}

impl Inquiry {
    async fn asked(&self) -> Result<Claims<UserClaims>, CalloutError> {
        ask(&self.hub, &self.decider, &self.question, self.deadline).await
    }

    fn attempt(&self) -> Attempt<'static> {
        Attempt {
            signature: "",
            nonce: "",
            way: self.way,
            host: self.host,
            by_proxy: self.by_proxy,
            pinned: None,
            now: since_1970(),
            zones: &SystemZones,
        }
    }

    /// Decided as the configuration wants.
    ///
    /// # Errors
    ///
    /// If nobody decides in time, or against it.
    pub(crate) async fn decide(&self, options: &CalloutOptions) -> Result<Decided, CalloutError> {
        let claims = self.asked().await?;
        let decision = decide(&claims, &options.issuer, &self.attempt())?;
        if self.hub.accounts.get(decision.user.account.as_bytes()).is_none() {
            return Err(CalloutError::Account(decision.user.account.to_string()));
        }
        let user = self.titled(decision.user, &decision.name);
        Ok(Decided { user, ends: decision.ends, pass: None })
    }

    /// Decided as an operator's account wants.
    ///
    /// # Errors
    ///
    /// As [`decide`](Self::decide).
    pub(crate) async fn decide_for(&self, account: &Arc<Known>) -> Result<Decided, CalloutError> {
        let claims = self.asked().await?;
        let target = claims.account();
        account.claims.body.authorization.check_placement(account.key(), target)?;
        let found = look_up(self.hub.clone(), target.to_owned()).await;
        let target = found.ok_or_else(|| CalloutError::Account(target.to_owned()))?;
        let Some(operators) = self.hub.operators.get() else { return Err(CalloutError::Account(target.key().into())) };
        let admitted = admit_decided(&claims, &target.claims, &operators.trust, &self.attempt());
        let admission = admitted.map_err(|refusal| CalloutError::from(AnswerError::from(refusal)))?;
        let user = User { account: admission.account.as_str().into(), ..admission.user.clone() };
        let user = self.titled(user, &admission.name);
        // The one on whom was decided never had the token.
        let pass = Pass { token: String::new(), admission, account: target };
        Ok(Decided { user, ends: None, pass: Some(Arc::new(pass)) })
    }

    /// The user under the name that it is to have, or that was said. In the account of those who decide it asks nobody.
    fn titled(&self, user: User, name: &str) -> Arc<User> {
        let name = [name, &self.claimed, &user.name].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let mut user = User { name: name.to_owned(), ..user };
        if *user.account == *self.decider.account {
            user.deny_questions();
        }
        Arc::new(user)
    }
}
