//! Integration tests: the real binary, real sockets, real peers.
#![allow(unreachable_pub, reason = "no module here is reachable from elsewhere")]

mod cluster;
mod config;
mod harness;
#[cfg(feature = "interop")]
mod interop;
mod lab;
mod monitor;
#[cfg(feature = "interop")]
mod reference;
mod route;
mod scion;
mod wire;
