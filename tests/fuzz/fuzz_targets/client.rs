//! What a client sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::parser::{Limits, Read, read};

fuzz_target!(|input: &[u8]| {
    let limits = Limits { max_control_line: 4096, max_payload: 1 << 20, headers: true };
    let mut rest = input;
    while let Ok(Read::Op(_, taken)) = read(rest, &limits) {
        assert!(taken > 0);
        rest = &rest[taken..];
    }
});
