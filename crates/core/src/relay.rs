//! What a server says to a client that came through a carrier, and is to come back through it.
//!
//! All passes as it is but for `INFO`, whose addresses become that of the carrier.

use serde_json::{Map, Value};

/// The longest line that is waited for, bytes.
pub const MAX_LINE: usize = 1 << 20;
/// The longest payload of a message that is believed, bytes; nats-server allows as much at most.
const MAX_PAYLOAD: usize = 64 << 20;

/// What comes is not the protocol of NATS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayError {
    /// A line without end.
    #[error("a line is longer than {MAX_LINE} bytes")]
    TooLong,
    /// `INFO` without a JSON object.
    #[error("INFO is not followed by a JSON object")]
    Info,
    /// A message that does not say how long it is.
    #[error("a message has no valid size")]
    Size,
}

/// One connection, from the server to the client.
#[derive(Debug)]
pub struct Relay {
    host: String,
    port: u16,
    /// The beginning of a line.
    line: Vec<u8>,
    /// Bytes of a payload, CR LF included, that are still to come.
    payload: usize,
}

impl Relay {
    /// Clients reach the carrier at this host and port.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, line: Vec::new(), payload: 0 }
    }

    /// Passes on what came, but for the last line if it is not there as a whole.
    ///
    /// # Errors
    ///
    /// When it is not the protocol of NATS; nothing that comes later can be made sense of.
    pub fn pass(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), RelayError> {
        while !input.is_empty() {
            if self.payload > 0 {
                let (payload, rest) = input.split_at(self.payload.min(input.len()));
                out.extend_from_slice(payload);
                self.payload -= payload.len();
                input = rest;
                continue;
            }
            let end = memchr::memchr(b'\n', input).map_or(input.len(), |end| end + 1);
            if self.line.len() + end > MAX_LINE {
                return Err(RelayError::TooLong);
            }
            self.line.extend_from_slice(&input[..end]);
            input = &input[end..];
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.pass_line(&line, out)?;
            }
        }
        Ok(())
    }

    fn pass_line(&mut self, line: &[u8], out: &mut Vec<u8>) -> Result<(), RelayError> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let verb = words.next().unwrap_or_default();
        if verb.eq_ignore_ascii_case(b"INFO") {
            let info = serde_json::from_slice(&line[verb.len()..]).map_err(|_| RelayError::Info)?;
            out.extend_from_slice(b"INFO ");
            serde_json::to_writer(&mut *out, &self.rewritten(info)).map_err(|_| RelayError::Info)?;
            out.extend_from_slice(b" \r\n");
            return Ok(());
        }
        if verb.eq_ignore_ascii_case(b"MSG") || verb.eq_ignore_ascii_case(b"HMSG") {
            let size = words.next_back().and_then(|size| std::str::from_utf8(size).ok()?.parse::<usize>().ok());
            let size = size.filter(|size| *size <= MAX_PAYLOAD).ok_or(RelayError::Size)?;
            self.payload = size + b"\r\n".len();
        }
        out.extend_from_slice(line);
        Ok(())
    }

    /// The servers of the cluster cannot be reached by the client, but this carrier can.
    fn rewritten(&self, mut info: Map<String, Value>) -> Map<String, Value> {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        info.insert("host".into(), self.host.clone().into());
        info.insert("port".into(), self.port.into());
        info.insert("connect_urls".into(), vec![format!("{host}:{}", self.port)].into());
        info.remove("ws_connect_urls");
        info
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SAID: &str = "INFO {\"server_id\":\"S\",\"host\":\"10.0.0.1\",\"port\":4222,\"connect_urls\":[\"10.0.0.1:4222\",\
                        \"10.0.0.2:4222\"],\"ws_connect_urls\":[\"10.0.0.1:80\"]}\r\n\
                        PONG\r\nMSG a 1 15\r\nINFO {\"no\":1}\r\n\r\nHMSG a 1 r 12 17\r\nNATS/1.0\r\n\r\nINFO \r\n+OK\r\nINFO {}\r\n";

    fn passed(parts: impl IntoIterator<Item = Vec<u8>>) -> Result<String, RelayError> {
        let (mut relay, mut out) = (Relay::new("127.0.0.1", 4333), Vec::new());
        parts.into_iter().try_for_each(|part| relay.pass(&part, &mut out))?;
        Ok(String::from_utf8(out).expect("text"))
    }

    #[test]
    fn clients_are_told_of_the_carrier_alone() {
        let told = passed([SAID.into()]).expect("NATS");
        let lines: Vec<_> = told.split("\r\n").collect();
        let info: Value = serde_json::from_str(lines[0].strip_prefix("INFO ").expect("INFO")).expect("JSON");
        assert_eq!(
            (&info["server_id"], &info["host"], &info["port"]),
            (&"S".into(), &"127.0.0.1".into(), &4333.into())
        );
        assert_eq!(info["connect_urls"], Value::from(vec!["127.0.0.1:4333"]));
        assert!(info.get("ws_connect_urls").is_none() && !told.contains("10.0.0"));
        assert!(
            told.contains("MSG a 1 15\r\nINFO {\"no\":1}\r\n\r\nHMSG a 1 r 12 17\r\nNATS/1.0\r\n\r\nINFO \r\n+OK\r\n")
        );
        assert!(lines[lines.len() - 2].contains("127.0.0.1:4333"), "a later INFO too: {told}");
    }

    #[test]
    fn what_is_not_nats_ends_it() {
        assert_eq!(passed(["INFO nonsense\r\n".into()]), Err(RelayError::Info));
        assert_eq!(passed(["MSG a 1 many\r\n".into()]), Err(RelayError::Size));
        assert_eq!(passed(["MSG a 1 99999999999\r\n".into()]), Err(RelayError::Size));
        assert_eq!(passed(std::iter::repeat_n(vec![b'x'; 1000], 2000)), Err(RelayError::TooLong));
    }

    proptest! {
        #[test]
        fn where_it_is_cut_does_not_matter(cut in 1usize..60) {
            let parts = SAID.as_bytes().chunks(cut).map(<[u8]>::to_vec);
            prop_assert_eq!(passed(parts), passed([SAID.into()]));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let mut out = Vec::new();
            // Most bytes are an error, or the beginning of a line.
            let _ = Relay::new("::1", 4333).pass(&bytes, &mut out);
        }
    }
}
