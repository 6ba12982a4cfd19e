//! Stateless resets (RFC 9000 section 10.3): what a process left open when it died, the next one at its address ends.
//!
//! Peers would otherwise wait for answers until their connections have been idle for a minute.

use std::sync::Arc;
use std::time::Duration;

use natsd_path::ScionAddr;
use quinn::EndpointConfig;
use quinn_proto::HashedConnectionIdGenerator;
use ring::hmac::{self, HMAC_SHA256, Key, Tag};

/// All that a peer has open is reset as soon as it says anything there. Resets are smaller than what they answer.
const MIN_INTERVAL: Duration = Duration::from_millis(1);

/// What the process of today and that of tomorrow at one address both know, and nobody else.
pub(crate) struct Secret(Key);

impl Secret {
    /// From a private key.
    pub(crate) fn of(private_key: &[u8]) -> Self {
        Self(Key::new(HMAC_SHA256, private_key))
    }

    /// Whoever listens at `address`, another server with the same key elsewhere must not be made to reset its connections
    /// (RFC 9000 section 21.11).
    pub(crate) fn apply(&self, address: ScionAddr, config: &mut EndpointConfig) {
        let derive = |purpose: &str| hmac::sign(&self.0, format!("natsd {purpose} {address}").as_bytes());
        let ids = first_eight(derive("connection id"));
        config
            .reset_key(Arc::new(Key::new(HMAC_SHA256, derive("stateless reset").as_ref())))
            .cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)))
            .min_reset_interval(MIN_INTERVAL);
    }
}

fn first_eight(tag: Tag) -> u64 {
    tag.as_ref().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}
