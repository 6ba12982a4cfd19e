//! Where tokens of accounts come from.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use rustls::ClientConfig;

use super::web::{Web, WebError};
use super::{OperatorStartError, Operators};
use crate::accounts_store::{Policy, Store, StoreError};
use crate::config::options::{OperatorOptions, Resolver};
use crate::tls;

pub(super) enum Source {
    /// `resolver_preload`.
    Memory,
    Web(Web),
    Directory(Arc<Mutex<Store>>),
}

/// Why a token is not to be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Web(#[from] WebError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the server ends")]
    Ending,
}

/// What became of an account: its token, or that it has none any more.
type News = (String, Option<String>);

impl Source {
    pub(super) fn open(options: &OperatorOptions) -> Result<Self, OperatorStartError> {
        match &options.resolver {
            None | Some(Resolver::Memory) => Ok(Self::Memory),
            Some(Resolver::Url(url)) => {
                let tls = ArcSwapOption::new(web_tls(url, options)?);
                Ok(Self::Web(Web { url: url.clone(), tls }))
            }
            Some(resolver) => {
                let Some((directory, policy)) = Policy::of(resolver) else { return Ok(Self::Memory) };
                let now = SystemTime::now();
                let mut store = Store::open(directory, policy, now)?;
                preload(&mut store, options, now)?;
                let which = if policy.evict { "some" } else { "all" };
                log::info!("Managing {which} jwt in exclusive directory {}", directory.display());
                Ok(Self::Directory(Arc::new(Mutex::new(store))))
            }
        }
    }

    /// Whether anybody is there.
    pub(super) async fn check(&self) -> Result<(), OperatorStartError> {
        let Self::Web(web) = self else { return Ok(()) };
        web.get("").await.map(|_| ()).map_err(|problem| OperatorStartError::Web(problem.to_string()))
    }

    /// The token of an account, if there is one.
    pub(super) async fn fetch(&self, options: &OperatorOptions, key: &str) -> Result<Option<String>, FetchError> {
        match self {
            Self::Memory => Ok(options.preload.get(key).cloned()),
            Self::Web(web) => Ok(Some(web.get(key).await?)),
            Self::Directory(store) => {
                let (store, key) = (store.clone(), key.to_owned());
                let load = move || store.lock().load(&key, SystemTime::now());
                Ok(tokio::task::spawn_blocking(load).await.map_err(|_| FetchError::Ending)??)
            }
        }
    }

    /// Obeys other options. Tells of those of `keys`, and of others, whose tokens may be others now.
    pub(super) fn reload(&self, options: &OperatorOptions, keys: &[String]) -> Result<Vec<News>, OperatorStartError> {
        match self {
            Self::Memory => Ok(keys.iter().map(|key| (key.clone(), options.preload.get(key).cloned())).collect()),
            Self::Web(web) => {
                web.tls.store(web_tls(&web.url, options)?);
                Ok(Vec::new())
            }
            Self::Directory(store) => {
                let (mut store, now) = (store.lock(), SystemTime::now());
                preload(&mut store, options, now)?;
                store.reload(now)?;
                let token = |key: &String| store.load(key, now).map(|token| (key.clone(), token));
                // What is not there any more was deleted by nobody who may.
                let news: Result<Vec<News>, StoreError> = keys.iter().map(token).collect();
                Ok(news?.into_iter().filter(|(_, token)| token.is_some()).collect())
            }
        }
    }

    /// Whether there is an account, where that is known.
    pub(super) fn has(&self, options: &OperatorOptions, key: &str) -> bool {
        !matches!(self, Self::Memory) || options.preload.contains_key(key)
    }
}

impl Operators {
    /// The directory of accounts, if the resolver has one.
    pub(crate) fn store(&self) -> Option<&Arc<Mutex<Store>>> {
        match &self.source {
            Source::Directory(store) => Some(store),
            Source::Memory | Source::Web(_) => None,
        }
    }

    /// Does something with the directory, if there is one, where waiting for the disk harms nobody.
    pub(super) async fn with_store<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Store) -> T + Send + 'static,
    ) -> Option<T> {
        let store = self.store()?.clone();
        tokio::task::spawn_blocking(move || act(&mut store.lock())).await.ok()
    }
}

fn preload(store: &mut Store, options: &OperatorOptions, now: SystemTime) -> Result<(), StoreError> {
    for (key, token) in &options.preload {
        store.save_if_newer(key, token, now)?;
    }
    Ok(())
}

fn web_tls(url: &str, options: &OperatorOptions) -> Result<Option<Arc<ClientConfig>>, OperatorStartError> {
    let sealed = url.starts_with("https:");
    Ok(if sealed { Some(tls::web_client(options.resolver_tls.as_ref())?) } else { None })
}
