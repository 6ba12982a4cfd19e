//! SCION end host for natsd: addresses, daemon client, UDP underlay, SCMP, QUIC.
//!
//! A [`Host`] learns its AS from the SCION daemon (`daemon`), or from the AS's topology file (`topology`), and makes [`Endpoint`]s; an endpoint listens or dials and gives
//! [`Stream`]s. Each stream is one QUIC connection with one bidirectional stream, which the acceptor opens, as NATS
//! servers speak first: an acceptor that never writes leaves its dialer waiting. Peers that speak ALPN `qs`, as the
//! libraries of scion-apps do, have a stream each way instead.
//!
//! **Way of a datagram out**: QUIC names its peer by a synthetic address (`peers`); `socket` takes the peer's route, a
//! header template (`template`) or its TCP connection (`tunnel`), and hands whole batches to the kernel (`underlay`).
//! **Way in**: headers known byte for byte (`cache`) give peer and path at once; others are parsed (`header`), strangers
//! may only open connections (answers go as `wayback` says until paths are known), and probes (`probe`) and router errors (`scmp`) never reach QUIC.
//! **Paths**: one `destination` an AS and [`Lane`] drives `natsd_path::Manager` for all its peers: lookups (`lookup`; without a daemon of
//! the AS's control services, `control`, which give `segments` of paths), what was sent
//! and received, and the timer go in; switches, replays and probes come out and are carried out before the call returns.
//!
//! **Without SCION**: between hosts with several IP addresses the paths are pairs of these (`ways`, `plain`); all else is the same.
//!
//! **Security**: an [`Identity`] says what an end shows and whom it believes; nothing is sent to a peer, and nothing of
//! it believed, before both ends are content. The address that a TCP client gives of itself is not proven.

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod cache;
mod checksum;
mod control;
mod daemon;
mod destination;
#[cfg(feature = "endhost-api")]
mod endhost_api;
mod endpoint;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod halves;
mod header;
mod heard;
mod host;
mod lane;
mod lookup;
mod losses;
mod metadata;
mod meter;
mod outage;
mod peers;
mod ping;
mod plain;
mod probe;
mod quic;
mod reset;
mod scmp;
mod segments;
mod socket;
mod source;
mod stream;
mod template;
mod terms;
mod topology;
mod tunnel;
mod underlay;
mod usual;
mod wayback;
mod ways;
mod writable;

#[cfg(test)]
mod tests;

pub use destination::{PathEvent, PeerPaths};
pub use endpoint::{Endpoint, Incoming};
pub use error::{
    AcceptError, DaemonError, DialError, HostError, IdentityError, ListenError, LookupError, PingError, TunnelError,
};
pub use host::{Host, HostConfig, Status};
pub use lane::{Lane, Place, Terms};
pub use metadata::PathInfo;
pub use quic::{Admits, Identity};
pub use stream::{ReadHalf, Stream, StreamStats, WriteHalf};
pub use topology::{Problem, TopologyError, check_topology};
pub use tunnel::{TUNNEL_QUESTION, TcpFallback};
