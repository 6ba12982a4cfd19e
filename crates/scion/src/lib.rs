//! SCION end host for natsd: addresses, daemon client, UDP underlay, SCMP, QUIC.

mod checksum;
mod daemon;
mod error;
mod header;
mod metadata;
mod probe;
mod scmp;
mod template;
