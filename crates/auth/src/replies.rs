//! Leave to answer a request, for who may not publish at will.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How often and how long a request may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplyPolicy {
    /// Messages to one reply subject; `None` is any number.
    pub max: Option<u64>,
    /// Since the request; `None` is for ever.
    pub expires: Option<Duration>,
}

impl Default for ReplyPolicy {
    fn default() -> Self {
        Self { max: Some(1), expires: Some(Duration::from_secs(120)) }
    }
}

/// Reply subjects of requests that one client got, at most [`Replies::LIMIT`].
#[derive(Debug)]
pub struct Replies {
    policy: ReplyPolicy,
    granted: HashMap<Box<[u8]>, Grant>,
}

#[derive(Debug)]
struct Grant {
    since: Instant,
    used: u64,
}

impl Replies {
    /// Requests that wait for an answer. Beyond it those that expired are forgotten, then the older half.
    pub const LIMIT: usize = 8192;

    /// None yet.
    pub fn new(policy: ReplyPolicy) -> Self {
        Self { policy, granted: HashMap::new() }
    }

    /// The client gets a request with this reply subject.
    pub fn grant(&mut self, reply: &[u8], now: Instant) {
        if self.granted.len() >= Self::LIMIT {
            self.make_room(now);
        }
        self.granted.insert(reply.into(), Grant { since: now, used: 0 });
    }

    /// Whether the client may publish to `subject` now, as an answer; that is then one of those it may.
    pub fn take(&mut self, subject: &[u8], now: Instant) -> bool {
        let Some(grant) = self.granted.get_mut(subject) else { return false };
        if is_over(&self.policy, grant, now) {
            self.granted.remove(subject);
            return false;
        }
        grant.used += 1;
        if self.policy.max.is_some_and(|max| grant.used >= max) {
            self.granted.remove(subject);
        }
        true
    }

    fn make_room(&mut self, now: Instant) {
        let policy = self.policy;
        self.granted.retain(|_, grant| !is_over(&policy, grant, now));
        if self.granted.len() >= Self::LIMIT {
            let mut ages: Vec<_> = self.granted.values().map(|grant| grant.since).collect();
            let middle = ages.len() / 2;
            let (_, median, _) = ages.select_nth_unstable(middle);
            let median = *median;
            self.granted.retain(|_, grant| grant.since > median);
        }
    }
}

fn is_over(policy: &ReplyPolicy, grant: &Grant, now: Instant) -> bool {
    policy.expires.is_some_and(|expires| now.saturating_duration_since(grant.since) > expires)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn start() -> Instant {
        // Only differences matter, and there is no other way to make one.
        #[allow(clippy::disallowed_methods)]
        Instant::now()
    }

    #[test]
    fn a_request_is_answered_so_often_and_so_long() {
        let now = start();
        let mut replies = Replies::new(ReplyPolicy { max: Some(2), expires: Some(SECOND) });
        assert!(!replies.take(b"r", now));
        replies.grant(b"r", now);
        assert!(replies.take(b"r", now) && replies.take(b"r", now + SECOND) && !replies.take(b"r", now));
        replies.grant(b"r", now);
        assert!(!replies.take(b"other", now) && !replies.take(b"r", now + SECOND * 2));
        let mut unlimited = Replies::new(ReplyPolicy { max: None, expires: None });
        unlimited.grant(b"r", now);
        assert!((0..1000).all(|n| unlimited.take(b"r", now + SECOND * n)));
    }

    #[test]
    fn memory_is_bounded_and_the_latest_stay() {
        let now = start();
        let name = |n: usize| format!("_INBOX.{n}").into_bytes();
        let mut replies = Replies::new(ReplyPolicy { max: None, expires: None });
        let last = Replies::LIMIT * 5;
        for n in 0..=last {
            replies.grant(&name(n), now + Duration::from_nanos(n as u64));
            assert!(replies.granted.len() <= Replies::LIMIT);
        }
        assert!(replies.take(&name(last), now) && replies.take(&name(last - Replies::LIMIT / 4), now));
        assert!(!replies.take(&name(0), now));
        // All at the same moment.
        for n in 0..=last {
            replies.grant(&name(n), now);
        }
        assert!(replies.granted.len() <= Replies::LIMIT && replies.take(&name(last), now));
    }

    #[test]
    fn what_expired_makes_room_first() {
        let now = start();
        let mut replies = Replies::new(ReplyPolicy { max: None, expires: Some(SECOND) });
        for n in 0..Replies::LIMIT {
            let since = if n % 8 == 0 { now + SECOND } else { now };
            replies.grant(format!("r{n}").as_bytes(), since);
        }
        replies.grant(b"new", now + SECOND * 2);
        assert_eq!(replies.granted.len(), Replies::LIMIT / 8 + 1);
    }
}
