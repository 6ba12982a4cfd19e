//! What becomes due for accounts without anybody asking: imports whose permission ends, files that expire, and accounts that
//! others turned out to import from.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::{Operators, look_up, seconds};
use crate::hub::Hub;

/// How long nothing is looked at, at most: the clock of the machine may be set meanwhile.
const PAUSE: Duration = Duration::from_secs(3600);
/// Files that expire one after the other do so together.
const SHORT_PAUSE: Duration = Duration::from_secs(1);
/// Accounts that are sought at a time; others are found when their own users come.
const MAX_SOUGHT: usize = 4096;

/// See the [module](self).
#[derive(Default)]
pub(super) struct Upkeep {
    /// When what an account imports is to be looked at again, in seconds since 1970.
    ends: Mutex<BTreeSet<(i64, String)>>,
    sought: Mutex<BTreeSet<String>>,
    news: Notify,
}

impl Upkeep {
    /// A token that allows the account an import ends then, in seconds since 1970.
    pub(super) fn look_again(&self, at: i64, key: &str) {
        if self.ends.lock().insert((at, key.to_owned())) {
            self.news.notify_one();
        }
    }

    /// Somebody imports from this account, which is not known.
    pub(super) fn seek(&self, key: &str) {
        let mut sought = self.sought.lock();
        if sought.len() < MAX_SOUGHT && sought.insert(key.to_owned()) {
            self.news.notify_one();
        }
    }

    fn ended(&self, now: i64) -> HashSet<String> {
        let mut ends = self.ends.lock();
        let later = ends.split_off(&(now + 1, String::new()));
        std::mem::replace(&mut *ends, later).into_iter().map(|(_, key)| key).collect()
    }

    fn until_next_end(&self, now: i64) -> Duration {
        let next = self.ends.lock().first().map(|(at, _)| at.saturating_sub(now).max(0));
        next.map_or(PAUSE, |left| Duration::from_secs(left.unsigned_abs()))
    }
}

impl Operators {
    async fn until_next(&self) -> Duration {
        let of_files = self.with_store(|store| store.next_expiry()).await.flatten();
        let of_files = of_files.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default().max(SHORT_PAUSE));
        self.upkeep.until_next_end(seconds()).min(of_files.unwrap_or(PAUSE)).min(PAUSE)
    }

    async fn expire_files(&self) {
        match self.with_store(|store| store.expire(SystemTime::now())).await {
            Some(Ok(gone)) => gone.iter().for_each(|key| log::debug!("The file of account {key} has expired")),
            Some(Err(problem)) => log::error!("A file that has expired cannot be removed: {problem}"),
            None => {}
        }
    }
}

/// Does what becomes due, for as long as the server runs.
pub(crate) async fn keep_up(hub: Arc<Hub>) {
    let Some(operators) = hub.operators.get() else { return };
    loop {
        tokio::select! {
            () = tokio::time::sleep(operators.until_next().await) => {}
            () = operators.upkeep.news.notified() => {}
        }
        let ended = operators.upkeep.ended(seconds());
        if !ended.is_empty() {
            let _alone = operators.adopting.lock();
            operators.configure(&hub, &ended);
        }
        operators.expire_files().await;
        let sought = std::mem::take(&mut *operators.upkeep.sought.lock());
        for key in sought {
            tokio::spawn(look_up(hub.clone(), key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_told_once_and_not_too_early() {
        let upkeep = Upkeep::default();
        assert_eq!(upkeep.until_next_end(10), PAUSE);
        for (at, key) in [(20, "B"), (15, "A"), (15, "C"), (15, "A")] {
            upkeep.look_again(at, key);
        }
        assert_eq!(upkeep.until_next_end(10), Duration::from_secs(5));
        assert!(upkeep.ended(14).is_empty());
        assert_eq!(upkeep.ended(15), ["A", "C"].map(str::to_owned).into());
        assert_eq!(upkeep.until_next_end(30), Duration::ZERO);
        assert_eq!(upkeep.ended(30), ["B".to_owned()].into());
        assert!(upkeep.ended(i64::MAX - 1).is_empty());
    }
}
