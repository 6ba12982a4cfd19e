//! natsd as a library: the server, its configuration and its command line.

pub mod config;
pub mod route;
