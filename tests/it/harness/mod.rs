//! Starts servers and speaks to them.

pub mod raw;
pub mod server;

use std::time::Duration;

/// After this a test gives up waiting.
pub const DEADLINE: Duration = Duration::from_secs(10);
