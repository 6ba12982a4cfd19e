//! The NATS protocol engine: parser, encoder, subjects, subscription lists, route protocol (no IO).

pub mod route;
