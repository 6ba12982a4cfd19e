//! A datagram at a SCION listener.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use natsd_scion::fuzzing::{Receiver, probe, scmp_message};

thread_local! {
    static RECEIVER: RefCell<Receiver> = RefCell::new(Receiver::new().expect("a free port"));
}

fuzz_target!(|input: &[u8]| {
    let mut packet = input.to_vec();
    // Twice: the second time, its header may be a known one.
    RECEIVER.with_borrow_mut(|receiver| {
        receiver.receive(&mut packet);
        receiver.receive(&mut packet);
    });
    scmp_message(input);
    probe(input);
});
