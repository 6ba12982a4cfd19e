//! Who a leaf node is, and which account it is of.

use std::net::IpAddr;
use std::sync::Arc;

use natsd_auth::jwt::{self, Attempt, Refusal};
use natsd_auth::{Certificate, ConnectionType, Directory, User, Verdict};
use natsd_core::connect::Credentials;
use natsd_core::leaf::hello::LeafConnect;

use super::Shared;
use crate::client::admission::compare;
use crate::config::options::{LeafOptions, Options};
use crate::hub::Hub;
use crate::hub::account::Account;
use crate::operators::{Operators, Pass, Visitor, look_up, since_1970};
use crate::tls::Facts;
use crate::zones::SystemZones;

/// A leaf node that may come in.
pub(super) struct Admitted {
    pub(super) account: Arc<Account>,
    /// Who it is, where leaf nodes have to say it.
    pub(super) user: Option<Arc<User>>,
    /// Its token, if it came with one.
    pub(super) pass: Option<Arc<Pass>>,
}

/// What a connection shows besides `CONNECT`.
pub(super) struct Shown {
    pub(super) nonce: String,
    pub(super) host: Option<IpAddr>,
    pub(super) tls: Option<Facts>,
    pub(super) websocket: bool,
}

impl Shown {
    fn way(&self) -> ConnectionType {
        way(self.websocket)
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

/// Decides on a leaf node with these credentials. `None`: it may not come in.
pub(super) async fn judge(shared: Arc<Shared>, given: Credentials, shown: Shown) -> Option<Admitted> {
    let hub = &shared.hub;
    if let Some(operators) = hub.operators.get() {
        return match by_token(hub, operators, &given, &shown).await {
            Ok(admitted) => admitted,
            Err(refusal) => {
                log::debug!("Leafnode refused: {refusal}");
                None
            }
        };
    }
    let (verdict, anybody) = verdict(&shared, &given, &shown);
    let user = match verdict {
        Some(Verdict::Admitted(user)) => Some(user),
        Some(Verdict::Slow(check)) => Some(compare(hub.clone(), check).await?),
        Some(Verdict::Refused) => return None,
        None => anybody,
    };
    // Somebody else would decide on it, and is not asked about leaf nodes; users of their own are the hub's to decide on.
    if shared.options.load().directory.as_ref().is_none_or(|own| own.is_open())
        && user.as_ref().is_some_and(|user| hub.options().leaves_to_callout(user))
    {
        log::warn!(
            "Leafnode refused: auth_callout would decide on it, and is not asked about leaf nodes; add it to auth_users"
        );
        return None;
    }
    // None of them comes by a proxy that vouches for it.
    if user.as_ref().is_some_and(|user| user.proxy_required) {
        return None;
    }
    let account = match &user {
        Some(user) => hub.accounts.get(user.account.as_bytes())?,
        None => hub.accounts.global().clone(),
    };
    Some(Admitted { account, user, pass: None })
}

/// What the users say that count here; without one everybody may come in, as that user if there is one.
fn verdict(shared: &Shared, given: &Credentials, shown: &Shown) -> (Option<Verdict>, Option<Arc<User>>) {
    let (options, all) = (shared.options.load(), shared.hub.options());
    let own = options.directory.as_ref();
    let Some(users) = directory(&options, &all) else {
        return (None, own.and_then(|own| own.anonymous().cloned()));
    };
    let mut certificate = Certificate::NotAsked;
    if own.is_some_and(|own| std::ptr::eq(own, users)) {
        let maps = shared.tls.as_ref().is_some_and(|tls| tls.terms().maps);
        let names = shown.tls.as_ref().and_then(|facts| facts.names.as_deref());
        if maps {
            certificate = Certificate::Decides(names);
        }
    }
    (Some(users.judge(given, shown.way(), &shown.nonce, certificate)), None)
}

/// Who a leaf node says it is.
pub(super) fn credentials(connect: LeafConnect) -> Credentials {
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

async fn by_token(
    hub: &Arc<Hub>,
    operators: &Operators,
    given: &Credentials,
    shown: &Shown,
) -> Result<Option<Admitted>, Refusal> {
    let visitor = Visitor::read(&hub.options(), &given.jwt)?;
    visitor.check_pinned(&hub.options())?;
    let key = visitor.user.account().to_owned();
    let known = match operators.usable(&key) {
        Some(known) => Some(known),
        None => look_up(hub.clone(), key).await,
    };
    let Some(known) = known else { return Ok(None) };
    let attempt = Attempt {
        signature: &given.signature,
        nonce: &shown.nonce,
        way: shown.way(),
        host: shown.host,
        by_proxy: false,
        pinned: None,
        now: since_1970(),
        zones: &SystemZones,
    };
    let admission = jwt::admit(&visitor.user, &known.claims, &operators.trust, &attempt)?;
    // Leaf nodes are not asked about: without an answer nobody may come in whom somebody else decides on.
    if known.claims.body.authorization.decides_on(&admission.user.name) {
        return Ok(None);
    }
    let Some(account) = hub.accounts.get(admission.account.as_bytes()) else { return Ok(None) };
    let pass = Arc::new(Pass { token: visitor.token, admission, account: known });
    Ok(Some(Admitted { account, user: Some(pass.user(&pass.admission.user.name)), pass: Some(pass) }))
}
