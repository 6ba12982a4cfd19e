//! How a message asks to be traced: what its headers say, and what servers write into them on its way.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use memchr::memmem::Finder;

/// Names the subject that servers tell to what they do with the message.
pub const DEST: &str = "Nats-Trace-Dest";
/// The value of [`DEST`] by which a server keeps the next ones from tracing; no subject is like that.
pub const DISABLED: &str = "trace disabled";
/// Which part of the trace the next server tells: `1`, and of what that sends on `1.1`.
pub const HOP: &str = "Nats-Trace-Hop";
/// Asks that the message be traced only, and delivered to nobody.
pub const ONLY: &str = "Nats-Trace-Only";
/// What servers before 2.14 wrote. Such a message is not traced.
pub const ORIGIN_ACCOUNT: &str = "Nats-Trace-Origin-Account";

/// The header of W3C trace context, in any case.
const PARENT: &[u8] = b"traceparent";
const ACCEPT_ENCODING: &str = "Accept-Encoding";
/// What a block of headers begins with whose message can be traced: one with a status cannot.
const BEGIN: &[u8] = b"NATS/1.0\r\n";

/// The headers of a message that asks to be traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// All of them, names as they were written.
    pub headers: BTreeMap<String, Vec<String>>,
    /// It is only a sampled `traceparent` that asks: where the trace goes is up to the account.
    pub by_parent: bool,
}

/// How what is told is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Nothing was said of it: not at all.
    Plain,
    /// Gzip.
    Gzip,
    /// Snappy, in frames.
    Snappy,
    /// Nothing that was asked for is known: not at all, and the header says so.
    Identity,
}

impl Request {
    /// What `block` asks for; `None` if it does not ask for a trace, or if a server before has switched it off.
    pub fn read(block: &[u8]) -> Option<Self> {
        let by_parent = asks(block)?;
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        let mut headers = BTreeMap::<_, Vec<_>>::new();
        for (key, value) in fields(block) {
            headers.entry(text(key)).or_default().push(text(value));
        }
        Some(Self { headers, by_parent })
    }

    fn first(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    /// Where the trace is to go, unless that is up to the account.
    pub fn destination(&self) -> Option<&str> {
        self.first(DEST).filter(|_| !self.by_parent)
    }

    /// Whether the message is to be delivered to nobody.
    pub fn only(&self) -> bool {
        let asked = self.first(ONLY).filter(|_| !self.by_parent);
        asked.is_some_and(|value| ["1", "true", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes)))
    }

    /// The part of the trace that is to be told here, if the message came from another server.
    pub fn hop(&self) -> Option<&str> {
        self.first(HOP)
    }

    /// What a server before 2.14 wrote.
    pub fn origin_account(&self) -> Option<&str> {
        self.first(ORIGIN_ACCOUNT)
    }

    /// How what is told is to be compressed.
    pub fn encoding(&self) -> Encoding {
        let Some(asked) = self.first(ACCEPT_ENCODING).map(str::to_ascii_lowercase) else { return Encoding::Plain };
        if asked.contains("snappy") || asked.contains("s2") {
            Encoding::Snappy
        } else if asked.contains("gzip") {
            Encoding::Gzip
        } else {
            Encoding::Identity
        }
    }
}

/// Whether `block` could name a destination. Costs one search; what is found has to be read to be sure.
pub fn may_name_destination(block: &[u8]) -> bool {
    static NAME: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DEST));
    NAME.find(block).is_some()
}

/// Whether `block` asks for a trace, and if so whether only by `traceparent`.
fn asks(block: &[u8]) -> Option<bool> {
    let (mut dest, mut parent) = (false, false);
    for (key, value) in fields(block) {
        if key == DEST.as_bytes() {
            if value == DISABLED.as_bytes() {
                return None;
            }
            dest = true;
        } else if key.eq_ignore_ascii_case(PARENT) {
            parent |= is_sampled(value);
        }
    }
    (dest || parent).then_some(!dest)
}

/// Whether the flags of a `traceparent` ask for a trace.
fn is_sampled(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'-');
    let flags = parts.nth(3).filter(|flags| flags.len() == 2 && parts.next().is_none());
    let flags = flags.and_then(|flags| i8::from_str_radix(std::str::from_utf8(flags).ok()?, 16).ok());
    flags.is_some_and(|flags| flags & 1 == 1)
}

/// The fields of `block` that have a name and a value, to the letter as nats-server finds them: with nothing between name
/// and colon, and each ended by CR LF.
fn fields(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = block.strip_prefix(BEGIN).unwrap_or_default();
    std::iter::from_fn(move || {
        loop {
            let colon = memchr::memchr(b':', rest)?;
            let (key, after) = (&rest[..colon], &rest[colon + 1..]);
            let end = memchr::memmem::find(after, b"\r\n")?;
            rest = &after[end + 2..];
            let value = trim(&after[..end]);
            if !key.is_empty() && !value.is_empty() {
                return Some((key, value));
            }
        }
    })
}

fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PARENT_ON: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(lines: &str) -> Option<Request> {
        Request::read(format!("NATS/1.0\r\n{lines}").as_bytes())
    }

    #[test]
    fn a_destination_asks_for_a_trace() {
        let request = read("A: 1\r\nNats-Trace-Dest: \t my.dest \t\r\nA:2\r\n: none\r\nB:\r\nC: 3").expect("a request");
        let headers: Vec<_> = request.headers.iter().map(|(key, values)| format!("{key}={values:?}")).collect();
        assert_eq!(headers, [r#"A=["1", "2"]"#, r#"Nats-Trace-Dest=["my.dest"]"#]);
        assert_eq!((request.destination(), request.by_parent, request.only()), (Some("my.dest"), false, false));
        assert_eq!((request.hop(), request.origin_account()), (None, None));
        let first = read("Nats-Trace-Dest: one\r\nNats-Trace-Dest: two\r\n").expect("a request");
        assert_eq!(first.destination(), Some("one"));
    }

    #[test]
    fn what_looks_like_it_does_not() {
        for lines in [
            "",
            "A: 1\r\n\r\n",
            "Nats-Trace-Dest: d",
            "Nats-Trace-Dest:   \r\n",
            "Nats-Trace-Dest : d\r\n",
            "No-Nats-Trace-Dest: d\r\n",
            "Nats-Trace-Dest-Not: d\r\n",
            "nats-trace-dest: d\r\n",
            "no field\r\nNats-Trace-Dest: d\r\n",
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
        assert!(may_name_destination(b"NATS/1.0\r\nNats-Trace-Dest: d\r\n\r\n"));
        assert!(!may_name_destination(b"NATS/1.0\r\nNats-Trace-Only: d\r\n\r\n"));
        assert_eq!(Request::read(b"NATS/1.0 503\r\nNats-Trace-Dest: d\r\n\r\n"), None);
        assert_eq!(Request::read(b"Nats-Trace-Dest: d\r\n\r\n"), None);
    }

    #[test]
    fn a_server_can_switch_it_off() {
        assert_eq!(read("Nats-Trace-Dest: trace disabled\r\n\r\n"), None);
        assert_eq!(read(&format!("traceparent: {PARENT_ON}\r\nNats-Trace-Dest: trace disabled\r\n\r\n")), None);
    }

    #[test]
    fn a_sampled_parent_asks_as_well() {
        for (value, asked) in [
            (PARENT_ON, true),
            ("00-a-b-27", true),
            ("00-a-b-7f", true),
            ("00-a-b-22", false),
            ("00-a-b-00", false),
            // nats-server takes the flags for a signed number.
            ("00-a-b-81", false),
            ("00-a-b-1", false),
            ("00-a-b-001", false),
            ("00-a-01", false),
            ("00-a-b-01-c", false),
            ("00-a-b-xx", false),
        ] {
            for name in ["traceparent", "TrAcEpArEnT"] {
                let request = read(&format!("A: 1\r\n{name}: {value}\r\nNats-Trace-Only: true\r\n\r\n"));
                assert_eq!(request.is_some(), asked, "{name}: {value}");
                let Some(request) = request else { continue };
                assert!(request.by_parent && request.destination().is_none() && !request.only());
                assert_eq!(request.first(name), Some(value));
            }
        }
        let both = read(&format!("traceparent: {PARENT_ON}\r\nNats-Trace-Dest: d\r\n\r\n")).expect("a request");
        assert_eq!((both.by_parent, both.destination()), (false, Some("d")));
    }

    #[test]
    fn only_is_a_word_for_yes() {
        for (value, only) in [("1", true), ("TRUE", true), ("On", true), ("0", false), ("false", false), ("yes", false)]
        {
            let request = read(&format!("Nats-Trace-Dest: d\r\nNats-Trace-Only: {value}\r\n\r\n")).expect("a request");
            assert_eq!(request.only(), only, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(block in proptest::collection::vec(any::<u8>(), 0..200)) {
            let block = [BEGIN, &block].concat();
            if let Some(request) = Request::read(&block) {
                prop_assert!(request.by_parent || may_name_destination(&block));
            }
        }

        #[test]
        fn lines_of_any_kind_are_read(lines in proptest::collection::vec(
            "(Nats-Trace-(Dest|Only|Hop)|[tT]raceparent|[ -~]{0,8}):? ?(true|00-a-b-0[01]|trace disabled|[ -~]{0,8})(\r\n|\n|)", 0..6)
        ) {
            let block = format!("NATS/1.0\r\n{}\r\n", lines.concat());
            if let Some(request) = Request::read(block.as_bytes()) {
                prop_assert!(request.by_parent || may_name_destination(block.as_bytes()));
                prop_assert_eq!(request.destination().is_none(), request.by_parent);
                prop_assert!(request.headers.iter().all(|(key, values)| !key.is_empty() && !values.is_empty()));
            }
        }
    }

    #[test]
    fn what_is_told_is_compressed_as_asked() {
        for (accept, encoding) in [
            ("", Encoding::Plain),
            ("Accept-Encoding: gzip\r\n", Encoding::Gzip),
            ("Accept-Encoding: GZIP, Snappy\r\n", Encoding::Snappy),
            ("Accept-Encoding: s2\r\n", Encoding::Snappy),
            ("Accept-Encoding: br\r\n", Encoding::Identity),
            ("accept-encoding: gzip\r\n", Encoding::Plain),
        ] {
            let request = read(&format!("Nats-Trace-Dest: d\r\n{accept}\r\n")).expect("a request");
            assert_eq!(request.encoding(), encoding, "{accept}");
        }
    }
}
