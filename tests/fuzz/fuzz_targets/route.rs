//! What a server at the other end of a route sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::route::wire::{Read, Reader};

fuzz_target!(|input: &[u8]| {
    for dedicated in [false, true] {
        let reader = Reader::new(dedicated);
        let mut rest = input;
        while let Ok(Read::Op(_, taken)) = reader.read(rest) {
            assert!(taken > 0);
            rest = &rest[taken..];
        }
    }
});
