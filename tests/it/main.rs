//! Integration tests: the real binary, real sockets, real peers.
#![allow(unreachable_pub, reason = "no module here is reachable from elsewhere")]

mod cluster;
mod config;
mod harness;
#[cfg(feature = "interop")]
mod interop;
#[cfg(feature = "lab")]
mod lab;
mod monitor;
#[cfg(feature = "lab")]
mod paths;
#[cfg(all(feature = "interop", feature = "lab"))]
mod reference;
mod route;
#[cfg(feature = "lab")]
mod scion;
mod tls;
mod wire;
