//! What an account takes from others.
//!
//! A subscription of a client here to what is imported has a shadow in the exporting account: there it is found when
//! something is published, and from there other servers hear of the interest. A service is looked up when something is
//! published here.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use natsd_auth::account::Service;
use natsd_core::subject;
use natsd_core::transform::Renaming;
use parking_lot::Mutex;

use super::account::Account;
use super::subscription::Subscription;

/// A stream of another account.
pub(crate) struct StreamImport {
    pub exporter: Arc<Account>,
    pub renaming: Renaming,
}

/// A service of another account.
pub(crate) struct ServiceImport {
    pub exporter: Arc<Account>,
    pub renaming: Renaming,
    /// The service is told who asks.
    pub share: bool,
    /// As it is exported.
    pub export: Service,
}

/// See the [module](self).
#[derive(Default)]
pub(crate) struct Imports {
    services: ArcSwap<Vec<Arc<ServiceImport>>>,
    streams: Mutex<Streams>,
    /// There are streams, or were.
    has_streams: AtomicBool,
}

#[derive(Default)]
struct Streams {
    imports: Vec<Arc<StreamImport>>,
    /// By the address of the subscription that they are of.
    shadows: HashMap<usize, Vec<Arc<Subscription>>>,
}

impl Imports {
    /// The services that a request to `subject` goes to.
    pub(super) fn find_services(&self, subject: &[u8], found: &mut Vec<Arc<ServiceImport>>) {
        let services = self.services.load();
        found.extend(services.iter().filter(|import| subject::matches(import.renaming.local(), subject)).cloned());
    }

    /// All services.
    pub(crate) fn services(&self) -> Vec<Arc<ServiceImport>> {
        self.services.load().to_vec()
    }

    /// `account`, whose imports these are, takes this from now on, and nothing else.
    pub(super) fn replace(
        &self,
        account: &Account,
        streams: Vec<Arc<StreamImport>>,
        services: Vec<Arc<ServiceImport>>,
    ) {
        if !services.is_empty() || !self.services.load().is_empty() {
            self.services.store(Arc::new(services));
            account.changed();
        }
        let mut state = self.streams.lock();
        if streams.is_empty() && state.imports.is_empty() {
            return;
        }
        self.has_streams.store(true, Ordering::Release);
        let old: Vec<_> = state.shadows.drain().flat_map(|(_, shadows)| shadows).collect();
        state.imports = streams;
        // After the flag: a subscription that is not listed yet sees the flag, and follows itself.
        for subscription in account.own_subscriptions() {
            state.follow(&subscription);
        }
        drop(state);
        for shadow in old {
            shadow.account.remove(std::slice::from_ref(&shadow));
        }
    }

    /// `subscription`, which has just been added, gets what is imported as well.
    pub(super) fn follow(&self, subscription: &Arc<Subscription>) {
        if self.has_streams.load(Ordering::Acquire) {
            self.streams.lock().follow(subscription);
        }
    }

    /// These, which have just been removed, get nothing any more.
    pub(super) fn unfollow(&self, subscriptions: &[Arc<Subscription>]) {
        if !self.has_streams.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.streams.lock();
        for subscription in subscriptions {
            for shadow in state.shadows.remove(&key(subscription)).unwrap_or_default() {
                shadow.account.remove(std::slice::from_ref(&shadow));
            }
        }
    }
}

fn key(subscription: &Arc<Subscription>) -> usize {
    Arc::as_ptr(subscription) as usize
}

impl Streams {
    fn follow(&mut self, subscription: &Arc<Subscription>) {
        if self.imports.is_empty() || self.shadows.contains_key(&key(subscription)) {
            return;
        }
        let mut shadows = Vec::new();
        for import in &self.imports {
            if let Some(foreign) = import.renaming.foreign_part(subscription.subject()) {
                let shadow = Arc::new(Subscription::shadow(subscription, import, &foreign));
                import.exporter.insert(shadow.clone());
                shadows.push(shadow);
            }
        }
        if !shadows.is_empty() {
            self.shadows.insert(key(subscription), shadows);
        }
    }
}
