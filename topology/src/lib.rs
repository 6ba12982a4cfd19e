//! Network descriptions and the lab that runs them: in-process emulator or the reference SCION programs.

pub mod addresses;
pub mod control;
pub mod daemon;
pub mod description;
pub mod dispatcher;
pub mod emulator;
pub mod engine;
pub mod fabric;
pub mod link;
pub mod links;
pub mod mover;
pub mod paths;
pub mod reference;
pub mod router;
pub mod scmp;
pub mod segments;
