//! Addresses to listen on and URLs of peers, as written in files and flags.

use natsd_core::route::hello::Secret;
use natsd_path::{AddrError, PlainAddrError, ScionAddr};

use super::options::{LeafUrl, Listen, PeerAddr, RouteLogin, RouteUrl, SyslogAddr};

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// No `host:port`.
    #[error("{0:?} is not an address; write \"host:port\", \"[ipv6]:port\", or \"nats://ISD-AS,host:port\" for SCION")]
    HostPort(String),
    /// A port that is no number or out of range.
    #[error("{port:?} in {text:?} is not a port; write a number from 1 to 65535, or -1 for any free port")]
    Port {
        /// The whole address.
        text: String,
        /// What stands after the last `:`.
        port: String,
    },
    /// An ISD-AS is there, but the rest is wrong.
    #[error(transparent)]
    Scion(#[from] AddrError),
    /// `udp://` with something else than IP addresses and a port behind it.
    #[error(transparent)]
    Plain(#[from] PlainAddrError),
    /// `udp://` elsewhere.
    #[error("{0:?}: udp:// is for routes, between the servers of a cluster; write \"host:port\" here")]
    UdpListener(String),
    /// A URL of another kind.
    #[error(
        "{0:?} is not the URL of a route; write nats-route://host:port, or nats-route://[ISD-AS,host]:port for SCION"
    )]
    RouteScheme(String),
    /// A port that cannot be dialled.
    #[error(
        "{0:?} has no port that could be dialled; write nats-route://host:port, or nats-route://[ISD-AS,host]:port for SCION"
    )]
    RoutePort(String),
    /// Not the URL of a hub.
    #[error(
        "{0:?} is not the URL of a hub; write nats-leaf://host[:port], tls://host[:port], ws://host[:port], \
         wss://host[:port], or nats-leaf://[ISD-AS,host]:port for SCION"
    )]
    LeafUrl(String),
    /// Not the URL of a server of another cluster.
    #[error("{0:?} is not the URL of a gateway; write nats://host:port, or nats://[ISD-AS,host]:port for SCION")]
    GatewayUrl(String),
    /// TLS.
    #[error("{0:?} asks for TLS, which is not supported by this version of natsd; write nats-route://host:port")]
    Tls(String),
    /// Credentials of routes.
    #[error("the URL of a listener holds a user; write it without, and user and password in authorization {{}}")]
    ListenerUser,
    /// A user without a password.
    #[error("the URL of a listener holds a user without a password; write nats://user:password@host:port")]
    ListenerPassword,
    /// Not the URL of a syslog.
    #[error("{0:?} is not the URL of a syslog; write udp://host:port, tcp://host:port or unix:///path")]
    Syslog(String),
}

/// Parses an address to listen on.
pub fn listen(text: &str) -> Result<Listen, AddressError> {
    let address = text.strip_prefix("nats://").or_else(|| text.strip_prefix("nats-route://")).unwrap_or(text);
    if address.contains('@') {
        return Err(AddressError::ListenerUser);
    }
    if address.starts_with("udp://") {
        return Err(AddressError::UdpListener(text.to_owned()));
    }
    if address.contains(',') {
        return Ok(Listen::Scion(address.parse()?));
    }
    let (host, port) = host_port(address)?;
    Ok(Listen::Tcp { host: if host.is_empty() { "0.0.0.0".into() } else { host }, port })
}

/// Parses an address to listen on for routes.
pub fn route_listener(text: &str) -> Result<Listen, AddressError> {
    match text.strip_prefix("udp://") {
        Some(address) if address.contains('@') => Err(AddressError::ListenerUser),
        Some(address) => Ok(Listen::Udp(address.parse()?)),
        None => listen(text),
    }
}

/// Parses `--cluster`: an address to listen on, perhaps with the user and password that peers need.
pub fn cluster(text: &str) -> Result<(Listen, Option<RouteLogin>), AddressError> {
    let (scheme, rest) = text.split_once("://").map_or(("nats", text), |(scheme, rest)| (scheme, rest));
    let Some((credentials, address)) = rest.rsplit_once('@') else { return Ok((route_listener(text)?, None)) };
    let (user, password) = credentials.split_once(':').ok_or(AddressError::ListenerPassword)?;
    let login = RouteLogin { user: percent_decoded(user), password: Secret(percent_decoded(password)) };
    if login.user.is_empty() {
        return Err(AddressError::ListenerPassword);
    }
    Ok((route_listener(&format!("{scheme}://{address}"))?, Some(login)))
}

/// Parses `host:port`; port -1 comes out as 0, any free port. 0 is refused: nats-server takes it for the default port
/// in one place and for "off" in others.
pub fn host_port(text: &str) -> Result<(String, u16), AddressError> {
    let bad = || AddressError::HostPort(text.to_owned());
    let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or_else(bad)?,
        None if host.contains([':', ']']) => return Err(bad()),
        None => host,
    };
    let number = match port {
        "-1" => Some(0),
        _ => port.parse().ok().filter(|number| *number > 0 && port.bytes().all(|b| b.is_ascii_digit())),
    };
    let port = number.ok_or_else(|| AddressError::Port { text: text.to_owned(), port: port.to_owned() })?;
    Ok((host.to_owned(), port))
}

/// Checks `host` or `host:port`, told to others in place of a bound address.
pub fn advertised(text: &str) -> Result<String, AddressError> {
    let bare_host = !text.is_empty() && !text.contains([':', '[', ']', ' ']);
    let whole = bare_host
        || text.parse::<std::net::IpAddr>().is_ok()
        || host_port(text).is_ok_and(|(host, port)| !host.is_empty() && port > 0);
    if whole { Ok(text.to_owned()) } else { Err(AddressError::HostPort(text.to_owned())) }
}

/// Parses the URL of a peer.
pub fn route(text: &str) -> Result<RouteUrl, AddressError> {
    let (scheme, rest) = text.split_once("://").ok_or_else(|| AddressError::RouteScheme(without_credentials(text)))?;
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "nats" | "nats-route" | "udp" => {}
        "tls" => return Err(AddressError::Tls(without_credentials(text))),
        _ => return Err(AddressError::RouteScheme(without_credentials(text))),
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (credentials, address) = rest.rsplit_once('@').map_or((None, rest), |(user, address)| (Some(user), address));
    let (user, password) = match credentials.map(|c| c.split_once(':').map_or((c, None), |(u, p)| (u, Some(p)))) {
        Some((user, password)) => (Some(percent_decoded(user)), password.map(percent_decoded)),
        None => (None, None),
    };
    let address = if scheme == "udp" {
        PeerAddr::Udp(address.parse()?)
    } else if address.contains(',') {
        PeerAddr::Scion(address.parse::<ScionAddr>()?)
    } else {
        let (host, port) = host_port(address).map_err(|error| match error {
            AddressError::HostPort(_) => AddressError::RoutePort(without_credentials(text)),
            other => other,
        })?;
        PeerAddr::Tcp { host, port }
    };
    let dialable = match &address {
        PeerAddr::Tcp { host, port } => *port > 0 && !host.is_empty(),
        PeerAddr::Scion(address) => address.port > 0,
        PeerAddr::Udp(_) => true,
    };
    if dialable {
        Ok(RouteUrl { user, password, address })
    } else {
        Err(AddressError::RoutePort(without_credentials(text)))
    }
}

/// Parses the URL of a server of another cluster. Whether TLS is spoken is up to the configuration, not to the URL.
pub fn gateway(text: &str) -> Result<RouteUrl, AddressError> {
    let bad = || AddressError::GatewayUrl(without_credentials(text));
    let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
    if !["nats", "tls", "gateway", "nats-gateway"].contains(&scheme.to_ascii_lowercase().as_str()) {
        return Err(bad());
    }
    route(&format!("nats://{rest}")).map_err(|error| match error {
        AddressError::RouteScheme(_) | AddressError::RoutePort(_) => bad(),
        other => other,
    })
}

/// Parses the URL of a hub; `default_port` is for one that has none.
pub fn leaf(text: &str, default_port: u16) -> Result<LeafUrl, AddressError> {
    let bad = || AddressError::LeafUrl(without_credentials(text));
    let (scheme, rest) = text.split_once("://").ok_or_else(bad)?;
    let (tls, websocket) = match scheme.to_ascii_lowercase().as_str() {
        "nats" | "nats-leaf" | "leaf" => (false, false),
        "tls" => (true, false),
        "ws" => (false, true),
        "wss" => (true, true),
        _ => return Err(bad()),
    };
    let rest = rest.trim_end_matches('/');
    let (credentials, address) = rest.rsplit_once('@').map_or((None, rest), |(user, address)| (Some(user), address));
    let address = if address.contains(',') {
        PeerAddr::Scion(address.parse::<ScionAddr>()?)
    } else {
        let has_port = address.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let whole = if has_port { address.to_owned() } else { format!("{address}:{default_port}") };
        let (host, port) = host_port(&whole).map_err(|_| bad())?;
        PeerAddr::Tcp { host, port }
    };
    let dialable = match &address {
        PeerAddr::Tcp { host, port } => *port > 0 && !host.is_empty(),
        PeerAddr::Scion(address) => address.port > 0 && !tls && !websocket,
        PeerAddr::Udp(_) => false,
    };
    let (user, password) = match credentials.map(|c| c.split_once(':').map_or((c, None), |(u, p)| (u, Some(p)))) {
        Some((user, password)) => (Some(percent_decoded(user)), password.map(percent_decoded)),
        None => (None, None),
    };
    if dialable { Ok(LeafUrl { user, password, tls, websocket, address }) } else { Err(bad()) }
}

/// Parses the URL of a syslog.
pub fn syslog(text: &str) -> Result<SyslogAddr, AddressError> {
    let bad = || AddressError::Syslog(text.to_owned());
    let (scheme, place) = text.split_once("://").ok_or_else(bad)?;
    let address = || match host_port(place) {
        Ok((host, port)) if port > 0 && !host.is_empty() => Ok((host, port)),
        _ => Err(bad()),
    };
    match scheme.to_ascii_lowercase().as_str() {
        "udp" => address().map(|(host, port)| SyslogAddr::Udp { host, port }),
        "tcp" => address().map(|(host, port)| SyslogAddr::Tcp { host, port }),
        "unix" if place.starts_with('/') => Ok(SyslogAddr::Unix(place.into())),
        _ => Err(bad()),
    }
}

/// Splits a list of URLs at its commas, but not at those between the ISD-AS and the host of a SCION address.
pub fn split_urls(text: &str) -> Vec<&str> {
    let mut depth = 0usize;
    text.split(move |c| {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|url| !url.is_empty())
    .collect()
}

/// The URL as it may be shown.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.find("://").map_or(("", url), |end| url.split_at(end + 3));
    format!("{scheme}{}", rest.rsplit_once('@').map_or(rest, |(_, address)| address))
}

/// `%40` is `@`; what is no escape stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match (first, after) {
            (b'%', [high, low, ..]) => hexadecimal(*high).zip(hexadecimal(*low)).map(|(h, l)| h << 4 | l),
            _ => None,
        };
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hexadecimal(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tcp(host: &str, port: u16) -> Listen {
        Listen::Tcp { host: host.into(), port }
    }

    #[test]
    fn hubs() {
        let url = |text: &str| leaf(text, 7422).expect(text);
        let tcp = |host: &str, port| PeerAddr::Tcp { host: host.into(), port };
        assert_eq!(
            url("nats-leaf://u%40:p@hub:7000"),
            LeafUrl {
                user: Some("u@".into()),
                password: Some("p".into()),
                tls: false,
                websocket: false,
                address: tcp("hub", 7000)
            }
        );
        assert_eq!((url("tls://hub").tls, url("tls://hub/").address), (true, tcp("hub", 7422)));
        assert_eq!(url("nats://[::1]").address, tcp("::1", 7422));
        assert_eq!(url("nats://[::1]:1").address, tcp("::1", 1));
        assert!(matches!(url("nats://[1-ff00:0:110,10.0.0.1]:7422").address, PeerAddr::Scion(_)));
        for wrong in ["hub:7422", "http://hub", "nats://", "nats://:1", "nats://h:0", "tls://[1-ff00:0:110,10.0.0.1]:1"]
        {
            assert_eq!(leaf(wrong, 7422), Err(AddressError::LeafUrl(wrong.into())));
        }
        assert_eq!(url("wss://u:p@hub:443").to_string(), "wss://hub:443");
        let shown = leaf("http://u:hidden@hub", 7422).expect_err("no hub").to_string();
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn syslogs() {
        for text in ["udp://localhost:514", "tcp://[::1]:514", "unix:///run/log"] {
            assert_eq!(syslog(text).expect(text).to_string(), text);
        }
        for text in ["localhost:514", "udp://localhost", "udp://:514", "udp://h:-1", "unix://run/log", "http://h:1", ""]
        {
            assert_eq!(syslog(text), Err(AddressError::Syslog(text.into())));
        }
    }

    #[test]
    fn listeners_over_tcp() {
        for (text, expected) in [
            ("127.0.0.1:4222", tcp("127.0.0.1", 4222)),
            (":4222", tcp("0.0.0.0", 4222)),
            ("[::1]:4222", tcp("::1", 4222)),
            ("nats://localhost:-1", tcp("localhost", 0)),
        ] {
            assert_eq!(listen(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn listeners_over_scion_in_every_spelling() {
        let expected = Ok(Listen::Scion("18-ffaa:1:10bf,127.0.0.1:4248".parse().expect("address")));
        for text in [
            "nats://18-ffaa:1:10bf,127.0.0.1:4248",
            "nats://[18-ffaa:1:10bf,127.0.0.1]:4248",
            "[18-ffaa:1:10bf,127.0.0.1]:4248",
            "18-ffaa:1:10bf,127.0.0.1:4248",
        ] {
            assert_eq!(listen(text), expected, "{text}");
        }
    }

    #[test]
    fn ipv6_hosts_over_scion_in_every_spelling() {
        let expected: ScionAddr = "1-ff00:0:111,[::1]:4248".parse().expect("address");
        for text in ["nats-route://[1-ff00:0:111,::1]:4248", "nats-route://1-ff00:0:111,[::1]:4248"] {
            assert_eq!(route(text).map(|url| url.address), Ok(PeerAddr::Scion(expected)), "{text}");
        }
        for text in ["nats://1-ff00:0:111,[::1]:4248", "nats://[1-ff00:0:111,::1]:4248", "1-ff00:0:111,[::1]:4248"] {
            assert_eq!(listen(text), Ok(Listen::Scion(expected)), "{text}");
        }
    }

    #[test]
    fn routes_keep_their_credentials_decoded() {
        let url = route("nats-route://ruser:T0p%40S3cret@peer.example:6222/").expect("valid");
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("ruser"), Some("T0p@S3cret")));
        assert_eq!(url.address, PeerAddr::Tcp { host: "peer.example".into(), port: 6222 });
        assert!(!format!("{url:?}").contains("S3cret"), "passwords stay out of logs");
    }

    #[test]
    fn routes_over_udp_and_nothing_else() {
        let two = "udp://[10.0.1.2,10.1.1.2]:6222";
        let parsed: natsd_path::PlainAddr = two[6..].parse().expect("an address");
        assert_eq!(route_listener(two), Ok(Listen::Udp(parsed.clone())));
        let url = route("udp://ruser:pw@[10.0.1.2,10.1.1.2]:6222").expect("valid");
        assert_eq!((&url.address, url.user.as_deref()), (&PeerAddr::Udp(parsed), Some("ruser")));
        assert_eq!(url.to_string(), two);
        assert_eq!(split_urls(&format!("{two},nats://h:1")), [two, "nats://h:1"]);
        assert_eq!(listen(two), Err(AddressError::UdpListener(two.to_owned())));
        assert_eq!(route_listener("udp://u@10.0.1.2:1"), Err(AddressError::ListenerUser));
        assert!(matches!(route_listener("udp://0.0.0.0:1"), Err(AddressError::Plain(_))));
        assert!(matches!(route("udp://h:1"), Err(AddressError::Plain(_))));
        assert!(gateway(two).is_err() && leaf(two, 7422).is_err());
    }

    #[test]
    fn commas_inside_scion_addresses_do_not_split() {
        let urls = split_urls("nats-route://[18-ffaa:1:10bf,127.0.0.1]:4248, nats://h:6222,");
        assert_eq!(urls, ["nats-route://[18-ffaa:1:10bf,127.0.0.1]:4248", "nats://h:6222"]);
    }

    #[test]
    fn refusals_say_how_to_write_it() {
        let listeners =
            ["localhost", "4222", "h:x", "h:70000", "h:0", "::1:4222", "nats://u:p@h:1", "18-ffaa:1,10.0.0.1:4248"];
        let routes = ["localhost:6222", "http://u:secret@h:1", "tls://h:6222", "nats://h", "nats://h:-1", "nats://:1"];
        let secret = ["u:secret@h:6222", "nats://u:secret@h", "tls://u:secret@h:1"];
        for text in secret {
            assert!(!route(text).expect_err(text).to_string().contains("secret"), "{text}");
            assert!(!listen(text).expect_err(text).to_string().contains("secret"), "{text}");
        }
        for text in ["nats://u:secret@h", "u:secret@h:0", "http://u:secret@h:1:2", "secret@h:1", ":secret@h:1"] {
            assert!(!cluster(text).expect_err(text).to_string().contains("secret"), "{text}");
        }
        let refused = listeners.map(|text| listen(text).expect_err(text).to_string()).into_iter();
        let refused = refused.chain(routes.map(|text| route(text).expect_err(text).to_string()));
        insta::assert_snapshot!(refused.collect::<Vec<_>>().join("\n"));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(nats://|nats-route://)?[0-9a-f:,@%\\[\\]./-]{0,40}|\\PC*") {
            let _ = listen(&text);
            let _ = route(&text);
            let _ = cluster(&text);
            let _ = advertised(&text);
            let _ = split_urls(&text);
        }
    }
}
