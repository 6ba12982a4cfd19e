//! Tells the path manager what the connections of a destination deliver together.

use std::time::{Duration, Instant};

use natsd_path::{Delivery, PathId};

use super::Destination;
use crate::meter::Reading;

/// Connections ask for it once a second each; it is done for all of them together.
const INTERVAL: Duration = Duration::from_millis(900);

/// When it was done last, and the path that carried all traffic then and the time before: `None` if several did.
#[derive(Debug, Default)]
pub(super) struct Weighing {
    at: Option<Instant>,
    paths: [Option<PathId>; 2],
}

impl Destination {
    /// Counts what was delivered since the last time. It is told only of a path that has carried the traffic alone since the time before
    /// the last: what is acknowledged now may have been sent then.
    pub(crate) fn weigh(&self) {
        let now = Instant::now();
        let mut state = self.state.lock();
        let last = state.weighing.at;
        if last.is_some_and(|last| now.saturating_duration_since(last) < INTERVAL) {
            return;
        }
        let mut delivered = Reading::default();
        for peer in state.live_peers() {
            delivered += peer.delivered();
        }
        let alone = state.manager.active().filter(|_| state.hedge.is_none());
        let before = state.weighing.paths;
        state.weighing = Weighing { at: Some(now), paths: [before[1], alone] };
        if let (Some(path), Some(last)) = (alone, last)
            && before == [alone; 2]
        {
            let over = now.saturating_duration_since(last);
            let Reading { bytes, limited, congestions } = delivered;
            state.manager.handle_delivery(now, path, &Delivery { over, bytes, limited, congestions });
            self.settle(&mut state);
        }
    }
}
