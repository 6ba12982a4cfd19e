//! What a batch of received datagrams means to the path manager.

use std::sync::Arc;

use natsd_path::PathId;

use crate::destination::Destination;
use crate::peers::Peer;
use crate::socket::ACK_ONLY;

/// Packets of one peer over one path, told to the path manager together.
#[derive(Default)]
pub(crate) struct Heard {
    from: Option<(Arc<Peer>, PathId)>,
    packets: usize,
    acknowledged: bool,
}

impl Heard {
    pub(crate) fn add(&mut self, peer: Arc<Peer>, path: Option<PathId>, len: usize) {
        let Some(path) = path else { return };
        if self.from.as_ref().is_none_or(|(p, at)| !Arc::ptr_eq(p, &peer) || *at != path) {
            self.tell();
            self.from = Some((peer, path));
        }
        self.packets += 1;
        self.acknowledged |= len <= ACK_ONLY;
    }

    pub(crate) fn tell(&mut self) {
        let packets = std::mem::take(&mut self.packets);
        let acknowledged = std::mem::take(&mut self.acknowledged);
        let Some((peer, path)) = self.from.take() else { return };
        let destination: Option<Arc<Destination>> = peer.destination().clone();
        let Some(destination) = destination else { return };
        destination.drive(|manager, now| {
            manager.handle_received(now, path, packets);
            if acknowledged {
                manager.handle_acknowledgement(now, path);
            }
        });
    }
}
