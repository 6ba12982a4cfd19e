//! The command line.

pub mod args;
pub mod check;
pub mod flags;
#[cfg(feature = "lab")]
pub mod lab;
pub mod serve;
pub mod signal;
mod single_dash;
#[cfg(feature = "tui")]
pub mod top;
