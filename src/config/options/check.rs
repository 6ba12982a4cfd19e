//! Options that do not go together.

use std::time::Duration;

use natsd_path::ScionAddr;

use super::{CalloutError, Options};
use crate::tls::TlsError;

/// Options that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// A message could never be delivered.
    #[error("max_payload ({payload}) cannot be higher than max_pending ({pending}); lower the one or raise the other")]
    PayloadAbovePending {
        /// `max_payload`, bytes.
        payload: usize,
        /// `max_pending`, bytes.
        pending: usize,
    },
    /// No time would be left to send clients away.
    #[error(
        "lame_duck_grace_period ({grace:?}) must be less than lame_duck_duration ({duration:?}); lower the one or raise \
         the other"
    )]
    GraceNotBelowDuration {
        /// `lame_duck_grace_period`.
        grace: Duration,
        /// `lame_duck_duration`.
        duration: Duration,
    },
    /// A SCION address while SCION is off.
    #[error("{0} is a SCION address, but SCION is off; start with --scion, or add a scion {{}} block to the file")]
    ScionOff(ScionAddr),
    /// A peer that the rules for paths exclude.
    #[error("scion: no path to {address} could be used: {why}; change the rule, or remove the address")]
    NoPathAllowed {
        /// The peer.
        address: ScionAddr,
        /// The rule, and what it says.
        why: String,
    },
    /// Paths by what nobody has told.
    #[error("{asked} asks what paths cost, and no table tells; add {table} {{}} to scion {{}}, or remove it")]
    NoPrices {
        /// The key, and what it says.
        asked: String,
        /// `costs` or `carbon`.
        table: &'static str,
    },
    /// Nobody comes over SCION.
    #[error("{0}: nobody is accepted over SCION there; add a SCION address to its listen, or remove the rules")]
    PathRulesWithoutListener(&'static str),
    /// Subjects cannot have routes of their own.
    #[error("paths of scion {{}} needs a pool of routes; remove it, or {0} of cluster {{}}")]
    ClassesWithoutPool(&'static str),
    /// Files of TLS that are missing or are not what they should be.
    #[error("{block}: {problem}")]
    Tls {
        /// Which block: `tls`, `cluster.tls` or `resolver_tls`.
        block: &'static str,
        /// What is wrong.
        problem: TlsError,
    },
    /// Monitoring with TLS and without.
    #[error("monitoring is either over http or over https; remove one of http and https")]
    HttpAndHttps,
    /// Monitoring over TLS without a certificate.
    #[error("https needs a certificate; add tls {{ cert_file: …, key_file: … }}, or use http")]
    HttpsWithoutTls,
    /// WebSocket in the clear, not asked for.
    #[error("websocket requires TLS configuration; add tls {{}} to it, or no_tls: true")]
    WebsocketWithoutTls,
    /// Two answers to who may come in over WebSocket.
    #[error(
        "a user or token of websocket.authorization cannot be beside the users of authorization; move it into the list"
    )]
    WebsocketUserAndUsers,
    /// `websocket.no_auth_user` is nobody.
    #[error("websocket.no_auth_user: there is no user {0:?} in the users of authorization; add it, or remove the key")]
    WebsocketUnknownAnonymous(String),
    /// Tokens that nobody could vouch for.
    #[error(
        "websocket.jwt_cookie: a JWT needs an operator that vouches for its account; add operator, or remove the key"
    )]
    WebsocketCookieWithoutOperator,
    /// `auth_callout` names what is not there.
    #[error(transparent)]
    Callout(#[from] CalloutError),
    /// Everybody would be a member whom any authority of the system vouches for.
    #[error("cluster.tls: {0} is for those alone whom an authority of the cluster vouches for; add ca_file")]
    ScionWithoutAuthority(String),
    /// A peer over SCION that nobody vouches for.
    #[error("cluster.tls: insecure is not for {0}: peers over SCION and UDP have to prove who they are; remove it")]
    InsecureOverScion(String),
    /// Addresses, and nobody to talk to.
    #[error("multihome: it is for routes, and there is no cluster {{}}; add one, or remove multihome")]
    MultihomeWithoutCluster,
    /// Somebody to dial, and nobody who dials.
    #[error("cluster.passive: a passive server dials nobody, so it has no routes; remove routes, or passive")]
    PassiveWithRoutes,
    /// Nobody would ever be a peer.
    #[error("cluster.passive: a passive server waits for others to dial it; add listen, or remove passive")]
    PassiveWithoutListener,
    /// Connections that there are not.
    #[error("cluster.accounts: with route_type: dag all accounts share one connection; remove accounts, or route_type")]
    DagWithAccounts,
    /// What passes between clusters goes one hop within each.
    #[error("gateway: servers with route_type: dag in cluster {{}} have no gateways; remove gateway, or route_type")]
    DagWithGateway,
    /// Two answers to who vouches for peers.
    #[error("cluster.authority: cluster.tls says already who vouches for peers; remove one of them")]
    AuthorityBesideTls,
    /// One cluster by two names.
    #[error("gateway.name is {gateway:?}, and cluster.name {cluster:?}: a cluster has one name; make them the same")]
    GatewayName {
        /// `gateway.name`.
        gateway: String,
        /// `cluster.name`.
        cluster: String,
    },
    /// The servers of all clusters and leaf nodes share their account.
    #[error(
        "gateway and leafnodes together need an account of the servers; add one to accounts and name it in system_account"
    )]
    GatewayWithLeafnodes,
    /// A leaf node without an account.
    #[error("leafnodes.{place}: there is no account {account:?}; add it to accounts, or name another one")]
    LeafAccount {
        /// `authorization` or `remotes`.
        place: &'static str,
        /// The name.
        account: String,
    },
    /// Users beside tokens.
    #[error("leafnodes.authorization: with an operator, users come with tokens; remove its users")]
    LeafUsersWithOperator,
    /// With an operator accounts are called by their keys.
    #[error(
        "leafnodes.remotes: {0:?} is not the public key of an account, which an operator's accounts are named by; write account: A…"
    )]
    LeafAccountKey(String),
}

impl Options {
    /// Checks what no single key or flag can.
    pub fn check(&self) -> Result<(), InvalidOptions> {
        if self.max_payload > self.max_pending {
            return Err(InvalidOptions::PayloadAbovePending { payload: self.max_payload, pending: self.max_pending });
        }
        let (grace, duration) = (self.lame_duck_grace_period, self.lame_duck_duration);
        if grace >= duration {
            return Err(InvalidOptions::GraceNotBelowDuration { grace, duration });
        }
        match self.cluster.as_ref().filter(|cluster| cluster.is_dag()) {
            Some(_) if self.gateway.is_some() => return Err(InvalidOptions::DagWithGateway),
            Some(cluster) if !cluster.accounts.is_empty() => return Err(InvalidOptions::DagWithAccounts),
            _ => {}
        }
        if let Some(cluster) = self.cluster.as_ref().filter(|cluster| cluster.passive) {
            if !cluster.routes.is_empty() {
                return Err(InvalidOptions::PassiveWithRoutes);
            }
            if cluster.listen.is_empty() {
                return Err(InvalidOptions::PassiveWithoutListener);
            }
        }
        self.check_tls()?;
        if let Some(callout) = &self.authorization.callout {
            callout.check(self)?;
        }
        if let Some(websocket) = &self.websocket {
            websocket.check(self)?;
        }
        if let Some(leafnodes) = &self.leafnodes {
            leafnodes.check(self)?;
        }
        if let Some(gateway) = &self.gateway {
            gateway.check(self)?;
        }
        if self.multihome.is_some() && self.cluster.is_none() {
            return Err(InvalidOptions::MultihomeWithoutCluster);
        }
        self.check_path_rules()?;
        self.check_prices()?;
        self.check_paths()
    }

    fn check_paths(&self) -> Result<(), InvalidOptions> {
        if let (Some(scion), Some(cluster)) = (&self.scion, &self.cluster)
            && !scion.wishes.subjects.is_empty()
        {
            if cluster.is_dag() {
                return Err(InvalidOptions::ClassesWithoutPool("route_type: dag"));
            }
            if cluster.pool().is_none() {
                return Err(InvalidOptions::ClassesWithoutPool("pool_size: -1"));
            }
        }
        for address in self.scion_addresses() {
            let scion = self.scion.as_ref().ok_or(InvalidOptions::ScionOff(address))?;
            if let Some(why) = scion.wishes.contradiction(address.isd_as) {
                return Err(InvalidOptions::NoPathAllowed { address, why });
            }
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), InvalidOptions> {
        if let Some(tls) = self.operator.as_ref().and_then(|operator| operator.resolver_tls.as_ref()) {
            crate::tls::check_web(tls).map_err(|problem| InvalidOptions::Tls { block: "resolver_tls", problem })?;
        }
        if let Some(tls) = &self.tls {
            crate::tls::check_server(tls).map_err(|problem| InvalidOptions::Tls { block: "tls", problem })?;
        }
        if self.http.is_some() && self.https.is_some() {
            return Err(InvalidOptions::HttpAndHttps);
        }
        if self.tls.is_none() && self.https.is_some() {
            return Err(InvalidOptions::HttpsWithoutTls);
        }
        if let Some(leafnodes) = &self.leafnodes {
            leafnodes.check_tls().map_err(|problem| InvalidOptions::Tls { block: "leafnodes.tls", problem })?;
        }
        if let Some(gateway) = &self.gateway {
            gateway.check_tls().map_err(|problem| InvalidOptions::Tls { block: "gateway.tls", problem })?;
        }
        let Some((cluster, tls)) = self.cluster.as_ref().and_then(|c| Some((c, c.tls.as_ref()?))) else {
            return Ok(());
        };
        crate::tls::check_routes(tls).map_err(|problem| InvalidOptions::Tls { block: "cluster.tls", problem })?;
        if cluster.authority.is_some() {
            return Err(InvalidOptions::AuthorityBesideTls);
        }
        let scion = cluster.scion_addresses().next().map(|address| address.to_string());
        match scion.or_else(|| cluster.udp_addresses().next().map(|address| format!("udp://{address}"))) {
            Some(address) if tls.insecure => Err(InvalidOptions::InsecureOverScion(address)),
            Some(address) if tls.ca_file.is_none() => Err(InvalidOptions::ScionWithoutAuthority(address)),
            _ => Ok(()),
        }
    }
}
