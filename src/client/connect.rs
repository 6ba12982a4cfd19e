//! `CONNECT`.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use natsd_core::connect::{ConnectError, Settings};
use natsd_core::error::{ClientError, CloseReason};

use super::{Client, End};
use crate::hub::account::Account;
use crate::link::batch::Batch;

impl Client {
    pub(super) fn connect(&mut self, json: &[u8], batch: &mut Batch) -> Result<(), End> {
        let mut settings = self.link.settings.lock().clone().unwrap_or_else(|| Box::new(Settings::default()));
        let mut credentials = settings.apply(json).map_err(|error| match error {
            ConnectError::Refused(error) => End::Told(error),
            ConnectError::Malformed(_) => {
                log::error!("{} - {error}", self.link.describe());
                End::Silent(CloseReason::ProtocolViolation)
            }
        })?;
        let proxy_signature = std::mem::take(&mut credentials.proxy_signature);
        if let Some(cookies) = &self.cookies {
            let fill = |given: &mut String, cookie: &String| {
                if given.is_empty() {
                    given.clone_from(cookie);
                }
            };
            fill(&mut credentials.jwt, &cookies.jwt);
            fill(&mut credentials.user, &cookies.user);
            fill(&mut credentials.password, &cookies.password);
            fill(&mut credentials.token, &cookies.token);
        }
        self.check_proxy(&credentials, &proxy_signature)?;
        self.authenticate(&credentials, settings, batch)
    }

    /// The client is who it says: `settings` are obeyed.
    pub(super) fn settle(&mut self, mut settings: Box<Settings>, batch: &mut Batch) -> Result<(), End> {
        settings.check(!self.hub.options().no_header_support).map_err(End::Told)?;
        if let Some(tls) = self.link.tls.get() {
            tls.forget_shown();
        }
        if self.link.rtt.load(Relaxed) == 0 {
            // It began with INFO and its answer; pings measure it better.
            let since = self.link.started.elapsed().as_nanos().max(1);
            self.link.rtt.store(u64::try_from(since).unwrap_or(u64::MAX), Relaxed);
        }
        let flags = &mut self.flags;
        flags.verbose = settings.verbose;
        flags.pedantic = settings.pedantic;
        flags.echo = settings.echo;
        flags.no_responders = settings.no_responders;
        flags.async_info = settings.protocol >= 1;
        self.limits.headers = settings.headers;
        self.link.outbound().takes_headers = settings.headers;
        *self.link.settings.lock() = Some(settings);
        self.hub.events.connected(&self.hub, &self.link);
        self.hub.journal.client_joined(&self.link);
        self.acknowledge(batch);
        Ok(())
    }

    /// The client is not who it says, or does not say it.
    pub(super) fn unauthorized(&self, about: &str) -> End {
        self.keep_away(ClientError::Authorization, about)
    }

    /// As [`unauthorized`](Self::unauthorized), for this reason.
    pub(super) fn keep_away(&self, error: ClientError, about: &str) -> End {
        let reason = error.closes().unwrap_or(CloseReason::AuthenticationFailure).to_string();
        self.tell_of_refusal(self.hub.accounts.global(), &reason, about);
        End::Refused(error)
    }

    /// As [`unauthorized`](Self::unauthorized); `account` is told this reason.
    pub(super) fn unauthorized_in(&self, account: &Arc<Account>, reason: &str, about: &str) -> End {
        self.tell_of_refusal(account, reason, about);
        End::Refused(ClientError::Authorization)
    }

    fn tell_of_refusal(&self, account: &Arc<Account>, reason: &str, about: &str) {
        log::error!("{} - authentication error{about}", self.link.describe());
        self.hub.events.refused(&self.hub, &self.link, &self.claimed, (account, reason));
        self.hub.journal.refused(&self.link, &self.claimed, reason);
    }
}
