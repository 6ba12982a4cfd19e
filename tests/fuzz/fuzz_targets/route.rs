//! What a server at the other end of a route sends.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::route::dag::{MAX_NEIGHBOURS, MAX_STOPS, wire as dag};
use natsd_core::route::wire::{Op, Read, Reader};

fuzz_target!(|input: &[u8]| {
    for dedicated in [false, true] {
        let reader = Reader::new(dedicated);
        let mut rest = input;
        while let Ok(Read::Op(op, taken)) = reader.read(rest) {
            assert!(taken > 0);
            match op {
                Op::Dag(dag::Op::Message(message)) => assert!((1..=MAX_STOPS).contains(&message.stops().count())),
                Op::Dag(dag::Op::Record(record)) => assert!(record.neighbours().count() <= MAX_NEIGHBOURS),
                _ => {}
            }
            rest = &rest[taken..];
        }
    }
});
