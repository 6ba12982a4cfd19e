//! What happens to connections, in the terms of `/eventz`.

use std::time::SystemTime;

use natsd_api::{Event, EventKind, LinkKind};
use natsd_core::error::CloseReason;

use super::Journal;
use crate::link::{Kind, Link};

impl Journal {
    /// A client has said who it is.
    pub(crate) fn client_joined(&self, link: &Link) {
        let event = about(link);
        let text = format!("client {} of account {}", shown(&event), event.account);
        self.add(Event { kind: EventKind::ClientJoin, text, ..event });
    }

    /// A client that said it is `claimed` is not let in.
    pub(crate) fn refused(&self, link: &Link, claimed: &str, reason: &str) {
        let event = about(link);
        let who = if claimed.is_empty() { String::new() } else { format!(", who says to be {:?},", cut(claimed)) };
        let text = format!("client {}{who} is refused: {reason}", shown(&event));
        self.add(Event { kind: EventKind::AuthError, text, reason: Some(reason.to_owned()), ..event });
    }

    /// Another server is at the other end of `link`; `others` are the connections that there are besides.
    pub(crate) fn server_joined(&self, link: &Link, mut others: impl Iterator<Item = impl AsRef<Link>>) {
        let Some(name) = server_name(link) else { return };
        let known =
            |other: &Link| other.id != link.id && other.kind == link.kind && server_name(other).as_ref() == Some(&name);
        if !others.any(|other| known(other.as_ref())) {
            let text = format!("{} {name} is connected", role(link));
            self.add(Event { kind: EventKind::Join, text, peer: name, ..about(link) });
        }
    }

    /// A connection is too slow, and stays.
    pub(crate) fn slow(&self, link: &Link) {
        let event = about(link);
        let text = format!("{} {} takes what is sent to it too slowly", role(link), shown(&event));
        self.add(Event { kind: EventKind::SlowConsumer, text, ..event });
    }

    /// A connection is gone; `others` are those that are left.
    pub(crate) fn gone(&self, link: &Link, reason: &CloseReason, mut others: impl Iterator<Item = impl AsRef<Link>>) {
        let event = Event { reason: Some(reason.to_string()), ..about(link) };
        let who = format!("{} {}", role(link), shown(&event));
        match reason {
            CloseReason::SlowConsumerPendingBytes | CloseReason::SlowConsumerWriteDeadline => {
                let text = format!("{who} is cut off: {reason}");
                self.add(Event { kind: EventKind::SlowConsumer, text, ..event.clone() });
            }
            CloseReason::AuthenticationExpired | CloseReason::Revocation | CloseReason::AuthenticationTimeout => {
                let text = format!("{who} is cut off: {reason}");
                self.add(Event { kind: EventKind::AuthError, text, ..event.clone() });
            }
            CloseReason::AuthenticationFailure if link.kind != Kind::Client => {
                let text = format!("{who} is refused: {reason}");
                self.add(Event { kind: EventKind::AuthError, text, ..event.clone() });
            }
            _ => {}
        }
        if link.kind == Kind::Client {
            // Who never said who it is did not join.
            if link.account.load().is_some() && link.settings.lock().is_some() {
                let text = format!("{who} is gone: {reason}");
                self.add(Event { kind: EventKind::ClientLeave, text, ..event });
            }
            return;
        }
        let Some(name) = server_name(link) else { return };
        let same = |other: &Link| other.kind == link.kind && server_name(other).as_ref() == Some(&name);
        if !others.any(|other| same(other.as_ref())) {
            let text = format!("{} {name} is gone: {reason}", role(link));
            self.add(Event { kind: EventKind::Leave, text, peer: name, ..event });
        }
    }
}

fn about(link: &Link) -> Event {
    let kind = match link.kind {
        Kind::Client => Some(LinkKind::Client),
        Kind::Route => Some(LinkKind::Route),
        Kind::Leaf => Some(LinkKind::Leaf),
        Kind::Gateway => Some(LinkKind::Gateway),
        Kind::System => None,
    };
    Event {
        time: SystemTime::now().into(),
        link: kind,
        cid: Some(link.id),
        addr: link.peer().to_string(),
        name: link.settings.lock().as_ref().map(|settings| cut(&settings.name).to_owned()).unwrap_or_default(),
        account: link.account_name(),
        ..Event::default()
    }
}

/// What the other end is to this server.
fn role(link: &Link) -> &'static str {
    match link.kind {
        Kind::Client => "client",
        Kind::Route => "server",
        Kind::Leaf if link.leaf.get().is_some_and(|peer| peer.spoke) => "hub",
        Kind::Leaf => "leaf node",
        Kind::Gateway => "cluster",
        Kind::System => "system",
    }
}

fn server_name(link: &Link) -> Option<String> {
    match link.kind {
        Kind::Route => link.server.get().map(|server| server.name.clone()),
        Kind::Leaf => link.leaf.get().map(|leaf| leaf.name.clone()),
        Kind::Gateway => link.gateway.get().map(|gateway| gateway.name.clone()),
        Kind::Client | Kind::System => None,
    }
}

/// A connection by its name, if it has one, its id and its address.
fn shown(event: &Event) -> String {
    let name = if event.name.is_empty() { String::new() } else { format!("{:?} ", event.name) };
    format!("{name}cid {} at {}", event.cid.unwrap_or_default(), event.addr)
}

/// The beginning of a text that others chose.
fn cut(text: &str) -> &str {
    text.char_indices().nth(64).map_or(text, |(end, _)| &text[..end])
}
