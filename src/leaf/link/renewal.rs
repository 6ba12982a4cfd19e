//! What a leaf node may do after a reload, or after its account said something new.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use natsd_auth::{Permissions, User};
use natsd_core::error::{ClientError, CloseReason};

use super::{LeafLink, Role};
use crate::hub::Hub;
use crate::leaf::Shared;
use crate::leaf::admission::{Admitted, anonymous, directory, needs_proxy, way};
use crate::link::Link;
use crate::link::batch::Batch;
use crate::operators::{Pass, PassEnd, since_1970};

/// Who a leaf node is now.
enum Now {
    /// Who it was.
    Same,
    /// This user, and what its token grants.
    Other(Option<Arc<User>>, Option<Arc<Pass>>),
    /// Somebody in another account: it has to come again.
    Moved,
    /// Nobody: it has to go.
    Gone(CloseReason, Option<ClientError>),
}

const UNAUTHORIZED: Now = Now::Gone(CloseReason::AuthenticationFailure, Some(ClientError::Authorization));

impl LeafLink {
    /// Obeys what came while the connection was open.
    pub(super) fn renew(&mut self, batch: &mut Batch) {
        self.epoch = self.shared.hub.epoch();
        let Some(broker) = &self.broker else { return };
        let account_stays = self.shared.hub.accounts.get(&broker.account.name).is_some();
        let now = match &self.role {
            Role::Dialer { .. } if account_stays => Now::Same,
            Role::Dialer { .. } => Now::Gone(CloseReason::MissingAccount, None),
            Role::Acceptor { .. } if !account_stays => UNAUTHORIZED,
            Role::Acceptor { .. } => match self.link.pass.load_full() {
                Some(pass) => by_pass(&self.shared.hub, &self.link, &pass),
                None => by_configuration(&self.shared, &self.link, &broker.account.name),
            },
        };
        match now {
            Now::Same => {}
            Now::Other(user, pass) => self.become_user(user, pass, batch),
            Now::Moved => {
                log::info!("{} - Leafnode is to come again, into another account", self.link.describe());
                self.session.close(CloseReason::ClientClosed, None);
            }
            Now::Gone(reason, error) => {
                let text = error.map(|error| error.to_string());
                let why = text.clone().unwrap_or_else(|| reason.to_string());
                log::error!("{} - {why}", self.link.describe());
                self.session.close(reason, text.as_deref());
            }
        }
    }

    fn become_user(&mut self, user: Option<Arc<User>>, pass: Option<Arc<Pass>>, batch: &mut Batch) {
        let Some(broker) = &self.broker else { return };
        if let Some(pass) = &pass {
            self.expires = pass.ends().and_then(moment);
        }
        self.link.pass.store(pass);
        let permissions = user.as_ref().and_then(|user| user.permissions.clone());
        if permissions.as_deref() != broker.permissions() {
            // It has to know what it may do before it is told of interest in that. Rules that are not told stay as they are.
            let everything = Permissions::default();
            let told = permissions.as_deref().unwrap_or(&everything);
            self.session.tell(&self.shared.welcome(self.link.id, &broker.account, Some(told)));
            self.act(batch);
        }
        if let Some(broker) = &mut self.broker {
            broker.become_user(user);
        }
    }
}

/// When the connection ends of one who came in now, and what is said then.
pub(super) fn end_of(admitted: &Admitted) -> Option<(Instant, ClientError)> {
    let decided = || admitted.decided.flatten().map(|at| (at, ClientError::UserExpired));
    admitted.pass.as_ref().map_or_else(decided, |pass| pass.ends()).and_then(moment)
}

fn moment((since_1970_it_is, error): (Duration, ClientError)) -> Option<(Instant, ClientError)> {
    Some((Instant::now().checked_add(since_1970_it_is.saturating_sub(since_1970()))?, error))
}

fn by_pass(hub: &Hub, link: &Link, pass: &Pass) -> Now {
    let Some(operators) = hub.operators.get() else { return Now::Same };
    match operators.renew(pass) {
        Ok(None) => Now::Same,
        Ok(Some(new)) => {
            let name = link.user.load().as_ref().map_or_else(String::new, |user| user.name.clone());
            Now::Other(Some(new.user(&name)), Some(Arc::new(new)))
        }
        Err(PassEnd::Revoked) => Now::Gone(CloseReason::Revocation, Some(ClientError::UserRevoked)),
        Err(PassEnd::OtherKey) => Now::Gone(CloseReason::AuthenticationFailure, None),
        Err(PassEnd::NoAccount) => UNAUTHORIZED,
        Err(PassEnd::Refused(refusal)) => {
            log::debug!("{} - {refusal}", link.describe());
            UNAUTHORIZED
        }
    }
}

fn by_configuration(shared: &Shared, link: &Link, account: &[u8]) -> Now {
    if shared.hub.operators.get().is_some() {
        return Now::Same;
    }
    let before = link.user.load_full();
    if link.decided.load(Relaxed) {
        return Now::Same;
    }
    let (own, hub) = (shared.options.load(), shared.hub.options());
    let came_empty = link.anonymous.load(Relaxed);
    let now = match directory(&own, &hub) {
        Some(_) if came_empty => anonymous(&own, &hub, link.is_websocket()).cloned().map(Some),
        Some(users) => before.as_deref().and_then(|before| users.renew(before)).map(Some),
        None => Some(own.directory.as_ref().and_then(|own| own.anonymous().cloned())),
    };
    let (way, proxied) = (way(link.is_websocket()), link.proxy.lock().is_some());
    let asked = own.directory.as_ref().is_none_or(|own| own.is_open());
    let callout = hub.authorization.callout.as_ref().filter(|_| asked);
    let decides = |user: &User| callout.is_some_and(|callout| callout.decides_on(&user.name, None));
    let stays =
        |user: &Arc<User>| user.may_come_by(way) && (proxied || !needs_proxy(&own, &hub, user)) && !decides(user);
    let Some(now) = now.filter(|now| now.as_ref().is_none_or(stays)) else { return UNAUTHORIZED };
    let account_now = now.as_ref().map_or(natsd_auth::account::GLOBAL, |user| &user.account);
    if account_now.as_bytes() != account {
        return Now::Moved;
    }
    if now == before { Now::Same } else { Now::Other(now, None) }
}
