//! A compressed stream of bytes, as S2 frames it: a name, then blocks, each with a checksum of what is in it. Any Snappy
//! stream is one as well.
//!
//! [`Packer`] makes one of what a connection has to say, [`Unpacker`] takes one apart as it comes. Neither of them waits or
//! does IO. What comes is hostile: lengths are believed up to a limit only, and memory grows with what has come.

use minlz::s2;
use thiserror::Error;

use super::Level;

/// What a stream begins with.
const NAME: &[u8; 10] = b"\xff\x06\x00\x00S2sTwO";
/// Bytes of ours that go into one block.
const BLOCK: usize = 256 * 1024;
/// The most that a block may become.
const MAX_BLOCK: usize = 4 << 20;
/// What a block may be longer than what it becomes: its length, and that of the only literal in it.
const MAX_OVERHEAD: usize = 16;
/// Kind and length of a chunk.
const HEADER: usize = 4;
const CHECKSUM: usize = 4;
/// Less than this is not worth compressing.
const WORTHWHILE: usize = 64;
/// Tables of 4.5 MiB are cleared for a block at the highest level, which for less than this takes longer than all else.
const WORTH_LARGE_TABLES: usize = 16 * 1024;
/// Room for what has come and is not a whole chunk that is kept while nothing does.
const KEPT: usize = 4096;

const COMPRESSED: u8 = 0x00;
const UNCOMPRESSED: u8 = 0x01;
const IDENTIFIER: u8 = 0xff;

/// What came is no such stream, or was damaged on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StreamError {
    /// It does not begin with its name.
    #[error("what comes is not compressed as agreed")]
    Unnamed,
    /// A block is larger than it may be.
    #[error("a compressed block is larger than {MAX_BLOCK} bytes")]
    TooLarge,
    /// Part of it is of a kind that nobody knows and that must not be left out.
    #[error("a compressed stream has a part of unknown kind {0:#04x}")]
    UnknownKind(u8),
    /// What is in a block cannot be.
    #[error("a compressed block is damaged")]
    Damaged,
    /// What is in a block is not what was put into it.
    #[error("a compressed block does not match its checksum")]
    Checksum,
}

/// Room to work in, to be shared by the packers of a thread; up to 5 MiB once the highest level was used.
#[derive(Default)]
pub struct Workspace(s2::Encoder);

impl Workspace {
    /// Compresses, if that makes it smaller.
    fn compress(&mut self, level: Level, plain: &[u8]) -> Option<Vec<u8>> {
        if plain.len() < WORTHWHILE {
            return None;
        }
        let packed = match level {
            Level::Uncompressed => return None,
            Level::Fast => self.0.encode(plain),
            Level::Best if plain.len() >= WORTH_LARGE_TABLES => self.0.encode_best(plain),
            Level::Better | Level::Best => self.0.encode_better(plain),
        };
        (packed.len() < plain.len()).then_some(packed)
    }
}

/// Makes a compressed stream of the bytes that wait in a buffer, front first.
pub struct Packer {
    level: Level,
    named: bool,
    /// Bytes at the front that go as they are.
    plain: usize,
    packed: Vec<u8>,
    sent: usize,
    /// Bytes of the buffer that `packed` stands for.
    covers: usize,
}

impl Packer {
    /// The first `plain` bytes that wait were said before the stream begins.
    pub fn new(level: Level, plain: usize) -> Self {
        Self { level, named: false, plain, packed: Vec::new(), sent: 0, covers: 0 }
    }

    /// From the next block on it is compressed this way.
    pub fn set_level(&mut self, level: Level) {
        self.level = level;
    }

    /// Packs the front of what waits, unless what was packed before has not been taken.
    pub fn pack(&mut self, workspace: &mut Workspace, waiting: &[u8]) {
        if self.plain > 0 || self.covers > 0 || waiting.is_empty() {
            return;
        }
        if !std::mem::replace(&mut self.named, true) {
            self.packed.extend_from_slice(NAME);
        }
        let plain = &waiting[..waiting.len().min(BLOCK)];
        let compressed = workspace.compress(self.level, plain);
        let (kind, body) = match &compressed {
            Some(compressed) => (COMPRESSED, compressed.as_slice()),
            None => (UNCOMPRESSED, plain),
        };
        let len = ((CHECKSUM + body.len()) as u32).to_le_bytes();
        self.packed.extend_from_slice(&[kind, len[0], len[1], len[2]]);
        self.packed.extend_from_slice(&checksum(plain).to_le_bytes());
        self.packed.extend_from_slice(body);
        self.covers = plain.len();
    }

    /// What is to be sent of the same `waiting` that [`pack`](Self::pack) saw.
    pub fn front<'a>(&'a self, waiting: &'a [u8]) -> &'a [u8] {
        match self.plain {
            0 => &self.packed[self.sent..],
            plain => &waiting[..plain.min(waiting.len())],
        }
    }

    /// So much of [`front`](Self::front) was sent. Returns how much of what waits that was.
    pub fn took(&mut self, sent: usize) -> usize {
        if self.plain > 0 {
            self.plain -= sent.min(self.plain);
            return sent;
        }
        self.sent += sent;
        if self.sent < self.packed.len() {
            return 0;
        }
        let covers = self.covers;
        self.abandon();
        covers
    }

    /// Forgets what was packed, as what it stands for is gone.
    pub fn abandon(&mut self) {
        self.packed = Vec::new();
        (self.sent, self.covers, self.plain) = (0, 0, 0);
    }
}

/// Takes a compressed stream apart.
#[derive(Default)]
pub struct Unpacker {
    raw: Vec<u8>,
    at: usize,
    /// Bytes of a part that means nothing here.
    skip: usize,
    named: bool,
    /// There may be a whole part in `raw`.
    ready: bool,
}

impl Unpacker {
    /// These bytes have come.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.raw.drain(..std::mem::take(&mut self.at));
        self.raw.extend_from_slice(bytes);
        self.ready = true;
    }

    /// Whether [`unpack`](Self::unpack) can do something with what has come.
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// Appends what is in the next block, at most 4 MiB. `false` if more has to come first.
    ///
    /// # Errors
    ///
    /// When what has come is no such stream.
    pub fn unpack(&mut self, out: &mut Vec<u8>) -> Result<bool, StreamError> {
        loop {
            let skipped = self.skip.min(self.raw.len() - self.at);
            self.skip -= skipped;
            self.at += skipped;
            let Some((kind, len)) = header(&self.raw[self.at..]).filter(|_| self.skip == 0) else { break };
            self.check(kind, len)?;
            if kind >= 0x80 && kind != IDENTIFIER {
                self.at += HEADER;
                self.skip = len;
                continue;
            }
            let from = self.at + HEADER;
            let Some(body) = self.raw.get(from..from + len) else { break };
            if kind == IDENTIFIER {
                self.named = matches!(body, b"S2sTwO" | b"sNaPpY");
                if !self.named {
                    return Err(StreamError::Unnamed);
                }
            } else {
                open(kind == COMPRESSED, body, out)?;
            }
            self.at = from + len;
            if kind != IDENTIFIER {
                return Ok(true);
            }
        }
        self.ready = false;
        Ok(false)
    }

    /// Gives memory back: nothing has come for a while.
    pub fn shrink(&mut self) {
        self.raw.drain(..std::mem::take(&mut self.at));
        self.raw.shrink_to(KEPT);
    }

    /// Whether there may be a part of this kind and length here.
    fn check(&self, kind: u8, len: usize) -> Result<(), StreamError> {
        match kind {
            IDENTIFIER if len != NAME.len() - HEADER => Err(StreamError::Unnamed),
            IDENTIFIER => Ok(()),
            _ if !self.named => Err(StreamError::Unnamed),
            COMPRESSED | UNCOMPRESSED if len < CHECKSUM => Err(StreamError::Damaged),
            COMPRESSED if len > CHECKSUM + MAX_BLOCK + MAX_OVERHEAD => Err(StreamError::TooLarge),
            UNCOMPRESSED if len > CHECKSUM + MAX_BLOCK => Err(StreamError::TooLarge),
            2..0x80 => Err(StreamError::UnknownKind(kind)),
            _ => Ok(()),
        }
    }
}

fn header(raw: &[u8]) -> Option<(u8, usize)> {
    let [kind, a, b, c, ..] = *raw else { return None };
    Some((kind, u32::from_le_bytes([a, b, c, 0]) as usize))
}

/// Appends what is in a block.
fn open(compressed: bool, body: &[u8], out: &mut Vec<u8>) -> Result<(), StreamError> {
    let (expected, body) = body.split_first_chunk::<CHECKSUM>().ok_or(StreamError::Damaged)?;
    let before = out.len();
    if compressed {
        let (len, _) = s2::decode_len(body).map_err(|_| StreamError::Damaged)?;
        if len > MAX_BLOCK {
            return Err(StreamError::TooLarge);
        }
        out.resize(before + len, 0);
        s2::decode_into(&mut out[before..], body).map_err(|_| StreamError::Damaged)?;
    } else {
        out.extend_from_slice(body);
    }
    if checksum(&out[before..]) != u32::from_le_bytes(*expected) {
        return Err(StreamError::Checksum);
    }
    Ok(())
}

/// CRC-32C, masked as in Snappy streams, so that a checksum of what has one in it is as good as any.
fn checksum(plain: &[u8]) -> u32 {
    crc32c::crc32c(plain).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[cfg(test)]
mod tests;
