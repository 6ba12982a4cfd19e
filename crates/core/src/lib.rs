//! The NATS protocol engine: parser, encoder, subjects, subscription lists, route protocol (no IO).

pub mod ack;
pub mod advertised;
pub mod compression;
pub mod connect;
pub mod encode;
pub mod error;
pub mod gateway;
pub mod header;
pub mod info;
pub mod leaf;
pub mod lex;
pub mod msg_trace;
pub mod parser;

pub mod proxy;
pub mod relay;
pub mod route;
pub mod subject;
pub mod sublist;
pub mod transform;
pub mod websocket;
