//! `proxy {}` of a remote of `leafnodes {}`.

use std::fmt;
use std::time::Duration;

use natsd_core::route::hello::Secret;

use super::{HostPort, TlsOptions};

/// A proxy that leads to a hub, by `CONNECT` of HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpProxy {
    /// `url` begins with `https://`.
    pub https: bool,
    /// Where it is.
    pub host: String,
    /// Where it is.
    pub port: u16,
    /// `username` and `password`.
    pub login: Option<(String, Secret)>,
    /// `timeout`: how long the proxy may take, in place of `dial_timeout`.
    pub timeout: Option<Duration>,
    /// `tls {}` with the proxy itself.
    pub tls: Option<TlsOptions>,
}

/// Without secrets.
impl fmt::Display for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.https { "https" } else { "http" }, HostPort(&self.host, self.port))
    }
}
