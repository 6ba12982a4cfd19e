//! Who may make a route to this server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use natsd_auth::{CertificateNames, Login};
use natsd_core::route::hello::Secret;
use tokio::sync::Semaphore;

use crate::config::options::{ClusterOptions, PeerAddr, RouteLogin, RouteUrl, TlsOptions};

/// What peers need to come in.
pub(crate) struct Gate {
    terms: ArcSwap<Terms>,
    /// Turns for comparing a password with its bcrypt hash.
    turns: Arc<Semaphore>,
}

/// What peers have to be. Without anything, everybody may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// A user with a password, or nobody with a token.
    login: Option<Login>,
    /// It is a token.
    token: bool,
    certified: Option<Certified>,
}

/// Certificates decide, and passwords do not.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Certified {
    /// They are for this user.
    user: Option<String>,
    /// They are for one of these hosts.
    hosts: Vec<String>,
}

impl Terms {
    pub(crate) fn of(options: &ClusterOptions) -> Self {
        let urls = options.routes.iter().flat_map(|remote| &remote.urls);
        Self::new(options.login.as_ref(), options.tls.as_ref(), urls)
    }

    /// Of servers that come with TLS like this, where `urls` are those known.
    pub(crate) fn new<'a>(
        login: Option<&RouteLogin>,
        tls: Option<&TlsOptions>,
        urls: impl Iterator<Item = &'a RouteUrl>,
    ) -> Self {
        let user = login.filter(|login| !login.is_token()).map(|login| login.user.clone());
        let token = login.is_some_and(RouteLogin::is_token);
        let login = login.map(|login| Login::new(&login.user, &login.password.0));
        let tls = tls.filter(|tls| tls.verify_and_map || tls.check_known_urls);
        let hosts = urls.filter_map(|url| match &url.address {
            PeerAddr::Tcp { host, .. } => Some(host.clone()),
            PeerAddr::Scion(_) | PeerAddr::Udp(_) => None,
        });
        let certified = tls.map(|tls| Certified {
            user: user.filter(|_| tls.verify_and_map),
            hosts: if tls.check_known_urls { hosts.collect() } else { Vec::new() },
        });
        Self { login, token, certified }
    }

    #[cfg(test)]
    pub(crate) fn of_login(login: Login) -> Self {
        Self { login: Some(login), token: false, certified: None }
    }
}

/// What a peer that came to us has shown.
pub(crate) struct Shown {
    pub(crate) user: String,
    pub(crate) password: Secret,
    /// Only natsd knows how to show one. Of others it comes as a user without a password.
    pub(crate) token: Option<Secret>,
    /// Who its certificate says that it is, where that decides.
    pub(crate) names: Option<Arc<CertificateNames>>,
}

/// Whether a peer may come in.
pub(crate) enum Verdict {
    Admitted,
    Refused,
    /// It takes a while to tell.
    Later(Outcome),
}

/// Whether user and password were right, once that is known.
pub(crate) type Outcome = Pin<Box<dyn Future<Output = bool> + Send>>;

impl Gate {
    pub(crate) fn new(terms: Terms, turns: Arc<Semaphore>) -> Self {
        Self { terms: ArcSwap::from_pointee(terms), turns }
    }

    /// From now on this is what peers need. Whether that is something else.
    pub(crate) fn set(&self, terms: Terms) -> bool {
        let before = self.terms.swap(Arc::new(terms.clone()));
        *before != terms
    }

    /// Whether a token is wanted, which may come in place of a user.
    pub(super) fn wants_token(&self) -> bool {
        self.terms.load().token
    }

    /// Passwords that are hashed are compared on a thread that may block.
    pub(crate) fn judge(&self, shown: &Shown) -> Verdict {
        let terms = self.terms.load();
        let told = |right| if right { Verdict::Admitted } else { Verdict::Refused };
        if let Some(certified) = &terms.certified {
            return told(shown.names.as_ref().is_some_and(|names| certified.admits(names)));
        }
        let Some(login) = &terms.login else { return Verdict::Admitted };
        let (user, password) = match &shown.token {
            Some(token) if terms.token => (String::new(), token.0.clone()),
            None if terms.token && shown.password.0.is_empty() => (String::new(), shown.user.clone()),
            _ => (shown.user.clone(), shown.password.0.clone()),
        };
        if login.is_hashed() {
            return Verdict::Later(Box::pin(compare(login.clone(), user, password, self.turns.clone())));
        }
        told(login.verify(&user, &password))
    }
}

impl Certified {
    fn admits(&self, names: &CertificateNames) -> bool {
        names.are_of_any(&self.hosts) || self.user.as_ref().is_some_and(|user| names.are_of(user))
    }
}

/// A peer that is gone meanwhile leaves the queue.
async fn compare(login: Login, user: String, password: String, turns: Arc<Semaphore>) -> bool {
    let Ok(turn) = turns.acquire_owned().await else { return false };
    let run = move || {
        let right = login.verify(&user, &password);
        drop(turn);
        right
    };
    tokio::task::spawn_blocking(run).await.unwrap_or(false)
}
