//! Starts servers and speaks to them.

pub(crate) mod client;
pub(crate) mod node;
pub(crate) mod peer;
pub(crate) mod raw;
pub(crate) mod server;

use std::time::Duration;

/// After this a test gives up waiting.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// Between two looks at something that cannot be waited for.
pub(crate) const POLL: Duration = Duration::from_millis(5);
