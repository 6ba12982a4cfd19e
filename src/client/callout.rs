//! A client on whom somebody else decides: when the server has looked at its credentials, in place of that, or after its token
//! has let it in.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use natsd_auth::jwt::{AnswerError, Attempt, Claims, User as UserClaims, admit_decided, decide};
use natsd_auth::{ConnectionType, User, Verdict};
use natsd_core::connect::{Credentials, Settings};
use tokio::time::Instant;

use super::admission::{Outcome, compare};
use super::token::Granted;
use super::{Client, End};
use crate::callout::{CalloutError, Decider, Question, SignedBy, ask};
use crate::config::options::CalloutOptions;
use crate::hub::Hub;
use crate::link::batch::Batch;
use crate::operators::{Known, Pass, look_up, since_1970};
use crate::zones::SystemZones;

/// An answer that comes at the last moment is waited for yet.
const GRACE: Duration = Duration::from_secs(1);

/// Who a client is, as somebody else decided.
pub(super) struct Decided {
    user: Arc<User>,
    granted: Granted,
    /// In operator mode.
    pass: Option<Arc<Pass>>,
}

/// A client and whom to ask about it.
struct Inquiry {
    hub: Arc<Hub>,
    decider: Decider,
    question: Question,
    deadline: Instant,
    way: ConnectionType,
    host: Option<IpAddr>,
    /// A trusted proxy vouches for it.
    by_proxy: bool,
    /// Who it says it is.
    claimed: String,
}

impl Client {
    /// Has somebody decide on a client that `verdict` is about, unless it is one of those who decide.
    pub(super) fn authenticate_by_callout(
        &mut self,
        options: Arc<CalloutOptions>,
        verdict: Verdict,
        given: &Credentials,
        settings: Box<Settings>,
        about: String,
    ) {
        let signer = SignedBy::Key(options.issuer.clone());
        let decider = Decider { account: options.account.clone(), xkey: options.xkey.clone(), signer };
        let inquiry = self.inquiry(decider, given, &settings);
        let until = inquiry.deadline + GRACE;
        let outcome = async move {
            let user = match verdict {
                Verdict::Admitted(user) => Some(user),
                Verdict::Refused => None,
                Verdict::Slow(check) => compare(inquiry.hub.clone(), check).await,
            };
            if user.as_ref().is_some_and(|user| !inquiry.by_proxy && user.proxy_required) {
                return Outcome::User(user);
            }
            let name = user.as_ref().map_or(inquiry.claimed.as_str(), |user| &user.name);
            if options.decides_on(name, user.as_ref().map(|user| &*user.account)) {
                let decided = inquiry.decide(&options).await;
                inquiry.outcome(decided)
            } else {
                Outcome::User(user)
            }
        };
        self.wait_for(outcome, settings, about, Some(until.into_std()));
    }

    /// Has somebody decide on a client that came with a token of `account`, which wants that.
    pub(super) fn wait_for_decision(
        &mut self,
        account: Arc<Known>,
        given: &Credentials,
        settings: Box<Settings>,
        about: String,
    ) {
        let xkey = Some(account.claims.body.authorization.xkey.clone()).filter(|xkey| !xkey.is_empty());
        let (key, signer) = (account.key().to_owned(), SignedBy::Account(account.clone()));
        let inquiry = self.inquiry(Decider { account: key, xkey, signer }, given, &settings);
        let until = inquiry.deadline + GRACE;
        let outcome = async move {
            let decided = inquiry.decide_for(&account).await;
            inquiry.outcome(decided)
        };
        self.wait_for(outcome, settings, about, Some(until.into_std()));
    }

    fn inquiry(&self, decider: Decider, given: &Credentials, settings: &Settings) -> Inquiry {
        let websocket = self.link.is_websocket();
        let timeout = self.hub.options().access(websocket).timeout;
        Inquiry {
            hub: self.hub.clone(),
            decider,
            question: Question::new(&self.link, given, settings, &self.claimed, &self.admission.nonce()),
            deadline: Instant::now() + timeout,
            way: if websocket { ConnectionType::Websocket } else { ConnectionType::Standard },
            host: self.link.peer().host().parse().ok(),
            by_proxy: self.is_proxied(),
            claimed: self.claimed.to_string(),
        }
    }

    /// Lets a client in as somebody decided.
    pub(super) fn admit_as_decided(
        &mut self,
        decided: Decided,
        settings: Box<Settings>,
        batch: &mut Batch,
    ) -> Result<(), End> {
        self.link.decided.store(true, Relaxed);
        self.granted = decided.granted;
        self.link.pass.store(decided.pass);
        self.admit(decided.user)?;
        self.adopt_limits();
        self.settle(settings, batch)
    }
}

impl Inquiry {
    fn outcome(self, decided: Result<Decided, CalloutError>) -> Outcome {
        Outcome::Decided(decided.map(Box::new).map_err(|problem| (self.decider.account, problem)))
    }

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
    async fn decide(&self, options: &CalloutOptions) -> Result<Decided, CalloutError> {
        let claims = self.asked().await?;
        let decision = decide(&claims, &options.issuer, &self.attempt())?;
        if self.hub.accounts.get(decision.user.account.as_bytes()).is_none() {
            return Err(CalloutError::Account(decision.user.account.to_string()));
        }
        let user = self.titled(decision.user, &decision.name);
        Ok(Decided { user, granted: Granted::until_time(decision.ends), pass: None })
    }

    /// Decided as an operator's account wants.
    async fn decide_for(&self, account: &Arc<Known>) -> Result<Decided, CalloutError> {
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
        // The client itself never had the token.
        let pass = Pass { token: String::new(), admission, account: target };
        Ok(Decided { user, granted: Granted::new(&pass), pass: Some(Arc::new(pass)) })
    }

    /// The user under the name that it is to have, or that the client said. In the account of those who decide it asks nobody.
    fn titled(&self, user: User, name: &str) -> Arc<User> {
        let name = [name, &self.claimed, &user.name].into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let mut user = User { name: name.to_owned(), ..user };
        if *user.account == *self.decider.account {
            user.deny_questions();
        }
        Arc::new(user)
    }
}
