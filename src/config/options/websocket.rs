//! `websocket {}`, and who may come in where.

use std::sync::Arc;
use std::time::Duration;

use natsd_auth::{Certificate, ConnectionType, Directory, User, Verdict};
use natsd_core::connect::Credentials;
use natsd_core::websocket::origin::Origin;
use natsd_core::websocket::upgrade::{CookieNames, Rules};

use super::{InvalidOptions, Options, TlsOptions};

/// How long a client may take for TLS and its request unless told otherwise.
pub const DEFAULT_UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// `websocket {}`: a listener for clients that speak WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebsocketOptions {
    /// `host` or `listen`.
    pub host: String,
    /// `port` or `listen`; 0 takes a free one (written -1 in files).
    pub port: u16,
    /// `advertise`: `host[:port]`.
    pub advertise: Option<String>,
    /// `no_tls`: clients may do without where there is no `tls`.
    pub no_tls: bool,
    /// `tls {}`.
    pub tls: Option<TlsOptions>,
    /// `same_origin`: web pages have to come from the host that they connect to.
    pub same_origin: bool,
    /// `allowed_origins` of web pages, as written and as understood; any when empty.
    pub allowed_origins: Vec<(String, Origin)>,
    /// `handshake_timeout`, of TLS and the request together.
    pub handshake_timeout: Option<Duration>,
    /// `compression`: agrees to compress messages.
    pub compression: bool,
    /// `user`, `password` or `token` of `authorization {}`, in place of those of the server.
    pub directory: Option<Directory>,
    /// `timeout` of `authorization {}`, in place of that of the server.
    pub auth_timeout: Option<Duration>,
    /// `no_auth_user`, of the users of the server.
    pub no_auth_user: Option<String>,
    /// `jwt_cookie`, `user_cookie`, `pass_cookie`, `token_cookie`.
    pub cookies: CookieNames,
    /// `headers` of the answer to a request.
    pub headers: Vec<(String, String)>,
    /// `ping_interval`, in place of that of the server.
    pub ping_interval: Option<Duration>,
}

impl Default for WebsocketOptions {
    fn default() -> Self {
        Self {
            host: "0.0.0.0".into(),
            port: 0,
            advertise: None,
            no_tls: false,
            tls: None,
            same_origin: false,
            allowed_origins: Vec::new(),
            handshake_timeout: None,
            compression: false,
            directory: None,
            auth_timeout: None,
            no_auth_user: None,
            cookies: CookieNames::default(),
            headers: Vec::new(),
            ping_interval: None,
        }
    }
}

impl WebsocketOptions {
    /// What requests are granted, those of leaf nodes if such are taken.
    pub(crate) fn rules(&self, leafnodes: bool) -> Rules {
        Rules {
            leafnodes,
            tls: self.tls.is_some(),
            compression: self.compression,
            same_origin: self.same_origin,
            allowed_origins: self.allowed_origins.iter().map(|(_, origin)| origin.clone()).collect(),
            headers: self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect(),
            cookies: self.cookies.clone(),
        }
    }

    /// Checks it against what all clients are asked.
    pub(super) fn check(&self, all: &Options) -> Result<(), InvalidOptions> {
        let users = &all.authorization.directory;
        if let Some(tls) = &self.tls {
            crate::tls::check_server(tls).map_err(|problem| InvalidOptions::Tls { block: "websocket.tls", problem })?;
        } else if !self.no_tls {
            return Err(InvalidOptions::WebsocketWithoutTls);
        }
        if self.directory.is_some() && users.is_list() {
            return Err(InvalidOptions::WebsocketUserAndUsers);
        }
        if !self.cookies.jwt.is_empty() && !all.has_operators() {
            return Err(InvalidOptions::WebsocketCookieWithoutOperator);
        }
        match &self.no_auth_user {
            Some(name) if users.listed(name).is_none() => Err(InvalidOptions::WebsocketUnknownAnonymous(name.clone())),
            _ => Ok(()),
        }
    }
}

/// Who may come in by one of the ways.
pub(crate) struct Access<'a> {
    /// Who there is.
    pub(crate) directory: &'a Directory,
    /// Who comes without credentials.
    pub(crate) anonymous: Option<&'a Arc<User>>,
    /// How long a client may take to say who it is.
    pub(crate) timeout: Duration,
    /// Whether clients are told that they have to.
    pub(crate) is_required: bool,
    way: ConnectionType,
}

impl Options {
    /// Who may come in over WebSocket, or otherwise.
    pub(crate) fn access(&self, websocket: bool) -> Access<'_> {
        let shared = &self.authorization;
        let mut access = Access {
            directory: &shared.directory,
            anonymous: shared.directory.anonymous(),
            timeout: shared.timeout,
            is_required: shared.is_required(),
            way: ConnectionType::Standard,
        };
        if let Some(own) = self.websocket.as_ref().filter(|_| websocket) {
            access.way = ConnectionType::Websocket;
            access.timeout = own.auth_timeout.unwrap_or(shared.timeout);
            if let Some(directory) = &own.directory {
                (access.directory, access.anonymous, access.is_required) = (directory, None, true);
            }
            if let Some(name) = &own.no_auth_user {
                (access.anonymous, access.is_required) = (shared.directory.listed(name), true);
            }
        }
        access
    }

    /// Whether a client, over WebSocket or not, can only be `user` by way of a trusted proxy.
    pub(crate) fn needs_proxy(&self, user: &User, websocket: bool) -> bool {
        user.proxy_required || (self.authorization.proxy_required && !self.access(websocket).directory.is_list())
    }

    /// Whether clients over WebSocket use TLS.
    pub(crate) fn websocket_has_tls(&self) -> bool {
        self.websocket.as_ref().is_some_and(|websocket| websocket.tls.is_some())
    }

    /// Time between two pings to a client over WebSocket, or another one.
    pub(crate) fn ping_interval_of(&self, websocket: bool) -> Duration {
        let own = self.websocket.as_ref().filter(|_| websocket).and_then(|websocket| websocket.ping_interval);
        own.unwrap_or(self.ping_interval)
    }
}

impl Access<'_> {
    /// Who one is now who came in as `before` by other options; without a user if everybody may connect. `None`: one may not
    /// stay. Whoever came without credentials is who comes without credentials now.
    pub(crate) fn renew(&self, before: Option<&User>, came_empty: bool) -> Option<Option<Arc<User>>> {
        if self.is_open() {
            return Some(None);
        }
        if came_empty {
            return self.anonymous.cloned().map(Some);
        }
        self.directory.renew(before?).map(Some)
    }

    /// Whether everybody may come in.
    pub(crate) fn is_open(&self) -> bool {
        self.directory.is_open()
    }

    /// Judges what a `CONNECT` says, on a connection that was given `nonce`.
    pub(crate) fn judge(&self, given: &Credentials, nonce: &str, certificate: Certificate<'_>) -> Verdict {
        match self.anonymous {
            Some(user) if *given == Credentials::default() && user.may_come_by(self.way) => {
                Verdict::Admitted(user.clone())
            }
            _ => self.directory.judge(given, self.way, nonce, certificate),
        }
    }
}
