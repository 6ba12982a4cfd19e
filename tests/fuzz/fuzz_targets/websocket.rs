//! What a client over WebSocket sends once it is in: the first byte says how it is cut and what was agreed on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use natsd_core::websocket::deflate::{Inflater, Step};
use natsd_core::websocket::frame::{Decoder, Piece};

fuzz_target!(|input: &[u8]| {
    let Some((setup, wire)) = input.split_first() else { return };
    let mut decoder = Decoder::new(setup & 1 != 0, setup & 2 != 0);
    let (mut inflater, mut room) = (Inflater::default(), [0; 512]);
    for chunk in wire.chunks(usize::from(setup >> 2) + 1) {
        let mut chunk = chunk.to_vec();
        let mut at = 0;
        loop {
            let Ok((end, piece)) = decoder.decode(&mut chunk, at) else { return };
            assert!(end >= at && end <= chunk.len());
            at = end;
            match piece {
                None => {
                    assert_eq!(end, chunk.len());
                    break;
                }
                Some(Piece::Data(data)) => {
                    assert_eq!(data.range.end, end);
                    let mut part = &chunk[data.range.clone()];
                    let mut steps = 0;
                    while data.compressed {
                        let Ok((written, step)) = inflater.inflate(&mut part, data.last, &mut room) else { return };
                        assert!(written <= room.len());
                        match step {
                            Step::Full if steps < 1000 => steps += 1,
                            Step::Full => return,
                            Step::Hungry => break,
                            Step::Done => {
                                inflater.reset();
                                break;
                            }
                        }
                    }
                }
                Some(Piece::Close(farewell)) => {
                    let mut out = Vec::new();
                    farewell.write(&mut out);
                    assert!(out.len() <= 127 && usize::from(out[1]) == out.len() - 2);
                }
                Some(Piece::Ping(payload)) => assert!(payload.len() <= 125),
                Some(Piece::Pong) => {}
            }
        }
    }
});
