//! Addresses of servers over plain IP as operators write them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Where one server is reached over UDP without SCION: at each of its IP addresses, by the same port.
///
/// Parses and prints `10.0.1.2:6222`, `[fd00::2]:6222`, and `[10.0.1.2,10.1.1.2]:6222` if there are several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlainAddr {
    /// The most wanted first; 1 to [`MOST`](Self::MOST), none of them twice.
    hosts: Vec<IpAddr>,
    port: u16,
}

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} does not say where one server is over UDP: {what}")]
pub struct PlainAddrError {
    text: String,
    what: &'static str,
}

impl PlainAddr {
    /// Addresses that one server may have.
    pub const MOST: usize = 8;

    /// Of these hosts, the most wanted first, and this port.
    ///
    /// # Errors
    ///
    /// Hosts that nothing can be sent to or that are there twice, too many, none, or port 0.
    pub fn new(hosts: &[IpAddr], port: u16) -> Result<Self, PlainAddrError> {
        let hosts: Vec<_> = hosts.iter().map(IpAddr::to_canonical).collect();
        let checked =
            check(&hosts).and(if port > 0 { Ok(()) } else { Err("the port must be a number from 1 to 65535") });
        match checked {
            Err(what) => Err(PlainAddrError { text: bracketed(&hosts, port), what }),
            Ok(()) => Ok(Self { hosts, port }),
        }
    }

    /// Hosts that could be the addresses of one server, as they are then known.
    ///
    /// # Errors
    ///
    /// As of [`new`](Self::new), without regard to a port.
    pub fn hosts_alone(hosts: &[IpAddr]) -> Result<Vec<IpAddr>, PlainAddrError> {
        let hosts: Vec<_> = hosts.iter().map(IpAddr::to_canonical).collect();
        check(&hosts).map_err(|what| PlainAddrError { text: joined(&hosts), what })?;
        Ok(hosts)
    }

    /// Its addresses, the most wanted first.
    pub fn hosts(&self) -> &[IpAddr] {
        &self.hosts
    }

    /// The UDP port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The most wanted address, by which the server is known.
    pub fn first(&self) -> SocketAddr {
        SocketAddr::new(self.hosts[0], self.port)
    }
}

fn check(hosts: &[IpAddr]) -> Result<(), &'static str> {
    let twice = |(at, host): (usize, &IpAddr)| hosts[..at].contains(host);
    let broadcast = |host: &IpAddr| matches!(host, IpAddr::V4(v4) if v4.is_broadcast());
    match hosts {
        [] => Err("there is no address"),
        _ if hosts.len() > PlainAddr::MOST => Err("a server has at most 8 addresses"),
        _ if hosts.iter().enumerate().any(twice) => Err("an address is there twice"),
        _ if hosts.iter().any(IpAddr::is_unspecified) => {
            Err("name the addresses themselves: peers and paths are known by them")
        }
        _ if hosts.iter().any(|host| host.is_multicast() || broadcast(host)) => {
            Err("this is not the address of one host")
        }
        _ => Ok(()),
    }
}

fn bracketed(hosts: &[IpAddr], port: u16) -> String {
    format!("[{}]:{port}", joined(hosts))
}

fn joined(hosts: &[IpAddr]) -> String {
    hosts.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(",")
}

impl fmt::Display for PlainAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hosts[..] {
            [_] => self.first().fmt(f),
            _ => f.write_str(&bracketed(&self.hosts, self.port)),
        }
    }
}

impl FromStr for PlainAddr {
    type Err = PlainAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |what| PlainAddrError { text: text.to_owned(), what };
        let (hosts, port) = text.rsplit_once(':').ok_or_else(|| bad("the port is missing, as in 10.0.1.2:6222"))?;
        let port = port.parse().map_err(|_| bad("the port must be a number from 1 to 65535"))?;
        let hosts = match hosts.strip_prefix('[') {
            Some(rest) => rest.strip_suffix(']').ok_or_else(|| bad("'[' has no ']' before the port"))?,
            None if hosts.contains([',', ':']) => {
                return Err(bad("several addresses stand in brackets, as in [10.0.1.2,10.1.1.2]:6222"));
            }
            None => hosts,
        };
        let hosts = hosts.split(',').map(|host| host.trim().parse());
        let hosts: Vec<IpAddr> =
            hosts.collect::<Result<_, _>>().map_err(|_| bad("each address must be one of IPv4 or IPv6, not a name"))?;
        Self::new(&hosts, port).map_err(|error| bad(error.what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_address_or_several() {
        for text in ["10.0.1.2:6222", "[fd00::2]:6222", "[10.0.1.2,10.1.1.2]:6222", "[10.0.1.2,fd00::2]:6222"] {
            assert_eq!(text.parse::<PlainAddr>().expect(text).to_string(), text);
        }
        let two: PlainAddr = "[10.0.1.2,10.1.1.2]:6222".parse().expect("two");
        assert_eq!((two.hosts().len(), two.port(), two.first().to_string().as_str()), (2, 6222, "10.0.1.2:6222"));
        let mapped: PlainAddr = "[::ffff:10.0.1.2]:1".parse().expect("one");
        assert_eq!(mapped.to_string(), "10.0.1.2:1");
    }

    #[test]
    fn the_error_says_what_is_wrong() {
        let text = |s: &str| s.parse::<PlainAddr>().expect_err(s).to_string();
        insta::assert_snapshot!(
            [
                "10.0.1.2",
                "10.0.1.2:0",
                "10.0.1.2:70000",
                "10.0.1.2,10.1.1.2:6222",
                "[10.0.1.2,10.1.1.2:6222",
                "[]:6222",
                "[10.0.1.2,]:6222",
                "[10.0.1.2,10.0.1.2]:6222",
                "peer.example.org:6222",
                "0.0.0.0:6222",
                "[10.0.1.2,224.0.0.1]:6222",
                "255.255.255.255:6222",
                "[::1,::2,::3,::4,::5,::6,::7,::8,::9]:1",
            ]
            .map(text)
            .join("\n")
        );
    }

    proptest! {
        #[test]
        fn printed_addresses_parse_to_themselves(hosts in proptest::collection::vec(any::<IpAddr>(), 1..9), port: u16) {
            if let Ok(addr) = PlainAddr::new(&hosts, port) {
                prop_assert_eq!(addr.to_string().parse(), Ok(addr));
            }
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<PlainAddr>();
        }
    }
}
