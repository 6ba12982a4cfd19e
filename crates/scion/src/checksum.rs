//! The Internet checksum (RFC 1071) over SCION's pseudo header, an upper-layer header and its payload.

/// A sum of 16-bit words in native byte order, not folded yet. Parts must have even lengths, but for the last.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checksum(u64);

impl Checksum {
    /// Adds bytes. 4 at a time into 64 bits, so that the compiler can use vector registers and nothing can overflow
    /// for less than 16 GiB.
    pub(crate) fn add(self, bytes: &[u8]) -> Self {
        let mut chunks = bytes.chunks_exact(4);
        let mut sum = self.0;
        for chunk in &mut chunks {
            sum += u64::from(u32::from_ne_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
        }
        let mut last = [0; 4];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        Self(sum + u64::from(u32::from_ne_bytes(last)))
    }

    /// Adds one number as it stands on the wire.
    pub(crate) fn add_u16(self, n: u16) -> Self {
        Self(self.0 + u64::from(n.to_be()))
    }

    /// The checksum field's bytes. Zero means "none" to UDP, so the equivalent 0xffff stands for it.
    pub(crate) fn finish(self) -> [u8; 2] {
        let mut sum = self.0;
        while sum >> 16 != 0 {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        match !(sum as u16) {
            0 => [0xff, 0xff],
            n => n.to_ne_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 word by word.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            sum = (sum & 0xffff) + (sum >> 16);
        }
        match !(sum as u16) {
            0 => 0xffff,
            n => n,
        }
    }

    proptest! {
        #[test]
        fn equals_the_sum_word_by_word(head in proptest::collection::vec(any::<[u8; 2]>(), 0..40), tail: Vec<u8>) {
            let head = head.concat();
            let whole = [head.as_slice(), &tail].concat();
            let sum = Checksum::default().add(&head).add(&tail).finish();
            prop_assert_eq!(u16::from_be_bytes(sum), plain(&whole));
        }
    }
}
