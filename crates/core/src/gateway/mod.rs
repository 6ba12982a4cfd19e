//! Gateways: connections between clusters.
//!
//! Each server dials one server of every other cluster, and sends its messages there over that *outbound* connection. What that
//! cluster wants comes back over it; over the *inbound* ones, which others dialled, it is told what this cluster wants.
//! Servers up to 2.8 of nats-server begin *optimistic*: they are sent everything until they say what they do not want.

pub mod encode;
pub mod hello;
pub mod interest;
pub mod reply;
pub mod session;
pub mod tally;
pub mod wire;

/// Commands that an `INFO` can carry.
pub mod command {
    /// Tells of another cluster.
    pub const GOSSIP: u8 = 1;
    /// All interest in an account is told from now on.
    pub const ALL_BEGIN: u8 = 2;
    /// All interest in an account has been told.
    pub const ALL_COMPLETE: u8 = 3;
}
