//! Routes: connections to the other servers of the cluster.

mod dial;
mod protocol;
mod registry;
