//! What an operator changes while the cluster runs.

use std::time::Duration;

use super::dial::{Place, Policy};
use super::{ClientUrls, Cluster, Event, GossipMode, LinkId, MAX_POOL};
use crate::route::CloseReason;
use crate::route::dedicated::Dedicated;
use crate::route::hello::{RouteClass, SubjectRules};

/// What can change of a server's part in its cluster; see [`Config`](super::Config).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// URL at which peers reach this server, if it is not the one they see; may be empty.
    pub ip: String,
    /// Where clients reach this server.
    pub client_urls: ClientUrls,
    /// Whether peers need user and password.
    pub auth_required: bool,
    /// What of our interest peers hear of.
    pub import: Option<SubjectRules>,
    /// What of the peers' interest we heed.
    pub export: Option<SubjectRules>,
    /// Largest message that this server takes, bytes.
    pub max_payload: i64,
    /// Whether clients hear of other servers.
    pub advertise: bool,
    /// Attempts beyond the first to reach a server heard of from peers.
    pub connect_retries: u32,
    /// Whether attempts become rarer, up to one in 30 s.
    pub connect_backoff: bool,
    /// What we want compressed, as `INFO` calls it.
    pub compression: &'static str,
}

impl Cluster {
    /// There is another configured route: [`Place::Configured`] of `route`, a number that was never used before.
    /// A passive server has none.
    pub fn add_route(&mut self, route: usize, now: Duration) {
        if self.passive {
            return;
        }
        let target = self.dialing.add(Place::Configured(route), GossipMode::Default, None);
        self.reconcile(target, now, Duration::ZERO);
    }

    /// A configured route is none any more: connections that it led to end, and it is not dialled again. The peer may still
    /// come to us, or be dialled because others tell of it.
    pub fn remove_route(&mut self, route: usize, now: Duration) {
        let place = Place::Configured(route);
        let found = self.dialing.targets.iter().find(|(_, target)| target.place == place);
        let Some(target) = found.map(|(&id, _)| id) else { return };
        let pending = self.pending.iter().filter(|(_, pending)| self.dialing.leads_to(pending.dial, target));
        let unfinished: Vec<LinkId> = pending.map(|(&link, _)| link).collect();
        let links = self.peers.values().flat_map(|peer| peer.links.values());
        let open: Vec<LinkId> = links.filter(|link| link.target == Some(target)).map(|link| link.id).collect();
        self.dialing.forget(target);
        for link in unfinished.into_iter().chain(open) {
            self.events.push_back(Event::Close(link, CloseReason::RouteRemoved, None));
            self.handle_closed(link, now);
        }
    }

    /// From now on accounts and subjects are shared out otherwise: all connections end, and are made anew as that takes.
    pub fn set_pool(&mut self, pool_size: Option<u16>, dedicated: Dedicated, classes: Vec<RouteClass>, now: Duration) {
        self.pool_size = pool_size.map(|size| size.clamp(1, MAX_POOL));
        self.info.route_pool_size = self.pool_size.unwrap_or(0);
        self.info.route_accounts = dedicated.told();
        self.info.route_classes = classes;
        self.dedicated = dedicated;
        let open = self.peers.values().flat_map(|peer| peer.links.values()).map(|link| link.id);
        let links: Vec<LinkId> = open.chain(self.pending.keys().copied()).collect();
        for link in links {
            self.events.push_back(Event::Close(link, CloseReason::PoolChanged, None));
            self.handle_closed(link, now);
        }
    }

    /// From now on `terms` hold. Peers are told if they concern them.
    pub fn set_terms(&mut self, terms: Terms) {
        let Terms { ip, client_urls, max_payload, advertise, connect_retries, connect_backoff, .. } = terms;
        self.dialing.policy = Policy { connect_retries, backoff: connect_backoff };
        if std::mem::replace(&mut self.advertise, advertise) != advertise {
            self.events.push_back(Event::UrlsChanged);
        }
        let mut info = self.info.clone();
        let client_urls = if advertise && !info.lame_duck { client_urls } else { ClientUrls::default() };
        (info.connect_urls, info.ws_connect_urls) = (client_urls.plain, client_urls.websocket);
        (info.ip, info.max_payload, info.auth_required) = (ip, max_payload, terms.auth_required);
        let same_rules = (&info.import, &info.export) == (&terms.import, &terms.export);
        (info.import, info.export) = (terms.import, terms.export);
        terms.compression.clone_into(&mut info.compression);
        if !same_rules {
            self.info = info;
            // Peers tell us of interest anew on the connection where they hear of it.
            self.tell_on_all_links();
        } else if info != self.info {
            self.info = info;
            self.tell_peers();
        }
    }
}
