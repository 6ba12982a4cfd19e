use proptest::prelude::*;

use super::*;

/// What the vectors were made of: lines as on a route, noise, short runs and long, text from far back.
fn plain() -> Vec<u8> {
    let mut seed = 1_u32;
    let mut next = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    let mut plain = Vec::new();
    for line in 0..400_u32 {
        let (subject, len) = (next() % 50, next() % 1000);
        plain.extend_from_slice(format!("RMSG $G orders.{subject}.new {len}\r\n").as_bytes());
        let mut noise = 0;
        while noise < next() % 40 {
            noise += 1;
            plain.push(next() as u8);
        }
        plain.resize(plain.len() + (next() % 300) as usize, b'a' + (line % 26) as u8);
    }
    let head = plain[..9000].to_vec();
    plain.resize(plain.len() + 90_000, 0);
    plain.extend_from_slice(&b"ab".repeat(700));
    plain.extend_from_slice(&head);
    plain
}

/// All that is in a stream that comes in pieces of this size.
fn unpacked(stream: &[u8], piece: usize) -> Result<Vec<u8>, StreamError> {
    let (mut unpacker, mut out) = (Unpacker::default(), Vec::new());
    for piece in stream.chunks(piece) {
        unpacker.feed(piece);
        while unpacker.unpack(&mut out)? {}
        assert!(!unpacker.is_ready());
        unpacker.shrink();
    }
    Ok(out)
}

/// A stream of `plain` as it goes out when so much is taken at a time; the first `bare` bytes go as they are.
fn packed(level: Level, plain: &[u8], bare: usize, taken: usize) -> Vec<u8> {
    let (mut packer, mut workspace) = (Packer::new(level, bare), Workspace::default());
    let (mut sent, mut at) = (Vec::new(), 0);
    while at < plain.len() {
        let waiting = &plain[at..];
        packer.pack(&mut workspace, waiting);
        let front = packer.front(waiting);
        let taken = front.len().min(taken);
        sent.extend_from_slice(&front[..taken]);
        at += packer.took(taken);
    }
    sent
}

#[test]
fn what_go_packs_is_unpacked() {
    let plain = plain();
    let vectors: [(&str, &[u8]); 5] = [
        ("fast", include_bytes!("../vectors/fast.s2")),
        ("better", include_bytes!("../vectors/better.s2")),
        ("best", include_bytes!("../vectors/best.s2")),
        ("snappy", include_bytes!("../vectors/snappy.s2")),
        ("with padding and an index", include_bytes!("../vectors/padded.s2")),
    ];
    for (name, stream) in vectors {
        for piece in [1, 7, 4096, stream.len()] {
            assert!(unpacked(stream, piece).as_ref() == Ok(&plain), "{name} in pieces of {piece}");
        }
    }
}

#[test]
fn each_level_packs_smaller() {
    let plain = plain();
    let len = |level| {
        let stream = packed(level, &plain, 0, usize::MAX);
        assert!(unpacked(&stream, 1000).as_ref() == Ok(&plain), "{level:?}");
        stream.len()
    };
    let [raw, fast, better, best] = [Level::Uncompressed, Level::Fast, Level::Better, Level::Best].map(len);
    assert!(raw > plain.len() && plain.len() > fast * 3, "{} {raw} {fast}", plain.len());
    assert!(fast > better && better > best, "{fast} {better} {best}");
}

#[test]
fn what_was_said_before_goes_as_it_is() {
    let stream = packed(Level::Fast, b"INFO {}\r\nPING\r\n", 9, 4);
    assert_eq!(&stream[..19], b"INFO {}\r\n\xff\x06\x00\x00S2sTwO");
    assert_eq!(&stream[19..], b"\x01\x0a\x00\x00\xab\x90\xcc$PING\r\n", "as nats-server has it");
}

#[test]
fn the_level_may_change_between_blocks() {
    let (mut packer, mut workspace) = (Packer::new(Level::Uncompressed, 0), Workspace::default());
    let plain = [b'x'; 1000];
    packer.pack(&mut workspace, &plain);
    packer.set_level(Level::Fast);
    packer.pack(&mut workspace, &plain);
    let mut stream = packer.front(&plain).to_vec();
    assert!(stream.len() > 1000, "what is packed stays as it is");
    assert_eq!(packer.took(stream.len()), 1000);
    packer.pack(&mut workspace, &plain);
    let second = packer.front(&plain);
    assert!(second.len() < 100);
    stream.extend_from_slice(second);
    assert_eq!(unpacked(&stream, 3), Ok(vec![b'x'; 2000]));
}

#[test]
fn damage_is_found() {
    let stream = packed(Level::Fast, &plain()[..3000], 0, usize::MAX);
    for at in [14, 20, stream.len() - 1] {
        let mut damaged = stream.clone();
        damaged[at] ^= 1;
        assert!(unpacked(&damaged, 64).is_err(), "at {at}");
    }
    assert_eq!(unpacked(b"INFO {}\r\n", 9), Err(StreamError::Unnamed));
    assert_eq!(unpacked(b"\xff\x06\x00\x00S2sTwX", 9), Err(StreamError::Unnamed));
    let named = |rest: &[u8]| unpacked(&[NAME, rest].concat(), 5);
    assert_eq!(named(b"\x02\x00\x00\x00"), Err(StreamError::UnknownKind(2)));
    assert_eq!(named(b"\x01\x03\x00\x00abc"), Err(StreamError::Damaged));
    assert_eq!(named(b"\x00\xff\xff\xff"), Err(StreamError::TooLarge));
    assert_eq!(named(b"\x01\x05\x00\x40"), Err(StreamError::TooLarge));
    // A block of a few bytes that says that it becomes 4 GiB.
    assert_eq!(named(b"\x00\x0a\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\x0f\x00"), Err(StreamError::TooLarge));
}

#[test]
fn parts_that_mean_nothing_are_passed_over_without_being_kept() {
    let mut unpacker = Unpacker::default();
    let mut out = Vec::new();
    unpacker.feed(NAME);
    unpacker.feed(b"\xfe\xff\xff\xff");
    for _ in 0..1023 {
        unpacker.feed(&[0; 16 * 1024]);
        assert_eq!(unpacker.unpack(&mut out), Ok(false));
        unpacker.shrink();
        assert!(unpacker.raw.capacity() <= KEPT);
    }
    unpacker.feed(&[0; 16 * 1024 - 1]);
    unpacker.feed(b"\x01\x05\x00\x00\x00\x00\x00\x00x");
    assert_eq!(unpacker.unpack(&mut out), Err(StreamError::Checksum), "the block after it is looked at");
}

proptest! {
    #[test]
    fn what_is_packed_is_unpacked(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..64), 1_usize..400), 0..40),
        level in prop::sample::select(vec![Level::Uncompressed, Level::Fast, Level::Better, Level::Best]),
        taken in 1_usize..5000,
        piece in 1_usize..5000,
    ) {
        let plain = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect::<Vec<u8>>();
        let stream = packed(level, &plain, 0, taken);
        prop_assert!(unpacked(&stream, piece) == Ok(plain));
    }

    #[test]
    fn nothing_makes_it_panic(mut stream in prop::collection::vec(any::<u8>(), 0..300), kind in 0_u8..2) {
        // Most of it would fail at once without these.
        let len = stream.len() as u32;
        if let Some(first) = stream.first_chunk_mut::<4>() {
            *first = (u32::from(kind) | (len.saturating_sub(4) << 8)).to_le_bytes();
        }
        let _ = unpacked(&[&NAME[..], &stream].concat(), 100);
    }
}
