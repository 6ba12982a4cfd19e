//! What endpoints answer of features that a server does not have.

use serde::{Deserialize, Serialize};

use crate::Time;
use crate::omit::empty;

/// `/jsz` of a server without JetStream: all counts are 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Jsz {
    /// Bytes in memory.
    pub memory: u64,
    /// Bytes on disk.
    pub storage: u64,
    /// Bytes of memory that accounts have reserved.
    pub reserved_memory: u64,
    /// Bytes on disk that accounts have reserved.
    pub reserved_storage: u64,
    /// Accounts that use it.
    pub accounts: u64,
    /// Groups of servers that keep something.
    pub ha_assets: u64,
    /// Requests.
    pub api: JszApi,
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// There is no JetStream; absent when there is.
    #[serde(skip_serializing_if = "empty")]
    pub disabled: bool,
    /// What it may use.
    pub config: JszConfig,
    /// Streams.
    pub streams: u64,
    /// Consumers.
    pub consumers: u64,
    /// Messages.
    pub messages: u64,
    /// Bytes of messages.
    pub bytes: u64,
    /// Accounts that `offset` and `limit` cut from.
    pub total: u64,
}

/// `api` in [`Jsz`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JszApi {
    /// Version of the API.
    pub level: u64,
    /// Requests.
    pub total: u64,
    /// Requests that failed.
    pub errors: u64,
}

/// `config` in [`Jsz`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JszConfig {
    /// Bytes in memory at most.
    pub max_memory: u64,
    /// Bytes on disk at most.
    pub max_storage: u64,
}
