//! How what is told of a message is compressed.

use std::borrow::Cow;
use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use natsd_core::header;
use natsd_core::msg_trace::Encoding;

const HEADER: &str = "Content-Encoding";
/// Bytes that are inflated at most: what comes from elsewhere could become any number.
const MAX_INFLATED: u64 = 1 << 20;

/// The headers for `payload` as it is sent, and that.
pub(super) fn encode(encoding: Encoding, payload: Vec<u8>) -> (&'static [u8], Vec<u8>) {
    let compressed = match encoding {
        Encoding::Plain => return (b"", payload),
        Encoding::Identity => None,
        Encoding::Gzip => gzip(&payload).ok().map(|bytes| (&b"NATS/1.0\r\nContent-Encoding: gzip\r\n\r\n"[..], bytes)),
        Encoding::Snappy => {
            snappy(&payload).ok().map(|bytes| (&b"NATS/1.0\r\nContent-Encoding: snappy\r\n\r\n"[..], bytes))
        }
    };
    compressed.unwrap_or((b"NATS/1.0\r\nContent-Encoding: identity\r\n\r\n", payload))
}

/// What [`encode`] made of a payload, as it was; as far as it can be told.
pub(super) fn decode<'a>(headers: &[u8], payload: &'a [u8]) -> Cow<'a, [u8]> {
    let inflate = |mut reader: io::Take<Box<dyn Read + 'a>>| {
        let mut inflated = Vec::new();
        // What is cut short or no such thing shows in what comes of it.
        let _ = reader.read_to_end(&mut inflated);
        Cow::Owned(inflated)
    };
    let reader: Box<dyn Read> = match header::get(headers, HEADER) {
        Some(b"gzip") => Box::new(GzDecoder::new(payload)),
        Some(b"snappy") => Box::new(snap::read::FrameDecoder::new(payload)),
        _ => return Cow::Borrowed(payload),
    };
    inflate(reader.take(MAX_INFLATED))
}

fn gzip(payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(payload)?;
    encoder.finish()
}

fn snappy(payload: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = snap::write::FrameEncoder::new(Vec::new());
    encoder.write_all(payload)?;
    encoder.into_inner().map_err(|error| error.into_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_says_how() {
        let payload = || b"{\"server\":{}}".repeat(100);
        assert_eq!(encode(Encoding::Plain, payload()), (&b""[..], payload()));
        for (encoding, name, smaller) in [
            (Encoding::Identity, "identity", false),
            (Encoding::Gzip, "gzip", true),
            (Encoding::Snappy, "snappy", true),
        ] {
            let (header, body) = encode(encoding, payload());
            assert_eq!(String::from_utf8_lossy(header), format!("NATS/1.0\r\nContent-Encoding: {name}\r\n\r\n"));
            assert_eq!(body.len() < payload().len(), smaller, "{name}");
            assert_eq!(*decode(header, &body), payload(), "{name}");
        }
        assert_eq!(*decode(b"", b"plain"), *b"plain");
    }

    #[test]
    fn there_is_a_bound_to_what_is_inflated() {
        let large = vec![0; 2 * MAX_INFLATED as usize];
        for encoding in [Encoding::Gzip, Encoding::Snappy] {
            let (header, body) = encode(encoding, large.clone());
            assert_eq!(decode(header, &body).len() as u64, MAX_INFLATED);
            assert_eq!(*decode(header, b"no such thing"), *b"");
        }
    }
}
