//! A client that shows a token: whose it is, what it grants, and until when.

use std::sync::Arc;
use std::time::Instant;

use natsd_auth::jwt::{Admission, Attempt, Claims, Refusal, User as UserClaims, admit, user_of};
use natsd_auth::{ConnectionType, User};
use natsd_core::connect::{Credentials, Settings};
use natsd_core::error::{ClientError, CloseReason};

use super::admission::Outcome;
use super::callout::deny_questions;
use super::{Client, End};
use crate::link::batch::Batch;
use crate::operators::{Known, Pass, look_up, seconds, since_1970};
use crate::zones::SystemZones;

/// Somebody whose account is not known yet.
pub(super) struct Visitor {
    token: String,
    user: Claims<UserClaims>,
    given: Credentials,
}

impl Visitor {
    fn about(&self) -> String {
        format!(" - JWT User {:?}", self.user.registered.subject)
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
        let account = u64::try_from(pass.account.claims.registered.expires).ok().filter(|expires| *expires > 0);
        let account = account.map(std::time::Duration::from_secs);
        let (ends, error) = match (pass.admission.ends, account) {
            (Some(user), Some(account)) if account < user => (Some(account), ClientError::AccountExpired),
            (None, account) => (account, ClientError::AccountExpired),
            (user, _) => (user, ClientError::UserExpired),
        };
        Self {
            subscriptions: u64::try_from(limits.subs).ok(),
            payload: usize::try_from(limits.payload).ok(),
            ends: ends.and_then(|ends| now.checked_add(ends.saturating_sub(since))).map(|at| (at, error)),
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

/// The user of this name in `account`, where it does not ask those who decide.
fn user_in(account: &Known, admission: &Admission, name: &str) -> Arc<User> {
    let (name, in_account) = (name.to_owned(), admission.account.as_str().into());
    let mut user = User { name, account: in_account, ..admission.user.clone() };
    if !account.claims.body.authorization.auth_users.is_empty() {
        deny_questions(&mut user);
    }
    Arc::new(user)
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
        let visitor = self.visitor(given).map_err(|refusal| self.refuse_token(&refusal, ""))?;
        let key = visitor.user.account().to_owned();
        if self.is_not_pinned(&key) {
            return Err(self.refuse_token(&Refusal::NotPinned(key), &visitor.about()));
        }
        if let Some(account) = operators.usable(&key) {
            return self.admit_by_token(visitor, account, settings, batch);
        }
        let about = visitor.about();
        let found = look_up(hub.clone(), key);
        self.wait_for(async move { Outcome::Account(found.await, Box::new(visitor)) }, settings, about, None);
        Ok(())
    }

    /// Who the client says it is, by its own token or by that of all who show none.
    fn visitor(&self, given: &Credentials) -> Result<Visitor, Refusal> {
        let now = seconds();
        let options = self.hub.options();
        let sentinel = options.operator.as_ref().and_then(|operator| operator.default_sentinel.as_ref());
        let own = Claims::<UserClaims>::decode(&given.jwt);
        let token = match (own, sentinel) {
            (Err(_), Some(sentinel)) => sentinel,
            _ => &given.jwt,
        };
        let user = user_of(token, now)?;
        Ok(Visitor { token: token.clone(), user, given: given.clone() })
    }

    fn is_not_pinned(&self, account: &str) -> bool {
        let options = self.hub.options();
        let pinned = options.operator.as_ref().and_then(|operator| operator.pinned_accounts.as_ref());
        pinned.is_some_and(|pinned| !pinned.contains(account))
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
        let admitted = admit(&visitor.user, &account.claims, &operators.trust, &attempt);
        let admission = admitted.map_err(|refusal| self.refuse_token(&refusal, &visitor.about()))?;
        if account.claims.body.authorization.decides_on(&admission.user.name) {
            let given = Credentials { jwt: visitor.token.clone(), ..visitor.given.clone() };
            self.wait_for_decision(account, &given, settings, visitor.about());
            return Ok(());
        }
        let user = user_in(&account, &admission, &admission.user.name);
        self.hold(Arc::new(Pass { token: visitor.token, admission, account }));
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
        let old = &pass.admission;
        let Some(now) = operators.known(&old.account) else { return Err(self.unauthorized("")) };
        if Arc::ptr_eq(&now, &pass.account) {
            return Ok(());
        }
        let account = &now.claims.body;
        if old.bearer && account.limits.account.disallow_bearer {
            return Err(self.refuse_token(&Refusal::NoBearers, ""));
        }
        if account.has_revoked(&old.user.name, old.issued_at) {
            return Err(End::Told(ClientError::UserRevoked));
        }
        let signers =
            |known: &Known| old.signing_key.as_ref().map(|key| known.claims.body.signing_keys.0.get(key).cloned());
        if signers(&now) != signers(&pass.account) {
            return Err(End::Silent(CloseReason::AuthenticationFailure));
        }
        let mut admission = old.clone();
        if old.default_permissions && account.default_permissions != pass.account.claims.body.default_permissions {
            let rules = account.default_permissions.rules();
            let rules = rules.map_err(|problem| self.refuse_token(&Refusal::Rule(problem), ""))?;
            admission.user.permissions = rules.map(Arc::new);
            let name = self.link.user.load().as_ref().map_or_else(String::new, |user| user.name.clone());
            *self.link.renewed.lock() = Some(Some(user_in(&now, &admission, &name)));
        }
        self.hold(Arc::new(Pass { token: pass.token.clone(), admission, account: now }));
        Ok(())
    }

    /// The connection ends though nobody did anything wrong.
    pub(super) fn end_unasked(&mut self, error: ClientError, batch: &mut Batch) {
        log::debug!("{} - {error}", self.link.describe());
        self.end(End::Refused(error), batch);
    }
}
