//! The path manager: candidates, preference, liveness, failover (no IO).

mod address;
mod preference;

pub use address::{AddrError, IsdAs, ScionAddr};
pub use preference::{Metric, Preference, PreferenceError};
