//! Tests of the lab: descriptions, the state machine with a jumping clock, the engines on real sockets.

mod description;
mod emulator;
mod fabric;
mod host;
#[cfg(feature = "interop")]
mod programs;
#[cfg(feature = "interop")]
mod reference;
