//! Connections to peers: the addresses of a route, tried in order.

use std::fmt::Write as _;
use std::time::Duration;

use natsd_core::route::cluster::Place;
use thiserror::Error;
use tokio::net::TcpStream;

use crate::config::options::{PeerAddr, Remote, RouteUrl};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// No address of a peer led to a connection.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct DialError(String);

/// The addresses of `place`.
pub(crate) fn addresses(place: &Place, configured: &[Remote]) -> Vec<RouteUrl> {
    match place {
        Place::Configured(route) => configured.get(*route).map(|remote| remote.urls.clone()).unwrap_or_default(),
        Place::Told(urls) => urls.iter().filter_map(|url| parse_told(url)).collect(),
    }
}

/// An address heard of from a peer: `nats-route://host:port/` or `[ISD-AS,host]:port`.
fn parse_told(url: &str) -> Option<RouteUrl> {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/');
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let address = match authority.parse() {
        Ok(scion) => PeerAddr::Scion(scion),
        Err(_) => {
            let (host, port) = authority.rsplit_once(':')?;
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            PeerAddr::Tcp { host, port: port.parse().ok()? }
        }
    };
    Some(RouteUrl { user: None, password: None, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_heard_of_are_understood() {
        let told = |url: &str| parse_told(url).map(|url| url.address);
        let tcp = |host: &str| Some(PeerAddr::Tcp { host: host.into(), port: 6222 });
        assert_eq!(told("nats-route://10.0.0.1:6222/"), tcp("10.0.0.1"));
        assert_eq!(told("nats-route://[::1]:6222/"), tcp("::1"));
        assert_eq!(told("nats-route://u:p@host:6222"), tcp("host"));
        assert!(matches!(told("[1-ff00:0:110,10.0.0.1]:6222"), Some(PeerAddr::Scion(_))));
        assert_eq!(told("nats-route://host"), None);
        assert_eq!(told(""), None);
    }
}
