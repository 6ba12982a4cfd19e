//! SCION end host for natsd: addresses, daemon client, UDP underlay, SCMP, QUIC.

mod cache;
mod checksum;
mod daemon;
mod destination;
mod endpoint;
mod error;
mod header;
mod host;
mod lookup;
mod metadata;
mod peers;
mod ping;
mod probe;
mod quic;
mod scmp;
mod socket;
mod stream;
mod template;
mod tunnel;
mod underlay;

#[cfg(test)]
mod tests;

pub use destination::{PathEvent, PeerPaths};
pub use endpoint::{Endpoint, Incoming};
pub use error::{AcceptError, DaemonError, DialError, HostError, ListenError, LookupError, PingError, TunnelError};
pub use host::{Host, HostConfig, Status};
pub use metadata::PathInfo;
pub use stream::{ReadHalf, Stream, StreamStats, WriteHalf};
