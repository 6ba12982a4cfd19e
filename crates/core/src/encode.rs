//! Lines of the client protocol, as they are written. Nothing here formats: message lines are on the hot path.

/// A message as it came from its publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// What it was published to.
    pub subject: &'a [u8],
    /// Where an answer goes.
    pub reply: Option<&'a [u8]>,
    /// Bytes of `body` that are headers.
    pub header_len: usize,
    /// Headers, then payload.
    pub body: &'a [u8],
}

impl<'a> Message<'a> {
    /// The message for somebody who does not understand headers.
    pub fn without_headers(self) -> Self {
        Self { header_len: 0, body: self.payload(), ..self }
    }

    /// The headers; empty if there are none.
    pub fn headers(&self) -> &'a [u8] {
        &self.body[..self.header_len.min(self.body.len())]
    }

    /// What follows the headers.
    pub fn payload(&self) -> &'a [u8] {
        &self.body[self.header_len.min(self.body.len())..]
    }

    /// Appends `MSG`, or `HMSG` if there are headers, for the subscription `sid`, and the message itself.
    pub fn write(&self, out: &mut Vec<u8>, sid: &[u8]) {
        let reply = self.reply.unwrap_or_default();
        out.reserve(self.subject.len() + sid.len() + reply.len() + self.body.len() + 2 * MAX_DIGITS + 16);
        out.extend_from_slice(if self.header_len > 0 { b"HMSG " } else { b"MSG " });
        out.extend_from_slice(self.subject);
        out.push(b' ');
        out.extend_from_slice(sid);
        out.push(b' ');
        if !reply.is_empty() {
            out.extend_from_slice(reply);
            out.push(b' ');
        }
        if self.header_len > 0 {
            write_number(out, self.header_len);
            out.push(b' ');
        }
        write_number(out, self.body.len());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body);
        out.extend_from_slice(b"\r\n");
    }
}

const MAX_DIGITS: usize = 20;

/// Appends `number` in decimal digits.
pub fn write_number(out: &mut Vec<u8>, mut number: usize) {
    let mut digits = [0; MAX_DIGITS];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends `-ERR 'text'`.
pub fn write_error(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"-ERR '");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"'\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(message: Message<'_>) -> String {
        let mut out = Vec::new();
        message.write(&mut out, b"7");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_form_of_a_message() {
        let plain = Message { subject: b"foo", reply: None, header_len: 0, body: b"hello" };
        assert_eq!(written(plain), "MSG foo 7 5\r\nhello\r\n");
        assert_eq!(written(Message { reply: Some(b"in"), body: b"", ..plain }), "MSG foo 7 in 0\r\n\r\n");
        let with_headers = Message { header_len: 12, body: b"NATS/1.0\r\n\r\nhi", ..plain };
        assert_eq!(written(with_headers), "HMSG foo 7 12 14\r\nNATS/1.0\r\n\r\nhi\r\n");
        assert_eq!(written(with_headers.without_headers()), "MSG foo 7 2\r\nhi\r\n");
    }

    #[test]
    fn numbers_and_errors() {
        let mut out = Vec::new();
        write_number(&mut out, 0);
        write_number(&mut out, usize::MAX);
        write_error(&mut out, "Stale Connection");
        assert_eq!(String::from_utf8(out).unwrap(), format!("0{}-ERR 'Stale Connection'\r\n", usize::MAX));
    }
}
