//! The path manager: candidates, preference, liveness, failover (no IO).

mod address;
mod candidate;
mod config;
mod event;
mod flight;
mod limit;
mod loss;
mod manager;
mod path;
mod preference;
mod rank;
mod recent;
mod report;
mod rtt;
mod scmp;
mod silence;
mod siphash;
mod suspicion;
mod token;

pub use address::{AddrError, IsdAs, ScionAddr};
pub use candidate::{Candidate, Fingerprint, Interface, Kind};
pub use config::Config;
pub use event::{Event, EventKind, PathId, Probe, Reason};
pub use manager::Manager;
pub use preference::{Metric, Preference, PreferenceError};
pub use report::{PathReport, Rtt, State};
pub use scmp::Scmp;
