//! Traces of messages: what this server does with a message that asks for it, told where it asks.
//!
//! [`Arrival::begin`] reads what a message asks for; the [`Trace`] that comes of it goes along with the
//! [`Publisher`](super::publish::Publisher), notes what happens in the accounts and on the links that the message comes to, and tells it
//! at the end. Other servers tell their own parts. A message that is not traced meets none of this.

mod arrival;
mod awaited;
mod delivery;
mod encoding;
mod sharing;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::SystemTime;

use natsd_api::{
    MsgTrace, MsgTraceEgress, MsgTraceEvent, MsgTraceIngress, MsgTraceKind, MsgTraceRequest, to_compact_json,
};
use natsd_core::encode::Message;
use natsd_core::header;
use natsd_core::msg_trace::{DEST, DISABLED, Encoding};

use super::Hub;
use super::account::Account;
use super::publish::{Publisher, publish_to};
use crate::link::batch::Batch;
use crate::link::{Kind, Link};
pub(crate) use arrival::Arrival;
pub(crate) use awaited::Awaited;

/// The trace of one message at this server.
pub(crate) struct Trace {
    /// Where it came in.
    account: Arc<Account>,
    /// It is delivered to nobody.
    only: bool,
    /// The part that is told here, if it came from another server.
    hop: Option<String>,
    encoding: Encoding,
    /// Where it is told.
    destination: String,
    request: MsgTraceRequest,
    notes: RefCell<Notes>,
}

/// Bytes of text that are told of one message; what happens to it beyond is left out.
const MAX_TOLD: usize = 8 << 20;

struct Notes {
    ingress: MsgTraceIngress,
    /// All that came after.
    events: Vec<MsgTrace>,
    /// Bytes of their text.
    size: usize,
    hops: u64,
    /// The destination, as it is called in the account that the message is in now.
    destination: Vec<u8>,
    /// What other servers are to tell by way of other accounts.
    awaited: Option<Arc<Awaited>>,
}

impl Trace {
    /// Whether the message is delivered to nobody.
    pub(super) fn only(&self) -> bool {
        self.only
    }

    /// It went no further.
    pub(crate) fn refuse(&self, error: &str) {
        error.clone_into(&mut self.notes.borrow_mut().ingress.error);
    }

    /// A mapping of the account has made this its subject.
    pub(crate) fn mapped(&self, subject: &[u8]) {
        self.note(MsgTrace::SubjectMapping { ts: SystemTime::now().into(), to: text(subject) });
    }

    fn note(&self, event: MsgTrace) {
        let mut notes = self.notes.borrow_mut();
        if notes.size < MAX_TOLD {
            notes.size += size(&event);
            notes.events.push(event);
        }
    }

    fn note_egress(&self, link: &Link, error: &str, more: impl FnOnce(&mut MsgTraceEgress)) {
        let mut egress = MsgTraceEgress {
            ts: SystemTime::now().into(),
            kind: kind(link),
            cid: link.id,
            name: name(link),
            error: error.to_owned(),
            ..MsgTraceEgress::default()
        };
        more(&mut egress);
        self.note(MsgTrace::Egress(egress));
    }

    /// Tells what happened.
    pub(crate) fn tell(self, hub: &Arc<Hub>, batch: &mut Batch) {
        let Notes { ingress, events, size, hops, awaited, .. } = self.notes.into_inner();
        if size >= MAX_TOLD {
            log::warn!("The trace of a message to {:?} is cut after {MAX_TOLD} bytes", ingress.subj);
        }
        if let Some(awaited) = awaited {
            awaited.complete();
        }
        let mut all = vec![MsgTrace::Ingress(ingress)];
        all.extend(events);
        let event = MsgTraceEvent { server: hub.server_info(), request: self.request, hops, events: all };
        let (header, payload) = encoding::encode(self.encoding, to_compact_json(&event).into_bytes());
        let body = [header, &payload].concat();
        let subject = self.destination.as_bytes();
        let message = Message { subject, reply: None, header_len: header.len(), body: &body };
        publish_to(&self.account, &message, &Publisher::server(hub), batch);
    }
}

/// About how many bytes it takes to tell.
fn size(event: &MsgTrace) -> usize {
    /// What there is besides text.
    const FIXED: usize = 100;
    let text = match event {
        MsgTrace::Ingress(ingress) => ingress.name.len() + ingress.acc.len() + ingress.subj.len(),
        MsgTrace::SubjectMapping { to, .. } => to.len(),
        MsgTrace::StreamExport { acc, to, .. } => acc.len() + to.len(),
        MsgTrace::ServiceImport { acc, from, to, .. } => acc.len() + from.len() + to.len(),
        MsgTrace::JetStream { stream, subject, .. } => stream.len() + subject.len(),
        MsgTrace::Egress(egress) => [&egress.name, &egress.acc, &egress.subscription, &egress.queue, &egress.error]
            .map(String::len)
            .iter()
            .sum(),
    };
    FIXED + text
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn kind(link: &Link) -> MsgTraceKind {
    match link.kind {
        Kind::Client => MsgTraceKind::CLIENT,
        Kind::Route => MsgTraceKind::ROUTE,
        Kind::Leaf => MsgTraceKind::LEAF,
        Kind::Gateway => MsgTraceKind::GATEWAY,
        Kind::System => MsgTraceKind::SYSTEM,
    }
}

/// What the other end calls itself.
fn name(link: &Link) -> String {
    match (link.server.get(), link.leaf.get(), link.gateway.get()) {
        (Some(server), _, _) => server.name.clone(),
        (None, Some(peer), _) => peer.name.clone(),
        (None, None, Some(peer)) => peer.server_name.clone(),
        (None, None, None) => link.settings.lock().as_ref().map(|settings| settings.name.clone()).unwrap_or_default(),
    }
}

/// `message` with the header `name` set to `value`, its bytes in `body`.
fn with_header<'a>(message: &Message<'a>, name: &str, value: &[u8], body: &'a mut Vec<u8>) -> Message<'a> {
    body.clear();
    header::write_set(body, message.headers(), name, value);
    let header_len = body.len();
    body.extend_from_slice(message.payload());
    Message { header_len, body, ..*message }
}

/// `message` as one that no server traces, its bytes in `body`.
pub(super) fn switch_off<'a>(message: &Message<'a>, body: &'a mut Vec<u8>) -> Message<'a> {
    with_header(message, DEST, DISABLED.as_bytes(), body)
}

/// Whether a trace can be told at `subject`.
fn is_destination(subject: &str) -> bool {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'\x0c');
    natsd_core::subject::is_valid_literal(subject.as_bytes()) && !subject.bytes().any(blank)
}

#[cfg(test)]
mod tests;
