//! A client that shows a token: whose it is, what it grants, and until when.

use std::sync::Arc;
use std::time::Instant;

use natsd_auth::ConnectionType;
use natsd_auth::jwt::{Attempt, Refusal, admit};
use natsd_core::connect::{Credentials, Settings};
use natsd_core::error::{ClientError, CloseReason};

use super::admission::Outcome;
use super::{Client, End};
use crate::link::batch::Batch;
use crate::operators::{self, Known, Pass, PassEnd, look_up, since_1970};
use crate::zones::SystemZones;

/// Somebody whose account is not known yet.
pub(super) struct Visitor {
    shown: operators::Visitor,
    given: Credentials,
}

impl Visitor {
    fn about(&self) -> String {
        format!(" - JWT User {:?}", self.shown.user.registered.subject)
    }
}

/// Bounds that the token of a client sets; none without a token.
#[derive(Debug, Default)]
pub(super) struct Granted {
    /// Subscriptions.
    pub subscriptions: Option<u64>,
    /// Bytes of a message.
    pub payload: Option<usize>,
    /// When the connection ends, and what is said then.
    ends: Option<(Instant, ClientError)>,
}

impl Granted {
    /// The connection ends then, since 1970, and is not bounded otherwise.
    pub(super) fn until_time(ends: Option<std::time::Duration>) -> Self {
        let left = ends.map(|ends| ends.saturating_sub(since_1970()));
        let ends = left.and_then(|left| Instant::now().checked_add(left)).map(|at| (at, ClientError::UserExpired));
        Self { ends, ..Self::default() }
    }

    pub(super) fn new(pass: &Pass) -> Self {
        let limits = &pass.admission.own_limits;
        let (now, since) = (Instant::now(), since_1970());
        Self {
            subscriptions: u64::try_from(limits.subs).ok(),
            payload: usize::try_from(limits.payload).ok(),
            ends: pass.ends().and_then(|(at, error)| Some((now.checked_add(at.saturating_sub(since))?, error))),
        }
    }

    /// `other`, or the end of the connection if that comes first.
    pub(super) fn until(&self, other: Instant) -> Instant {
        self.ends.as_ref().map_or(other, |(at, _)| other.min(*at))
    }

    /// What is to be said, once, if the connection has to end now.
    pub(super) fn ended(&mut self, now: Instant) -> Option<ClientError> {
        self.ends.take_if(|(at, _)| *at <= now).map(|(_, error)| error)
    }
}

impl Client {
    /// Lets the client in if its token says that it may, now or when its account is known.
    pub(super) fn authenticate_by_token(
        &mut self,
        given: &Credentials,
        settings: Box<Settings>,
        batch: &mut Batch,
    ) -> Result<(), End> {
        if self.admission.is_in() && *given == Credentials::default() {
            // It says nothing new of who it is.
            return self.settle(settings, batch);
        }
        let hub = self.hub.clone();
        let Some(operators) = hub.operators.get() else { return Err(self.unauthorized("")) };
        let visitor = operators::Visitor::read(&hub.options(), &given.jwt);
        let visitor = visitor.map_err(|refusal| self.refuse_token(&refusal, ""))?;
        let visitor = Visitor { shown: visitor, given: given.clone() };
        let pinned = visitor.shown.check_pinned(&hub.options());
        pinned.map_err(|refusal| self.refuse_token(&refusal, &visitor.about()))?;
        let key = visitor.shown.user.account().to_owned();
        if let Some(account) = operators.usable(&key) {
            return self.admit_by_token(visitor, account, settings, batch);
        }
        let about = visitor.about();
        let found = look_up(hub.clone(), key);
        self.wait_for(async move { Outcome::Account(found.await, Box::new(visitor)) }, settings, about, None);
        Ok(())
    }

    fn refuse_token(&self, refusal: &Refusal, about: &str) -> End {
        log::debug!("{} - {refusal}", self.link.describe());
        let needs_proxy = matches!(refusal, Refusal::ProxyRequired);
        self.keep_away(if needs_proxy { ClientError::ProxyRequired } else { ClientError::Authorization }, about)
    }

    /// Lets the client in if it is the user that it says it is.
    pub(super) fn admit_by_token(
        &mut self,
        visitor: Visitor,
        account: Arc<Known>,
        settings: Box<Settings>,
        batch: &mut Batch,
    ) -> Result<(), End> {
        let hub = self.hub.clone();
        let Some(operators) = hub.operators.get() else { return Err(self.unauthorized("")) };
        let nonce = self.admission.nonce();
        let attempt = Attempt {
            signature: &visitor.given.signature,
            nonce: &nonce,
            way: if self.link.is_websocket() { ConnectionType::Websocket } else { ConnectionType::Standard },
            host: self.link.peer().host().parse().ok(),
            by_proxy: self.is_proxied(),
            pinned: None,
            now: since_1970(),
            zones: &SystemZones,
        };
        let admitted = admit(&visitor.shown.user, &account.claims, &operators.trust, &attempt);
        let admission = admitted.map_err(|refusal| self.refuse_token(&refusal, &visitor.about()))?;
        if account.claims.body.authorization.decides_on(&admission.user.name) {
            let given = Credentials { jwt: visitor.shown.token.clone(), ..visitor.given.clone() };
            self.wait_for_decision(account, &given, settings, visitor.about());
            return Ok(());
        }
        let pass = Pass { token: visitor.shown.token, admission, account };
        let user = pass.user(&pass.admission.user.name);
        self.hold(Arc::new(pass));
        self.admit(user)?;
        self.adopt_limits();
        self.settle(settings, batch)
    }

    fn hold(&mut self, pass: Arc<Pass>) {
        self.granted = Granted::new(&pass);
        self.link.pass.store(Some(pass));
    }

    /// The account of the client may say something else by now of its users.
    pub(super) fn renew_pass(&mut self) -> Result<(), End> {
        let Some(pass) = self.link.pass.load_full() else { return Ok(()) };
        let hub = self.hub.clone();
        let Some(operators) = hub.operators.get() else { return Ok(()) };
        let new = operators.renew(&pass).map_err(|end| match end {
            PassEnd::NoAccount => self.unauthorized(""),
            PassEnd::Refused(refusal) => self.refuse_token(&refusal, ""),
            PassEnd::Revoked => End::Told(ClientError::UserRevoked),
            PassEnd::OtherKey => End::Silent(CloseReason::AuthenticationFailure),
        })?;
        let Some(new) = new else { return Ok(()) };
        if !new.permits_as(&pass) {
            let name = self.link.user.load().as_ref().map_or_else(String::new, |user| user.name.clone());
            *self.link.renewed.lock() = Some(Some(new.user(&name)));
        }
        self.hold(Arc::new(new));
        Ok(())
    }

    /// The connection ends though nobody did anything wrong.
    pub(super) fn end_unasked(&mut self, error: ClientError, batch: &mut Batch) {
        log::debug!("{} - {error}", self.link.describe());
        self.end(End::Refused(error), batch);
    }
}
