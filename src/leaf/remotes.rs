//! The hubs that are dialled now.

use std::sync::Arc;

use tokio::task::{AbortHandle, JoinSet};

use super::remote::Remote;
use super::{Shared, dial};
use crate::config::options::LeafOptions;
use crate::tls::TlsError;

/// Hubs as they are configured, whose certificates and keys have been read.
pub(crate) struct NewRemotes(Vec<Remote>);

impl NewRemotes {
    /// # Errors
    ///
    /// When TLS cannot be spoken as configured.
    pub(crate) fn read(options: &LeafOptions) -> Result<Self, TlsError> {
        let dialled = options.remotes.iter().filter(|remote| !remote.disabled);
        dialled.map(Remote::new).collect::<Result<_, _>>().map(Self)
    }
}

/// See the [module](self).
#[derive(Default)]
pub(super) struct Remotes {
    running: Vec<(Arc<Remote>, AbortHandle)>,
    stopped: bool,
}

impl Remotes {
    /// From now on exactly these are dialled. What stays keeps its connection, and begins the next one with certificates as
    /// they are now.
    pub(super) fn become_like(&mut self, new: NewRemotes, shared: &Arc<Shared>, tasks: &mut JoinSet<()>) {
        if self.stopped {
            return;
        }
        let mut wanted = new.0;
        self.running.retain(|(remote, task)| {
            let known = wanted.iter().position(|new| new.options == remote.options);
            match known {
                Some(at) => remote.become_like(&wanted.swap_remove(at)),
                None => {
                    task.abort();
                    remote.retire();
                }
            }
            known.is_some()
        });
        for remote in wanted.into_iter().map(Arc::new) {
            let task = tasks.spawn(dial::keep(shared.clone(), remote.clone()));
            self.running.push((remote, task));
        }
    }

    /// Nothing is dialled any more.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }
}
