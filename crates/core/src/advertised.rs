//! Addresses that are told to others in place of the one listened on: `host`, `host:port`, or IPv6 with brackets or without.

use std::net::Ipv6Addr;

/// `advertised` as `host:port`; without a port of its own it has `port`.
pub fn with_port(advertised: &str, port: u16) -> String {
    if advertised.parse::<Ipv6Addr>().is_ok() {
        return format!("[{advertised}]:{port}");
    }
    let has_port = advertised
        .rsplit_once(':')
        .is_some_and(|(host, port)| port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')));
    if has_port { advertised.to_owned() } else { format!("{advertised}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_added_where_there_is_none() {
        for (advertised, told) in [
            ("hub.example", "hub.example:7422"),
            ("hub.example:80", "hub.example:80"),
            ("10.0.0.1", "10.0.0.1:7422"),
            ("2001:db8::1", "[2001:db8::1]:7422"),
            ("2001:db8::1:80", "[2001:db8::1:80]:7422"),
            ("::1", "[::1]:7422"),
            ("[2001:db8::1]", "[2001:db8::1]:7422"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(with_port(advertised, 7422), told);
        }
    }
}
