//! `leafnodes {}`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use natsd_auth::account::{GLOBAL, SYSTEM};
use natsd_auth::{Directory, Permissions};
use natsd_core::compression::{Mode, Thresholds};
use natsd_path::Accepted;

use super::{
    HandshakeFirst, HttpProxy, InvalidOptions, Listen, Options, PeerAddr, TlsOptions, WriteTimeout, scion_listeners,
};
use crate::tls::TlsError;

/// Port of a hub whose URL has none.
pub const DEFAULT_LEAF_PORT: u16 = 7422;

/// `leafnodes {}`: where leaf nodes come in, and the hubs that this server is a leaf node of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafOptions {
    /// `listen`, or `host` and `port`; without it no leaf nodes are taken.
    pub listen: Vec<Listen>,
    /// `advertise`: `host[:port]` told to leaf nodes in place of the bound address.
    pub advertise: Option<String>,
    /// `no_advertise`: leaf nodes are told nothing of the servers of the cluster.
    pub no_advertise: bool,
    /// `user`, `nkey` or `users` of `authorization {}`, in place of those of the server; who comes without any, into
    /// `account`, is its anonymous one.
    pub directory: Option<Directory>,
    /// `timeout` of `authorization {}`: how long a leaf node may take to say who it is.
    pub auth_timeout: Duration,
    /// `tls {}`.
    pub tls: Option<TlsOptions>,
    /// `min_version` of leaf nodes.
    pub min_version: Option<String>,
    /// `reconnect`: between two attempts to reach a hub, and up to as much again at random.
    pub reconnect: Duration,
    /// `dial_timeout`: how long a hub may take to answer.
    pub dial_timeout: Duration,
    /// `isolate_leafnode_interest`: leaf nodes are told nothing of each other's interest.
    pub isolate: bool,
    /// `write_deadline`, in place of that of the server.
    pub write_deadline: Option<Duration>,
    /// `write_timeout`, in place of that of the server.
    pub write_timeout: WriteTimeout,
    /// `compression` of what goes to leaf nodes.
    pub compression: Mode,
    /// `remotes`.
    pub remotes: Vec<LeafRemote>,
    /// `path_rules {}`: what is wanted of the paths of connections that are accepted here.
    pub path_rules: Option<Accepted>,
}

impl Default for LeafOptions {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            advertise: None,
            no_advertise: false,
            directory: None,
            auth_timeout: Duration::from_secs(2),
            tls: None,
            min_version: None,
            reconnect: Duration::from_secs(1),
            dial_timeout: Duration::from_secs(1),
            isolate: false,
            write_deadline: None,
            write_timeout: WriteTimeout::default(),
            compression: Mode::Auto(Thresholds::default()),
            remotes: Vec::new(),
            path_rules: None,
        }
    }
}

/// A hub, or several servers of its cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct LeafRemote {
    /// `urls`; at least one.
    pub urls: Vec<LeafUrl>,
    /// `account` here; `$G` when unset.
    pub account: Option<String>,
    /// `credentials`: file with the token and the seed of a user.
    pub credentials: Option<PathBuf>,
    /// `nkey`: seed of a user.
    pub nkey: Option<String>,
    /// `tls {}`.
    pub tls: Option<TlsOptions>,
    /// `hub`: this server is the hub, though it dials.
    pub hub: bool,
    /// `deny_imports`, as `subscribe`, and `deny_exports`, as `publish`.
    pub denied: Permissions,
    /// `no_randomize`: `urls` are tried in order.
    pub no_randomize: bool,
    /// `isolate_leafnode_interest`, for this one.
    pub isolate: bool,
    /// `request_isolation`: asks the hub for it.
    pub request_isolation: bool,
    /// `first_info_timeout`: how long the hub may take to say the first word.
    pub first_info_timeout: Duration,
    /// `dial_timeout`, in place of that of the block.
    pub dial_timeout: Option<Duration>,
    /// `compression` of what goes to the hub.
    pub compression: Mode,
    /// `disabled`: is not dialled.
    pub disabled: bool,
    /// `ignore_discovered_servers`: only `urls` are dialled.
    pub ignore_discovered: bool,
    /// `proxy {}`: leads to the hub.
    pub proxy: Option<HttpProxy>,
    /// `ws_compression`: over WebSocket, asks for compressed messages.
    pub ws_compression: bool,
    /// `ws_no_masking`: over WebSocket, asks to do without masks.
    pub no_masking: bool,
}

impl Default for LeafRemote {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            account: None,
            credentials: None,
            nkey: None,
            tls: None,
            hub: false,
            denied: Permissions::default(),
            no_randomize: false,
            isolate: false,
            request_isolation: false,
            first_info_timeout: Duration::from_secs(1),
            dial_timeout: None,
            compression: Mode::Auto(Thresholds::default()),
            disabled: false,
            ignore_discovered: false,
            proxy: None,
            ws_compression: false,
            no_masking: false,
        }
    }
}

/// Its URLs and its account, without secrets.
impl fmt::Display for LeafRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (at, url) in self.urls.iter().enumerate() {
            write!(f, "{}{url}", if at > 0 { ", " } else { "" })?;
        }
        write!(f, "] for account {:?}", self.account_name())
    }
}

impl fmt::Debug for LeafRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl LeafRemote {
    /// The account here.
    pub fn account_name(&self) -> &str {
        self.account.as_deref().unwrap_or(GLOBAL)
    }

    /// All that is not shown, to be compared.
    pub(crate) fn secrets(&self) -> String {
        let Self {
            urls,
            account: _,
            credentials,
            nkey,
            tls,
            hub,
            denied,
            no_randomize,
            isolate,
            request_isolation,
            first_info_timeout,
            dial_timeout,
            compression,
            disabled,
            ignore_discovered,
            proxy,
            ws_compression,
            no_masking,
        } = self;
        let users: Vec<_> = urls.iter().map(|url| (&url.user, &url.password)).collect();
        let flags =
            (hub, no_randomize, isolate, request_isolation, disabled, ignore_discovered, ws_compression, no_masking);
        let login = proxy.as_ref().and_then(|proxy| proxy.login.as_ref()).map(|(user, password)| (user, &password.0));
        let way = (first_info_timeout, dial_timeout, compression, proxy, login);
        format!("{:?}", (users, credentials, nkey, tls, denied, flags, way))
    }

    /// What this side may send and ask for, apart from what the hub says of it.
    pub(crate) fn rules(&self) -> Option<Permissions> {
        (self.denied != Permissions::default()).then(|| self.denied.clone())
    }

    /// Whether the handshake of TLS comes before the hub's first word.
    pub(crate) fn begins_with_handshake(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.handshake_first != HandshakeFirst::Never)
    }
}

/// One address of a hub. Prints without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct LeafUrl {
    /// User of the URL, if any.
    pub user: Option<String>,
    /// Password of the URL, if any.
    pub password: Option<String>,
    /// `tls://` or `wss://`.
    pub tls: bool,
    /// `ws://` or `wss://`.
    pub websocket: bool,
    /// Where to dial.
    pub address: PeerAddr,
}

impl fmt::Display for LeafUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match (self.websocket, self.tls) {
            (false, false) => "nats-leaf",
            (false, true) => "tls",
            (true, false) => "ws",
            (true, true) => "wss",
        };
        write!(f, "{scheme}://{}", self.address)
    }
}

impl fmt::Debug for LeafUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl LeafOptions {
    /// Checks it against the accounts that there are.
    pub(super) fn check(&self, all: &Options) -> Result<(), InvalidOptions> {
        if all.has_operators() {
            if self.directory.as_ref().is_some_and(Directory::is_list) {
                return Err(InvalidOptions::LeafUsersWithOperator);
            }
            let is_key = |name: &str| name.len() == 56 && name.starts_with('A');
            return match self.remotes.iter().map(LeafRemote::account_name).find(|name| !is_key(name)) {
                Some(name) => Err(InvalidOptions::LeafAccountKey(name.to_owned())),
                None => Ok(()),
            };
        }
        let known = |name: &str| {
            name == GLOBAL
                || all.accounts.iter().any(|account| account.name == name)
                || name == SYSTEM && all.system_account.as_deref() == Some(SYSTEM)
        };
        let users = self.directory.iter().flat_map(Directory::accounts);
        let mut named = users
            .map(|account| ("authorization", account.to_owned()))
            .chain(self.remotes.iter().map(|remote| ("remotes", remote.account_name().to_owned())));
        match named.find(|(_, account)| !known(account)) {
            Some((place, account)) => Err(InvalidOptions::LeafAccount { place, account }),
            None => Ok(()),
        }
    }

    /// Whether TLS can be spoken as configured.
    pub(super) fn check_tls(&self) -> Result<(), TlsError> {
        self.tls.iter().try_for_each(crate::tls::check_server)?;
        let of_proxy = |remote: &LeafRemote| remote.proxy.as_ref().and_then(|proxy| proxy.tls.clone());
        self.remotes.iter().filter_map(of_proxy).try_for_each(|tls| crate::tls::check_web(&tls))?;
        self.remotes.iter().filter_map(|remote| remote.tls.as_ref()).try_for_each(crate::tls::check_web)
    }

    /// Where leaf nodes come in, or hubs are, over SCION.
    pub(super) fn scion_addresses(&self) -> impl Iterator<Item = natsd_path::ScionAddr> + '_ {
        let dialled = self.remotes.iter().flat_map(|remote| &remote.urls).filter_map(|url| match url.address {
            PeerAddr::Scion(address) => Some(address),
            PeerAddr::Tcp { .. } | PeerAddr::Udp(_) => None,
        });
        scion_listeners(&self.listen).chain(dialled)
    }
}
