//! natsd as a library: the server, its configuration and its command line.

pub mod accounts_store;
pub mod authority;
mod callout;
pub mod cli;
mod client;
pub mod config;
mod gateway;
mod hub;
mod journal;
mod leaf;
mod link;
pub mod logging;
pub mod monitor;
mod operators;
mod post;
mod route;
mod server;
pub mod signals;
mod system;
pub mod tls;
pub mod transport;
mod websocket;
pub mod zones;

pub use gateway::GatewayError;
pub use leaf::LeafError;
pub use operators::OperatorStartError;
pub use server::{IdentityError, ReloadError, Server, StartError, identity};
