//! How what is told of a message is compressed.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use natsd_core::msg_trace::Encoding;

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
    use std::io::Read;

    use super::*;

    #[test]
    fn what_is_compressed_says_how() {
        let payload = || b"{\"server\":{}}".repeat(100);
        let read = |mut reader: Box<dyn Read + '_>| {
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            out
        };
        assert_eq!(encode(Encoding::Plain, payload()), (&b""[..], payload()));
        let (header, body) = encode(Encoding::Identity, payload());
        assert_eq!((header, body), (&b"NATS/1.0\r\nContent-Encoding: identity\r\n\r\n"[..], payload()));
        let (header, body) = encode(Encoding::Gzip, payload());
        assert_eq!(header, b"NATS/1.0\r\nContent-Encoding: gzip\r\n\r\n");
        assert!(body.len() < payload().len());
        assert_eq!(read(Box::new(flate2::read::GzDecoder::new(&body[..]))), payload());
        let (header, body) = encode(Encoding::Snappy, payload());
        assert_eq!(header, b"NATS/1.0\r\nContent-Encoding: snappy\r\n\r\n");
        assert!(body.len() < payload().len());
        assert_eq!(read(Box::new(snap::read::FrameDecoder::new(&body[..]))), payload());
    }
}
