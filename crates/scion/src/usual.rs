//! What is asked when the configuration says nothing: the daemon at its usual address, or if none answers there and the AS's
//! topology is at its usual place, the control services that this names.

use std::path::{Path, PathBuf};

use natsd_path::IsdAs;
use parking_lot::Mutex;

use crate::control::ControlServices;
use crate::daemon::Daemon;
use crate::error::DaemonError;
use crate::metadata::PathInfo;
use crate::source::{Boxed, LocalAs, PathSource};

/// See the module. The one that has answered last is asked until it fails.
pub(crate) struct Usual {
    daemon: Daemon,
    topology: PathBuf,
    control: Mutex<Option<ControlServices>>,
}

impl Usual {
    pub(crate) fn new(daemon: Daemon, topology: &Path) -> Self {
        Self { daemon, topology: topology.to_owned(), control: Mutex::new(None) }
    }

    fn control(&self) -> Option<ControlServices> {
        self.control.lock().clone()
    }

    /// Asks both, first the one that is in use.
    async fn find(&self) -> Result<LocalAs, DaemonError> {
        let in_use = self.control();
        if let Some(control) = &in_use
            && let Ok(local) = control.local_as().await
        {
            return Ok(local);
        }
        let silent = match self.daemon.local_as().await {
            Ok(local) => {
                *self.control.lock() = None;
                return Ok(local);
            }
            Err(error) => error,
        };
        if in_use.is_none() && self.topology.exists() {
            let control = ControlServices::new(&self.topology)?;
            let local = control.local_as().await?;
            log::info!("{silent}; paths are asked of {}", control.title());
            *self.control.lock() = Some(control);
            return Ok(local);
        }
        Err(silent)
    }
}

impl PathSource for Usual {
    fn name(&self) -> String {
        self.control().map_or_else(|| self.daemon.name(), |control| control.name())
    }

    fn title(&self) -> String {
        self.control().map_or_else(|| self.daemon.title(), |control| control.title())
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        Box::pin(self.find())
    }

    fn paths(&self, from: IsdAs, to: IsdAs, refresh: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        Box::pin(async move {
            match self.control() {
                Some(control) => control.paths(from, to, refresh).await,
                None => self.daemon.paths(from, to, refresh).await,
            }
        })
    }

    fn reload(&self) -> Result<(), DaemonError> {
        self.control().map_or(Ok(()), |control| control.reload())
    }
}
