//! `permessage-deflate` (RFC 7692) in which every message stands for itself: neither side keeps anything from one to the
//! next, so states can be shared by all connections.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use thiserror::Error;

/// How a sender's last block ends, which it leaves away.
const FLUSHED: [u8; 4] = [0, 0, 0xff, 0xff];
/// That, and an empty last block: an inflater that does not end with it was given a broken message.
const TAIL: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// Room that is made at least for what comes out.
const MIN_ROOM: usize = 256;

/// Compresses messages.
pub struct Deflater(Compress);

impl Default for Deflater {
    fn default() -> Self {
        Self(Compress::new(Compression::fast(), false))
    }
}

impl Deflater {
    /// Appends `plain`, compressed, to `out`.
    pub fn deflate(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.0.reset();
        let mut rest = plain;
        loop {
            out.reserve((rest.len() / 2).max(MIN_ROOM));
            let before = self.0.total_in();
            let done = self.0.compress_vec(rest, out, FlushCompress::Sync);
            rest = &rest[(self.0.total_in() - before) as usize..];
            // With room left after all is taken, all is flushed.
            if done.is_err() || (rest.is_empty() && out.len() < out.capacity()) {
                break;
            }
        }
        if out.ends_with(&FLUSHED) {
            out.truncate(out.len() - FLUSHED.len());
        }
    }
}

/// A message that is no deflate stream, or ends in the middle of one.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("compressed message is corrupt")]
pub struct Corrupt;

/// What came of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All that was given is used up.
    Hungry,
    /// There is no room for more.
    Full,
    /// The message is complete.
    Done,
}

/// Decompresses one message at a time, as it comes.
pub struct Inflater {
    state: Decompress,
    /// The message has said that it ends; what follows is nothing.
    ended: bool,
    tail: usize,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { state: Decompress::new(false), ended: false, tail: 0 }
    }
}

impl Inflater {
    /// Forgets the message before.
    pub fn reset(&mut self) {
        self.state.reset(false);
        (self.ended, self.tail) = (false, 0);
    }

    /// Takes bytes off the front of `input`, the last of the message if `last`, and puts what they mean into `output`.
    /// Gives how much that is.
    ///
    /// # Errors
    ///
    /// When they mean nothing.
    pub fn inflate(&mut self, input: &mut &[u8], last: bool, output: &mut [u8]) -> Result<(usize, Step), Corrupt> {
        let mut written = 0;
        loop {
            if self.ended {
                *input = &[];
                return Ok((written, if last { Step::Done } else { Step::Hungry }));
            }
            if written == output.len() {
                return Ok((written, Step::Full));
            }
            let tailing = input.is_empty() && last;
            let source = if tailing { &TAIL[self.tail..] } else { *input };
            let before = (self.state.total_in(), self.state.total_out());
            let status = self.state.decompress(source, &mut output[written..], FlushDecompress::None);
            let taken = (self.state.total_in() - before.0) as usize;
            let made = (self.state.total_out() - before.1) as usize;
            written += made;
            if tailing {
                self.tail += taken
            } else {
                *input = &input[taken..]
            }
            match status {
                Ok(Status::StreamEnd) => self.ended = true,
                Ok(_) if taken > 0 || made > 0 => {}
                Ok(_) if source.is_empty() && !last => return Ok((written, Step::Hungry)),
                _ => return Err(Corrupt),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Inflates with so much room at a time, from pieces of so many bytes.
    fn inflate(inflater: &mut Inflater, message: &[u8], room: usize, piece: usize) -> Result<Vec<u8>, Corrupt> {
        inflater.reset();
        let mut out = Vec::new();
        let mut buffer = vec![0; room];
        let pieces: Vec<_> = message.chunks(piece).collect();
        let pieces = if pieces.is_empty() { vec![&b""[..]] } else { pieces };
        for (i, piece) in pieces.iter().enumerate() {
            let mut input = *piece;
            loop {
                let (written, step) = inflater.inflate(&mut input, i + 1 == pieces.len(), &mut buffer)?;
                out.extend_from_slice(&buffer[..written]);
                if step != Step::Full {
                    break;
                }
            }
        }
        Ok(out)
    }

    #[test]
    fn a_message_of_the_standard_is_understood() {
        // RFC 7692, 7.2.3: uncompressed block, two blocks, a final block.
        let mut inflater = Inflater::default();
        for message in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflate(&mut inflater, message, 100, 100), Ok(b"Hello".to_vec()));
        }
        assert_eq!(inflate(&mut inflater, &[0x00], 10, 10), Ok(Vec::new()));
        // An empty message is a byte, too.
        assert_eq!(inflate(&mut inflater, b"", 10, 10), Err(Corrupt));
    }

    #[test]
    fn half_a_message_is_noticed() {
        let mut message = Vec::new();
        Deflater::default().deflate(&b"hello, world".repeat(20), &mut message);
        message.truncate(message.len() - 3);
        assert_eq!(inflate(&mut Inflater::default(), &message, 1000, 1000), Err(Corrupt));
    }

    proptest! {
        #[test]
        fn what_is_deflated_can_be_inflated(
            messages in prop::collection::vec(prop::collection::vec(0u8..5, 0..20_000), 1..4),
            room in 1usize..5000,
            piece in 1usize..3000,
        ) {
            let (mut deflater, mut inflater) = (Deflater::default(), Inflater::default());
            for message in messages {
                let mut compressed = b"before".to_vec();
                deflater.deflate(&message, &mut compressed);
                prop_assert_eq!(&compressed[..6], b"before");
                prop_assert_eq!(inflate(&mut inflater, &compressed[6..], room, piece), Ok(message));
            }
        }

        #[test]
        fn nonsense_ends_and_does_not_panic(message in prop::collection::vec(any::<u8>(), 0..500)) {
            let _ = inflate(&mut Inflater::default(), &message, 100, 50);
        }
    }
}
