//! Who may make a route to this server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use natsd_auth::Login;
use tokio::sync::Semaphore;

/// The user and password that peers need, if they need any.
pub(crate) struct Gate {
    login: ArcSwapOption<Login>,
    /// Turns for comparing a password with its bcrypt hash.
    turns: Arc<Semaphore>,
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
    pub(crate) fn new(login: Option<Login>, turns: Arc<Semaphore>) -> Self {
        Self { login: ArcSwapOption::new(login.map(Arc::new)), turns }
    }

    /// From now on this is what peers need. Whether that is something else.
    pub(crate) fn set(&self, login: Option<Login>) -> bool {
        let before = self.login.swap(login.clone().map(Arc::new));
        before.as_deref() != login.as_ref()
    }

    /// A peer says that it is `user`. Passwords that are hashed are compared on a thread that may block.
    pub(crate) fn judge(&self, user: &str, password: &str) -> Verdict {
        let Some(login) = self.login.load_full() else { return Verdict::Admitted };
        if login.is_hashed() {
            let (user, password, turns) = (user.to_owned(), password.to_owned(), self.turns.clone());
            return Verdict::Later(Box::pin(compare(login, user, password, turns)));
        }
        if login.verify(user, password) { Verdict::Admitted } else { Verdict::Refused }
    }
}

/// A peer that is gone meanwhile leaves the queue.
async fn compare(login: Arc<Login>, user: String, password: String, turns: Arc<Semaphore>) -> bool {
    let Ok(turn) = turns.acquire_owned().await else { return false };
    let run = move || {
        let right = login.verify(&user, &password);
        drop(turn);
        right
    };
    tokio::task::spawn_blocking(run).await.unwrap_or(false)
}
