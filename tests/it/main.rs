//! Integration tests: the real binary, real sockets, real peers.
#![allow(unreachable_pub, reason = "no module here is reachable from elsewhere")]

mod accounts;
mod auth;
mod cluster;
mod config;
mod harness;
#[cfg(feature = "interop")]
mod interop;
#[cfg(feature = "lab")]
mod lab;
mod logs;
mod mappings;
mod monitor;
#[cfg(feature = "lab")]
mod paths;
mod permissions;
#[cfg(all(feature = "interop", feature = "lab"))]
mod reference;
mod reload;
mod route;
mod run_files;
#[cfg(feature = "lab")]
mod scion;
mod system;
#[cfg(feature = "interop")]
mod system_cli;
mod tls;
mod wire;
