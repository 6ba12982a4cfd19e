//! The answers that the services of an account owe to those who ask from other accounts.
//!
//! A request that crosses into another account gets a reply subject of its own there; what is published to it goes back
//! to the one that was asked for. Free of IO: the time is a parameter.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use natsd_auth::account::{ResponseType, Service};

use super::account::Account;
use super::latency::Measurement;
use super::msg_trace::Awaited;
use super::remote_latency::unmarked;

/// Answers that may be owed at the same time by one account. Beyond, the ones that would expire first are given up.
const MAX_RESPONSES: usize = 128 * 1024;
/// What all reply subjects begin with that clients may not make up.
pub(super) const RESERVED: &[u8] = b"_R_.";
/// Characters of the part that accounts differ in, and of the part that answers differ in.
const LENGTHS: (usize, usize) = (6, 11);
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// An answer that is owed.
pub(crate) struct Response {
    /// Who asked.
    pub importer: Arc<Account>,
    /// What for: the reply subject there.
    pub reply: Box<[u8]>,
    /// How many answers there may be.
    pub kind: ResponseType,
    /// How long it may take, or the next one.
    pub threshold: Duration,
    /// If it is measured how long it takes.
    pub measurement: Option<Box<Measurement>>,
    /// If the answers are what other servers tell of a message that is traced.
    pub traced: Option<Arc<Awaited>>,
}

impl Response {
    /// One that the service `of` owes to `importer`.
    pub(super) fn new(importer: &Arc<Account>, reply: &[u8], of: &Service) -> Self {
        let (importer, reply) = (importer.clone(), reply.into());
        Self { importer, reply, kind: of.response, threshold: of.threshold, measurement: None, traced: None }
    }
}

struct Owed {
    response: Arc<Response>,
    due: Instant,
}

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Responses {
    owed: HashMap<u64, Owed>,
    by_due: BTreeSet<(Instant, u64)>,
}

impl Responses {
    /// What the reply subjects of one account begin with.
    pub(super) fn new_prefix() -> Box<[u8]> {
        let mut prefix = RESERVED.to_vec();
        write_digits(&mut prefix, fastrand::u64(..), LENGTHS.0);
        prefix.push(b'.');
        prefix.into()
    }

    /// Whether no answer is owed.
    pub(super) fn is_empty(&self) -> bool {
        self.owed.is_empty()
    }

    /// Writes the reply subject for `response`, after `prefix`. Returns those that are given up for it.
    pub(super) fn add(&mut self, response: Response, now: Instant, subject: &mut Vec<u8>) -> Vec<Arc<Response>> {
        let mut lost = self.expire(now);
        if self.owed.len() >= MAX_RESPONSES
            && let Some((_, id)) = self.by_due.pop_first()
        {
            lost.extend(self.owed.remove(&id).map(|owed| owed.response));
        }
        let id = loop {
            let id = fastrand::u64(..);
            if !self.owed.contains_key(&id) {
                break id;
            }
        };
        write_digits(subject, id, LENGTHS.1);
        let due = now + response.threshold;
        self.by_due.insert((due, id));
        self.owed.insert(id, Owed { response: Arc::new(response), due });
        lost
    }

    /// The answer that `subject` is for. It is not owed any more if there is only one, or if this is the `last`.
    pub(super) fn take(&mut self, subject: &[u8], last: bool, now: Instant) -> Option<Arc<Response>> {
        let id = id_of(subject)?;
        let owed = self.owed.get_mut(&id).filter(|owed| owed.due > now)?;
        let response = owed.response.clone();
        self.by_due.remove(&(owed.due, id));
        if last || response.kind == ResponseType::Singleton {
            self.owed.remove(&id);
        } else {
            owed.due = now + response.threshold;
            self.by_due.insert((owed.due, id));
        }
        Some(response)
    }

    /// Whether the answer that `subject` is for is owed.
    pub(super) fn owes(&self, subject: &[u8]) -> bool {
        id_of(subject).is_some_and(|id| self.owed.contains_key(&id))
    }

    /// The answer that `subject` is for is not owed any more.
    pub(super) fn cancel(&mut self, subject: &[u8]) -> Option<Arc<Response>> {
        let id = id_of(subject)?;
        let owed = self.owed.remove(&id)?;
        self.by_due.remove(&(owed.due, id));
        Some(owed.response)
    }

    /// Gives up those that took too long, and returns them.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Arc<Response>> {
        let mut expired = Vec::new();
        while self.by_due.first().is_some_and(|(due, _)| *due <= now)
            && let Some((_, id)) = self.by_due.pop_first()
        {
            expired.extend(self.owed.remove(&id).map(|owed| owed.response));
        }
        expired
    }

    /// When the next one will have taken too long.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_due.first().map(|(due, _)| *due)
    }
}

fn write_digits(out: &mut Vec<u8>, mut number: u64, digits: usize) {
    for _ in 0..digits {
        out.push(DIGITS[(number % 62) as usize]);
        number /= 62;
    }
}

/// The number that the last token stands for.
fn id_of(subject: &[u8]) -> Option<u64> {
    let token = unmarked(subject).rsplit(|byte| *byte == b'.').next().filter(|token| token.len() == LENGTHS.1)?;
    token.iter().rev().try_fold(0u64, |number, digit| {
        let value = DIGITS.iter().position(|known| known == digit)?;
        number.checked_mul(62)?.checked_add(value as u64)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use natsd_auth::account::AccountSpec;

    use super::*;

    fn response(kind: ResponseType) -> Response {
        static IMPORTER: OnceLock<Arc<Account>> = OnceLock::new();
        let importer =
            IMPORTER.get_or_init(|| Arc::new(Account::new(AccountSpec::named("A"), Arc::default(), &Arc::default())));
        let service = Service { response: kind, threshold: Duration::from_secs(10), ..Service::default() };
        Response::new(importer, b"inbox", &service)
    }

    fn add(responses: &mut Responses, kind: ResponseType, now: Instant) -> Vec<u8> {
        let mut subject = Responses::new_prefix().to_vec();
        assert!(responses.add(response(kind), now, &mut subject).is_empty());
        subject
    }

    #[test]
    fn one_answer_is_one() {
        let (mut responses, now) = (Responses::default(), Instant::now());
        let subject = add(&mut responses, ResponseType::Singleton, now);
        assert!(subject.starts_with(b"_R_.") && subject.len() == 4 + 6 + 1 + 11);
        assert_eq!(&*responses.take(&subject, false, now).unwrap().reply, b"inbox");
        assert!(responses.take(&subject, false, now).is_none());
        assert!(responses.is_empty() && responses.next_due().is_none());
    }

    #[test]
    fn a_stream_of_answers_ends_with_the_last_or_with_a_pause() {
        let (mut responses, start) = (Responses::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let subject = add(&mut responses, ResponseType::Stream, start);
        assert!(responses.take(&subject, false, at(9)).is_some());
        assert!(responses.take(&subject, false, at(18)).is_some());
        assert!(responses.take(&subject, true, at(27)).is_some());
        assert!(responses.take(&subject, false, at(27)).is_none());

        let subject = add(&mut responses, ResponseType::Chunked, start);
        assert!(responses.take(&subject, false, at(9)).is_some());
        assert!(responses.take(&subject, false, at(19)).is_none());
        assert_eq!(responses.expire(at(19)).len(), 1);
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let (mut responses, start) = (Responses::default(), Instant::now());
        let subject = add(&mut responses, ResponseType::Singleton, start);
        let due = responses.next_due().unwrap();
        assert_eq!(due, start + Duration::from_secs(10));
        assert!(responses.expire(due - Duration::from_nanos(1)).is_empty());
        assert_eq!(responses.expire(due).len(), 1);
        assert!(responses.take(&subject, false, start).is_none());
        let subject = add(&mut responses, ResponseType::Singleton, start);
        assert!(responses.cancel(&subject).is_some() && responses.cancel(&subject).is_none());
    }

    #[test]
    fn there_is_a_bound_to_what_is_owed() {
        let (mut responses, now) = (Responses::default(), Instant::now());
        let first = add(&mut responses, ResponseType::Singleton, now);
        let later = now + Duration::from_secs(1);
        for _ in 1..MAX_RESPONSES {
            add(&mut responses, ResponseType::Singleton, later);
        }
        let mut subject = Vec::new();
        assert_eq!(responses.add(response(ResponseType::Singleton), later, &mut subject).len(), 1);
        assert_eq!(responses.owed.len(), MAX_RESPONSES);
        assert!(responses.take(&first, false, later).is_none());
    }

    #[test]
    fn other_subjects_are_nobodys_answer() {
        let (mut responses, now) = (Responses::default(), Instant::now());
        add(&mut responses, ResponseType::Singleton, now);
        for subject in ["_R_.abcdef.zzzzzzzzzzz", "_R_.abcdef.x", "_R_.abcdef.", "", "_R_.abcdef.00000000000"] {
            assert!(responses.take(subject.as_bytes(), false, now).is_none(), "{subject}");
        }
    }
}
