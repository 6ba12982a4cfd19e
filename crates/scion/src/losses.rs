//! Tells the path manager what QUIC found lost of a connection's traffic.

use std::sync::Arc;
use std::time::Duration;

use natsd_path::PathId;
use quinn::Connection;

use crate::peers::Peer;

/// Between two looks.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// What was seen of a connection last.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    sent: u64,
    lost: u64,
    /// How often large packets were taken for lost because of their size.
    black_holes: u64,
    /// The path at the last two looks.
    paths: [Option<PathId>; 2],
}

impl Losses {
    /// Looks again. Only what was sent while traffic stayed where it was for two looks on end is told of: losses show late,
    /// and those of a path that was left are none of the next one.
    pub(crate) fn look(&mut self, connection: &Connection, peer: &Arc<Peer>) {
        let stats = connection.stats().path;
        let sent = stats.sent_packets.saturating_sub(self.sent);
        let lost = stats.lost_packets.saturating_sub(self.lost);
        (self.sent, self.lost) = (stats.sent_packets, stats.lost_packets);
        let in_hole = std::mem::replace(&mut self.black_holes, stats.black_holes_detected) < stats.black_holes_detected;
        let path = peer.route().as_ref().and_then(|route| route.path());
        let [before, at_last] = self.paths;
        self.paths = [at_last, path];
        if let Some(path) = path.filter(|_| path == at_last && path == before && sent > 0)
            && let Some(destination) = &*peer.destination()
        {
            destination.drive(|manager, now| {
                manager.handle_loss(now, path, sent, lost);
                if in_hole {
                    manager.handle_black_hole(now, path);
                }
            });
        }
    }
}
