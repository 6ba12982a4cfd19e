//! Integration tests: the real binary, real sockets, real peers.

mod cluster;
mod config;
mod harness;
#[cfg(feature = "interop")]
mod interop;
mod lab;
mod monitor;
#[cfg(feature = "interop")]
mod reference;
mod scion;
mod wire;
