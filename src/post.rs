//! This server as one that subscribes and publishes in an account.
//!
//! It is a link like those of clients, so that subjects find it by the same lists, and peers hear of what it wants; but at
//! its end is no connection: what is delivered waits in its output until it is taken.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use natsd_core::encode::Message;

use crate::hub::Hub;
use crate::hub::account::Account;
use crate::hub::publish::{Publisher, publish_to};
use crate::hub::subscription::Subscription;
use crate::link::batch::Batch;
use crate::link::outbound::{Outbound, OutboundLimits, Sink};
use crate::link::{Kind, Link};
use crate::transport::Peer;

/// See the [module](self).
pub(crate) struct Post {
    hub: Arc<Hub>,
    account: Arc<Account>,
    link: Arc<Link>,
    subscriptions: Vec<Arc<Subscription>>,
}

/// A message that was delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delivery<'a> {
    pub subject: &'a str,
    pub reply: Option<&'a str>,
    /// Empty without headers.
    pub header: &'a [u8],
    pub payload: &'a [u8],
}

impl Post {
    /// `max_pending` bytes may wait to be taken; who sends more waits for nobody, and all of it is lost.
    pub(crate) fn open(hub: Arc<Hub>, account: Arc<Account>, max_pending: usize) -> Self {
        let limits = OutboundLimits {
            max_pending,
            stall_at: usize::MAX,
            write_deadline: Duration::from_secs(3600),
            retry: false,
        };
        let mut out = Outbound::new(Sink::Task);
        out.takes_headers = true;
        let nowhere = Peer::Tcp(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let link = Arc::new(Link::new(hub.next_id(), Kind::System, nowhere, None, out, limits));
        link.account.store(Some(account.clone()));
        Self { hub, account, link, subscriptions: Vec::new() }
    }

    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.add(|subscription| subscription, subject, None);
    }

    /// As [`subscribe`](Self::subscribe), sharing with the others of the queue group, if one is given.
    pub(crate) fn subscribe_in(&mut self, subject: &str, queue: Option<&str>) {
        self.add(|subscription| subscription, subject, queue);
    }

    /// As [`subscribe`](Self::subscribe), to what is published at this server alone.
    pub(crate) fn subscribe_here(&mut self, subject: &str) {
        self.add(Subscription::private, subject, None);
    }

    fn add(&mut self, make: impl FnOnce(Subscription) -> Subscription, subject: &str, queue: Option<&str>) {
        let sid = (self.subscriptions.len() + 1).to_string();
        let (link, account, queue) = (self.link.clone(), self.account.clone(), queue.map(str::as_bytes));
        let new = Subscription::new(link, account, subject.as_bytes(), queue, sid.as_bytes());
        let new = Arc::new(make(new));
        self.account.subscribe(new.clone());
        self.subscriptions.push(new);
    }

    /// Waits for messages, as [`deliveries`] reads them. `None` when too many waited.
    pub(crate) async fn next(&self) -> Option<Vec<u8>> {
        poll_fn(|cx| self.link.outbound().poll_take(cx)).await
    }

    /// Whether anybody but this server listens to `subject`.
    pub(crate) fn has_audience(&self, subject: &str) -> bool {
        self.account.has_audience(subject.as_bytes(), &self.link)
    }

    /// Publishes in the account; this server itself does not hear it.
    pub(crate) fn publish(&self, subject: &str, reply: Option<&str>, body: &str) {
        self.publish_bytes(subject, reply, b"", body.as_bytes());
    }

    /// As [`publish`](Self::publish), in another account if one is given.
    pub(crate) fn publish_in(&self, account: Option<&Arc<Account>>, subject: &str, body: &str) {
        let (subject, body) = (subject.as_bytes(), body.as_bytes());
        self.send(account.unwrap_or(&self.account), &Message { subject, reply: None, header_len: 0, body });
    }

    /// As [`publish`](Self::publish), with a header unless that is empty, and what may be no text.
    pub(crate) fn publish_bytes(&self, subject: &str, reply: Option<&str>, header: &[u8], payload: &[u8]) {
        let body = &[header, payload].concat();
        let (subject, reply) = (subject.as_bytes(), reply.map(str::as_bytes));
        let message = Message { subject, reply, header_len: header.len(), body };
        self.send(&self.account, &message);
    }

    fn send(&self, account: &Arc<Account>, message: &Message<'_>) {
        let mut batch = Batch::default();
        publish_to(account, message, &Publisher::new(&self.hub, &self.link, false), &mut batch);
        batch.flush(&self.hub);
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        self.account.unsubscribe(&self.subscriptions);
        self.link.outbound().hang_up();
    }
}

/// The messages in what was taken. What is no text names nothing that is known here, and is left out.
pub(crate) fn deliveries(mut input: &[u8]) -> impl Iterator<Item = Delivery<'_>> {
    std::iter::from_fn(move || {
        loop {
            let (delivery, rest) = split_first(input)?;
            input = rest;
            if delivery.is_some() {
                return delivery;
            }
        }
    })
}

/// The first message, if its subjects are text, and what comes after it.
fn split_first(input: &[u8]) -> Option<(Option<Delivery<'_>>, &[u8])> {
    let end = memchr::memchr(b'\r', input)?;
    let line = &input[..end];
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let (names, sizes) = match words.first()? {
        &b"HMSG" => words[1..].split_at_checked(words.len().checked_sub(3)?)?,
        _ => words[1..].split_at_checked(words.len().checked_sub(2)?)?,
    };
    let size = |word: &[u8]| std::str::from_utf8(word).ok()?.parse::<usize>().ok();
    let len = size(sizes.last()?)?;
    let header = if sizes.len() == 2 { size(sizes[0])? } else { 0 };
    let body = input.get(end + 2..)?.get(..len)?;
    let rest = input.get(end + 2 + len + 2..)?;
    let text = |at: usize| names.get(at).map(|name| std::str::from_utf8(name));
    let delivery = match (text(0)?, text(2).transpose()) {
        (Ok(subject), Ok(reply)) => {
            let (header, payload) = body.split_at_checked(header)?;
            Some(Delivery { subject, reply, header, payload })
        }
        _ => None,
    };
    Some((delivery, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut bytes = Vec::new();
        let plain = Message { subject: b"a.b", reply: None, header_len: 0, body: b"\r\nx" };
        let header = b"NATS/1.0\r\nA: 1\r\n\r\n";
        let body = [&header[..], b"payload"].concat();
        let full = Message { subject: b"c", reply: Some(b"r.1"), header_len: header.len(), body: &body };
        let odd = Message { subject: b"\xff", reply: None, header_len: 0, body: b"" };
        for message in [&plain, &odd, &full] {
            message.write(&mut bytes, b"7");
        }
        let all: Vec<_> = deliveries(&bytes).collect();
        assert_eq!(
            all,
            [
                Delivery { subject: "a.b", reply: None, header: b"", payload: b"\r\nx" },
                Delivery { subject: "c", reply: Some("r.1"), header, payload: b"payload" },
            ]
        );
        assert_eq!(deliveries(&bytes[..bytes.len() - 1]).count(), 1);
        assert_eq!(deliveries(b"").count(), 0);
    }
}
