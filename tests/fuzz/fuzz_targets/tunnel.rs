//! What the client of a TCP connection that carries SCION's QUIC sends.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| natsd_scion::fuzzing::tunnel(input));
