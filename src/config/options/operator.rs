//! Operator mode: whom a server believes about accounts, and where it gets them.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use natsd_auth::jwt::{Account, Claims, KeyKind, Operator, TokenError, Trust, TrustError, User, UserLimits};

use super::TlsOptions;

/// How long another server may take to tell an account.
pub const FETCH_TIMEOUT: Duration = Duration::from_millis(1900);
/// How often servers compare what accounts they have.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(60);
/// How many accounts a cache holds.
pub const CACHE_LIMIT: usize = 1000;
/// The version of nats-server whose behaviour this is, for operators that ask for one.
const AS_NATS_SERVER: [i64; 3] = [2, 15, 2];

/// What becomes of an account that is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Delete {
    /// That is refused.
    #[default]
    Never,
    /// Its file is renamed.
    Rename,
    /// Its file is removed.
    Remove,
}

/// Where accounts come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolver {
    /// The configuration.
    Memory,
    /// A web server: the key of the account is added to this URL, which ends with a slash.
    Url(String),
    /// A directory with all accounts, kept the same as those of the other servers.
    Full {
        /// The directory, which is made if it is not there.
        directory: PathBuf,
        /// Accounts that fit; `None` for any number.
        limit: Option<usize>,
        /// Time between two comparisons with another server.
        interval: Duration,
        /// How long another server may take to tell an account.
        timeout: Duration,
        /// What becomes of an account that is deleted.
        delete: Delete,
    },
    /// A directory with accounts that other servers told.
    Cache {
        /// The directory, which is made if it is not there.
        directory: PathBuf,
        /// Accounts that fit; of more, those go that were used least lately.
        limit: usize,
        /// How long one stays that is not used; `None` until it expires.
        ttl: Option<Duration>,
        /// How long another server may take to tell an account.
        timeout: Duration,
    },
}

impl fmt::Display for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("MEMORY"),
            Self::Url(url) => write!(f, "URL({url})"),
            Self::Full { directory, limit, interval, timeout, delete } => {
                let directory = directory.display();
                write!(f, "full {directory} {limit:?} {interval:?} {timeout:?} {delete:?}")
            }
            Self::Cache { directory, limit, ttl, timeout } => {
                write!(f, "cache {} {limit} {ttl:?} {timeout:?}", directory.display())
            }
        }
    }
}

/// `operator`, `resolver` and what goes with them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OperatorOptions {
    /// `operator`: the tokens, as given.
    pub tokens: Vec<String>,
    /// `operator`: what they say.
    pub operators: Vec<Claims<Operator>>,
    /// `trusted_keys`: public keys of operators, without operators.
    pub trusted_keys: Vec<String>,
    /// `resolver`, or the account server of the only operator.
    pub resolver: Option<Resolver>,
    /// `resolver_tls`: for a resolver with an URL.
    pub resolver_tls: Option<TlsOptions>,
    /// `resolver_preload`: tokens of accounts by public key.
    pub preload: BTreeMap<String, String>,
    /// `resolver_pinned_accounts`: the only ones whose users may connect.
    pub pinned_accounts: Option<HashSet<String>>,
    /// `system_account`, or that of the only operator.
    pub system_account: Option<String>,
    /// `default_sentinel`: the token of the user that a client without one is.
    pub default_sentinel: Option<String>,
}

/// What else a configuration has that does not go with operators.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// `accounts {}`.
    pub accounts: bool,
    /// Users in `authorization {}`.
    pub users: bool,
    /// `auth_callout {}`.
    pub callout: bool,
    /// `no_auth_user`.
    pub no_auth_user: bool,
}

/// What does not go together, or is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// Neither a file nor a token.
    #[error("cannot read the operator file {path:?}: {problem}; give the path of a JWT, or the JWT itself")]
    File {
        /// As written.
        path: String,
        /// What the operating system says.
        problem: String,
    },
    /// Not the token of an operator.
    #[error("this is not the JWT of an operator: {0}")]
    Operator(TokenError),
    /// No key of an operator.
    #[error("{0:?} is not the public key of an operator; such a key begins with O and has 56 characters")]
    OperatorKey(String),
    /// No key of an account.
    #[error("{0:?} is not the public key of an account; such a key begins with A and has 56 characters")]
    AccountKey(String),
    /// Not the token of an account.
    #[error("the JWT of {account:?} is not that of an account: {problem}")]
    Account {
        /// The key that it stands under.
        account: String,
        /// What is wrong.
        problem: TokenError,
    },
    /// The token of another account.
    #[error("the JWT under {key:?} is that of account {subject:?}; put it under that key")]
    OtherAccount {
        /// The key that it stands under.
        key: String,
        /// Whose it is.
        subject: String,
    },
    /// Not the token of a user whom nobody has to prove to be.
    #[error("default_sentinel: {0}; it has to be the JWT of a user that is a bearer token")]
    Sentinel(String),
    /// A sentinel without operators.
    #[error("default_sentinel needs operators; add operator, or remove it")]
    SentinelAlone,
    /// Operators without a source of accounts.
    #[error("operators need accounts; add resolver, such as resolver: MEMORY with resolver_preload {{}}")]
    NoResolver,
    /// Two sources of accounts.
    #[error("accounts come from the operator's resolver; remove accounts {{}}, or operator")]
    Accounts,
    /// Two sources of users.
    #[error("users come from the operator's accounts; remove the users of authorization, or operator")]
    Users,
    /// Two deciders.
    #[error("the account's JWT says whether there is an auth callout; remove auth_callout, or operator")]
    Callout,
    /// Users whom accounts do not know.
    #[error("no_auth_user is a user of authorization {{}}; remove it, or write default_sentinel")]
    NoAuthUser,
    /// Two sources of trust.
    #[error("operator and trusted_keys cannot both be given; keep one of them")]
    KeysBesideOperators,
    /// Two system accounts.
    #[error("system_account is {configured:?}, but that of the operator is another; write the same, or remove the key")]
    SystemAccount {
        /// As configured.
        configured: String,
    },
    /// Servers that cannot find each other's accounts.
    #[error(
        "a resolver of type full or cache needs a system account; add system_account, or put it into the operator's JWT"
    )]
    NoSystemAccount,
    /// A directory that nobody vouches for.
    #[error("a resolver of type full or cache needs an operator; add operator")]
    NoOperator,
    /// An operator that asks for a newer server.
    #[error("{0}")]
    Version(String),
    /// A key that vouches for nobody.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Nowhere to put them.
    #[error("resolver_preload needs a resolver that can be written: MEMORY, or type full or cache")]
    Preload,
}

impl OperatorOptions {
    /// Takes from a single operator what the configuration does not say: the resolver and the system account.
    pub fn complete(&mut self) {
        let [operator] = &self.operators[..] else { return };
        let server = operator.body.account_server_url.trim();
        if self.resolver.is_none() && !server.is_empty() {
            self.resolver = Some(Resolver::Url(format!("{server}/accounts/")));
        }
        let system = &operator.body.system_account;
        if self.system_account.is_none() && !system.is_empty() {
            self.system_account = Some(system.clone());
        }
        if let (Some(pinned), Some(system)) = (&mut self.pinned_accounts, &self.system_account) {
            pinned.insert(system.clone());
        }
    }

    /// Whether users come with tokens.
    pub fn is_on(&self) -> bool {
        !self.operators.is_empty() || !self.trusted_keys.is_empty()
    }

    /// Whom the server believes.
    ///
    /// # Errors
    ///
    /// If a key is not that of an operator.
    pub fn trust(&self) -> Result<Trust, OperatorError> {
        Ok(Trust::new(&self.operators, &self.trusted_keys)?)
    }

    /// Whether it all goes together, and with what else is configured. Call [`complete`](Self::complete) before.
    ///
    /// # Errors
    ///
    /// The first thing that does not.
    pub fn check(&self, beside: Beside) -> Result<(), OperatorError> {
        match &self.resolver {
            Some(Resolver::Full { .. } | Resolver::Cache { .. }) if self.operators.is_empty() => {
                return Err(OperatorError::NoOperator);
            }
            None | Some(Resolver::Url(_)) if !self.preload.is_empty() => return Err(OperatorError::Preload),
            _ => {}
        }
        self.trust()?;
        if self.operators.is_empty() {
            return if self.default_sentinel.is_some() { Err(OperatorError::SentinelAlone) } else { Ok(()) };
        }
        if let Some(sentinel) = &self.default_sentinel {
            check_sentinel(sentinel)?;
        }
        let problem = [
            (self.resolver.is_none(), OperatorError::NoResolver),
            (beside.accounts, OperatorError::Accounts),
            (beside.users, OperatorError::Users),
            (beside.callout, OperatorError::Callout),
            (beside.no_auth_user, OperatorError::NoAuthUser),
            (!self.trusted_keys.is_empty(), OperatorError::KeysBesideOperators),
        ];
        if let Some((_, problem)) = problem.into_iter().find(|(wrong, _)| *wrong) {
            return Err(problem);
        }
        self.check_system_account()?;
        for operator in &self.operators {
            let checked = operator.body.check_version(&operator.registered.subject, AS_NATS_SERVER);
            checked.map_err(OperatorError::Version)?;
        }
        Ok(())
    }

    fn check_system_account(&self) -> Result<(), OperatorError> {
        let named: Vec<&str> = self.operators.iter().map(|operator| operator.body.system_account.as_str()).collect();
        if let Some(configured) = &self.system_account {
            let other = named.iter().any(|named| !named.is_empty()) && !named.contains(&configured.as_str());
            return if other { Err(OperatorError::SystemAccount { configured: configured.clone() }) } else { Ok(()) };
        }
        let shared = matches!(self.resolver, Some(Resolver::Full { .. } | Resolver::Cache { .. }));
        if shared && named.first().is_none_or(|first| first.is_empty()) {
            return Err(OperatorError::NoSystemAccount);
        }
        Ok(())
    }
}

/// A bearer, or a user whose signing key may say that it is one.
fn check_sentinel(token: &str) -> Result<(), OperatorError> {
    let user = Claims::<User>::decode(token).map_err(|problem| OperatorError::Sentinel(problem.to_string()))?;
    let scoped = !user.body.issuer_account.is_empty() && user.body.limits == UserLimits::default();
    if user.body.limits.bearer || scoped {
        Ok(())
    } else {
        Err(OperatorError::Sentinel("the user has to sign".to_owned()))
    }
}

/// Checks a token that is to be served as that of the account `key`.
///
/// # Errors
///
/// If it is that of something or somebody else. It may have expired.
pub fn check_preload(key: &str, token: &str) -> Result<(), OperatorError> {
    if !KeyKind::Account.is(key) {
        return Err(OperatorError::AccountKey(key.to_owned()));
    }
    let account = Claims::<Account>::decode(token)
        .map_err(|problem| OperatorError::Account { account: key.to_owned(), problem })?;
    let subject = account.registered.subject;
    if subject == key { Ok(()) } else { Err(OperatorError::OtherAccount { key: key.to_owned(), subject }) }
}
