//! What a proxy, or whoever stands in for one, sends first.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::proxy::{MAX_NEEDED, Read, read};

fuzz_target!(|input: &[u8]| {
    let whole = read(input);
    assert!(input.len() < MAX_NEEDED || whole != Ok(Read::Partial));
    // What is told of a beginning is told of the whole.
    for end in 0..input.len().min(MAX_NEEDED) {
        match read(&input[..end]) {
            Ok(Read::Partial) => {}
            told => assert_eq!(told, whole),
        }
    }
});
