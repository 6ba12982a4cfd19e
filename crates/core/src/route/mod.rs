//! The protocol that servers of one cluster speak to each other.
//!
//! * [`wire`] and [`encode`]: the lines.
//! * [`hello`]: what `INFO` and `CONNECT` carry.
//! * [`session`]: one connection: set-up, liveness, end.
//! * [`cluster`]: all of them: whom to dial and when, which of two connections stays, who hears of whom.
//! * [`dag`]: clusters whose servers are not all connected with each other.
//! * [`interest`]: what a server tells its peers of its clients' subscriptions.
//! * [`spread`]: order of messages that several connections share out.
//!
//! All of it is free of IO: bytes, parsed lines and the time go in, actions come out. Time is a [`Duration`] since any
//! fixed moment, such as the start of the server.
//!
//! [`Duration`]: std::time::Duration

pub mod cluster;
pub mod dag;
pub mod dedicated;
pub mod encode;
pub mod hello;
pub mod interest;
pub mod session;
pub mod spread;
pub mod wire;

use std::fmt;

/// Why a route ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// It leads to this server itself.
    ToSelf,
    /// There is a route to this server, for the same accounts, already.
    Duplicate,
    /// Another server of the same name is in the cluster.
    DuplicateName,
    /// The cluster's name is not the peer's.
    ClusterName,
    /// This server took over the cluster name of another peer; set-up starts anew under it.
    ClusterRenamed,
    /// A client, a gateway or a leafnode reached the port for routes.
    WrongPort,
    /// The peer has not the user and password that it needs.
    Unauthorized,
    /// The peer did not finish set-up in time.
    HandshakeTimeout,
    /// Pings went unanswered.
    Stale,
    /// The peer broke the protocol.
    ProtocolViolation,
    /// The peer closed it, with this `-ERR`.
    Refused(String),
    /// A slot or an account that this server cannot give a connection of its own.
    BadSlot,
    /// One of the two servers passes on what is for others and the other one does not; which, and what to do.
    RouteType(String),
    /// More servers than a cluster can have.
    TooManyPeers,
    /// The operator took the route out of the configuration.
    RouteRemoved,
    /// The operator wants accounts shared out otherwise.
    PoolChanged,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ToSelf | Self::Duplicate => "Duplicate Route",
            Self::DuplicateName => "Duplicate Server Name",
            Self::ClusterName => "Cluster Name Conflict",
            Self::ClusterRenamed => "Cluster Renamed",
            Self::WrongPort => "Incorrect Port",
            Self::Unauthorized => "Authentication Failure",
            Self::HandshakeTimeout => "Authentication Timeout",
            Self::Stale => "Stale Connection",
            Self::ProtocolViolation => "Protocol Violation",
            Self::Refused(text) => return write!(f, "Refused by peer: {text}"),
            Self::RouteType(text) => return write!(f, "Route Type Conflict: {text}"),
            Self::BadSlot => "Invalid Route Pool Index",
            Self::TooManyPeers => "Too Many Peers",
            Self::RouteRemoved => "Route Removed",
            Self::PoolChanged => "Pool Changed",
        })
    }
}
