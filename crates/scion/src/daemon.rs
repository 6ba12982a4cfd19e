//! The SCION daemon: who am I, which paths are there. The only place that knows its RPCs.
//!
//! The daemon has no push: its answers are polled. `NotifyInterfaceDown` is not used on purpose, it would hide paths
//! from every program on the daemon.

use std::future::Future;
use std::time::Duration;

use connectrpc::Protocol;
use connectrpc::client::{CallOptions, ClientConfig, Http2Connection, SharedHttp2Connection};
use natsd_path::IsdAs;
use scion_protobuf::buffa_types::google::protobuf::Empty;
use scion_protobuf::proto::daemon::v1::{ASRequest, DaemonServiceClient, PathsRequest};

use crate::error::DaemonError;
use crate::metadata::PathInfo;
use crate::source::{Boxed, LocalAs, MAX_PATHS, PathSource};

/// A cold lookup takes about a second; several network round trips more mean that no answer will come.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the daemon that connects when needed and again after a loss.
pub(crate) struct Daemon {
    address: String,
    client: DaemonServiceClient<SharedHttp2Connection>,
}

impl Daemon {
    /// `address` is `host:port`. Connects with the first call.
    pub(crate) fn new(address: &str) -> Result<Self, DaemonError> {
        let bad = |reason: String| DaemonError::Address { address: address.to_owned(), reason };
        let connection =
            Http2Connection::lazy_plaintext(format!("http://{address}").parse().map_err(|e| bad(format!("{e}")))?);
        let config = ClientConfig::new(format!("http://{address}").parse().map_err(|e| bad(format!("{e}")))?);
        let config = config.with_protocol(Protocol::Grpc).with_default_timeout(TIMEOUT);
        Ok(Self { address: address.to_owned(), client: DaemonServiceClient::new(connection.shared(64), config) })
    }

    fn failed(&self, method: &'static str, reason: impl std::fmt::Display) -> DaemonError {
        DaemonError::Call { address: self.address.clone(), method, reason: reason.to_string() }
    }

    /// The client's own deadline does not cover a connection attempt that hangs.
    async fn bounded<T>(
        &self,
        method: &'static str,
        call: impl Future<Output = Result<T, connectrpc::ConnectError>>,
    ) -> Result<T, DaemonError> {
        match tokio::time::timeout(TIMEOUT, call).await {
            Ok(answer) => answer.map_err(|e| self.failed(method, e)),
            Err(_) => Err(self.failed(method, format!("nothing came within {} s", TIMEOUT.as_secs()))),
        }
    }
}

impl PathSource for Daemon {
    fn name(&self) -> String {
        self.address.clone()
    }

    fn title(&self) -> String {
        format!("the SCION daemon at {}", self.address)
    }

    fn local_as(&self) -> Boxed<'_, Result<LocalAs, DaemonError>> {
        Box::pin(async move {
            let answer = self.bounded("AS", self.client.r#as(ASRequest::default())).await?;
            let about = answer.into_owned();
            // Daemons before v0.12 do not have this RPC.
            let ports =
                self.bounded("PortRange", self.client.port_range(Empty::default())).await.ok().and_then(|range| {
                    let range = range.into_owned();
                    let port = |n: u32| u16::try_from(n).ok().filter(|&n| n > 0);
                    Some((port(range.dispatched_port_start)?, port(range.dispatched_port_end)?))
                });
            let mtu = u16::try_from(about.mtu).unwrap_or(u16::MAX);
            Ok(LocalAs { isd_as: IsdAs(about.isd_as), mtu, ports })
        })
    }

    fn paths(&self, from: IsdAs, to: IsdAs, refresh: bool) -> Boxed<'_, Result<Vec<PathInfo>, DaemonError>> {
        let request = PathsRequest { source_isd_as: from.0, destination_isd_as: to.0, refresh, ..Default::default() };
        let options = CallOptions::default().with_max_message_size(4 << 20);
        Box::pin(async move {
            let answer = self.bounded("Paths", self.client.paths_with_options(request, options)).await?.into_owned();
            Ok(answer.paths.into_iter().take(MAX_PATHS).filter_map(PathInfo::from_daemon).collect())
        })
    }
}

/// Where it is if nobody says anything else.
pub(crate) const USUAL: &str = "127.0.0.1:30255";

/// The daemon's address, in the order of SCION's own tools: configuration, environment; `None` for the usual one.
pub(crate) fn address(configured: Option<String>, env: impl Fn(&str) -> Option<String>) -> Option<String> {
    configured.or_else(|| env("SCION_DAEMON")).or_else(|| env("SCION_DAEMON_ADDRESS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_goes_before_environment() {
        let both = |name: &str| match name {
            "SCION_DAEMON" => Some("a:1".to_owned()),
            "SCION_DAEMON_ADDRESS" => Some("b:2".to_owned()),
            _ => None,
        };
        let second = |name: &str| both(name).filter(|_| name == "SCION_DAEMON_ADDRESS");
        assert_eq!(address(Some("c:3".into()), both).as_deref(), Some("c:3"));
        assert_eq!(address(None, both).as_deref(), Some("a:1"));
        assert_eq!(address(None, second).as_deref(), Some("b:2"));
        assert_eq!(address(None, |_| None), None);
    }

    #[tokio::test]
    async fn a_missing_daemon_is_an_error_that_names_it() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bind").local_addr().expect("address");
        let daemon = Daemon::new(&free.to_string()).expect("an address");
        let error = daemon.local_as().await.expect_err("nobody listens").to_string();
        assert!(error.starts_with(&format!("the SCION daemon at {free} did not answer AS: ")), "{error}");
    }

    #[test]
    fn a_daemon_address_must_be_host_and_port() {
        assert!(Daemon::new("not an address").is_err());
    }
}
