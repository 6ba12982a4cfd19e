//! What others are told of a client, or of a leaf node.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use natsd_api::{ClientInfo, Time};
use natsd_core::encode::Message;
use natsd_core::header;
use parking_lot::RwLock;

use super::Hub;
use super::service::REQUEST_INFO;
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

/// What accounts are called at the hubs that they are connected to as leaf nodes.
#[derive(Default)]
pub(crate) struct NamesAtHubs(RwLock<HashMap<String, String>>);

impl NamesAtHubs {
    /// A hub says what an account is called there.
    pub(crate) fn learn(&self, account: String, at_hub: &str) {
        if !at_hub.is_empty() {
            self.0.write().insert(account, at_hub.to_owned());
        }
    }

    /// The request as the hub understands it, which knows the account of who asks by another name. `None` if it may go as
    /// it is. It is written into `body`.
    #[cold]
    pub(super) fn translate<'a>(&self, request: &Message<'a>, body: &'a mut Vec<u8>) -> Option<Message<'a>> {
        let info = header::get(request.headers(), REQUEST_INFO)?;
        let mut info: serde_json::Value = serde_json::from_slice(info).ok()?;
        let account = info.get_mut("acc")?;
        let at_hub = self.0.read().get(account.as_str()?).filter(|name| *account != **name)?.clone();
        *account = at_hub.into();
        header::write_with(body, request.headers(), REQUEST_INFO, info.to_string().as_bytes());
        let header_len = body.len();
        body.extend_from_slice(request.payload());
        Some(Message { header_len, body, ..*request })
    }
}

/// Adds where it is.
pub(crate) fn locate(hub: &Hub, info: &mut ClientInfo) {
    info.server.clone_from(&hub.identity.name);
    info.cluster.clone_from(&hub.news.borrow().cluster);
    let name = |link: &Arc<Link>| link.gateway.get().map(|peer| peer.name.clone());
    info.alternates = hub.gateways.outbound().iter().filter_map(name).collect();
}
