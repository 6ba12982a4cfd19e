//! The command line.

pub mod args;
pub mod certs;
pub mod check;
pub mod convert;
pub mod flags;
#[cfg(feature = "lab")]
pub mod lab;
#[cfg(feature = "scion")]
pub mod link;
#[cfg(feature = "scion")]
pub mod paths;
#[cfg(feature = "scion")]
pub mod ping;
mod ruby_flags;
pub mod serve;
pub mod signal;
mod single_dash;
#[cfg(feature = "scion")]
pub mod source;
mod stream_flags;
#[cfg(feature = "scion")]
mod survey;
#[cfg(feature = "tui")]
pub mod top;
