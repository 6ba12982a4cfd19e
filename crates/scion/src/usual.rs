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
        let answer = match &in_use {
            Some(control) => control.local_as().await,
            None => self.daemon.local_as().await,
        };
        let silent = match answer {
            Ok(local) => return Ok(local),
            Err(error) => error,
        };
        if in_use.is_some() {
            let local = self.daemon.local_as().await.map_err(|_| silent)?;
            *self.control.lock() = None;
            return Ok(local);
        }
        if !self.topology.exists() {
            return Err(silent);
        }
        let control = ControlServices::new(&self.topology)?;
        let local = control.local_as().await?;
        log::info!("{silent}; paths are asked of {}", control.title());
        *self.control.lock() = Some(control);
        Ok(local)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::tests::{Services, write};

    fn dead_daemon() -> Daemon {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
        Daemon::new(&free.to_string()).expect("an address")
    }

    #[tokio::test]
    async fn a_topology_at_its_usual_place_stands_in_for_a_daemon() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("topology.json");
        let usual = Usual::new(dead_daemon(), &file);
        assert!(matches!(usual.local_as().await, Err(DaemonError::Call { .. })), "there is no file");
        std::fs::write(&file, "{}").expect("writable");
        assert!(matches!(usual.local_as().await, Err(DaemonError::Topology(_))), "it cannot be used");
        assert!(usual.title().starts_with("the SCION daemon at "), "{}", usual.title());

        let services = Services::start();
        write(&file, "1-ff00:0:111", &[services.alive()]);
        let local = usual.local_as().await.expect("it can");
        assert_eq!(local.isd_as.to_string(), "1-ff00:0:111");
        assert_eq!(usual.name(), services.alive());
        assert!(usual.reload().is_ok());
        write(&file, "1-ff00:0:111", &[]);
        assert!(usual.reload().is_err());
    }
}
