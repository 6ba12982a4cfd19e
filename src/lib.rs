//! natsd as a library: the server, its configuration and its command line.

pub mod cli;
pub mod config;
