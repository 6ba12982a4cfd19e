//! Who the client is, where clients have to say it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use data_encoding::BASE64URL_NOPAD;
use natsd_auth::{Certificate, SlowCheck, User, Verdict};
use natsd_core::connect::{Credentials, Settings};
use natsd_core::error::{ClientError, CloseReason};

use super::token::{Granted, Visitor};
use super::{Client, End};
use crate::callout::{CalloutError, Decided};
use crate::hub::Hub;
use crate::link::batch::Batch;
use crate::operators::Known;

/// Bytes of a nonce, before they become text.
const NONCE: usize = 11;

/// Whether a client is in.
pub(super) struct Admission {
    state: State,
    /// What a key has to sign; empty if there are no keys.
    nonce: String,
}

enum State {
    In,
    /// It has to say `CONNECT` until then.
    Due(Instant),
    /// Its password is compared; what it sends meanwhile waits, until then.
    Checking(Box<Checking>, Instant),
}

struct Checking {
    outcome: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    settings: Box<Settings>,
    /// Who it says it is, for the log.
    about: String,
}

/// What a client waited for.
pub(super) enum Outcome {
    /// Whose its password is.
    User(Option<Arc<User>>),
    /// The account of the user that it says it is.
    Account(Option<Arc<Known>>, Box<Visitor>),
    /// What somebody else decided, or in which account nobody did and why.
    Decided(Result<Box<Decided>, (String, CalloutError)>),
}

impl Admission {
    pub(super) fn new(hub: &Hub, websocket: bool, now: Instant) -> Self {
        let options = hub.options();
        let access = options.access(websocket);
        let operated = hub.operators.get().is_some();
        let state = if access.is_open() && !operated { State::In } else { State::Due(now + access.timeout) };
        let signs = access.directory.needs_nonce() || operated || !options.proxies.is_empty();
        let nonce = if signs { new_nonce() } else { String::new() };
        Self { state, nonce }
    }

    /// The time to say who it is begins now: a handshake came before.
    pub(super) fn wait_from(&mut self, now: Instant, timeout: Duration) {
        if let State::Due(until) = &mut self.state {
            *until = now + timeout;
        }
    }

    pub(super) fn nonce(&self) -> String {
        self.nonce.clone()
    }

    pub(super) fn is_due(&self) -> bool {
        matches!(self.state, State::Due(_))
    }

    pub(super) fn is_checking(&self) -> bool {
        matches!(self.state, State::Checking(..))
    }

    pub(super) fn is_in(&self) -> bool {
        matches!(self.state, State::In)
    }

    /// When it must be in; `None` once it is.
    pub(super) fn until(&self) -> Option<Instant> {
        match self.state {
            State::In => None,
            State::Due(until) | State::Checking(_, until) => Some(until),
        }
    }
}

/// What a key has to sign.
pub(crate) fn new_nonce() -> String {
    let mut bytes = [0; NONCE];
    getrandom::fill(&mut bytes).expect("the system has random numbers: the id of this server was made of them");
    BASE64URL_NOPAD.encode(&bytes)
}

/// What the log says of who did not get in. Never a secret.
pub(super) fn about(given: &Credentials) -> String {
    if !given.nkey.is_empty() {
        format!(" - Nkey {:?}", given.nkey)
    } else if !given.user.is_empty() {
        format!(" - User {:?}", given.user)
    } else if !given.token.is_empty() {
        " - Token \"[REDACTED]\"".into()
    } else {
        String::new()
    }
}

/// Who it says it is, for events. Never a secret.
pub(crate) fn claimed(given: &Credentials) -> Box<str> {
    let name = if given.nkey.is_empty() { given.user.as_str() } else { given.nkey.as_str() };
    if name.is_empty() && !given.token.is_empty() { "[REDACTED]".into() } else { name.into() }
}

impl Client {
    /// The client begins, with this byte of an operation. Without `CONNECT` it is who comes without credentials, if
    /// anybody may.
    pub(super) fn begin_with(&mut self, verb: u8) -> Result<(), End> {
        if verb.eq_ignore_ascii_case(&b'C') {
            return Ok(());
        }
        let options = self.hub.options().clone();
        let anonymous = options.access(self.listener.is_websocket()).anonymous.cloned();
        // Who decides is asked only about those who say CONNECT.
        let user = anonymous.filter(|user| !options.leaves_to_callout(user)).ok_or_else(|| self.unauthorized(""))?;
        self.admit(user)
    }

    /// Lets the client in if `given` says that it may, now or when that is known.
    pub(super) fn authenticate(
        &mut self,
        given: &Credentials,
        settings: Box<Settings>,
        batch: &mut Batch,
    ) -> Result<(), End> {
        let hub = self.hub.clone();
        self.link.anonymous.store(*given == Credentials::default(), Relaxed);
        self.claimed = claimed(given);
        if hub.operators.get().is_some() {
            return self.authenticate_by_token(given, settings, batch);
        }
        let options = hub.options();
        let access = options.access(self.listener.is_websocket());
        if access.is_open() {
            if self.link.settings.lock().is_some() {
                self.end_subscriptions();
            }
            return self.settle(settings, batch);
        }
        if let (State::In, Some(user), true) =
            (&self.admission.state, self.link.user.load_full(), *given == Credentials::default())
        {
            // It says nothing new of who it is.
            self.admit(user)?;
            return self.settle(settings, batch);
        }
        let about = about(given);
        self.granted = Granted::default();
        self.link.decided.store(false, Relaxed);
        let verdict = access.judge(given, &self.admission.nonce, self.certificate());
        if let Some(callout) = options.authorization.callout.clone() {
            self.authenticate_by_callout(callout, verdict, given, settings, about);
            return Ok(());
        }
        match verdict {
            Verdict::Admitted(user) => {
                self.admit(user)?;
                self.settle(settings, batch)
            }
            Verdict::Refused => Err(self.keep_out(settings, &about)),
            Verdict::Slow(check) => {
                let compared = compare(self.hub.clone(), check);
                self.wait_for(async move { Outcome::User(compared.await) }, settings, about, None);
                Ok(())
            }
        }
    }

    /// What the client sends waits for `outcome`, until `until` or for as long as it may take to say who it is.
    pub(super) fn wait_for(
        &mut self,
        outcome: impl Future<Output = Outcome> + Send + 'static,
        settings: Box<Settings>,
        about: String,
        until: Option<Instant>,
    ) {
        let timeout = self.hub.options().authorization.timeout;
        let until = until.or(self.admission.until()).unwrap_or_else(|| Instant::now() + timeout);
        let outcome = Box::pin(outcome);
        self.admission.state = State::Checking(Box::new(Checking { outcome, settings, about }), until);
    }

    /// What is known of the certificate of the client.
    fn certificate(&self) -> Certificate<'_> {
        let maps = self.listener.tls.as_ref().is_some_and(|tls| tls.terms().maps);
        let names = self.link.tls.get().and_then(|facts| facts.names.as_deref());
        if maps { Certificate::Decides(names) } else { Certificate::NotAsked }
    }

    /// Looks whether what the client waits for has come.
    pub(super) fn poll_check(&mut self, cx: &mut Context<'_>, batch: &mut Batch) -> Result<(), End> {
        let State::Checking(checking, _) = &mut self.admission.state else { return Ok(()) };
        let Poll::Ready(outcome) = checking.outcome.as_mut().poll(cx) else { return Ok(()) };
        let State::Checking(checking, _) = std::mem::replace(&mut self.admission.state, State::In) else {
            return Err(End::Silent(CloseReason::AuthenticationFailure));
        };
        let Checking { settings, about, .. } = *checking;
        match outcome {
            Outcome::User(Some(user)) => {
                self.admit(user)?;
                self.settle(settings, batch)
            }
            Outcome::Account(Some(account), visitor) => self.admit_by_token(*visitor, account, settings, batch),
            Outcome::Decided(Ok(decided)) => self.admit_as_decided(*decided, settings, batch),
            Outcome::Decided(Err((decider, problem))) => {
                log::warn!("{} - {problem}", self.link.describe());
                let account = self.hub.accounts.get(decider.as_bytes());
                let account = account.unwrap_or_else(|| self.hub.accounts.global().clone());
                *self.link.settings.lock() = Some(settings);
                Err(self.unauthorized_in(&account, &problem.to_string(), &about))
            }
            Outcome::User(None) | Outcome::Account(None, _) => Err(self.keep_out(settings, &about)),
        }
    }

    fn keep_out(&self, settings: Box<Settings>, about: &str) -> End {
        *self.link.settings.lock() = Some(settings);
        self.unauthorized(about)
    }

    /// Lets the client in as `user`. What it may have subscribed to as another one ends.
    pub(super) fn admit(&mut self, user: Arc<User>) -> Result<(), End> {
        if self.lacks_proxy(&user) {
            let about = if user.name.is_empty() { String::new() } else { format!(" - User {:?}", user.name) };
            return Err(self.keep_away(ClientError::ProxyRequired, &about));
        }
        self.admission.state = State::In;
        self.end_subscriptions();
        let account = user.account.clone();
        self.become_user(Some(user));
        self.enter(&account)
    }

    /// The client begins anew.
    fn end_subscriptions(&mut self) {
        let subscriptions = self.link.subscriptions.lock().take(usize::MAX);
        for subscription in &subscriptions {
            subscription.end(None);
        }
        if !subscriptions.is_empty() {
            self.account.unsubscribe(&subscriptions);
        }
    }
}

/// Compares on a thread that may block, and not on all cores at once. A client that is gone meanwhile leaves the queue.
pub(crate) async fn compare(hub: Arc<Hub>, check: SlowCheck) -> Option<Arc<User>> {
    let turn = hub.slow_checks.clone().acquire_owned().await.ok()?;
    let run = move || {
        let outcome = check.run();
        drop(turn);
        outcome
    };
    tokio::task::spawn_blocking(run).await.ok().flatten()
}
