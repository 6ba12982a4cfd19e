//! Other clusters: what they are told of interest in this one, what they want, and how they are sent it.
//!
//! [`Gateways`] is what all accounts share, [`Elsewhere`] what each has of its own; [`send`] delivers, and [`replies`] remembers
//! where answers go.

mod elsewhere;
pub(crate) mod replies;
pub(super) mod send;

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use natsd_core::gateway::command::{ALL_BEGIN, ALL_COMPLETE};
use natsd_core::gateway::encode::{write_account, write_interest};
use natsd_core::gateway::hello::GatewayInfo;
use natsd_core::gateway::interest::MAX_REMEMBERED;
use natsd_core::gateway::reply::{self, Hash};
use natsd_core::gateway::tally::Tally;
use parking_lot::{Mutex, RwLock};
use sha2::{Digest, Sha256};

use crate::config::options::GatewayOptions;
use crate::link::Link;
pub(super) use elsewhere::Elsewhere;

/// For how long after somebody subscribed other clusters may not know of it yet: answers find their way back by themselves.
pub(crate) const RECENT: Duration = Duration::from_secs(2);

/// What is kept of what others tell before it can be heeded.
const MAX_EARLY: usize = 1024;

/// What all accounts share. Does nothing without `gateway {}`.
pub(crate) struct Gateways {
    own: Option<Own>,
    outbound: ArcSwap<Vec<Arc<Link>>>,
    desks: RwLock<Vec<Arc<GatewayDesk>>>,
    directory: OnceLock<Weak<dyn Directory>>,
    /// What was told before there was one: routes come first.
    early: Mutex<Vec<(String, Vec<String>)>>,
    started: Instant,
}

/// Who we are in answers' subjects.
pub(crate) struct Own {
    /// The cluster.
    pub name: String,
    /// The same, as it is known by.
    pub cluster: Hash,
    /// This server.
    pub server: Hash,
    /// What subjects begin with that lead answers here.
    prefix: Vec<u8>,
}

/// Knows where other clusters are.
pub(crate) trait Directory: Send + Sync {
    /// A server of this cluster tells of another cluster.
    fn hear_of(&self, gateway: &str, urls: &[String]);
    /// What a server of this cluster is told that has just come.
    fn introduce(&self, route: &Arc<Link>);
}

/// What something is known by in the subjects of answers.
pub(crate) fn hash(name: &str) -> Hash {
    reply::hash(&Sha256::digest(name).into())
}

impl Own {
    fn new(options: &GatewayOptions, server_id: &str) -> Self {
        let (cluster, server) = (hash(&options.name), hash(server_id));
        Self { name: options.name.clone(), cluster, server, prefix: reply::prefix(cluster, server) }
    }
}

impl Gateways {
    pub(super) fn new(options: Option<&GatewayOptions>, server_id: &str) -> Self {
        Self {
            own: options.map(|options| Own::new(options, server_id)),
            outbound: ArcSwap::default(),
            desks: RwLock::default(),
            directory: OnceLock::new(),
            early: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// `None` without `gateway {}`.
    pub(crate) fn own(&self) -> Option<&Own> {
        self.own.as_ref()
    }

    /// From now on it is asked where other clusters are.
    pub(crate) fn lead_by(&self, directory: Weak<dyn Directory>) {
        let _ = self.directory.set(directory);
        let early = std::mem::take(&mut *self.early.lock());
        for (gateway, urls) in early {
            self.hear_of(&gateway, &urls);
        }
    }

    /// A server of this cluster tells of another cluster.
    pub(crate) fn hear_of(&self, gateway: &str, urls: &[String]) {
        // Under the lock, so that nothing is left behind when the directory comes.
        let mut early = self.early.lock();
        match self.directory() {
            Some(directory) => {
                drop(early);
                directory.hear_of(gateway, urls);
            }
            None if early.len() < MAX_EARLY => early.push((gateway.to_owned(), urls.to_vec())),
            None => {}
        }
    }

    /// Who knows where other clusters are.
    pub(crate) fn directory(&self) -> Option<Arc<dyn Directory>> {
        self.directory.get()?.upgrade()
    }

    /// Connections over which messages go to other clusters, the nearest first.
    pub(crate) fn outbound(&self) -> Guard<Arc<Vec<Arc<Link>>>> {
        self.outbound.load()
    }

    /// One more of them. `false` if there is one to its cluster already. What was matched so far does not count any more.
    pub(crate) fn open_outbound(&self, link: &Arc<Link>) -> bool {
        let name = |link: &Arc<Link>| link.gateway.get().map(|peer| peer.name.clone());
        let mut is_new = true;
        self.outbound.rcu(|known| {
            is_new = known.iter().all(|known| name(known) != name(link));
            let mut links = Vec::clone(known);
            links.extend(is_new.then(|| link.clone()));
            sort(links)
        });
        is_new
    }

    /// One less.
    pub(crate) fn close_outbound(&self, link: &Arc<Link>) {
        self.outbound.rcu(|known| {
            let mut links = Vec::clone(known);
            links.retain(|known| !Arc::ptr_eq(known, link));
            links
        });
    }

    /// The round trip of one of them was measured.
    pub(crate) fn measured(&self) {
        self.outbound.rcu(|known| sort(Vec::clone(known)));
    }

    /// From now on the server at the other end of `link` is told what this cluster wants in accounts that are opened for it.
    pub(crate) fn open_desk(&self, link: &Arc<Link>) -> Arc<GatewayDesk> {
        let desk = Arc::new(GatewayDesk { link: link.clone(), told: Mutex::default() });
        self.desks.write().push(desk.clone());
        desk
    }

    /// An inbound connection is over.
    pub(crate) fn close_desk(&self, link: &Arc<Link>) {
        self.desks.write().retain(|desk| !Arc::ptr_eq(&desk.link, link));
    }

    /// The inbound connections.
    pub(crate) fn desks(&self) -> Vec<Arc<GatewayDesk>> {
        self.desks.read().clone()
    }

    fn tell(&self, account: &[u8], subject: &[u8], queue: Option<&[u8]>, wanted: bool) {
        for desk in self.desks.read().iter() {
            desk.tell(account, subject, queue, wanted);
        }
    }

    /// Time in eighths of a second, which begins anew after two hours.
    fn tick(&self) -> u16 {
        (self.started.elapsed().as_millis() / 125) as u16
    }
}

impl Default for Gateways {
    /// There are no other clusters.
    fn default() -> Self {
        Self::new(None, "")
    }
}

fn sort(mut links: Vec<Arc<Link>>) -> Vec<Arc<Link>> {
    links.sort_by_key(|link| link.rtt.load(Relaxed));
    links
}

/// One inbound connection, and what the server at the other end was told.
pub(crate) struct GatewayDesk {
    pub link: Arc<Link>,
    told: Mutex<HashMap<Box<[u8]>, Told>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// All that is wanted in the account, and each change of it.
    All,
    /// That nobody knows the account.
    Unknown,
}

impl GatewayDesk {
    /// Tells all that is wanted in `account`, if that is not told yet. The caller sees to it that nothing changes meanwhile.
    fn open(&self, own: &Own, account: &[u8], wanted: &Tally) {
        let before = self.told.lock().insert(account.into(), Told::All);
        if before == Some(Told::All) {
            return;
        }
        let mut lines = Vec::new();
        if before == Some(Told::Unknown) {
            write_account(&mut lines, account, true);
        }
        lines.extend(GatewayInfo::of_account(&own.name, ALL_BEGIN, account).to_line());
        wanted.for_each(|subject, queue| write_interest(&mut lines, account, subject, queue, true));
        lines.extend(GatewayInfo::of_account(&own.name, ALL_COMPLETE, account).to_line());
        self.link.send_soon(|out| out.extend_from_slice(&lines));
    }

    fn tell(&self, account: &[u8], subject: &[u8], queue: Option<&[u8]>, wanted: bool) {
        if self.told.lock().get(account) == Some(&Told::All) {
            self.link.send_soon(|out| write_interest(out, account, subject, queue, wanted));
        }
    }

    /// A message came for an account that nobody knows here: says so, once.
    pub(crate) fn refuse(&self, account: &[u8]) {
        let mut told = self.told.lock();
        if told.len() < MAX_REMEMBERED && !told.contains_key(account) {
            told.insert(account.into(), Told::Unknown);
            drop(told);
            self.link.send_soon(|out| write_account(out, account, false));
        }
    }

    /// The accounts that something was told of, and whether that was all there is.
    pub(crate) fn accounts(&self) -> Vec<(Box<[u8]>, bool)> {
        self.told.lock().iter().map(|(name, told)| (name.clone(), *told == Told::All)).collect()
    }
}

#[cfg(test)]
mod tests;
