//! What other servers are still to tell of a message, by way of the accounts that it went through.
//!
//! A server in another account tells what it did to a subject of an answer, which each account on the way back owes. They
//! owe it until all have told: each part says how many more there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use natsd_core::msg_trace::HOP;
use parking_lot::Mutex;
use serde::Deserialize;

use crate::hub::account::Account;

/// Parts that one server may say there are more; beyond, the answers are given up when they take too long.
const MAX_PARTS: u64 = 4096;

/// See the [module](self).
pub(crate) struct Awaited {
    /// Parts that are still to come, this server's own among them.
    parts: AtomicI64,
    /// Accounts that owe answers, and the subjects of those.
    owed: Mutex<Vec<Owed>>,
}

type Owed = (Arc<Account>, Box<[u8]>);

/// As much of what a server tells as matters here.
#[derive(Deserialize)]
struct Part {
    request: PartRequest,
    #[serde(default)]
    hops: u64,
}

#[derive(Deserialize)]
struct PartRequest {
    #[serde(default)]
    header: HashMap<String, Vec<String>>,
}

impl Awaited {
    pub(super) fn new() -> Self {
        Self { parts: AtomicI64::new(1), owed: Mutex::default() }
    }

    /// `account` owes the answer `subject` until all have told.
    pub(super) fn owe(&self, account: &Arc<Account>, subject: &[u8]) {
        self.owed.lock().push((account.clone(), subject.into()));
    }

    /// One more server is to tell.
    pub(super) fn expect_part(&self) {
        self.parts.fetch_add(1, Ordering::AcqRel);
    }

    /// This server has told its part.
    pub(super) fn complete(&self) {
        self.came(0);
    }

    /// Another server has told this.
    pub(crate) fn hear(&self, told: &[u8]) {
        let Ok(Part { request, hops }) = serde_json::from_slice::<Part>(told) else { return };
        if request.header.get(HOP).is_some_and(|values| values.len() == 1) {
            self.came(hops.min(MAX_PARTS) as i64);
        }
    }

    fn came(&self, more: i64) {
        if self.parts.fetch_add(more - 1, Ordering::AcqRel) + more - 1 == 0 {
            for (account, subject) in self.owed.lock().drain(..) {
                account.responses.lock().cancel(&subject);
            }
        }
    }
}
