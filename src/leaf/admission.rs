//! Who a leaf node is, and which account it is of.

use std::net::IpAddr;
use std::sync::Arc;

use natsd_auth::jwt::{self, Attempt, Refusal};
use natsd_auth::{Certificate, ConnectionType, Directory, User, Verdict};
use natsd_core::connect::{Credentials, Settings};
use natsd_core::error::CloseReason;
use natsd_core::leaf::hello::LeafConnect;
use tokio::time::Instant;

use super::Shared;
use crate::callout::{CalloutError, Decided, Decider, Inquiry, Question};
use crate::client::admission::{claimed, compare};
use crate::config::options::{LeafOptions, Options};
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::link::Link;
use crate::operators::{Operators, Pass, Visitor, look_up, since_1970};
use crate::zones::SystemZones;

/// A leaf node that may come in.
pub(super) struct Admitted {
    pub(super) account: Arc<Account>,
    /// Who it is, where leaf nodes have to say it.
    pub(super) user: Option<Arc<User>>,
    /// Its token, if it came with one.
    pub(super) pass: Option<Arc<Pass>>,
    /// Somebody else decided on it, until then in time since 1970 if there is no token.
    pub(super) decided: Option<Option<std::time::Duration>>,
}

/// Somebody who says that it is a leaf node.
pub(super) struct Stranger {
    pub(super) link: Arc<Link>,
    pub(super) given: Credentials,
    pub(super) settings: Settings,
    /// What it was given to sign.
    pub(super) nonce: String,
    /// Of a proxy that vouches for it.
    signature: String,
}

impl Stranger {
    pub(super) fn new(link: &Arc<Link>, connect: &LeafConnect, nonce: &str) -> Self {
        let settings = Settings {
            name: connect.name.clone(),
            version: connect.version.clone(),
            protocol: i64::from(connect.proto),
            ..Settings::default()
        };
        let (given, signature) = (credentials(connect.clone()), connect.proxy_sig.clone());
        Self { link: link.clone(), given, settings, nonce: nonce.to_owned(), signature }
    }

    fn way(&self) -> ConnectionType {
        way(self.link.is_websocket())
    }

    fn host(&self) -> Option<IpAddr> {
        self.link.peer().host().parse().ok()
    }

    /// Notes which proxy vouches for it.
    ///
    /// # Errors
    ///
    /// If that is none that is trusted; where none is, nobody counts.
    fn check_proxy(&self, options: &Options) -> Result<(), CloseReason> {
        if self.signature.is_empty() || options.proxies.is_empty() {
            return Ok(());
        }
        let key = options.proxies.signer(&self.nonce, &self.signature).ok_or(CloseReason::ProxyNotTrusted)?;
        *self.link.proxy.lock() = Some(key.into());
        Ok(())
    }

    fn is_proxied(&self) -> bool {
        self.link.proxy.lock().is_some()
    }

    fn attempt(&self) -> Attempt<'_> {
        Attempt {
            signature: &self.given.signature,
            nonce: &self.nonce,
            way: self.way(),
            host: self.host(),
            by_proxy: self.is_proxied(),
            pinned: None,
            now: since_1970(),
            zones: &SystemZones,
        }
    }

    /// About it, to be asked of `decider`.
    fn inquiry(&self, hub: &Arc<Hub>, decider: Decider) -> Inquiry {
        let claimed = claimed(&self.given).into_string();
        let question = Question::new(&self.link, &self.given, &self.settings, &claimed, &self.nonce);
        let deadline = Instant::now() + hub.options().authorization.timeout;
        let (way, host) = (self.way(), self.host());
        let by_proxy = self.is_proxied();
        Inquiry { hub: hub.clone(), decider, question, deadline, way, host, by_proxy, claimed }
    }
}

/// What leaf nodes come by.
pub(super) fn way(websocket: bool) -> ConnectionType {
    if websocket { ConnectionType::LeafNodeWebsocket } else { ConnectionType::LeafNode }
}

/// The users that a leaf node has to be one of: its own, or those of the server. `None` if everybody may come in.
pub(super) fn directory<'a>(own: &'a LeafOptions, all: &'a Options) -> Option<&'a Directory> {
    let users = own.directory.as_ref().filter(|users| !users.is_open());
    users.or_else(|| Some(&all.authorization.directory).filter(|users| !users.is_open()))
}

/// Decides on a leaf node.
///
/// # Errors
///
/// If it may not come in.
pub(super) async fn judge(shared: Arc<Shared>, stranger: Stranger) -> Result<Admitted, CloseReason> {
    stranger.check_proxy(&shared.hub.options())?;
    let hub = &shared.hub;
    if let Some(operators) = hub.operators.get() {
        return match by_token(hub, operators, &stranger).await {
            Ok(admitted) => admitted.ok_or(CloseReason::AuthenticationFailure),
            Err(refusal) => {
                log::debug!("Leafnode refused: {refusal}");
                let needs_proxy = matches!(refusal, Refusal::ProxyRequired);
                Err(if needs_proxy { CloseReason::ProxyRequired } else { CloseReason::AuthenticationFailure })
            }
        };
    }
    let (verdict, anybody) = verdict(&shared, &stranger);
    let everybody = verdict.is_none();
    let user = match verdict {
        Some(Verdict::Admitted(user)) => Some(user),
        Some(Verdict::Slow(check)) => compare(hub.clone(), check).await,
        Some(Verdict::Refused) => None,
        None => anybody,
    };
    if user.as_ref().is_some_and(|user| needs_proxy(&shared.options.load(), &hub.options(), user))
        && !stranger.is_proxied()
    {
        return Err(CloseReason::ProxyRequired);
    }
    // Users of their own are the hub's to decide on.
    let own = shared.options.load().directory.as_ref().is_some_and(|own| !own.is_open());
    if let Some(callout) = hub.options().authorization.callout.clone().filter(|_| !own) {
        let inquiry = stranger.inquiry(hub, Decider::configured(&callout));
        let name = user.as_ref().map_or(inquiry.claimed.as_str(), |user| &user.name);
        // As in nats-server, whatever account it would be in.
        if callout.decides_on(name, None) {
            let decided = inquiry.decide(&callout).await;
            return let_in(&inquiry, decided).ok_or(CloseReason::AuthenticationFailure);
        }
    }
    let account = match &user {
        Some(user) => hub.accounts.get(user.account.as_bytes()),
        None => Some(hub.accounts.global().clone()).filter(|_| everybody),
    };
    let account = account.ok_or(CloseReason::AuthenticationFailure)?;
    Ok(Admitted { account, user, pass: None, decided: None })
}

/// Who a leaf node is that shows no credentials: where it comes over WebSocket, and `websocket {}` names somebody, that one.
pub(super) fn anonymous<'a>(own: &'a LeafOptions, all: &'a Options, websocket: bool) -> Option<&'a Arc<User>> {
    let users = directory(own, all)?;
    let is_own = own.directory.as_ref().is_some_and(|own| std::ptr::eq(own, users));
    let named = all.websocket.as_ref().filter(|_| websocket && !is_own).and_then(|it| it.no_auth_user.as_deref());
    named.map_or_else(|| users.anonymous(), |name| users.listed(name))
}

/// Whether a leaf node can only be `user` by way of a trusted proxy.
pub(super) fn needs_proxy(own: &LeafOptions, all: &Options, user: &User) -> bool {
    let of_own =
        directory(own, all).is_none_or(|users| own.directory.as_ref().is_some_and(|it| std::ptr::eq(it, users)));
    if of_own { user.proxy_required } else { all.needs_proxy(user, false) }
}

/// As somebody else decided.
fn let_in(inquiry: &Inquiry, decided: Result<Decided, CalloutError>) -> Option<Admitted> {
    match decided {
        Ok(Decided { user, ends, pass }) => {
            let account = inquiry.hub.accounts.get(user.account.as_bytes())?;
            Some(Admitted { account, user: Some(user), pass, decided: Some(ends) })
        }
        Err(problem) => {
            log::warn!("Leafnode refused: {problem}");
            None
        }
    }
}

/// What the users say that count here; without one everybody may come in, as that user if there is one.
fn verdict(shared: &Shared, stranger: &Stranger) -> (Option<Verdict>, Option<Arc<User>>) {
    let (options, all) = (shared.options.load(), shared.hub.options());
    let own = options.directory.as_ref();
    let Some(users) = directory(&options, &all) else {
        return (None, own.and_then(|own| own.anonymous().cloned()));
    };
    let nobody = stranger.given == Credentials::default();
    let way = stranger.way();
    if let Some(user) = anonymous(&options, &all, stranger.link.is_websocket())
        && nobody
        && user.may_come_by(way)
    {
        return (Some(Verdict::Admitted(user.clone())), None);
    }
    let mut certificate = Certificate::NotAsked;
    if own.is_some_and(|own| std::ptr::eq(own, users)) && shared.tls.as_ref().is_some_and(|tls| tls.terms().maps) {
        certificate = Certificate::Decides(stranger.link.tls.get().and_then(|facts| facts.names.as_deref()));
    }
    (Some(users.judge(&stranger.given, way, &stranger.nonce, certificate)), None)
}

/// Who a leaf node says it is.
fn credentials(connect: LeafConnect) -> Credentials {
    let secret = |secret: Option<natsd_core::route::hello::Secret>| secret.map(|it| it.0).unwrap_or_default();
    Credentials {
        user: connect.user,
        password: secret(connect.password),
        token: secret(connect.token),
        nkey: connect.nkey,
        signature: connect.sig,
        jwt: secret(connect.jwt),
        ..Credentials::default()
    }
}

async fn by_token(hub: &Arc<Hub>, operators: &Operators, stranger: &Stranger) -> Result<Option<Admitted>, Refusal> {
    let visitor = Visitor::read(&hub.options(), &stranger.given.jwt)?;
    visitor.check_pinned(&hub.options())?;
    let key = visitor.user.account().to_owned();
    let known = match operators.usable(&key) {
        Some(known) => Some(known),
        None => look_up(hub.clone(), key).await,
    };
    let Some(known) = known else { return Ok(None) };
    let admission = jwt::admit(&visitor.user, &known.claims, &operators.trust, &stranger.attempt())?;
    if known.claims.body.authorization.decides_on(&admission.user.name) {
        let inquiry = stranger.inquiry(hub, Decider::of_account(&known));
        let decided = inquiry.decide_for(&known).await;
        return Ok(let_in(&inquiry, decided));
    }
    let Some(account) = hub.accounts.get(admission.account.as_bytes()) else { return Ok(None) };
    let pass = Arc::new(Pass { token: visitor.token, admission, account: known });
    let user = Some(pass.user(&pass.admission.user.name));
    Ok(Some(Admitted { account, user, pass: Some(pass), decided: None }))
}
