//! The protocol between a hub and a leaf node: a server that shares one account with another, over a connection of that
//! account alone.
//!
//! * [`wire`] and [`encode`]: the lines.
//! * [`hello`]: what `INFO` and `CONNECT` carry.
//! * [`session`]: one connection: set-up, liveness, end.
//! * [`interest`]: what the other side is told of subscriptions on this one.
//!
//! As on routes, all of it is free of IO.

pub mod encode;
pub mod hello;
pub mod interest;
pub mod session;
pub mod wire;

/// What subjects begin with by which a server finds out that what it tells a leaf node comes back to it.
pub const LOOP_PREFIX: &[u8] = b"$LDS.";

/// Stands for a cluster where there is none.
pub const NO_CLUSTER: &str = "_";
