//! What monitoring shows of routes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use natsd_api::SubjectPermissions;
use natsd_core::route::hello::SubjectRules;
use natsd_core::route::session::Slot;

use super::{Routes, rules};
use crate::hub::account::Account;
use crate::hub::remote::RemoteInterest;
use crate::link::Link;
use crate::monitor::{RouteFacts, RoutePermissions, RouteSource, Subscription};

/// An open route.
#[derive(Clone)]
pub(crate) struct RouteStatus {
    /// The connection: its counters, times and addresses.
    pub link: Arc<Link>,
    /// Id of the peer.
    pub remote_id: String,
    /// Name of the peer.
    pub remote_name: String,
    /// What the peer takes of messages.
    pub import: Option<SubjectRules>,
    /// What the peer gives of messages.
    pub export: Option<SubjectRules>,
    /// Whether this server dialled.
    pub did_solicit: bool,
    /// Whether it is in the configuration.
    pub is_configured: bool,
    /// Which of the connections to the peer it is.
    pub slot: Slot,
}

impl Routes {
    fn interest_behind(&self, rid: u64) -> Vec<(Arc<Account>, Arc<RemoteInterest>)> {
        let accounts = self.shared.hub.accounts.with_strangers().into_iter();
        accounts
            .flat_map(|account| account.interest_behind(rid).into_iter().map(move |i| (account.clone(), i)))
            .collect()
    }
}

fn shown(rules: SubjectRules) -> SubjectPermissions {
    SubjectPermissions { allow: rules.allow, deny: rules.deny }
}

impl RouteSource for Routes {
    fn facts(&self, rid: u64) -> Option<RouteFacts> {
        let route = self.shared.announcer.status_of(rid)?;
        let (account, class) = match route.slot {
            Slot::Pool(_) => Default::default(),
            Slot::Account(account) => (account, String::new()),
            Slot::Class(pattern, _) => (String::new(), pattern),
        };
        Some(RouteFacts {
            subscriptions: route.link.interests.load(Relaxed),
            remote_id: route.remote_id,
            remote_name: route.remote_name,
            permissions: (route.import.map(shown), route.export.map(shown)),
            did_solicit: route.did_solicit,
            is_configured: route.is_configured,
            account,
            class,
            compression: route.link.compression(),
        })
    }

    fn permissions(&self) -> RoutePermissions {
        let (import, export) = rules(&self.shared.options.load());
        (import.map(shown), export.map(shown))
    }

    fn ring(&self) -> Vec<String> {
        self.shared.announcer.hops().map(|hops| hops.ring().to_vec()).unwrap_or_default()
    }

    fn subscriptions_of(&self, rid: u64) -> Vec<Subscription> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let row = |(account, interest): (Arc<Account>, Arc<RemoteInterest>)| {
            let (account, subject) = (text(&account.name), text(interest.subject()));
            let queue = text(interest.queue().unwrap_or_default());
            let sid = format!("R {account} {subject} {queue}").trim_end().to_owned();
            Subscription { account, subject, queue, sid, msgs: 0, max: 0, cid: rid }
        };
        self.interest_behind(rid).into_iter().map(row).collect()
    }
}
