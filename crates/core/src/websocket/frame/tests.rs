use proptest::prelude::*;

use super::super::deflate::{Deflater, Inflater, Step};
use super::super::framing::{Framing, write_pong};
use super::*;

/// A frame as a client sends it.
fn frame(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let mask = if key.is_some() { MASKED } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ 0..=125 => frame.push(mask | len as u8),
        len @ 126..=0xffff => {
            frame.push(mask | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(mask | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(key.unwrap_or_default().iter().filter(|_| key.is_some()));
    frame.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key.map_or(0, |key| key[i % 4])));
    frame
}

const KEY: Option<[u8; 4]> = Some([1, 2, 3, 250]);

/// Everything in `wire`, which comes in pieces of so many bytes.
fn decode(decoder: &mut Decoder, wire: &[u8], piece: usize) -> Result<Vec<String>, FrameError> {
    let mut found = Vec::new();
    let mut data = Vec::new();
    for chunk in wire.chunks(piece.max(1)) {
        let mut chunk = chunk.to_vec();
        let mut at = 0;
        loop {
            let (end, piece) = decoder.decode(&mut chunk, at)?;
            let part = match piece {
                None => {
                    assert_eq!(end, chunk.len());
                    break;
                }
                Some(Piece::Data(part)) => {
                    assert_eq!(part.range.end, end);
                    (Some(part.last), part.range)
                }
                Some(Piece::Ping(payload)) => {
                    found.push(format!("ping {payload:?}"));
                    (None, 0..0)
                }
                Some(other) => {
                    found.push(format!("{other:?}"));
                    (None, 0..0)
                }
            };
            data.extend_from_slice(&chunk[part.1]);
            if part.0 == Some(true) {
                found.push(format!("message {:?}", std::mem::take(&mut data)));
            }
            at = end;
        }
    }
    Ok(found)
}

fn refusal(wire: &[u8]) -> FrameError {
    decode(&mut Decoder::new(true, true), wire, usize::MAX).expect_err("against the rules")
}

#[test]
fn what_breaks_the_rules_is_refused() {
    for reserved in [0x20, 0x10, 0x30] {
        assert_eq!(refusal(&frame(0x82 | reserved, KEY, b"x")), FrameError::Reserved);
    }
    assert_eq!(refusal(&frame(0x82, None, b"x")), FrameError::NotMasked);
    for opcode in (3..8).chain(11..16) {
        assert_eq!(refusal(&frame(0x80 | opcode, KEY, b"x")), FrameError::Opcode(opcode));
    }
    for control in [8, 9, 10] {
        assert_eq!(refusal(&frame(control, KEY, b"")), FrameError::FragmentedControl);
        assert_eq!(refusal(&frame(0xc0 | control, KEY, b"")), FrameError::CompressedControl);
        assert_eq!(refusal(&frame(0x80 | control, KEY, &[0; 126])), FrameError::LargeControl);
    }
    assert_eq!(refusal(&frame(0x80, KEY, b"x")), FrameError::Continuation);
    assert_eq!(refusal(&[frame(0x02, KEY, b"x"), frame(0xc0, KEY, b"x")].concat()), FrameError::Continuation);
    assert_eq!(refusal(&[frame(0x02, KEY, b"x"), frame(0x82, KEY, b"x")].concat()), FrameError::Interrupted);
    assert_eq!(refusal(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), FrameError::Length);
    assert_eq!(refusal(&frame(0x88, KEY, b"x")), FrameError::HalfStatus);
    let mut plain = Decoder::new(true, false);
    assert_eq!(decode(&mut plain, &frame(0xc2, KEY, b"x"), 99), Err(FrameError::NotNegotiated));
}

#[test]
fn control_frames_may_come_within_a_message() {
    let wire = [frame(0x02, KEY, b"a"), frame(0x89, KEY, b"p"), frame(0x8a, KEY, b""), frame(0x80, KEY, b"b")].concat();
    let found = decode(&mut Decoder::new(true, false), &wire, 1).expect("by the rules");
    assert_eq!(found, ["ping [112]", "Pong", "message [97, 98]"]);
}

#[test]
fn masks_are_optional_where_that_was_agreed_on() {
    let wire = [frame(0x82, None, b"ab"), frame(0x81, KEY, b"cd")].concat();
    let found = decode(&mut Decoder::new(false, false), &wire, 3).expect("by the rules");
    assert_eq!(found, ["message [97, 98]", "message [99, 100]"]);
}

fn framing() -> impl Strategy<Value = Framing> {
    (any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(compression, browser, whole)| Framing {
        compression,
        browser,
        whole,
    })
}

proptest! {
    #[test]
    fn a_message_is_found_however_it_is_cut(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..6),
        key in any::<[u8; 4]>(),
        piece in 1usize..700,
    ) {
        let mut wire = Vec::new();
        for (i, part) in parts.iter().enumerate() {
            let last = if i + 1 == parts.len() { FINAL } else { 0 };
            wire.extend(frame(last | if i == 0 { 2 } else { 0 }, Some(key), part));
            wire.extend(frame(0x89, Some(key), b"?"));
        }
        let found = decode(&mut Decoder::new(true, false), &wire, piece).expect("by the rules");
        let messages: Vec<_> = found.iter().filter(|found| found.starts_with("message")).collect();
        prop_assert_eq!(messages, [&format!("message {:?}", parts.concat())]);
        prop_assert_eq!(found.len(), parts.len() + 1);
    }

    #[test]
    fn masking_twice_changes_nothing(bytes in prop::collection::vec(any::<u8>(), 0..100), key in any::<[u8; 4]>(), at in 0usize..100) {
        let mut masked = bytes.clone();
        let (left, right) = masked.split_at_mut(at.min(bytes.len()));
        let mut turn = 0;
        unmask(left, key, &mut turn);
        unmask(right, key, &mut turn);
        let expected: Vec<u8> = bytes.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        prop_assert_eq!(masked, expected);
    }

    #[test]
    fn nothing_that_comes_makes_it_panic(
        wire in prop::collection::vec(any::<u8>(), 0..200),
        mask in any::<bool>(),
        compression in any::<bool>(),
        piece in 1usize..50,
    ) {
        let _ = decode(&mut Decoder::new(mask, compression), &wire, piece);
    }

    #[test]
    fn what_is_sent_can_be_read(framing in framing(), plain in prop::collection::vec(0u8..9, 1..70_000), cut in 0usize..70_000) {
        let mut wire = Vec::new();
        let (left, right) = plain.split_at(cut.min(plain.len()));
        for part in [left, right].into_iter().filter(|part| !part.is_empty()) {
            framing.write(part, &mut Deflater::default(), &mut wire);
            write_pong(&mut wire, b"pong");
        }
        let mut decoder = Decoder::new(false, framing.compression);
        let (mut at, mut inflater, mut got) = (0, Inflater::default(), Vec::new());
        let mut room = vec![0; 100_000];
        loop {
            let (end, piece) = decoder.decode(&mut wire, at).expect("by the rules");
            let Some(piece) = piece else { break };
            at = end;
            let Piece::Data(data) = piece else { continue };
            prop_assert!(!framing.browser || framing.whole && data.compressed || data.range.len() <= 4096);
            let mut input = &wire[data.range];
            if !data.compressed {
                got.extend_from_slice(input);
                continue;
            }
            let (written, step) = inflater.inflate(&mut input, data.last, &mut room).expect("deflated");
            got.extend_from_slice(&room[..written]);
            prop_assert_eq!(step, if data.last { Step::Done } else { Step::Hungry });
            if data.last {
                inflater.reset();
            }
        }
        prop_assert_eq!(got, plain);
    }
}
