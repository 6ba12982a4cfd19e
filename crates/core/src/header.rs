//! Message headers: `NATS/1.0`, lines of `Key: value`, and a blank line.

/// What a block of headers begins with.
const VERSION: &[u8] = b"NATS/1.0";

/// The header of the answer to a request to `subject` that nobody takes.
pub fn write_no_responders(out: &mut Vec<u8>, subject: &[u8]) {
    out.extend_from_slice(b"NATS/1.0 503\r\nNats-Subject: ");
    out.extend_from_slice(subject);
    out.extend_from_slice(b"\r\n\r\n");
}

/// The fields of a block of headers, in order, without the blanks around their values. Lines that are no field are left
/// out.
pub fn fields(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(block).skip(1).filter_map(field)
}

/// The value of the first field of this name, whatever case it is written in.
pub fn get<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(block).find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
}

/// Writes `block`, which may be empty, with the field `name` set to `value` in place of any that has that name.
pub fn write_with(out: &mut Vec<u8>, block: &[u8], name: &str, value: &[u8]) {
    write_without(out, block, |line| field(line).is_some_and(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes())));
    write_last(out, name, value);
}

/// As [`write_with`], in place of fields whose name is written in the same case, with nothing before the colon.
pub fn write_set(out: &mut Vec<u8>, block: &[u8], name: &str, value: &[u8]) {
    write_without(out, block, |line| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b":")));
    write_last(out, name, value);
}

/// Writes the version and the fields of `block` that are not `gone`.
fn write_without(out: &mut Vec<u8>, block: &[u8], gone: impl Fn(&[u8]) -> bool) {
    let mut lines = lines(block);
    out.extend_from_slice(lines.next().filter(|first| first.starts_with(VERSION)).unwrap_or(VERSION));
    out.extend_from_slice(b"\r\n");
    for line in lines.filter(|line| !line.is_empty() && !gone(line)) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_last(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n\r\n");
}

fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    block.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii())).filter(|(key, _)| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_whatever_their_case() {
        let block = b"NATS/1.0 100 Idle\r\nA: 1\r\nb-C:  two words \r\nno field\r\na: 3\r\n\r\n";
        let all: Vec<_> = fields(block).collect();
        assert_eq!(all, [(&b"A"[..], &b"1"[..]), (b"b-C", b"two words"), (b"a", b"3")]);
        assert_eq!(get(block, "a"), Some(&b"1"[..]));
        assert_eq!(get(block, "B-c"), Some(&b"two words"[..]));
        assert_eq!(get(block, "d"), None);
        assert_eq!(get(b"", "a"), None);
    }

    #[test]
    fn a_field_takes_the_place_of_others_of_its_name() {
        let with = |block: &[u8]| {
            let mut out = Vec::new();
            write_with(&mut out, block, "X", b"new");
            String::from_utf8(out).unwrap()
        };
        assert_eq!(with(b""), "NATS/1.0\r\nX: new\r\n\r\n");
        assert_eq!(with(b"NATS/1.0 503\r\n\r\n"), "NATS/1.0 503\r\nX: new\r\n\r\n");
        assert_eq!(with(b"NATS/1.0\r\nx: old\r\nY: 1\r\n\r\n"), "NATS/1.0\r\nY: 1\r\nX: new\r\n\r\n");
    }

    #[test]
    fn the_case_of_a_name_may_matter() {
        let set = |block: &str| {
            let mut out = Vec::new();
            write_set(&mut out, block.as_bytes(), "X", b"new");
            String::from_utf8(out).unwrap()
        };
        assert_eq!(set("NATS/1.0\r\nX: a\r\nY: X: 1\r\nX:b\r\n\r\n"), "NATS/1.0\r\nY: X: 1\r\nX: new\r\n\r\n");
        assert_eq!(set("NATS/1.0\r\nx: 1\r\nX : 2\r\n\r\n"), "NATS/1.0\r\nx: 1\r\nX : 2\r\nX: new\r\n\r\n");
        assert_eq!(set(""), "NATS/1.0\r\nX: new\r\n\r\n");
    }

    #[test]
    fn no_responders_names_the_subject() {
        let mut out = Vec::new();
        write_no_responders(&mut out, b"nobody");
        assert_eq!(out, b"NATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n");
        assert_eq!(out.len(), 38);
    }
}
