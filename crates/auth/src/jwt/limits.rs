//! How much an account or a user may have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::issues::Issues;
use super::json::is_zero;

/// Stands for as much as one likes; 0 is nothing at all.
pub const NO_LIMIT: i64 = -1;

/// Limits of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NatsLimits {
    /// Subscriptions.
    #[serde(skip_serializing_if = "is_zero")]
    pub subs: i64,
    /// Bytes; no server counts them.
    #[serde(skip_serializing_if = "is_zero")]
    pub data: i64,
    /// Bytes of one message.
    #[serde(skip_serializing_if = "is_zero")]
    pub payload: i64,
}

impl NatsLimits {
    /// As much as one likes.
    pub const UNLIMITED: Self = Self { subs: NO_LIMIT, data: NO_LIMIT, payload: NO_LIMIT };
}

/// Limits of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountLimits {
    /// Number of imports.
    #[serde(skip_serializing_if = "is_zero")]
    pub imports: i64,
    /// Number of exports.
    #[serde(skip_serializing_if = "is_zero")]
    pub exports: i64,
    /// Whether exports may have wildcards.
    #[serde(skip_serializing_if = "is_zero")]
    pub wildcards: bool,
    /// Whether its users have to sign, all of them.
    #[serde(skip_serializing_if = "is_zero")]
    pub disallow_bearer: bool,
    /// Connections at the same time, on all servers together.
    #[serde(skip_serializing_if = "is_zero")]
    pub conn: i64,
    /// Of those, leaf nodes.
    #[serde(skip_serializing_if = "is_zero")]
    pub leaf: i64,
}

impl AccountLimits {
    /// As much as one likes.
    pub const UNLIMITED: Self = Self {
        imports: NO_LIMIT,
        exports: NO_LIMIT,
        wildcards: true,
        disallow_bearer: false,
        conn: NO_LIMIT,
        leaf: NO_LIMIT,
    };
}

/// Limits of JetStream, in an account or in one tier of it; 0 bytes turn it off.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct JetStreamLimits {
    /// Bytes in memory.
    #[serde(skip_serializing_if = "is_zero")]
    pub mem_storage: i64,
    /// Bytes on disk.
    #[serde(skip_serializing_if = "is_zero")]
    pub disk_storage: i64,
    /// Number of streams.
    #[serde(skip_serializing_if = "is_zero")]
    pub streams: i64,
    /// Number of consumers.
    #[serde(skip_serializing_if = "is_zero")]
    pub consumer: i64,
    /// Messages of a stream that wait for an acknowledgement.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_ack_pending: i64,
    /// Bytes of one stream in memory; 0 is any number.
    #[serde(skip_serializing_if = "is_zero")]
    pub mem_max_stream_bytes: i64,
    /// Bytes of one stream on disk; 0 is any number.
    #[serde(skip_serializing_if = "is_zero")]
    pub disk_max_stream_bytes: i64,
    /// Whether every stream has to have a limit of bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_bytes_required: bool,
}

/// What an operator grants an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OperatorLimits {
    /// Of each connection.
    #[serde(flatten)]
    pub nats: NatsLimits,
    /// Of the account.
    #[serde(flatten)]
    pub account: AccountLimits,
    /// Of JetStream.
    #[serde(flatten)]
    pub jetstream: JetStreamLimits,
    /// Of JetStream, by tier such as `R1`; then [`jetstream`](Self::jetstream) does not count.
    #[serde(rename = "tiered_limits", skip_serializing_if = "BTreeMap::is_empty")]
    pub tiers: BTreeMap<String, JetStreamLimits>,
}

impl OperatorLimits {
    /// As much as one likes, without JetStream.
    pub fn unlimited() -> Self {
        Self { nats: NatsLimits::UNLIMITED, account: AccountLimits::UNLIMITED, ..Self::default() }
    }

    pub(super) fn check(&self, issues: &mut Issues) {
        if !self.tiers.is_empty() {
            if self.jetstream != JetStreamLimits::default() {
                issues.error("JetStream Limits and tiered JetStream Limits are mutually exclusive");
            }
            if self.tiers.contains_key("") {
                issues.error("Tiered JetStream Limits can not contain a blank \"\" tier name");
            }
        }
    }
}
