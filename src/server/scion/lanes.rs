//! Which routes choose their paths for themselves: those of a pool that is spread over disjoint paths, and those of accounts
//! and of subjects with wishes of their own.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use natsd_core::route::session::Slot;
use natsd_scion::{Endpoint, Host, Identity, Lane, ListenError, Stream};
use parking_lot::Mutex;

use crate::config::options::{PoolPaths, ScionOptions};
use crate::transport::{Connection, scion};

/// What the options say of it at the time.
#[derive(Clone)]
pub(super) struct LaneChoice(Arc<ArcSwap<ScionOptions>>);

impl LaneChoice {
    pub(super) fn new(options: Arc<ArcSwap<ScionOptions>>) -> Self {
        Self(options)
    }

    /// The lane of a route with this place among those to the same peer.
    pub(super) fn lane(&self, slot: &Slot) -> Lane {
        let options = self.0.load();
        match slot {
            Slot::Pool(index) if options.pool_paths == PoolPaths::Disjoint => Lane::Numbered(*index),
            Slot::Account(name) if options.wishes.accounts.contains_key(name) => Lane::Account(name.as_str().into()),
            Slot::Class(pattern, number) if options.wishes.subjects.contains_key(pattern) => {
                Lane::Subjects(pattern.as_str().into(), *number)
            }
            Slot::Pool(_) | Slot::Account(_) | Slot::Class(..) => Lane::default(),
        }
    }

    /// A connection that came: its path is chosen when its place is known.
    pub(super) fn steered(&self, host: &Host, stream: Stream) -> Connection {
        let (host, choice, stats) = (host.clone(), self.clone(), stream.stats());
        let steer = move |slot: &Slot| host.steer(&stats, choice.lane(slot));
        Connection { steering: Some(Box::new(steer)), ..scion::connection(stream) }
    }
}

/// The endpoints to dial from, one a lane: by its port the other end tells which lane a packet belongs to.
#[derive(Default)]
pub(super) struct Dialers(Mutex<HashMap<Lane, Endpoint>>);

impl Dialers {
    /// Bound at the first use, when the daemon has probably told which ports it may be.
    pub(super) fn of(&self, lane: &Lane, host: &Host, identity: &Identity) -> Result<Endpoint, ListenError> {
        let mut bound = self.0.lock();
        if let Some(endpoint) = bound.get(lane) {
            return Ok(endpoint.clone());
        }
        let endpoint = host.dialer(identity)?;
        bound.insert(lane.clone(), endpoint.clone());
        Ok(endpoint)
    }
}

#[cfg(test)]
mod tests {
    use natsd_path::{Refinement, Wishes};

    use super::*;

    fn lane(options: &ScionOptions, slot: Slot) -> Lane {
        LaneChoice::new(Arc::new(ArcSwap::from_pointee(options.clone()))).lane(&slot)
    }

    #[test]
    fn a_pool_shares_the_best_path_unless_it_is_to_be_spread() {
        let shared = ScionOptions::default();
        assert_eq!(lane(&shared, Slot::Pool(2)), Lane::Numbered(0));
        let spread = ScionOptions { pool_paths: PoolPaths::Disjoint, ..shared };
        assert_eq!(lane(&spread, Slot::Pool(2)), Lane::Numbered(2));
    }

    #[test]
    fn accounts_and_subjects_with_wishes_have_a_lane() {
        let accounts = [("BULK".to_owned(), Refinement::default())].into();
        let subjects = [("orders.>".to_owned(), Refinement::default().into())].into();
        let wishes = Wishes { accounts, subjects, ..Wishes::default() };
        let options = ScionOptions { wishes, ..ScionOptions::default() };
        assert_eq!(lane(&options, Slot::Class("orders.>".into(), 1)), Lane::Subjects("orders.>".into(), 1));
        assert_eq!(lane(&options, Slot::Class("other.>".into(), 0)), Lane::Numbered(0));
        assert_eq!(lane(&options, Slot::Account("BULK".into())), Lane::Account("BULK".into()));
        assert_eq!(lane(&options, Slot::Account("SYS".into())), Lane::Numbered(0));
    }
}
