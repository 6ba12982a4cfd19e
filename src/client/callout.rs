//! A client on whom somebody else decides: when the server has looked at its credentials, in place of that, or after its token
//! has let it in.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use natsd_auth::{ConnectionType, Verdict};
use natsd_core::connect::{Credentials, Settings};
use tokio::time::Instant;

use super::admission::{Outcome, compare};
use super::token::Granted;
use super::{Client, End};
use crate::callout::{CalloutError, Decided, Decider, Inquiry, Question};
use crate::config::options::CalloutOptions;
use crate::link::batch::Batch;
use crate::operators::Known;

/// An answer that comes at the last moment is waited for yet.
const GRACE: Duration = Duration::from_secs(1);

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
        let inquiry = self.inquiry(Decider::configured(&options), given, &settings);
        let until = inquiry.deadline + GRACE;
        let waited = async move {
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
                outcome(inquiry.decider, decided)
            } else {
                Outcome::User(user)
            }
        };
        self.wait_for(waited, settings, about, Some(until.into_std()));
    }

    /// Has somebody decide on a client that came with a token of `account`, which wants that.
    pub(super) fn wait_for_decision(
        &mut self,
        account: Arc<Known>,
        given: &Credentials,
        settings: Box<Settings>,
        about: String,
    ) {
        let inquiry = self.inquiry(Decider::of_account(&account), given, &settings);
        let until = inquiry.deadline + GRACE;
        let waited = async move {
            let decided = inquiry.decide_for(&account).await;
            outcome(inquiry.decider, decided)
        };
        self.wait_for(waited, settings, about, Some(until.into_std()));
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
        self.granted = match &decided.pass {
            Some(pass) => Granted::new(pass),
            None => Granted::until_time(decided.ends),
        };
        self.link.pass.store(decided.pass);
        self.admit(decided.user)?;
        self.adopt_limits();
        self.settle(settings, batch)
    }
}

/// What a client waits for, of whom `decider` was asked.
fn outcome(decider: Decider, decided: Result<Decided, CalloutError>) -> Outcome {
    Outcome::Decided(decided.map(Box::new).map_err(|problem| (decider.account, problem)))
}
