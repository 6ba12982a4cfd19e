//! What a server of another cluster sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::gateway::hello::{GatewayConnect, GatewayInfo};
use natsd_core::gateway::reply::Mapped;
use natsd_core::gateway::wire::{Op, Read, read};

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Ok(Read::Op(op, taken)) = read(rest) {
        assert!(taken > 0);
        match op {
            Op::Info(json) => drop(serde_json::from_slice::<GatewayInfo>(json)),
            Op::Connect(json) => drop(serde_json::from_slice::<GatewayConnect>(json)),
            Op::Message(message) => {
                if let Some(mapped) = Mapped::parse(message.subject) {
                    assert!(message.subject.ends_with(mapped.subject));
                }
            }
            _ => {}
        }
        rest = &rest[taken..];
    }
});
