//! The NATS configuration language and the options it sets.

pub mod language;
pub mod options;
