//! `/accountz` and `/accstatz`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::omit::{empty, null_as_default};

/// Messages, and bytes of their payloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MsgBytes {
    /// Messages.
    pub msgs: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What passed in one direction: in all, and of that, where it is told, by kind of link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DataStats {
    /// Messages.
    pub msgs: u64,
    /// Bytes.
    pub bytes: u64,
    /// Over gateways.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gateways: Option<MsgBytes>,
    /// Over routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routes: Option<MsgBytes>,
    /// Over leaf nodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leafs: Option<MsgBytes>,
}

/// `/accstatz`: what passes in accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountStatz {
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// The accounts.
    #[serde(deserialize_with = "null_as_default")]
    pub account_statz: Vec<AccountStat>,
}

/// One account in [`AccountStatz`], and in events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountStat {
    /// The account.
    #[serde(rename = "acc")]
    pub account: String,
    /// What it is called, where `acc` is a key; else the same.
    pub name: String,
    /// Its clients at this server.
    pub conns: u64,
    /// Its leaf nodes at this server.
    pub leafnodes: u64,
    /// Both.
    pub total_conns: u64,
    /// Subscriptions, those of other servers included.
    pub num_subscriptions: u64,
    /// Messages delivered to clients, and to other servers.
    pub sent: DataStats,
    /// Messages of clients and of other servers.
    pub received: DataStats,
    /// Connections cut off because they were too slow.
    pub slow_consumers: u64,
}

/// `/accountz`: the names of the accounts, or one account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Accountz {
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// The account of the servers themselves; absent when there is none.
    #[serde(skip_serializing_if = "empty")]
    pub system_account: String,
    /// All accounts, unless one was asked for.
    #[serde(skip_serializing_if = "empty")]
    pub accounts: Vec<String>,
    /// The account that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_detail: Option<AccountInfo>,
}

/// All that is known of an account.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountInfo {
    /// Its name.
    pub account_name: String,
    /// When it was configured.
    pub update_time: Time,
    /// It is the account of the servers themselves.
    #[serde(skip_serializing_if = "empty")]
    pub is_system: bool,
    /// Its JWT is not valid any more.
    pub expired: bool,
    /// All that it imports is there.
    pub complete: bool,
    /// It may keep streams.
    pub jetstream_enabled: bool,
    /// Its leaf nodes at this server.
    pub leafnode_connections: u64,
    /// Its clients at this server.
    pub client_connections: u64,
    /// Subscriptions, those of other servers included.
    pub subscriptions: u64,
    /// What published subjects become.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mappings: BTreeMap<String, Vec<MapDest>>,
    /// What others may import.
    #[serde(skip_serializing_if = "empty")]
    pub exports: Vec<AccountExport>,
    /// What it imports.
    #[serde(skip_serializing_if = "empty")]
    pub imports: Vec<AccountImport>,
    /// Its JWT.
    #[serde(skip_serializing_if = "empty")]
    pub jwt: String,
    /// The operator's key that signed it.
    #[serde(skip_serializing_if = "empty")]
    pub issuer_key: String,
    /// What it is called, where its name is a key; else the same.
    #[serde(skip_serializing_if = "empty")]
    pub name_tag: String,
    /// Tags of its JWT.
    #[serde(skip_serializing_if = "empty")]
    pub tags: Vec<String>,
    /// What its JWT says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded_jwt: Option<serde_json::Value>,
    /// Users whose JWTs do not count that were signed by then.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub revoked_user: BTreeMap<String, Time>,
    /// Its subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sublist_stats: Option<SublistStats>,
}

/// Where a mapping leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MapDest {
    /// The subject.
    pub subject: String,
    /// Per cent of the messages.
    pub weight: u8,
    /// Only in this cluster; absent for all.
    #[serde(skip_serializing_if = "empty")]
    pub cluster: String,
}

/// What an account lets others import.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountExport {
    /// Its subject.
    pub subject: String,
    /// `stream` or `service`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Who imports it needs a token.
    #[serde(skip_serializing_if = "empty")]
    pub token_req: bool,
    /// `Singleton`, `Stream` or `Chunked`, of a service.
    #[serde(skip_serializing_if = "empty")]
    pub response_type: String,
    /// What is measured, of a service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_latency: Option<LatencySampling>,
    /// Who alone may import it.
    #[serde(skip_serializing_if = "empty")]
    pub approved_accounts: Vec<String>,
}

/// Which requests to a service are measured, and where that is published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencySampling {
    /// Per cent, or `"headers"`.
    pub sampling: SamplingRate,
    /// The subject.
    pub results: String,
}

/// See [`LatencySampling`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SamplingRate {
    /// So many of a hundred.
    Percent(u8),
    /// `headers`.
    Word(String),
}

/// What an account imports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountImport {
    /// Its subject in the account that exports it.
    pub subject: String,
    /// That account.
    pub account: String,
    /// As `local_subject`, of a service; for programs that know no other name.
    #[serde(skip_serializing_if = "empty")]
    pub to: String,
    /// Its subject in the account that imports it.
    #[serde(skip_serializing_if = "empty")]
    pub local_subject: String,
    /// `stream` or `service`.
    #[serde(rename = "type")]
    pub kind: String,
    /// It cannot be had.
    pub invalid: bool,
    /// The service is told who asks.
    pub share: bool,
    /// Its time is being measured.
    pub tracking: bool,
}

/// Counters of subscriptions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SublistStats {
    /// How many there are.
    pub num_subscriptions: u64,
    /// Subjects in the cache.
    pub num_cache: u64,
    /// Subscriptions that came.
    pub num_inserts: u64,
    /// Subscriptions that went.
    pub num_removes: u64,
    /// Subjects looked up.
    pub num_matches: u64,
    /// Part of these that the cache knew.
    pub cache_hit_rate: f64,
    /// Receivers of a subject, at most.
    pub max_fanout: u64,
    /// Receivers of a subject, on average.
    pub avg_fanout: f64,
}
