//! Operator mode: the accounts whose users have come so far, or that such accounts import from, as their tokens say.
//!
//! [`source`] is where tokens of accounts come from, [`lookup`] how one is asked for that is not known yet. What an account
//! is to the rest of the server is in `hub.accounts`, from when it is adopted here.

mod lookup;
mod pass;
pub(crate) mod remote;
mod source;
pub(crate) mod updates;
mod upkeep;
mod visitor;
mod web;

use std::cell::Cell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use natsd_auth::jwt::{Account, Claims, Trust};
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::mpsc;

use crate::accounts_store::StoreError;
use crate::config::options::{OperatorError, OperatorOptions, Options};
use crate::hub::Hub;
use crate::link::Kind;
use crate::tls::TlsError;
use lookup::Lookups;
pub(crate) use lookup::look_up;
pub(crate) use pass::{Pass, PassEnd};
use source::Source;
use upkeep::Upkeep;
pub(crate) use upkeep::keep_up;
pub(crate) use visitor::Visitor;

/// Why operator mode does not begin, or does not go on with other options.
#[derive(Debug, thiserror::Error)]
pub enum OperatorStartError {
    /// A key that vouches for nobody.
    #[error(transparent)]
    Options(#[from] OperatorError),
    /// The directory of the resolver.
    #[error("resolver: {0}")]
    Store(#[from] StoreError),
    /// TLS towards the web server.
    #[error("resolver_tls: {0}")]
    Tls(#[from] TlsError),
    /// The web server.
    #[error("resolver: {0}; start the web server, or correct the URL")]
    Web(String),
    /// The account of the servers.
    #[error("the system account {0} is not to be had from the resolver; add it, or correct system_account")]
    NoSystemAccount(String),
}

/// An account whose token is believed.
pub(crate) struct Known {
    pub(crate) token: String,
    pub(crate) claims: Claims<Account>,
    /// Since when it is believed.
    pub(crate) since: SystemTime,
}

impl Known {
    pub(crate) fn key(&self) -> &str {
        &self.claims.registered.subject
    }

    /// What it is called.
    pub(crate) fn title(&self) -> &str {
        let name = &self.claims.registered.name;
        if name.is_empty() { self.key() } else { name }
    }
}

/// See the [module](self).
pub(crate) struct Operators {
    pub(crate) trust: Trust,
    source: Source,
    known: RwLock<HashMap<String, Arc<Known>>>,
    /// Held while accounts are adopted.
    adopting: Mutex<()>,
    lookups: Lookups,
    /// Asks other servers for accounts, where there is a system account.
    asker: Mutex<Option<mpsc::Sender<remote::Wanted>>>,
    upkeep: Upkeep,
}

/// Seconds since 1970.
pub(crate) fn seconds() -> i64 {
    i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
}

pub(crate) fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl Operators {
    /// `None` without operators.
    ///
    /// # Errors
    ///
    /// If accounts cannot be had from where `options` say.
    pub(crate) async fn open(options: &Options) -> Result<Option<Self>, OperatorStartError> {
        let Some(operator) = options.operator.as_ref().filter(|operator| operator.is_on()) else { return Ok(None) };
        let source = Source::open(operator)?;
        source.check().await?;
        Ok(Some(Self {
            trust: operator.trust()?,
            source,
            known: RwLock::default(),
            adopting: Mutex::new(()),
            lookups: Lookups::default(),
            asker: Mutex::default(),
            upkeep: Upkeep::default(),
        }))
    }

    /// The account with this public key, if it is known already.
    pub(crate) fn known(&self, key: &str) -> Option<Arc<Known>> {
        self.known.read().get(key).cloned()
    }

    /// Reads the token of an account.
    fn read(&self, key: &str, token: String) -> Result<Arc<Known>, natsd_auth::jwt::AccountError> {
        let claims = self.trust.account(&token, key, seconds())?;
        Ok(Arc::new(Known { token, claims, since: SystemTime::now() }))
    }

    /// From now on these accounts are as said.
    fn adopt(&self, hub: &Hub, accounts: Vec<Arc<Known>>) {
        self.adopt_alone(hub, accounts, &self.adopting.lock());
    }

    fn adopt_alone(&self, hub: &Hub, accounts: Vec<Arc<Known>>, _alone: &MutexGuard<'_, ()>) {
        let mut known = self.known.write();
        let keys: HashSet<String> = accounts.iter().map(|account| account.key().to_owned()).collect();
        let changed: HashSet<String> = keys.iter().filter(|key| known.contains_key(*key)).cloned().collect();
        for account in accounts {
            known.insert(account.key().to_owned(), account);
        }
        drop(known);
        self.configure(hub, &keys);
        tell_clients(hub, &changed);
    }

    /// These accounts are gone, and so are their users.
    fn forget(&self, hub: &Hub, keys: &HashSet<String>) {
        let _alone = self.adopting.lock();
        self.known.write().retain(|key, _| !keys.contains(key));
        for key in keys {
            log::info!("Account {key} is gone");
            hub.accounts.remove_signed(key);
        }
        self.configure(hub, keys);
        tell_clients(hub, keys);
    }

    /// Does what these accounts say, and those that import from them.
    fn configure(&self, hub: &Hub, keys: &HashSet<String>) {
        let known = self.known.read();
        let now = seconds();
        let mut specs = Vec::new();
        for account in known.values() {
            let imports = &account.claims.body.imports;
            if !keys.contains(account.key()) && !imports.iter().any(|import| keys.contains(&import.account)) {
                continue;
            }
            let ends = Cell::new(i64::MAX);
            let (spec, problems) = account.claims.spec(|import| {
                let Some(exporter) = known.get(&import.account) else {
                    self.upkeep.seek(&import.account);
                    return false;
                };
                let strict = self.trust.is_strict(&exporter.claims);
                exporter.claims.lets_have(import, now, strict, &mut |at| ends.set(ends.get().min(at)))
            });
            for problem in problems {
                log::error!("Account {}: {problem}", account.key());
            }
            if ends.get() < i64::MAX {
                self.upkeep.look_again(ends.get(), account.key());
            }
            specs.push(spec);
        }
        hub.accounts.set_signed(specs);
    }

    /// Obeys options that have come.
    ///
    /// # Errors
    ///
    /// If accounts cannot be had from where they are; those that are known stay then.
    pub(crate) fn reload(&self, hub: &Hub) -> Result<(), OperatorStartError> {
        let options = hub.options().clone();
        let Some(operator) = options.operator.as_ref() else { return Ok(()) };
        self.renewed(None);
        self.lookups.forget_misses();
        let keys: Vec<String> = self.known.read().keys().cloned().collect();
        let (mut changed, mut gone) = (Vec::new(), HashSet::new());
        for (key, token) in self.source.reload(operator, &keys)? {
            let same = |token: &String| self.known(&key).is_some_and(|known| known.token == *token);
            match token.filter(|token| !same(token)).map(|token| self.read(&key, token)) {
                Some(Ok(known)) => changed.push(known),
                Some(Err(problem)) => {
                    log::error!("Account {key}: {problem}");
                    gone.insert(key);
                }
                None if self.source.has(operator, &key) => {}
                None => drop(gone.insert(key)),
            }
        }
        if !gone.is_empty() {
            self.forget(hub, &gone);
        }
        if !changed.is_empty() {
            self.adopt(hub, changed);
        }
        Ok(())
    }
}

/// Lets the clients and leaf nodes of these accounts see what that changes for them.
fn tell_clients(hub: &Hub, keys: &HashSet<String>) {
    if !keys.is_empty() {
        hub.raise_epoch();
        hub.wake_or_shed(&[Kind::Client, Kind::Leaf], |name| keys.contains(name));
    }
}

/// Operator mode begins: the account of the servers is there from the start.
///
/// # Errors
///
/// If it is not to be had, though it does not take other servers to get it.
pub(crate) async fn begin(hub: &Arc<Hub>, operators: Operators) -> Result<(), OperatorStartError> {
    let in_memory = matches!(operators.source, Source::Memory);
    let Some(operators) = hub.operators.set(operators).ok().and_then(|()| hub.operators.get()) else { return Ok(()) };
    let options = hub.options().clone();
    let Some(options) = options.operator.as_ref() else { return Ok(()) };
    let Some(system) = options.system_account.clone() else { return Ok(()) };
    if look_up(hub.clone(), system.clone()).await.is_some() {
        return Ok(());
    }
    if in_memory {
        return Err(OperatorStartError::NoSystemAccount(system));
    }
    log::info!("The system account {system} is not known yet; its users may come and tell what it is");
    operators.adopt(hub, vec![Arc::new(stand_in(options, system))]);
    Ok(())
}

/// A system account in place of one whose token is not known yet: only through it can that token come.
fn stand_in(options: &OperatorOptions, system: String) -> Known {
    let mut claims = Claims::new(system, Account::unlimited());
    let issuer = options.operators.first().map(|operator| &operator.registered.issuer).or(options.trusted_keys.first());
    claims.registered.issuer = issuer.cloned().unwrap_or_default();
    Known { token: String::new(), claims, since: SystemTime::now() }
}
