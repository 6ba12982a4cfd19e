//! What monitoring asks of a server.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use natsd_api::{AccountInfo, AccountStat, GatewayStat, Gatewayz, LeafInfo, Pathz, SubjectPermissions, Varz};
use natsd_core::compression::Status;
use natsd_path::IsdAs;

use super::params::Subs;
use crate::journal::Journal;
use crate::tls::Facts;

/// A server that can be looked into. All methods answer at once and from memory; none may wait for the network.
pub trait Inspect: Send + Sync + 'static {
    /// The server's id, a public nkey.
    fn server_id(&self) -> String;

    /// The server's name.
    fn server_name(&self) -> String;

    /// What `/varz` says, but for the time, the process, and the counts of HTTP requests, which monitoring adds.
    fn varz(&self) -> Varz;

    /// Clients that are connected, in any order.
    fn open_clients(&self) -> Vec<Client>;

    /// Clients that were connected lately, at most `max_closed_clients`.
    fn closed_clients(&self) -> Vec<Client>;

    /// Subscriptions of a client or route by its id; the last ones, if it is closed. Empty when there is no such.
    fn subscriptions_of(&self, cid: u64) -> Vec<Subscription>;

    /// Connections to other servers, in any order.
    fn routes(&self) -> Vec<Route>;

    /// Connections to leaf nodes and hubs, in any order, with what they want if `subjects` are asked for.
    fn leafs(&self, _subjects: bool) -> Vec<LeafInfo> {
        Vec::new()
    }

    /// Connections to other clusters.
    fn gatewayz(&self, _wanted: &GatewayQuery) -> Gatewayz {
        Gatewayz { outbound_gateways: Some(BTreeMap::new()), ..Gatewayz::default() }
    }

    /// What passed between this server and other clusters.
    fn gateway_stats(&self) -> Vec<GatewayStat> {
        Vec::new()
    }

    /// What this server takes of and gives to other servers.
    fn route_permissions(&self) -> RoutePermissions;

    /// Subscriptions of all clients, in any order.
    fn subscriptions(&self) -> Vec<Subscription>;

    /// Counters of the subscriptions in an account, or, with an empty name, in all.
    fn subscription_counts(&self, account: &str) -> SubscriptionCounts;

    /// Name of the account of the servers themselves; empty without one.
    fn system_account(&self) -> String;

    /// Names of the accounts, in any order.
    fn accounts(&self) -> Vec<String>;

    /// All that is known of the account of this name; `None` when there is no such.
    fn account(&self, name: &str) -> Option<AccountInfo>;

    /// What passes in each account, in any order.
    fn account_stats(&self) -> Vec<AccountStat>;

    /// Whether the server serves.
    ///
    /// # Errors
    /// Why it does not, in words.
    fn health(&self) -> Result<(), String>;

    /// What happened lately.
    fn journal(&self) -> Arc<Journal>;

    /// The SCION paths, with what became of them since `history` if that is wanted; `None` without SCION.
    fn paths(&self, history: Option<SystemTime>) -> Option<Pathz>;
}

/// What is asked of other clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayQuery {
    /// Name of a cluster, or empty for all.
    pub name: String,
    /// Accounts are wanted.
    pub accounts: bool,
    /// Name of an account, or empty for all.
    pub account: String,
    /// How much of what is wanted there.
    pub(super) subs: Subs,
}

/// A connection's far end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Address of the host.
    pub ip: IpAddr,
    /// Port: TCP, or UDP for SCION.
    pub port: u16,
    /// Its AS, if it came over SCION.
    pub isd_as: Option<IsdAs>,
}

/// What passed over a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Messages received.
    pub in_msgs: u64,
    /// Bytes of payload received.
    pub in_bytes: u64,
    /// Messages sent.
    pub out_msgs: u64,
    /// Bytes of payload sent.
    pub out_bytes: u64,
    /// Bytes that wait to be sent.
    pub pending: u64,
}

/// How and when a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// When.
    pub at: SystemTime,
    /// Why, in nats-server's words.
    pub reason: String,
}

/// The token of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    /// As the client showed it; empty if it is all that it takes to come.
    pub jwt: String,
    /// The account's key that signed it.
    pub issuer: String,
    /// What the account is called.
    pub account_name: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A client.
#[derive(Clone, Debug)]
pub struct Client {
    /// Unique in the life of the server.
    pub cid: u64,
    /// The other end.
    pub peer: Peer,
    /// It speaks WebSocket.
    pub websocket: bool,
    /// When it connected.
    pub start: SystemTime,
    /// When it last did something.
    pub last_activity: SystemTime,
    /// Set when it is not connected any more.
    pub closed: Option<Closed>,
    /// Round-trip time, once measured.
    pub rtt: Option<Duration>,
    /// What passed.
    pub traffic: Traffic,
    /// How often it was slowed down.
    pub stalls: u64,
    /// Number of its subscriptions.
    pub subscriptions: u64,
    /// Name that it gave, or empty.
    pub name: String,
    /// Language of its library, or empty.
    pub lang: String,
    /// Version of its library, or empty.
    pub version: String,
    /// Its account.
    pub account: String,
    /// Its user, or empty.
    pub user: String,
    /// What is known of the token that it came with.
    pub token: Option<Token>,
    /// What came of its handshake, if it came over TLS.
    pub tls: Option<Facts>,
    /// Key of the trusted proxy that vouches for it.
    pub proxy: Option<String>,
}

/// A connection to another server.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique in the life of the server, among clients too.
    pub rid: u64,
    /// What the routes know of it.
    pub facts: RouteFacts,
    /// The other end.
    pub peer: Peer,
    /// When it was made.
    pub start: SystemTime,
    /// When it last carried something.
    pub last_activity: SystemTime,
    /// Round-trip time, once measured.
    pub rtt: Option<Duration>,
    /// What passed.
    pub traffic: Traffic,
}

/// `import` and `export` of a server: what it takes of and gives to others; `None` for all.
pub type RoutePermissions = (Option<SubjectPermissions>, Option<SubjectPermissions>);

/// What only the routes know of one of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteFacts {
    /// Id of the other server.
    pub remote_id: String,
    /// Name of the other server.
    pub remote_name: String,
    /// This server dialled.
    pub did_solicit: bool,
    /// It stands in the configuration.
    pub is_configured: bool,
    /// Of the other server.
    pub permissions: RoutePermissions,
    /// Number of subjects that the other server wants.
    pub subscriptions: u64,
    /// Account, when it serves only one; or empty.
    pub account: String,
    /// Pattern of subjects, when it is for these alone; or empty.
    pub class: String,
    /// What is compressed of what goes there.
    pub compression: Status,
}

/// Knows the routes of a server.
pub trait RouteSource: Send + Sync + 'static {
    /// What is known of the route with this connection id; `None` before the other server has said who it is.
    fn facts(&self, rid: u64) -> Option<RouteFacts>;

    /// What this server takes of and gives to other servers.
    fn permissions(&self) -> RoutePermissions;

    /// Names of servers that routes go around in a ring, in order.
    fn ring(&self) -> Vec<String>;

    /// What the other server wants over the route with this connection id. The sid of a subscription is nats-server's
    /// name for it, `R $G foo.bar`, and with a queue `R $G foo.bar workers`.
    fn subscriptions_of(&self, rid: u64) -> Vec<Subscription>;
}

/// Knows the SCION paths of a server.
pub trait PathSource: Send + Sync + 'static {
    /// The document for the server of this id, with what became of the paths since `history` if that is wanted.
    fn pathz(&self, server_id: &str, history: Option<SystemTime>) -> Pathz;
}

/// A subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its account.
    pub account: String,
    /// Its subject.
    pub subject: String,
    /// Its queue group, or empty.
    pub queue: String,
    /// The id that the client gave.
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// Messages after which it ends; 0 when never.
    pub max: u64,
    /// Its connection.
    pub cid: u64,
}

/// Counters of the subscriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SubscriptionCounts {
    /// Subscriptions now, those of other servers included.
    pub now: u64,
    /// Subjects in caches.
    pub cached: u64,
    /// Made since the start.
    pub inserts: u64,
    /// Ended since the start.
    pub removes: u64,
    /// Subjects looked up since the start.
    pub matches: u64,
    /// Lookups that a cache answered.
    pub cache_hits: u64,
    /// Largest number of receivers among the cached subjects.
    pub max_fanout: u64,
    /// Mean number of receivers of the cached subjects.
    pub avg_fanout: f64,
}
