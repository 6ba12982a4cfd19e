//! The command line.

pub mod args;
pub mod check;
pub mod flags;
pub mod serve;
pub mod signal;
mod single_dash;
#[cfg(feature = "tui")]
pub mod top;
