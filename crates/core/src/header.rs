//! Message headers: `NATS/1.0`, lines of `Key: value`, and a blank line.

/// The header of the answer to a request to `subject` that nobody takes.
pub fn write_no_responders(out: &mut Vec<u8>, subject: &[u8]) {
    out.extend_from_slice(b"NATS/1.0 503\r\nNats-Subject: ");
    out.extend_from_slice(subject);
    out.extend_from_slice(b"\r\n\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_responders_names_the_subject() {
        let mut out = Vec::new();
        write_no_responders(&mut out, b"nobody");
        assert_eq!(out, b"NATS/1.0 503\r\nNats-Subject: nobody\r\n\r\n");
        assert_eq!(out.len(), 38);
    }
}
