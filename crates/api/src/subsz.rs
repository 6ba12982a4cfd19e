use serde::{Deserialize, Serialize};

use crate::Time;
use crate::omit::empty;

/// `/subsz`: the subscriptions of this server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subsz {
    /// Id of the server.
    pub server_id: String,
    /// When this was read.
    pub now: Time,
    /// Subscriptions in all accounts, those of other servers included.
    pub num_subscriptions: u64,
    /// Subjects whose receivers are cached.
    pub num_cache: u64,
    /// Subscriptions made since the start.
    pub num_inserts: u64,
    /// Subscriptions ended since the start.
    pub num_removes: u64,
    /// Subjects whose receivers were looked up since the start.
    pub num_matches: u64,
    /// Fraction of the lookups that a cache answered, 0 to 1.
    pub cache_hit_rate: f64,
    /// Largest number of receivers among the cached subjects.
    pub max_fanout: u64,
    /// Mean number of receivers of the cached subjects.
    pub avg_fanout: f64,
    /// Subscriptions that `test` selects; 0 unless `subs=1`.
    pub total: u64,
    /// First one listed.
    pub offset: u64,
    /// Most that are listed.
    pub limit: u64,
    /// The subscriptions, if asked for by `subs=1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscriptions_list: Option<Vec<SubDetail>>,
}

/// One subscription, in [`Subsz`], and with `subs=detail` in `/connz` and `/routez` (there without account).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SubDetail {
    /// Account.
    #[serde(skip_serializing_if = "empty")]
    pub account: String,
    /// Name of the account.
    #[serde(skip_serializing_if = "empty")]
    pub account_tag: String,
    /// Subject, possibly with wildcards.
    pub subject: String,
    /// Queue group, if any.
    #[serde(skip_serializing_if = "empty")]
    pub qgroup: String,
    /// Subscription id that the client chose.
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// Ends after so many messages; absent without such a limit.
    #[serde(skip_serializing_if = "empty")]
    pub max: u64,
    /// Connection id of the subscriber.
    pub cid: u64,
}
