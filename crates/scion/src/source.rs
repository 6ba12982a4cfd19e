//! Where a host learns its AS and paths.

use std::future::Future;
use std::pin::Pin;

use natsd_path::IsdAs;

use crate::error::DaemonError;
use crate::metadata::PathInfo;

/// The most paths kept of one answer.
pub(crate) const MAX_PATHS: usize = 256;

/// What is known of the AS that this host is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalAs {
    pub(crate) isd_as: IsdAs,
    /// Bytes, within the AS.
    pub(crate) mtu: u16,
    /// The UDP ports that routers deliver to directly, lowest and highest; `None` when there are none.
    pub(crate) ports: Option<(u16, u16)>,
}

/// A future behind a trait object.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The daemon, the AS's control services, or a test's own words.
pub(crate) trait PathSource: Send + Sync + 'static {
    /// Where it is, for monitoring: an address, or a file.
    fn name(&self) -> String;

    /// What it is, for sentences: "the SCION daemon at 127.0.0.1:30255".
    fn title(&self) -> String {
        self.name()
    }

    /// What is known without asking anybody.
    fn known(&self) -> Option<LocalAs> {
        None
    }

    /// The local AS, and with it whether paths can be asked for.
    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>>;

    /// All paths to a foreign AS; `refresh` bypasses caches.
    fn paths(&self, from: IsdAs, to: IsdAs, refresh: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>>;

    /// Reads its file again, if it has one.
    ///
    /// # Errors
    ///
    /// When that cannot be used; all stays as it was.
    fn reload(&self) -> Result<(), DaemonError> {
        Ok(())
    }
}
