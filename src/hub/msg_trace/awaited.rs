//! What other servers are still to tell of a message, by way of the accounts that it went through.
//!
//! A server in another account tells what it did to a subject of an answer, which each account on the way back owes. They
//! owe it until all have told: each part says how many more there are.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use natsd_core::encode::Message;
use natsd_core::msg_trace::HOP;
use parking_lot::Mutex;
use serde::Deserialize;

use super::encoding;
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
    pub(crate) fn hear(&self, told: &Message<'_>) {
        let json = encoding::decode(told.headers(), told.payload());
        let Ok(Part { request, hops }) = serde_json::from_slice::<Part>(&json) else { return };
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

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use natsd_auth::account::{AccountSpec, ResponseType, Service};

    use super::*;
    use crate::hub::responses::Response;

    /// An account that owes an answer for `awaited`.
    fn debtor(awaited: &Awaited) -> Arc<Account> {
        let account = Arc::new(Account::new(AccountSpec::named("A"), Arc::default(), &Arc::default()));
        let service = Service { response: ResponseType::Stream, ..Service::default() };
        let mut subject = b"_R_.abcdef.".to_vec();
        let response = Response::new(&account, b"trace", &service);
        account.responses.lock().add(response, Instant::now(), &mut subject);
        awaited.owe(&account, &subject);
        account
    }

    fn hear(awaited: &Awaited, hop: &str, hops: u64) {
        let json = format!(r#"{{"server":{{}},"request":{{"header":{{"Nats-Trace-Hop":["{hop}"]}}}},"hops":{hops}}}"#);
        awaited.hear(&Message { subject: b"trace", reply: None, header_len: 0, body: json.as_bytes() });
    }

    #[test]
    fn answers_are_owed_until_all_have_told() {
        let awaited = Awaited::new();
        let (one, two) = (debtor(&awaited), debtor(&awaited));
        let owing = || [&one, &two].map(|account| !account.responses.lock().is_empty());
        awaited.expect_part();
        awaited.expect_part();
        hear(&awaited, "2", 0);
        awaited.complete();
        assert_eq!(owing(), [true; 2]);
        hear(&awaited, "1", 1);
        assert_eq!(owing(), [true; 2], "one more server got it from the first");
        hear(&awaited, "1.1", 0);
        assert_eq!(owing(), [false; 2]);
    }

    #[test]
    fn what_nobody_is_to_tell_is_owed_no_longer_than_the_trace_takes() {
        let awaited = Awaited::new();
        let account = debtor(&awaited);
        awaited.complete();
        assert!(account.responses.lock().is_empty());
    }

    #[test]
    fn what_is_no_part_does_not_count() {
        let awaited = Awaited::new();
        let account = debtor(&awaited);
        for json in ["", "{}", r#"{"request":{}}"#, r#"{"request":{"header":{"Nats-Trace-Hop":["1","2"]}}}"#, "[[[["] {
            awaited.hear(&Message { subject: b"trace", reply: None, header_len: 0, body: json.as_bytes() });
        }
        assert!(!account.responses.lock().is_empty());
        hear(&awaited, "1", u64::MAX);
        assert!(!account.responses.lock().is_empty());
    }
}
