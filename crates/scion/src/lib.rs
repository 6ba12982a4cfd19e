//! SCION end host for natsd: addresses, daemon client, UDP underlay, SCMP, QUIC.
