//! A server takes over other options while it runs.

use std::fmt;
use std::sync::atomic::Ordering::Relaxed;

use natsd_core::encode::write_error;
use natsd_core::error::{ClientError, CloseReason};
use thiserror::Error;

use super::scion::{IdentityError, NewIdentities};
use super::{Server, StartError};
use crate::config::changes::{Change, Fixed, changes};
use crate::config::options::Options;
use crate::gateway;
use crate::hub::Hub;
use crate::leaf::NewRemotes;
use crate::link::{Kind, Link};
use crate::logging::{self, LogError};
use crate::monitor::server::Certificates;
use crate::tls::{self, Acceptor, ClientTls, RouteTls, TlsError};

/// Why a server goes on as before.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// Something was changed that cannot be.
    #[error(transparent)]
    Fixed(#[from] Fixed),
    /// The log cannot go where it should.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A certificate is not what it should be.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A certificate to show over SCION is not what it should be.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// A file cannot be written.
    #[error(transparent)]
    Files(#[from] StartError),
}

/// What moves the log to another place.
const LOG_PLACE: [&str; 5] = ["log_file", "logfile_size_limit", "logfile_max_num", "syslog", "remote_syslog"];

/// What is told whether it changes or not.
const TLS: [&str; 6] = ["tls", "cluster.tls", "websocket.tls", "leafnodes.tls", "gateway.tls", "gateway.gateways.tls"];

impl Server {
    /// Takes over `options`, all of them or, when that is not possible, none. Connections stay, but for routes that are
    /// removed and for the youngest clients if there are more than there may be now. Limits hold for what clients send from
    /// now on; `write_deadline`, `no_fast_producer_stall`, and pings of routes hold for connections made from now on.
    ///
    /// # Errors
    ///
    /// When an option changes that cannot, or a file that is named cannot be opened.
    pub fn reload(&mut self, options: Options) -> Result<(), ReloadError> {
        let changed = changes(&self.hub.options(), &options)?;
        let touches = |keys: &[&str]| changed.iter().any(|change| keys.contains(&change.key));
        let log = if touches(&LOG_PLACE) { Some(logging::prepare(&options)?) } else { None };
        let tls = NewTls::read(&options)?;
        let remotes = options.leafnodes.as_ref().map(NewRemotes::read).transpose()?;
        let identities = NewIdentities::read(&options)?;
        if let Some(scion) = &self.scion {
            scion.reread()?;
        }
        let ports = self.ports();
        self.files.rewrite(&options, &ports)?;

        for change in changed.iter().filter(|change| !TLS.contains(&change.key)) {
            log::info!("{}", Reloaded(change));
        }
        let renews_proxies = touches(&["proxies.trusted"]);
        let tells_clients = touches(&["max_payload", "client_advertise"]);
        let renews_clients = touches(&["authorization", "accounts", "mappings"]);
        let same_callout = self.hub.options().authorization.callout == options.authorization.callout;
        let digest = options.config_digest.clone().unwrap_or_default();
        self.hub.adopt(options);
        self.adopt_tls(tls);
        let options = self.hub.options();
        logging::adopt(&options, log);
        if let Some((cluster, new)) = self.cluster.as_ref().zip(options.cluster.as_ref()) {
            cluster.reload(&self.hub, new, self.bound());
        }
        if let Some(((leafs, new), remotes)) = self.leafs.as_ref().zip(options.leafnodes.as_ref()).zip(remotes) {
            leafs.reload(new, remotes, same_callout);
        }
        if let Some((scion, identities)) = self.scion.as_ref().zip(identities.as_ref()) {
            scion.adopt(identities, &options);
        }
        if renews_proxies {
            send_away_strangers(&self.hub);
        }
        if let Some(operators) = self.hub.operators.get() {
            // All else holds already; accounts stay as they were.
            if let Err(problem) = operators.reload(&self.hub) {
                log::error!("{problem}");
            }
        } else if renews_clients {
            renew_clients(&self.hub, same_callout);
        }
        if tells_clients {
            self.hub.news.send_modify(|_| {});
        }
        if let Some(max) = options.max_connections {
            shed_clients(&self.hub, max);
        }
        log::info!("Reloaded server configuration ({digest})");
        Ok(())
    }
}

/// What new connections over TLS begin with: certificates are read again whether the file names others or not.
struct NewTls {
    clients: Option<ClientTls>,
    monitoring: Option<Acceptor>,
    websocket: Option<ClientTls>,
    routes: Option<RouteTls>,
    leafs: Option<ClientTls>,
    gateways: Option<gateway::NewTls>,
}

impl NewTls {
    fn read(options: &Options) -> Result<Self, TlsError> {
        let tls = options.tls.as_ref();
        Ok(Self {
            clients: tls.map(|tls| ClientTls::new(tls, options.allow_non_tls)).transpose()?,
            monitoring: tls.map(tls::monitoring).transpose()?,
            websocket: options
                .websocket
                .as_ref()
                .and_then(|websocket| websocket.tls.as_ref())
                .map(|tls| ClientTls::new(tls, false))
                .transpose()?,
            routes: options.cluster.as_ref().and_then(|c| c.tls.as_ref()).map(RouteTls::new).transpose()?,
            leafs: options
                .leafnodes
                .as_ref()
                .and_then(|leafs| leafs.tls.as_ref())
                .map(|tls| ClientTls::new(tls, false))
                .transpose()?,
            gateways: options.gateway.as_ref().map(gateway::NewTls::read).transpose()?,
        })
    }
}

impl Server {
    fn adopt_tls(&self, new: NewTls) {
        *self.certificates.lock() = Certificates::read(&self.hub.options());
        if let Some((now, new)) = self.tls.as_ref().zip(new.clients) {
            now.become_like(&new);
            log::info!("Reloaded: tls = enabled");
        }
        if let Some((now, new)) = self.monitor_tls.as_ref().zip(new.monitoring) {
            now.become_like(&new);
        }
        if let Some((now, new)) = self.websocket_tls.as_ref().zip(new.websocket) {
            now.become_like(&new);
            log::info!("Reloaded: websocket tls = enabled");
        }
        if let Some((now, new)) = self.cluster.as_ref().and_then(|cluster| cluster.routes.tls()).zip(new.routes) {
            now.become_like(&new);
            log::info!("Reloaded: cluster tls = enabled");
        }
        if let Some((now, new)) = self.leafs.as_ref().and_then(|leafs| leafs.tls()).zip(new.leafs) {
            now.become_like(&new);
            log::info!("Reloaded: leafnodes tls = enabled");
        }
        if let Some((gateways, new)) = self.gateways.as_ref().zip(new.gateways)
            && gateways.adopt(&new)
        {
            log::info!("Reloaded: gateway tls = enabled");
        }
    }
}

/// `Reloaded: ping_interval = 20s`.
struct Reloaded<'a>(&'a Change);

impl fmt::Display for Reloaded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reloaded: {} = {}", self.0.key, self.0.new)
    }
}

/// Sends clients away that may not connect any more, or on whom somebody is to decide anew, and lets the others be who they are now.
fn renew_clients(hub: &Hub, same_callout: bool) {
    let options = hub.options();
    for link in hub.links().into_iter().filter(|link| link.kind == Kind::Client && link.account.load().is_some()) {
        let before = link.user.load_full();
        if link.decided.load(Relaxed) {
            let stays = same_callout && before.is_some_and(|user| hub.accounts.get(user.account.as_bytes()).is_some());
            if stays {
                link.wake()
            } else {
                send_away(&link, &ClientError::Authorization)
            }
            continue;
        }
        if before.as_deref().is_some_and(|user| options.leaves_to_callout(user)) {
            send_away(&link, &ClientError::Authorization);
            continue;
        }
        match options.access(link.is_websocket()).renew(before.as_deref(), link.anonymous.load(Relaxed)) {
            Some(Some(now)) if options.needs_proxy(&now, link.is_websocket()) && link.proxy.lock().is_none() => {
                send_away(&link, &ClientError::ProxyRequired);
            }
            Some(now) => {
                if now != before {
                    *link.renewed.lock() = Some(now);
                }
                link.wake();
            }
            None => send_away(&link, &ClientError::Authorization),
        }
    }
}

/// Sends clients away that came by a proxy that is not trusted any more.
fn send_away_strangers(hub: &Hub) {
    let options = hub.options();
    let is_stranger = |link: &Link| {
        let proxy = link.proxy.lock();
        proxy.as_deref().is_some_and(|key| options.proxies.keys().iter().all(|trusted| trusted != key))
    };
    for link in hub.links().into_iter().filter(|link| is_stranger(link)) {
        send_away(&link, &ClientError::ProxyNotTrusted);
    }
}

fn send_away(link: &Link, error: &ClientError) {
    log::error!("{} - {error}", link.describe());
    link.send_now(|out| write_error(out, &error.to_string()));
    link.close(error.closes().unwrap_or(CloseReason::ServerShutdown));
}

/// Sends the youngest clients away until there are `max`.
fn shed_clients(hub: &Hub, max: usize) {
    let clients = hub.links().into_iter().filter(|link| link.kind == Kind::Client && !link.is_closing());
    for link in clients.skip(max) {
        send_away(&link, &ClientError::MaxConnections);
    }
}
