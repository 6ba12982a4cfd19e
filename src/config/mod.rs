//! The NATS configuration language and the options it sets.

pub mod options;
