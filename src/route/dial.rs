//! Connections to peers: the addresses of a route, tried in order.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use natsd_core::route::cluster::Place;
use natsd_core::route::hello::Secret;
use natsd_path::ScionAddr;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::options::{PeerAddr, Remote, RouteUrl};
use crate::transport::{Connection, tcp};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Makes a connection over SCION. The second argument is where the same peer takes TCP, if it does.
pub(crate) type ScionDial = Arc<
    dyn Fn(ScionAddr, Option<(String, u16)>) -> Pin<Box<dyn Future<Output = io::Result<Connection>> + Send>>
        + Send
        + Sync,
>;

/// One address of a peer led to no connection.
#[derive(Debug, Error)]
pub(crate) enum DialError {
    /// The peer, or the network, says no.
    #[error("{address}: {source}")]
    Failed {
        /// Where to.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// As above; the text names the peer.
    #[error(transparent)]
    Scion(io::Error),
    /// Nobody answers.
    #[error("{0}: no answer within {CONNECT_TIMEOUT:?}")]
    TimedOut(String),
    /// A SCION address and no SCION.
    #[error("{0}: SCION is not switched on; add `scion {{}}` to the configuration")]
    NoScion(ScionAddr),
    /// A server heard of, with addresses that say nothing here.
    #[error("none of the addresses told by a peer is one: {0:?}")]
    NoAddress(Vec<String>),
}

/// A connection, and the user and password that belong to its address.
pub(crate) type Dialled = (Connection, Option<(String, Secret)>);

/// Connects to `place`, at the first of its addresses that answers.
///
/// # Errors
///
/// Those of all its addresses.
pub(crate) async fn connect(
    place: &Place,
    configured: &[Remote],
    scion: Option<&ScionDial>,
) -> Result<Dialled, Vec<DialError>> {
    let urls = match place {
        Place::Configured(route) => configured.get(*route).map(|remote| remote.urls.clone()).unwrap_or_default(),
        Place::Told(urls) => {
            let parsed: Vec<_> = urls.iter().filter_map(|url| parse_told(url)).collect();
            if parsed.is_empty() {
                return Err(vec![DialError::NoAddress(urls.clone())]);
            }
            parsed
        }
    };
    let tcp = urls.iter().find_map(|url| match &url.address {
        PeerAddr::Tcp { host, port } => Some((host.clone(), *port)),
        PeerAddr::Scion(_) => None,
    });
    let mut errors = Vec::new();
    for url in urls {
        let attempt = match &url.address {
            PeerAddr::Tcp { host, port } => connect_tcp(host, *port).await,
            PeerAddr::Scion(address) => connect_scion(*address, tcp.clone(), scion).await,
        };
        match attempt {
            Ok(connection) => {
                let password = Secret(url.password.unwrap_or_default());
                return Ok((connection, url.user.map(|user| (user, password))));
            }
            Err(error) => errors.push(error),
        }
    }
    Err(errors)
}

async fn connect_tcp(host: &str, port: u16) -> Result<Connection, DialError> {
    let address = || format!("{host}:{port}");
    match timeout(CONNECT_TIMEOUT, TcpStream::connect((host, port))).await {
        Ok(connected) => connected.and_then(tcp::connection),
        Err(_) => return Err(DialError::TimedOut(address())),
    }
    .map_err(|source| DialError::Failed { address: address(), source })
}

async fn connect_scion(
    address: ScionAddr,
    tcp: Option<(String, u16)>,
    scion: Option<&ScionDial>,
) -> Result<Connection, DialError> {
    let dial = scion.ok_or(DialError::NoScion(address))?;
    dial(address, tcp).await.map_err(DialError::Scion)
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

    #[tokio::test]
    async fn every_address_is_tried_and_every_failure_told() {
        let closed =
            std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound").port();
        let place =
            Place::Told(vec!["[1-ff00:0:110,10.0.0.1]:6222".into(), format!("nats-route://127.0.0.1:{closed}/")]);
        let Err(errors) = connect(&place, &[], None).await else { panic!("nobody is there") };
        let errors: Vec<_> = errors.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(errors.join("\n").replace(&closed.to_string(), "PORT"));
    }
}
