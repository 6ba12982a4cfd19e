//! Accounts that this server's directory lacks, and other servers may have.

use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::Operators;
use crate::accounts_store::Store;
use crate::config::options::{OperatorOptions, Resolver};

/// Questions that wait to be asked.
const MAX_WAITING: usize = 256;

/// Somebody waits for the token of an account.
pub(crate) struct Wanted {
    /// Whose.
    pub key: String,
    /// The token, which nobody has looked at yet; `None` if the other servers do not have it either.
    pub found: oneshot::Sender<Option<String>>,
}

/// Who asks the other servers for accounts takes this.
pub(crate) fn channel() -> (mpsc::Sender<Wanted>, mpsc::Receiver<Wanted>) {
    mpsc::channel(MAX_WAITING)
}

/// How long other servers may take; `None` if they are not asked.
fn patience(options: &OperatorOptions) -> Option<Duration> {
    match options.resolver.as_ref()? {
        Resolver::Full { timeout, .. } | Resolver::Cache { timeout, .. } => Some(*timeout),
        Resolver::Memory | Resolver::Url(_) => None,
    }
}

impl Operators {
    /// From now on other servers are asked, by whoever receives at the other end.
    pub(crate) fn ask_by(&self, asker: mpsc::Sender<Wanted>) {
        *self.asker.lock() = Some(asker);
    }

    /// The token of an account from another server.
    pub(super) async fn ask_others(&self, options: &OperatorOptions, key: &str) -> Option<String> {
        let patience = patience(options)?;
        let asker = self.asker.lock().clone()?;
        let (found, token) = oneshot::channel();
        asker.try_send(Wanted { key: key.to_owned(), found }).ok()?;
        timeout(patience, token).await.ok()?.ok()?
    }

    /// Remembers what another server told, once it is believed.
    pub(super) async fn keep(&self, key: &str, token: &str) {
        let (own_key, token) = (key.to_owned(), token.to_owned());
        let save = move |store: &mut Store| store.save_if_newer(&own_key, &token, SystemTime::now());
        if let Some(Err(problem)) = self.with_store(save).await {
            log::error!("Account {key}: {problem}");
        }
    }
}
