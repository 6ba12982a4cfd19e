//! Whether a connection is a user's.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::account::Account;
use super::authority::Trust;
use super::claims::Claims;
use super::issues::Issues;
use super::limits::NatsLimits;
use super::template::{self, TemplateError};
use super::times::{self, Zones};
use super::token::TokenError;
use super::user::{User, UserLimits};
use crate::{ConnectionType, Nkey, Permissions, RuleError};

/// A connection that shows a token.
pub struct Attempt<'a> {
    /// Of the nonce, in base64; empty if the client gave none.
    pub signature: &'a str,
    /// What the connection had to sign.
    pub nonce: &'a str,
    /// How it comes.
    pub way: ConnectionType,
    /// Where it comes from; `None` if that is no IP address.
    pub host: Option<IpAddr>,
    /// Whether it comes by a proxy that the server trusts.
    pub by_proxy: bool,
    /// The only accounts whose users may come, if there is such a list.
    pub pinned: Option<&'a HashSet<String>>,
    /// The time since 1970.
    pub now: Duration,
    /// For hours in which users may come.
    pub zones: &'a dyn Zones,
}

/// What a user is held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// It, under its public key.
    pub user: crate::User,
    /// Whether its permissions are the default ones of the account, and change with them.
    pub default_permissions: bool,
    /// Name in its token.
    pub name: String,
    /// Tags of its token.
    pub tags: Vec<String>,
    /// The public key of its account.
    pub account: String,
    /// The account's key that signed it, if it was a signing key: when that goes, so does the user.
    pub signing_key: Option<String>,
    /// When its token was signed, in seconds since 1970, for revocations.
    pub issued_at: i64,
    /// What the user itself is granted, whatever its account is.
    pub own_limits: NatsLimits,
    /// Whether its token alone lets it in.
    pub bearer: bool,
    /// Subscriptions, if limited.
    pub max_subscriptions: Option<u64>,
    /// Bytes of a message, if limited.
    pub max_payload: Option<u64>,
    /// When the connection has to end, since 1970.
    pub ends: Option<Duration>,
}

/// Why a connection is not a user's, for the log; the client is told that it may not come in, no more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No token.
    #[error("Authentication requires a user JWT")]
    NoToken,
    /// Not the token of a user.
    #[error("User JWT not valid: {0}")]
    Token(#[from] TokenError),
    /// It has expired, or says what cannot be.
    #[error("User JWT no longer valid: {0}")]
    Invalid(Issues),
    /// Only by a proxy.
    #[error("proxy connection required")]
    ProxyRequired,
    /// The account is not on the list.
    #[error("Account {0} not listed as operator pinned account")]
    NotPinned(String),
    /// The token is one of another account.
    #[error("User JWT is of account {0}")]
    OtherAccount(String),
    /// Nobody vouches for the account.
    #[error("Account JWT not signed by trusted operator")]
    UntrustedAccount,
    /// No key of the account.
    #[error("User JWT issuer is not known")]
    UnknownIssuer,
    /// A token with permissions of its own, where the signing key has them.
    #[error("User JWT is not valid: scoped users require no permissions or limits set")]
    Scoped,
    /// A template that cannot be.
    #[error("User JWT generated invalid permissions: {0}")]
    Template(#[from] TemplateError),
    /// A permission that cannot be.
    #[error("User JWT has invalid permissions: {0}")]
    Rule(#[from] RuleError),
    /// The account no longer counts.
    #[error("Account JWT has expired")]
    AccountExpired,
    /// The account wants signatures.
    #[error("Account does not allow bearer tokens")]
    NoBearers,
    /// No way that this server knows.
    #[error("invalid connection types {0:?}")]
    UnknownConnectionTypes(Vec<String>),
    /// Not this way.
    #[error("Connection type not allowed")]
    ConnectionType,
    /// No signature.
    #[error("Signature missing")]
    NoSignature,
    /// Not the token's user.
    #[error("User nkey not valid: {0}")]
    Nkey(String),
    /// Not the user's signature.
    #[error("Signature not verified")]
    Signature,
    /// The token was called back.
    #[error("User authentication revoked")]
    Revoked,
    /// Not from there.
    #[error("Bad src Ip {0}")]
    Source(String),
    /// Not now.
    #[error("Outside connect times")]
    Time,
    /// No such place.
    #[error("User JWT no longer valid: could not parse iana time zone by name: unknown time zone {0}")]
    Location(String),
}

/// Reads the token of a user and checks, at `now` in seconds since 1970, what can be told without its account.
///
/// # Errors
///
/// If it is no such token, or not valid now.
pub fn user_of(token: &str, now: i64) -> Result<Claims<User>, Refusal> {
    if token.is_empty() {
        return Err(Refusal::NoToken);
    }
    let user = Claims::<User>::decode(token)?;
    let issues = user.check(now);
    if issues.is_blocking() { Err(Refusal::Invalid(issues)) } else { Ok(user) }
}

impl Claims<User> {
    /// The public key of its account.
    pub fn account(&self) -> &str {
        if self.body.issuer_account.is_empty() { &self.registered.issuer } else { &self.body.issuer_account }
    }
}

/// Whether the connection is `user`'s, whose account is `account`; what it is then held to.
///
/// # Errors
///
/// If it is not.
pub fn admit(
    user: &Claims<User>,
    account: &Claims<Account>,
    trust: &Trust,
    attempt: &Attempt<'_>,
) -> Result<Admission, Refusal> {
    check_location(user, attempt)?;
    check_account(user, account, trust, attempt)?;
    let limits = limits_of(user, account, trust)?;
    if limits.bearer && account.body.limits.account.disallow_bearer {
        return Err(Refusal::NoBearers);
    }
    check_signature(user, limits.bearer, attempt)?;
    settle(user, account, limits, attempt)
}

/// As [`admit`], of a connection that signs nothing: somebody who may has decided that it is this user's.
///
/// # Errors
///
/// As [`admit`].
pub fn admit_decided(
    user: &Claims<User>,
    account: &Claims<Account>,
    trust: &Trust,
    attempt: &Attempt<'_>,
) -> Result<Admission, Refusal> {
    check_location(user, attempt)?;
    check_account(user, account, trust, attempt)?;
    settle(user, account, limits_of(user, account, trust)?, attempt)
}

/// The user, without account and permissions, and when its connection ends.
///
/// # Errors
///
/// If it may not connect like this.
pub(super) fn decided(
    user: &Claims<User>,
    limits: &UserLimits,
    attempt: &Attempt<'_>,
) -> Result<(crate::User, Option<Duration>), Refusal> {
    if limits.proxy_required && !attempt.by_proxy {
        return Err(Refusal::ProxyRequired);
    }
    let connection_types = connection_types(&limits.connection_types)?;
    if connection_types.as_ref().is_some_and(|types| !types.contains(&attempt.way)) {
        return Err(Refusal::ConnectionType);
    }
    check_source(limits, attempt.host)?;
    let ends = end_of(user, limits, attempt)?;
    Ok((crate::User { connection_types, ..crate::User::with_nkey(&nkey_of(user)?) }, ends))
}

fn settle(
    user: &Claims<User>,
    account: &Claims<Account>,
    limits: UserLimits,
    attempt: &Attempt<'_>,
) -> Result<Admission, Refusal> {
    if account.has_expired(i64::try_from(attempt.now.as_secs()).unwrap_or(i64::MAX)) {
        return Err(Refusal::AccountExpired);
    }
    if account.body.has_revoked(&user.registered.subject, user.registered.issued_at) {
        return Err(Refusal::Revoked);
    }
    let (of_directory, ends) = decided(user, &limits, attempt)?;
    let (permissions, default_permissions) = permissions_of(&limits, account)?;
    let granted = &account.body.limits.nats;
    Ok(Admission {
        user: crate::User { permissions: permissions.map(Arc::new), ..of_directory },
        default_permissions,
        name: user.registered.name.clone(),
        tags: user.tags.clone(),
        account: account.registered.subject.clone(),
        signing_key: Some(user.registered.issuer.clone()).filter(|_| !user.body.issuer_account.is_empty()),
        issued_at: user.registered.issued_at,
        max_subscriptions: least(&limits.nats, granted, |limits| limits.subs),
        max_payload: least(&limits.nats, granted, |limits| limits.payload),
        own_limits: limits.nats,
        bearer: limits.bearer,
        ends,
    })
}

fn check_location(user: &Claims<User>, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    let seconds = i64::try_from(attempt.now.as_secs()).unwrap_or(i64::MAX);
    let location = &user.body.limits.location;
    let known = location.is_empty() || attempt.zones.offset(location, seconds).is_some();
    if known { Ok(()) } else { Err(Refusal::Location(location.clone())) }
}

fn check_account(
    user: &Claims<User>,
    account: &Claims<Account>,
    trust: &Trust,
    attempt: &Attempt<'_>,
) -> Result<(), Refusal> {
    let key = user.account();
    if attempt.pinned.is_some_and(|pinned| !pinned.contains(key)) {
        return Err(Refusal::NotPinned(key.to_owned()));
    }
    if account.registered.subject != key {
        return Err(Refusal::OtherAccount(key.to_owned()));
    }
    if trust.believes(&account.registered.issuer) { Ok(()) } else { Err(Refusal::UntrustedAccount) }
}

/// What the token says, or the signing key in its place.
fn limits_of(user: &Claims<User>, account: &Claims<Account>, trust: &Trust) -> Result<UserLimits, Refusal> {
    match account.issuer(&user.registered.issuer, trust.is_strict(account)) {
        None => Err(Refusal::UnknownIssuer),
        Some(None) => Ok(user.body.limits.clone()),
        Some(Some(_)) if user.body.limits != UserLimits::default() => Err(Refusal::Scoped),
        Some(Some(scope)) => Ok(template::apply(&scope.template, user, account)?),
    }
}

/// The ways that this server knows; all if none is named.
fn connection_types(names: &[String]) -> Result<Option<Vec<ConnectionType>>, Refusal> {
    let known: Vec<ConnectionType> = names.iter().filter_map(|name| name.parse().ok()).collect();
    match (names.is_empty(), known.is_empty()) {
        (true, _) => Ok(None),
        (false, true) => Err(Refusal::UnknownConnectionTypes(names.to_vec())),
        (false, false) => Ok(Some(known)),
    }
}

fn check_signature(user: &Claims<User>, bearer: bool, attempt: &Attempt<'_>) -> Result<(), Refusal> {
    if !bearer && attempt.signature.is_empty() {
        return Err(Refusal::NoSignature);
    }
    let nkey = nkey_of(user)?;
    if bearer || nkey.verify(attempt.nonce, attempt.signature) { Ok(()) } else { Err(Refusal::Signature) }
}

fn nkey_of(user: &Claims<User>) -> Result<Nkey, Refusal> {
    Nkey::new(&user.registered.subject).map_err(|invalid| Refusal::Nkey(invalid.to_string()))
}

/// An address and the number of its bits that count.
pub(super) fn parse_network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let well_formed = !bits.is_empty() && bits.bytes().all(|byte| byte.is_ascii_digit());
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.parse().ok().filter(|bits| well_formed && *bits <= most)?;
    Some((address, bits))
}

/// An address as 128 bits, an IPv4 one as IPv6 maps it.
fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn contains((network, bits): (IpAddr, u32), host: IpAddr) -> bool {
    let (network, bits) = (mapped(network), if network.is_ipv4() { bits + 96 } else { bits });
    let host_is_v4 = matches!(host.to_canonical(), IpAddr::V4(_));
    let differing = (network ^ mapped(host)).checked_shr(128 - bits).unwrap_or(0);
    differing == 0 && (bits >= 96 || !host_is_v4)
}

fn check_source(limits: &UserLimits, host: Option<IpAddr>) -> Result<(), Refusal> {
    let allowed = limits.src.is_empty()
        || host.is_some_and(|host| {
            limits.src.iter().filter_map(|network| parse_network(network)).any(|network| contains(network, host))
        });
    if allowed { Ok(()) } else { Err(Refusal::Source(host.map_or_else(String::new, |host| host.to_string()))) }
}

/// When the token expires, or the last of the hours ends in which the user may be connected.
fn end_of(user: &Claims<User>, limits: &UserLimits, attempt: &Attempt<'_>) -> Result<Option<Duration>, Refusal> {
    let expires = u64::try_from(user.registered.expires).ok().filter(|expires| *expires > 0).map(Duration::from_secs);
    if limits.times.is_empty() {
        return Ok(expires);
    }
    let now = i128::try_from(attempt.now.as_nanos()).map_err(|_| Refusal::Time)?;
    let left = times::remaining(&limits.times, &limits.location, now, attempt.zones).ok_or(Refusal::Time)?;
    let hours = attempt.now + Duration::from_nanos(u64::try_from(left).map_err(|_| Refusal::Time)?);
    Ok(Some(expires.map_or(hours, |expires| expires.min(hours))))
}

/// Those of the user, or the default ones of its account. The second says which.
fn permissions_of(limits: &UserLimits, account: &Claims<Account>) -> Result<(Option<Permissions>, bool), Refusal> {
    match limits.permissions.rules()? {
        Some(permissions) => Ok((Some(permissions), false)),
        None => Ok((account.body.default_permissions.rules()?, true)),
    }
}

fn least(user: &NatsLimits, account: &NatsLimits, of: fn(&NatsLimits) -> i64) -> Option<u64> {
    [of(user), of(account)].into_iter().filter_map(|limit| u64::try_from(limit).ok()).min()
}

#[cfg(test)]
mod tests;
