//! What goes to a client: frames around bytes, compressed where that was agreed on.

use super::deflate::Deflater;
use super::frame::unmask;

/// Browsers do better with small frames.
const BROWSER_FRAME: usize = 4096;
/// Fewer bytes are not worth compressing.
const COMPRESS_ABOVE: usize = 64;

/// How frames for a client are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framing {
    /// Messages are compressed.
    pub compression: bool,
    /// The client is a browser.
    pub browser: bool,
    /// A compressed message comes in one frame, even for a browser.
    pub whole: bool,
}

impl Framing {
    /// Appends the frames that carry `plain`, which is not empty.
    pub fn write(&self, plain: &[u8], deflater: &mut Deflater, out: &mut Vec<u8>) {
        if self.compression && plain.len() > COMPRESS_ABOVE {
            let start = out.len();
            deflater.deflate(plain, out);
            if self.browser && !self.whole {
                let compressed = out.split_off(start);
                return write_message(out, &compressed, true);
            }
            return put_header_before(out, start);
        }
        if self.browser {
            plain.chunks(BROWSER_FRAME).for_each(|chunk| write_message(out, chunk, false));
        } else {
            write_header(out, true, false, 2, plain.len());
            out.extend_from_slice(plain);
        }
    }
}

/// Appends one message in frames of a size that browsers like.
fn write_message(out: &mut Vec<u8>, payload: &[u8], compressed: bool) {
    let frames = payload.len().div_ceil(BROWSER_FRAME);
    for (i, chunk) in payload.chunks(BROWSER_FRAME).enumerate() {
        let first = i == 0;
        write_header(out, i + 1 == frames, compressed && first, if first { 2 } else { 0 }, chunk.len());
        out.extend_from_slice(chunk);
    }
}

/// Makes what `out` has from `start` on the payload of one compressed frame.
fn put_header_before(out: &mut Vec<u8>, start: usize) {
    let len = out.len() - start;
    write_header(out, true, true, 2, len);
    let header = out.len() - start - len;
    out[start..].rotate_right(header);
}

/// Appends a control frame; `payload` is at most 125 bytes.
pub fn write_control(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    write_header(out, true, false, opcode, payload.len());
    out.extend_from_slice(payload);
}

/// Appends a pong.
pub fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write_control(out, 10, payload);
}

/// Appends `frames`, whole ones that are not masked, as a client has to send them: each masked with a key of its own.
pub fn mask_frames(frames: &[u8], mut key: impl FnMut() -> [u8; 4], out: &mut Vec<u8>) {
    let mut rest = frames;
    while let [opcode, len, after @ ..] = rest {
        let (size, long): (usize, &[u8]) = match len {
            126 => (2, after),
            127 => (8, after),
            _ => (0, after),
        };
        let Some(extended) = long.get(..size) else { return };
        let of_extended = extended.iter().fold(0, |len, byte| len << 8 | usize::from(*byte));
        let payload_len = if size == 0 { usize::from(*len) } else { of_extended };
        let Some(payload) = after.get(size..size.saturating_add(payload_len)) else { return };
        let key = key();
        out.extend_from_slice(&[*opcode, len | 0x80]);
        out.extend_from_slice(extended);
        out.extend_from_slice(&key);
        let start = out.len();
        out.extend_from_slice(payload);
        unmask(&mut out[start..], key, &mut 0);
        rest = &after[size + payload_len..];
    }
}

fn write_header(out: &mut Vec<u8>, last: bool, compressed: bool, opcode: u8, len: usize) {
    out.push(opcode | if last { 0x80 } else { 0 } | if compressed { 0x40 } else { 0 });
    match len {
        0..=125 => out.push(len as u8),
        126..=0xffff => {
            out.push(126);
            out.extend((len as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend((len as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::websocket::frame::{Decoder, Piece};

    #[test]
    fn frames_of_all_sizes_are_masked_one_by_one() {
        let mut frames = Vec::new();
        write_pong(&mut frames, b"are you there");
        for len in [1, 125, 126, 0xffff, 0x10000] {
            Framing::default().write(&vec![b'x'; len], &mut Deflater::default(), &mut frames);
        }
        let (mut masked, mut count) = (Vec::new(), 0u8);
        let key = || {
            count += 1;
            [count; 4]
        };
        mask_frames(&frames, key, &mut masked);
        assert_eq!((count, masked.len()), (6, frames.len() + 6 * 4));
        let mut decoder = Decoder::new(true, false);
        let (mut from, mut got) = (0, Vec::new());
        while from < masked.len() {
            let (end, piece) = decoder.decode(&mut masked, from).expect("masked as it has to be");
            if let Some(Piece::Data(data)) = piece {
                got.push(data.range.len());
            }
            assert!(end > from);
            from = end;
        }
        assert_eq!(got, [1, 125, 126, 0xffff, 0x10000]);
        mask_frames(&frames[..5], || [0; 4], &mut masked);
    }
}
