//! What tests of the hub play on: a hub, and links that lead nowhere, whose output stays where it is.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Hub;
use crate::config::options::Options;
use crate::link::outbound::{Outbound, OutboundLimits, Sink};
use crate::link::{Kind, Link};
use crate::server::identity::Identity;
use crate::transport::Peer;

/// A hub without options, the same for all.
pub(crate) fn hub() -> &'static Arc<Hub> {
    static HUB: OnceLock<Arc<Hub>> = OnceLock::new();
    HUB.get_or_init(|| {
        let options = Options::default();
        let identity = Identity::generate(&options);
        Arc::new(Hub::new(options, identity))
    })
}

pub(crate) fn link(kind: Kind) -> Arc<Link> {
    let max_pending = 64 << 20;
    let limits =
        OutboundLimits { max_pending, stall_at: usize::MAX, write_deadline: Duration::from_secs(1), retry: false };
    let peer = Peer::Tcp(([127, 0, 0, 1], 1).into());
    Arc::new(Link::new(1, kind, peer, None, Outbound::new(Sink::Task), limits))
}
