//! Accounts that are not known yet: each is asked for once at a time, with those that it imports from.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{Known, Operators, seconds};
use crate::hub::Hub;

/// How long an account is taken not to be there that was not there.
const MISS: Duration = Duration::from_secs(2);
/// How many of these are remembered.
const MAX_MISSES: usize = 16 * 1024;
/// Lookups at the same time; other clients wait.
const MAX_LOOKUPS: usize = 256;
/// Accounts that one may import from, and those from others, and so on.
const MAX_TOGETHER: usize = 256;

pub(super) struct Lookups {
    turns: Arc<Semaphore>,
    /// Who asks for an account holds its door.
    doors: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    misses: Mutex<HashMap<String, Instant>>,
    /// As many as there are turns, and some that are over.
    fetches: Mutex<Vec<Weak<Fetch>>>,
}

/// Tokens that are on their way here.
pub(super) struct Fetch {
    keys: Mutex<HashSet<String>>,
    /// One of them may be another by now.
    outdated: AtomicBool,
}

impl Fetch {
    /// Whether this account is to be fetched as well, which it is only once.
    fn adds(&self, key: &str) -> bool {
        let mut keys = self.keys.lock();
        keys.len() < MAX_TOGETHER && keys.insert(key.to_owned())
    }
}

impl Default for Lookups {
    fn default() -> Self {
        let turns = Arc::new(Semaphore::new(MAX_LOOKUPS));
        Self { turns, doors: Mutex::default(), misses: Mutex::default(), fetches: Mutex::default() }
    }
}

impl Lookups {
    /// This account is about to be fetched.
    pub(super) fn begin(&self, key: &str) -> Arc<Fetch> {
        let fetch =
            Arc::new(Fetch { keys: Mutex::new(HashSet::from([key.to_owned()])), outdated: AtomicBool::new(false) });
        let mut fetches = self.fetches.lock();
        fetches.retain(|fetch| fetch.strong_count() > 0);
        fetches.push(Arc::downgrade(&fetch));
        fetch
    }

    fn is_missing(&self, key: &str) -> bool {
        self.misses.lock().get(key).is_some_and(|since| since.elapsed() < MISS)
    }

    fn miss(&self, key: &str) {
        let mut misses = self.misses.lock();
        if misses.len() >= MAX_MISSES {
            misses.retain(|_, since| since.elapsed() < MISS);
        }
        if misses.len() < MAX_MISSES {
            misses.insert(key.to_owned(), Instant::now());
        }
    }

    pub(super) fn forget_misses(&self) {
        self.misses.lock().clear();
    }

    /// As [`forget_misses`](Self::forget_misses), of one account.
    pub(super) fn forget_miss(&self, key: &str) {
        self.misses.lock().remove(key);
    }
}

/// The account with this public key; `None` if nobody vouches for it. What has begun goes on without whoever asked.
pub(crate) async fn look_up(hub: Arc<Hub>, key: String) -> Option<Arc<Known>> {
    let turn = hub.operators.get()?.lookups.turns.clone().acquire_owned().await.ok()?;
    let task = async move {
        let found = hub.operators.get()?.look_up(&hub, &key).await;
        drop(turn);
        found
    };
    tokio::spawn(task).await.ok().flatten()
}

impl Operators {
    async fn look_up(&self, hub: &Hub, key: &str) -> Option<Arc<Known>> {
        let door = self.lookups.doors.lock().entry(key.to_owned()).or_default().clone();
        let inside = door.lock().await;
        let found = match self.usable(key) {
            None if self.lookups.is_missing(key) => None,
            None => {
                self.fetch_and_adopt(hub, key).await;
                self.usable(key)
            }
            found => found,
        };
        self.lookups.doors.lock().remove(key);
        drop(inside);
        found
    }

    async fn fetch_and_adopt(&self, hub: &Hub, key: &str) {
        loop {
            let fetch = self.lookups.begin(key);
            let all = self.fetch_with_imports(hub, &fetch).await;
            if self.adopt_fetched(hub, all, &fetch) {
                return;
            }
            fetch.keys.lock().iter().for_each(|key| self.lookups.forget_miss(key));
        }
    }

    /// From now on these accounts are as said, unless their tokens may have changed since they were fetched: `false`.
    pub(super) fn adopt_fetched(&self, hub: &Hub, accounts: Vec<Arc<Known>>, fetch: &Fetch) -> bool {
        let alone = self.adopting.lock();
        let current = !fetch.outdated.load(Relaxed);
        if current && !accounts.is_empty() {
            self.adopt_alone(hub, accounts, &alone);
        }
        current
    }

    /// The token of this account, or of any, may be another now where it comes from. To be said before it is looked which
    /// accounts are known: one that is being looked up has become known by then, or will be as it is now.
    pub(super) fn renewed(&self, key: Option<&str>) {
        let _alone = self.adopting.lock();
        for fetch in self.lookups.fetches.lock().iter().filter_map(Weak::upgrade) {
            if key.is_none_or(|key| fetch.keys.lock().contains(key)) {
                fetch.outdated.store(true, Relaxed);
            }
        }
    }

    /// A known account whose token still holds.
    pub(crate) fn usable(&self, key: &str) -> Option<Arc<Known>> {
        self.known(key).filter(|known| !known.claims.has_expired(seconds()))
    }

    pub(super) async fn fetch_with_imports(&self, hub: &Hub, fetch: &Fetch) -> Vec<Arc<Known>> {
        let mut found = Vec::new();
        let mut wanted: VecDeque<String> = fetch.keys.lock().iter().cloned().collect();
        while let Some(next) = wanted.pop_front() {
            let Some(known) = self.fetch(hub, &next).await else {
                self.lookups.miss(&next);
                continue;
            };
            for import in &known.claims.body.imports {
                let new = self.usable(&import.account).is_none() && !self.lookups.is_missing(&import.account);
                if new && fetch.adds(&import.account) {
                    wanted.push_back(import.account.clone());
                }
            }
            found.push(known);
        }
        found
    }

    async fn fetch(&self, hub: &Hub, key: &str) -> Option<Arc<Known>> {
        let options = hub.options().clone();
        let options = options.operator.as_ref()?;
        let own = match self.source.fetch(options, key).await {
            Ok(token) => token,
            Err(problem) => {
                log::warn!("Account {key} cannot be had from the resolver: {problem}");
                return None;
            }
        };
        let (token, is_own) = match own {
            Some(token) => (Some(token), true),
            None => (self.ask_others(options, key).await, false),
        };
        let Some(token) = token else {
            log::warn!("Account {key} is not to be had from the resolver");
            return None;
        };
        match self.read(key, token) {
            Ok(known) => {
                if !is_own {
                    self.keep(key, &known.token).await;
                }
                Some(known)
            }
            Err(problem) => {
                log::error!("Account {key}: {problem}");
                None
            }
        }
    }
}
