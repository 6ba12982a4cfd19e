//! Where a web page comes from.

use thiserror::Error;

/// `https://example.com:8443`: scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// In lower case.
    pub scheme: String,
    /// In lower case, without brackets.
    pub host: String,
    /// That of the scheme when none was written.
    pub port: u16,
}

/// No origin.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not an origin; write http://host[:port] or https://host[:port]")]
pub struct OriginError(String);

impl Origin {
    /// Parses a URL of which only the origin counts.
    ///
    /// # Errors
    ///
    /// When it has no scheme or no host, or a port that is none.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let wrong = || OriginError(text.to_owned());
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let scheme = scheme.to_ascii_lowercase();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = host_port(authority, scheme == "https").ok_or_else(wrong)?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(is_scheme) {
            return Err(wrong());
        }
        Ok(Self { scheme, host, port })
    }

    /// As [`parse`](Self::parse), of an origin that an operator allows.
    ///
    /// # Errors
    ///
    /// When it is none of the web.
    pub fn parse_web(text: &str) -> Result<Self, OriginError> {
        let origin = Self::parse(text)?;
        if matches!(origin.scheme.as_str(), "http" | "https") { Ok(origin) } else { Err(OriginError(text.to_owned())) }
    }

    /// Where a request was sent that names `host`.
    pub(super) fn of_request(host: &str, tls: bool) -> Option<Self> {
        let (host, port) = host_port(host, tls)?;
        Some(Self { scheme: if tls { "https" } else { "http" }.to_owned(), host, port })
    }
}

/// `host[:port]` or `[host][:port]`.
fn host_port(text: &str, tls: bool) -> Option<(String, u16)> {
    let default = if tls { 443 } else { 80 };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        None => default,
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok()?,
        Some(_) => return None,
    };
    let is_host = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}[]".contains(&byte);
    (!host.is_empty() && host.bytes().all(is_host)).then(|| (host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scheme_host_and_port_are_told_apart() {
        let parse = |text: &str| Origin::parse(text).map(|o| format!("{} {} {}", o.scheme, o.host, o.port)).ok();
        for (text, expected) in [
            ("http://Example.com", Some("http example.com 80")),
            ("HTTPS://example.com/path?x#y", Some("https example.com 443")),
            ("https://example.com:8443", Some("https example.com 8443")),
            ("http://[::1]:8080", Some("http ::1 8080")),
            ("http://[::1]", Some("http ::1 80")),
            ("ftp://h", Some("ftp h 80")),
            ("null", None),
            ("http://", None),
            ("://h", None),
            ("http://h:", None),
            ("http://h:+80", None),
            ("http://h:70000", None),
            ("http://a:b:c", None),
            ("http://[::1", None),
            ("http://a b", None),
        ] {
            assert_eq!(parse(text).as_deref(), expected, "{text}");
        }
        assert!(Origin::parse_web("http://a").is_ok() && Origin::parse_web("ftp://a").is_err());
    }
}
