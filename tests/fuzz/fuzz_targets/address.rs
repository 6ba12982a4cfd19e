//! A SCION address: what is accepted prints as itself.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_path::ScionAddr;

fuzz_target!(|text: &str| {
    if let Ok(address) = text.parse::<ScionAddr>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
});
