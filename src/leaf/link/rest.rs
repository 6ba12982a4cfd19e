//! What the one who dials a hub hears when the connection is over.

use std::time::Duration;

use tokio::sync::oneshot;

/// When a hub is tried again.
#[derive(Default)]
pub(in crate::leaf) struct Rest {
    /// Not before that, and a little more.
    pub(in crate::leaf) pause: Duration,
    /// Not before this connection is gone.
    pub(in crate::leaf) while_open: Option<u64>,
}

/// Tells the one who dials that the connection is over, and when to try again.
pub(super) struct End {
    pub(super) rest: Rest,
    pub(super) told: Option<oneshot::Sender<Rest>>,
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(told) = self.told.take() {
            // Nobody dials any more when the server ends.
            let _ = told.send(std::mem::take(&mut self.rest));
        }
    }
}
