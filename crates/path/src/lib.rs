//! The path manager: candidates, preference, liveness, failover (no IO).

mod address;
mod candidate;
mod config;
mod event;
mod manager;
mod preference;
mod report;
mod scmp;
mod siphash;
mod token;

pub use address::{AddrError, IsdAs, ScionAddr};
pub use candidate::{Candidate, Fingerprint, Interface, Kind};
pub use config::Config;
pub use event::{Event, EventKind, PathId, Probe, Reason};
pub use manager::Manager;
pub use preference::{Metric, Preference, PreferenceError};
pub use report::{PathReport, Rtt, State};
pub use scmp::Scmp;
