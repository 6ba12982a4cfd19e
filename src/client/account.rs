//! Which account the client is in, and what a reload changes in what it may do.

use std::sync::Arc;

use natsd_auth::User;
use natsd_auth::account::GLOBAL;
use natsd_core::encode::write_error;
use natsd_core::error::ClientError;

use super::{Client, End, limits, mappings};
use crate::hub::cache::MatchCache;
use crate::hub::subscription::Subscription;
use crate::link::batch::Batch;
use crate::link::outbound::AllowedReplies;

impl Client {
    /// The client is in the account of this name from now on, if that takes one more. Its subscriptions have ended.
    pub(super) fn enter(&mut self, name: &str) -> Result<(), End> {
        if self.entered && *self.account.name == *name.as_bytes() {
            return Ok(());
        }
        let account = self.hub.accounts.get(name.as_bytes()).ok_or_else(|| self.unauthorized(""))?;
        self.leave();
        // Before there is room or not: a limit that comes meanwhile counts this one as well.
        self.link.account.store(Some(account.clone()));
        let room = account.enter();
        self.hub.events.count_changed(&account);
        self.account = account;
        self.entered = true;
        self.adopt_limits();
        if room { Ok(()) } else { Err(End::Told(ClientError::MaxAccountConnections)) }
    }

    /// The client is not counted any more.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.entered) {
            self.account.leave();
            self.hub.events.count_changed(&self.account);
        }
    }

    /// Obeys the limits and mappings that are configured now.
    pub(super) fn adopt_limits(&mut self) {
        self.limits = limits(&self.hub, &self.account, self.limits.headers);
        if let Some(payload) = self.granted.payload {
            self.limits.max_payload = self.limits.max_payload.min(payload);
        }
        self.mappings = mappings(&self.account);
    }

    /// What was matched so far, and who the client is, may have changed.
    pub(super) fn become_user(&mut self, user: Option<Arc<User>>) {
        self.permissions = user.as_ref().and_then(|user| user.permissions.clone());
        self.cache = MatchCache::default();
        self.link.outbound().replies = self.permissions.as_ref().and_then(AllowedReplies::new);
        self.link.user.store(user);
    }

    /// Obeys options that came while the client was connected.
    pub(super) fn reload(&mut self, batch: &mut Batch) -> Result<(), End> {
        self.epoch = self.hub.epoch();
        self.renew_pass()?;
        self.adopt_limits();
        let Some(user) = self.link.renewed.lock().take() else { return Ok(()) };
        let before = self.account.clone();
        let name = user.as_ref().map_or(GLOBAL, |user| &user.account).to_owned();
        let subscriptions: Vec<_> = self.link.subscriptions.lock().iter().cloned().collect();
        self.become_user(user);
        self.enter(&name)?;
        let moves = !Arc::ptr_eq(&before, &self.account);
        for old in subscriptions {
            let stays = self.permissions.as_ref().is_none_or(|may| may.may_subscribe(old.subject(), old.queue()));
            if stays && !moves {
                self.account.filter(&old);
                continue;
            }
            self.link.subscriptions.lock().remove(&old);
            before.unsubscribe(std::slice::from_ref(&old));
            if stays {
                let new = Arc::new(old.again(self.account.clone()));
                self.link.subscriptions.lock().insert(new.clone());
                self.account.subscribe(new);
            } else {
                self.refuse_from_now_on(&old, batch);
            }
        }
        Ok(())
    }

    /// The client may not have a subscription any more.
    fn refuse_from_now_on(&self, old: &Subscription, batch: &mut Batch) {
        old.end(None);
        let (subject, sid) = (String::from_utf8_lossy(old.subject()), String::from_utf8_lossy(old.sid()));
        let text = format!("Permissions Violation for Subscription to \"{subject}\" (sid \"{sid}\")");
        log::error!("{} - {text}", self.link.describe());
        self.link.send(batch, |out| write_error(out, &text));
    }
}
