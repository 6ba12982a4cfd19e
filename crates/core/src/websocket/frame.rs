//! What comes from a client: frames, taken apart where they lie.

use std::ops::Range;

use thiserror::Error;

use super::close::Farewell;

/// The most that a control frame may carry, bytes.
pub const MAX_CONTROL: usize = 125;
/// The longest header: two bytes, eight of length, four of a key.
const MAX_HEADER: usize = 14;

const FINAL: u8 = 0x80;
const COMPRESSED: u8 = 0x40;
const RESERVED: u8 = 0x30;
const MASKED: u8 = 0x80;

/// Why a connection cannot go on: what came is not WebSocket, or not what was agreed on.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// A bit that has no meaning is set.
    #[error("RSV2 and RSV3 must be clear")]
    Reserved,
    /// There was no agreement to compress.
    #[error("compressed frame received without negotiated permessage-deflate")]
    NotNegotiated,
    /// Clients have to mask what they send.
    #[error("mask bit missing")]
    NotMasked,
    /// A control frame of more than 125 bytes.
    #[error("control frame length bigger than maximum allowed of {MAX_CONTROL} bytes")]
    LargeControl,
    /// A control frame in parts.
    #[error("control frame does not have final bit set")]
    FragmentedControl,
    /// A compressed control frame.
    #[error("control frame must not be compressed")]
    CompressedControl,
    /// A message within a message.
    #[error("new message started before final frame for previous message was received")]
    Interrupted,
    /// The continuation of nothing, or one that is compressed by itself.
    #[error("invalid continuation frame")]
    Continuation,
    /// No kind of frame.
    #[error("unknown opcode {0}")]
    Opcode(u8),
    /// More than 2^63 bytes.
    #[error("invalid 64-bit payload length")]
    Length,
    /// Half a status.
    #[error("close frame payload cannot be 1 byte")]
    HalfStatus,
    /// A status that nobody may send.
    #[error("invalid close status code {0}")]
    Status(u16),
}

/// What is found in the bytes of a client.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A part of a message, unmasked.
    Data(Data),
    /// To be answered with the same.
    Ping(&'a [u8]),
    /// The answer to a ping.
    Pong,
    /// The end of the connection; to be answered as it says.
    Close(Farewell),
}

/// A part of the payload of a message, perhaps an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Where it lies in the bytes given.
    pub range: Range<usize>,
    /// The message is compressed.
    pub compressed: bool,
    /// The message ends here.
    pub last: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Message,
    Continuation,
    Close,
    Ping,
    Pong,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    last: bool,
    compressed: bool,
    left: u64,
    key: Option<[u8; 4]>,
    /// Where in the key the next byte is.
    turn: usize,
}

/// Takes frames apart. Holds no more than a header and a control frame, whatever comes.
#[derive(Debug)]
pub struct Decoder {
    mask_required: bool,
    compression: bool,
    header: [u8; MAX_HEADER],
    header_len: usize,
    frame: Option<Frame>,
    /// A message goes on in the next frame of data; whether it is compressed.
    open: Option<bool>,
    control: [u8; MAX_CONTROL],
    control_len: usize,
}

impl Decoder {
    /// For a client that must mask what it sends, if `mask_required`, and may compress it, if `compression`.
    pub fn new(mask_required: bool, compression: bool) -> Self {
        Self {
            mask_required,
            compression,
            header: [0; MAX_HEADER],
            header_len: 0,
            frame: None,
            open: None,
            control: [0; MAX_CONTROL],
            control_len: 0,
        }
    }

    /// Takes bytes off `wire`, of which those before `from` are taken already. Gives how far it came and what it found;
    /// without a piece, all is taken.
    ///
    /// # Errors
    ///
    /// When the client breaks the rules. The decoder is of no use any more.
    pub fn decode(&mut self, wire: &mut [u8], from: usize) -> Result<(usize, Option<Piece<'_>>), FrameError> {
        let mut at = from;
        let mut frame = match self.frame.take() {
            Some(frame) => frame,
            None => match self.read_header(wire, &mut at)? {
                Some(frame) => frame,
                None => return Ok((at, None)),
            },
        };
        let here = usize::try_from(frame.left).unwrap_or(usize::MAX).min(wire.len() - at);
        let range = at..at + here;
        if let Some(key) = frame.key {
            unmask(&mut wire[range.clone()], key, &mut frame.turn);
        }
        frame.left -= here as u64;
        if !matches!(frame.opcode, Opcode::Message | Opcode::Continuation) {
            return self.control(frame, &wire[range.clone()]).map(|piece| (range.end, piece));
        }
        let ends = frame.left == 0;
        if here == 0 && !ends {
            self.frame = Some(frame);
            return Ok((at, None));
        }
        if !ends {
            self.frame = Some(frame);
        }
        let data = Data { range: range.clone(), compressed: frame.compressed, last: frame.last && ends };
        Ok((range.end, Some(Piece::Data(data))))
    }

    /// The header of the next frame, once it is there.
    fn read_header(&mut self, wire: &[u8], at: &mut usize) -> Result<Option<Frame>, FrameError> {
        loop {
            let needed = self.header_needed();
            if self.header_len == needed && needed > 2 {
                break;
            }
            if self.header_len == 2 {
                self.check()?;
                if needed == 2 {
                    break;
                }
            }
            let Some(byte) = wire.get(*at) else { return Ok(None) };
            self.header[self.header_len] = *byte;
            self.header_len += 1;
            *at += 1;
        }
        let frame = self.frame()?;
        self.header_len = 0;
        Ok(Some(frame))
    }

    /// Bytes of the header, as far as those that are there tell.
    fn header_needed(&self) -> usize {
        if self.header_len < 2 {
            return 2;
        }
        let length = match self.header[1] & !MASKED {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.header[1] & MASKED != 0 { 4 } else { 0 }
    }

    /// What the first two bytes can be wrong about.
    fn check(&self) -> Result<(), FrameError> {
        let [first, second, ..] = self.header;
        let (last, compressed) = (first & FINAL != 0, first & COMPRESSED != 0);
        if first & RESERVED != 0 {
            return Err(FrameError::Reserved);
        }
        if compressed && !self.compression {
            return Err(FrameError::NotNegotiated);
        }
        if self.mask_required && second & MASKED == 0 {
            return Err(FrameError::NotMasked);
        }
        match opcode(first)? {
            Opcode::Message if self.open.is_some() => Err(FrameError::Interrupted),
            Opcode::Continuation if self.open.is_none() || compressed => Err(FrameError::Continuation),
            Opcode::Message | Opcode::Continuation => Ok(()),
            _ if usize::from(second & !MASKED) > MAX_CONTROL => Err(FrameError::LargeControl),
            _ if !last => Err(FrameError::FragmentedControl),
            _ if compressed => Err(FrameError::CompressedControl),
            _ => Ok(()),
        }
    }

    /// The frame that the whole header announces.
    fn frame(&mut self) -> Result<Frame, FrameError> {
        let header = &self.header[..self.header_len];
        let (first, second) = (header[0], header[1]);
        let masked = second & MASKED != 0;
        let (length, key) = header[2..].split_at(header.len() - 2 - if masked { 4 } else { 0 });
        let number = length.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        let left = if length.is_empty() { u64::from(second & !MASKED) } else { number };
        if left >> 63 != 0 {
            return Err(FrameError::Length);
        }
        let key = key.try_into().ok();
        let opcode = opcode(first)?;
        let last = first & FINAL != 0;
        let compressed = match opcode {
            Opcode::Continuation => self.open.unwrap_or(false),
            _ => first & COMPRESSED != 0,
        };
        if matches!(opcode, Opcode::Message | Opcode::Continuation) {
            self.open = (!last).then_some(compressed);
        }
        Ok(Frame { opcode, last, compressed, left, key, turn: 0 })
    }

    /// Keeps what is there of a control frame, until it is whole.
    fn control(&mut self, frame: Frame, here: &[u8]) -> Result<Option<Piece<'_>>, FrameError> {
        self.control[self.control_len..self.control_len + here.len()].copy_from_slice(here);
        self.control_len += here.len();
        if frame.left > 0 {
            self.frame = Some(frame);
            return Ok(None);
        }
        let payload = &self.control[..std::mem::take(&mut self.control_len)];
        Ok(Some(match frame.opcode {
            Opcode::Ping => Piece::Ping(payload),
            Opcode::Close => Piece::Close(Farewell::read(payload)?),
            _ => Piece::Pong,
        }))
    }
}

fn opcode(first: u8) -> Result<Opcode, FrameError> {
    Ok(match first & 0x0f {
        0 => Opcode::Continuation,
        1 | 2 => Opcode::Message,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        other => return Err(FrameError::Opcode(other)),
    })
}

/// Masks or unmasks `bytes`; `turn` is where in the key it goes on.
pub fn unmask(bytes: &mut [u8], key: [u8; 4], turn: &mut usize) {
    let mut turned = [0; 8];
    for (i, byte) in turned.iter_mut().enumerate() {
        *byte = key[(*turn + i) % 4];
    }
    let wide = u64::from_ne_bytes(turned);
    let mut chunks = bytes.chunks_exact_mut(8);
    for chunk in &mut chunks {
        let masked = <[u8; 8]>::try_from(&*chunk).map_or(0, u64::from_ne_bytes) ^ wide;
        chunk.copy_from_slice(&masked.to_ne_bytes());
    }
    for (byte, key) in chunks.into_remainder().iter_mut().zip(turned) {
        *byte ^= key;
    }
    *turn = (*turn + bytes.len()) % 4;
}

#[cfg(test)]
mod tests;
