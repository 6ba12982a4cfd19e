//! Clients over WebSocket.

mod entrance;
mod frames;
mod operation;

use crate::harness::server::{Program, TestServer};

const LAX: &str = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n";

/// A server with `more` inside of `websocket {}` in the clear, and `top` beside it.
fn start(program: Program, more: &str, top: &str) -> TestServer {
    let config = format!("websocket {{ host: 127.0.0.1, port: -1, no_tls: true\n{more} }}\n{top}");
    TestServer::start(program, &config)
}
