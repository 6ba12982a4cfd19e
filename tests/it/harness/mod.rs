//! Starts servers and speaks to them.

pub mod client;
#[cfg(feature = "lab")]
pub mod network;
pub mod node;
pub mod peer;
pub mod raw;
pub mod server;
pub mod tls;
pub mod websocket;

use std::time::Duration;

/// After this a test gives up waiting.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at something that cannot be waited for.
pub const POLL: Duration = Duration::from_millis(5);
