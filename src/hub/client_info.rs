//! What others are told of a client, or of a leaf node.

use std::sync::atomic::Ordering::Relaxed;

use natsd_api::{ClientInfo, Time};

use super::Hub;
use crate::link::{Kind, Link};

/// Its account and its round-trip time, which everybody may know. `None` for what is neither.
pub(crate) fn public(link: &Link) -> Option<ClientInfo> {
    matches!(link.kind, Kind::Client | Kind::Leaf).then(|| ClientInfo {
        account: link.account_name(),
        rtt: link.rtt.load(Relaxed),
        ..ClientInfo::default()
    })
}

/// All there is.
pub(crate) fn detailed(hub: &Hub, link: &Link) -> Option<ClientInfo> {
    let mut info = public(link)?;
    locate(hub, &mut info);
    if let Some(settings) = &*link.settings.lock() {
        info.name.clone_from(&settings.name);
        info.lang.clone_from(&settings.lang);
        info.version.clone_from(&settings.version);
    }
    let is_leaf = link.kind == Kind::Leaf;
    if let Some(peer) = link.leaf.get().filter(|peer| !peer.solicited) {
        info.name.clone_from(&peer.name);
    }
    if let Some(pass) = link.pass.load().as_deref() {
        info.jwt = pass.shown_token();
        info.issuer_key = pass.issuer().to_owned();
        info.name_tag.clone_from(&pass.admission.name);
        info.tags.clone_from(&pass.admission.tags);
    }
    Some(ClientInfo {
        start: Some(Time(link.started_at)),
        host: link.peer().host(),
        id: link.id,
        user: link.user.load().as_ref().map(|user| user.name.clone()).unwrap_or_default(),
        kind: if is_leaf { "Leafnode" } else { "Client" }.into(),
        client_type: if is_leaf { String::new() } else { client_type(link) },
        ..info
    })
}

fn client_type(link: &Link) -> String {
    if link.is_websocket() { "websocket" } else { "nats" }.into()
}

/// Adds where it is.
pub(crate) fn locate(hub: &Hub, info: &mut ClientInfo) {
    info.server.clone_from(&hub.identity.name);
    info.cluster.clone_from(&hub.news.borrow().cluster);
}
