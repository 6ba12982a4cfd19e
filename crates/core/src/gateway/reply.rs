//! Subjects of answers that find their way back to the very server where the one who asked is connected:
//! `_GR_.<cluster>.<server>.<subject>`.

/// What they begin with.
pub const PREFIX: &[u8] = b"_GR_.";
/// What those of nats-server before 2.1.2 began with; clients may not use it either.
pub const OLD_PREFIX: &[u8] = b"$GR.";
/// Characters that a cluster, or a server, is known by.
pub const HASH_LEN: usize = 6;
/// Bytes before the subject.
const HEAD_LEN: usize = PREFIX.len() + 2 * (HASH_LEN + 1);

/// What a cluster or a server is known by in such subjects.
pub type Hash = [u8; HASH_LEN];

/// Such a subject, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped<'a> {
    /// The cluster of the one who asked.
    pub cluster: Hash,
    /// The server of the one who asked.
    pub server: Hash,
    /// What was asked for an answer at.
    pub subject: &'a [u8],
}

impl<'a> Mapped<'a> {
    /// `None` if `subject` is none of them.
    pub fn parse(subject: &'a [u8]) -> Option<Self> {
        let rest = subject.strip_prefix(PREFIX)?;
        let cluster = rest.get(..HASH_LEN)?.try_into().ok()?;
        let server = rest.get(HASH_LEN + 1..2 * HASH_LEN + 1)?.try_into().ok()?;
        let subject = rest.get(HEAD_LEN - PREFIX.len()..).filter(|subject| !subject.is_empty())?;
        Some(Self { cluster, server, subject })
    }
}

/// What the mapped replies of one server begin with.
pub fn prefix(cluster: Hash, server: Hash) -> Vec<u8> {
    [PREFIX, &cluster, b".", &server, b"."].concat()
}

/// What a name is known by, of which `digest` is the SHA-256.
pub fn hash(digest: &[u8; 32]) -> Hash {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut hash = [0; HASH_LEN];
    for (digit, byte) in hash.iter_mut().zip(digest) {
        *digit = DIGITS[usize::from(*byte) % DIGITS.len()];
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_known_by_what_nats_server_knows_them_by() {
        // SHA-256 of "GB".
        let digest = [
            0xb4, 0x04, 0x3b, 0x0b, 0x82, 0x97, 0xe3, 0x79, 0xbc, 0x55, 0x9a, 0xb3, 0x3b, 0x6a, 0xe9, 0xc7, 0xa9, 0xb4,
            0xef, 0x65, 0x19, 0xd3, 0xba, 0xee, 0x53, 0x27, 0x0f, 0x0c, 0x0d, 0xd3, 0xd9, 0x60,
        ];
        assert_eq!(&hash(&digest), b"u4xB6R");
    }

    #[test]
    fn only_whole_ones_are_taken_apart() {
        let mapped = Mapped::parse(b"_GR_.u4xB6R.IL3XjM.inb.1").expect("one");
        assert_eq!((&mapped.cluster, &mapped.server, mapped.subject), (b"u4xB6R", b"IL3XjM", &b"inb.1"[..]));
        for other in ["_GR_.u4xB6R.IL3XjM.", "_GR_.u4xB6R.IL3XjM", "_GR_.", "", "GR_.u4xB6R.IL3XjM.inb.1", "$GR.abcd.x"]
        {
            assert_eq!(Mapped::parse(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_is_put_together_comes_apart(cluster: Hash, server: Hash, subject in "[a-z.]{1,20}") {
            let mut whole = prefix(cluster, server);
            whole.extend_from_slice(subject.as_bytes());
            prop_assert_eq!(Mapped::parse(&whole), Some(Mapped { cluster, server, subject: subject.as_bytes() }));
        }

        #[test]
        fn no_subject_makes_it_panic(subject in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Mapped::parse(&[PREFIX, &subject].concat());
        }
    }
}
