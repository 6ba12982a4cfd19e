//! Every key that natsd knows, one table a block.

pub mod accounts;
pub mod authorization;
mod callout;
pub mod cluster;
mod compression;
pub mod gateway;
pub mod leafnodes;
mod listening;
pub mod mappings;
pub mod monitoring;
pub mod msg_trace;
pub mod multihome;
pub mod operator;
pub mod paths;
pub mod permissions;
pub mod scion;
pub mod server;
pub mod sharing;
pub mod tls;
pub(in crate::config) mod unsupported;
pub mod websocket;

#[cfg(test)]
mod tests;
