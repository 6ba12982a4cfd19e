//! Starts servers and speaks to them.

pub mod client;
pub mod flow;
pub mod http;
pub mod http_proxy;
#[cfg(feature = "lab")]
pub mod identity;
#[cfg(feature = "lab")]
pub mod network;
pub mod node;
pub mod peer;
pub mod raw;
#[cfg(feature = "scion")]
pub mod relay;
pub mod server;
pub mod tls;
pub mod websocket;

use std::time::Duration;

/// After this a test gives up waiting.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks at something that cannot be waited for.
pub const POLL: Duration = Duration::from_millis(5);

/// The same scenarios with both programs.
macro_rules! with_both {
    ($($scenario:ident),* $(,)?) => {
        mod natsd_alone {
            use crate::harness::server::Program::Natsd;
            $(#[test] fn $scenario() { super::$scenario(Natsd) })*
        }
        #[cfg(feature = "interop")]
        mod go {
            use crate::harness::server::Program::Go;
            $(#[test] fn $scenario() { super::$scenario(Go) })*
        }
    };
}

pub(crate) use with_both;
