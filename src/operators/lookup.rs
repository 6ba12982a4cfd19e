//! Accounts that are not known yet: each is asked for once at a time, with those that it imports from.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
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
}

impl Default for Lookups {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(MAX_LOOKUPS)), doors: Mutex::default(), misses: Mutex::default() }
    }
}

impl Lookups {
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
                let all = self.fetch_with_imports(hub, key).await;
                if !all.is_empty() {
                    self.adopt(hub, all);
                }
                self.usable(key)
            }
            found => found,
        };
        self.lookups.doors.lock().remove(key);
        drop(inside);
        found
    }

    /// A known account whose token still holds.
    pub(crate) fn usable(&self, key: &str) -> Option<Arc<Known>> {
        self.known(key).filter(|known| !known.claims.has_expired(seconds()))
    }

    async fn fetch_with_imports(&self, hub: &Hub, key: &str) -> Vec<Arc<Known>> {
        let mut found = Vec::new();
        let mut wanted = VecDeque::from([key.to_owned()]);
        let mut seen = HashSet::from([key.to_owned()]);
        while let Some(next) = wanted.pop_front() {
            let Some(known) = self.fetch(hub, &next).await else {
                self.lookups.miss(&next);
                continue;
            };
            for import in &known.claims.body.imports {
                let new = self.usable(&import.account).is_none() && !self.lookups.is_missing(&import.account);
                if new && seen.len() < MAX_TOGETHER && seen.insert(import.account.clone()) {
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
