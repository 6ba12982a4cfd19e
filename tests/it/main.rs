//! Integration tests: the real binary, real sockets, real peers.

mod cluster;
mod config;
mod harness;
mod interop;
mod lab;
mod scion;
mod wire;
