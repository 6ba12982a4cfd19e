//! A configuration file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd::config::language;

fuzz_target!(|text: &str| {
    let _ = language::parse(text, "fuzz.conf".as_ref(), &|_| None);
});
