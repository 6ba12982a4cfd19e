//! What a server sends that compresses.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::compression::Level;
use natsd_core::compression::stream::{Packer, Unpacker, Workspace};

fn unpack(stream: &[u8]) -> Option<Vec<u8>> {
    let (mut unpacker, mut out) = (Unpacker::default(), Vec::new());
    for piece in stream.chunks(97) {
        unpacker.feed(piece);
        while unpacker.unpack(&mut out).ok()? {}
    }
    Some(out)
}

fuzz_target!(|input: &[u8]| {
    let _ = unpack(input);
    let named = [b"\xff\x06\x00\x00S2sTwO", input].concat();
    let _ = unpack(&named);
    for level in [Level::Fast, Level::Better] {
        let mut packer = Packer::new(level, 0);
        packer.pack(&mut Workspace::default(), input);
        assert!(input.is_empty() || unpack(packer.front(input)).as_deref() == Some(input));
    }
});
