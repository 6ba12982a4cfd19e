//! What is compressed of what goes over a leaf connection.

use std::time::Duration;

use natsd_core::leaf::hello::LeafInfo;

use super::{LeafLink, Role};

impl LeafLink {
    /// Says what was chosen: a hub its first word once more, a leaf node no more than that.
    pub(super) fn compress(&mut self) {
        let own = match &self.role {
            Role::Acceptor { nonce } => self.shared.first_info(self.link.id, nonce, self.session.compression()),
            Role::Dialer { .. } => LeafInfo { client_id: self.link.id, ..LeafInfo::default() },
        };
        self.session.compress(&own);
    }

    /// The level of what is compressed is that for this round-trip time, if it depends on it.
    pub(super) fn adjust_compression(&self, rtt: Duration) {
        let level = match &self.role {
            Role::Acceptor { .. } => self.shared.options.load().compression.level_at(rtt),
            Role::Dialer { remote, .. } => remote.options.compression.level_at(rtt),
        };
        if let Some(level) = level {
            self.link.outbound().set_level(level);
        }
    }
}
