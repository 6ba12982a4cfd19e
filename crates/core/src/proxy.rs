//! The PROXY protocol, versions 1 and 2: what a proxy says before the bytes of the client whose connection it passes on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use thiserror::Error;

const V1: &[u8] = b"PROXY ";
/// The longest line of version 1, CR LF included.
const MAX_LINE: usize = 107;
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The fixed part of version 2.
const V2_HEADER: usize = 16;
/// Two addresses and two ports.
const INET: usize = 12;
const INET6: usize = 36;

/// The most that must be there of a header before [`read`] knows all that it wants to know.
pub const MAX_NEEDED: usize = MAX_LINE;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// There are too few to tell.
    Partial,
    /// No header.
    Absent,
    /// A header.
    Header(Header),
}

/// What a proxy says of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the header; not all of them need to have come yet.
    pub len: usize,
    /// Where the client is. `None` if the connection is the proxy's own, or it does not say.
    pub source: Option<SocketAddr>,
}

/// A header that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProxyError {
    /// Version 1 without an end.
    #[error("invalid PROXY protocol header: v1 line too long")]
    LongLine,
    /// Not the words of version 1.
    #[error("invalid PROXY protocol header: invalid v1 format")]
    Format,
    /// No IP address.
    #[error("invalid PROXY protocol header: invalid address")]
    Address,
    /// No port.
    #[error("invalid {0} port: {1:?} is not 0 to 65535")]
    Port(&'static str, String),
    /// An address of the other kind.
    #[error("invalid PROXY protocol header: {0} with {1} address")]
    Mixed(&'static str, &'static str),
    /// Neither TCP4 nor TCP6.
    #[error("invalid PROXY protocol header: invalid protocol {0}")]
    Protocol(String),
    /// Another beginning than version 2 has.
    #[error("invalid PROXY protocol header: invalid signature")]
    Signature,
    /// Neither version 1 nor 2.
    #[error("invalid PROXY protocol header: invalid version {0:#04x}")]
    Version(u8),
    /// Neither LOCAL nor PROXY.
    #[error("unknown PROXY protocol command: {0:#04x}")]
    Command(u8),
    /// Not TCP.
    #[error("unsupported PROXY protocol feature: only STREAM protocol supported")]
    Transport,
    /// Neither IPv4 nor IPv6.
    #[error("unsupported PROXY protocol feature: unsupported address family {0:#04x}")]
    Family(u8),
    /// Addresses that are not all there.
    #[error("{0} address data too short: {1} bytes")]
    Short(&'static str, usize),
}

/// Reads the header at the beginning of `input`.
///
/// # Errors
///
/// When it is one that makes no sense, or that natsd cannot obey.
pub fn read(input: &[u8]) -> Result<Read, ProxyError> {
    let begins = |signature: &[u8], len: usize| input.iter().zip(&signature[..len]).all(|(a, b)| a == b);
    if begins(V1, V1.len()) {
        if input.len() < V1.len() { Ok(Read::Partial) } else { read_v1(input) }
    } else if begins(V2, V1.len()) {
        // As for nats-server, six bytes of it are enough to be taken for it.
        match () {
            () if input.len() > V1.len() && !begins(V2, V2.len()) => Err(ProxyError::Signature),
            () => read_v2(input),
        }
    } else {
        Ok(Read::Absent)
    }
}

fn read_v1(input: &[u8]) -> Result<Read, ProxyError> {
    let line = &input[..input.len().min(MAX_LINE)];
    let Some(end) = line.windows(2).position(|pair| pair == b"\r\n") else {
        return if line.len() < MAX_LINE { Ok(Read::Partial) } else { Err(ProxyError::LongLine) };
    };
    let text = std::str::from_utf8(&line[V1.len()..end.max(V1.len())]).map_err(|_| ProxyError::Format)?;
    let words: Vec<&str> = text.split_whitespace().collect();
    let source = match words[..] {
        ["UNKNOWN", ..] => None,
        [protocol, source, destination, source_port, destination_port] => {
            let source = v1_source(protocol, source, destination)?;
            let port = v1_port("source", source_port)?;
            v1_port("dest", destination_port)?;
            Some(SocketAddr::new(source, port))
        }
        _ => return Err(ProxyError::Format),
    };
    Ok(Read::Header(Header { len: end + 2, source }))
}

fn v1_source(protocol: &str, source: &str, destination: &str) -> Result<IpAddr, ProxyError> {
    let ip = |text: &str| text.parse::<IpAddr>().map_err(|_| ProxyError::Address);
    let (source, destination) = (ip(source)?, ip(destination)?);
    match protocol {
        "TCP4" if source.is_ipv6() || destination.is_ipv6() => Err(ProxyError::Mixed("TCP4", "IPv6")),
        "TCP6" if source.is_ipv4() || destination.is_ipv4() => Err(ProxyError::Mixed("TCP6", "IPv4")),
        "TCP4" | "TCP6" => Ok(source),
        other => Err(ProxyError::Protocol(other.to_owned())),
    }
}

fn v1_port(which: &'static str, text: &str) -> Result<u16, ProxyError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| digits);
    port.ok_or_else(|| ProxyError::Port(which, text.to_owned()))
}

fn read_v2(input: &[u8]) -> Result<Read, ProxyError> {
    let Some([version_command, family_protocol, high, low]) = input.get(V2.len()..V2_HEADER) else {
        return Ok(Read::Partial);
    };
    if version_command & 0xf0 != 0x20 {
        return Err(ProxyError::Version(version_command & 0xf0));
    }
    let addresses = usize::from(u16::from_be_bytes([*high, *low]));
    let header = |source| Ok(Read::Header(Header { len: V2_HEADER + addresses, source }));
    match version_command & 0x0f {
        0 => return header(None),
        1 => {}
        other => return Err(ProxyError::Command(other)),
    }
    if family_protocol & 0x0f != 1 {
        return Err(ProxyError::Transport);
    }
    let (kind, size) = match family_protocol & 0xf0 {
        0 => return header(None),
        0x10 => ("IPv4", INET),
        0x20 => ("IPv6", INET6),
        other => return Err(ProxyError::Family(other)),
    };
    if addresses < size {
        return Err(ProxyError::Short(kind, addresses));
    }
    let Some(bytes) = input.get(V2_HEADER..V2_HEADER + size) else { return Ok(Read::Partial) };
    let ip = match bytes.first_chunk::<16>() {
        Some(ip) if size == INET6 => IpAddr::from(Ipv6Addr::from(*ip)),
        _ => IpAddr::from(Ipv4Addr::new(bytes[0], bytes[1], bytes[2], bytes[3])),
    };
    header(Some(SocketAddr::new(ip, u16::from_be_bytes([bytes[size - 4], bytes[size - 3]]))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn v1(line: &str) -> Result<Option<String>, String> {
        found(format!("PROXY {line}\r\nPING\r\n").as_bytes())
    }

    /// The source in a header, whose length is checked against what follows.
    fn found(input: &[u8]) -> Result<Option<String>, String> {
        match read(input).map_err(|error| error.to_string())? {
            Read::Header(Header { len, source }) => {
                assert_eq!(&input[len..], b"PING\r\n");
                Ok(source.map(|source| source.to_string()))
            }
            other => panic!("{other:?}"),
        }
    }

    fn v2(version_command: u8, family_protocol: u8, addresses: &[u8]) -> Vec<u8> {
        let len = (addresses.len() as u16).to_be_bytes();
        [V2, &[version_command, family_protocol], &len, addresses, b"PING\r\n"].concat()
    }

    #[test]
    fn version_1_is_a_line() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(v1("TCP4 192.0.2.1 192.0.2.2 5000 4222"), some("192.0.2.1:5000"));
        assert_eq!(v1("TCP4  192.0.2.1\t192.0.2.2 05000 0 "), some("192.0.2.1:5000"));
        assert_eq!(v1("TCP6 2001:db8::1 ::1 1 2"), some("[2001:db8::1]:1"));
        assert_eq!(v1("TCP6 ::ffff:192.0.2.1 ::1 1 2"), some("[::ffff:192.0.2.1]:1"));
        assert_eq!(v1("UNKNOWN"), Ok(None));
        assert_eq!(v1("UNKNOWN what ever"), Ok(None));
    }

    #[test]
    fn version_1_that_makes_no_sense_is_refused() {
        for (line, error) in [
            ("", "invalid PROXY protocol header: invalid v1 format"),
            ("TCP4", "invalid PROXY protocol header: invalid v1 format"),
            ("TCP4 1.2.3.4 1.2.3.4 1 2 3", "invalid PROXY protocol header: invalid v1 format"),
            ("TCP4 1.2.3 1.2.3.4 1 2", "invalid PROXY protocol header: invalid address"),
            ("TCP4 ::1 ::1 1 2", "invalid PROXY protocol header: TCP4 with IPv6 address"),
            ("TCP6 1.2.3.4 ::1 1 2", "invalid PROXY protocol header: TCP6 with IPv4 address"),
            ("UDP4 1.2.3.4 1.2.3.4 1 2", "invalid PROXY protocol header: invalid protocol UDP4"),
            ("TCP4 1.2.3.4 1.2.3.4 x 2", "invalid source port: \"x\" is not 0 to 65535"),
            ("TCP4 1.2.3.4 1.2.3.4 1 +2", "invalid dest port: \"+2\" is not 0 to 65535"),
            ("TCP4 1.2.3.4 1.2.3.4 65536 2", "invalid source port: \"65536\" is not 0 to 65535"),
        ] {
            assert_eq!(v1(line), Err(error.to_owned()), "{line}");
        }
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE));
        assert_eq!(read(long.as_bytes()), Err(ProxyError::LongLine));
        let fits = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_LINE - 16));
        assert!(matches!(read(fits.as_bytes()), Ok(Read::Header(Header { len: MAX_LINE, .. }))));
    }

    #[test]
    fn version_2_is_binary() {
        let inet = [192, 0, 2, 1, 192, 0, 2, 2, 0x13, 0x88, 0x10, 0x7e];
        assert_eq!(found(&v2(0x21, 0x11, &inet)), Ok(Some("192.0.2.1:5000".into())));
        assert_eq!(found(&v2(0x21, 0x11, &[&inet[..], &[4; 70]].concat())), Ok(Some("192.0.2.1:5000".into())));
        let mut inet6 = [0; INET6];
        (inet6[15], inet6[33]) = (1, 7);
        assert_eq!(found(&v2(0x21, 0x21, &inet6)), Ok(Some("[::1]:7".into())));
        for local in [v2(0x20, 0, &[]), v2(0x20, 0x31, &[9; 200]), v2(0x21, 0x01, &[9; 3])] {
            assert_eq!(found(&local), Ok(None));
        }
    }

    #[test]
    fn version_2_that_makes_no_sense_is_refused() {
        for (input, error) in [
            (v2(0x11, 0x11, &[0; 12]), ProxyError::Version(0x10)),
            (v2(0x22, 0x11, &[0; 12]), ProxyError::Command(2)),
            (v2(0x21, 0x12, &[0; 12]), ProxyError::Transport),
            (v2(0x21, 0x00, &[0; 12]), ProxyError::Transport),
            (v2(0x21, 0x31, &[0; 216]), ProxyError::Family(0x30)),
            (v2(0x21, 0x11, &[0; 11]), ProxyError::Short("IPv4", 11)),
            (v2(0x21, 0x21, &[0; 35]), ProxyError::Short("IPv6", 35)),
            (b"\r\n\r\n\0\rPING\r\n".to_vec(), ProxyError::Signature),
        ] {
            assert_eq!(read(&input), Err(error));
        }
    }

    #[test]
    fn others_have_no_header() {
        for input in ["PING\r\n", "CONNECT {}\r\n", "PR\0", "PUB a 0\r\n", "\r\nPING", "\x16\x03\x01"] {
            assert_eq!(read(input.as_bytes()), Ok(Read::Absent), "{input}");
        }
    }

    proptest! {
        #[test]
        fn a_header_is_the_same_however_much_has_come(
            source in any::<SocketAddr>(),
            version_2 in any::<bool>(),
            rest in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let source = match source {
                SocketAddr::V6(v6) => SocketAddr::from((*v6.ip(), v6.port())),
                v4 => v4,
            };
            let (kind, protocol, ip) = match source.ip() {
                IpAddr::V4(ip) => (0x11, "TCP4", ip.octets().to_vec()),
                IpAddr::V6(ip) => (0x21, "TCP6", ip.octets().to_vec()),
            };
            let port = source.port().to_be_bytes();
            let header = if version_2 {
                let binary = v2(0x21, kind, &[&ip[..], &ip, &port, &port].concat());
                binary[..binary.len() - 6].to_vec()
            } else {
                let (ip, port) = (source.ip(), source.port());
                format!("PROXY {protocol} {ip} {ip} {port} {port}\r\n").into_bytes()
            };
            let expected = Read::Header(Header { len: header.len(), source: Some(source) });
            for end in 0..header.len() {
                prop_assert_eq!(read(&header[..end]), Ok(Read::Partial));
            }
            prop_assert_eq!(read(&[header, rest].concat()), Ok(expected));
        }

        #[test]
        fn it_is_told_in_so_many_bytes(input in prop::collection::vec(any::<u8>(), MAX_NEEDED..200), signature in 0..3usize) {
            let input = [[V1, V2, b""][signature], &input].concat();
            prop_assert_ne!(read(&input[..MAX_NEEDED.max(input.len() - 20)]), Ok(Read::Partial));
        }
    }
}
