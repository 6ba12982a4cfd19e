//! What a server at the other end of a leaf connection sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::leaf::hello::{LeafConnect, LeafInfo};
use natsd_core::leaf::wire::{Op, Read, read};

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Ok(Read::Op(op, taken)) = read(rest) {
        assert!(taken > 0);
        match op {
            Op::Info(json) => drop(serde_json::from_slice::<LeafInfo>(json)),
            Op::Connect(json) => drop(serde_json::from_slice::<LeafConnect>(json)),
            _ => {}
        }
        rest = &rest[taken..];
    }
});
