//! People at a telnet session who want to leave.

/// Control-C as a terminal without telnet sends it, and Control-D.
const INTERRUPT: u8 = 0x03;
const END_OF_TRANSMISSION: u8 = 0x04;
/// How telnet begins its own commands: Control-C is `ff f4 ff fd 06`, of which the end may come out of band.
const COMMAND: u8 = 0xff;
/// `TIMING-MARK`, the last byte of that.
const TIMING_MARK: u8 = 0x06;

/// Whether `input`, which is no operation, is somebody's wish to end the session.
pub(super) fn is_farewell(input: &[u8]) -> bool {
    let line = input.split(|byte| *byte == b'\n').next().unwrap_or_default();
    matches!(line.first(), Some(&(INTERRUPT | END_OF_TRANSMISSION | COMMAND))) || line.contains(&TIMING_MARK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_control_characters_end_a_session() {
        for input in [&b"\xff\xf4\xff\xfd\x06"[..], b"\xff\xf4", b"\x04", b"\x04\r\n", b"\x03", b"FO\x06\r\n"] {
            assert!(is_farewell(input), "{input:?}");
        }
        for input in [&b""[..], b"FOO\r\n", b"\r\n", b"FOO\r\n\x06", b"FOO \x04\r\n", b"\x16\x03\x01"] {
            assert!(!is_farewell(input), "{input:?}");
        }
    }
}
