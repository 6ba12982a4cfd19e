//! What an account takes from others.
//!
//! A subscription of a client here to what is imported has a shadow in the exporting account, and so has interest of leaf
//! nodes: there it is found when something is published, and from there other servers hear of the interest. A service is looked up when something is
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
use super::shadow::{Follower, Shadow};

/// A stream of another account.
pub(crate) struct StreamImport {
    pub exporter: Arc<Account>,
    pub renaming: Renaming,
    /// Messages are traced on into the account that imports.
    pub allow_trace: bool,
}

impl StreamImport {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.exporter, &other.exporter)
            && (&self.renaming, self.allow_trace) == (&other.renaming, other.allow_trace)
    }
}

/// A service of another account.
pub(crate) struct ServiceImport {
    pub exporter: Arc<Account>,
    pub renaming: Renaming,
    /// The service is told who asks.
    pub share: bool,
    /// As it is exported.
    pub export: Service,
    /// All accounts have it, for the streams of other servers.
    pub streams: bool,
}

impl ServiceImport {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.exporter, &other.exporter)
            && (&self.renaming, self.share, &self.export) == (&other.renaming, other.share, &other.export)
            && self.streams == other.streams
    }
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
    /// By the key of whom they are of.
    shadows: HashMap<usize, Vec<Shadow>>,
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

    /// `account`, whose imports these are, takes this from now on, and nothing else. What stays is not touched: its messages
    /// come without a gap, and none of them twice.
    pub(super) fn replace(
        &self,
        account: &Account,
        streams: Vec<Arc<StreamImport>>,
        services: Vec<Arc<ServiceImport>>,
    ) {
        if !is_same(&self.services.load(), &services, ServiceImport::is_same) {
            self.services.store(Arc::new(services));
            account.changed();
            account.stand_for_leafs();
        }
        let mut state = self.streams.lock();
        if is_same(&state.imports, &streams, StreamImport::is_same) {
            return;
        }
        self.has_streams.store(true, Ordering::Release);
        let gone = state.adopt(streams);
        // After the flag: a subscription that is not listed yet sees the flag, and follows itself.
        for subscription in account.own_subscriptions() {
            state.follow(Follower::Client(&subscription));
        }
        for interest in account.leaf_interest() {
            state.follow(Follower::Leaf(&interest));
        }
        drop(state);
        gone.iter().for_each(Shadow::remove);
    }

    /// `follower`, which has just been added, gets what is imported as well.
    pub(super) fn follow(&self, follower: Follower<'_>) {
        if self.has_streams.load(Ordering::Acquire) {
            self.streams.lock().follow(follower);
        }
    }

    /// `follower` has another number of members now.
    pub(super) fn reweigh(&self, follower: Follower<'_>, weight: u32) {
        if self.has_streams.load(Ordering::Acquire) {
            let state = self.streams.lock();
            state.shadows.get(&follower.key()).into_iter().flatten().for_each(|shadow| shadow.reweigh(weight));
        }
    }

    /// `follower`, which has just been removed, gets nothing any more.
    pub(super) fn unfollow(&self, follower: Follower<'_>) {
        if self.has_streams.load(Ordering::Acquire) {
            let shadows = self.streams.lock().shadows.remove(&follower.key());
            shadows.iter().flatten().for_each(Shadow::remove);
        }
    }
}

fn is_same<T>(before: &[Arc<T>], now: &[Arc<T>], same: fn(&T, &T) -> bool) -> bool {
    before.len() == now.len() && before.iter().zip(now).all(|(before, now)| same(before, now))
}

impl Streams {
    /// Takes other imports, and those that stay as they are. Returns the shadows that are gone from the list, and are still
    /// to be removed.
    fn adopt(&mut self, imports: Vec<Arc<StreamImport>>) -> Vec<Shadow> {
        let known = |new: &Arc<StreamImport>| self.imports.iter().find(|known| known.is_same(new)).cloned();
        self.imports = imports.into_iter().map(|new| known(&new).unwrap_or(new)).collect();
        let mut gone = Vec::new();
        self.shadows.retain(|_, shadows| {
            let stays = |shadow: &Shadow| self.imports.iter().any(|import| shadow.is_of(import));
            gone.extend(shadows.extract_if(.., |shadow| !stays(shadow)));
            !shadows.is_empty()
        });
        gone
    }

    fn follow(&mut self, follower: Follower<'_>) {
        if self.imports.is_empty() {
            return;
        }
        let mut shadows = self.shadows.remove(&follower.key()).unwrap_or_default();
        for import in &self.imports {
            if shadows.iter().any(|shadow| shadow.is_of(import)) {
                continue;
            }
            if let Some(foreign) = import.renaming.foreign_part(follower.subject()) {
                shadows.push(follower.cast(import, &foreign));
            }
        }
        if !shadows.is_empty() {
            self.shadows.insert(follower.key(), shadows);
        }
    }
}

#[cfg(test)]
mod tests {
    use natsd_auth::account::AccountSpec;

    use super::*;
    use crate::hub::remote::RemoteInterest;
    use crate::hub::stage::link;
    use crate::hub::subscription::Subscription;
    use crate::link::Kind;

    fn account(name: &str) -> Arc<Account> {
        Arc::new(Account::new(AccountSpec::named(name), Arc::default(), &Arc::default()))
    }

    fn import(exporter: &Arc<Account>, subject: &str) -> Arc<StreamImport> {
        let renaming = Renaming::new(subject, subject).expect("a subject");
        Arc::new(StreamImport { exporter: exporter.clone(), renaming, allow_trace: false })
    }

    #[test]
    fn what_stays_imported_is_not_touched() {
        let (exporter, importer) = (account("A"), account("B"));
        let subscription = Arc::new(Subscription::new(link(Kind::Client), importer.clone(), b">", None, b"1"));
        importer.subscribe(subscription.clone());
        let take = |subjects: &[&str]| {
            let streams = subjects.iter().map(|subject| import(&exporter, subject)).collect();
            importer.imports.replace(&importer, streams, Vec::new());
            let mut shadows = exporter.own_and_imported();
            shadows.sort_by_key(|shadow| shadow.subject().to_vec());
            shadows
        };
        let first = take(&["a", "b"]);
        assert_eq!(first.iter().map(|shadow| shadow.subject()).collect::<Vec<_>>(), [b"a", b"b"]);
        let generation = exporter.generation();
        let again = take(&["a", "b"]);
        assert!(first.iter().zip(&again).all(|(first, again)| Arc::ptr_eq(first, again)));
        assert_eq!(exporter.generation(), generation, "and nothing that was matched is forgotten");
        let other = take(&["b", "c"]);
        assert!(Arc::ptr_eq(&other[0], &first[1]));
        assert_eq!((other.len(), other[1].subject()), (2, &b"c"[..]));
        assert!(take(&[]).is_empty());
        importer.unsubscribe(&[subscription]);
    }

    #[test]
    fn leaf_nodes_follow_what_is_imported_and_servers_of_the_cluster_do_not() {
        let (exporter, importer) = (account("A"), account("B"));
        let take = |subjects: &[&str]| {
            let streams = subjects.iter().map(|subject| import(&exporter, subject)).collect();
            importer.imports.replace(&importer, streams, Vec::new());
        };
        let leaf = link(Kind::Leaf);
        let wants = |link, subject: &[u8], queue| Arc::new(RemoteInterest::new(link, subject, queue, 2));
        let [before, group] = [(&b">"[..], None), (b"a", Some(&b"q"[..]))].map(|(subject, queue)| {
            let interest = wants(leaf.clone(), subject, queue);
            importer.add_remote(interest.clone());
            interest
        });
        importer.add_remote(wants(link(Kind::Route), b"a", None));
        let shadows = || {
            let mut found: Vec<_> = exporter.interest_behind(leaf.id);
            found.sort_by_key(|shadow| (shadow.queue().map(<[u8]>::to_vec), shadow.subject().to_vec()));
            found.iter().map(|it| (String::from_utf8_lossy(it.subject()).into_owned(), it.weight())).collect::<Vec<_>>()
        };
        take(&["a", "b"]);
        assert_eq!(shadows(), [("a".into(), 2), ("b".into(), 2), ("a".into(), 2)]);
        importer.reweigh(&group, 5);
        take(&["a"]);
        assert_eq!(shadows(), [("a".into(), 2), ("a".into(), 5)]);
        importer.remove_remote(&before);
        assert_eq!(shadows(), [("a".into(), 5)]);
        importer.remove_remote(&group);
        assert!(shadows().is_empty());
    }
}
